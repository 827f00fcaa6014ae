//! One client that means no good.

use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::raw_client::RawClient;
use mif_tests::user::as_visitor;
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::process::Command;
use zbus::{ObjectPath, Variant};

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";
const PEER: &str = "org.freedesktop.DBus.Peer";

/// How many calls of a kind it makes before it reads.
const AT_ONCE: usize = 64;
/// The first argument of the program that is the client.
pub const ITSELF: &str = "hostile";
/// What it says then.
const BEGUN: &str = "it has begun";
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

    /// How it is asked for.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Calls => "calls",
            Self::Silent => "silent",
            Self::Unread => "unread",
            Self::Large => "large",
            Self::Work => "work",
            Self::Leaving => "leaving",
        }
    }
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

/// Whom it calls: a name on the bus, and the object that has provisioning domains' methods.
#[derive(Clone, Debug)]
pub struct Victim {
    /// The name.
    pub name: String,
    /// The path of the object.
    pub path: String,
}

/// The client, a process of its own and another user's.
pub struct Hostile(Process);

impl Hostile {
    /// Lets it loose; it has begun when this returns.
    pub async fn start(host: &Node, kind: Kind, victim: &Victim) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.args([ITSELF, kind.word(), &victim.name, &victim.path]);
        let process = host.spawn("hostile", as_visitor(command));
        process.wait_for_log(BEGUN).await;
        Self(process)
    }

    /// Has it leave.
    pub async fn stop(self) {
        self.0.kill().await;
    }
}

/// What the program is when its first argument is [`ITSELF`]: that client, until it is killed.
pub fn be_hostile(arguments: &[String]) {
    let [word, name, path] = arguments else { panic!("not from a benchmark: {arguments:?}") };
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).expect("one of them");
    let victim = Victim { name: name.clone(), path: path.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(Client { kind, victim, begun: false }.work());
}

struct Client {
    kind: Kind,
    victim: Victim,
    begun: bool,
}

impl Client {
    async fn work(mut self) {
        loop {
            let mut bus = RawClient::without_descriptors().await.calling(&self.victim.name);
            let path = format!("/org/ietf/Mif1Subscriber/{}/hostile", bus.name()[1..].replace('.', "_"));
            let none: HashMap<&str, Variant<'_>> = HashMap::new();
            bus.call(ROOT, MANAGER, "CreateSubscriber", &("hostile", none)).await.expect("a subscriber");
            for number in 0..UNREAD {
                self.act(&mut bus, &path, number).await;
                if !self.begun {
                    self.begun = true;
                    writeln!(std::io::stdout().lock(), "{BEGUN}").expect("somebody waits for it");
                }
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
                // Too long for one, nothing to the other.
                let _ = bus.call(&self.victim.path, PVD, "TranslateName", &(name, none)).await;
            }
            Kind::Work => {
                let id = u32::try_from(number).unwrap_or(0);
                let pvd = ObjectPath::try_from(self.victim.path.as_str()).expect("a path");
                let arguments = (id, pvd, "192.0.2.99", 7_u16, none);
                bus.post(path, SUBSCRIBER, "ConnectToAddress", &arguments).await;
                bus.call(path, SUBSCRIBER, "CancelConnection", &id).await.expect("an answer");
            }
            Kind::Leaving => drop(bus.post(path, SUBSCRIBER, "AnnounceInterfaces", &()).await),
        }
    }
}
