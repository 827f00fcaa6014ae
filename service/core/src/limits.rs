//! Every cap on what a network peer or a client can make grow (the D-Bus contract, Manager.Limits).

/// Provisioning domains on one interface.
pub const PVDS_PER_INTERFACE: usize = 32;
/// Routers remembered on one interface: two places are kept for the provisioning domains without a router.
pub const ROUTERS_PER_INTERFACE: usize = PVDS_PER_INTERFACE - 2;
/// Addresses of one provisioning domain.
pub const ADDRESSES_PER_PVD: usize = 64;
/// Addresses remembered on one interface.
pub const ADDRESSES_PER_INTERFACE: usize = ADDRESSES_PER_PVD * 4;
/// DNS servers of one provisioning domain.
pub const SERVERS_PER_PVD: usize = 32;
/// Search domains of one provisioning domain.
pub const DOMAINS_PER_PVD: usize = 64;
/// Routers of one provisioning domain.
pub const ROUTERS_PER_PVD: usize = 16;
/// Prefixes that one router may advertise.
pub const PREFIXES_PER_ROUTER: usize = 64;
/// Routes that one router may advertise.
pub const ROUTES_PER_ROUTER: usize = 64;
/// Routes of the main table remembered on one interface.
pub const ROUTES_PER_INTERFACE: usize = 256;
/// Objects on the bus.
pub const OBJECTS: usize = 32_768;
/// Interfaces: each leaves room for two provisioning domains.
pub const INTERFACES: usize = OBJECTS / 3;
/// Provisioning domains of all interfaces together.
pub const PVDS: usize = OBJECTS - INTERFACES;
/// Routes in the table of a provisioning domain in use.
pub const ROUTES_PER_TABLE: usize = 512;
