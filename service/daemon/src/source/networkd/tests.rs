#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// A state directory of the test's own, and the source over it.
struct Machine {
    top: PathBuf,
    directory: PathBuf,
    observations: mpsc::Receiver<Observation>,
    inventory: oneshot::Receiver<()>,
    source: tokio::task::JoinHandle<Result<Infallible, SourceError>>,
}

impl Machine {
    fn start(directory: PathBuf) -> Self {
        let (feed, observations) = mpsc::channel(64);
        let (sender, inventory) = oneshot::channel();
        let top = directory.parent().unwrap().to_owned();
        let state = State { leases: directory.clone(), links: top.join("links") };
        let source = tokio::spawn(run(feed, state, sender));
        Self { top, directory, observations, inventory, source }
    }

    async fn event(&mut self) -> Event {
        let observation = timeout(DEADLINE, self.observations.recv()).await;
        observation.expect("an event in time").expect("a running source").event
    }

    async fn expect_lease(&mut self, link: Ifindex, address: &str) {
        match self.event().await {
            Event::Lease { ifindex, client: LeaseClient::Networkd, lease } => {
                assert_eq!((ifindex, lease.address.to_string().as_str()), (link, address));
            }
            other => panic!("a lease was expected and not {other:?}"),
        }
    }

    async fn expect_lease_gone(&mut self, ifindex: Ifindex) {
        assert_eq!(self.event().await, Event::LeaseGone { ifindex, client: LeaseClient::Networkd });
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
    let top = std::env::temp_dir().join(format!("mifd-networkd-{}-{number}", std::process::id()));
    fs::create_dir(&top).unwrap();
    top.join("leases")
}

/// Writes a file as networkd does: aside, and then into its place.
fn put(directory: &Path, name: &str, text: &str) {
    let aside = directory.join(format!(".#{name}a1b2c3"));
    fs::write(&aside, text).unwrap();
    fs::rename(aside, directory.join(name)).unwrap();
}

#[tokio::test]
async fn leases_come_change_and_go_with_their_files() {
    let mut machine = Machine::start(fresh_directory());
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
    let directory = machine.directory.clone();
    fs::create_dir(&directory).unwrap();
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    machine.expect_lease(7, "192.0.2.7").await;
    // The same again is no news; nor is what is no lease.
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    put(&directory, "8", "ADDRESS=\n");
    put(&directory, "eth0", "ADDRESS=192.0.2.8\n");
    put(&directory, "7", "ADDRESS=192.0.2.9\n");
    machine.expect_lease(7, "192.0.2.9").await;
    fs::remove_file(directory.join("7")).unwrap();
    machine.expect_lease_gone(7).await;
}

#[tokio::test]
async fn leases_at_hand_are_told_before_the_inventory_is_done() {
    let directory = fresh_directory();
    fs::create_dir(&directory).unwrap();
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    let mut machine = Machine::start(directory);
    assert_eq!(timeout(DEADLINE, &mut machine.inventory).await, Ok(Ok(())));
    assert!(matches!(machine.observations.try_recv().unwrap().event, Event::Lease { ifindex: 7, .. }));
}

#[tokio::test]
async fn the_leases_go_with_their_directory() {
    let directory = fresh_directory();
    fs::create_dir(&directory).unwrap();
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    let mut machine = Machine::start(directory.clone());
    machine.expect_lease(7, "192.0.2.7").await;
    fs::rename(&directory, directory.with_extension("away")).unwrap();
    machine.expect_lease_gone(7).await;
    fs::rename(directory.with_extension("away"), &directory).unwrap();
    machine.expect_lease(7, "192.0.2.7").await;
}

/// As when networkd starts anew: it drops the lease, and says of the link that it is being configured.
#[tokio::test]
async fn a_lease_ends_when_its_link_is_settled_without_it() {
    let directory = fresh_directory();
    fs::create_dir(&directory).unwrap();
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    put(&directory, "8", "ADDRESS=192.0.2.8\n");
    let mut machine = Machine::start(directory.clone());
    machine.expect_lease(7, "192.0.2.7").await;
    machine.expect_lease(8, "192.0.2.8").await;
    let links = machine.top.join("links");
    fs::create_dir(&links).unwrap();
    for link in ["7", "8"] {
        put(&links, link, "ADMIN_STATE=configured\n");
        fs::remove_file(directory.join(link)).unwrap();
        for state in ["pending", "initialized", "configuring"] {
            put(&links, link, &format!("ADMIN_STATE={state}\n"));
        }
    }
    // The same lease again is no news, and what comes after it shows that nothing was told in between.
    put(&directory, "7", "ADDRESS=192.0.2.7\n");
    put(&links, "7", "ADMIN_STATE=configured\n");
    put(&directory, "9", "ADDRESS=192.0.2.9\n");
    machine.expect_lease(9, "192.0.2.9").await;
    put(&links, "8", "ADMIN_STATE=configured\n");
    machine.expect_lease_gone(8).await;
    fs::remove_file(directory.join("7")).unwrap();
    fs::remove_file(links.join("7")).unwrap();
    machine.expect_lease_gone(7).await;
}
