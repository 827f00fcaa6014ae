//! A network of one host and its neighbours, in namespaces that end with the test.
//!
//! The test runs itself again inside a fresh user and network namespace: it is root there, and nothing can leave. A
//! neighbour is a thread in a network namespace of its own, at the other end of a veth pair.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod dns;
pub mod nis;
pub mod responder;
pub mod translation;

use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up.
pub const DEADLINE: Duration = Duration::from_secs(20);

const INSIDE: &str = "MIFD_TEST_INSIDE";

/// Runs `body` inside namespaces of its own. `test` is the full name of the calling test.
pub fn universe(test: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return body();
    }
    let own = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is missing: install the Debian package util-linux");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

/// Runs `ip` in the network namespace of this thread.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip is missing: install the Debian package iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `holds`.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come in {DEADLINE:?}");
        std::thread::yield_now();
    }
}

/// Counts inputs that a caller got wrong, where `cargo xtask test` wants to know (see the testbed's tally).
pub fn bad_inputs(count: usize) {
    let Some(path) = std::env::var_os("MIF_TALLY") else { return };
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, format!("bad-inputs {count}\n").as_bytes()).unwrap();
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn ifindex(link: &str) -> u32 {
    nix::net::if_::if_nametoindex(link).unwrap()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Makes the link `name` to a neighbour: addresses of this host and of the neighbour, and what the neighbour does
/// first, in its own network namespace. Threads that it starts live there too.
pub fn neighbour(name: &str, own: &[&str], theirs: &[&str], first: impl FnOnce() + Send + 'static) {
    let (tell_thread, thread) = mpsc::channel();
    let (tell_linked, linked) = mpsc::channel::<()>();
    let (tell_ready, ready) = mpsc::channel();
    let theirs: Vec<String> = theirs.iter().map(|address| (*address).to_owned()).collect();
    std::thread::spawn(move || {
        // SAFETY: unshare changes the namespace of this thread only, and touches no memory.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "unshare");
        tell_thread.send(nix::unistd::gettid()).unwrap();
        linked.recv().unwrap();
        ip("link set lo up");
        set_up("peer", theirs.iter().map(String::as_str));
        wait_until_usable("peer");
        first();
        tell_ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    });
    let thread = thread.recv().unwrap();
    ip(&format!("link add {name} type veth peer name peer netns {thread}"));
    set_up(name, own.iter().copied());
    tell_linked.send(()).unwrap();
    wait_until_usable(name);
    ready.recv().unwrap();
}

/// The kernel notices a carrier up to a second late, and frames before that are lost.
fn wait_until_usable(link: &str) {
    wait_for("the carrier", || ip(&format!("link show {link}")).contains("LOWER_UP"));
    wait_for("the link-local address", || {
        let addresses = ip(&format!("-6 address show dev {link}"));
        addresses.contains("fe80::") && !addresses.contains("tentative")
    });
}

fn set_up<'a>(link: &str, addresses: impl Iterator<Item = &'a str>) {
    // Duplicate address detection takes a second or more, and nobody else is there.
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/accept_dad"), "0").unwrap();
    for address in addresses {
        ip(&format!("address add {address} dev {link}"));
    }
    ip(&format!("link set {link} up"));
}
