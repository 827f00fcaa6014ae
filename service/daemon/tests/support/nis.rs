//! A port mapper and a NIS server behind it, which do as they are told.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

/// Where the server is.
pub const SERVER_PORT: u16 = 834;

/// What is sent back to the lookup of a name in a map, by the transaction id; and how often it had been asked before.
pub type Script = fn(lookup: &Lookup, before: usize) -> Vec<Vec<u8>>;

/// A lookup that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    pub xid: u32,
    pub domain: String,
    pub map: String,
    pub name: String,
}

/// What came in.
#[derive(Clone, Default)]
pub struct Log {
    lookups: Arc<Mutex<Vec<Lookup>>>,
    ports: Arc<Mutex<usize>>,
}

impl Log {
    pub fn lookups(&self) -> Vec<Lookup> {
        self.lookups.lock().unwrap().clone()
    }

    /// How often `name` was looked up, in either map.
    pub fn count(&self, name: &str) -> usize {
        self.lookups().iter().filter(|lookup| lookup.name == name).count()
    }

    /// How often the port mapper was asked.
    pub fn ports(&self) -> usize {
        *self.ports.lock().unwrap()
    }
}

/// A reply that was accepted and done, with these results (RFC 5531 9).
pub fn reply(xid: u32, results: &[u8]) -> Vec<u8> {
    let head: Vec<u8> = [xid, 1, 0, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    [head, results.to_vec()].concat()
}

/// The result of a lookup: a status, and a value behind it.
pub fn value(xid: u32, status: i32, value: &str) -> Vec<u8> {
    let mut results = status.to_be_bytes().to_vec();
    results.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    results.extend(value.as_bytes());
    results.resize(results.len().next_multiple_of(4), 0);
    reply(xid, &results)
}

/// Serves on one address of the network namespace of this thread. `port` is what the port mapper says; `None`: it is
/// silent.
pub fn serve(address: &str, port: Option<u16>, script: Script, log: &Log) {
    let mapper = UdpSocket::bind((address, 111)).unwrap();
    let counter = log.clone();
    answer(mapper, move |call| {
        *counter.ports.lock().unwrap() += 1;
        let xid = number(call, 0);
        assert_eq!((number(call, 12), number(call, 16), number(call, 20)), (100_000, 2, 3));
        assert_eq!((number(call, 40), number(call, 44), number(call, 48)), (100_004, 2, 17));
        port.map(|port| reply(xid, &u32::from(port).to_be_bytes())).into_iter().collect()
    });
    let server = UdpSocket::bind((address, SERVER_PORT)).unwrap();
    let lookups = Arc::clone(&log.lookups);
    answer(server, move |call| {
        assert_eq!((number(call, 12), number(call, 16), number(call, 20)), (100_004, 2, 3));
        let (domain, at) = text(call, 40);
        let (map, at) = text(call, at);
        let (name, _) = text(call, at);
        let lookup = Lookup { xid: number(call, 0), domain, map, name };
        let mut known = lookups.lock().unwrap();
        let before = known.iter().filter(|it| (&it.map, &it.name) == (&lookup.map, &lookup.name)).count();
        known.push(lookup.clone());
        script(&lookup, before)
    });
}

fn answer(socket: UdpSocket, reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for packet in reply(&buffer[..length]) {
                // Whoever asked may have closed its port.
                let _ = socket.send_to(&packet, from);
            }
        }
    });
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn text(bytes: &[u8], at: usize) -> (String, usize) {
    let length = number(bytes, at) as usize;
    let text = String::from_utf8(bytes[at + 4..at + 4 + length].to_vec()).unwrap();
    (text, at + 4 + length.next_multiple_of(4))
}
