//! hickory's way to the network: every socket that it uses is made in [`crate::socket`].

use crate::socket::{self, Scope};
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};

/// Sockets of one provisioning domain.
#[derive(Clone)]
pub(super) struct ScopedRuntime {
    scope: Scope,
    handle: TokioHandle,
}

impl ScopedRuntime {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, handle: TokioHandle::default() }
    }

    /// A socket for QUIC with `server`.
    ///
    /// # Errors
    /// As [`socket::datagram_to`].
    pub(super) fn quic_socket(
        &self,
        server: SocketAddr,
        source: Option<IpAddr>,
    ) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket::datagram_to(self.scope, server, source)?)
    }
}

type Opening<Socket> = Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>;

impl RuntimeProvider for ScopedRuntime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.handle.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        let scope = self.scope;
        let connecting = async move {
            let socket = socket::stream_to(scope, server, local.and_then(source))?;
            let stream = tokio::net::TcpSocket::from_std_stream(socket.into()).connect(server).await?;
            // A question is one small write, and so is the answer.
            stream.set_nodelay(true)?;
            socket::end_by_reset(&stream)?;
            Ok(AsyncIoTokioAsStd(stream))
        };
        Box::pin(async move {
            match timeout {
                Some(timeout) => tokio::time::timeout(timeout, connecting).await?,
                None => connecting.await,
            }
        })
    }

    /// hickory would have it unconnected, for systems where a connected socket takes no address to send to. Linux
    /// takes one, and a connected socket hears at once that nothing listens at the server.
    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opening<ConnectedUdp> {
        let scope = self.scope;
        Box::pin(async move {
            let socket = socket::datagram_to(scope, server, source(local))?;
            ConnectedUdp::new(socket)
        })
    }
}

/// A connected datagram socket that fails when the kernel says that nobody listens at the other end. tokio's own does
/// not wake a reader for that: it is an error without anything to read.
pub(super) struct ConnectedUdp(UdpSocket);

impl ConnectedUdp {
    /// A socket of [`crate::socket::datagram_to`].
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        UdpSocket::from_std(socket).map(Self)
    }

    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet).await.map(drop)
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            let ready = self.0.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_error() {
                // An error that is gone is forgotten, so as to wait for the next.
                let error = || self.0.take_error()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
                match self.0.try_io(Interest::ERROR, error) {
                    Ok(error) => return Err(error),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            match self.0.try_recv_from(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        task: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        DnsUdpSocket::poll_recv_from(&self.0, task, buffer)
    }

    // The signature is what async-trait makes of `async fn recv_from`.
    fn recv_from<'socket, 'buffer, 'future>(
        &'socket self,
        buffer: &'buffer mut [u8],
    ) -> Pin<Box<dyn Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'future>>
    where
        'socket: 'future,
        'buffer: 'future,
        Self: 'future,
    {
        Box::pin(self.receive(buffer))
    }

    fn poll_send_to(
        &self,
        task: &mut Context<'_>,
        buffer: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        DnsUdpSocket::poll_send_to(&self.0, task, buffer, target)
    }
}

/// hickory says "any address" where none was asked for.
fn source(local: SocketAddr) -> Option<IpAddr> {
    Some(local.ip()).filter(|address| !address.is_unspecified())
}
