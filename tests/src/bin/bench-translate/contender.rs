//! Who is asked.

use crate::world::{SERVER, World};
use mif::TranslateOptions;
use mif::wire::Family;
use mif_tests::process::Process;
use mif_tests::usage::Usage;
use mif_tests::wait::eventually;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zbus::{Connection, OwnedObjectPath};

const RESOLVED: &str = "/usr/lib/systemd/systemd-resolved";
const SETTINGS: &str = "[Resolve]\nDNS=2001:db8:1::53\nFallbackDNS=\nDNSSEC=no\nDNSOverTLS=no\nLLMNR=no\n\
                        MulticastDNS=no\nDNSStubListener=no\nReadEtcHosts=no\n";
const AF_INET: i32 = 2;

/// Interface, family and octets, as systemd-resolved tells an address.
type Address = (i32, i32, Vec<u8>);

/// A way to have a name translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The service of this project.
    Mifd,
    /// systemd-resolved over D-Bus.
    Resolved,
    /// The question itself, over UDP.
    Direct,
    /// A call of the service that does nothing, then the question itself: what any service on the bus takes at least.
    Floor,
}

impl Contender {
    /// All.
    pub const ALL: [Self; 4] = [Self::Mifd, Self::Resolved, Self::Direct, Self::Floor];

    /// Those that can be measured here.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|contender| contender.is_there())
    }

    /// Whether it can be.
    pub fn is_there(self) -> bool {
        self != Self::Resolved || Path::new(RESOLVED).exists()
    }

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mifd => "mifd",
            Self::Resolved => "resolved",
            Self::Direct => "direct",
            Self::Floor => "floor",
        }
    }
}

/// All of them, running.
pub struct Contenders {
    connection: Connection,
    pvd: OwnedObjectPath,
    mifd: Process,
    resolved: Option<Process>,
}

impl Contenders {
    /// Starts systemd-resolved; mifd runs already.
    pub async fn start(world: &World) -> Self {
        let this = Self {
            connection: world.host.connection.clone(),
            pvd: world.pvd("eth1").await,
            mifd: world.host.mifd.process().clone(),
            resolved: Contender::Resolved.is_there().then(|| start_resolved(world)),
        };
        if let Some(resolved) = &this.resolved {
            eventually("systemd-resolved to answer", async || {
                if let Some(status) = resolved.exit_status() {
                    panic!("it ended with {status}: {}", resolved.log());
                }
                this.ask_resolved("first.bench.test").await.map_err(|error| error.to_string())
            })
            .await;
        }
        this
    }

    /// Ends systemd-resolved.
    pub async fn end(self) {
        if let Some(resolved) = self.resolved {
            resolved.terminate().await;
        }
    }

    /// Asks for a name and waits for the answer.
    pub async fn ask(&self, contender: Contender, name: &str) {
        match contender {
            Contender::Mifd => {
                let options = TranslateOptions { family: Some(Family::Ipv4), ..TranslateOptions::default() };
                let translated = mif::translate_name(&self.connection, &self.pvd, name, &options).await;
                assert_eq!(translated.expect(name).answers.len(), 1);
            }
            Contender::Resolved => self.ask_resolved(name).await.expect(name),
            Contender::Direct => ask_server(name).await,
            Contender::Floor => {
                self.call_nothing().await.expect("a reply");
                ask_server(name).await;
            }
        }
    }

    async fn call_nothing(&self) -> zbus::Result<()> {
        let peer = Some("org.freedesktop.DBus.Peer");
        self.connection
            .call_method(Some("org.ietf.Mif1"), "/org/ietf/Mif1", peer, "Ping", &())
            .await
            .map(drop)
    }

    async fn ask_resolved(&self, name: &str) -> zbus::Result<()> {
        let reply = self
            .connection
            .call_method(
                Some("org.freedesktop.resolve1"),
                "/org/freedesktop/resolve1",
                Some("org.freedesktop.resolve1.Manager"),
                "ResolveHostname",
                &(0_i32, name, AF_INET, 0_u64),
            )
            .await?;
        let (addresses, _, _): (Vec<Address>, String, u64) = reply.body().deserialize()?;
        assert_eq!(addresses.len(), 1);
        Ok(())
    }

    /// The CPU time that a contender's process has used.
    pub fn cpu(&self, contender: Contender) -> Duration {
        let process = match contender {
            Contender::Mifd => Some(&self.mifd),
            Contender::Resolved => self.resolved.as_ref(),
            Contender::Direct | Contender::Floor => None,
        };
        process.map_or(Duration::ZERO, |process| Usage::of(process).cpu)
    }
}

fn start_resolved(world: &World) -> Process {
    fs::create_dir_all("/run/systemd/resolve").expect("a folder");
    fs::create_dir_all("/etc/systemd").expect("a folder");
    fs::write("/etc/systemd/resolved.conf", SETTINGS).expect("its settings");
    let mut command = Command::new(RESOLVED);
    command.env("SYSTEMD_LOG_LEVEL", "warning");
    world.universe.host().spawn("resolved", command)
}

async fn ask_server(name: &str) {
    let mut question = vec![0x4d, 0x46, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("a label"));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("[::]:0").expect("a socket");
    socket.connect(SocketAddr::new(SERVER.parse::<IpAddr>().expect("an address"), 53)).expect("a way");
    socket.set_nonblocking(true).expect("a socket that does not block");
    let socket = tokio::net::UdpSocket::from_std(socket).expect("a socket");
    socket.send(&question).await.expect("sent");
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await.expect("an answer");
    assert!(length > question.len());
}
