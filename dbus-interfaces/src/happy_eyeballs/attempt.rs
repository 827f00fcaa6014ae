//! One attempt to connect in one PvD.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use zbus::{Connection, ObjectPath};

use super::Sockets;
use crate::error::{Error, ErrorKind, Result};
use crate::request::{BindRequest, ConnectRequest, bind_socket, connect_to_address};

/// Where to, and how.
pub(super) struct Request {
    /// The place of the PvD in the list.
    pub(super) pvd: usize,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) sockets: Sockets,
    pub(super) interactive: bool,
    /// How long the service may try; the race ends it earlier.
    pub(super) limit: Duration,
}

/// A connection.
pub(super) struct Made {
    /// The place of the PvD in the list.
    pub(super) pvd: usize,
    pub(super) socket: OwnedFd,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<SocketAddr>,
}

/// Connects. Dropping the future ends the attempt.
pub(super) async fn attempt(connection: &Connection, pvd: &ObjectPath<'_>, request: Request) -> Result<Made> {
    if request.sockets == Sockets::Own {
        match with_own_socket(connection, pvd, &request).await {
            // An instance that cannot bind sockets.
            Err(error) if cannot_bind(&error) => {}
            made => return made,
        }
    }
    with_socket_of_the_service(connection, pvd, &request).await
}

async fn with_own_socket(connection: &Connection, pvd: &ObjectPath<'_>, request: &Request) -> Result<Made> {
    let remote = SocketAddr::new(request.address, request.port);
    let failed = |source: std::io::Error| Error::Connect { remote, source: Arc::new(source) };
    let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(failed)?;
    let binding = BindRequest {
        destination: Some(request.address),
        interactive: request.interactive,
        ..BindRequest::default()
    };
    bind_socket(connection, pvd, &socket, &binding).await?;
    let stream = socket.connect(remote).await.map_err(failed)?;
    let local = stream.local_addr().ok();
    Ok(Made { pvd: request.pvd, socket: handed_over(stream).map_err(failed)?, remote, local })
}

/// Programs expect a socket that blocks.
fn handed_over(stream: TcpStream) -> std::io::Result<OwnedFd> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream.into())
}

fn cannot_bind(error: &Error) -> bool {
    let kinds = [ErrorKind::NotSupported, ErrorKind::UnknownMethod];
    error.kind().is_some_and(|kind| kinds.contains(&kind))
}

async fn with_socket_of_the_service(
    connection: &Connection,
    pvd: &ObjectPath<'_>,
    request: &Request,
) -> Result<Made> {
    let wanted = ConnectRequest {
        timeout: Some(request.limit),
        interactive: request.interactive,
        ..ConnectRequest::new(request.address, request.port)
    };
    let connected = connect_to_address(connection, pvd, &wanted).await?;
    let remote = SocketAddr::new(request.address, request.port);
    Ok(Made { pvd: request.pvd, socket: connected.socket, remote, local: connected.local })
}
