//! Nodes: network namespaces of a universe, each a machine with links of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::cable::LinkEnd;
use crate::process::{self, Output, Process};
use crate::tool;

/// Where `ip netns` keeps its names.
const NAMED_NAMESPACES: &str = "/run/netns";

/// The name of the node that a universe starts with.
const HOST: &str = "host";

/// Settings of every new node: duplicate address detection and the delays of the kernel cost one to
/// four seconds per address, so they are off unless a test is about them
/// ([`LinkEnd::duplicate_address_detection`]).
const SETTINGS: &[(&str, &str)] = &[
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/router_solicitation_delay", "0"),
];

/// A machine of the universe.
#[derive(Clone, Debug)]
pub struct Node {
    name: Arc<str>,
    namespace: Arc<File>,
}

/// An `ip` that does line by line what it is told.
#[derive(Debug)]
pub struct Batch {
    lines: ChildStdin,
    _child: Child,
}

impl Batch {
    /// Has it do something, such as `link set eth1 up`, and does not wait for that.
    ///
    /// # Panics
    /// When it has ended.
    pub fn line(&mut self, line: &str) {
        self.lines.write_all(format!("{line}\n").as_bytes()).expect("ip takes what it is to do");
    }
}

impl Node {
    /// The node the universe starts with, under the name `host`.
    pub(crate) fn host() -> Self {
        name_namespace(HOST);
        Self::open(HOST)
    }

    /// A new network namespace.
    ///
    /// # Panics
    /// When the name is taken.
    pub(crate) fn create(name: &str) -> Self {
        let owned = name.to_owned();
        on_a_thread(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
            name_namespace(&owned);
        });
        Self::open(name)
    }

    fn open(name: &str) -> Self {
        let namespace = File::open(Path::new(NAMED_NAMESPACES).join(name)).expect("open the namespace");
        let node = Self { name: name.into(), namespace: Arc::new(namespace) };
        for (key, value) in SETTINGS {
            node.set(key, value);
        }
        node.ip("link set lo up");
        node
    }

    /// Its name, the same that `ip -n NAME` takes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An end of a cable that is to be plugged into this node.
    pub fn end(&self, link: &str) -> LinkEnd {
        LinkEnd::new(self, link)
    }

    /// Makes this node a router: forwarding on, for both families.
    pub fn forward(&self) {
        self.set("net/ipv4/ip_forward", "1");
        self.set("net/ipv6/conf/all/forwarding", "1");
    }

    /// Writes a kernel setting below `/proc/sys`, for example `net/ipv4/ip_forward`.
    ///
    /// # Panics
    /// When the kernel does not take it.
    pub fn set(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key);
        let value = value.to_owned();
        self.within(move || {
            if let Err(error) = fs::write(&path, &value) {
                panic!("cannot write {value:?} to {}: {error}", path.display());
            }
        });
    }

    /// Runs `ip` with arguments parted by blanks and hands back what it wrote.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        self.run("ip", arguments.split_whitespace())
    }

    /// The same where it may well fail, in the midst of other changes.
    pub fn try_ip(&self, arguments: &str) {
        self.try_run("ip", arguments.split_whitespace());
    }

    /// Runs a program in this node to its end and hands back what it wrote.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> String {
        let output = self.try_run(program, arguments);
        assert!(output.code == 0, "{program} in {} failed: {output:#?}", self.name);
        output.stdout
    }

    /// Runs a program in this node to its end, whatever that is.
    #[track_caller]
    pub fn try_run<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Output {
        let mut command = tool::command(program);
        command.args(arguments);
        self.within(move || process::output_now(command))
    }

    /// How many packets each counter of a table of nftables has counted, in the order of its rules.
    ///
    /// # Panics
    /// When the table has another number of counters.
    #[track_caller]
    pub fn counters<const N: usize>(&self, family: &str, table: &str) -> [u64; N] {
        let listing = self.run("nft", ["list", "table", family, table]);
        let counted = listing.split("packets ").skip(1);
        let counted = counted.filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
        let counted: Vec<u64> = counted.collect();
        counted.try_into().unwrap_or_else(|_| panic!("not the {N} counters: {listing}"))
    }

    /// An `ip` that waits for what it is to do, for where it matters when that is done: starting a program takes
    /// longer than what it does.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn batch(&self) -> Batch {
        let mut command = tool::command("ip");
        command.args(["-force", "-batch", "-"]).stdin(Stdio::piped());
        let mut child = self.within(move || command.spawn()).expect("start ip");
        Batch { lines: child.stdin.take().expect("its standard input"), _child: child }
    }

    /// Starts a program in this node.
    #[track_caller]
    pub fn spawn(&self, name: &str, command: Command) -> Process {
        let name = if self.is_host() { name.to_owned() } else { format!("{}-{name}", self.name) };
        self.within(move || Process::spawn(&name, command))
    }

    /// Runs something on a thread that is in this node, for example to open a socket there: a socket
    /// stays in the namespace in which it was made.
    #[track_caller]
    pub fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&*self.namespace, CloneFlags::CLONE_NEWNET).expect("enter a network namespace");
            action()
        })
    }

    fn is_host(&self) -> bool {
        &*self.name == HOST
    }
}

/// Gives the network namespace of this thread a name for `ip netns`.
fn name_namespace(name: &str) {
    let path = Path::new(NAMED_NAMESPACES).join(name);
    if let Err(error) = File::create_new(&path) {
        panic!("cannot name a node {name}: {error}");
    }
    let own = Some("/proc/thread-self/ns/net");
    mount(own, &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind a namespace");
}

/// A network namespace belongs to a thread: what is done elsewhere is done on one that ends after.
#[track_caller]
fn on_a_thread<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    let result = std::thread::scope(|scope| scope.spawn(action).join());
    match result {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
