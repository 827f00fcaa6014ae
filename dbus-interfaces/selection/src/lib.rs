//! Which address first, and in which provisioning domain (PvD): the choices that the service and the
//! client library share, without I/O and without a clock.
//!
//! - [`addresses`]: default address selection (RFC 6724), inside one PvD.
//! - [`race`]: connecting to a name over several PvDs (RFC 8305, "happy eyeballs").

pub mod addresses;
pub mod race;
