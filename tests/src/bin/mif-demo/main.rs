//! `cargo xtask demo`: the example of section 4 of draft-ietf-mif-api-extension-00, told live.
//!
//! A host with two ISPs, in a universe of its own: dnsmasq behind each cable, dhcpcd, a private bus and
//! mifd on the host. The program asks over D-Bus, in the draft's messages, which interfaces there are,
//! which provisioning domains (PvDs) and which DNS servers, translates one name in each, connects in
//! each and picks the fastest; then a cable is pulled and its network adapter removed. It ends with 1
//! unless the answers, the sources that the servers saw and the order of the announcements are what they
//! should be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod narrator;
mod watcher;

use std::net::{IpAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use mif::wire::InterfaceState;
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
    narrator.say(
        "A host with two Internet service providers (ISPs), in namespaces of its own on this machine:\n",
    );
    narrator.say("   isp1 ------- eth1 [ host: dhcpcd, mifd ] eth2 ------- isp2\n");
    narrator.say("Each ISP gives the host addresses, a router and DNS servers (DHCPv4, DHCPv6, Router");
    narrator
        .say("Advertisements). Both know the same name, each with a server of its own behind it. A program");
    narrator.say("asks mifd, over D-Bus, in the messages of draft-ietf-mif-api-extension-00 (in brackets).");
    let isps = TwoIsps::start(universe).await;
    let bus = Bus::start(universe).await;
    let _mifd = Mifd::start(universe, &bus).await;
    let connection = bus.connect().await;
    wait_until_settled(&connection).await;
    let mut watcher = Watcher::create(&connection).await?;

    show_interfaces(narrator, &mut watcher).await?;
    show_pvds(narrator, &mut watcher).await?;
    let servers = show_dns_servers(narrator, &watcher, &isps).await?;
    let answers = show_translations(narrator, &mut watcher, &isps, &servers).await?;
    let fastest = show_connections(narrator, &mut watcher, &isps, &answers).await?;
    pull_a_cable(narrator, &mut watcher, &isps, fastest).await?;
    remove_the_adapter(narrator, &mut watcher, &isps, fastest).await
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
    let mut names: Vec<&str> = watcher.interfaces.iter().map(|interface| &*interface.name).collect();
    names.sort_unstable();
    narrator.expect(names == ["eth1", "eth2", "lo"], "eth1, eth2 and lo are announced, once each");
    Ok(())
}

async fn show_pvds(narrator: &mut Narrator, watcher: &mut Watcher) -> mif::Result<()> {
    narrator.step(
        "Which provisioning domains (PvDs) does each have?",
        "Announce Provisioning Domains, Announce Configuration Elements, Announce Addresses",
    );
    watcher.announce_pvds().await?;
    for pvd in &watcher.pvds {
        narrator.say(&format!("   {}", pvd.id));
        narrator.say(&format!("      configured by {}", pvd.elements.join(" and ")));
        for address in &pvd.addresses {
            narrator.say(&format!("      has the address {address}"));
        }
    }
    narrator.say(
        "\n   Nobody named these PvDs, so each is called after its link, family and router; lo has none.",
    );
    for link in ["eth1", "eth2"] {
        for family in ["ipv4", "ipv6"] {
            let id = format!("implicit:{link}:{family}");
            let there =
                watcher.pvds.iter().any(|pvd| pvd.id == id || pvd.id.starts_with(&format!("{id}:fe80:")));
            narrator.expect(there, &format!("{id} is announced"));
        }
    }
    narrator.expect(watcher.pvds.len() == 4, "there are no other PvDs");
    Ok(())
}

/// The ISP behind the interface a PvD is on.
fn isp_of<'a>(isps: &'a TwoIsps, watcher: &Watcher, pvd: usize) -> &'a Isp {
    let link = watcher.link_of(&watcher.pvds[pvd]);
    if link == isps.first.link() { &isps.first } else { &isps.second }
}

/// The DNS servers of each PvD, in the order of the watcher's PvDs.
async fn show_dns_servers(
    narrator: &mut Narrator,
    watcher: &Watcher,
    isps: &TwoIsps,
) -> mif::Result<Vec<Vec<String>>> {
    narrator.step("Which DNS servers does each have?", "Get Configuration Data");
    let mut servers = Vec::new();
    for (index, pvd) in watcher.pvds.iter().enumerate() {
        let found = watcher.dns_servers(pvd).await?;
        narrator.say(&format!("   {:<39} {}", pvd.id, found.join(" ")));
        let isp = isp_of(isps, watcher, index);
        narrator.expect(!found.is_empty(), &format!("{} has a DNS server", pvd.id));
        for server in &found {
            let of_isp = server.parse().is_ok_and(|address| isp.serves_dns_at(address));
            narrator.expect(of_isp, &format!("the server {server} of {} is {}", pvd.id, isp.node().name()));
        }
        servers.push(found);
    }
    Ok(servers)
}

/// The addresses of [`SHARED_NAME`] in each PvD, in the order of the watcher's PvDs; `servers` are those that
/// each may ask.
async fn show_translations(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
    servers: &[Vec<String>],
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
                let index = translation_id as usize;
                let known = answer.server.as_ref().is_some_and(|server| servers[index].contains(server));
                let id = &watcher.pvds[index].id;
                narrator.expect(known, &format!("a server of {id} answers, not {:?}", answer.server));
                answers[index].push(answer.address);
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
        narrator.say(&format!("   {:<39} {}", pvd.id, text.join(" ")));
        let isp = isp_of(isps, watcher, index);
        let expected: [IpAddr; 2] = [isp.server_v4().into(), isp.server_v6().into()];
        narrator.expect(*found == expected, &format!("{} answers {expected:?}", pvd.id));
    }
    narrator.say(
        "\n   One name, two answers: each ISP gives its own. A PvD of either family tells the addresses",
    );
    narrator.say("   of both; which of them it can reach is the next step.");
    Ok(answers)
}

/// Connects in each PvD to each address of its family. The PvD with the shortest handshake.
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
        narrator.say(&format!("   {name:<39} {address}"));
        narrator.say(&format!(
            "      the server at {} saw the source {source}; the handshake took {} \u{b5}s",
            greeting.server,
            time.as_micros()
        ));
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
    narrator.say(&format!("\n   The fastest: {}", watcher.pvds[pvd].id));
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
/// the other link is. The interface itself stays.
async fn pull_a_cable(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
    fastest: usize,
) -> mif::Result<()> {
    let isp = isp_of(isps, watcher, fastest);
    let (link, name) = (isp.link(), isp.node().name());
    narrator.step(
        &format!("The cable from {link} to {name} is pulled"),
        "the No-announcements as they come: dhcpcd gives its leases up at once, and what mifd itself heard\n   from the router counts no more after 2 s without a cable",
    );
    let lost: Vec<usize> =
        (0..watcher.pvds.len()).filter(|pvd| watcher.link_of(&watcher.pvds[*pvd]) == link).collect();
    watcher.forget_history();
    isp.pull_cable().await;
    while lost.iter().any(|pvd| !watcher.pvds[*pvd].gone) {
        watcher.next("the end of the PvDs of the pulled cable").await?;
    }
    tell_history(narrator, watcher);
    for (index, pvd) in watcher.pvds.iter().enumerate() {
        let is_lost = lost.contains(&index);
        let ended_well = if is_lost { pvd.gone && pvd.was_empty_at_its_end } else { !pvd.gone };
        let should = if is_lost { "loses addresses and elements first, then goes" } else { "stays" };
        narrator.expect(ended_well, &format!("{} {should}", pvd.id));
    }
    let state = State::read(watcher.connection()).await?;
    let interface = state.interfaces.iter().find(|interface| interface.name == link);
    let state = interface.map(|interface| &interface.state);
    narrator.expect(state == Some(&InterfaceState::Down), &format!("{link} is down, not {state:?}"));
    narrator.expect(
        watcher.interface(link).is_some_and(|known| !known.gone),
        &format!("{link} is not withdrawn"),
    );
    narrator.say(&format!("\n   {link} itself is down, but still there: no NoInterfaceAnnouncement."));
    check_survivor(narrator, watcher, other_isp(isps, isp)).await
}

/// Takes the adapter out that lost its cable: now the interface is withdrawn, and nothing else.
async fn remove_the_adapter(
    narrator: &mut Narrator,
    watcher: &mut Watcher,
    isps: &TwoIsps,
    fastest: usize,
) -> mif::Result<()> {
    let isp = isp_of(isps, watcher, fastest);
    let link = isp.link();
    narrator.step(&format!("The network adapter {link} is removed"), "the No-announcement");
    watcher.forget_history();
    isp.cable().remove();
    while watcher.interface(link).is_some_and(|interface| !interface.gone) {
        watcher.next("the end of the interface").await?;
    }
    tell_history(narrator, watcher);
    narrator.expect(watcher.history().len() == 1, "nothing else is withdrawn with the interface");
    check_survivor(narrator, watcher, other_isp(isps, isp)).await
}

fn tell_history(narrator: &mut Narrator, watcher: &Watcher) {
    for line in watcher.history() {
        narrator.say(&format!("   {line}"));
    }
}

fn other_isp<'a>(isps: &'a TwoIsps, isp: &Isp) -> &'a Isp {
    if isp.link() == isps.first.link() { &isps.second } else { &isps.first }
}

/// Connects in a PvD of the ISP that is left.
async fn check_survivor(narrator: &mut Narrator, watcher: &Watcher, isp: &Isp) -> mif::Result<()> {
    let survivor = watcher.pvds.iter().find(|pvd| !pvd.gone && pvd.is_ipv4());
    let Some(survivor) = survivor.filter(|pvd| watcher.link_of(pvd) == isp.link()) else {
        narrator.expect(false, &format!("{} still has an IPv4 PvD", isp.link()));
        return Ok(());
    };
    let request = ConnectRequest::new(isp.server_v4().into(), ECHO_PORT);
    let connected = mif::connect_to_address(watcher.connection(), &survivor.path, &request).await?;
    let greeting = greet(connected.socket).await;
    narrator.say(&format!(
        "   {} still connects: the server at {} saw {}.",
        survivor.id, greeting.server, greeting.source
    ));
    let as_before = greeting.server == isp.node().name() && isp.gave(greeting.source);
    narrator.expect(as_before, &format!("{} still leads to {}", survivor.id, isp.node().name()));
    Ok(())
}
