//! Client library for `org.ietf.Mif1`, the D-Bus binding of draft-ietf-mif-api-extension-00.
//!
//! A machine on several networks is in several provisioning domains (PvDs): each has its own addresses,
//! routers and DNS servers. This library shows them, translates a name in one of them, and gets a
//! connected socket that stays in it.
//!
//! Two ways in:
//! - [`State::read`]: everything there is now, in one call. [`translate_name`], [`connect_to_address`]
//!   and [`bind_socket`] do one thing in one PvD and return its result. The proxies in [`proxy`] are the members of the
//!   contract one to one. [`ProvisioningDomain::read`] and [`Interface::read`] are for one object that has changed.
//! - [`Subscriber`]: the draft's messages as they come: interfaces, PvDs, their configuration elements and
//!   addresses, names translated, connections made.
//! - [`happy_eyeballs`]: a connection to a name over all PvDs, or those that a policy names. [`connect_to_name`] has
//!   the service do the same.
//! - [`blocking`]: all of it without an async runtime.
//!
//! The contract itself, with every unit, error and ordering rule, is in the XML files beside this crate
//! ([`introspection`] has their text).
//!
//! ```no_run
//! # async fn example() -> Result<(), mif::Error> {
//! let connection = mif::connect(&mif::BusChoice::System).await?;
//! let state = mif::State::read(&connection).await?;
//! for pvd in state.pvds() {
//!     let answer =
//!         mif::translate_name(&connection, &pvd.path, "www.example.org", &mif::TranslateOptions::default()).await;
//!     match answer {
//!         Ok(translation) => drop(translation.answers),
//!         Err(error) => drop(error.to_string()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The connection has to be made, and everything here called, inside a tokio runtime.

pub mod blocking;
mod bus;
mod changes;
mod error;
pub mod happy_eyeballs;
mod high_level;
#[cfg(feature = "json")]
pub mod json;
mod message;
pub mod names;
pub mod proxy;
mod request;
mod state;
mod subscriber;
pub mod wire;

pub use bus::{BusChoice, connect, service_absent, service_present};
pub use changes::{PropertyChange, property_changes};
pub use error::{Error, ErrorKind, Result};
pub use high_level::{ConnectedToName, NameRequest, connect_to_name};
pub use message::{ConfigurationValue, Message};
pub use request::{
    Answer, BindRequest, Binding, ConnectRequest, ConnectedSocket, Protocol, TranslateOptions, Translation,
    bind_socket, connect_to_address, explain, translate_name,
};
pub use state::{Address, Interface, ProvisioningDomain, State};
pub use subscriber::{Messages, Subscriber};

/// The contract as introspection XML: what `Introspect` of the service answers, with documentation.
pub mod introspection {
    /// `org.ietf.Mif1.Manager`
    pub const MANAGER: &str = include_str!("../org.ietf.Mif1.Manager.xml");
    /// `org.ietf.Mif1.HighLevel`
    pub const HIGH_LEVEL: &str = include_str!("../org.ietf.Mif1.HighLevel.xml");
    /// `org.ietf.Mif1.Interface`
    pub const INTERFACE: &str = include_str!("../org.ietf.Mif1.Interface.xml");
    /// `org.ietf.Mif1.ProvisioningDomain`
    pub const PROVISIONING_DOMAIN: &str = include_str!("../org.ietf.Mif1.ProvisioningDomain.xml");
    /// `org.ietf.Mif1.Subscriber`
    pub const SUBSCRIBER: &str = include_str!("../org.ietf.Mif1.Subscriber.xml");
    /// All of them.
    pub const ALL: [&str; 5] = [MANAGER, HIGH_LEVEL, INTERFACE, PROVISIONING_DOMAIN, SUBSCRIBER];
}
