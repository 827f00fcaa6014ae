//! The network: a link with a fast server, one with a dead one, and many provisioning domains.

use futures_util::future::join_all;
use mif::TranslateOptions;
use mif::wire::Family;
use mif_tests::cable::Cable;
use mif_tests::node::Node;
use mif_tests::report::{Quantity, Report, microseconds};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Universe;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};
use zbus::OwnedObjectPath;

/// The server that answers at once.
pub const SERVER: &str = "2001:db8:1::53";
const DEAD: &str = "2001:db8:2::53";
/// Provisioning domains of which half is asked.
const DOMAINS: usize = 28;
/// Clients with as many translations of a dead server each as a client may have.
const CLIENTS: usize = 16;
const EACH: usize = 63;

/// A host that mifd serves, in two networks.
pub struct World {
    /// Where it is.
    pub universe: Universe,
    /// mifd and its bus.
    pub host: ServedHost,
    fast: Cable,
}

/// The link with the fast server and that with the dead one.
pub struct Links {
    fast: Cable,
    dead: Cable,
    _silent: UdpSocket,
}

/// Builds them.
pub async fn links(universe: &Universe) -> Links {
    let fast = link(universe, 1).await;
    respond(fast.far().node(), SocketAddr::new(address(SERVER), 53));
    let dead = link(universe, 2).await;
    let silent = dead.far().node().within(|| UdpSocket::bind((address(DEAD), 53)).expect("a port"));
    for n in 1..=DOMAINS {
        let (router, server) = (fast.far(), name_server(n));
        router.add_address(&format!("{server}/64"));
        let at = SocketAddrV6::new(server.parse().expect("an address"), 53, 0, router.ifindex());
        respond(router.node(), at.into());
    }
    Links { fast, dead, _silent: silent }
}

impl World {
    /// Has the routers of the links tell what there is.
    pub fn with(universe: &Universe, host: ServedHost, links: &Links) -> Self {
        for (cable, number, server) in [(&links.fast, 1, SERVER), (&links.dead, 2, DEAD)] {
            let message = RouterAdvertisement::new(1800)
                .prefix(&format!("2001:db8:{number}::"), 64, 3600, 1800)
                .dns_servers(3600, &[server]);
            RawSender::on(cable.far()).send(message.bytes());
        }
        Self { universe: universe.clone(), host, fast: links.fast.clone() }
    }

    /// The provisioning domain with addresses on this link.
    pub async fn pvd(&self, link: &str) -> OwnedObjectPath {
        let [pvd] = self.host.pvds([link], Family::Ipv6, true).await;
        pvd
    }

    /// What mifd's memory grows by with each provisioning domain: one that is there, one that was asked.
    pub async fn memory_of_provisioning_domains(&self, report: &mut Report) {
        let router = self.fast.far();
        let before = self.memory();
        let mut paths = Vec::new();
        for n in 1..=DOMAINS {
            let inside = RouterAdvertisement::new(0).dns_servers(3600, &[&name_server(n)]);
            let message = RouterAdvertisement::new(1800).pvd(0, 1, &format!("n{n}.bench.test"), &inside);
            RawSender::on(router).send(message.bytes());
            let ready = |pvd: &mif::ProvisioningDomain| !pvd.dns_servers.is_empty();
            paths.push(self.host.pvd_where(&format!("n{n}.bench.test"), ready).await.path);
        }
        let there = self.memory();
        let (first, rest) = paths.split_at(DOMAINS / 4);
        self.ask_each(first).await;
        let begun = self.memory();
        self.ask_each(rest).await;
        let asked = self.memory();
        let case = "memory of a provisioning domain";
        let mut add = |what, kilobytes| report.add(case, "mifd", Quantity::less(what, "kB"), kilobytes);
        add("when it comes", (there - before) / DOMAINS as f64);
        add("when it is first asked", (asked - begun) / rest.len() as f64);
    }

    async fn ask_each(&self, pvds: &[OwnedObjectPath]) {
        for pvd in pvds {
            let options = TranslateOptions { family: Some(Family::Ipv4), ..TranslateOptions::default() };
            let asking = mif::translate_name(&self.host.connection, pvd, "one.bench.test", &options);
            asking.await.expect("an answer");
        }
    }

    /// What about 1,000 translations that nobody answers do to the others.
    pub async fn dead_server(&self, report: &mut Report) {
        let (fast, dead) = (self.pvd("eth1").await, self.pvd("eth2").await);
        let alone = self.median(&fast, "alone").await;
        let (memory, descriptors) = (self.memory(), self.host.descriptors());
        let mut waiting = Vec::new();
        for client in 0..CLIENTS {
            let connection = self.host.bus.connect().await;
            for n in 0..EACH {
                let (connection, dead) = (connection.clone(), dead.clone());
                waiting.push(tokio::spawn(async move {
                    let options =
                        TranslateOptions { timeout: Some(Duration::from_secs(20)), ..Default::default() };
                    let name = format!("n{n}.c{client}.dead.test");
                    drop(mif::translate_name(&connection, &dead, &name, &options).await);
                }));
            }
        }
        let (mut most, mut largest) = (0_usize, 0.0_f64);
        let mut beside = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            beside.push(self.median(&fast, &format!("beside{}", beside.len())).await);
            most = most.max(self.host.descriptors().saturating_sub(descriptors));
            largest = largest.max(self.memory() - memory);
        }
        beside.sort();
        join_all(waiting).await;
        let left = self.host.descriptors().saturating_sub(descriptors + CLIENTS);
        let case = format!("{} translations of a dead server", CLIENTS * EACH);
        let mut add = |what, unit, value| report.add(&case, "mifd", Quantity::less(what, unit), value);
        add("p50 of others", "us", microseconds(beside[beside.len() / 2]));
        add("alone", "us", microseconds(alone));
        add("descriptors", "more", most as f64);
        add("memory", "kB more", largest);
        add("left over", "descriptors", left as f64);
    }

    async fn median(&self, pvd: &OwnedObjectPath, label: &str) -> Duration {
        let mut times = Vec::new();
        for n in 0..50 {
            let options = TranslateOptions { family: Some(Family::Ipv4), ..TranslateOptions::default() };
            let (name, since) = (format!("n{n}.{label}.bench.test"), Instant::now());
            mif::translate_name(&self.host.connection, pvd, &name, &options).await.expect("an answer");
            times.push(since.elapsed());
        }
        times.sort();
        times[times.len() / 2]
    }

    /// mifd's anonymous memory in kB.
    fn memory(&self) -> f64 {
        self.host.mifd.process().status_number("RssAnon:") as f64
    }
}

async fn link(universe: &Universe, number: usize) -> Cable {
    let node = universe.node(&format!("network{number}"));
    let cable = Cable::between(universe.host().end(&format!("eth{number}")), node.end("lan")).await;
    node.forward();
    cable.far().add_address(&format!("2001:db8:{number}::53/64"));
    cable
}

/// The address of the name server of the provisioning domain of this number.
fn name_server(number: usize) -> String {
    format!("fe80::53:{number:x}")
}

/// Answers every question of one address with one IPv4 address.
fn respond(node: &Node, at: SocketAddr) {
    let socket = node.within(|| UdpSocket::bind(at).expect("a port"));
    std::thread::spawn(move || {
        const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7];
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(end) = buffer[12..length].iter().position(|byte| *byte == 0) else { continue };
            let mut answer = buffer[..12 + end + 5].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend(RECORD);
            // The client may have left.
            let _ = socket.send_to(&answer, from);
        }
    });
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
