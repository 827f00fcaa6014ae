//! Networks by the hundred, and what becomes of them.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mif::{Message, Messages, State, Subscriber};
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::wait::eventually;
use zbus::Connection;

const DAY: u32 = 86_400;

/// The first deadline, in days.
const DAYS: u32 = 1_000;

/// Networks with an address each, two to a pair of links: number 0 is on `b0`, 1 on `a0`, 2 on `b1` ..., in the order of
/// the list.
pub struct Crowd {
    ip: ChildStdin,
    _process: Child,
    pairs: u32,
    /// Days until the address of a network expires.
    days: HashMap<u32, u32>,
    turn: u32,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Self {
        let mut command = tool::command("ip");
        command.args(["-force", "-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn().expect("start ip");
        let ip = process.stdin.take().expect("a pipe");
        Self { ip, _process: process, pairs: 0, days: HashMap::new(), turn: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        2 * self.pairs
    }

    /// Waits until the service has so many pairs.
    pub async fn grow(&mut self, pairs: u32, host: &ServedHost) {
        let mut lines = String::new();
        for pair in self.pairs..pairs {
            lines += &format!("link add a{pair} type veth peer name b{pair}\n");
            for number in [2 * pair, 2 * pair + 1] {
                let link = link(number);
                lines += &format!("link set {link} up\naddress add {} dev {link}\n", address(1, number));
            }
        }
        self.tell(&lines);
        self.pairs = pairs;
        host.until("all networks", |state| {
            (!state.startup && state.pvds().count() == 2 * pairs as usize).then_some(())
        })
        .await;
    }

    /// The address of a network expires a day earlier than before.
    pub fn shorten(&mut self, number: u32) {
        let line = self.shortened(number);
        self.tell(&line);
    }

    /// The same of every second network, the last one first.
    pub fn shorten_half(&mut self) {
        let lines: Vec<String> =
            (0..self.len()).rev().step_by(2).map(|number| self.shortened(number)).collect();
        self.tell(&lines.concat());
    }

    /// The addresses of the first networks expire in so many seconds.
    pub fn hurry(&mut self, seconds: u32) {
        let change = |number: u32| {
            let (address, link) = (address(1, number), link(number));
            format!("address change {address} dev {link} valid_lft {seconds} preferred_lft {seconds}\n")
        };
        let lines: String = (0..20).map(change).collect();
        self.tell(&lines);
    }

    /// So many changes, of one network after the other: a second address comes, the first one's deadline is earlier, the
    /// second goes.
    pub fn change(&mut self, count: u32) {
        let mut lines = String::new();
        for _ in 0..count {
            let (number, round) = (self.turn % self.len(), self.turn / self.len());
            let (second, link) = (address(2, number), link(number));
            match round % 3 {
                0 => lines += &format!("address add {second} dev {link}\n"),
                1 => lines += &self.shortened(number),
                _ => lines += &format!("address delete {second} dev {link}\n"),
            }
            self.turn += 1;
        }
        self.tell(&lines);
    }

    fn shortened(&mut self, number: u32) -> String {
        let days = self.days.entry(number).or_insert(DAYS);
        *days -= 1;
        let (address, link, seconds) = (address(1, number), link(number), *days * DAY);
        format!("address change {address} dev {link} valid_lft {seconds} preferred_lft {seconds}\n")
    }

    fn tell(&mut self, lines: &str) {
        self.ip.write_all(lines.as_bytes()).and_then(|()| self.ip.flush()).expect("ip reads on");
    }
}

fn link(number: u32) -> String {
    format!("{}{}", if number.is_multiple_of(2) { "b" } else { "a" }, number / 2)
}

fn address(which: u32, number: u32) -> String {
    format!("10.{which}.{}.{}/32", number / 250, number % 250 + 1)
}

/// A subscriber beside the applet, which hears what the applet hears.
pub struct Ear {
    heard: Arc<Mutex<Heard>>,
    _subscriber: Subscriber,
}

/// Changes of addresses that were announced.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// How many.
    pub count: u64,
    /// The last one.
    pub at: Instant,
}

impl Ear {
    /// Listens to the addresses of all networks that there are.
    pub async fn listen(connection: &Connection) -> Self {
        let (subscriber, messages) = Subscriber::create(connection, "ear").await.expect("a subscriber");
        let heard = Arc::new(Mutex::new(Heard { count: 0, at: Instant::now() }));
        tokio::spawn(take(messages, heard.clone()));
        subscriber.announce_interfaces().await.expect("announcements");
        let state = State::read(connection).await.expect("the state");
        let mut listed = 0;
        for interface in &state.interfaces {
            subscriber.announce_provisioning_domains(&interface.path).await.expect("announcements");
            for pvd in &interface.pvds {
                listed += u64::from(subscriber.announce_addresses(&pvd.path).await.expect("announcements"));
            }
        }
        let ear = Self { heard, _subscriber: subscriber };
        eventually("the end of the listing", async || {
            let heard = ear.heard();
            if heard.count >= listed { Ok(()) } else { Err(heard.count) }
        })
        .await;
        ear
    }

    /// What it has heard so far.
    pub fn heard(&self) -> Heard {
        *lock(&self.heard)
    }

    /// Waits until it has heard so many more than `before`.
    pub async fn hears(&self, before: Heard, more: u64) -> Heard {
        eventually("announcements", async || {
            let heard = self.heard();
            if heard.count >= before.count + more { Ok(heard) } else { Err(heard.count - before.count) }
        })
        .await
    }

    /// Waits until nothing was heard for so long.
    pub async fn quiet(&self, long: Duration) {
        eventually("silence", async || {
            let since = self.heard().at.elapsed();
            if since >= long { Ok(()) } else { Err(format!("{since:?}")) }
        })
        .await;
    }
}

async fn take(mut messages: Messages, heard: Arc<Mutex<Heard>>) {
    while let Some(Ok(message)) = messages.next().await {
        if matches!(message, Message::AddressAnnouncement { .. } | Message::NoAddressAnnouncement { .. }) {
            let mut heard = lock(&heard);
            (heard.count, heard.at) = (heard.count + 1, Instant::now());
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
