//! What ends a source, and with it the daemon.

use std::io;

/// A source cannot go on. What a source can survive (odd packets, overruns, a missing DHCP client) is not here.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The kernel gave no routing netlink socket.
    #[error("cannot open a routing netlink socket")]
    OpenNetlink(#[source] io::Error),
    /// The kernel refused to tell its state.
    #[error("cannot read the kernel's {what}")]
    Dump {
        /// What was asked for: links, addresses or routes.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The service may not hear Router Advertisements.
    #[error("cannot listen for Router Advertisements: the capability CAP_NET_RAW is missing")]
    NoRawSocketPermitted(#[source] io::Error),
    /// Router Advertisements cannot be heard for another reason.
    #[error("cannot listen for Router Advertisements")]
    RawSocket(#[source] io::Error),
    /// The directories of DHCP clients cannot be watched.
    #[error("cannot watch for DHCP clients")]
    Watch(#[source] io::Error),
    /// Nobody takes observations any more: the daemon is about to stop.
    #[error("the engine takes no observations any more")]
    FeedClosed,
    /// A source has panicked: a defect of this program.
    #[error("a source has ended out of turn")]
    Task(#[source] tokio::task::JoinError),
}
