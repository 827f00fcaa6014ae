//! `cargo xtask demo`: the example of section 4 of draft-ietf-mif-api-extension-00, told live.
//!
//! A host with two ISPs, in a universe of its own: dnsmasq behind each cable, dhcpcd, a private bus and
//! mifd on the host. The program asks over D-Bus, in the draft's messages, which interfaces there are,
//! which provisioning domains (PvDs) and which DNS servers, translates one name in each, connects in
//! each and picks the fastest; then a cable is pulled. It ends with 1 unless the answers, the sources
//! that the servers saw and the order of the announcements are what they should be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod narrator;
mod watcher;

use std::net::{IpAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use mif::{ConnectRequest, Message, State, TranslateOptions};
use mif_tests::daemons::{Bus, Mifd};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::topology::{Isp, SHARED_NAME, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, eventually};

use crate::narrator::Narrator;
use crate::watcher::Watcher;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut narrator = Narrator::default();
        if let Err(error) = tell(&universe, &mut narrator).await {
            narrator.expect(false, &format!("no error from the service, but there was: {error}"));
        }
        narrator.verdict()
    })
}

async fn tell(universe: &Universe, narrator: &mut Narrator) -> mif::Result<()> {
    narrator.say("A network of its own, on this machine but apart from it:\n");
    narrator.say("   isp1 ------- eth1 [ host: dhcpcd, mifd ] eth2 ------- isp2\n");
    let isps = TwoIsps::start(universe).await;
    let bus = Bus::start(universe).await;
    let _mifd = Mifd::start(universe, &bus).await;
    let connection = bus.connect().await;
    wait_until_settled(&connection).await;
    let mut watcher = Watcher::create(&connection).await?;

    show_interfaces(narrator, &mut watcher).await?;
    show_pvds(narrator, &mut watcher).await?;
    show_dns_servers(narrator, &watcher, &isps).await?;
    let answers = show_translations(narrator, &mut watcher, &isps).await?;
    let fastest = show_connections(narrator, &mut watcher, &isps, &answers).await?;
    pull_a_cable(narrator, &mut watcher, &isps, fastest).await
}

/// The service is on the bus after its first look around; Router Advertisements take a moment longer.
async fn wait_until_settled(connection: &zbus::Connection) {
    eventually("two PvDs on each of two links, with addresses and DNS servers", async || {
        let state = State::read(connection).await.map_err(|error| error.to_string())?;
        let complete =
            state.pvds().filter(|pvd| !pvd.addresses.is_empty() && !pvd.dns_servers.is_empty()).count();
        if complete == 4 && !state.startup { Ok(()) } else { Err(format!("{state:#?}")) }
    })
    .await;
}

async fn show_interfaces(narrator: &mut Narrator, watcher: &mut Watcher) -> mif::Result<()> {
    narrator.step("Which interfaces are there?", "Announce Interfaces");
    watcher.announce_interfaces().await?;
    for interface in &watcher.interfaces {
        narrator.say(&format!("   {:<8}{}", interface.name, interface.kind));
    }
    let both = ["eth1", "eth2"].iter().all(|name| watcher.interfaces.iter().any(|have| have.name == *name));
    narrator.expect(both, "eth1 and eth2 are announced");
    Ok(())
}

async fn show_pvds(narrator: &mut Narrator, watcher: &mut Watcher) -> mif::Result<()> {
    narrator.step(
        "Which provisioning domains (PvDs) does each have?",
        "Announce Provisioning Domain, Configuration Element, Address",
    );
    watcher.announce_pvds().await?;
    for pvd in &watcher.pvds {
        narrator.say(&format!("   {}", pvd.id));
        narrator.say(&format!("      configured by {}", pvd.elements.join(", ")));
        for address in &pvd.addresses {
            narrator.say(&format!("      has {address}"));
        }
    }
    for link in ["eth1", "eth2"] {
        for family in ["ipv4", "ipv6"] {
            let id = format!("implicit:{link}:{family}");
            let there =
                watcher.pvds.iter().any(|pvd| pvd.id == id || pvd.id.starts_with(&format!("{id}:fe80:")));
            narrator.expect(there, &format!("{id} is announced"));
        }
    }
    Ok(())
}

/// The ISP behind the interface a PvD is on.
fn isp_of<'a>(isps: &'a TwoIsps, watcher: &Watcher, pvd: usize) -> &'a Isp {
    let link = watcher.link_of(&watcher.pvds[pvd]);
    if link == isps.first.link() { &isps.first } else { &isps.second }
}

async fn show_dns_servers(narrator: &mut Narrator, watcher: &Watcher, isps: &TwoIsps) -> mif::Result<()> {
    narrator.step("Which DNS servers does each have?", "Get Configuration Data");
    for (index, pvd) in watcher.pvds.iter().enumerate() {
        let servers = watcher.dns_servers(pvd).await?;
        narrator.say(&format!("   {:<42}{}", pvd.id, servers.join(" ")));
        let (v4, v6) = isp_of(isps, watcher, index).dns_servers();
        let expected = if pvd.is_ipv4() { v4.to_string() } else { v6.to_string() };
        narrator.expect(servers == [expected.as_str()], &format!("{} has the server {expected}", pvd.id));
    }
    Ok(())
}

/// The addresses of [`SHARED_NAME`] in each PvD, in the order of the watcher's PvDs.
async fn show_translations(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
) -> mif::Result<Vec<Vec<IpAddr>>> {
    narrator.step(&format!("What is {SHARED_NAME} in each?"), "Translate Name");
    let mut answers = vec![Vec::new(); watcher.pvds.len()];
    for (id, pvd) in (0..).zip(&watcher.pvds) {
        let options = TranslateOptions::default();
        watcher.subscriber.translate_name(id, &pvd.path, SHARED_NAME, &options).await?;
    }
    let mut pending = answers.len();
    while pending > 0 {
        match watcher.next("the translations").await? {
            Message::NameTranslation { translation_id, answer } => {
                answers[translation_id as usize].push(answer.address);
            }
            Message::TranslationFinished { translation_id, outcome, .. } => {
                let id = &watcher.pvds[translation_id as usize].id;
                narrator.expect(outcome.is_ok(), &format!("the name is translated in {id}: {outcome:?}"));
                pending -= 1;
            }
            _ => {}
        }
    }
    for (index, pvd) in watcher.pvds.iter().enumerate() {
        let found = &mut answers[index];
        found.sort();
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        narrator.say(&format!("   {:<42}{}", pvd.id, text.join(" ")));
        let isp = isp_of(isps, watcher, index);
        let expected: [IpAddr; 2] = [isp.server_v4().into(), isp.server_v6().into()];
        narrator.expect(*found == expected, &format!("{} answers {expected:?}", pvd.id));
    }
    Ok(answers)
}

/// Connects in each PvD to each address of its family; the PvD with the shortest handshake.
async fn show_connections(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
    answers: &[Vec<IpAddr>],
) -> mif::Result<usize> {
    narrator.step("Connect in each, and take the fastest", "Connect to Address");
    let attempts: Vec<(usize, IpAddr)> = (0..watcher.pvds.len())
        .flat_map(|pvd| answers[pvd].iter().map(move |address| (pvd, *address)))
        .filter(|(pvd, address)| watcher.pvds[*pvd].is_ipv4() == address.is_ipv4())
        .collect();
    for (id, (pvd, address)) in (0..).zip(&attempts) {
        let request = ConnectRequest::new(*address, ECHO_PORT);
        watcher.subscriber.connect_to_address(id, &watcher.pvds[*pvd].path, &request).await?;
    }
    let mut fastest: Option<(Duration, usize)> = None;
    for _ in &attempts {
        let (id, details) = match watcher.next_of_connections().await? {
            Message::Connected { connection_id, details } => (connection_id, details),
            other => {
                narrator.expect(false, &format!("the connection is made, but {other:?}"));
                continue;
            }
        };
        let (pvd, address) = attempts[id as usize];
        let greeting = greet(watcher.subscriber.take_connection(id).await?).await;
        let time = Duration::from_micros(details.handshake_us.unwrap_or(u32::MAX).into());
        let (name, source) = (&watcher.pvds[pvd].id, greeting.source);
        narrator.say(&format!("   {name:<42}{address}"));
        narrator.say(&format!("      {} sees {source}; handshake {time:?}", greeting.server));
        let isp = isp_of(isps, watcher, pvd);
        narrator
            .expect(greeting.server == isp.node().name(), &format!("{name} leads to {}", isp.node().name()));
        narrator
            .expect(watcher.pvds[pvd].addresses.contains(&source), &format!("the source is one of {name}"));
        narrator.expect(isp.gave(source), &format!("the source is one of {}", isp.node().name()));
        fastest = fastest.into_iter().chain([(time, pvd)]).min();
    }
    narrator.expect(attempts.len() == watcher.pvds.len(), "there is one connection for each PvD");
    let (_, pvd) = fastest.unwrap_or_default();
    narrator.say(&format!("   fastest: {}", watcher.pvds[pvd].id));
    Ok(pvd)
}

/// What the echo server behind a socket says.
async fn greet(socket: std::os::fd::OwnedFd) -> Greeting {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline for the socket");
    let greeting = tokio::task::spawn_blocking(move || Greeting::read(&stream)).await.expect("no panic");
    greeting.expect("a greeting from the echo server")
}

/// Pulls the cable under the fastest PvD: everything on that link is withdrawn, in order, and nothing of
/// the other link is.
async fn pull_a_cable(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
    fastest: usize,
) -> mif::Result<()> {
    let isp = isp_of(isps, watcher, fastest);
    let other = if isp.link() == isps.first.link() { &isps.second } else { &isps.first };
    narrator
        .step(&format!("The cable to {} is pulled", isp.node().name()), "the No-announcements, as they come");
    let lost: Vec<usize> =
        (0..watcher.pvds.len()).filter(|pvd| watcher.link_of(&watcher.pvds[*pvd]) == isp.link()).collect();
    watcher.forget_history();
    isp.pull_cable().await;
    while lost.iter().any(|pvd| !watcher.pvds[*pvd].gone) {
        watcher.next("the end of the PvDs of the pulled cable").await?;
    }
    for line in watcher.history() {
        narrator.say(&format!("   {line}"));
    }
    for (index, pvd) in watcher.pvds.iter().enumerate() {
        let is_lost = lost.contains(&index);
        let ended_well = if is_lost { pvd.gone && pvd.was_empty_at_its_end } else { !pvd.gone };
        let should = if is_lost { "loses addresses and elements first, then goes" } else { "stays" };
        narrator.expect(ended_well, &format!("{} {should}", pvd.id));
    }
    let survivor = watcher.pvds.iter().find(|pvd| !pvd.gone && pvd.is_ipv4()).map(|pvd| pvd.path.clone());
    let survivor = survivor.unwrap_or_default();
    let request = ConnectRequest::new(other.server_v4().into(), ECHO_PORT);
    let connected = mif::connect_to_address(watcher.connection(), &survivor, &request).await?;
    let greeting = greet(connected.socket).await;
    narrator.say(&format!("   and {} still sees {}", greeting.server, greeting.source));
    narrator.expect(greeting.server == other.node().name(), "the other ISP still works");
    Ok(())
}
