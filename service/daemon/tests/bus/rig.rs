//! A service without a bus or a network: what the sources would see comes from the test.

use crate::heard::Heard;
use futures_util::StreamExt;
use mif_core::BootTime;
use mif_core::configuration::Configuration;
use mif_core::engine::{Engine, Settings};
use mif_core::event::{
    Address, AddressKey, Event, Ifindex, Lease, LeaseClient, Link, LinkKind, LinkState, Route,
};
use mif_core::facts::InquiryPolicy;
use mif_core::fetch::FetchPolicy;
use mif_core::plan::{System, Systems};
use mifd::batches;
use mifd::bus::{Bus, Constants, LeftBus, Peers};
use mifd::clock;
use mifd::connection::OnTokio;
use mifd::translate::Settings as Translation;
use serde::Serialize;
use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zbus::connection::Builder;
use zbus::message::{Flags, Type};
use zbus::wire::DynamicType;
use zbus::{Connection, Guid, Message, MessageStream};

pub use crate::support::DEADLINE;

pub const ROOT: &str = "/org/ietf/Mif1";
pub const MANAGER: &str = "org.ietf.Mif1.Manager";
pub const HIGH_LEVEL: &str = "org.ietf.Mif1.HighLevel";
pub const INTERFACE: &str = "org.ietf.Mif1.Interface";
pub const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
pub const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";
pub const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub const PEER: &str = "org.freedesktop.DBus.Peer";
pub const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

/// The first Ethernet link.
pub const ETH0: Ifindex = 2;
/// The second.
pub const ETH1: Ifindex = 3;

/// The service and its one client.
pub struct Rig {
    client: Connection,
    incoming: mpsc::UnboundedReceiver<Message>,
    /// What came and was not asked for yet, in the order in which it came.
    pending: VecDeque<Message>,
    engine: Engine,
    batches: batches::Sender,
    stop: Option<oneshot::Sender<()>>,
    service: JoinHandle<Result<(), LeftBus>>,
}

/// A reply: its body, or the name and message of the error.
pub type Reply = Result<Message, (String, String)>;

/// Runs `test` with a service that has published `first` (and the loopback link).
pub fn with_service<F: Future<Output = ()>>(first: Vec<Event>, test: impl FnOnce(Rig) -> F) {
    let runtime = crate::support::runtime();
    runtime.block_on(async {
        let rig = Rig::start(first).await;
        tokio::time::timeout(3 * DEADLINE, test(rig)).await.expect("the test hangs");
    });
    // Not waiting for threads that wait, as the service itself.
    runtime.shutdown_background();
}

impl Rig {
    async fn start(first: Vec<Event>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let service = Builder::unix_stream(ours).server(Guid::generate()).p2p().runtime(OnTokio).build();
        let client = Builder::unix_stream(theirs).p2p().build();
        let (service, client) = tokio::try_join!(service, client).unwrap();

        let settings = Settings {
            grace: Duration::from_secs(2),
            first_serial: 1000,
            fetches: FetchPolicy::default(),
            inquiries: InquiryPolicy::NONE,
            seed: 1,
        };
        let mut engine = Engine::new(settings);
        let loopback = Link { kind: LinkKind::Loopback, name: "lo".to_owned(), ..link(1, LinkState::Up) };
        for event in [Event::Link(loopback)].into_iter().chain(first).chain([Event::ResyncEnd]) {
            engine.handle_event(clock::now(), event);
        }
        let (batches, batches_out) = batches::channel();
        let constants = Constants {
            features: vec!["connect"],
            namespace: 4_026_531_840,
            translation: Translation {
                systems: Systems::NONE.with(System::Dns).with(System::Hosts),
                ..Translation::default()
            },
        };
        let (mut bus, inputs) = Bus::new(service, Peers::Ourselves, constants, batches_out).unwrap();
        bus.publish_inventory(engine.commit(clock::now()));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = Box::pin(async move { drop(stopped.await) });
        let service = tokio::spawn(bus.run(inputs, stopped));
        let incoming = read_all(&client);
        Self { client, incoming, pending: VecDeque::new(), engine, batches, stop: Some(stop), service }
    }

    /// The sources see these at once, and the service takes it in: what is asked next is asked of that state.
    pub async fn happen(&mut self, events: impl IntoIterator<Item = Event>) {
        self.post_events(events).await;
        while !self.batches.is_all_taken_in() {
            tokio::task::yield_now().await;
        }
    }

    /// The sources see these at once; the service may have other things to do first.
    pub async fn post_events(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.engine.handle_event(clock::now(), event);
        }
        let batch = self.engine.commit(clock::now());
        self.batches.reserve().await.unwrap().send(batch);
    }

    /// Stops the service; how it ended.
    pub async fn stop(&mut self) -> Result<(), LeftBus> {
        drop(self.stop.take());
        tokio::time::timeout(DEADLINE, &mut self.service).await.expect("it does not stop").unwrap()
    }

    /// Calls a method, and waits for the reply. What comes meanwhile is kept.
    pub async fn call<B: Serialize + DynamicType>(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Reply {
        let serial = self.post(path, interface, member, body).await;
        self.reply_to(serial).await
    }

    /// Calls a method, and does not wait: the serial number of the call. No interface when `interface` is empty.
    pub async fn post<B: Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> NonZeroU32 {
        self.send(&call(path, interface, member).build(body).unwrap()).await
    }

    /// Calls a method, and wants no reply.
    pub async fn tell<B: Serialize + DynamicType>(&self, path: &str, member: &str, body: &B) -> NonZeroU32 {
        let call = call(path, "", member).with_flags(Flags::NO_REPLY_EXPECTED);
        self.send(&call.build(body).unwrap()).await
    }

    /// Sends a message as it is.
    pub async fn send(&self, message: &Message) -> NonZeroU32 {
        self.client.send(message).await.unwrap();
        message.primary_header().serial_num()
    }

    /// Sends messages at once.
    pub async fn send_all(&self, messages: &[Message]) {
        self.client.send_all(messages).await.unwrap();
    }

    /// Calls without a pause, and wants no reply, until the task is aborted.
    pub fn flood(&self) -> JoinHandle<()> {
        let client = self.client.clone();
        let ping = call(ROOT, PEER, "Ping").with_flags(Flags::NO_REPLY_EXPECTED).build(&()).unwrap();
        let pings = vec![ping; 500];
        tokio::spawn(async move { while client.send_all(&pings).await.is_ok() {} })
    }

    /// The reply to the call of this serial number. What comes meanwhile is kept.
    pub async fn reply_to(&mut self, serial: NonZeroU32) -> Reply {
        let message = self.find("a reply", |message| message.header().reply_serial() == Some(serial)).await;
        as_reply(message)
    }

    /// The next message of all that came and come, whatever it is.
    pub async fn next(&mut self) -> Heard {
        let message = match self.pending.pop_front() {
            Some(message) => message,
            None => self.receive("a message").await,
        };
        Heard::of(&message)
    }

    /// Everything that comes, in order, up to and including the first that `is_last`.
    pub async fn until(&mut self, is_last: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            let heard = self.next().await;
            let last = is_last(&heard);
            all.push(heard);
            if last {
                return all;
            }
        }
    }

    /// Everything that came before the reply to a Ping that is sent now, the reply excluded.
    pub async fn settled(&mut self) -> Vec<Heard> {
        let serial = self.post(ROOT, PEER, "Ping", &()).await;
        let mut all = self.until(|heard| heard.is_reply_to(serial)).await;
        all.pop();
        all
    }

    /// Makes a subscriber; its path.
    pub async fn subscribe(&mut self, token: &str) -> String {
        let options = options::<&str>(&[]);
        let reply = self.call(ROOT, MANAGER, "CreateSubscriber", &(token, options)).await.unwrap();
        let path: zbus::OwnedObjectPath = reply.body().deserialize().unwrap();
        path.to_string()
    }

    /// The path of the interface with this number.
    pub async fn interface(&mut self, ifindex: Ifindex) -> String {
        let reply = self.call(ROOT, MANAGER, "GetInterfaceByIndex", &ifindex).await.unwrap();
        let path: zbus::OwnedObjectPath = reply.body().deserialize().unwrap();
        path.to_string()
    }

    /// The path of the one provisioning domain with this Id.
    pub async fn pvd(&mut self, id: &str) -> String {
        let reply = self.call(ROOT, MANAGER, "GetProvisioningDomainsById", &id).await.unwrap();
        let paths: Vec<zbus::OwnedObjectPath> = reply.body().deserialize().unwrap();
        assert_eq!(paths.len(), 1, "{id}: {paths:?}");
        paths[0].to_string()
    }

    async fn find(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        if let Some(place) = self.pending.iter().position(&wanted) {
            return self.pending.remove(place).unwrap();
        }
        loop {
            let message = self.receive(what).await;
            if wanted(&message) {
                return message;
            }
            self.pending.push_back(message);
        }
    }

    async fn receive(&mut self, what: &str) -> Message {
        let next = tokio::time::timeout(DEADLINE, self.incoming.recv()).await;
        next.unwrap_or_else(|_| panic!("{what} did not come in {DEADLINE:?}")).expect("the service hung up")
    }
}

/// A method call. No interface when `interface` is empty.
pub fn call<'a>(path: &'a str, interface: &'a str, member: &'a str) -> zbus::message::Builder<'a> {
    let call = Message::method_call(path, member);
    if interface.is_empty() { call } else { call.interface(interface) }
}

/// An `a{sv}` with values of one type.
pub fn options<'a, T>(entries: &[(&'a str, T)]) -> std::collections::BTreeMap<&'a str, zbus::Variant<'a>>
where
    T: Clone + Into<zbus::Variant<'a>>,
{
    entries.iter().map(|(key, value)| (*key, value.clone().into())).collect()
}

/// An object path as an argument.
pub fn path(text: &str) -> zbus::ObjectPath<'_> {
    zbus::ObjectPath::try_from(text).unwrap()
}

/// A link that is up, or not.
pub fn link(ifindex: Ifindex, state: LinkState) -> Link {
    Link {
        ifindex,
        name: format!("eth{}", ifindex - 1),
        alias: None,
        kind: LinkKind::Ethernet,
        state,
        master: None,
    }
}

/// Ethernet links are called eth0 and so on, from number 2.
pub fn up(ifindex: Ifindex) -> Event {
    Event::Link(Link { name: name(ifindex), ..link(ifindex, LinkState::Up) })
}

/// It has no carrier.
pub fn down(ifindex: Ifindex) -> Event {
    Event::Link(Link { name: name(ifindex), ..link(ifindex, LinkState::Down) })
}

fn name(ifindex: Ifindex) -> String {
    format!("eth{}", ifindex - ETH0)
}

/// It is no more.
pub fn gone(ifindex: Ifindex) -> Event {
    Event::LinkGone { ifindex }
}

/// An address by hand: 192.0.2.HOST/24.
pub fn address(ifindex: Ifindex, host: u8) -> Event {
    Event::Address(Address {
        key: address_key(ifindex, host),
        preferred_until: BootTime::FOREVER,
        valid_until: BootTime::FOREVER,
        tentative: false,
        deprecated: false,
        temporary: false,
        permanent: true,
        from_router_advertisement: false,
        peer: None,
    })
}

/// It is gone.
pub fn address_gone(ifindex: Ifindex, host: u8) -> Event {
    Event::AddressGone { key: address_key(ifindex, host) }
}

fn address_key(ifindex: Ifindex, host: u8) -> AddressKey {
    AddressKey { ifindex, address: [192, 0, 2, host].into(), prefix_length: 24 }
}

/// A DHCPv4 lease of 192.0.2.1 for an hour, with this DNS server.
pub fn lease(ifindex: Ifindex, dns_server: &str) -> Event {
    let expires = clock::now().after(Duration::from_secs(3600));
    let configuration = Configuration {
        dns_servers: vec![dns_server.parse().unwrap()],
        search_domains: vec!["example.org".to_owned()],
        lease_expires: Some(expires),
        ..Configuration::default()
    };
    let lease = Lease { address: [192, 0, 2, 1].into(), prefix_length: 24, expires, configuration };
    Event::Lease { ifindex, client: LeaseClient::Dhcpcd, lease: Box::new(lease) }
}

/// The default route of this link.
pub fn default_route(ifindex: Ifindex) -> Event {
    let destination = mif_core::configuration::Prefix { address: [0, 0, 0, 0].into(), length: 0 };
    let gateway = Some([192, 0, 2, 254].into());
    Event::Route(Route { ifindex, destination, gateway, metric: 100, protocol: 16 })
}

/// One link with a lease, the provisioning domain `implicit:eth0:ipv4`.
pub fn one_link() -> Vec<Event> {
    vec![up(ETH0), address(ETH0, 1), lease(ETH0, "192.0.2.53"), default_route(ETH0)]
}

/// A task that reads whatever comes, so that the client never keeps the service from sending.
fn read_all(client: &Connection) -> mpsc::UnboundedReceiver<Message> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut messages = MessageStream::from(client);
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

fn as_reply(message: Message) -> Reply {
    if message.message_type() != Type::Error {
        return Ok(message);
    }
    let name = message.header().error_name().unwrap().to_string();
    let text: String = message.body().deserialize().unwrap();
    Err((name, text))
}
