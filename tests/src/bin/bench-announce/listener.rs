//! The client in C (`listener.c`), and what it hears.

use crate::contender::Contender;
use mif_tests::node::Node;
use mif_tests::wait::completes;
use nix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The source of the client, and what it is compiled to.
pub const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-announce/listener.c");
/// The program.
pub const PROGRAM: &str = "/tmp/listener";
/// What it watches: where dhclient writes its leases.
pub const FOLDER: &str = "/var/lib/dhcp";

/// How long a signal is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A time on the clock that both programs have (CLOCK_MONOTONIC).
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the time").into()
}

/// Something that it heard.
#[derive(Clone, Debug)]
struct Heard {
    at: Duration,
    what: String,
}

/// What came of a change.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// From just before the change until the client had it from the kernel.
    pub floor: Duration,
    /// Until it had the signal.
    pub signal: Duration,
}

/// The client.
pub struct Listener {
    heard: mpsc::UnboundedReceiver<Heard>,
    input: ChildStdin,
    child: Child,
}

impl Listener {
    /// Starts one that listens to `contender`, and waits until it does.
    pub async fn start(contender: Contender, node: &Node) -> Self {
        let mut command = Command::new(PROGRAM);
        match contender.broadcaster() {
            None => command.arg("mifd"),
            Some(name) => command.args(["signals", name]),
        };
        command.arg(FOLDER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.within(move || command.spawn()).expect("start the client");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (hears, heard) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Who is no longer interested is gone.
                let _ = hears.send(parse(&line));
            }
        });
        let mut this = Self { heard, input, child };
        this.until(Duration::ZERO, "it listens", |what| what == "ready").await;
        this
    }

    /// Waits until it has heard nothing for so long, and forgets what it heard before.
    pub async fn quiet(&mut self, long: Duration) {
        while timeout(long, self.heard.recv()).await.is_ok() {}
    }

    /// Waits for a signal that comes after `since`: how long after it the signal came, and the kernel's word `floor`.
    /// Nothing when it does not come in time.
    pub async fn delay(&mut self, since: Duration, floor: &str, signal: &str) -> Option<Delay> {
        let mut first = None;
        let awaited = async {
            loop {
                let heard = self.heard.recv().await.expect("the client runs");
                if heard.at >= since && heard.what == floor {
                    first = first.or(Some(heard.at));
                } else if heard.at >= since && is(&heard.what, signal) {
                    break heard.at;
                }
            }
        };
        let at = timeout(PATIENCE, awaited).await.ok()?;
        let first = first.unwrap_or_else(|| panic!("the client did not hear {floor:?} before the signal"));
        Some(Delay { floor: first - since, signal: at - since })
    }

    /// Waits for a signal that comes after the kernel's word `mark`, which comes after `since`: how long after it.
    /// Nothing when it does not come in time.
    pub async fn delay_after(&mut self, since: Duration, mark: &str, signal: &str) -> Option<Duration> {
        let marked = self.until(since, mark, |what| what == mark).await;
        let told = self.until(marked, signal, |what| is(what, signal));
        Some(timeout(PATIENCE, told).await.ok()? - marked)
    }

    /// Has it send a signal to itself: how long until it has it.
    pub async fn hop(&mut self) -> Duration {
        self.input.write_all(b"hop\n").expect("the client reads");
        let asked = self.until(Duration::ZERO, "the hop", |what| what == "asked").await;
        self.until(asked, "the signal to itself", |what| is(what, "Hop")).await - asked
    }

    /// The signals that it has heard since, and forgets.
    pub fn signals(&mut self) -> Vec<String> {
        let heard = std::iter::from_fn(|| self.heard.try_recv().ok());
        heard.map(|heard| heard.what).filter(|what| what.starts_with("signal ")).collect()
    }

    /// Ends it.
    pub fn end(mut self) {
        drop(self.input);
        self.child.wait().expect("its end");
    }

    async fn until(&mut self, since: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> Duration {
        let awaited = async {
            loop {
                let heard = self.heard.recv().await.expect("the client runs");
                if heard.at >= since && wanted(&heard.what) {
                    return heard.at;
                }
            }
        };
        completes(what, awaited).await
    }
}

/// Whether it is this signal, the words about what it is of included.
fn is(what: &str, signal: &str) -> bool {
    what.strip_prefix("signal ").is_some_and(|what| what.trim_end() == signal)
}

fn parse(line: &str) -> Heard {
    let (at, what) = line.split_once(' ').unwrap_or_else(|| panic!("the client wrote {line:?}"));
    Heard { at: Duration::from_nanos(at.parse().expect("a time")), what: what.to_owned() }
}
