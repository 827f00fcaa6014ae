//! What can go wrong with routing.

use mif_core::pvd::Serial;
use mif_core::routing::Exhausted;
use std::io;
use std::path::PathBuf;

/// Why there is no routing per provisioning domain, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// No netlink socket.
    #[error("no routing socket can be opened")]
    Open(#[source] io::Error),
    /// The kernel does not take rules.
    #[error("the kernel takes no routing rules (policy routing and CAP_NET_ADMIN are needed)")]
    NoRules(#[source] io::Error),
    /// A request failed.
    #[error("cannot {what}")]
    Kernel {
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        source: io::Error,
    },
    /// The list of marks cannot be kept.
    #[error("{}: the marks that are given out cannot be kept in it", path.display())]
    Written {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel's changes cannot be watched any more.
    #[error("the kernel's rules and routes cannot be watched")]
    Watch(#[source] io::Error),
}

/// Why a provisioning domain could not be put into use.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// It went meanwhile.
    #[error("provisioning domain {0} is gone")]
    Gone(Serial),
    /// There are no more marks.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The kernel or the file system refused something.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The service stops.
    #[error("the service stops")]
    Stopped,
}
