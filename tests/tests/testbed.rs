//! The testbed tests itself: each daemon does its job, and a failure says what was wrong.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;

use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Dhcpcd, Dnsmasq, Radvd};
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::peers;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::signals::Signals;
use mif_tests::topology::{
    OneLinkTwoRouters, SERVER_BEHIND_BOTH, SHARED_NAME, SHARED_V4, SHARED_V6, TwoIsps,
};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;

/// A cable from `eth1` of the host to `lan` of a new node called `router`.
async fn one_cable(universe: &Universe) -> Cable {
    let router = universe.node("router");
    Cable::between(universe.host().end("eth1"), router.end("lan")).await
}

#[test]
fn a_universe_has_its_own_files_links_and_processes() {
    universe::run(async |universe| {
        assert_eq!(std::process::id(), 1);
        let links = universe.host().ip("-oneline link");
        assert_eq!(links.lines().count(), 1, "only lo: {links}");
        assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), "");
        assert!(fs::read_dir("/var/lib/dhcpcd").unwrap().next().is_none());
        assert!(fs::write("/sys/kernel/mm/probe", "").is_err());
        assert!(fs::read_dir("/sys/class/net").unwrap().flatten().all(|link| link.file_name() == "lo"));
    });
}

#[test]
fn unpacked_packages_are_there_for_one_universe_only() {
    universe::run(async |universe| {
        peers::mount();
        let router = universe.node("router");
        let version = router.run("unbound", ["-V"]);
        assert!(version.contains("Version"), "{version}");
        assert!(fs::exists("/etc/unbound").unwrap() && fs::exists("/usr/bin/ip").unwrap());
    });
}

#[test]
fn a_failing_universe_shows_what_its_daemons_said() {
    let failure = std::panic::catch_unwind(|| {
        universe::run(async |universe| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "echo the daemon spoke"]);
            universe.host().spawn("speaker", command).ended().await;
            panic!("the body failed");
        });
    });
    let failure = failure.unwrap_err();
    // Inside the universe the panic goes on to the test harness, which must see it.
    let Some(text) = failure.downcast_ref::<String>() else { std::panic::resume_unwind(failure) };
    assert!(text.contains("the body failed"), "{text}");
    assert!(text.contains("the daemon spoke"), "{text}");
}

#[test]
fn a_cable_has_chosen_names_addresses_and_indices_and_can_be_pulled() {
    universe::run(async |universe| {
        let router = universe.node("router");
        let near = universe.host().end("eth1").mac("02:00:00:00:00:01").index(77);
        // The same index in another node: ifindex is per namespace.
        let cable = Cable::between(near, router.end("lan").index(77)).await;
        assert_eq!((cable.near().ifindex(), cable.far().ifindex()), (77, 77));
        assert_eq!(cable.near().link_local(), "fe80::ff:fe00:1");

        cable.pull().await;
        let link = cable.near().look().unwrap();
        let flags = link["flags"].to_string();
        assert!(flags.contains("NO-CARRIER") && flags.contains("\"UP\""), "{flags}");
        cable.plug(&["2001:db8::1/64"]).await;
        assert!(cable.far().addresses().contains(&"2001:db8::1".to_owned()));
        cable.remove();
        cable.near().look().unwrap_err();
    });
}

#[test]
fn duplicate_address_detection_is_off_unless_asked_for() {
    universe::run(async |universe| {
        let far = universe.node("router");
        let cable =
            Cable::between(universe.host().end("eth1").duplicate_address_detection(), far.end("lan")).await;
        cable.far().add_address("2001:db8::2/64");
        assert!(cable.far().addresses().contains(&"2001:db8::2".to_owned()));
        cable.near().add_address("2001:db8::1/64");
        assert!(!cable.near().addresses().contains(&"2001:db8::1".to_owned()));
        cable.near().wait_for_address("2001:db8::1").await;
    });
}

#[test]
fn radvd_is_heard_by_the_kernel() {
    universe::run(async |universe| {
        let cable = one_cable(&universe).await;
        let router = cable.far().node();
        Radvd::on(router, "lan").prefix("2001:db8:1::/64").dns_servers(&["2001:db8::53"]).start().await;
        cable.near().wait_for_address("2001:db8:1:").await;
        let routes = universe.host().ip("-6 route show default");
        assert!(routes.contains(&cable.far().link_local()), "{routes}");
    });
}

#[test]
fn a_raw_advertisement_is_heard_only_when_it_is_proper() {
    universe::run(async |universe| {
        let cable = one_cable(&universe).await;
        let prefixed = |prefix: &str| RouterAdvertisement::new(1800).prefix(prefix, 64, 600, 300);
        let sender = RawSender::on(cable.far());
        RawSender::on(cable.far()).hop_limit(254).send(prefixed("2001:db8:1::").bytes());
        RawSender::on(cable.far()).source("2001:db8::9").send(prefixed("2001:db8:2::").bytes());
        RawSender::on(cable.far()).wrong_checksum().send(prefixed("2001:db8:3::").bytes());
        sender.send(prefixed("2001:db8:4::").bytes());
        let own = cable.near().wait_for_address("2001:db8:4:").await;
        let global: Vec<_> =
            cable.near().addresses().into_iter().filter(|address| address.starts_with("2001:")).collect();
        assert_eq!(global, [own]);
        // Any source: a second router, which this node does not have.
        RawSender::on(cable.far()).source("fe80::5").send(prefixed("2001:db8:5::").bytes());
        eventually("the route of fe80::5", async || {
            let routes = universe.host().ip("-6 route show default");
            if routes.contains("fe80::5 ") { Ok(()) } else { Err(routes) }
        })
        .await;
    });
}

#[test]
fn one_dhcpcd_looks_after_several_links() {
    universe::run(async |universe| {
        let mut cables = Vec::new();
        for (number, name) in [(1, "eth1"), (2, "eth2")] {
            let router = universe.node(&format!("router{number}"));
            let cable = Cable::between(universe.host().end(name), router.end("lan")).await;
            cable.far().add_address(&format!("10.0.{number}.1/24"));
            let (first, last) = (format!("10.0.{number}.10"), format!("10.0.{number}.20"));
            Dnsmasq::on(&router, "lan").dhcp4(&first, &last, "5m").start().await;
            cables.push(cable);
        }
        Dhcpcd::on_all(&[cables[0].near(), cables[1].near()]).start().await;
        cables[0].near().wait_for_address("10.0.1.").await;
        cables[1].near().wait_for_address("10.0.2.").await;
        assert!(fs::exists("/run/dhcpcd/unpriv.sock").unwrap());
    });
}

#[test]
fn both_isps_lease_answer_and_echo() {
    universe::run(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        for isp in [&isps.first, &isps.second] {
            let socket = format!("/run/dhcpcd/{}.unpriv.sock", isp.link());
            assert!(fs::exists(&socket).unwrap(), "{socket}");
            let lease = fs::read(format!("/var/lib/dhcpcd/{}.lease", isp.link())).unwrap();
            assert!(lease.len() > 200, "a DHCP packet of {} bytes", lease.len());

            let (v4, v6) = isp.dns_servers();
            assert_eq!(ask(v4.into(), A), [IpAddr::from(isp.server_v4())]);
            assert_eq!(ask(v6.into(), AAAA), [IpAddr::from(isp.server_v6())]);
            for server in [isp.server_v4().into(), isp.server_v6().into(), SHARED_V4.into(), SHARED_V6.into()]
            {
                let greeting = connect_through(isp.link(), server);
                assert_eq!(greeting.server, isp.node().name());
                assert!(isp.gave(greeting.source), "{greeting:?}");
            }
        }
    });
}

#[test]
fn a_pulled_isp_can_be_plugged_in_again() {
    universe::run(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        isps.second.pull_cable().await;
        eventually("dhcpcd to drop the addresses of the second ISP", async || {
            let addresses = isps.second.cable().near().addresses();
            let local = addresses.iter().all(|address| address.starts_with("fe80:"));
            if local { Ok(()) } else { Err(addresses.join(" ")) }
        })
        .await;
        assert_eq!(connect_through("eth1", isps.first.server_v4().into()).server, "isp1");
        isps.second.plug_cable().await;
        isps.second.wait_for_addresses().await;
        assert_eq!(connect_through("eth2", isps.second.server_v6().into()).server, "isp2");
    });
}

#[test]
fn two_routers_on_one_link_drop_each_others_sources() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let [first, second] = &network.routers;
        let own = network.cable.near().wait_for_address("2001:db8:1:").await;
        for (router, answers) in [(first, true), (second, false)] {
            let route = format!("{SERVER_BEHIND_BOTH} via {} dev eth1", router.link_local());
            universe.host().ip(&format!("route replace {route}"));
            let (dropped, forwarded) = router.dropped_and_forwarded();
            let connected = connect_from(own.parse().unwrap(), SERVER_BEHIND_BOTH.parse().unwrap());
            let (dropped, forwarded) = {
                let now = router.dropped_and_forwarded();
                (now.0 - dropped, now.1 - forwarded)
            };
            assert_eq!(connected, answers, "through {}", router.node().name());
            assert_eq!((dropped > 0, forwarded > 0), (!answers, answers), "{dropped} {forwarded}");
        }
    });
}

#[test]
fn the_private_bus_answers_busctl_and_carries_signals() {
    universe::run(async |universe| {
        let bus = Bus::start(&universe).await;
        let names = universe.host().run("busctl", ["--no-pager", "list"]);
        assert!(names.contains("org.freedesktop.DBus"), "{names}");

        let (listener, speaker) = (bus.connect().await, bus.connect().await);
        let mut signals = Signals::of(&listener);
        signals.add_match("type='signal',interface='org.example.Test'").await;
        speaker
            .emit_signal(None::<&str>, "/one", "org.example.Test", "Said", &("first", 1_u32))
            .await
            .unwrap();
        let own = listener.unique_name().unwrap().to_owned();
        speaker.emit_signal(Some(own), "/two", "org.example.Test", "Said", &("second", 2_u32)).await.unwrap();
        let said = signals
            .until("the second Said", |message| {
                let (text, number): (String, u32) = message.body().deserialize().ok()?;
                (number == 2).then_some(text)
            })
            .await;
        assert_eq!(said, "second");
        let refused = speaker.request_name("org.example.NotOurs").await;
        assert!(refused.is_err(), "only the service may own a name: {refused:?}");
        speaker.request_name("org.ietf.Mif1").await.unwrap();
    });
}

#[test]
fn the_echo_server_tells_the_source() {
    universe::run(async |universe| {
        let cable = one_cable(&universe).await;
        cable.far().add_address("192.0.2.1/24");
        cable.near().add_address("192.0.2.9/24");
        let echo = EchoServer::on(cable.far().node());
        let greeting = connect_through("eth1", "192.0.2.1".parse().unwrap());
        assert_eq!(greeting.source, "192.0.2.9".parse::<IpAddr>().unwrap());
        assert_eq!(greeting.server, echo.node().name());
    });
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// Asks a DNS server for [`SHARED_NAME`].
fn ask(server: IpAddr, kind: u16) -> Vec<IpAddr> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in SHARED_NAME.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = std::net::UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(mif_tests::wait::DEADLINE)).unwrap();
    socket.send_to(&query, (server, 53)).unwrap();
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply).unwrap();
    let answers = u16::from_be_bytes([reply[6], reply[7]]);
    // Each answer: a pointer to the name, type, class, TTL, length, address.
    let mut rest = &reply[query.len()..length];
    let mut addresses = Vec::new();
    for _ in 0..answers {
        let size = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
        let data = &rest[12..12 + size];
        addresses.push(match <[u8; 4]>::try_from(data) {
            Ok(v4) => v4.into(),
            Err(_) => <[u8; 16]>::try_from(data).unwrap().into(),
        });
        rest = &rest[12 + size..];
    }
    addresses
}

/// Connects to an echo server out of a certain link.
fn connect_through(link: &str, server: IpAddr) -> Greeting {
    let to = SocketAddr::from((server, ECHO_PORT));
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    socket.bind_device(Some(link.as_bytes())).unwrap();
    socket.connect_timeout(&to.into(), mif_tests::wait::DEADLINE).unwrap();
    Greeting::read(&TcpStream::from(socket)).unwrap()
}

/// Whether an echo server answers soon when asked from a certain source.
fn connect_from(source: IpAddr, server: IpAddr) -> bool {
    let to = SocketAddr::from((server, ECHO_PORT));
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect_timeout(&to.into(), std::time::Duration::from_millis(500)).is_ok()
}
