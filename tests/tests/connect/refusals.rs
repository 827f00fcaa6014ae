//! What is not connected, and why.

use super::*;

#[test]
fn failures_are_told_apart() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let pvd = &setting.first;
        let refused = setting.connect(pvd, &ConnectRequest { port: 1, ..to(SHARED_V4) }).await;
        assert_eq!(refusal(refused).0, ErrorKind::ConnectionRefused);
        let (kind, text) = refusal(setting.connect(pvd, &to(ip("203.0.113.250"))).await);
        assert_eq!(kind, ErrorKind::HostUnreachable, "{text}");

        let since = Instant::now();
        let hasty = ConnectRequest { timeout: Some(Duration::from_millis(300)), ..silent() };
        assert_eq!(refusal(setting.connect(pvd, &hasty).await).0, ErrorKind::TimedOut);
        let took = since.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");

        // Sources: of the other PvD, of nobody, of the other family.
        let other = setting.host.addresses(&setting.second).await[0];
        for source in [other, ip("192.0.2.250"), ip("2001:db8:1:1::1")] {
            let request = ConnectRequest { source: Some(source), ..to(SHARED_V4) };
            let (kind, text) = refusal(setting.connect(pvd, &request).await);
            assert_eq!(kind, ErrorKind::SourceNotValid);
            assert!(text.contains(&source.to_string()), "{text}");
        }
        let (kind, text) = refusal(setting.connect(pvd, &to(SHARED_V6)).await);
        assert_eq!(kind, ErrorKind::NetworkUnreachable);
        assert!(text.contains("IPv6"), "{text}");
    });
}

#[test]
fn what_cannot_be_connected_to_is_refused_in_words_before_any_packet() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let own = setting.host.addresses(&setting.first).await[0];
        let links = [setting.isps.first.link(), setting.isps.second.link()];
        let [v6_pvd, _] = setting.host.pvds(links, Family::Ipv6, true).await;
        let own_v6 = setting.host.addresses(&v6_pvd).await[0];
        let cases = [
            (&setting.first, own, "an address of this host"),
            (&setting.second, own, "an address of this host"),
            (&v6_pvd, own_v6, "an address of this host"),
            (&setting.first, ip("127.0.0.1"), "loopback"),
            (&v6_pvd, ip("::1"), "loopback"),
            (&setting.first, ip("0.0.0.0"), "unspecified"),
            (&v6_pvd, ip("::"), "unspecified"),
            (&setting.first, ip("224.0.0.1"), "multicast"),
            (&v6_pvd, ip("ff02::1"), "multicast"),
            (&setting.first, ip("255.255.255.255"), "broadcast"),
            (&setting.first, ip("192.0.2.255"), "broadcast"),
            (&v6_pvd, ip("::ffff:203.0.113.100"), "give 203.0.113.100"),
        ];
        let (subscriber, mut messages) = setting.subscriber("refused").await;
        for (pvd, address, told) in cases {
            let (kind, text) = refusal(setting.connect(pvd, &to(address)).await);
            assert_eq!(kind, ErrorKind::InvalidArgs, "{address}: {text}");
            assert!(text.contains(told) && text.contains(&address.to_string()), "{address}: {text}");
            // A wrong argument is refused at once on the other face too.
            let posted = subscriber.connect_to_address(1, pvd, &to(address)).await;
            assert_eq!(refusal(posted), (kind, text));
        }
        let (kind, text) =
            refusal(setting.connect(&setting.first, &ConnectRequest { port: 0, ..to(SHARED_V4) }).await);
        assert_eq!(kind, ErrorKind::InvalidArgs);
        assert!(text.contains("1 to 65535"), "{text}");
        for timeout in [Duration::ZERO, Duration::from_secs(121)] {
            let request = ConnectRequest { timeout: Some(timeout), ..to(SHARED_V4) };
            let (kind, text) = refusal(setting.connect(&setting.first, &request).await);
            assert_eq!(kind, ErrorKind::InvalidArgs);
            assert!(text.contains("120000"), "{text}");
        }
        // Nothing of all that was accepted: the id is free and no message came.
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        assert_eq!(counted(setting.isps.first.node()), [0, 1]);
        assert_eq!(counted(setting.isps.second.node()), [0, 0]);
    });
}

#[test]
fn without_a_reply_nothing_is_attempted() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let body = ("203.0.113.100", ECHO_PORT, std::collections::HashMap::<&str, zbus::Variant<'_>>::new());
        let call = zbus::Message::method_call(&setting.first, "ConnectToAddress")
            .destination("org.ietf.Mif1")
            .interface("org.ietf.Mif1.ProvisioningDomain")
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .build(&body)
            .unwrap();
        setting.host.connection.send(&call).await.unwrap();
        // One that wants its reply, behind it.
        let connected = setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap();
        greeting(connected.socket).await;
        assert_eq!(counted(setting.isps.first.node()), [0, 1]);
    });
}

#[test]
fn a_client_in_another_network_gets_no_packet_sent_though_it_is_root() {
    universe::run(async |universe| {
        // The service is elsewhere: it has the cable to the server, and this program has not.
        let (elsewhere, server) = (universe.node("elsewhere"), universe.node("server"));
        let cable = Cable::between(elsewhere.end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        filter(&server);
        let host = ServedHost::start_with(&universe, |settings| settings.on(&elsewhere)).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let name = "192.0.2.1";

        let connected = connect(&host.connection, &pvd, &to(ip(name))).await;
        assert_eq!(refusal(connected).0, ErrorKind::ForeignNamespace);
        let translated =
            mif::translate_name(&host.connection, &pvd, name, &TranslateOptions::default()).await;
        assert_eq!(refusal(translated).0, ErrorKind::ForeignNamespace);
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "foreign").await.unwrap();
        subscriber.connect_to_address(1, &pvd, &to(ip(name))).await.unwrap();
        assert_eq!(refusal(outcome(&mut messages, 1).await).0, ErrorKind::ForeignNamespace);
        subscriber.translate_name(1, &pvd, name, &TranslateOptions::default()).await.unwrap();
        let message = next(&mut messages).await;
        let Message::TranslationFinished { translation_id: 1, outcome, .. } = message else {
            panic!("{message:?}")
        };
        assert_eq!(refusal(outcome).0, ErrorKind::ForeignNamespace);
        assert_eq!(counted(&server), [0, 0]);

        // A program that lives with the service is served.
        let call = |method: &str, arguments: &[&str]| {
            let method = format!("org.ietf.Mif1.ProvisioningDomain.{method}");
            let words =
                ["call", "--system", "--dest=org.ietf.Mif1", "--object-path", &pvd, "--method", &method];
            elsewhere.run("gdbus", [&words[..], arguments].concat())
        };
        assert!(call("TranslateName", &[name, "{}"]).contains("literal"));
        call("ConnectToAddress", &[name, &ECHO_PORT.to_string(), "{}"]);
        assert_eq!(counted(&server), [0, 1]);
    });
}

/// Translates an address, moves to a network namespace of its own and does so again; says how each of them ended.
const MOVES: &str = "
import ctypes, os, sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
def translate():
    try:
        bus.call_sync('org.ietf.Mif1', sys.argv[1], 'org.ietf.Mif1.ProvisioningDomain', 'TranslateName',
                      GLib.Variant('(sa{sv})', ('192.0.2.1', {})), None, 0, 20000, None)
        return 'translated'
    except GLib.Error as error:
        return Gio.DBusError.get_remote_error(error)
before = translate()
CLONE_NEWNET = 0x40000000
if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
    sys.exit(os.strerror(ctypes.get_errno()))
print(before, translate())
";

#[test]
fn a_client_that_moves_to_another_network_is_refused_from_then_on() {
    universe::run(async |universe| {
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        let host = ServedHost::start(&universe).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let said = universe.host().run("python3", ["-c", MOVES, &pvd]);
        assert_eq!(said.trim(), "translated org.ietf.Mif1.Error.ForeignNamespace");
    });
}
