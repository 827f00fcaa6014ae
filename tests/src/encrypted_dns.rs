//! DNS servers that speak DoT, DoH or DoQ (hickory's own server), and the authority that their certificates are of.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol as Over;
use hickory_server::proto::ProtoError;
use hickory_server::proto::op::{Header, HeaderCounts, Message, Metadata};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::oneshot;

use crate::daemons::write_file;
use crate::dns::{Question, Reply, Zone};
use crate::node::Node;

/// Where a DoH server takes questions.
pub const DOH_PATH: &str = "/dns-query";

/// How long a server waits for a handshake or a question.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// DNS over TLS.
    Dot,
    /// DNS over HTTPS.
    Doh,
    /// DNS over QUIC.
    Doq,
}

impl Protocol {
    /// All.
    pub const ALL: [Self; 3] = [Self::Dot, Self::Doh, Self::Doq];

    /// The word that answers are tagged with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
        }
    }

    /// The ALPN identifier, which advertisements name it by.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Doh => "h2",
            Self::Doq => "doq",
        }
    }

    /// Its port.
    pub const fn port(self) -> u16 {
        match self {
            Self::Dot | Self::Doq => 853,
            Self::Doh => 443,
        }
    }
}

/// A certification authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authority")
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new one of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, in a PEM file.
    pub fn file(&self) -> PathBuf {
        write_file("authority.pem", &self.0.pem())
    }

    /// A certificate for a server of this name, and its key.
    pub fn certify(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certificate {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// The same as two PEM files: certificate and key.
    pub fn certify_files(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let file = |kind: &str, text: &str| write_file(&format!("{name}-{kind}.pem"), text);
        (file("certificate", &certificate.pem()), file("key", &key.serialize_pem()))
    }
}

/// A server of encrypted DNS on one address of a node, for all of [`Protocol`].
#[derive(Debug)]
pub struct EncryptedDns {
    zone: Arc<Zone>,
    asked: Asked,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

type Asked = Arc<Mutex<Vec<(&'static str, Question)>>>;

impl EncryptedDns {
    /// Starts it.
    ///
    /// # Panics
    /// When the node does not have the address.
    pub fn on<'a>(
        node: &Node,
        address: IpAddr,
        certificate: &Certificate,
        zone: impl IntoIterator<Item = (&'a str, Reply)>,
    ) -> Self {
        let zone = Arc::new(Zone::new(zone));
        let asked = Asked::default();
        let sockets = node.within(|| Sockets::open(address));
        let handler = Handler { zone: Arc::clone(&zone), asked: Arc::clone(&asked) };
        let configs = Protocol::ALL.map(|protocol| (protocol, server_config(protocol, certificate)));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
            runtime.block_on(async move {
                let mut server = Server::new(handler);
                for (protocol, config) in configs {
                    sockets.register(&mut server, protocol, config);
                }
                // Whoever drops the other end without a word wants it to go on.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
        });
        Self { zone, asked, running: Mutex::new(Some((stop, thread))) }
    }

    /// The questions so far, with the word of the protocol that they came over.
    pub fn questions(&self) -> Vec<(&'static str, Question)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends what was held back, and holds nothing back from now on.
    pub fn release(&self) {
        self.zone.release();
    }

    /// Closes all of its sockets; another one may take their place.
    pub fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (stop, thread) = running.expect("it is stopped once");
        stop.send(()).expect("it runs");
        thread.join().expect("it ends well");
    }
}

struct Sockets {
    tls: TcpListener,
    https: TcpListener,
    quic: UdpSocket,
}

impl Sockets {
    fn open(address: IpAddr) -> Self {
        let at = |protocol: Protocol| SocketAddr::new(address, protocol.port());
        let listener = |protocol| {
            let listener = TcpListener::bind(at(protocol)).expect("a TCP port");
            listener.set_nonblocking(true).expect("a listener that does not block");
            listener
        };
        let quic = UdpSocket::bind(at(Protocol::Doq)).expect("a UDP port");
        quic.set_nonblocking(true).expect("a socket that does not block");
        Self { tls: listener(Protocol::Dot), https: listener(Protocol::Doh), quic }
    }

    fn register(&self, server: &mut Server<Handler>, protocol: Protocol, config: Arc<ServerConfig>) {
        let listener = |socket: &TcpListener| {
            let socket = socket.try_clone().expect("one more descriptor");
            tokio::net::TcpListener::from_std(socket).expect("a listener")
        };
        match protocol {
            Protocol::Dot => {
                let socket = listener(&self.tls);
                server.register_tls_listener_with_tls_config(socket, PATIENCE, config).expect("DoT");
            }
            Protocol::Doh => {
                let (socket, path) = (listener(&self.https), DOH_PATH.to_owned());
                server
                    .register_https_listener_with_tls_config(socket, PATIENCE, config, None, path)
                    .expect("DoH");
            }
            Protocol::Doq => {
                let socket = self.quic.try_clone().expect("one more descriptor");
                let socket = tokio::net::UdpSocket::from_std(socket).expect("a socket");
                server.register_quic_listener_and_tls_config(socket, PATIENCE, config).expect("DoQ");
            }
        }
    }
}

fn server_config(protocol: Protocol, certificate: &Certificate) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(certificate.chain.clone(), certificate.key.clone_key())
        .expect("a certificate and its key");
    config.alpn_protocols = vec![protocol.alpn().as_bytes().to_vec()];
    Arc::new(config)
}

struct Handler {
    zone: Arc<Zone>,
    asked: Asked,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    /// The server waits for this before it reads the next question of a connection of TLS; a slow answer must not
    /// keep the others waiting.
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let (zone, asked) = (Arc::clone(&self.zone), Arc::clone(&self.asked));
        let (packet, from, protocol) = (request.as_slice().to_vec(), request.src(), request.protocol());
        let answering = answer(zone, asked, Request::from_bytes(packet, from, protocol), response);
        if protocol == Over::Tls {
            tokio::spawn(answering);
        } else {
            answering.await;
        }
        // What is returned is for statistics only.
        ResponseInfo::from(Header { metadata: request.metadata, counts: HeaderCounts::default() })
    }
}

async fn answer(
    zone: Arc<Zone>,
    asked: Asked,
    request: Result<Request, ProtoError>,
    mut response: impl ResponseHandler,
) {
    let request = request.expect("what could be read once");
    let word = match request.protocol() {
        Over::Tls => Protocol::Dot.word(),
        Over::Https => Protocol::Doh.word(),
        Over::Quic => Protocol::Doq.word(),
        other => panic!("nobody serves {other}"),
    };
    let (packet, from) = (request.as_slice().to_vec(), request.src().ip().to_canonical());
    if let Some(question) = Question::read(&packet, from, true) {
        asked.lock().unwrap_or_else(PoisonError::into_inner).push((word, question));
    }
    let answer = tokio::task::spawn_blocking(move || zone.answer(&packet, from, true));
    let Some(answer) = answer.await.expect("an answer that is made") else { return };
    let answer = Message::from_vec(&answer).expect("the zone's own answer");
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = answer.metadata.response_code;
    metadata.recursion_available = true;
    let built = MessageResponseBuilder::from_message_request(&request).build(
        metadata,
        &answer.answers,
        &answer.authorities,
        &[],
        &[],
    );
    // A client that left needs no answer.
    drop(response.send_response(built).await);
}
