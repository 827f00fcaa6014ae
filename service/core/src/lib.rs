//! The pure core of mif: network facts go in, provisioning domains and announcements come out.
//!
//! Nothing here reads a socket, a file or a clock: the time is an argument ([`BootTime`]), input is an
//! [`event::Event`], output is a [`engine::Batch`]. The same events give the same outputs, always.
//!
//! ```text
//! Event -> Facts -> assemble -> diff -> Snapshot + Changes -> subscription (one machine per subscriber)
//! ```
//!
//! Terms are those of draft-ietf-mif-api-extension-00 ("the draft") and of RFC 7556 and RFC 8801.

pub mod announcement;
pub mod assemble;
pub mod broadcast;
pub mod call_queues;
pub mod captive_portal;
pub mod change;
pub mod configuration;
pub mod deliveries;
pub mod dhclient;
pub mod dhcp;
pub mod dhcpcd;
pub mod diff;
pub mod engine;
pub mod event;
pub mod facts;
pub mod fetch;
pub mod hosts;
pub mod lease;
mod lease_text;
pub mod limits;
pub mod nat64;
pub mod network_manager;
pub mod networkd;
pub mod nis;
pub mod outbox;
pub mod plan;
pub mod pvd;
pub mod pvd_info;
pub mod ra;
pub mod recording;
pub mod resolved;
pub mod roll_call;
pub mod routing;
pub mod shared;
pub mod snapshot;
pub mod subscription;
pub mod text;
pub mod time;
pub mod unread;
pub mod usage;

pub use mif_selection::addresses as address_selection;
pub use mif_selection::race;
pub use time::BootTime;
