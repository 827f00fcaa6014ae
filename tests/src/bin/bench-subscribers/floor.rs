//! The floor: a client of the bus that does nothing but send.

use mif_tests::universe::SYSTEM_BUS;
use std::sync::mpsc;
use zbus::Message;

/// What its signals are called.
pub const FLOOR: &str = "Floor";

/// A client on a thread of its own.
pub struct Sender {
    counts: mpsc::Sender<usize>,
}

impl Sender {
    /// One that sends to `names` in turn.
    pub fn start(names: Vec<String>) -> Self {
        let (counts, wanted) = mpsc::channel::<usize>();
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
            let builder = zbus::connection::Builder::address(SYSTEM_BUS);
            let connection = runtime.block_on(builder.build()).expect("connect to the bus");
            ready.send(()).expect("somebody waits");
            while let Ok(count) = wanted.recv() {
                let messages: Vec<Message> =
                    names.iter().cycle().take(count).map(|name| signal(name)).collect();
                runtime.block_on(connection.send_all(&messages)).expect("sent");
            }
        });
        is_ready.recv().expect("a connection");
        Self { counts }
    }

    /// Sends so many, without waiting.
    pub fn send(&mut self, count: usize) {
        self.counts.send(count).expect("it runs");
    }
}

/// As long as an announcement of an address.
fn signal(to: &str) -> Message {
    let signal = Message::signal("/org/ietf/Mif1Subscriber/1_100/s100", "org.ietf.Mif1.Subscriber", FLOOR);
    let body = (
        "/org/ietf/Mif1/pvd/1000000000",
        "198.18.100.100",
        32_u8,
        u64::MAX,
        u64::MAX,
        [0_u8; 150].as_slice(),
    );
    signal.destination(to).build(&body).expect("a message")
}
