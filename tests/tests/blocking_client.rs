//! The client library without an async runtime: the draft's three calls, against the real service.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mif::blocking::{Client, Subscriber};
use mif::wire::{ClosedReason, Element};
use mif::{BusChoice, ConnectRequest, ErrorKind, Message, TranslateOptions};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe;
use mif_tests::wait::{DEADLINE, completes, eventually};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zbus::OwnedObjectPath;

/// A program of its own thread, as the library is made for.
async fn program<T: Send + 'static>(what: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    completes(what, tokio::task::spawn_blocking(body)).await.expect("the program does not panic")
}

/// The next message.
fn next(subscriber: &mut Subscriber) -> Message {
    assert!(subscriber.check(Some(DEADLINE)).unwrap(), "nothing comes");
    subscriber.get().expect("check said so")
}

/// Posts a request for a listing and returns it.
fn listing(subscriber: &mut Subscriber, request: Message) -> Vec<Message> {
    subscriber.post(request).unwrap();
    let mut listed = Vec::new();
    loop {
        match next(subscriber) {
            Message::ListingComplete { count, .. } => {
                assert_eq!(count as usize, listed.len(), "the end of the listing is in its place");
                return listed;
            }
            message => listed.push(message),
        }
    }
}

/// The PvDs of all interfaces, with their ids.
fn pvds(subscriber: &mut Subscriber) -> Vec<(OwnedObjectPath, String)> {
    let mut found = Vec::new();
    for message in listing(subscriber, Message::AnnounceInterfaces) {
        let Message::InterfaceAnnouncement { interface, .. } = message else { panic!("{message:?}") };
        for message in listing(subscriber, Message::AnnounceProvisioningDomains { interface }) {
            let Message::ProvisioningDomainAnnouncement { pvd, details, .. } = message else {
                panic!("{message:?}")
            };
            found.push((pvd, details.id.unwrap()));
        }
    }
    found.sort_by(|left, right| left.1.cmp(&right.1));
    found
}

fn readable(fds: [&dyn AsFd; 2], timeout: PollTimeout) -> [bool; 2] {
    let mut polled = fds.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    poll(&mut polled, timeout).unwrap();
    polled.map(|fd| fd.any().unwrap())
}

/// Draft section 4: interfaces, PvDs, configuration, a translation in each, a connection in each.
fn the_example(bus: &BusChoice) {
    let mut subscriber = Subscriber::open(bus, "example").unwrap();
    assert!(!subscriber.check(Some(Duration::ZERO)).unwrap(), "nothing was asked for");
    assert!(subscriber.get().is_none());
    let found = pvds(&mut subscriber);
    assert_eq!(found.len(), 4, "{found:?}");

    // Many more requests than the service takes of one subscriber at a time, none refused, all in order.
    for _ in 0..50 {
        for (pvd, _) in &found {
            let (element, identifier) = (Element::any(), "dns-servers".to_owned());
            subscriber.post(Message::GetConfigurationData { pvd: pvd.clone(), element, identifier }).unwrap();
        }
    }
    for index in 0..200 {
        let Message::ConfigurationData { pvd, value, .. } = next(&mut subscriber) else {
            panic!("number {index}")
        };
        assert_eq!(pvd, found[index % 4].0);
        assert!(!value.get::<Vec<String>>().unwrap().is_empty());
    }

    for (id, (pvd, _)) in (0..).zip(&found) {
        let (name, options) = (SHARED_NAME.to_owned(), TranslateOptions::default());
        subscriber
            .post(Message::TranslateName { translation_id: id, pvd: pvd.clone(), name, options })
            .unwrap();
    }
    let (mut finished, mut begun, mut connected) = (0, 0, Vec::new());
    while finished < 4 || connected.len() < begun as usize {
        match next(&mut subscriber) {
            Message::NameTranslation { translation_id, answer } => {
                let (pvd, id) = &found[translation_id as usize];
                if id.contains("ipv6") == answer.address.is_ipv6() {
                    let request = ConnectRequest::new(answer.address, ECHO_PORT);
                    let pvd = pvd.clone();
                    subscriber
                        .post(Message::ConnectToAddress { connection_id: begun, pvd, request })
                        .unwrap();
                    begun += 1;
                }
            }
            Message::TranslationFinished { outcome, .. } => {
                outcome.unwrap();
                finished += 1;
            }
            Message::Connected { connection_id, .. } => {
                let stream = TcpStream::from(subscriber.take_connection(connection_id).unwrap());
                connected.push(Greeting::read(&stream).unwrap().server);
            }
            other => panic!("{other:?}"),
        }
    }
    connected.sort();
    assert_eq!(connected, ["isp1", "isp1", "isp2", "isp2"]);
    let error = subscriber.take_connection(0).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoSuchId));
}

#[test]
fn the_three_calls_carry_the_example_of_the_draft() {
    universe::run(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        for family in [mif::wire::Family::Ipv4, mif::wire::Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        let bus = BusChoice::Address(host.bus.address().to_owned());
        program("the example", move || the_example(&bus)).await;
    });
}

#[test]
fn the_descriptor_is_polled_beside_the_programs_own() {
    universe::run(async |universe| {
        let host = ServedHost::start(&universe).await;
        let bus = BusChoice::Address(host.bus.address().to_owned());
        program("the program", move || {
            let mut subscriber = Subscriber::open(&bus, "polled").unwrap();
            let (own, mut writer) = std::io::pipe().unwrap();
            assert_eq!(readable([&subscriber, &own], PollTimeout::ZERO), [false, false]);
            writer.write_all(b"x").unwrap();
            assert_eq!(readable([&subscriber, &own], PollTimeout::NONE), [false, true]);
            subscriber.post(Message::AnnounceInterfaces).unwrap();
            let since = Instant::now();
            while !readable([&subscriber, &own], PollTimeout::from(100_u16))[0] {
                assert!(since.elapsed() < DEADLINE);
            }
            // lo, and the end of the listing.
            assert!(matches!(next(&mut subscriber), Message::InterfaceAnnouncement { .. }));
            assert!(matches!(next(&mut subscriber), Message::ListingComplete { count: 1, .. }));
            assert_eq!(readable([&subscriber, &own], PollTimeout::ZERO), [false, true]);
            let error = subscriber.post(Message::Reopened).unwrap_err();
            assert!(matches!(error, mif::Error::NotPostable(_)), "{error}");
            let pvd = OwnedObjectPath::try_from("/org/ietf/Mif1/pvd/1").unwrap();
            subscriber.post(Message::AnnounceAddresses { pvd }).unwrap();
            let Message::Refused { request, error } = next(&mut subscriber) else { panic!() };
            assert!(matches!(*request, Message::AnnounceAddresses { .. }));
            assert_eq!(error.kind(), Some(ErrorKind::NoSuchPvd));
            subscriber.close();
            let client = Client::open(&bus).unwrap();
            assert_eq!(client.state().unwrap().interfaces.len(), 1);
            assert!(client.features().unwrap().contains(&"connect".to_owned()));
        })
        .await;
    });
}

#[test]
fn it_outlives_the_service_and_says_when_the_bus_is_lost() {
    universe::run(async |universe| {
        let mut host = ServedHost::start(&universe).await;
        let bus = BusChoice::Address(host.bus.address().to_owned());
        let (commands, stage) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel::<&str>();
        let program = std::thread::spawn(move || {
            let mut subscriber = Subscriber::open(&bus, "survivor").unwrap();
            assert_eq!(listing(&mut subscriber, Message::AnnounceInterfaces).len(), 1);
            tell.send("listed").unwrap();
            let closed = next(&mut subscriber);
            assert!(matches!(closed, Message::Closed { reason: ClosedReason::ServiceGone }), "{closed:?}");
            subscriber.post(Message::AnnounceInterfaces).unwrap();
            let Message::Refused { error, .. } = next(&mut subscriber) else { panic!() };
            assert_eq!(error.kind(), Some(ErrorKind::NotRunning));
            let error = subscriber.take_connection(1).unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::NotRunning));
            tell.send("closed").unwrap();
            assert!(matches!(next(&mut subscriber), Message::Reopened));
            assert_eq!(listing(&mut subscriber, Message::AnnounceInterfaces).len(), 1);
            tell.send("listed again").unwrap();
            let closed = next(&mut subscriber);
            assert!(matches!(closed, Message::Closed { reason: ClosedReason::BusLost }), "{closed:?}");
            assert!(matches!(subscriber.check(None), Err(mif::Error::Disconnected)));
            assert!(subscriber.get().is_none());
            stage.recv().unwrap();
            let lost = subscriber.post(Message::AnnounceInterfaces);
            assert!(matches!(lost, Err(mif::Error::Disconnected)), "{lost:?}");
        });
        let says = async |wanted: &str| {
            eventually(wanted, async || match told.try_recv() {
                Ok(said) if said == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
        };
        says("listed").await;
        host.mifd.kill().await;
        says("closed").await;
        host.mifd.restart().await;
        says("listed again").await;
        host.bus.process().kill().await;
        commands.send(()).unwrap();
        completes("the end of the program", tokio::task::spawn_blocking(move || program.join()))
            .await
            .unwrap()
            .unwrap();
    });
}
