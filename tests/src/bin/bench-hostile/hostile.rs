//! One client that means no good.

use mif_tests::raw_client::RawClient;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use zbus::{OwnedObjectPath, Variant};

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";
const PEER: &str = "org.freedesktop.DBus.Peer";

/// How many calls of a kind it makes before it reads.
const AT_ONCE: usize = 64;
/// After so many calls of which it reads nothing it begins anew, closed or not.
const UNREAD: usize = 20_000;

/// What it does, without a pause.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Asks for all objects, and waits for the answer.
    Everything,
    /// Calls 64 times, then reads 64 replies.
    Calls,
    /// Calls, and wants no replies.
    Silent,
    /// Has everything announced, and reads nothing.
    Unread,
    /// Names of a megabyte.
    Large,
    /// Connections that are cancelled at once.
    Work,
    /// Comes, subscribes, and leaves.
    Leaving,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Everything, Self::Calls, Self::Silent, Self::Unread, Self::Large, Self::Work, Self::Leaving];
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Everything => "all objects in a loop",
            Self::Calls => "64 calls at a time",
            Self::Silent => "calls that want no reply",
            Self::Unread => "announcements that are not read",
            Self::Large => "names of a megabyte",
            Self::Work => "connections cancelled at once",
            Self::Leaving => "comes, subscribes and leaves",
        })
    }
}

/// The client, on a thread of its own.
pub struct Hostile {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Hostile {
    /// Lets it loose; it has begun when this returns.
    pub fn start(kind: Kind, pvd: &OwnedObjectPath) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = Client { kind, pvd: pvd.clone(), stop: Arc::clone(&stop), done: Arc::clone(&done) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(client.work());
        });
        while done.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        Self { thread, stop }
    }

    /// Has it leave.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.expect("a thread").expect("no panic");
    }
}

struct Client {
    kind: Kind,
    pvd: OwnedObjectPath,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Client {
    async fn work(self) {
        while !self.stop.load(Ordering::Relaxed) {
            let mut bus = RawClient::without_descriptors().await;
            let path = format!("/org/ietf/Mif1Subscriber/{}/hostile", bus.name()[1..].replace('.', "_"));
            let none: HashMap<&str, Variant<'_>> = HashMap::new();
            bus.call(ROOT, MANAGER, "CreateSubscriber", &("hostile", none)).await.expect("a subscriber");
            for number in 0..UNREAD {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                self.act(&mut bus, &path, number).await;
                self.done.fetch_add(1, Ordering::Relaxed);
                if matches!(self.kind, Kind::Leaving) {
                    break;
                }
            }
        }
    }

    async fn act(&self, bus: &mut RawClient, path: &str, number: usize) {
        let none: HashMap<&str, Variant<'_>> = HashMap::new();
        match self.kind {
            Kind::Everything => {
                let manager = "org.freedesktop.DBus.ObjectManager";
                bus.call(ROOT, manager, "GetManagedObjects", &()).await.expect("an answer");
            }
            Kind::Calls => {
                let mut last = None;
                for _ in 0..AT_ONCE {
                    last = Some(bus.post(ROOT, PEER, "Ping", &()).await);
                }
                bus.reply_to(last.expect("a call")).await.expect("an answer");
            }
            Kind::Silent => bus.tell(ROOT, PEER, "Ping", &()).await,
            Kind::Unread => drop(bus.post(path, SUBSCRIBER, "AnnounceInterfaces", &()).await),
            Kind::Large => {
                let name = "a".repeat(1 << 20);
                bus.call(self.pvd.as_str(), PVD, "TranslateName", &(name, none)).await.expect_err("too long");
            }
            Kind::Work => {
                let id = u32::try_from(number).unwrap_or(0);
                let arguments = (id, &self.pvd, "192.0.2.99", 7_u16, none);
                bus.post(path, SUBSCRIBER, "ConnectToAddress", &arguments).await;
                bus.call(path, SUBSCRIBER, "CancelConnection", &id).await.expect("an answer");
            }
            Kind::Leaving => drop(bus.post(path, SUBSCRIBER, "AnnounceInterfaces", &()).await),
        }
    }
}
