//! Which address first, and in which provisioning domain (PvD): the choices that the service and the
//! client library share, without I/O and without a clock.
//!
//! - [`addresses`]: default address selection (RFC 6724), inside one PvD.

pub mod addresses;
