//! TLS connections that stay in one provisioning domain, to servers that this machine has reason to believe.

use crate::request::connect::connect;
use crate::translate::Translator;
use crate::translate::trust::Trust;
use mif_core::fetch::{FetchFailure, HttpsUrl, UrlHost};
use mif_core::plan::{self, ConnectFailureReason, Refusal};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long one address of a server may take before the next one is tried.
const PER_ADDRESS: Duration = Duration::from_secs(4);

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    trust: Trust,
}

/// Where a connection stays, and who finds names for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'a> {
    pub(super) snapshots: &'a watch::Receiver<Snapshot>,
    pub(super) pvd: Serial,
    pub(super) translator: &'a Translator,
}

impl Connector {
    /// One that trusts whom this machine trusts.
    pub(super) fn new() -> Self {
        Self { trust: Trust::new(None) }
    }

    /// A connection to the server of `url`, whose certificate names it (RFC 9525) and leads to a trust anchor of this
    /// machine.
    pub(super) async fn connect(
        &self,
        inside: Inside<'_>,
        url: &HttpsUrl,
    ) -> Result<TlsStream<TcpStream>, FetchFailure> {
        let name: ServerName<'static> = match url.host() {
            UrlHost::Name(name) => {
                ServerName::try_from(name.to_owned()).map_err(|_| FetchFailure::NoAddress)?
            }
            UrlHost::Address(address) => ServerName::from(address),
        };
        let mut trust = self.trust.verifying().await.map_err(|error| {
            tracing::error!(%error, "TLS cannot be set up");
            FetchFailure::Hindered
        })?;
        trust.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = inside.reach(url).await?;
        TlsConnector::from(Arc::new(trust)).connect(name, stream).await.map_err(|error| {
            tracing::debug!(%url, %error, "TLS failed");
            failure_of(&error)
        })
    }
}

/// What a handshake that ended so comes to. Only what the server is or says is a failure of TLS, after which it is not
/// asked again (RFC 8801 4.1) and a portal has no API (RFC 8908 4.1). A connection that breaks says nothing of it. Nor
/// does a certificate that begins to be valid later, while it may be this host's clock that is wrong: a machine without
/// one of its own learns the time from the network, and later than the address of this server.
fn failure_of(error: &std::io::Error) -> FetchFailure {
    use rustls::CertificateError::{NotValidYet, NotValidYetContext};
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match of_tls {
        None => FetchFailure::Unreachable,
        Some(rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. })) => {
            FetchFailure::NotYetValid
        }
        Some(_) => FetchFailure::Tls,
    }
}

impl Inside<'_> {
    /// The state now. A clone costs nothing, and keeps nobody from changing it.
    fn now(self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// A connection to the first address of the server that takes one.
    async fn reach(self, url: &HttpsUrl) -> Result<TcpStream, FetchFailure> {
        let mut failure = FetchFailure::NoAddress;
        for address in self.addresses(url).await? {
            let attempt = tokio::time::timeout(PER_ADDRESS, self.reach_address(address, url.port())).await;
            match attempt.unwrap_or(Err(FetchFailure::Unreachable)) {
                Ok(stream) => return Ok(stream),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    /// The addresses of the server in the order to try them (RFC 6724 6).
    async fn addresses(self, url: &HttpsUrl) -> Result<Vec<IpAddr>, FetchFailure> {
        let host = match url.host() {
            UrlHost::Address(address) => return Ok(vec![address]),
            UrlHost::Name(name) => name,
        };
        let plan = plan::fetch::find_server(&self.now(), self.pvd, host, self.translator.encryption())
            .map_err(explain)?;
        let mut answers = Vec::new();
        let found = self.translator.translate(&plan, |answer| answers.push(answer)).await;
        if let Err(failure) = found {
            tracing::debug!(%url, %failure, "the server's name was not found");
            return Err(FetchFailure::NoAddress);
        }
        plan::fetch::order(&self.now(), self.pvd, answers).map_err(explain)
    }

    async fn reach_address(self, address: IpAddr, port: u16) -> Result<TcpStream, FetchFailure> {
        let plan = plan::fetch::reach_server(&self.now(), self.pvd, address, port).map_err(explain)?;
        // The router has said why not.
        let mark = self.translator.router().hold(self.pvd).await.map_err(|_| FetchFailure::Hindered)?;
        let own = nix::unistd::geteuid().as_raw();
        let connected = connect(&plan, mark, own, self.snapshots.clone()).await;
        let connection = connected.map_err(|failure| {
            tracing::debug!(%address, %failure, "the server was not reached");
            match failure.reason {
                ConnectFailureReason::SourceNotValid | ConnectFailureReason::NoResources => {
                    FetchFailure::Hindered
                }
                _ => FetchFailure::Unreachable,
            }
        })?;
        // It was made for a client of D-Bus, who gets one that blocks.
        let stream = std::net::TcpStream::from(connection.socket);
        stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)).map_err(|error| {
            tracing::error!(%error, "a connected socket cannot be used");
            FetchFailure::Hindered
        })
    }
}

fn explain(refusal: Refusal) -> FetchFailure {
    tracing::debug!(%refusal, "a web server is not asked");
    match refusal {
        // What the network's own DNS gave is no address that may be asked.
        Refusal::InvalidArgs(_) | Refusal::NoAddress(_) | Refusal::NameNotFound(_) => FetchFailure::NoAddress,
        _ => FetchFailure::Hindered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, CertificateError, Error};
    use std::io::{self, ErrorKind};

    #[test]
    fn only_what_the_server_says_is_a_failure_of_tls() {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::TimedOut] {
            assert_eq!(failure_of(&kind.into()), FetchFailure::Unreachable, "{kind}");
            let with_words = io::Error::new(kind, "tls handshake eof");
            assert_eq!(failure_of(&with_words), FetchFailure::Unreachable, "{kind}");
        }
        let of = |error: Error| failure_of(&io::Error::new(ErrorKind::InvalidData, error));
        for final_one in [
            Error::InvalidCertificate(CertificateError::NotValidForName),
            Error::InvalidCertificate(CertificateError::Expired),
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::General(String::new()),
        ] {
            assert_eq!(of(final_one), FetchFailure::Tls);
        }
        let early = Error::InvalidCertificate(CertificateError::NotValidYet);
        assert_eq!(of(early), FetchFailure::NotYetValid);
    }
}
