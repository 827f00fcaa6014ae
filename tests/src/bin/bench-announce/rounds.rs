//! The three things that are measured.

use crate::say;
use futures_util::StreamExt;
use mif::{Message, Messages, State, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd, MifdSettings};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::universe::Universe;
use mif_tests::usage::Usage;
use mif_tests::wait::{completes, eventually};
use socket2::{Domain, Protocol, Socket, Type};
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior};
use zbus::Connection;

const PERIOD: Duration = Duration::from_secs(4);

/// A link, a service on it, and a client that is told.
pub struct Bench {
    mifd: Mifd,
    connection: Connection,
    messages: Messages,
    _subscriber: Subscriber,
    router: RawSender,
    raw: Socket,
}

impl Bench {
    /// Starts mifd and subscribes.
    pub async fn start(universe: &Universe, bus: &Bus, cable: Cable) -> Self {
        let mifd = MifdSettings::new(universe, bus).log("warn").start().await;
        let connection = bus.connect().await;
        let interface = eventually("eth1", async || {
            let state = State::read(&connection).await.map_err(|error| error.to_string())?;
            let found = state.interfaces.iter().find(|interface| interface.name == "eth1");
            found.map(|interface| interface.path.clone()).ok_or("not there".to_owned())
        })
        .await;
        let (subscriber, messages) = Subscriber::create(&connection, "bench").await.expect("a subscriber");
        subscriber.announce_provisioning_domains(&interface).await.expect("announcements");
        let raw = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("a raw socket");
        raw.bind_device(Some(b"eth1")).expect("bind to the link");
        raw.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        let router = RawSender::on(cable.far());
        Self { mifd, connection, messages, _subscriber: subscriber, router, raw }
    }

    /// Both ways in turn.
    pub async fn announce(&mut self, rounds: usize) {
        let (mut floor, mut hop, mut told) = (Vec::new(), Vec::new(), Vec::new());
        // Four advertisements a round, at less than the rate at which those of a link are looked at.
        let mut pace = every(Duration::from_millis(45));
        for number in 0..rounds {
            pace.tick().await;
            let id = format!("pvd{number}.example.org");
            let empty = RouterAdvertisement::new(0);
            self.drain_raw();
            let since = Instant::now();
            self.router.send(RouterAdvertisement::new(1800).pvd(0, 1, &id, &empty).bytes());
            self.hear();
            floor.push(since.elapsed());
            self.next(|message| matches!(message, Message::ProvisioningDomainAnnouncement { .. })).await;
            self.withdraw(&id).await;

            let since = Instant::now();
            let bus = "org.freedesktop.DBus";
            let call =
                self.connection.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetId", &());
            call.await.expect("the bus answers");
            hop.push(since.elapsed());

            let since = Instant::now();
            self.router.send(RouterAdvertisement::new(1800).pvd(0, 2, &id, &empty).bytes());
            self.next(|message| matches!(message, Message::ProvisioningDomainAnnouncement { .. })).await;
            told.push(since.elapsed());
            self.withdraw(&id).await;
        }
        let [floor, hop, told] = [floor, hop, told].map(median);
        let beyond = told.saturating_sub(floor + hop);
        say(&format!("new PvD announced, p50 of {rounds} rounds, us:"));
        say(&format!("  raw socket {}, a call to the bus {}, mifd {}", us(floor), us(hop), us(told)));
        say(&format!("  beyond raw socket and one hop: {} (goal 300)", us(beyond)));
    }

    /// The same advertisement over and over.
    pub async fn repeat(&mut self, repeats: usize) {
        let message =
            RouterAdvertisement::new(1800).pvd(0, 1, "same.example.org", &RouterAdvertisement::new(0));
        self.router.send(message.bytes());
        self.next(|message| matches!(message, Message::ProvisioningDomainAnnouncement { .. })).await;
        let before = Usage::of(self.mifd.process());
        // Below the rate at which advertisements of a link are looked at.
        let mut pace = every(Duration::from_millis(11));
        for _ in 0..repeats {
            pace.tick().await;
            self.drain_raw();
            self.router.send(message.bytes());
            self.hear();
        }
        let used = Usage::of(self.mifd.process()).since(before);
        // A change after all of them: what comes first would be theirs.
        self.withdraw("same.example.org").await;
        let each = used.cpu / u32::try_from(repeats).unwrap_or(1);
        say(&format!(
            "repeated advertisement: no signal, {} us of CPU each, of {repeats} (goal 100)",
            us(each)
        ));
    }

    /// Nothing but an advertisement every 4 s.
    pub async fn idle(&mut self, count: usize) {
        let message =
            RouterAdvertisement::new(1800).pvd(0, 1, "idle.example.org", &RouterAdvertisement::new(0));
        self.router.send(message.bytes());
        self.next(|message| matches!(message, Message::ProvisioningDomainAnnouncement { .. })).await;
        let mut pace = every(PERIOD);
        pace.tick().await;
        pace.tick().await;
        let before = Usage::of(self.mifd.process());
        for _ in 0..count {
            self.router.send(message.bytes());
            pace.tick().await;
        }
        let used = Usage::of(self.mifd.process()).since(before);
        let each = used.sleeps as f64 / count as f64;
        say(&format!("idle with one every 4 s: {each:.1} wake-ups of a thread each, of {count} (goal 1)"));
    }

    async fn withdraw(&mut self, id: &str) {
        let nothing = RouterAdvertisement::new(0);
        self.router.send(RouterAdvertisement::new(0).pvd(0, 1, id, &nothing).bytes());
        self.next(|message| matches!(message, Message::NoProvisioningDomainAnnouncement { .. })).await;
    }

    /// The next message must be the one that is waited for.
    async fn next(&mut self, wanted: impl Fn(&Message) -> bool) {
        let message = completes("a message", self.messages.next()).await;
        let message = message.expect("the stream goes on").expect("a good message");
        assert!(wanted(&message), "{message:?}");
    }

    /// Waits until the raw socket has something; what else it hears on the link counts as an advertisement, too.
    fn hear(&self) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 2_048];
        self.raw.recv(&mut buffer).expect("an advertisement");
    }

    fn drain_raw(&self) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 2_048];
        self.raw.set_nonblocking(true).expect("not to block");
        while self.raw.recv(&mut buffer).is_ok() {}
        self.raw.set_nonblocking(false).expect("to block");
    }
}

/// A schedule, of which the first moment is now; what comes late puts off the rest.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn us(duration: Duration) -> u128 {
    duration.as_micros()
}
