//! Requests under way. Each is a future that carries one plan out; dropping it cancels it and leaves no socket.

pub mod bind;
pub mod connect;
pub mod race;

use std::time::Duration;

/// The kernel ends the sockets of an interface that goes before it tells of its going. What a client is to hear
/// then is that its provisioning domain is gone (ordering rule O4), and that ends the request before this is over.
pub const UNTIL_LINK_GONE: Duration = Duration::from_secs(1);
