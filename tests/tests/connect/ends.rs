//! How connections end, and that nothing of them stays in the service.

use super::*;
use futures_util::{StreamExt, stream};

#[test]
fn what_is_cancelled_or_left_is_closed_in_silence() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let before = setting.host.descriptors();
        let (subscriber, mut messages) = setting.subscriber("cancels").await;
        subscriber.connect_to_address(1, &setting.first, &silent()).await.unwrap();
        setting.host.wait_for_descriptors(before + 1).await;
        assert_eq!(
            refusal(subscriber.take_connection(1).await).0,
            ErrorKind::NoSuchId,
            "it is not connected"
        );
        subscriber.cancel_connection(1).await.unwrap();
        setting.host.wait_for_descriptors(before).await;

        // Connected, and then not wanted: the server sees the end. Nothing is said of either.
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        assert_eq!(setting.host.descriptors(), before + 1);
        subscriber.cancel_connection(1).await.unwrap();
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(refusal(subscriber.take_connection(1).await).0, ErrorKind::NoSuchId);
        subscriber.cancel_connection(1).await.unwrap();
        subscriber.cancel_connection(77).await.unwrap();
        subscriber.close().await.unwrap();
        let last = next(&mut messages).await;
        assert!(matches!(last, Message::Closed { .. }), "{last:?}");

        // A client that leaves with connections pending and not taken.
        let leaving = setting.host.bus.connect().await;
        let (subscriber, mut messages) = Subscriber::create(&leaving, "leaves").await.unwrap();
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        subscriber.connect_to_address(2, &setting.first, &silent()).await.unwrap();
        let call = tokio::spawn({
            let (connection, pvd) = (leaving.clone(), setting.second.clone());
            async move { drop(connect_to_address(&connection, &pvd, &silent()).await) }
        });
        // Three sockets, and the look at the client's process.
        setting.host.wait_for_descriptors(before + 4).await;
        call.abort();
        drop((subscriber, messages));
        leaving.close().await.unwrap();
        setting.host.wait_for_descriptors(before).await;
    });
}

#[test]
fn a_link_without_carrier_is_unreachable_and_comes_back() {
    universe::run(async |universe| {
        // An address that nobody takes away with the carrier, as dhcpcd and the kernel do with theirs.
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        let config = "[interfaces]\ngrace-ms = 60000\n";
        let host = ServedHost::start_with(&universe, |settings| settings.config(config)).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let request = to(ip("192.0.2.1"));
        greeting(connect(&host.connection, &pvd, &request).await.unwrap().socket).await;

        cable.pull().await;
        eventually("the link to be down", async || {
            let state = host.state().await;
            let link = state.interfaces.iter().find(|link| link.name == "eth1").unwrap();
            if link.state == InterfaceState::Down { Ok(()) } else { Err(link.state.to_string()) }
        })
        .await;
        let (kind, text) = refusal(connect(&host.connection, &pvd, &request).await);
        assert_eq!(kind, ErrorKind::NetworkUnreachable);
        assert!(text.contains("is down"), "{text}");
        cable.plug(&[]).await;
        let connected = eventually("a connection through the link", async || {
            connect(&host.connection, &pvd, &request).await
        })
        .await;
        assert_eq!(greeting(connected.socket).await.server, "server");
    });
}

#[test]
fn connections_end_with_their_pvd_unless_they_were_taken() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "[interfaces]\ngrace-ms = 0\n").await;
        let before = setting.host.descriptors();
        let (subscriber, mut messages) = setting.subscriber("loses").await;
        let taken = setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap();
        let local = taken.local.unwrap();
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        subscriber.connect_to_address(2, &setting.first, &silent()).await.unwrap();
        let call = tokio::spawn({
            let (connection, pvd) = (setting.host.connection.clone(), setting.first.clone());
            async move { connect_to_address(&connection, &pvd, &silent()).await }
        });
        setting.host.wait_for_descriptors(before + 3).await;

        setting.isps.first.pull_cable().await;
        for _ in 1..=2 {
            let message = next(&mut messages).await;
            let Message::NotConnected { connection_id: 1 | 2, error, .. } = message else {
                panic!("{message:?}")
            };
            assert_eq!(error.kind(), Some(ErrorKind::PvdGone));
        }
        let called = completes("the reply of the call", call).await.unwrap();
        assert_eq!(refusal(called).0, ErrorKind::PvdGone);
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(refusal(subscriber.take_connection(1).await).0, ErrorKind::NoSuchId);
        let again = subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await;
        assert_eq!(refusal(again).0, ErrorKind::PvdGone);
        assert_eq!(
            refusal(setting.connect(&setting.first, &to(SHARED_V4)).await).0,
            ErrorKind::UnknownObject
        );
        // What was taken is the client's, where it was.
        check_socket(&taken.socket, setting.isps.first.link(), local);
    });
}

#[test]
fn a_connection_ends_at_once_with_its_source_address() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let before = setting.host.descriptors();
        let (node, link) = (universe.host(), setting.isps.first.link());
        node.ip(&format!("address add 192.0.2.77/24 dev {link}"));
        eventually("the new address", async || {
            let addresses = setting.host.addresses(&setting.first).await;
            if addresses.contains(&ip("192.0.2.77")) { Ok(()) } else { Err(format!("{addresses:?}")) }
        })
        .await;
        let call = tokio::spawn({
            let (connection, pvd) = (setting.host.connection.clone(), setting.first.clone());
            let request = ConnectRequest { source: Some(ip("192.0.2.77")), ..silent() };
            async move { connect_to_address(&connection, &pvd, &request).await }
        });
        setting.host.wait_for_descriptors(before + 1).await;
        node.ip(&format!("address delete 192.0.2.77/24 dev {link}"));
        // Long before its time is up, let alone that of TCP.
        setting.host.wait_for_descriptors(before).await;
        let (kind, text) = refusal(completes("the reply", call).await.unwrap());
        assert_eq!(kind, ErrorKind::SourceNotValid, "{text}");
    });
}

#[test]
fn a_taken_socket_outlives_the_service() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let (subscriber, mut messages) = setting.subscriber("taken").await;
        subscriber.connect_to_address(1, &setting.second, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        let mut stream = TcpStream::from(subscriber.take_connection(1).await.unwrap());
        setting.host.mifd.kill().await;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let said = tokio::task::spawn_blocking(move || {
            stream.write_all(b"still here\n").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            said
        });
        let said = said.await.unwrap();
        assert!(said.ends_with(" isp2\nstill here\n"), "{said:?}");
    });
}

#[test]
fn nothing_is_left_of_five_hundred_connections() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let (subscriber, mut messages) = setting.subscriber("many").await;
        let before = setting.host.descriptors();
        for id in 0..250 {
            drop(setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap());
            subscriber.connect_to_address(id, &setting.second, &to(SHARED_V4)).await.unwrap();
            outcome(&mut messages, id).await.unwrap();
            drop(subscriber.take_connection(id).await.unwrap());
        }
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(counted(setting.isps.first.node()), [0, 250]);
        assert_eq!(counted(setting.isps.second.node()), [0, 250]);

        // No more than a client may have at once, and each that ends makes room for another.
        let limit = 32;
        for id in 0..limit {
            subscriber.connect_to_address(id, &setting.first, &silent()).await.unwrap();
        }
        let (kind, text) = refusal(subscriber.connect_to_address(limit, &setting.first, &silent()).await);
        assert_eq!(kind, ErrorKind::LimitsExceeded);
        assert!(text.contains("32"), "{text}");
        subscriber.cancel_connection(0).await.unwrap();
        subscriber.connect_to_address(limit, &setting.first, &silent()).await.unwrap();
        subscriber.close().await.unwrap();
        setting.host.wait_for_descriptors(before).await;
    });
}

#[test]
fn five_thousand_connections_of_one_client_leave_no_descriptor_behind() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        // The first one puts the PvDs into use.
        drop((
            setting.connect(&setting.first, &to(SHARED_V4)).await,
            setting.connect(&setting.second, &to(SHARED_V4)).await,
        ));
        let before = setting.host.descriptors();
        let connecting = stream::iter(0..5_000).map(|number| {
            let pvd = if number % 2 == 0 { &setting.first } else { &setting.second };
            async { connect_to_address(&setting.host.connection, pvd, &to(SHARED_V4)).await.unwrap() }
        });
        // Kept, as many as are under way: a client's descriptors are not the service's.
        let mut connecting = connecting.buffer_unordered(32);
        let (mut count, mut most) = (0, before);
        while let Some(connected) = connecting.next().await {
            assert!(connected.local.is_some());
            drop(connected);
            count += 1;
            if count % 100 == 0 {
                most = most.max(setting.host.descriptors());
            }
        }
        assert_eq!(count, 5_000);
        assert!(most <= before + 2 * 32, "{most} descriptors at a time, {before} before");
        // Of those of the first one, some may have been open still when they were counted.
        setting.host.wait_for_no_more_descriptors_than(before).await;
    });
}
