//! Lease files of ISC dhclient (dhclient.leases(5)): declarations, one after the other, the latest last.
//!
//! dhclient appends to them while it runs and writes one line for each statement. So a file is read line by line:
//! what is half-written or broken spoils nothing beyond its own declaration.

mod dhcpv6;
mod value;

pub use crate::time::Clocks;
pub use dhcpv6::{Dhcpv6Record, dhcpv6_records};

use crate::configuration::{Configuration, RouteKey};
use crate::dhcp::encrypted_dns::from_dhcpv4;
use crate::event::Lease;
use crate::lease_text::{self, parse};
use crate::{BootTime, limits};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use value::{Value, statement};

/// The most of a file that is looked at, from its end. dhclient writes it anew before it has a hundredth of this.
pub const MAX_FILE: usize = 1 << 20;
/// Interfaces beyond this are not looked at.
const MAX_INTERFACES: usize = 1024;

/// A DHCPv4 lease as dhclient has written it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    address: Ipv4Addr,
    prefix_length: u8,
    /// In seconds, all ones for ever.
    lease_time: u32,
    /// In seconds since 1970; `None` for never.
    expires: Option<u64>,
    configuration: Configuration,
    routes: Vec<RouteKey>,
}

/// The last complete lease of each interface in a file (or in its end), by the kernel's name.
pub fn records(file: &[u8]) -> BTreeMap<Vec<u8>, Record> {
    let mut records = BTreeMap::new();
    let mut declaration: Option<Declaration<'_>> = None;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        // A last line without end is still being written.
        let Some(line) = line.strip_suffix(b"\n").map(<[u8]>::trim_ascii) else { break };
        if is_begin(line) {
            declaration = Some(Declaration::default());
        } else if line == b"}" {
            let complete = declaration.take().and_then(Declaration::record);
            let Some((interface, record)) = complete else { continue };
            if records.len() < MAX_INTERFACES || records.contains_key(interface) {
                records.insert(interface.to_vec(), record);
            }
        } else if line.ends_with(b"{") {
            // Another kind of declaration (`lease6`), or a part of one.
            declaration = None;
        } else if let (Some(declaration), Some(statement)) = (&mut declaration, statement(line)) {
            declaration.statements.push(statement);
        }
    }
    records
}

impl Record {
    /// The leased address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Whether the server has granted this lease after `other`, another of the same interface.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let granted =
            |record: &Self| record.expires.map(|expires| expires.saturating_sub(record.lease_time.into()));
        granted(self) > granted(other)
    }

    /// The lease as it stands `now`; `None` when it has run out. It never ends later than the server says, unless
    /// the time of day has been set back since.
    pub fn lease(&self, now: Clocks) -> Option<Lease> {
        let expires = match self.expires {
            None => BootTime::FOREVER,
            Some(expires) => {
                let left =
                    Duration::from_secs(expires).checked_sub(now.unix).filter(|left| !left.is_zero())?;
                now.boot.after(left).min(now.boot.after_lifetime(self.lease_time))
            }
        };
        Some(self.ending(expires))
    }

    /// The lease at `now`, when it has run out by the time of day but the kernel has its address until
    /// `kernel_valid_until`: dhclient's script gives the address the time of the lease, and the time of day may have
    /// been set since (a machine without a clock of its own). An address without an end is no sign of that.
    pub fn overdue_lease(&self, now: BootTime, kernel_valid_until: BootTime) -> Option<Lease> {
        let counts = kernel_valid_until != BootTime::FOREVER && !kernel_valid_until.passed(now);
        counts.then(|| self.ending(kernel_valid_until.min(now.after_lifetime(self.lease_time))))
    }

    fn ending(&self, expires: BootTime) -> Lease {
        let configuration = self.configuration.clone().with_routes(&self.routes);
        let address = IpAddr::V4(self.address);
        Lease { address, prefix_length: self.prefix_length, expires, configuration }.ending(expires)
    }
}

/// `lease {`, however many blanks it has. The declaration before it may have been cut off.
fn is_begin(line: &[u8]) -> bool {
    let kind = line.strip_suffix(b"{").map(<[u8]>::trim_ascii);
    kind == Some(b"lease")
}

/// The statements of one declaration: name and value.
#[derive(Clone, Debug, Default)]
struct Declaration<'a> {
    statements: Vec<(&'a [u8], Value<'a>)>,
}

impl<'a> Declaration<'a> {
    fn record(self) -> Option<(&'a [u8], Record)> {
        let interface = self.first("interface")?.plain().filter(|name| !name.is_empty())?;
        let (routes, routers) = lease_text::routes_and_routers(
            self.classless_routes(),
            self.addresses("option routers", limits::ROUTERS_PER_PVD),
        );
        let record = Record {
            address: parse(self.first("fixed-address")?.word())?,
            prefix_length: self.word("option subnet-mask").and_then(lease_text::prefix_length).unwrap_or(32),
            lease_time: self.word("option dhcp-lease-time").and_then(parse).unwrap_or(u32::MAX),
            expires: self.first("expire")?.time()?,
            configuration: Configuration {
                dns_servers: self.addresses("option domain-name-servers", limits::SERVERS_PER_PVD),
                search_domains: self.names("option domain-search", limits::DOMAINS_PER_PVD),
                domain_name: self.names("option domain-name", 1).pop(),
                routers,
                mtu: self.word("option interface-mtu").and_then(lease_text::mtu),
                ntp_servers: self.words_as_names("option ntp-servers", limits::SERVERS_PER_PVD),
                nis_servers: self.addresses("option nis-servers", limits::SERVERS_PER_PVD),
                nis_domain: self.bytes(&["option nis-domain"]).as_deref().map(crate::text::escape),
                captive_portal: self.bytes(CAPTIVE_PORTAL).as_deref().and_then(lease_text::portal),
                encrypted_dns: self.raw(ENCRYPTED_DNS).map_or_else(Vec::new, |raw| from_dhcpv4(&raw)),
                server_identifier: self.word("option dhcp-server-identifier").map(crate::text::escape),
                ..Configuration::default()
            },
            routes,
        };
        Some((interface, record))
    }

    /// The value of a statement; the first one counts, as with dhclient.
    fn first(&self, name: &str) -> Option<&Value<'a>> {
        self.statements.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    fn word(&self, name: &str) -> Option<&'a [u8]> {
        self.first(name).map(Value::word).filter(|word| !word.is_empty())
    }

    fn addresses(&self, name: &str, limit: usize) -> Vec<IpAddr> {
        self.first(name).map_or_else(Vec::new, |value| lease_text::addresses(value.list(), limit))
    }

    fn words_as_names(&self, name: &str, limit: usize) -> Vec<String> {
        self.first(name).map_or_else(Vec::new, |value| lease_text::names(value.list(), limit))
    }

    /// Names in strings: one in each, or several in one (a domain name that the server misused so).
    fn names(&self, name: &str, limit: usize) -> Vec<String> {
        let strings = self.first(name).map(Value::strings).unwrap_or_default();
        let words = strings.iter().flat_map(|text| text.split(u8::is_ascii_whitespace));
        lease_text::names(words, limit)
    }

    /// The bytes of a text that is not empty; some servers end it with a NUL.
    fn bytes(&self, names: &[&str]) -> Option<Vec<u8>> {
        let mut bytes = names.iter().find_map(|name| self.first(name)).and_then(Value::bytes)?;
        bytes.pop_if(|last| *last == 0);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The bytes of an option that dhclient knows nothing of.
    fn raw(&self, name: &str) -> Option<Vec<u8>> {
        self.first(name).and_then(Value::bytes)
    }

    fn classless_routes(&self) -> Vec<RouteKey> {
        let value = CLASSLESS_ROUTES.iter().find_map(|name| self.first(name));
        value.and_then(Value::bytes).map_or_else(Vec::new, |bytes| lease_text::packed_routes(&bytes))
    }
}

/// Options 121 and 249 have the names that dhclient.conf gives them; that of Debian has the first.
const CLASSLESS_ROUTES: &[&str] = &[
    "option rfc3442-classless-static-routes",
    "option classless-static-routes",
    "option unknown-121",
    "option ms-classless-static-routes",
    "option unknown-249",
];
/// Option 114 had another use before RFC 8910.
const CAPTIVE_PORTAL: &[&str] =
    &["option v4-captive-portal", "option captive-portal", "option default-url", "option unknown-114"];

/// RFC 9463 is younger than dhclient.
const ENCRYPTED_DNS: &str = "option unknown-162";

#[cfg(test)]
mod tests;
