//! Wrong calls: the error names of the contract, and messages that name the value that was wrong.

use crate::rig::{
    ETH0, HIGH_LEVEL, INTERFACE, MANAGER, OBJECT_MANAGER, PEER, PROPERTIES, PVD, ROOT, Rig, SUBSCRIBER,
};
use crate::rig::{call, one_link, options, path, with_service};
use crate::support::bad_inputs;
use serde::Serialize;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use zbus::Variant;
use zbus::wire::DynamicType;

const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
const UNKNOWN_INTERFACE: &str = "org.freedesktop.DBus.Error.UnknownInterface";
const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";
const UNKNOWN_PROPERTY: &str = "org.freedesktop.DBus.Error.UnknownProperty";
const READ_ONLY: &str = "org.freedesktop.DBus.Error.PropertyReadOnly";
const NO_SUCH_PVD: &str = "org.ietf.Mif1.Error.NoSuchPvd";
const NO_SUCH_INTERFACE: &str = "org.ietf.Mif1.Error.NoSuchInterface";

/// A service with one link, and paths on it.
struct Desk {
    rig: Rig,
    interface: String,
    pvd: String,
    subscriber: String,
}

impl Desk {
    /// The call must fail with this error, whose message names all of `words`.
    async fn refuses<B>(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
        right: (&str, &[&str]),
    ) where
        B: Serialize + DynamicType,
    {
        let shown = format!("{path} {interface}.{member}");
        bad_inputs(1);
        let (name, message) = match self.rig.call(path, interface, member, body).await {
            Err(error) => error,
            Ok(reply) => panic!("{shown} succeeds: {reply:?}"),
        };
        assert_eq!(name, right.0, "{shown}: {message}");
        for word in right.1 {
            assert!(message.contains(word), "{shown}: \"{message}\" does not say {word}");
        }
    }
}

fn with_desk<F: Future<Output = ()>>(test: impl FnOnce(Desk) -> F) {
    with_service(one_link(), |mut rig| async move {
        let interface = rig.interface(ETH0).await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let subscriber = rig.subscribe("desk").await;
        test(Desk { rig, interface, pvd, subscriber }).await;
    });
}

#[test]
fn unknown_paths() {
    with_desk(|mut desk| async move {
        let root = format!("{ROOT}/interface/1001/x");
        for path in [
            "/org/ietf/Mif2",
            "/org/freedesktop/DBus",
            "/org/ietf/Mif1/",
            "/org/ietf/Mif1/interface/99999",
            "/org/ietf/Mif1/interface/01001",
            "/org/ietf/Mif1/pvd/184467440737095516160",
            "/org/ietf/Mif1/interfaces/1",
            root.as_str(),
        ]
        .into_iter()
        .filter(|path| zbus::ObjectPath::try_from(*path).is_ok())
        {
            desk.refuses(path, PROPERTIES, "GetAll", &"", (UNKNOWN_OBJECT, &[path])).await;
            // It does not matter which path a Ping is sent to.
            desk.rig.call(path, PEER, "Ping", &()).await.unwrap();
            desk.refuses(path, "", "Anything", &(), (UNKNOWN_OBJECT, &[path])).await;
        }
        desk.refuses("/org/ietf/Mif1/pvd", PVD, "GetAllConfigurationData", &"any", (UNKNOWN_OBJECT, &[]))
            .await;
    });
}

#[test]
fn unknown_interfaces_and_methods() {
    with_desk(|mut desk| async move {
        let (interface, pvd, subscriber) =
            (desk.interface.clone(), desk.pvd.clone(), desk.subscriber.clone());
        for (path, own) in
            [(ROOT, MANAGER), (&*interface, INTERFACE), (&*pvd, PVD), (&*subscriber, SUBSCRIBER)]
        {
            desk.refuses(path, own, "Fly", &(), (UNKNOWN_METHOD, &["Fly"])).await;
            desk.refuses(path, "", "Fly", &(), (UNKNOWN_METHOD, &["Fly"])).await;
            desk.refuses(path, PROPERTIES, "Fly", &(), (UNKNOWN_METHOD, &["Fly"])).await;
            desk.refuses(path, "org.example.Bird", "Fly", &(), (UNKNOWN_INTERFACE, &["org.example.Bird"]))
                .await;
        }
        desk.refuses(&pvd, MANAGER, "CreateSubscriber", &(), (UNKNOWN_INTERFACE, &[MANAGER])).await;
        desk.refuses(&pvd, OBJECT_MANAGER, "GetManagedObjects", &(), (UNKNOWN_INTERFACE, &[])).await;
        desk.refuses(&pvd, "", "GetManagedObjects", &(), (UNKNOWN_METHOD, &[])).await;
        desk.refuses(ROOT, SUBSCRIBER, "Close", &(), (UNKNOWN_INTERFACE, &[SUBSCRIBER])).await;
    });
}

#[test]
fn properties_are_read_only() {
    with_desk(|mut desk| async move {
        let (interface, pvd, subscriber) =
            (desk.interface.clone(), desk.pvd.clone(), desk.subscriber.clone());
        let one = || Variant::from(1_u32);
        for (path, own, name) in
            [(ROOT, MANAGER, "Version"), (&*interface, INTERFACE, "Name"), (&*pvd, PVD, "Id")]
        {
            desk.refuses(path, PROPERTIES, "Set", &(own, name, one()), (READ_ONLY, &[name])).await;
            desk.refuses(path, PROPERTIES, "Set", &(own, "Soul", one()), (UNKNOWN_PROPERTY, &["Soul"])).await;
            desk.refuses(path, PROPERTIES, "Get", &(own, "Soul"), (UNKNOWN_PROPERTY, &["Soul"])).await;
            desk.refuses(path, PROPERTIES, "GetAll", &"org.example.Bird", (UNKNOWN_INTERFACE, &[])).await;
            desk.refuses(path, PROPERTIES, "GetAll", &(), (INVALID, &["GetAll", "\"s\"", "\"\""])).await;
            desk.refuses(path, PROPERTIES, "Get", &own, (INVALID, &["\"ss\""])).await;
        }
        desk.refuses(&subscriber, PROPERTIES, "Get", &(SUBSCRIBER, "Soul"), (UNKNOWN_PROPERTY, &["Soul"]))
            .await;
        let set = (SUBSCRIBER, "Soul", one());
        desk.refuses(&subscriber, PROPERTIES, "Set", &set, (UNKNOWN_PROPERTY, &["Soul"])).await;
    });
}

#[test]
fn methods_are_found_without_an_interface() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        desk.rig.call(ROOT, "", "GetInterfaceByIndex", &ETH0).await.unwrap();
        desk.rig.call(ROOT, "", "GetManagedObjects", &()).await.unwrap();
        desk.rig.call(ROOT, "", "Introspect", &()).await.unwrap();
        desk.rig.call(&pvd, "", "GetAllConfigurationData", &"any").await.unwrap();
        desk.rig.call(&pvd, "", "Get", &(PVD, "Id")).await.unwrap();
        desk.rig.call(&subscriber, "", "AnnounceInterfaces", &()).await.unwrap();
        desk.rig.call(&subscriber, "", "GetAll", &SUBSCRIBER).await.unwrap();
        let right = (UNKNOWN_INTERFACE, &["org.example.Bird"][..]);
        desk.refuses(&subscriber, PROPERTIES, "GetAll", &"org.example.Bird", right).await;
        desk.rig.call(&subscriber, "", "Introspect", &()).await.unwrap();
    });
}

#[test]
fn wrong_signatures() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        let both = |right: &'static str, given: &'static str| (INVALID, [right, given]);
        for (path, interface, member, right) in [
            (ROOT, MANAGER, "CreateSubscriber", "sa{sv}"),
            (ROOT, MANAGER, "GetInterfaceByIndex", "u"),
            (ROOT, MANAGER, "GetInterfaceByName", "s"),
            (ROOT, MANAGER, "GetProvisioningDomainsById", "s"),
            (ROOT, MANAGER, "GetProvisioningDomainsByAddress", "s"),
            (&*pvd, PVD, "GetConfigurationData", "ss"),
            (&*pvd, PVD, "GetAllConfigurationData", "s"),
            (&*pvd, PVD, "TranslateName", "sa{sv}"),
            (&*pvd, PVD, "ConnectToAddress", "sqa{sv}"),
            (&*pvd, PVD, "Explain", "sa{sv}"),
            (&*subscriber, SUBSCRIBER, "AnnounceProvisioningDomains", "o"),
            (&*subscriber, SUBSCRIBER, "StopAnnouncingProvisioningDomains", "o"),
            (&*subscriber, SUBSCRIBER, "AnnounceConfigurationElements", "o"),
            (&*subscriber, SUBSCRIBER, "StopAnnouncingConfigurationElements", "o"),
            (&*subscriber, SUBSCRIBER, "AnnounceAddresses", "o"),
            (&*subscriber, SUBSCRIBER, "StopAnnouncingAddresses", "o"),
            (&*subscriber, SUBSCRIBER, "GetConfigurationData", "oss"),
            (&*subscriber, SUBSCRIBER, "TranslateName", "uosa{sv}"),
            (&*subscriber, SUBSCRIBER, "StopTranslatingName", "u"),
            (&*subscriber, SUBSCRIBER, "ConnectToAddress", "uosqa{sv}"),
            (&*subscriber, SUBSCRIBER, "ConnectToAddressFromAddress", "uossqa{sv}"),
            (&*subscriber, SUBSCRIBER, "TakeConnection", "u"),
            (&*subscriber, SUBSCRIBER, "CancelConnection", "u"),
        ] {
            let (name, words) = both(right, "bd");
            let words = [member, &format!("\"{}\"", words[0]), &format!("\"{}\"", words[1])];
            desk.refuses(path, interface, member, &(true, 0.5_f64), (name, &words)).await;
            desk.refuses(path, interface, member, &(), (INVALID, &[&format!("\"{right}\"")])).await;
        }
        for (path, interface, member) in [
            (ROOT, OBJECT_MANAGER, "GetManagedObjects"),
            (ROOT, "org.freedesktop.DBus.Peer", "Ping"),
            (ROOT, "org.freedesktop.DBus.Introspectable", "Introspect"),
            (&*subscriber, SUBSCRIBER, "AnnounceInterfaces"),
            (&*subscriber, SUBSCRIBER, "StopAnnouncingInterfaces"),
            (&*subscriber, SUBSCRIBER, "Close"),
        ] {
            desk.refuses(path, interface, member, &1_u32, (INVALID, &[member, "no arguments", "\"u\""]))
                .await;
        }
    });
}

#[test]
fn tokens() {
    with_desk(|mut desk| async move {
        let none = || options::<u32>(&[]);
        let long = "x".repeat(65);
        for token in ["", "a/b", "a-b", "ü", "a b", "a.b", "../x", "x\n", &long] {
            let body = (token, none());
            let shown = token.replace('\n', "\\010");
            desk.refuses(ROOT, MANAGER, "CreateSubscriber", &body, (INVALID, &[&shown, "64"])).await;
        }
        let body = ("desk", none());
        desk.refuses(ROOT, MANAGER, "CreateSubscriber", &body, ("org.ietf.Mif1.Error.TokenInUse", &["desk"]))
            .await;
        let longest = "x".repeat(64);
        assert_eq!(desk.rig.subscribe(&longest).await, format!("/org/ietf/Mif1Subscriber/peer/{longest}"));
        let body = ("other", options(&[("priority", 1_u32)]));
        desk.refuses(ROOT, MANAGER, "CreateSubscriber", &body, (INVALID, &["priority"])).await;
    });
}

#[test]
fn addresses_ports_and_options_of_connections() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        let none = || options::<u32>(&[]);
        for (address, port, given, words) in [
            ("fe80::1%eth0", 80, none(), vec!["fe80::1%eth0", "zone"]),
            ("192.0.2.300", 80, none(), vec!["192.0.2.300"]),
            ("", 80, none(), vec!["\"\""]),
            ("example.org", 80, none(), vec!["example.org"]),
            ("198.51.100.1", 0, none(), vec!["port 0"]),
            ("127.0.0.1", 80, none(), vec!["127.0.0.1", "loopback"]),
            ("::1", 80, none(), vec!["::1", "loopback"]),
            ("0.0.0.0", 80, none(), vec!["0.0.0.0", "unspecified"]),
            ("224.0.0.1", 80, none(), vec!["224.0.0.1", "multicast"]),
            ("255.255.255.255", 80, none(), vec!["broadcast"]),
            ("192.0.2.255", 80, none(), vec!["192.0.2.255", "broadcast"]),
            ("::ffff:192.0.2.1", 80, none(), vec!["192.0.2.1"]),
            ("192.0.2.1", 80, none(), vec!["192.0.2.1", "this host"]),
            ("198.51.100.1", 80, options(&[("timeout", 0_u32)]), vec!["timeout 0", "120000"]),
            ("198.51.100.1", 80, options(&[("timeout", 120_001_u32)]), vec!["120001"]),
            ("198.51.100.1", 80, options(&[("timeout", "soon")]), vec!["timeout", "\"u\"", "\"s\""]),
            ("198.51.100.1", 80, options(&[("timeout", -1_i32)]), vec!["timeout", "\"i\""]),
            ("198.51.100.1", 80, options(&[("protocol", "sctp")]), vec!["protocol", "sctp", "mptcp"]),
            ("198.51.100.1", 80, options(&[("protocol", 6_u32)]), vec!["protocol", "\"s\""]),
            ("198.51.100.1", 80, options(&[("prot\u{7}col", "tcp")]), vec!["prot\\007col", "timeout"]),
        ] {
            let body = (address, port as u16, given);
            desk.refuses(&pvd, PVD, "ConnectToAddress", &body, (INVALID, &words)).await;
            let (address, port, given) = body;
            let body = (1_u32, path(&pvd), address, port, given);
            desk.refuses(&subscriber, SUBSCRIBER, "ConnectToAddress", &body, (INVALID, &words)).await;
            let (id, object, address, port, given) = body;
            let body = (id, object, "192.0.2.1", address, port, given);
            desk.refuses(&subscriber, SUBSCRIBER, "ConnectToAddressFromAddress", &body, (INVALID, &words))
                .await;
        }
        let zone = options(&[("source", "192.0.2.1%eth0")]);
        let body = ("198.51.100.1", 80_u16, zone);
        desk.refuses(&pvd, PVD, "ConnectToAddress", &body, (INVALID, &["source", "192.0.2.1%eth0"])).await;
        let source = options(&[("source", "192.0.2.1")]);
        let body = (1_u32, path(&pvd), "198.51.100.1", 80_u16, source);
        desk.refuses(&subscriber, SUBSCRIBER, "ConnectToAddress", &body, (INVALID, &["source"])).await;
    });
}

#[test]
fn refusals_of_the_state_face() {
    with_desk(|mut desk| async move {
        let pvd = desk.pvd.clone();
        let connect = |address, source: Option<&'static str>| {
            (
                address,
                80_u16,
                options(&source.map(|source| ("source", source)).into_iter().collect::<Vec<_>>()),
            )
        };
        let error = |name: &str| format!("org.ietf.Mif1.Error.{name}");
        let body = connect("2001:db8::1", None);
        let right = error("NetworkUnreachable");
        desk.refuses(&pvd, PVD, "ConnectToAddress", &body, (&right, &["implicit:eth0:ipv4", "IPv6"])).await;
        let body = connect("198.51.100.1", Some("192.0.2.99"));
        let right = error("SourceNotValid");
        desk.refuses(&pvd, PVD, "ConnectToAddress", &body, (&right, &["192.0.2.99"])).await;
        let body = ("www.invalid", options::<u32>(&[]));
        desk.refuses(&pvd, PVD, "TranslateName", &body, (&error("NameNotFound"), &["www.invalid"])).await;
        let body = ("192.0.2.7", options(&[("family", "ipv6")]));
        desk.refuses(&pvd, PVD, "TranslateName", &body, (&error("NoAddress"), &["192.0.2.7"])).await;
        let not_supported = "org.freedesktop.DBus.Error.NotSupported";
        let body = ("printer.example", options(&[("systems", vec!["mdns"])]));
        desk.refuses(&pvd, PVD, "TranslateName", &body, (not_supported, &["mdns"])).await;
    });
}

#[test]
fn names_and_options_of_translations() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        let none = || options::<u32>(&[]);
        for (name, given, words) in [
            ("", none(), vec!["\"\"", "empty"]),
            ("a..b", none(), vec!["a..b"]),
            ("fe80::1%2", none(), vec!["fe80::1%2", "zone"]),
            ("bad\u{1}name.example", none(), vec!["bad\\001name.example"]),
            ("www.example", options(&[("timeout", 0_u32)]), vec!["timeout 0"]),
            ("www.example", options(&[("timeout", true)]), vec!["timeout", "\"u\"", "\"b\""]),
            ("www.example", options(&[("family", "ipv5")]), vec!["family", "ipv5", "ipv4"]),
            ("www.example", options(&[("systems", Vec::<String>::new())]), vec!["systems", "empty"]),
            ("www.example", options(&[("systems", vec!["telepathy"])]), vec!["systems", "telepathy", "dns"]),
            ("www.example", options(&[("systems", "dns")]), vec!["systems", "\"as\"", "\"s\""]),
            ("www.example", options(&[("mode", "fast")]), vec!["mode", "family", "timeout", "systems"]),
        ] {
            let body = (name, given);
            desk.refuses(&pvd, PVD, "TranslateName", &body, (INVALID, &words)).await;
            let body = (1_u32, path(&pvd), body.0, body.1);
            desk.refuses(&subscriber, SUBSCRIBER, "TranslateName", &body, (INVALID, &words)).await;
        }
    });
}

#[test]
fn names_have_a_limit() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        let none = || options::<u32>(&[]);
        let long = "a.".repeat(513);
        let right = ("org.freedesktop.DBus.Error.LimitsExceeded", &["1026", "1024"][..]);
        let body = (long.as_str(), none());
        desk.refuses(&pvd, PVD, "TranslateName", &body, right).await;
        let body = (1_u32, path(&pvd), long.as_str(), none());
        desk.refuses(&subscriber, SUBSCRIBER, "TranslateName", &body, right).await;
        let body = (long.as_str(), 80_u16, none());
        desk.refuses(ROOT, HIGH_LEVEL, "ConnectToName", &body, right).await;
        let body = ("www.example", 80_u16, options(&[("require", vec![long.as_str()])]));
        desk.refuses(ROOT, HIGH_LEVEL, "ConnectToName", &body, right).await;
    });
}

#[test]
fn elements_and_identifiers() {
    with_desk(|mut desk| async move {
        let (pvd, subscriber) = (desk.pvd.clone(), desk.subscriber.clone());
        let body = ("carrier-pigeon", "mtu");
        desk.refuses(&pvd, PVD, "GetConfigurationData", &body, (INVALID, &["carrier-pigeon", "dhcpv6"]))
            .await;
        let body = ("any", "colour");
        desk.refuses(&pvd, PVD, "GetConfigurationData", &body, (INVALID, &["colour", "dns-servers"])).await;
        let right = (INVALID, &["carrier-pigeon"][..]);
        desk.refuses(&pvd, PVD, "GetAllConfigurationData", &"carrier-pigeon", right).await;
        let body = (path(&pvd), "any", "colour");
        desk.refuses(&subscriber, SUBSCRIBER, "GetConfigurationData", &body, (INVALID, &["colour"])).await;
        let body = (path(&pvd), "any", "mtu");
        let right = ("org.ietf.Mif1.Error.NoConfigurationData", &["mtu"][..]);
        desk.refuses(&subscriber, SUBSCRIBER, "GetConfigurationData", &body, right).await;
        let body = (path(&pvd), "any", "dns-servers");
        desk.rig.call(&subscriber, SUBSCRIBER, "GetConfigurationData", &body).await.unwrap();
    });
}

#[test]
fn paths_of_another_kind_or_of_nothing() {
    with_desk(|mut desk| async move {
        let (interface, pvd, subscriber) =
            (desk.interface.clone(), desk.pvd.clone(), desk.subscriber.clone());
        for wrong in [pvd.as_str(), "/", ROOT, "/org/ietf/Mif1/interface/7", "/x"] {
            let right = (NO_SUCH_INTERFACE, &[wrong.rsplit('/').next().unwrap()][..]);
            desk.refuses(&subscriber, SUBSCRIBER, "AnnounceProvisioningDomains", &path(wrong), right).await;
            let stop = "StopAnnouncingProvisioningDomains";
            desk.rig.call(&subscriber, SUBSCRIBER, stop, &path(wrong)).await.expect("a no-op");
        }
        for wrong in [interface.as_str(), "/", ROOT, "/org/ietf/Mif1/pvd/7", "/x"] {
            let right = (NO_SUCH_PVD, &[wrong.rsplit('/').next().unwrap()][..]);
            for topic in ["ConfigurationElements", "Addresses"] {
                desk.refuses(&subscriber, SUBSCRIBER, &format!("Announce{topic}"), &path(wrong), right).await;
                let stop = format!("StopAnnouncing{topic}");
                desk.rig.call(&subscriber, SUBSCRIBER, &stop, &path(wrong)).await.expect("a no-op");
            }
            let body = (path(wrong), "any", "mtu");
            desk.refuses(&subscriber, SUBSCRIBER, "GetConfigurationData", &body, right).await;
            let body = (1_u32, path(wrong), "www.example", options::<u32>(&[]));
            desk.refuses(&subscriber, SUBSCRIBER, "TranslateName", &body, right).await;
            let body = (1_u32, path(wrong), "198.51.100.1", 80_u16, options::<u32>(&[]));
            desk.refuses(&subscriber, SUBSCRIBER, "ConnectToAddress", &body, right).await;
        }
    });
}

#[test]
fn descriptors_that_nobody_asked_for() {
    with_desk(|mut desk| async move {
        let pvd = desk.pvd.clone();
        let (socket, mut other) = UnixStream::pair().unwrap();
        let socket = OwnedFd::from(socket);
        let body = (zbus::Fd::from(socket.as_fd()), options::<u32>(&[]));
        let message = call(&pvd, PVD, "BindSocket").build(&body).unwrap();
        let serial = desk.rig.send(&message).await;
        drop(message);
        let (name, text) = desk.rig.reply_to(serial).await.unwrap_err();
        assert_eq!(name, "org.ietf.Mif1.Error.SocketNotUsable");
        assert!(text.contains("AF_INET6"), "{text}");
        let message =
            call(ROOT, MANAGER, "GetInterfaceByName").build(&(zbus::Fd::from(socket.as_fd()),)).unwrap();
        let serial = desk.rig.send(&message).await;
        let (name, text) = desk.rig.reply_to(serial).await.unwrap_err();
        assert_eq!(name, INVALID);
        assert!(text.contains("GetInterfaceByName"), "{text}");
        drop(message);
        // Descriptors beside arguments that are right.
        let right = call(ROOT, MANAGER, "GetInterfaceByName").build(&"eth0").unwrap();
        let body = right.body();
        let descriptors = vec![zbus::OwnedFd::from(socket.try_clone().unwrap())];
        let message = call(ROOT, MANAGER, "GetInterfaceByName");
        // SAFETY: the body is one that zbus itself has written with this signature, and names no descriptor.
        let message = unsafe { message.build_raw_body(body.data().bytes(), "s", descriptors) }.unwrap();
        let serial = desk.rig.send(&message).await;
        assert_eq!(desk.rig.reply_to(serial).await.unwrap_err().0, INVALID);
        drop((socket, message));
        // Nobody keeps it: the other end sees the end.
        other.set_read_timeout(Some(crate::rig::DEADLINE)).unwrap();
        assert_eq!(std::io::Read::read(&mut other, &mut [0]).unwrap(), 0);
    });
}
