//! Routing per provisioning domain: a mark, a table and rules for each one in use, so that a packet leaves by the
//! router of the provisioning domain that its socket belongs to, whatever other routers the link has.
//!
//! A bound source does not choose a router, and neither does a bound interface. So sockets carry a [`Mark`], and the
//! rules send packets with it to a table of their own, which holds nothing but what the network of that provisioning
//! domain told ([`table`]). What such a table does not know is refused, never looked up elsewhere.
//!
//! Everything here is choice; carrying it out is the daemon's.

mod change;
mod link_name;
mod mark;
mod register;
mod restoration;
mod rule;
mod silent;
pub mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests_support;

pub use change::{RouteChange, changes};
pub use link_name::LinkName;
pub use mark::{BadMarks, Mark, MarkSpace};
pub use register::{Exhausted, Owner, Register};
pub use restoration::{Restoration, Verdict};
pub use rule::{BadPriority, Layout, Rule, SourceRules};
pub use silent::SilentRouters;
pub use table::{Table, TableRoute};

/// The routing protocol number (rtm_protocol, FRA_PROTOCOL) of all that this service puts into the kernel, by which
/// it knows its own again: an M, like the tag of its marks. No routing daemon has it in `/etc/iproute2/rt_protos`.
pub const PROTOCOL: u8 = 77;

/// How packets are led.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// By the kernel's one table, which knows no provisioning domains.
    #[default]
    Shared,
    /// By a table of each provisioning domain in use.
    PerPvd,
}
