//! HTTPS servers that answer as they are told, and the certificate authority that vouches for them.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use time::OffsetDateTime;

use crate::daemons::write_file;
use crate::node::Node;

const PORT: u16 = 443;

/// A certificate authority that nobody trusts yet.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate authority"))
    }

    /// Where its certificate is, for programs that are to trust it (SSL_CERT_FILE).
    pub fn file(&self, name: &str) -> PathBuf {
        let certificate: &rcgen::Certificate = self.0.as_ref();
        write_file(name, &certificate.pem())
    }

    /// A certificate for these names and addresses.
    pub fn vouch(&self, names: &[&str]) -> Identity {
        self.sign(params(names))
    }

    /// One that is valid from then on.
    pub fn vouch_from(&self, names: &[&str], not_before: OffsetDateTime) -> Identity {
        let mut params = params(names);
        params.not_before = not_before;
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Authority")
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names and addresses")
}

/// A server's certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// What a server says to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A response: status line without the version, header lines, body.
    Response {
        /// Such as `200 OK`.
        status: String,
        /// Such as `Content-Type: text/plain`.
        headers: Vec<String>,
        /// What follows.
        body: Vec<u8>,
    },
    /// Nothing, with the connection open until the client closes it.
    Silence,
}

impl Reply {
    /// A document of this media type.
    pub fn document(media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![format!("Content-Type: {media_type}")];
        Self::Response { status: "200 OK".to_owned(), headers, body: body.into() }
    }

    /// A status without a document, such as `404 Not Found`.
    pub fn status(status: &str) -> Self {
        Self::Response { status: status.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A redirection.
    pub fn redirect(location: &str) -> Self {
        Self::status("302 Found").header(&format!("Location: {location}"))
    }

    /// The same with another header line.
    #[must_use]
    pub fn header(mut self, line: &str) -> Self {
        if let Self::Response { headers, .. } = &mut self {
            headers.push(line.to_owned());
        }
        self
    }
}

/// A request that came in over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Who asked.
    pub from: IpAddr,
    /// Such as `GET /.well-known/pvd HTTP/1.1`.
    pub line: String,
    /// The header lines, in lower case, in order.
    pub headers: Vec<String>,
}

type Answer = dyn Fn(&HttpRequest) -> Reply + Send + Sync;

/// A server on port 443 of one address of a node.
pub struct HttpsServer(Arc<Shared>);

struct Shared {
    config: Arc<ServerConfig>,
    answer: Box<Answer>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    /// So many connections are closed before a word is said.
    to_hang_up_on: usize,
    open: usize,
    requests: Vec<HttpRequest>,
}

impl HttpsServer {
    /// Starts it.
    ///
    /// # Panics
    /// When the node does not have the address.
    pub fn on(
        node: &Node,
        address: IpAddr,
        identity: Identity,
        answer: impl Fn(&HttpRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("versions of TLS");
        let config = builder.with_no_client_auth().with_single_cert(vec![identity.certificate], identity.key);
        let config = Arc::new(config.expect("a certificate with its key"));
        let shared = Arc::new(Shared { config, answer: Box::new(answer), seen: Mutex::default() });
        let listener = node.within(|| TcpListener::bind(SocketAddr::new(address, PORT)).expect("port 443"));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self(shared)
    }

    /// Closes the next so many connections before a word is said.
    pub fn hang_up_on(&self, connections: usize) {
        self.0.seen(|seen| seen.to_hang_up_on = connections);
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.0.seen(|seen| seen.requests.clone())
    }

    /// How many connections were made, with a request or without.
    pub fn connections(&self) -> usize {
        self.0.seen(|seen| seen.connections)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.0.seen(|seen| seen.open)
    }
}

impl fmt::Debug for HttpsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("HttpsServer").field(&self.requests()).finish()
    }
}

impl Shared {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serve(&self, stream: TcpStream) {
        self.seen(|seen| {
            seen.connections += 1;
            seen.open += 1;
        });
        let hang_up = self.seen(|seen| {
            let hang_up = seen.to_hang_up_on > 0;
            seen.to_hang_up_on = seen.to_hang_up_on.saturating_sub(1);
            hang_up
        });
        // A client that does not like the certificate hangs up; that is its affair.
        let _ = if hang_up { stream.shutdown(Shutdown::Both) } else { self.talk(stream) };
        self.seen(|seen| seen.open -= 1);
    }

    fn talk(&self, stream: TcpStream) -> io::Result<()> {
        let from = stream.peer_addr()?.ip();
        let tls = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        let mut reader = BufReader::new(StreamOwned::new(tls, stream));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let line = lines.remove(0);
        let headers = lines.iter().map(|line| line.to_ascii_lowercase()).collect();
        let request = HttpRequest { from, line, headers };
        let reply = (self.answer)(&request);
        self.seen(|seen| seen.requests.push(request));
        match reply {
            Reply::Response { status, headers, body } => {
                let stream = reader.get_mut();
                let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
                headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
                head.push_str("Connection: close\r\n\r\n");
                stream.write_all(head.as_bytes())?;
                stream.write_all(&body)?;
                stream.conn.send_close_notify();
                stream.flush()
            }
            Reply::Silence => reader.read_to_end(&mut Vec::new()).map(drop),
        }
    }
}
