//! Clients that use everything, well and badly, and leave when they like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mif::{BindRequest, ConnectRequest, State, Subscriber, TranslateOptions};
use socket2::{Domain, Protocol, Type};
use zbus::{Connection, OwnedObjectPath};

use super::random::Random;
use super::world::{LINKS, NAME};
use crate::daemons::Bus;
use crate::echo::ECHO_PORT;
use crate::wait::completes;

/// How many there are at a time.
const CLIENTS: u64 = 4;
/// Clients at work, each on a thread of its own: storms keep the test's busy.
#[derive(Debug)]
pub struct Clients {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Clients {
    /// Sends them to work.
    pub fn start(bus: &Bus, seed: u64) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut threads = Vec::new();
        for number in 0..CLIENTS {
            let client = Client {
                bus: bus.clone(),
                random: Random::new(seed ^ number),
                stop: Arc::clone(&stop),
                calls: Arc::clone(&calls),
            };
            threads.push(std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(client.work());
            }));
        }
        Self { threads, stop, calls }
    }

    /// Has them finish, and says how many calls they made.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await.expect("a thread");
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
        }
        self.calls.load(Ordering::Relaxed)
    }
}

struct Client {
    bus: Bus,
    random: Random,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Client {
    async fn work(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let connection = self.bus.connect().await;
            for _ in 0..self.random.below(30) {
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
                self.call_something(&connection).await;
            }
            // It leaves in the middle of a call.
            if self.random.once_in(2) {
                let _ =
                    tokio::time::timeout(Duration::from_millis(1), self.call_something(&connection)).await;
            }
        }
    }

    /// Whatever becomes of a call, an answer comes.
    async fn call_something(&mut self, connection: &Connection) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let state = completes("the state", State::read(connection)).await.expect("the service answers");
        let pvds: Vec<OwnedObjectPath> = state.pvds().map(|pvd| pvd.path.clone()).collect();
        if pvds.is_empty() {
            return;
        }
        let pvd = self.random.one_of(&pvds).clone();
        match self.random.below(6) {
            0 => {
                let options = TranslateOptions {
                    timeout: Some(Duration::from_millis(300)),
                    ..TranslateOptions::default()
                };
                let _ =
                    completes("a translation", mif::translate_name(connection, &pvd, NAME, &options)).await;
            }
            1 => {
                let network = u8::try_from(1 + self.random.below(LINKS)).unwrap_or(1);
                let address = [10, 7, network, 1].into();
                let request = ConnectRequest {
                    timeout: Some(Duration::from_millis(300)),
                    ..ConnectRequest::new(address, ECHO_PORT)
                };
                let _ = completes("a connection", mif::connect_to_address(connection, &pvd, &request)).await;
            }
            2 => {
                let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP));
                let (socket, request) = (socket.expect("a socket"), BindRequest::default());
                let bound = mif::bind_socket(connection, &pvd, &socket, &request);
                let _ = completes("a binding", bound).await;
            }
            3 => self.subscribe(connection, &state).await,
            4 => {
                let wrong = connection.call_method(
                    Some("org.ietf.Mif1"),
                    &pvd,
                    Some("org.ietf.Mif1.ProvisioningDomain"),
                    *self.random.one_of(&["TranslateName", "Nonsense", "ConnectToAddress", "Explain"]),
                    &(7u8, "not what was asked for"),
                );
                assert!(completes("an error", wrong).await.is_err());
            }
            _ => {}
        }
    }

    async fn subscribe(&mut self, connection: &Connection, state: &State) {
        let token = format!("soak{}", self.random.next());
        let Ok((subscriber, _messages)) =
            completes("a subscriber", Subscriber::create(connection, &token)).await
        else {
            return;
        };
        let _ = completes("a listing", subscriber.announce_interfaces()).await;
        for interface in &state.interfaces {
            let _ = completes("a listing", subscriber.announce_provisioning_domains(&interface.path)).await;
        }
        if self.random.once_in(2) {
            let _ = completes("a farewell", subscriber.close()).await;
        }
    }
}
