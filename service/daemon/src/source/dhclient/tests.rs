#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::clock;
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// Directories of the test's own, and the source over them.
struct Machine {
    top: PathBuf,
    observations: mpsc::Receiver<Observation>,
    inventory: oneshot::Receiver<()>,
    source: tokio::task::JoinHandle<Result<Infallible, SourceError>>,
}

impl Machine {
    fn start(top: PathBuf) -> Self {
        let (feed, observations) = mpsc::channel(64);
        let (sender, inventory) = oneshot::channel();
        let source = tokio::spawn(run(feed, ["dhcp", "dhclient", "nm"].map(|name| top.join(name)), sender));
        Self { top, observations, inventory, source }
    }

    async fn event(&mut self) -> Event {
        let observation = timeout(DEADLINE, self.observations.recv()).await;
        observation.expect("an event in time").expect("a running source").event
    }

    async fn expect_lease(&mut self, address: &str) -> Lease {
        match self.event().await {
            Event::Lease { ifindex, client: LeaseClient::Dhclient, lease }
                if Some(ifindex) == ifindex_of(b"lo") =>
            {
                assert_eq!(lease.address.to_string(), address);
                *lease
            }
            other => panic!("a lease was expected and not {other:?}"),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.source.abort();
        let _ = fs::remove_dir_all(&self.top);
    }
}

fn fresh_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let top = std::env::temp_dir().join(format!("mifd-dhclient-{}-{number}", std::process::id()));
    fs::create_dir_all(top.join("dhcp")).unwrap();
    top
}

/// A lease that ends in `left` seconds (or has ended so long ago).
fn declaration(interface: &str, address: &str, left: i64) -> String {
    let ends = i64::try_from(clocks().unix.as_secs()).unwrap() + left;
    format!(
        "lease {{\n  interface \"{interface}\";\n  fixed-address {address};\n  option dhcp-lease-time 600;\n  \
         expire epoch {ends};\n}}\n"
    )
}

#[tokio::test]
async fn a_file_that_is_appended_to_is_followed() {
    let mut machine = Machine::start(fresh_directory());
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
    let mut file = File::create(machine.top.join("dhcp/dhclient.leases")).unwrap();
    let whole = declaration("lo", "192.0.2.7", 600);
    let (first, rest) = whole.split_at(40);
    file.write_all(first.as_bytes()).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    let before = clock::now();
    let lease = machine.expect_lease("192.0.2.7").await;
    assert!(lease.expires > before.after(Duration::from_secs(500)));
    assert!(lease.expires <= clock::now().after(Duration::from_secs(600)));
    // It is written anew with the same in it; other interfaces do not matter.
    file.set_len(0).unwrap();
    write!(file, "{first}{rest}{}", declaration("no-such-link", "192.0.2.8", 600)).unwrap();
    write!(file, "{}", declaration("lo", "192.0.2.9", 600)).unwrap();
    machine.expect_lease("192.0.2.9").await;
}

#[tokio::test]
async fn leases_at_hand_are_told_before_the_inventory_is_done() {
    let top = fresh_directory();
    fs::write(top.join("dhcp/dhclient.lo.leases"), declaration("lo", "192.0.2.7", 500)).unwrap();
    fs::write(top.join("dhcp/dhclient.lo.leases~"), declaration("lo", "192.0.2.8", 600)).unwrap();
    let mut machine = Machine::start(top);
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
    assert!(matches!(machine.observations.try_recv().unwrap().event, Event::Lease { .. }));
    // Of several files the latest lease counts.
    fs::create_dir(machine.top.join("nm")).unwrap();
    let helper = |name: &str| machine.top.join("nm").join(name);
    fs::write(helper("dhclient-1-lo.lease"), declaration("lo", "192.0.2.1", 400)).unwrap();
    fs::write(helper("dhclient-2-lo.lease"), declaration("lo", "192.0.2.2", 590)).unwrap();
    machine.expect_lease("192.0.2.2").await;
    fs::create_dir(machine.top.join("dhclient")).unwrap();
    fs::write(machine.top.join("dhclient/dhclient--lo.lease"), declaration("lo", "192.0.2.3", 595)).unwrap();
    machine.expect_lease("192.0.2.3").await;
}

#[tokio::test]
async fn a_lease_that_has_run_out_takes_the_place_of_another() {
    let top = fresh_directory();
    let path = top.join("dhcp/dhclient.leases");
    fs::write(&path, declaration("lo", "192.0.2.7", 500)).unwrap();
    let mut machine = Machine::start(top);
    machine.expect_lease("192.0.2.7").await;
    fs::write(&path, declaration("lo", "192.0.2.8", -1)).unwrap();
    let ifindex = ifindex_of(b"lo").unwrap();
    assert_eq!(machine.event().await, Event::LeaseGone { ifindex, client: LeaseClient::Dhclient });
}

#[test]
fn lease_files_are_told_from_the_rest() {
    for name in ["dhclient.leases", "dhclient.eth0.leases", "dhclient-0a1b-eth0.lease"] {
        assert!(is_lease_file(OsStr::new(name)), "{name}");
    }
    for name in ["dhcpd.leases", "dhclient.leases~", "dhclient.conf", "internal-0a1b-eth0.lease"] {
        assert!(!is_lease_file(OsStr::new(name)), "{name}");
    }
}
