//! What DHCPv6 servers gave, in the lease files of ISC dhclient: `lease6` declarations with a block for each identity
//! association (`ia-na`) and address (`iaaddr`) in them. Times are seconds since 1970.

use super::value::{Value, statement};
use super::{Clocks, Declaration, MAX_INTERFACES};
use crate::BootTime;
use crate::configuration::Configuration;
use crate::dhcp::encrypted_dns::from_dhcpv6;
use crate::lease::Dhcpv6Lease;
use crate::lease_text::{self, parse};
use crate::{limits, text};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Addresses of one declaration beyond this are not looked at.
const MAX_ADDRESSES: usize = 16;

/// What dhclient has written down of a DHCPv6 server. What has no address is not told: nobody could say whether it
/// is of this network or of yesterday's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Record {
    addresses: Vec<Ipv6Addr>,
    /// When the server gave it, in seconds since 1970.
    starts: u64,
    /// In seconds since 1970; `None` for never.
    expires: Option<u64>,
    /// It was given back.
    released: bool,
    configuration: Configuration,
}

/// The last complete declaration of each interface in a file (or in its end), by the kernel's name.
pub fn dhcpv6_records(file: &[u8]) -> BTreeMap<Vec<u8>, Dhcpv6Record> {
    let mut records = BTreeMap::new();
    let mut reading: Option<Reading<'_>> = None;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        // A last line without end is still being written.
        let Some(line) = line.strip_suffix(b"\n").map(<[u8]>::trim_ascii) else { break };
        let block = line.strip_suffix(b"{").map(<[u8]>::trim_ascii);
        if block == Some(b"lease6") {
            reading = Some(Reading::default());
        } else if let Some(block) = block {
            reading.iter_mut().for_each(|reading| reading.enter(block));
        } else if line == b"}" {
            let done = reading.take_if(|reading| !reading.leave());
            let Some((interface, record)) = done.and_then(Reading::record) else { continue };
            if records.len() < MAX_INTERFACES || records.contains_key(interface) {
                records.insert(interface.to_vec(), record);
            }
        } else if let Some(reading) = &mut reading {
            reading.take(line);
        }
    }
    records
}

impl Dhcpv6Record {
    /// Whether the server gave this after `other`, another of the same interface.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.starts > other.starts
    }

    /// The lease as it stands `now`; `None` when it has run out or was given back.
    pub fn lease(&self, now: Clocks) -> Option<Dhcpv6Lease> {
        let expires = match self.expires {
            None => BootTime::FOREVER,
            Some(expires) => {
                let left = Duration::from_secs(expires).checked_sub(now.unix);
                now.boot.after(left.filter(|left| !left.is_zero())?)
            }
        };
        (!self.released).then(|| Dhcpv6Lease {
            addresses: self.addresses.clone(),
            expires: Some(expires),
            configuration: self.configuration.clone(),
            refresh: None,
        })
    }
}

/// A declaration that is being read.
#[derive(Clone, Debug, Default)]
struct Reading<'a> {
    /// Blocks inside the declaration that are open.
    depth: usize,
    released: bool,
    options: Declaration<'a>,
    addresses: Vec<Address>,
    in_address: bool,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    address: Ipv6Addr,
    starts: u64,
    /// In seconds, all ones for ever.
    lifetime: u32,
}

impl<'a> Reading<'a> {
    fn enter(&mut self, block: &[u8]) {
        self.depth += 1;
        let address = block.strip_prefix(b"iaaddr").map(<[u8]>::trim_ascii).and_then(parse);
        let address = address.filter(|_| self.addresses.len() < MAX_ADDRESSES);
        self.in_address = address.is_some();
        self.addresses.extend(address.map(|address| Address { address, starts: 0, lifetime: u32::MAX }));
    }

    /// Leaves a block; whether the declaration goes on.
    fn leave(&mut self) -> bool {
        self.in_address = false;
        let goes_on = self.depth > 0;
        self.depth = self.depth.saturating_sub(1);
        goes_on
    }

    fn take(&mut self, line: &'a [u8]) {
        if self.depth == 0 && line == b"released;" {
            self.released = true;
        }
        let Some((name, value)) = statement(line) else { return };
        match self.addresses.last_mut().filter(|_| self.in_address) {
            Some(address) => match name {
                b"starts" => address.starts = parse(value.word()).unwrap_or_default(),
                b"max-life" => address.lifetime = parse(value.word()).unwrap_or(u32::MAX),
                _ => {}
            },
            None if self.depth == 0 => self.options.statements.push((name, value)),
            None => {}
        }
    }

    fn record(self) -> Option<(&'a [u8], Dhcpv6Record)> {
        let interface = self.options.first("interface")?.plain().filter(|name| !name.is_empty())?;
        let starts = self.addresses.iter().map(|address| address.starts).max()?;
        let end = |address: &Address| {
            (address.lifetime != u32::MAX).then(|| address.starts.saturating_add(address.lifetime.into()))
        };
        let ends: Option<Vec<u64>> = self.addresses.iter().map(end).collect();
        let record = Dhcpv6Record {
            addresses: self.addresses.iter().map(|address| address.address).collect(),
            starts,
            expires: ends.and_then(|ends| ends.into_iter().max()),
            released: self.released,
            configuration: configuration(&self.options),
        };
        Some((interface, record))
    }
}

fn configuration(options: &Declaration<'_>) -> Configuration {
    let addresses = |name: &str| {
        let value = options.first(name);
        value.map_or_else(Vec::new, |value| lease_text::ipv6_addresses(value.list(), limits::SERVERS_PER_PVD))
    };
    let names = |name: &str, limit| -> Vec<String> {
        let domains = options.first(name).map(Value::strings).unwrap_or_default();
        lease_text::names(domains.iter().map(Vec::as_slice), limit)
    };
    Configuration {
        dns_servers: addresses("option dhcp6.name-servers"),
        search_domains: names("option dhcp6.domain-search", limits::DOMAINS_PER_PVD),
        ntp_servers: addresses("option dhcp6.sntp-servers").iter().map(ToString::to_string).collect(),
        nis_servers: addresses("option dhcp6.nis-servers"),
        nis_domain: names("option dhcp6.nis-domain-name", 1).pop(),
        captive_portal: options.bytes(CAPTIVE_PORTAL).as_deref().and_then(lease_text::portal),
        encrypted_dns: options.raw(ENCRYPTED_DNS).and_then(|raw| from_dhcpv6(&raw)).into_iter().collect(),
        server_identifier: options.raw("option dhcp6.server-id").map(|id| hexadecimal(&id)),
        ..Configuration::default()
    }
}

const CAPTIVE_PORTAL: &[&str] = &["option dhcp6.v6-captive-portal", "option dhcp6.unknown-103"];
/// RFC 9463 is younger than dhclient.
const ENCRYPTED_DNS: &str = "option dhcp6.unknown-144";

/// A DUID as text: dhclient parts its bytes by colons and leaves zeros out.
fn hexadecimal(bytes: &[u8]) -> String {
    text::escape(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// As dhclient 4.4.3 writes what dnsmasq gave.
    const FILE: &str = r#"default-duid "\000\001\000\0012\225\314\355\026(\352:7\275";
lease6 {
  interface "eth1";
  ia-na ea:3a:37:bd {
    starts 1795362926;
    renew 300;
    rebind 525;
    iaaddr 2001:db8:1::1eb {
      starts 1795362926;
      preferred-life 300;
      max-life 600;
    }
  }
  option dhcp6.info-refresh-time 3600;
  option dhcp6.client-id 0:1:0:1:32:95:cc:ed:16:28:ea:3a:37:bd;
  option dhcp6.server-id 0:1:0:1:32:95:cc:ec:ea:bb:f2:5f:a4:d5;
  option dhcp6.unknown-144 0:1:0:d:3:64:6e:73:7:65:78:61:6d:70:6c:65:0:0:10:20:1:d:b8:0:1:0:0:0:0:0:0:0:0:0:53:0:1:0:4:3:64:6f:74;
  option dhcp6.name-servers 2001:db8:1::53,2001:db8:1::54;
  option dhcp6.domain-search "six.test.", "b.test.";
  option dhcp6.v6-captive-portal "https://portal.test/6";
  option dhcp6.nis-servers 2001:db8:1::77;
  option dhcp6.status-code success "success";
  option dhcp6.sntp-servers 2001:db8:1::123;
}
"#;

    fn clocks(unix: u64) -> Clocks {
        Clocks { boot: BootTime::from_micros(1_000_000), unix: Duration::from_secs(unix) }
    }

    fn only(file: &str) -> Dhcpv6Record {
        let mut records = dhcpv6_records(file.as_bytes());
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(b"eth1".as_slice()).unwrap()
    }

    #[test]
    fn everything_dhclient_says_is_there() {
        let lease = only(FILE).lease(clocks(1_795_362_926 + 100)).unwrap();
        let ips =
            |words: &[&str]| -> Vec<IpAddr> { words.iter().map(|word| word.parse().unwrap()).collect() };
        assert_eq!(lease.addresses, ["2001:db8:1::1eb".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(lease.expires, Some(BootTime::from_micros(501_000_000)));
        let told = &lease.configuration;
        assert_eq!(told.dns_servers, ips(&["2001:db8:1::53", "2001:db8:1::54"]));
        assert_eq!(told.search_domains, ["six.test", "b.test"]);
        assert_eq!(told.ntp_servers, ["2001:db8:1::123"]);
        assert_eq!(told.nis_servers, ips(&["2001:db8:1::77"]));
        assert_eq!(told.captive_portal.as_deref(), Some("https://portal.test/6"));
        assert_eq!(told.server_identifier.as_deref(), Some("000100013295cceceabbf25fa4d5"));
        assert_eq!((&*told.encrypted_dns[0].name, &*told.encrypted_dns[0].alpn[0]), ("dns.example", "dot"));
    }

    #[test]
    fn it_ends_with_its_last_address_or_when_it_is_given_back() {
        assert!(only(FILE).lease(clocks(1_795_362_926 + 599)).is_some());
        assert_eq!(only(FILE).lease(clocks(1_795_362_926 + 600)), None);
        let released = FILE.replace("  interface", "  released;\n  interface");
        assert_eq!(only(&released).lease(clocks(1_795_362_926)), None);
        let endless = FILE.replace("max-life 600", "max-life 4294967295");
        assert_eq!(only(&endless).lease(clocks(1_999_999_999)).unwrap().expires, Some(BootTime::FOREVER));
    }

    #[test]
    fn the_last_complete_one_counts() {
        let later = FILE.replace("1795362926", "1795363000").replace("::53,", "::55,");
        let both = format!("{FILE}{later}");
        assert!(only(&both).is_newer_than(&only(FILE)));
        let half = &both[..both.len() - 3];
        assert_eq!(only(half), only(FILE), "the second has no end");
        let other = format!("lease {{\n  interface \"eth1\";\n}}\n{FILE}");
        assert_eq!(only(&other), only(FILE));
        let without_address = FILE.replace("iaaddr 2001:db8:1::1eb", "iaprefix 2001:db8:2::/56");
        assert!(dhcpv6_records(without_address.as_bytes()).is_empty());
    }

    proptest! {
        #[test]
        fn any_file_is_survived(lines in prop::collection::vec(prop::sample::select(vec![
            "lease6 {", "lease {", "ia-na 1:2 {", "iaaddr 2001:db8::1 {", "}", "interface \"eth1\";",
            "starts 5;", "max-life 6;", "released;", "{", "option dhcp6.server-id zz;", "\u{0}\u{fe}",
        ]), 0..40)) {
            let _ = dhcpv6_records(lines.join("\n").as_bytes());
        }

        #[test]
        fn a_file_that_is_cut_off_anywhere_is_survived(cut in 0..FILE.len()) {
            prop_assert!(dhcpv6_records(&FILE.as_bytes()[..cut]).is_empty());
        }
    }
}
