//! The client side of a conversation, over a socket pair, with the other end played by the test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures_util::StreamExt;
use mif::wire::ClosedReason;
use mif::{ConnectRequest, Message, Subscriber, TranslateOptions};
use zbus::connection::Builder;
use zbus::message::Flags;
use zbus::{Connection, Guid, MessageStream, ObjectPath, Variant};

const DEADLINE: Duration = Duration::from_secs(20);
const PATH: &str = "/org/ietf/Mif1Subscriber/0_1/t";
const PVD: &str = "/org/ietf/Mif1/pvd/1";

/// A client, and the service's end of the same connection.
async fn pair() -> (Connection, Connection) {
    let (near, far) = UnixStream::pair().unwrap();
    let guid = Guid::generate();
    let service = Builder::unix_stream(far).server(guid).p2p().build();
    let client = Builder::unix_stream(near).p2p().build();
    let (client, service) = tokio::join!(client, service);
    (client.unwrap(), service.unwrap())
}

fn pvd() -> ObjectPath<'static> {
    ObjectPath::try_from(PVD).unwrap()
}

async fn signal(service: &Connection, path: &str, address: &str) {
    let signal = zbus::Message::signal(path, "org.ietf.Mif1.Subscriber", "NoAddressAnnouncement");
    service.send(&signal.build(&(pvd(), address)).unwrap()).await.unwrap();
}

/// Answers each call by `answer`, which is told the member.
fn serve<F, R>(service: Connection, answer: F)
where
    F: Fn(Connection, zbus::Message, String) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut calls = MessageStream::from(&service);
        while let Some(Ok(call)) = calls.next().await {
            let member = call.header().member().unwrap().to_string();
            answer(service.clone(), call, member).await;
        }
    });
}

async fn create_subscriber(service: &Connection, call: &zbus::Message) {
    service.reply(&call.header(), &ObjectPath::try_from(PATH).unwrap()).await.unwrap();
}

#[tokio::test]
async fn replies_get_through_messages_that_nobody_reads_and_the_messages_stay_in_order() {
    let (client, service) = pair().await;
    serve(service, |service, call, member| async move {
        match member.as_str() {
            "CreateSubscriber" => create_subscriber(&service, &call).await,
            "AnnounceAddresses" => {
                for last in 0..2_000_u32 {
                    signal(&service, PATH, &std::net::Ipv4Addr::from(0x0a00_0000 + last).to_string()).await;
                }
                service.reply(&call.header(), &2_000_u32).await.unwrap();
            }
            _ => panic!("{member}"),
        }
    });
    let (subscriber, mut messages) = Subscriber::create(&client, "t").await.unwrap();
    let count = tokio::time::timeout(DEADLINE, subscriber.announce_addresses(&pvd())).await;
    assert_eq!(count.expect("the reply gets through").unwrap(), 2_000);
    for last in 0..2_000_u32 {
        let message = tokio::time::timeout(DEADLINE, messages.next()).await.unwrap().unwrap().unwrap();
        let Message::NoAddressAnnouncement { address, .. } = message else { panic!("{message:?}") };
        assert_eq!(address, std::net::Ipv4Addr::from(0x0a00_0000 + last));
    }
    assert!(messages.get().is_none());
}

#[tokio::test]
async fn only_its_own_messages_reach_a_subscriber_and_closed_is_the_last() {
    let (client, service) = pair().await;
    serve(service, |service, call, member| async move {
        match member.as_str() {
            "CreateSubscriber" => create_subscriber(&service, &call).await,
            "Close" => {
                signal(&service, "/org/ietf/Mif1Subscriber/0_1/other", "192.0.2.1").await;
                signal(&service, PATH, "192.0.2.2").await;
                let closed = zbus::Message::signal(PATH, "org.ietf.Mif1.Subscriber", "Closed");
                let body = ("requested", HashMap::<&str, Variant<'_>>::new());
                service.send(&closed.build(&body).unwrap()).await.unwrap();
                signal(&service, PATH, "192.0.2.3").await;
                service.reply(&call.header(), &()).await.unwrap();
            }
            _ => panic!("{member}"),
        }
    });
    let (subscriber, messages) = Subscriber::create(&client, "t").await.unwrap();
    subscriber.close().await.unwrap();
    let messages: Vec<_> = tokio::time::timeout(DEADLINE, messages.collect()).await.expect("the stream ends");
    let [Ok(Message::NoAddressAnnouncement { address, .. }), Ok(Message::Closed { reason })] = &messages[..]
    else {
        panic!("{messages:?}")
    };
    assert_eq!(address.to_string(), "192.0.2.2");
    assert_eq!(reason.as_str(), "requested");
}

/// The reply comes behind more signals of the first subscriber than zbus lets wait unread.
#[tokio::test]
async fn a_second_subscriber_of_a_connection_is_made_while_the_first_is_told_much() {
    let (client, service) = pair().await;
    serve(service, |service, call, member| async move {
        assert_eq!(member, "CreateSubscriber");
        let (token, _): (String, HashMap<String, Variant<'_>>) = call.body().deserialize().unwrap();
        for last in 0..2_000_u32 {
            signal(&service, PATH, &std::net::Ipv4Addr::from(0x0a00_0000 + last).to_string()).await;
        }
        let path = format!("/org/ietf/Mif1Subscriber/0_1/{token}");
        service.reply(&call.header(), &ObjectPath::try_from(path).unwrap()).await.unwrap();
        signal(&service, PATH, "192.0.2.1").await;
        signal(&service, "/org/ietf/Mif1Subscriber/0_1/second", "192.0.2.2").await;
    });
    let (_first, mut of_first) = Subscriber::create(&client, "t").await.unwrap();
    let second = tokio::time::timeout(DEADLINE, Subscriber::create(&client, "second")).await;
    let (_second, mut of_second) = second.expect("the reply gets through").unwrap();
    let message = tokio::time::timeout(DEADLINE, of_second.next()).await.unwrap().unwrap().unwrap();
    let Message::NoAddressAnnouncement { address, .. } = message else { panic!("{message:?}") };
    assert_eq!(address.to_string(), "192.0.2.2");
    for _ in 0..2_001 {
        let message = tokio::time::timeout(DEADLINE, of_first.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(message, Message::NoAddressAnnouncement { .. }), "{message:?}");
    }
}

/// A program that never reads loses no more than its subscriber, and learns it after what it did not read.
#[tokio::test]
async fn who_does_not_read_is_told_so_after_all_there_was_room_for() {
    const ROOM: usize = 65_536;
    let (client, service) = pair().await;
    serve(service, |service, call, member| async move {
        match member.as_str() {
            "CreateSubscriber" => create_subscriber(&service, &call).await,
            "AnnounceAddresses" => {
                let signal = zbus::Message::signal(PATH, "org.ietf.Mif1.Subscriber", "NoAddressAnnouncement");
                let signals = vec![signal.build(&(pvd(), "192.0.2.1")).unwrap(); ROOM + 1];
                service.send_all(&signals).await.unwrap();
                service.reply(&call.header(), &1_u32).await.unwrap();
            }
            _ => panic!("{member}"),
        }
    });
    let (subscriber, mut messages) = Subscriber::create(&client, "t").await.unwrap();
    let announced = tokio::time::timeout(DEADLINE, subscriber.announce_addresses(&pvd())).await;
    announced.expect("the connection goes on for others").unwrap();
    for _ in 0..ROOM {
        let message = tokio::time::timeout(DEADLINE, messages.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(message, Message::NoAddressAnnouncement { .. }), "{message:?}");
    }
    let last = tokio::time::timeout(DEADLINE, messages.next()).await.unwrap().unwrap().unwrap();
    let Message::Closed { reason } = last else { panic!("{last:?}") };
    assert_eq!(reason, ClosedReason::Unread);
    assert!(tokio::time::timeout(DEADLINE, messages.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_connection_ends_the_stream_with_an_error() {
    let (client, service) = pair().await;
    serve(service, |service, call, member| async move {
        match member.as_str() {
            "CreateSubscriber" => create_subscriber(&service, &call).await,
            _ => service.close().await.unwrap(),
        }
    });
    let (subscriber, messages) = Subscriber::create(&client, "t").await.unwrap();
    let failed = tokio::time::timeout(DEADLINE, subscriber.announce_interfaces()).await.expect("it fails");
    assert!(matches!(failed, Err(mif::Error::Disconnected)), "{failed:?}");
    let messages: Vec<_> = tokio::time::timeout(DEADLINE, messages.collect()).await.expect("the stream ends");
    assert!(matches!(&messages[..], [Err(mif::Error::Disconnected)]), "{messages:?}");
}

/// What the proxies send has the signatures of the XML files.
#[tokio::test]
async fn calls_have_the_signatures_of_the_contract() {
    let (client, service) = pair().await;
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
    serve(service, move |service, call, member| {
        let interface = call.header().interface().unwrap().to_string();
        sender.send((interface, member, call.body().signature().to_string_no_parens())).unwrap();
        async move {
            // They all fail: only what was sent counts.
            let name = "org.freedesktop.DBus.Error.NotSupported";
            service.reply_error(&call.header(), name, &"").await.unwrap();
        }
    });
    call_everything(&client).await;

    let described = described_methods();
    let mut called = BTreeMap::new();
    while let Ok((interface, member, signature)) = sent.try_recv() {
        called.insert((interface, member), signature);
    }
    assert_eq!(called, described);
}

async fn call_everything(client: &Connection) {
    use mif::proxy::{ManagerProxy, ProvisioningDomainProxy, SubscriberProxy};
    let path = pvd();
    let manager = ManagerProxy::new(client).await.unwrap();
    drop(manager.create_subscriber("t", &mif::wire::SubscriberOptions {}).await);
    drop(manager.get_interface_by_index(2).await);
    drop(manager.get_interface_by_name("eth0").await);
    drop(manager.get_provisioning_domains_by_id("home.example").await);
    drop(manager.get_provisioning_domains_by_address("192.0.2.1").await);

    drop(mif::connect_to_name(client, &mif::NameRequest::new("www.example", 80)).await);

    let pvd = ProvisioningDomainProxy::new(client, PVD).await.unwrap();
    drop(pvd.get_configuration_data("any", "mtu").await);
    drop(pvd.get_all_configuration_data("any").await);
    drop(mif::translate_name(client, &path, "www", &TranslateOptions::default()).await);
    let request = mif::ConnectRequest::new("192.0.2.1".parse().unwrap(), 80);
    drop(mif::connect_to_address(client, &path, &request).await);
    let socket = std::fs::File::open("/dev/null").unwrap();
    drop(pvd.bind_socket(zbus::Fd::from(&socket), &mif::wire::BindSocketOptions::default()).await);
    drop(mif::explain(client, &path, "192.0.2.1".parse().unwrap(), None).await);

    let subscriber = SubscriberProxy::new(client, PATH).await.unwrap();
    drop(subscriber.announce_interfaces().await);
    drop(subscriber.stop_announcing_interfaces().await);
    drop(subscriber.announce_provisioning_domains(&path).await);
    drop(subscriber.stop_announcing_provisioning_domains(&path).await);
    drop(subscriber.announce_configuration_elements(&path).await);
    drop(subscriber.stop_announcing_configuration_elements(&path).await);
    drop(subscriber.announce_addresses(&path).await);
    drop(subscriber.stop_announcing_addresses(&path).await);
    drop(subscriber.get_configuration_data(&path, "any", "mtu").await);
    drop(subscriber.translate_name(1, &path, "www", &Default::default()).await);
    drop(subscriber.stop_translating_name(1).await);
    drop(subscriber.connect_to_address(1, &path, "192.0.2.1", 80, &Default::default()).await);
    let (source, target, options) = ("192.0.2.7", "192.0.2.1", Default::default());
    drop(subscriber.connect_to_address_from_address(1, &path, source, target, 80, &options).await);
    drop(subscriber.take_connection(1).await);
    drop(subscriber.cancel_connection(1).await);
    drop(subscriber.close().await);
}

/// Interface and method, with the signature of the arguments in, from the table of the contract.
fn described_methods() -> BTreeMap<(String, String), String> {
    include_str!("contract.txt")
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let (interface, name) = match words[..] {
                [interface, "method", name, ..] => (format!("org.ietf.Mif1.{interface}"), name),
                _ => return None,
            };
            let arguments = words[3..].iter().filter(|word| !word.starts_with('>'));
            let signature = arguments.map(|argument| argument.split_once(':').unwrap().1).collect();
            Some(((interface, name.to_owned()), signature))
        })
        .collect()
}

#[tokio::test]
async fn a_person_may_be_asked_only_where_the_request_says_so() {
    let (client, service) = pair().await;
    let (seen, mut flags) = tokio::sync::mpsc::unbounded_channel();
    serve(service, move |service, call, member| {
        let seen = seen.clone();
        async move {
            if member == "CreateSubscriber" {
                return create_subscriber(&service, &call).await;
            }
            let interactive = call.primary_header().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
            seen.send((member, interactive)).unwrap();
            service.reply(&call.header(), &()).await.unwrap();
        }
    });
    let (subscriber, _messages) = Subscriber::create(&client, "t").await.unwrap();
    let plain = ConnectRequest::new([192, 0, 2, 1].into(), 80);
    let from = ConnectRequest { source: Some([192, 0, 2, 9].into()), interactive: true, ..plain.clone() };
    for (request, right) in [
        (plain.clone(), ("ConnectToAddress", false)),
        (ConnectRequest { interactive: true, ..plain }, ("ConnectToAddress", true)),
        (from, ("ConnectToAddressFromAddress", true)),
    ] {
        subscriber.connect_to_address(1, &pvd(), &request).await.unwrap();
        let (member, interactive) = flags.recv().await.unwrap();
        assert_eq!((member.as_str(), interactive), right);
    }
}
