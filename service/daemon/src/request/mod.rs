//! Requests under way. Each is a future that carries one plan out; dropping it cancels it and leaves no socket.

pub mod bind;
pub mod connect;
pub mod race;
pub mod way;

use crate::socket::{self, Scope};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a request that was cut off waits for what cut it off.
const UNTIL_LINK_GONE: Duration = Duration::from_secs(1);

/// Whether no packet can leave by any of these `ways`, each a destination and the source to reach it from: the
/// interface, or what it needs to send, is going.
pub fn is_cut_off(scope: Scope, mut ways: impl Iterator<Item = (SocketAddr, Option<IpAddr>)>) -> bool {
    ways.all(|(to, source)| socket::datagram_to(scope, to, source).is_err())
}

/// The kernel ends the sockets of an interface that goes before it tells of its going. What a client is to hear
/// then is that its provisioning domain is gone (ordering rule O4), and that ends the request before this is over.
pub async fn until_link_gone() {
    tokio::time::sleep(UNTIL_LINK_GONE).await;
}
