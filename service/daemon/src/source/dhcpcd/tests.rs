//! The source against a dhcpcd of the test's own. Its leases are of 127.0.0.1 on lo: the one address that every
//! machine has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::os::unix::net as blocking;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

const LEASE: [&str; 6] = [
    "reason=BOUND",
    "protocol=dhcp",
    "if_up=true",
    "new_ip_address=127.0.0.1",
    "new_dhcp_lease_time=180",
    "new_domain_name=isp.example",
];
const EXPIRY: [&str; 3] = ["reason=EXPIRE", "protocol=dhcp", "if_up=false"];

struct Machine {
    directory: PathBuf,
    observations: mpsc::Receiver<Observation>,
    inventory: oneshot::Receiver<()>,
    source: tokio::task::JoinHandle<Result<Infallible, SourceError>>,
}

impl Machine {
    /// The source over `directory`, which may not exist yet.
    fn start(directory: PathBuf) -> Self {
        let (feed, observations) = mpsc::channel(64);
        let (sender, inventory) = oneshot::channel();
        let source = tokio::spawn(run(feed, directory.clone(), sender));
        Self { directory, observations, inventory, source }
    }

    async fn event(&mut self) -> Event {
        let observation = timeout(DEADLINE, self.observations.recv()).await;
        observation.expect("an event in time").expect("a running source").event
    }

    async fn expect_lease(&mut self) -> Lease {
        match self.event().await {
            Event::Lease { ifindex, client: LeaseClient::Dhcpcd, lease } if ifindex == loopback() => *lease,
            other => panic!("a lease was expected and not {other:?}"),
        }
    }

    async fn expect_lease_gone(&mut self) {
        let expected = Event::LeaseGone { ifindex: loopback(), client: LeaseClient::Dhcpcd };
        assert_eq!(self.event().await, expected);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.source.abort();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn loopback() -> Ifindex {
    if_nametoindex("lo").expect("a loopback link")
}

fn fresh_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("mifd-dhcpcd-{}-{number}", std::process::id()))
}

/// A socket that was made an hour ago.
fn old_socket(path: &Path) -> UnixListener {
    let listener = blocking::UnixListener::bind(path).unwrap();
    let long_ago = TimeSpec::new(1, 0);
    utimensat(nix::fcntl::AT_FDCWD, path, &long_ago, &long_ago, UtimensatFlags::FollowSymlink).unwrap();
    listener.set_nonblocking(true).unwrap();
    UnixListener::from_std(listener).unwrap()
}

/// The next client, which must say `command`.
async fn client(listener: &UnixListener, command: &str) -> UnixStream {
    let (mut stream, _) = timeout(DEADLINE, listener.accept()).await.expect("a client in time").unwrap();
    let mut said = vec![0; command.len() + 1];
    timeout(DEADLINE, stream.read_exact(&mut said)).await.expect("a command in time").unwrap();
    assert_eq!(said, [command.as_bytes(), b"\0"].concat());
    stream
}

fn frame(variables: &[&str]) -> Vec<u8> {
    let mut message = b"PATH=/bin\0interface=lo\0".to_vec();
    variables.iter().for_each(|variable| message.extend([variable.as_bytes(), b"\0"].concat()));
    [message.len().to_ne_bytes().as_slice(), &message].concat()
}

#[test]
fn unprivileged_sockets_are_told_from_the_rest() {
    for name in ["unpriv.sock", "wan.unpriv.sock", "wan-4.unpriv.sock", "a.b-6.unpriv.sock"] {
        assert!(is_socket_name(OsStr::new(name)), "{name}");
    }
    for name in ["sock", "wan-4.sock", "wan-4.pid", "hook-state", "xunpriv.sock", ""] {
        assert!(!is_socket_name(OsStr::new(name)), "{name}");
    }
}

#[tokio::test]
async fn a_machine_without_dhcpcd_is_ready_at_once() {
    let mut machine = Machine::start(fresh_directory());
    let done = timeout(DEADLINE, &mut machine.inventory).await;
    assert_eq!(done, Ok(Ok(())));
}

#[tokio::test]
async fn a_dhcpcd_that_starts_later_is_listened_to_before_it_is_asked() {
    let mut machine = Machine::start(fresh_directory());
    std::fs::create_dir(&machine.directory).unwrap();
    let begun = Instant::now();
    let listener = UnixListener::bind(machine.directory.join("lo-4.unpriv.sock")).unwrap();
    let mut events = client(&listener, "--listen").await;
    events.write_all(&frame(&LEASE)).await.unwrap();
    let lease = machine.expect_lease().await;
    assert_eq!(lease.configuration.domain_name.as_deref(), Some("isp.example"));
    events.write_all(&frame(&EXPIRY)).await.unwrap();
    machine.expect_lease_gone().await;
    let _question = client(&listener, "--getinterfaces").await;
    assert!(begun.elapsed() > Duration::from_secs(1), "dhcpcd 9.4 dies when it is asked too early");
}

#[tokio::test]
async fn leases_at_hand_are_told_before_the_inventory_is_done() {
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let listener = old_socket(&directory.join("unpriv.sock"));
    let mut machine = Machine::start(directory);
    let mut events = client(&listener, "--listen").await;
    let mut answer = client(&listener, "--getinterfaces").await;
    answer.write_all(&2_usize.to_ne_bytes()).await.unwrap();
    answer.write_all(&frame(&["reason=CARRIER", "protocol=link"])).await.unwrap();
    assert!(machine.inventory.try_recv().is_err());
    answer.write_all(&frame(&LEASE)).await.unwrap();
    let lease = machine.expect_lease().await;
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
    // The same again is no news; another name is.
    events
        .write_all(&frame(&["reason=RECONFIGURE", "protocol=dhcp", "new_ip_address=127.0.0.1"]))
        .await
        .unwrap();
    let changed = machine.expect_lease().await;
    assert_eq!((changed.configuration.domain_name, changed.expires), (None, lease.expires));
}

#[tokio::test]
async fn a_silent_dhcpcd_does_not_hold_up_the_start() {
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let _listener = old_socket(&directory.join("unpriv.sock"));
    let mut machine = Machine::start(directory);
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
}

#[tokio::test]
async fn the_lease_ends_with_its_dhcpcd_and_comes_back_with_the_next() {
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("lo.unpriv.sock");
    let mut machine = Machine::start(directory);
    for _ in 0..2 {
        let listener = UnixListener::bind(&path).unwrap();
        let mut events = client(&listener, "--listen").await;
        events.write_all(&frame(&LEASE)).await.unwrap();
        machine.expect_lease().await;
        drop(listener);
        std::fs::remove_file(&path).unwrap();
        drop(events);
        machine.expect_lease_gone().await;
    }
}

#[tokio::test]
async fn a_stream_out_of_step_ends_and_is_begun_anew() {
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let listener = UnixListener::bind(directory.join("lo.unpriv.sock")).unwrap();
    let mut machine = Machine::start(directory);
    let mut events = client(&listener, "--listen").await;
    events.write_all(&frame(&LEASE)).await.unwrap();
    machine.expect_lease().await;
    events.write_all(&usize::MAX.to_ne_bytes()).await.unwrap();
    machine.expect_lease_gone().await;
    let mut events = client(&listener, "--listen").await;
    events.write_all(&frame(&LEASE)).await.unwrap();
    machine.expect_lease().await;
}

#[tokio::test]
async fn a_lease_whose_address_no_link_has_is_not_told() {
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let listener = UnixListener::bind(directory.join("lo.unpriv.sock")).unwrap();
    let mut machine = Machine::start(directory);
    let mut events = client(&listener, "--listen").await;
    let elsewhere = ["reason=BOUND", "protocol=dhcp", "if_up=true", "new_ip_address=192.0.2.1"];
    events.write_all(&frame(&elsewhere)).await.unwrap();
    events.write_all(&frame(&LEASE)).await.unwrap();
    assert_eq!(machine.expect_lease().await.address.to_string(), "127.0.0.1");
}

#[tokio::test]
async fn what_is_set_by_hand_is_told_as_set_and_goes_with_dhcpcd() {
    const STATIC: [&str; 5] = [
        "reason=STATIC",
        "protocol=dhcp",
        "if_up=true",
        "new_ip_address=127.0.0.1",
        "new_domain_name_servers=192.0.2.53",
    ];
    let directory = fresh_directory();
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("lo.unpriv.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut machine = Machine::start(directory);
    let mut events = client(&listener, "--listen").await;
    let (ifindex, manager) = (loopback(), SettingsManager::Dhcpcd);
    let settings =
        LinkSettings { dns_servers: vec!["192.0.2.53".parse().unwrap()], ..LinkSettings::default() };
    let set = Event::Settings { ifindex, manager, settings: Box::new(settings) };
    events.write_all(&frame(&LEASE)).await.unwrap();
    machine.expect_lease().await;
    // The same again is no news.
    for _ in 0..2 {
        events.write_all(&frame(&STATIC)).await.unwrap();
    }
    machine.expect_lease_gone().await;
    assert_eq!(machine.event().await, set);
    events.write_all(&frame(&LEASE)).await.unwrap();
    assert_eq!(machine.event().await, Event::SettingsGone { ifindex, manager });
    machine.expect_lease().await;
    events.write_all(&frame(&STATIC)).await.unwrap();
    machine.expect_lease_gone().await;
    assert_eq!(machine.event().await, set);
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    drop(events);
    assert_eq!(machine.event().await, Event::SettingsGone { ifindex, manager });
}
