//! What callers, networks and administrators get wrong: a clear error, or ignored with one line in the log.
//! The service stays, and everything else stays right.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use mif::wire::Family;
use mif::{Error, State};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd, MifdSettings, program};
use mif_tests::process::{Output, output};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use mif_tests::{tally, tool};
use serde::Serialize;
use zbus::{DynamicType, OwnedObjectPath, Variant};

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
const NO_SUCH_INTERFACE: &str = "org.ietf.Mif1.Error.NoSuchInterface";

/// Options of a call.
type Options<'a> = HashMap<&'a str, Variant<'a>>;

/// A host with two links, each with a static address: `eth1` to the node `router`, `eth2` to `other`.
struct TwoLinks {
    host: ServedHost,
    first: Cable,
    pvds: [OwnedObjectPath; 2],
}

impl TwoLinks {
    async fn start(universe: &Universe) -> Self {
        let mut cables = Vec::new();
        for (number, node) in [(1, "router"), (2, "other")] {
            let far = universe.node(node).end("lan");
            let cable = Cable::between(universe.host().end(&format!("eth{number}")), far).await;
            cable.near().add_address(&format!("192.0.{number}.2/24"));
            cables.push(cable);
        }
        let host = ServedHost::start_with(universe, |settings| settings.log("info")).await;
        let pvds = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        Self { host, first: cables.swap_remove(0), pvds }
    }

    /// A call that must fail: the name of the error, and its message.
    async fn refused<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> (String, String)
    where
        B: Serialize + DynamicType,
    {
        let call =
            self.host.connection.call_method(Some("org.ietf.Mif1"), path, Some(interface), method, body);
        let what = format!("the reply of {method} at {path}");
        tally::bad_inputs(1);
        match completes(&what, call).await.map_err(Error::from) {
            Err(Error::Reply { name, message, .. }) => {
                assert!(message.len() < 1000, "{method}: {} bytes of message", message.len());
                assert!(!message.chars().any(char::is_control), "{method}: {message:?}");
                (name, message)
            }
            other => panic!("{method} at {path} was not refused: {other:?}"),
        }
    }

    /// The message of InvalidArgs.
    async fn invalid<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> String
    where
        B: Serialize + DynamicType,
    {
        let (name, message) = self.refused(path, interface, method, body).await;
        assert_eq!(name, INVALID, "{method}: {message}");
        message
    }

    /// The service is the one that was started, and tells the same as in `before`.
    async fn is_as_before(&self, before: &State) {
        assert!(self.host.mifd.process().exit_status().is_none());
        assert_eq!(self.host.state().await, *before);
    }

    /// The lines in mifd's log that hold `text`.
    fn lines(&self, text: &str) -> Vec<String> {
        let log = self.host.mifd.process().log();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

fn none<'a>() -> Options<'a> {
    Options::new()
}

fn megabyte() -> String {
    "a".repeat(1 << 20)
}

#[test]
fn unknown_objects_members_and_types_are_named() {
    universe::run(async |universe| {
        let links = TwoLinks::start(&universe).await;
        let before = links.host.state().await;
        let stranger = links.host.bus.connect().await;
        mif::Subscriber::create(&stranger, "theirs").await.unwrap();
        let theirs = stranger.unique_name().unwrap().trim_start_matches(':').replace('.', "_");
        let theirs = format!("/org/ietf/Mif1Subscriber/{theirs}/theirs");
        for path in [
            "/org/ietf/Mif1/pvd/0",
            "/org/ietf/Mif1/pvd/00",
            "/org/ietf/Mif1/pvd/99999999999999999999999999",
            "/org/ietf/Mif1/pvd/1/2",
            "/org/ietf/Mif1/pvd/eth1",
            "/org/ietf/Mif1/interface/0",
            "/org/ietf/Mif1/nothing",
            "/org/ietf/Mif2",
            "/org/ietf/Mif1Subscriber/1_1/mine",
        ] {
            let (name, message) = links.refused(path, PVD, "TranslateName", &("x.test", none())).await;
            let expected = if path.contains("Subscriber") {
                "org.freedesktop.DBus.Error.AccessDenied"
            } else {
                UNKNOWN_OBJECT
            };
            assert_eq!(name, expected, "{path}: {message}");
            assert!(expected != UNKNOWN_OBJECT || message.contains(path), "{path}: {message}");
        }
        let (name, _) = links.refused(&theirs, "org.ietf.Mif1.Subscriber", "Close", &()).await;
        assert_eq!(name, "org.freedesktop.DBus.Error.AccessDenied");

        let pvd = links.pvds[0].as_str();
        let cases = [
            (ROOT, MANAGER, "Nothing", UNKNOWN_METHOD),
            (ROOT, PVD, "TranslateName", "org.freedesktop.DBus.Error.UnknownInterface"),
            (pvd, PVD, "Nothing", UNKNOWN_METHOD),
            // Already the bus lets no call through that is to none of the interfaces of the policy.
            (pvd, "org.example.Other", "TranslateName", "org.freedesktop.DBus.Error.AccessDenied"),
        ];
        for (path, interface, method, expected) in cases {
            let (name, message) = links.refused(path, interface, method, &()).await;
            assert_eq!(name, expected, "{interface}.{method}: {message}");
        }
        // Wrong types name what the method takes.
        let message = links.invalid(pvd, PVD, "TranslateName", &("x.test", "no options")).await;
        assert!(message.contains("sa{sv}"), "{message}");
        let message = links.invalid(pvd, PVD, "ConnectToAddress", &("192.0.1.1", 80_u32, none())).await;
        assert!(message.contains("sqa{sv}"), "{message}");
        let message = links.invalid(ROOT, MANAGER, "GetInterfaceByIndex", &("one",)).await;
        assert!(message.contains('u'), "{message}");
        let (name, _) = links.refused(pvd, PROPERTIES, "Get", &(PVD, "Nothing")).await;
        assert_eq!(name, "org.freedesktop.DBus.Error.UnknownProperty");
        let (name, _) = links.refused(pvd, PROPERTIES, "Set", &(PVD, "Id", Variant::from("mine"))).await;
        assert_eq!(name, "org.freedesktop.DBus.Error.PropertyReadOnly");
        let (name, _) = links.refused(ROOT, MANAGER, "GetInterfaceByIndex", &(0_u32,)).await;
        assert_eq!(name, NO_SUCH_INTERFACE);
        for odd in ["", "-x", "eth1\\000", "../eth1", &megabyte()] {
            let (name, _) = links.refused(ROOT, MANAGER, "GetInterfaceByName", &(odd,)).await;
            assert_eq!(name, NO_SUCH_INTERFACE);
        }
        links.is_as_before(&before).await;
    });
}

#[test]
fn odd_arguments_are_named_with_what_would_be_right() {
    universe::run(async |universe| {
        let links = TwoLinks::start(&universe).await;
        let before = links.host.state().await;
        let pvd = links.pvds[0].as_str();
        let (long, megabyte) = ("a".repeat(65), megabyte());
        for token in ["", "a b", "a/b", "a-b", "\u{e4}", "a\u{7}", &long, &megabyte] {
            let message = links.invalid(ROOT, MANAGER, "CreateSubscriber", &(token, none())).await;
            assert!(message.contains("1 to 64 letters, digits and underscores"), "{message}");
        }
        for address in [
            "",
            "fe80::1%eth1",
            "1.2.3",
            "0x7f.1",
            " 192.0.1.1",
            "192.0.1.1\n",
            "999.1.1.1",
            "www.test",
            &megabyte,
        ] {
            let message = links.invalid(pvd, PVD, "ConnectToAddress", &(address, 80_u16, none())).await;
            assert!(message.contains("address"), "{message}");
            assert!(address.len() > 60 || address.contains('\n') || message.contains(address), "{message}");
            links.invalid(ROOT, MANAGER, "GetProvisioningDomainsByAddress", &(address,)).await;
        }
        let message = links.invalid(pvd, PVD, "ConnectToAddress", &("192.0.1.1", 0_u16, none())).await;
        assert!(message.contains("1 to 65535"), "{message}");

        let name_of = |label: usize, labels: usize| vec!["a".repeat(label); labels].join(".");
        let (label, name) = (name_of(64, 2), name_of(62, 5));
        let cases = [
            ("", "empty"),
            (".", "root"),
            ("a..b", "nothing between two dots"),
            (".a", "nothing between two dots"),
            ("a b.test", "letters, digits"),
            ("-\u{7f}.test", "letters, digits"),
            ("fe80::1%eth1", "zone"),
            (&label, "at most 63"),
            (&name, "at most 253"),
        ];
        for (name, told) in cases {
            let message = links.invalid(pvd, PVD, "TranslateName", &(name, none())).await;
            assert!(message.contains(told), "{message}");
        }
        let body = (&*megabyte, none());
        let (name, message) = links.refused(pvd, PVD, "TranslateName", &body).await;
        assert_eq!(name, LIMITS_EXCEEDED, "{message}");
        assert!(message.contains("at most 1024"), "{message}");
        // Unknown options, and known ones with a wrong type or word.
        let options: [(&str, Variant<'_>, &str); 6] = [
            ("colour", "green".into(), "colour"),
            ("family", "ipv5".into(), "any, ipv4, ipv6"),
            ("family", 4_u32.into(), "family"),
            ("timeout", "soon".into(), "timeout"),
            ("timeout", 5_u64.into(), "timeout"),
            ("systems", "dns".into(), "systems"),
        ];
        for (key, value, told) in options {
            let message =
                links.invalid(pvd, PVD, "TranslateName", &("x.test", Options::from([(key, value)]))).await;
            assert!(message.contains(told), "{message}");
        }
        let options: [(&str, Variant<'_>, &str); 3] = [
            ("family", "ipv4".into(), "family"),
            ("protocol", "udp".into(), "tcp, mptcp"),
            ("source", "fe80::1%eth1".into(), "source"),
        ];
        for (key, value, told) in options {
            let body = ("192.0.1.1", 80_u16, Options::from([(key, value)]));
            let message = links.invalid(pvd, PVD, "ConnectToAddress", &body).await;
            assert!(message.contains(told), "{message}");
        }
        let body = ("token", Options::from([("colour", Variant::from("green"))]));
        assert!(links.invalid(ROOT, MANAGER, "CreateSubscriber", &body).await.contains("colour"));
        assert!(links.invalid(pvd, PVD, "GetConfigurationData", &("bootp", "mtu")).await.contains("bootp"));
        let (name, _) = links.refused(pvd, PVD, "GetConfigurationData", &("static", "colour")).await;
        assert!(name.ends_with(".InvalidArgs") || name.ends_with(".NoConfigurationData"), "{name}");
        links.is_as_before(&before).await;
    });
}

#[test]
fn shell_tools_get_errors_in_words() {
    universe::run(async |universe| {
        let links = TwoLinks::start(&universe).await;
        let pvd = links.pvds[0].as_str();
        let busctl = |arguments: &[&str]| {
            universe
                .host()
                .try_run("busctl", [&["--system", "call", "org.ietf.Mif1"][..], arguments].concat())
        };
        let port = |port: &str| busctl(&[pvd, PVD, "ConnectToAddress", "sqa{sv}", "192.0.1.1", port, "0"]);
        let said = port("70000");
        assert_ne!(said.code, 0);
        assert!(said.stderr.contains("70000"), "busctl itself knows: {said:?}");
        let said = port("0");
        assert!(said.code != 0 && said.stderr.contains("1 to 65535"), "{said:?}");
        let said = busctl(&[pvd, PVD, "TranslateName", "sa{sv}", "x.test", "1", "colour", "s", "green"]);
        assert!(said.code != 0 && said.stderr.contains("colour"), "{said:?}");
        let said = busctl(&["/org/ietf/Mif1/pvd/0", PVD, "TranslateName", "sa{sv}", "x.test", "0"]);
        assert!(said.code != 0 && said.stderr.contains("/org/ietf/Mif1/pvd/0"), "{said:?}");
        let words = ["call", "--system", "--dest", "org.ietf.Mif1", "--object-path", ROOT, "--method"];
        let create = format!("{MANAGER}.CreateSubscriber");
        let said = universe.host().try_run("gdbus", [&words[..], &[create.as_str(), "a b", "{}"]].concat());
        assert!(said.stderr.contains(INVALID) && said.stderr.contains("a b"), "{said:?}");
    });
}

/// A Router Advertisement with a prefix that is not to be seen anywhere.
fn bad() -> RouterAdvertisement {
    RouterAdvertisement::new(1800)
        .prefix("2001:db8:bad::", 64, 600, 300)
        .dns_servers(600, &["2001:db8:bad::53"])
}

#[test]
fn bad_router_advertisements_are_ignored_with_one_line_a_kind() {
    universe::run(async |universe| {
        let links = TwoLinks::start(&universe).await;
        let before = links.host.state().await;
        let router = links.first.far();
        let sender = RawSender::on(router);
        let with = |at: usize, value: u8| {
            let mut bytes = bad().bytes().to_vec();
            bytes[at] = value;
            bytes
        };
        for _ in 0..3 {
            RawSender::on(router).hop_limit(254).send(bad().bytes());
            RawSender::on(router).hop_limit(0).send(bad().bytes());
            RawSender::on(router).source("2001:db8::9").send(bad().bytes());
            RawSender::on(router).source("::").send(bad().bytes());
            RawSender::on(router).wrong_checksum().send(bad().bytes());
            sender.send(&with(1, 1)); // code 1
            sender.send(&with(17, 0)); // an option of length 0
            sender.send(&with(17, 255)); // an option that is longer than the message
            for length in [4, 8, 15, 17] {
                sender.send(&bad().bytes()[..length]);
            }
        }
        tally::bad_inputs(3 * (8 + 4));
        // As large as a jumbo frame carries, and good: more options than are kept.
        for end in [links.first.near(), links.first.far()] {
            end.node().ip(&format!("link set dev {} mtu 9000", end.name()));
        }
        let mut large = RouterAdvertisement::new(1800);
        for number in 0..150 {
            large = large.prefix(&format!("2001:db8:1:{number:x}::"), 64, 600, 300).route(
                &format!("2001:db8:2:{number:x}::"),
                64,
                0,
                600,
            );
        }
        sender.send(large.bytes());
        let state = eventually("the PvD of the good advertisement", async || {
            let state = links.host.state().await;
            match state.pvds().filter(|pvd| pvd.family == Family::Ipv6 && !pvd.addresses.is_empty()).count() {
                1 => Ok(state),
                count => Err(format!("{count} of them: {state:#?}")),
            }
        })
        .await;
        let text = format!("{state:?}");
        assert!(!text.contains("2001:db8:bad:"), "{text}");
        // What was there is there still, but for the settings of the jumbo frame.
        for pvd in before.pvds() {
            assert!(
                state.pvds().any(|now| now.path == pvd.path && now.addresses == pvd.addresses),
                "{state:#?}"
            );
        }
        let ignored = links.lines("is ignored");
        assert!((2..=3).contains(&ignored.len()), "hop limit, source, malformed: {ignored:#?}");
        let unalike = |word: &str| ignored.iter().filter(|line| line.contains(word)).count();
        assert_eq!(unalike("hop limit"), 1, "{ignored:#?}");
        assert_eq!(unalike("source"), 1, "{ignored:#?}");
        assert!(links.lines("WARN").len() <= 6, "{:#?}", links.lines("WARN"));
    });
}

fn resident_kilobytes(mifd: &Mifd) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mifd.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_flood_of_routers_on_one_link_costs_the_others_nothing() {
    const ADVERTISEMENTS: u32 = 5_000;
    // The kernel keeps at most 1,024 neighbours for all namespaces of the machine together: the other
    // universes need some.
    const ROUTERS: u32 = 300;
    universe::run(async |universe| {
        let links = TwoLinks::start(&universe).await;
        let router = links.first.far();
        // It would hear itself, and believe it.
        router.node().set("net/ipv6/conf/lan/accept_ra", "0");
        let good = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 600, 300);
        RawSender::on(router).send(good.bytes());
        let [good] = links.host.pvds(["eth1"], Family::Ipv6, false).await;
        let before = resident_kilobytes(&links.host.mifd);

        let flood = tokio::task::spawn_blocking({
            let mut sender = RawSender::on(router);
            move || {
                for number in 0..ADVERTISEMENTS {
                    let message = RouterAdvertisement::new(1800)
                        .prefix(&format!("2001:db8:f:{number:x}::"), 64, 600, 300)
                        .dns_servers(600, &[&format!("2001:db8:f:{number:x}::53")]);
                    sender = sender.source(&format!("fe80::f:{:x}", number % ROUTERS));
                    sender.send(message.bytes());
                }
            }
        });
        let mut slowest = Duration::ZERO;
        let mut calls = 0;
        while !flood.is_finished() || calls < 50 {
            let since = Instant::now();
            let state = links.host.state().await;
            slowest = slowest.max(since.elapsed());
            calls += 1;
            let other: Vec<_> = state.pvds().filter(|pvd| pvd.path == links.pvds[1]).collect();
            assert_eq!(other.len(), 1, "{state:#?}");
            assert_eq!(other[0].addresses.len(), 1);
            for interface in &state.interfaces {
                assert!(interface.pvds.len() <= 32, "{} on {}", interface.pvds.len(), interface.name);
            }
        }
        flood.await.unwrap();
        tally::faults(ADVERTISEMENTS as usize);
        assert!(slowest < Duration::from_secs(3), "{slowest:?} for one of {calls} calls");
        let state = links.host.state().await;
        let interface = state.interfaces.iter().find(|interface| interface.name == "eth1").unwrap();
        assert!(interface.pvds.len() > 10, "the flood was heard at all: {}", interface.pvds.len());
        let kept = interface.pvds.iter().find(|pvd| pvd.path == good).expect("a PvD with an address stays");
        assert!(!kept.addresses.is_empty());
        let grown = resident_kilobytes(&links.host.mifd).saturating_sub(before);
        assert!(grown < 50 << 10, "grown by {grown} KiB");
        let warnings = links.lines("WARN");
        assert!((1..=8).contains(&warnings.len()), "{warnings:#?}");
        assert!(links.host.mifd.process().exit_status().is_none());
    });
}

/// Starts mifd as it is not to be started: how it ended, and what it said.
async fn started(settings: MifdSettings) -> (Option<i32>, String) {
    tally::bad_inputs(1);
    let process = settings.spawn();
    let status = process.ended().await;
    (status.code(), process.log())
}

#[test]
fn a_wrong_configuration_is_placed_and_corrected() {
    universe::run(async |universe| {
        let bus = Bus::start(&universe).await;
        let settings = || MifdSettings::new(&universe, &bus);
        let cases = [
            ("[interfaces]\ngrace = 5\n", "mifd.toml:2:1: ", "\"grace-ms\""),
            ("log = \"info\"\n\n[interface]\n", "mifd.toml:3:2: ", "interfaces"),
            ("log = \"loud\"\n", "mifd.toml:1:7: ", "\"error\", \"warn\", \"info\""),
            ("[interfaces]\ngrace-ms = \"soon\"\n", "mifd.toml:2:12: ", "whole milliseconds"),
            ("[interfaces]\ngrace-ms = -1\n", "mifd.toml:2:12: ", "from 0 to 60000"),
            ("log = \"info\"\nlog\n", "mifd.toml:2:", ""),
        ];
        for (text, place, advice) in cases {
            let (code, said) = started(settings().config(text)).await;
            assert_eq!(code, Some(78), "{text:?}: {said}");
            assert!(
                said.starts_with("mifd: ") && said.contains(place) && said.contains(advice),
                "{text:?}: {said}"
            );
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        let (code, said) = started(settings().argument("--config=/nonexistent/mifd.toml")).await;
        assert_eq!(code, Some(78));
        assert!(said.contains("/nonexistent/mifd.toml: No such file"), "{said}");
        // A good one, with the same keys, is good.
        let mifd = settings().config("log = \"warn\"\n\n[interfaces]\ngrace-ms = 10\n").start().await;
        assert!(mifd.terminate().await.success());
    });
}

#[test]
fn a_start_that_cannot_be_says_why() {
    universe::run(async |universe| {
        let run = async |arguments: &[&str]| -> Output {
            let mut command = Command::new(program("mifd"));
            command.args(arguments);
            output(command).await
        };
        let help = run(&["--help"]).await;
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("--config") && help.stderr.is_empty(), "{help:?}");
        for wrong in
            [&["--colour"][..], &["serve"], &["--log", "loud"], &["--session", "--bus", "unix:path=/b"]]
        {
            let said = run(wrong).await;
            tally::bad_inputs(1);
            assert_eq!(said.code, 2, "{said:?}");
            assert!(said.stderr.contains(wrong[0]) && said.stderr.contains("--help"), "{said:?}");
        }
        let no_bus = run(&["--bus", "unix:path=/nonexistent/bus"]).await;
        assert_eq!(no_bus.code, 1);
        assert!(no_bus.stderr.contains("unix:path=/nonexistent/bus"), "{no_bus:?}");
        let no_bus = run(&[]).await;
        assert_eq!(no_bus.code, 1);
        assert!(no_bus.stderr.contains("the system bus"), "{no_bus:?}");

        let bus = Bus::start(&universe).await;
        let mut command = tool::command("setpriv");
        command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]).arg(program("mifd"));
        let unable = output(command).await;
        assert_eq!(unable.code, 1);
        assert!(unable.stderr.contains("CAP_NET_RAW is missing"), "{unable:?}");

        let mifd = Mifd::start(&universe, &bus).await;
        let (code, said) = started(MifdSettings::new(&universe, &bus)).await;
        assert_eq!(code, Some(1));
        assert!(said.contains("another service owns org.ietf.Mif1"), "{said}");
        assert!(mifd.process().exit_status().is_none(), "the first one stays");
    });
}
