//! DNS in the clear: UDP, and TCP for what does not fit (RFC 7766).

use super::provenance::Provenance;
use super::runtime::ScopedRuntime;
use super::servers::{PATIENCE, local};
use hickory_resolver::net::NetError;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsMultiplexer, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse};
use mif_core::plan::{DnsServer, Transport};

/// When a question is sent again over UDP, and how often it is sent at most.
const RETRANSMIT_MS: u64 = 1_000;
const TRANSMISSIONS: u8 = 3;

/// Asks `server`, and says in the answer how.
pub(super) async fn ask(
    runtime: &ScopedRuntime,
    server: &DnsServer,
    request: DnsRequest,
) -> Result<DnsResponse, NetError> {
    let noted = |mut response: DnsResponse, transport| {
        Provenance::in_the_clear(server.address.ip(), transport).note_on(&mut response);
        response
    };
    match ask_by_udp(runtime, server, request.clone()).await {
        Ok(response) if response.truncation => {
            ask_by_tcp(runtime, server, request).await.map(|response| noted(response, Transport::Tcp))
        }
        result => result.map(|response| noted(response, Transport::Udp)),
    }
}

async fn ask_by_udp(
    runtime: &ScopedRuntime,
    server: &DnsServer,
    request: DnsRequest,
) -> Result<DnsResponse, NetError> {
    let mut stream = UdpClientStream::builder(server.address, runtime.clone())
        .with_timeout(Some(PATIENCE))
        .with_os_port_selection(true)
        .with_bind_addr(Some(local(server)))
        .with_max_retries(TRANSMISSIONS)
        .with_retry_interval_floor(RETRANSMIT_MS)
        .build();
    stream.send_message(request).first_answer().await
}

/// One connection a question: the driver of the connection runs inside this future, and ends with it.
async fn ask_by_tcp(
    runtime: &ScopedRuntime,
    server: &DnsServer,
    request: DnsRequest,
) -> Result<DnsResponse, NetError> {
    let question = request.queries.clone();
    let (connecting, sender) =
        TcpClientStream::new(server.address, Some(local(server)), Some(PATIENCE), runtime.clone());
    let multiplexer = DnsMultiplexer::new(connecting.await?, sender).with_timeout(PATIENCE);
    let (exchange, driver) = DnsExchange::<ScopedRuntime>::from_stream(multiplexer);
    let mut answer = exchange.send(request).first_answer();
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        () = driver => answer.await,
    }?;
    check(&response, &question)?;
    Ok(response)
}

/// Over a stream, an answer is whole and to the question.
///
/// # Errors
/// It is not.
pub(super) fn check(
    response: &DnsResponse,
    question: &[hickory_resolver::proto::op::Query],
) -> Result<(), NetError> {
    if response.queries != question {
        return Err(NetError::from("the answer is to another question"));
    }
    if response.truncation { Err(NetError::Truncated) } else { Ok(()) }
}
