//! One connection of encrypted DNS: opened, asked over, closed when it is dropped.

use super::runtime::ScopedRuntime;
use super::servers::{PATIENCE, local};
use hickory_resolver::net::NetError;
use hickory_resolver::net::h2::HttpsClientStream;
use hickory_resolver::net::quic::QuicClientStream;
use hickory_resolver::net::tls::tls_client_connect_with_bind_addr;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsMultiplexer, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Edns};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use mif_core::plan::{DnsProtocol, DnsServer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Questions on one connection, beyond what [`super::places`] lets through: one more would end it.
const QUESTIONS: usize = 4_096;

/// Clones are the same connection.
#[derive(Clone)]
pub(super) enum Conversation {
    Tls(DnsExchange<ScopedRuntime>, #[expect(dead_code, reason = "ends with the last clone")] Arc<Driver>),
    Https(HttpsClientStream),
    Quic(QuicClientStream),
}

/// A task that ends with its owner.
pub(super) struct Driver(AbortHandle);

impl Driver {
    pub(super) fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Conversation {
    /// Connects to `server`, which must prove to have the name that it is announced with.
    ///
    /// # Errors
    /// It is not there, speaks something else or proves nothing.
    pub(super) async fn open(
        runtime: ScopedRuntime,
        server: DnsServer,
        config: ClientConfig,
    ) -> Result<Self, NetError> {
        match &server.protocol {
            DnsProtocol::Plain => Err(NetError::from("plain DNS has no connection to open")),
            DnsProtocol::Tls { name } => open_tls(runtime, &server, named(name)?, config).await,
            DnsProtocol::UnverifiedTls => {
                open_tls(runtime, &server, server.address.ip().into(), config).await
            }
            DnsProtocol::Https { name, path } => {
                let config = Arc::new(speaking(b"h2", config));
                let mut builder = HttpsClientStream::builder(config, runtime);
                builder.bind_addr(local(&server));
                builder.build(server.address, Arc::clone(name), Arc::clone(path)).await.map(Self::Https)
            }
            DnsProtocol::Quic { name } => {
                let socket = runtime.quic_socket(server.address, server.source)?;
                QuicClientStream::builder()
                    .crypto_config(speaking(b"doq", config))
                    .build_with_future(socket, server.address, Arc::clone(name))
                    .await
                    .map(Self::Quic)
            }
        }
    }

    /// Asks, however long it takes.
    ///
    /// # Errors
    /// The connection broke, or what came is no answer.
    pub(super) async fn ask(mut self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let request = padded(request)?;
        let question = request.queries.clone();
        let response = match &mut self {
            Self::Tls(exchange, _) => exchange.send(request).first_answer().await,
            Self::Https(stream) => stream.send_message(request).first_answer().await,
            Self::Quic(stream) => stream.send_message(request).first_answer().await,
        }?;
        super::plain::check(&response, &question)?;
        Ok(response)
    }
}

async fn open_tls(
    runtime: ScopedRuntime,
    server: &DnsServer,
    name: ServerName<'static>,
    config: ClientConfig,
) -> Result<Conversation, NetError> {
    let config = Arc::new(speaking(b"dot", config));
    let bind = Some(local(server));
    let (connecting, sender) = tls_client_connect_with_bind_addr(server.address, bind, name, config, runtime);
    let multiplexer = DnsMultiplexer::new(connecting.await?, sender)
        .with_timeout(PATIENCE)
        .with_max_active_requests(QUESTIONS);
    let (exchange, driver) = DnsExchange::<ScopedRuntime>::from_stream(multiplexer);
    Ok(Conversation::Tls(exchange, Arc::new(Driver::start(driver))))
}

fn speaking(protocol: &[u8], mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

fn named(name: &str) -> Result<ServerName<'static>, NetError> {
    ServerName::try_from(name.to_owned()).map_err(|_| NetError::from("the name is not one of a server"))
}

/// `request` with zeros up to a multiple of 128 bytes, so that its length tells nothing of the name (RFC 7830,
/// RFC 8467 4.1).
fn padded(mut request: DnsRequest) -> Result<DnsRequest, NetError> {
    const PADDING: u16 = 12;
    const BLOCK: usize = 128;
    const OPTION_HEADER: usize = 4;
    request.edns.get_or_insert_with(Edns::new);
    let length = request.to_vec()?.len() + OPTION_HEADER;
    let zeros = vec![0; length.next_multiple_of(BLOCK) - length];
    if let Some(edns) = &mut request.edns {
        edns.options_mut().insert(EdnsOption::Unknown(PADDING, zeros));
    }
    Ok(request)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{DnsRequestOptions, Query};
    use hickory_resolver::proto::rr::{Name, RecordType};

    #[test]
    fn the_length_of_a_name_does_not_show() {
        for labels in 1..30 {
            let name = Name::from_ascii("label.".repeat(labels)).unwrap();
            let query = Query::query(name, RecordType::A);
            let request = DnsRequest::from_query(query, DnsRequestOptions::default());
            let length = padded(request).unwrap().to_vec().unwrap().len();
            assert_eq!(length % 128, 0, "{labels} labels: {length} bytes");
        }
    }
}
