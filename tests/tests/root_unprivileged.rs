//! mifd as the package runs it: a user of its own with four capabilities, and clients of several uids.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use mif::wire::Family;
use mif::{
    ConnectRequest, ErrorKind, Message, State, Subscriber, TranslateOptions, connect_to_address,
    translate_name,
};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, program};
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::process::{Output, output};
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::topology::{SHARED_NAME, SHARED_V4, TwoIsps};
use mif_tests::user::{MEMBER, ORDINARY_USER, SERVICE_USER, as_member, as_visitor, connect_as, uid_of};
use mif_tests::wait::{DEADLINE, completes, eventually};
use mif_tests::{tool, universe};
use zbus::{Connection, OwnedObjectPath};

/// The bits of CAP_CHOWN, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW.
const FOUR: u64 = 1 | 1 << 10 | 1 << 12 | 1 << 13;

fn mifctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("mifctl"));
    command.args(arguments);
    command
}

fn to_server() -> ConnectRequest {
    ConnectRequest::new(SHARED_V4.into(), ECHO_PORT)
}

/// The uid of a connected socket in the kernel's table, which `ss -e` and `ip rule uidrange` go by too.
fn uid_in_table(socket: &OwnedFd) -> u32 {
    let port = socket2::SockRef::from(socket).local_addr().unwrap().as_socket().unwrap().port();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let line =
        table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|it| it.ends_with(&local)));
    line.unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

fn greeting(socket: OwnedFd) -> Greeting {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    Greeting::read(&stream).unwrap()
}

#[test]
fn a_service_with_four_capabilities_does_the_whole_job() {
    universe::run_as_root(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let status = fs::read_to_string(format!("/proc/{}/status", host.mifd.process().pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(field("Uid:"), vec![uid_of(SERVICE_USER).to_string(); 4]);
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(u64::from_str_radix(&field(set)[0], 16).unwrap(), FOUR, "{set}");
        }

        // Leases through dhcpcd's control sockets, advertisements from the wire.
        let links = [isps.first.link(), isps.second.link()];
        host.pvds(links, Family::Ipv6, true).await;
        let pvds = host.pvds(links, Family::Ipv4, true).await;
        for (pvd, isp) in pvds.iter().zip([&isps.first, &isps.second]) {
            let options = TranslateOptions::default();
            let answer = translate_name(&host.connection, pvd, SHARED_NAME, &options).await.unwrap();
            assert!(answer.answers.iter().any(|it| it.address == isp.server_v4()), "{answer:?}");
            let connected = connect_to_address(&host.connection, pvd, &to_server()).await.unwrap();
            // The service is another user, and the socket is the caller's.
            assert_eq!(nix::sys::stat::fstat(connected.socket.as_fd()).unwrap().st_uid, 0);
            assert_eq!(uid_in_table(&connected.socket), 0);
            assert_eq!(greeting(connected.socket).server, isp.node().name());
        }
    });
}

#[test]
fn without_polkit_the_group_may_connect_and_others_may_look() {
    universe::run_as_root(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let [pvd, _] = host.pvds([isps.first.link(), isps.second.link()], Family::Ipv4, true).await;

        let member = connect_as(&host.bus, MEMBER).await;
        let connected = connect_to_address(&member, &pvd, &to_server()).await.unwrap();
        let uid = uid_of(MEMBER).as_raw();
        assert_eq!(nix::sys::stat::fstat(connected.socket.as_fd()).unwrap().st_uid, uid);
        assert_eq!(uid_in_table(&connected.socket), uid);
        greeting(connected.socket);
        // Nor may the service's own user.
        let own = connect_as(&host.bus, SERVICE_USER).await;
        let (kind, text) = refusal(connect_to_address(&own, &pvd, &to_server()).await);
        assert!(kind == ErrorKind::AccessDenied && text.contains("group mif"), "{kind:?} {text}");

        let visitor = connect_as(&host.bus, ORDINARY_USER).await;
        visitor_may_look(&visitor, &pvd).await;
        let (kind, text) = refusal(connect_to_address(&visitor, &pvd, &to_server()).await);
        assert_eq!(kind, ErrorKind::AccessDenied);
        assert!(text.contains(&uid_of(ORDINARY_USER).to_string()), "{text}");
        // Accepted first, then refused, on the message face.
        let (subscriber, mut messages) = Subscriber::create(&visitor, "visits").await.unwrap();
        subscriber.connect_to_address(5, &pvd, &to_server()).await.unwrap();
        let message = next(&mut messages).await;
        let Message::NotConnected { connection_id: 5, error, .. } = message else { panic!("{message:?}") };
        assert_eq!(error.kind(), Some(ErrorKind::NotAuthorized));
        // The subscribers of others are not for it, and its own is not for root.
        let (theirs, _messages) = Subscriber::create(&host.connection, "theirs").await.unwrap();
        for (connection, path) in [(&visitor, theirs.path()), (&host.connection, subscriber.path())] {
            let call = connection.call_method(
                Some("org.ietf.Mif1"),
                path.clone(),
                Some("org.ietf.Mif1.Subscriber"),
                "Close",
                &(),
            );
            let refused = completes("a refusal", call).await.map_err(mif::Error::from);
            assert_eq!(refusal(refused).0, ErrorKind::AccessDenied);
        }
    });
}

async fn visitor_may_look(visitor: &Connection, pvd: &OwnedObjectPath) {
    let state = State::read(visitor).await.unwrap();
    assert!(state.pvds().any(|known| known.path == *pvd), "{state:?}");
    let options = TranslateOptions::default();
    let translated = completes("a translation", translate_name(visitor, pvd, SHARED_NAME, &options)).await;
    assert_eq!(translated.unwrap().answers.len(), 2);
}

#[test]
fn programs_of_each_user_are_told_what_they_may() {
    universe::run_as_root(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        host.pvds([isps.first.link(), isps.second.link()], Family::Ipv4, true).await;
        let target = SHARED_V4.to_string();
        let connect = ["connect", "--pvd", "eth2", &target, "7"];
        let whose =
            [&connect[..], &["--", "stat", "--dereference", "--format=%u", "/proc/self/fd/3"]].concat();
        for (user, said) in
            [("root", output(mifctl(&whose)).await), (MEMBER, output(as_member(mifctl(&whose))).await)]
        {
            assert_eq!(said.stdout, format!("{}\n", uid_of(user)), "{said:?}");
        }
        let refused: Output = output(as_visitor(mifctl(&connect))).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (5, ""), "{refused:?}");
        assert!(refused.stderr.contains("may not connect"), "{refused:?}");
        assert!(refused.stderr.lines().count() > 1, "what to do next: {refused:?}");
        for words in [&["status"][..], &["translate", SHARED_NAME, "--pvd", "eth2"]] {
            let said = output(as_visitor(mifctl(words))).await;
            assert!(said.code == 0 && said.stdout.contains("implicit:eth2:ipv4"), "{said:?}");
        }
    });
}

#[test]
fn a_socket_that_cannot_be_given_to_its_user_never_leaves() {
    universe::run_as_root(async |universe| {
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        let rules = format!(
            "table ip count {{\n chain input {{\n type filter hook input priority 0\n \
             tcp dport {ECHO_PORT} tcp flags & (syn|ack) == syn counter\n }}\n }}"
        );
        server.run("nft", [rules]);
        // Without CAP_CHOWN.
        let bus = Bus::start(&universe).await;
        let mut command = tool::command("setpriv");
        command.args(["--reuid", SERVICE_USER, "--regid", SERVICE_USER, "--clear-groups"]);
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.arg(format!("{set}=-all,+net_admin,+net_raw"));
        }
        command.arg("--").arg(program("mifd"));
        let mifd = universe.host().spawn("mifd", command);
        let connection = bus.connect().await;
        let pvd = eventually("the PvD of eth1", async || {
            let state = State::read(&connection).await.map_err(|error| error.to_string())?;
            let found = state.pvds().find(|pvd| pvd.id == "implicit:eth1:ipv4").map(|pvd| pvd.path.clone());
            found.ok_or_else(|| format!("{state:?}"))
        })
        .await;
        let request = ConnectRequest::new("192.0.2.1".parse().unwrap(), ECHO_PORT);
        let refused = completes("a refusal", connect_to_address(&connection, &pvd, &request)).await;
        let (_, text) = refusal(refused);
        assert!(text.contains("192.0.2.1"), "{text}");
        assert!(mifd.log().contains("is CAP_CHOWN missing?"), "{}", mifd.log());
        let counted = server.run("nft", ["list", "table", "ip", "count"]);
        assert!(counted.contains("packets 0 "), "no packet under another name: {counted}");
    });
}
