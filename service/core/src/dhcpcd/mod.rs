//! What dhcpcd tells the listeners at its control socket: the environment that it gives to its hook scripts
//! (dhcpcd-run-hooks(8)), `NAME=value` with a NUL after each, in frames that begin with their length.

mod by_hand;
mod dhcpv6;
mod grant;

pub use by_hand::ByHand;
pub use dhcpv6::Dhcpv6Grant;
pub use grant::{Grant, Told};

/// The longest message that is taken. dhcpcd's are a few thousand bytes, twice the options of a DHCP packet.
pub const MAX_MESSAGE: usize = 128 << 10;
/// The width of a length: a `size_t` of this machine.
pub const LENGTH_WIDTH: usize = size_of::<usize>();

/// A message of dhcpcd about one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name of the interface, as the kernel has it.
    pub interface: Vec<u8>,
    /// What it comes to.
    pub news: News,
}

/// What a message says of what servers gave its interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// There is a DHCPv4 lease.
    Lease(Box<Grant>),
    /// IPv4 is set by hand in dhcpcd.conf, and no server stands behind it.
    ByHand(Box<ByHand>),
    /// There is no DHCPv4 lease, and nothing by hand (any more).
    NoLease,
    /// A DHCPv6 server gave something.
    Dhcpv6(Box<Dhcpv6Grant>),
    /// There is nothing of a DHCPv6 server (any more).
    NoDhcpv6,
    /// There is nothing of any server (any more).
    NothingLeft,
    /// Nothing: it is about a router, a link-local address, or a carrier that has come.
    Nothing,
}

/// A frame that is longer than [`MAX_MESSAGE`]: whoever sends it is not dhcpcd, or the stream is out of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The length that it claims.
    pub length: usize,
}

impl std::fmt::Display for FrameTooLong {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a message claims {} bytes, and {MAX_MESSAGE} are the most", self.length)
    }
}

impl std::error::Error for FrameTooLong {}

/// The first message in `stream` and the number of bytes that it takes with its length; `None` when it is not
/// complete yet.
///
/// # Errors
///
/// The frame is too long to wait for.
pub fn first_frame(stream: &[u8]) -> Result<Option<(&[u8], usize)>, FrameTooLong> {
    let Some((length, rest)) = read_length(stream) else { return Ok(None) };
    if length > MAX_MESSAGE {
        return Err(FrameTooLong { length });
    }
    Ok(rest.get(..length).map(|message| (message, LENGTH_WIDTH + length)))
}

/// The number at the begin of `stream` and what comes after it; the answer to `--getinterfaces` begins with the
/// number of its messages.
pub fn read_length(stream: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = stream.split_first_chunk::<LENGTH_WIDTH>()?;
    Some((usize::from_ne_bytes(*length), rest))
}

impl Report {
    /// Reads a message; `None` when it is about no interface. Variables that make no sense count as not there.
    pub fn read(message: &[u8]) -> Option<Self> {
        let variables = Variables(message);
        let interface = variables.get("interface").filter(|name| !name.is_empty())?.to_vec();
        Some(Self { interface, news: News::of(variables) })
    }
}

impl News {
    fn of(variables: Variables<'_>) -> Self {
        let reason = variables.get("reason").unwrap_or_default();
        match variables.get("protocol") {
            Some(b"dhcp") if variables.get("if_up") == Some(b"false") => Self::NoLease,
            Some(b"dhcp") if reason == b"STATIC" => {
                ByHand::read(variables).map_or(Self::NoLease, |set| Self::ByHand(Box::new(set)))
            }
            Some(b"dhcp") => {
                Grant::read(variables).map_or(Self::NoLease, |grant| Self::Lease(Box::new(grant)))
            }
            Some(b"dhcp6") if variables.get("if_up") == Some(b"false") => Self::NoDhcpv6,
            // Part of a prefix that another interface got: no server has spoken here.
            Some(b"dhcp6") if reason == b"DELEGATED6" => Self::Nothing,
            Some(b"dhcp6") => {
                Dhcpv6Grant::read(variables).map_or(Self::NoDhcpv6, |grant| Self::Dhcpv6(Box::new(grant)))
            }
            Some(b"link") if matches!(reason, b"NOCARRIER" | b"DEPARTED" | b"STOPPED") => Self::NothingLeft,
            _ => Self::Nothing,
        }
    }
}

/// The variables of a message.
#[derive(Clone, Copy, Debug)]
struct Variables<'a>(&'a [u8]);

impl<'a> Variables<'a> {
    fn get(&self, name: &str) -> Option<&'a [u8]> {
        let value = |variable: &'a [u8]| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        self.0.split(|byte| *byte == 0).find_map(value)
    }

    /// The value of a variable of the lease that holds now.
    fn of_lease(&self, name: &str) -> Option<&'a [u8]> {
        self.get(&format!("new_{name}")).filter(|value| !value.is_empty())
    }

    /// The words in a variable of the lease that holds now.
    fn words(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let value = self.of_lease(name).unwrap_or_default();
        value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn message(variables: &[&str]) -> Vec<u8> {
        variables.iter().flat_map(|variable| [variable.as_bytes(), b"\0"].concat()).collect()
    }

    fn news(variables: &[&str]) -> News {
        let mut all = vec!["PATH=/bin", "interface=wan"];
        all.extend(variables);
        Report::read(&message(&all)).expect("a report").news
    }

    const BOUND: [&str; 6] = [
        "reason=BOUND",
        "protocol=dhcp",
        "if_up=true",
        "new_ip_address=192.0.2.7",
        "new_subnet_cidr=24",
        "new_dhcp_lease_time=180",
    ];

    #[test]
    fn a_lease_comes_and_goes() {
        assert!(matches!(news(&BOUND), News::Lease(_)));
        let gone = |reason, protocol| news(&[reason, protocol, "if_up=false", "old_ip_address=192.0.2.7"]);
        for reason in ["reason=EXPIRE", "reason=NAK", "reason=RELEASE", "reason=STOP"] {
            assert_eq!(gone(reason, "protocol=dhcp"), News::NoLease, "{reason}");
        }
        for reason in ["reason=EXPIRE6", "reason=RELEASE6", "reason=STOP6"] {
            assert_eq!(gone(reason, "protocol=dhcp6"), News::NoDhcpv6, "{reason}");
        }
        for reason in ["reason=NOCARRIER", "reason=DEPARTED", "reason=STOPPED"] {
            assert_eq!(gone(reason, "protocol=link"), News::NothingLeft, "{reason}");
        }
        for reason in ["reason=BOUND", "reason=STATIC"] {
            assert_eq!(news(&[reason, "protocol=dhcp", "if_up=true"]), News::NoLease, "{reason}");
        }
    }

    #[test]
    fn what_is_not_about_a_lease_says_nothing() {
        assert_eq!(news(&["reason=CARRIER", "protocol=link", "if_up=false"]), News::Nothing);
        assert_eq!(news(&["reason=PREINIT", "protocol=link"]), News::Nothing);
        assert_eq!(news(&["reason=NOCARRIER_ROAMING", "protocol=link"]), News::Nothing);
        assert_eq!(news(&["reason=ROUTERADVERT", "protocol=ra", "if_up=true"]), News::Nothing);
        assert_eq!(news(&["reason=DELEGATED6", "protocol=dhcp6", "new_dhcp6_server_id=00"]), News::Nothing);
        assert_eq!(news(&["reason=IPV4LL", "protocol=ipv4ll", "new_ip_address=169.254.1.2"]), News::Nothing);
        assert_eq!(Report::read(&message(&BOUND)), None, "no interface is named");
        assert_eq!(Report::read(b""), None);
    }

    #[test]
    fn an_odd_interface_name_is_kept_byte_for_byte() {
        let report = Report::read(b"interface=a\xffb\0reason=CARRIER\0").unwrap();
        assert_eq!(report.interface, b"a\xffb");
    }

    #[test]
    fn frames_are_taken_when_they_are_complete() {
        let mut stream = 5_usize.to_ne_bytes().to_vec();
        stream.extend(b"hello");
        for cut in 0..stream.len() {
            assert_eq!(first_frame(&stream[..cut]), Ok(None));
        }
        stream.extend(b"more");
        assert_eq!(first_frame(&stream), Ok(Some((b"hello".as_slice(), LENGTH_WIDTH + 5))));
        let endless = usize::MAX.to_ne_bytes();
        assert_eq!(first_frame(&endless), Err(FrameTooLong { length: usize::MAX }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Report::read(&bytes);
            let _ = first_frame(&bytes);
        }

        #[test]
        fn odd_values_are_survived(
            names in prop::collection::vec(
                prop::sample::select(vec![
                    "ip_address", "subnet_cidr", "subnet_mask", "routers", "domain_name_servers", "domain_name",
                    "domain_search", "interface_mtu", "classless_static_routes", "dhcp_lease_time", "nis_domain",
                ]),
                0..20,
            ),
            values in prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 20),
            address in any::<bool>(),
        ) {
            let mut bytes = message(&["interface=wan", "protocol=dhcp", "reason=RENEW"]);
            if address {
                bytes.extend(message(&["new_ip_address=192.0.2.7"]));
            }
            for (name, value) in names.iter().zip(&values) {
                bytes.extend([b"new_", name.as_bytes(), b"=", value.as_slice(), b"\0"].concat());
            }
            let text = String::from_utf8_lossy(&bytes).replace("protocol=dhcp", "protocol=dhcp6");
            let text = text.replace("new_", "new_dhcp6_").replace("ip_address", "ia_na1_ia_addr1");
            let _ = Report::read(text.as_bytes());
            let text = String::from_utf8_lossy(&bytes).replace("reason=RENEW", "reason=STATIC");
            let _ = Report::read(text.as_bytes());
            if let News::Lease(grant) = Report::read(&bytes).unwrap().news {
                let told = Told::Live { at: crate::BootTime::ZERO };
                let lease = grant.lease(told, crate::BootTime::FOREVER, None);
                prop_assert!(lease.prefix_length <= 32);
                let domains = lease.configuration.search_domains.iter().chain(&lease.configuration.domain_name);
                for text in domains {
                    prop_assert!(!text.chars().any(char::is_control));
                }
            }
        }
    }
}
