//! The library without an async runtime: for programs of threads, or with an event loop of their own.
//!
//! [`Subscriber`] has the draft's three calls: [`post`](Subscriber::post), [`check`](Subscriber::check) and
//! [`get`](Subscriber::get), and a file descriptor for `poll(2)`. [`Client`] does one thing at a time and
//! returns its result.
//!
//! What is there now, and what comes and goes, for ever:
//!
//! ```no_run
//! use mif::blocking::Subscriber;
//! use mif::{BusChoice, Message};
//!
//! # fn main() -> Result<(), mif::Error> {
//! let mut subscriber = Subscriber::open(&BusChoice::System, "example")?;
//! subscriber.post(Message::AnnounceInterfaces)?;
//! while subscriber.check(None)? {
//!     match subscriber.get() {
//!         Some(Message::InterfaceAnnouncement { interface, .. }) => {
//!             subscriber.post(Message::AnnounceProvisioningDomains { interface })?;
//!         }
//!         Some(Message::ProvisioningDomainAnnouncement { pvd, .. }) => {
//!             subscriber.post(Message::AnnounceAddresses { pvd })?;
//!         }
//!         // The service was restarted: everything anew.
//!         Some(Message::Reopened) => subscriber.post(Message::AnnounceInterfaces)?,
//!         Some(message) => eprintln!("{message:?}"),
//!         None => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here may be called from within an async runtime: there, use the rest of the library.

mod client;
mod queue;
mod subscriber;
mod worker;

pub use client::Client;
pub use subscriber::Subscriber;
