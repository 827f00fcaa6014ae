//! What a caller's text is: a literal address, a host name, or neither.

use super::{BadName, Invalid, NAME_LENGTH, Refusal};
use std::net::{IpAddr, Ipv6Addr};

/// A text that means a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An address in so many digits.
    Literal(IpAddr),
    /// A name.
    Name(HostName),
}

/// A valid host name: labels of letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName {
    /// As DNS writes it (A-labels), no final dot.
    pub(super) ascii: String,
    /// As people and the protocols of the link write it (U-labels), no final dot.
    pub(super) unicode: String,
    /// It had a final dot: nothing may be put behind it.
    pub(super) absolute: bool,
}

/// Where a name belongs, which says who may be asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under .local: the link (RFC 6762 3).
    Local,
    /// Among the reverse names of link-local addresses: the link (RFC 6762 4). The address, if it names a whole one.
    LinkLocalReverse(Option<IpAddr>),
    /// Under this special-use domain: nobody.
    Special(&'static str),
    /// A single label.
    Label,
    /// Anything else: DNS.
    Global,
}

/// Domains whose names nobody is to be asked for: localhost and invalid (RFC 6761 6.3, 6.4), onion (RFC 7686 2).
const SPECIAL_USE: [&str; 3] = ["localhost", "invalid", "onion"];

/// The reverse names of 169.254/16 and fe80::/10 (RFC 6762 4).
const LINK_LOCAL_REVERSE: [&str; 5] =
    ["254.169.in-addr.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa"];

/// The most characters of a name in the presentation that DNS can carry (RFC 1035 3.1: 255 octets on the wire).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Host {
    /// Reads what a caller gave.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > NAME_LENGTH {
            return Err(Refusal::LimitsExceeded(text.to_owned()));
        }
        Self::parse(text).map_err(|why| Refusal::InvalidArgs(Invalid::Name(text.to_owned(), why)))
    }

    /// Only strict dotted quads and the forms of RFC 4291 2.2 are literals: "0x7f.1" is a name.
    fn parse(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Literal(address));
        }
        if text.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) {
            return Err(BadName::Zone);
        }
        HostName::parse(text).map(Self::Name)
    }
}

impl HostName {
    fn parse(text: &str) -> Result<Self, BadName> {
        let ascii = to_ascii(text)?;
        let (name, absolute) = ascii.strip_suffix('.').map_or((&*ascii, false), |name| (name, true));
        if name.is_empty() {
            return Err(BadName::Root);
        }
        check(name)?;
        Ok(Self { ascii: name.to_owned(), unicode: to_unicode(name), absolute })
    }

    pub(super) fn is_one_label(&self) -> bool {
        !self.ascii.contains('.')
    }

    /// Where it belongs.
    pub(super) fn place(&self) -> Place {
        let name = self.ascii.to_ascii_lowercase();
        let under = |domain: &str| {
            name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if name.ends_with(".local") {
            Place::Local
        } else if let Some(domain) = SPECIAL_USE.into_iter().chain(["local"]).find(|domain| under(domain)) {
            Place::Special(domain)
        } else if LINK_LOCAL_REVERSE.into_iter().any(under) {
            Place::LinkLocalReverse(reversed(&name))
        } else if self.is_one_label() {
            Place::Label
        } else {
            Place::Global
        }
    }

    /// This name inside `domain`, if DNS can carry that.
    pub(super) fn inside(&self, domain: &str) -> Option<String> {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let full = format!("{}.{domain}", self.ascii);
        check(&full).ok().map(|()| full)
    }
}

/// Names that are not ASCII become A-labels (RFC 5890), by the mapping of UTS 46.
fn to_ascii(text: &str) -> Result<String, BadName> {
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY);
    ascii.map(std::borrow::Cow::into_owned).map_err(|_| BadName::NotInternationalized)
}

/// A-labels become U-labels where they are valid; everything else stays as it is.
fn to_unicode(ascii: &str) -> String {
    if !ascii.to_ascii_lowercase().contains("xn--") {
        return ascii.to_owned();
    }
    match idna::domain_to_unicode(ascii) {
        (unicode, Ok(())) => unicode,
        (_, Err(_)) => ascii.to_owned(),
    }
}

/// The address whose reverse name (RFC 1035 3.5, RFC 3596 2.5) is `name`, in lower case.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let quad: Vec<&str> = octets.rsplit('.').collect();
        return quad.join(".").parse().ok().map(IpAddr::V4);
    }
    let nibbles: Vec<&str> = name.strip_suffix(".ip6.arpa")?.rsplit('.').collect();
    if nibbles.len() != 32 || nibbles.iter().any(|nibble| nibble.len() != 1) {
        return None;
    }
    u128::from_str_radix(&nibbles.concat(), 16).ok().map(|bits| IpAddr::V6(bits.into()))
}

/// Whether `name`, which has no final dot, is a host name as DNS writes it.
pub(super) fn is_host_name(name: &str) -> bool {
    check(name).is_ok()
}

/// `name` has no final dot.
fn check(name: &str) -> Result<(), BadName> {
    for label in name.split('.') {
        if label.is_empty() {
            return Err(BadName::EmptyLabel);
        }
        let odd = |character: &char| !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_'));
        if let Some(character) = label.chars().find(odd) {
            return Err(BadName::Character(character));
        }
        if label.len() > LONGEST_LABEL {
            return Err(BadName::LabelTooLong(label.to_owned()));
        }
    }
    if name.len() > LONGEST_NAME { Err(BadName::TooLong(name.len())) } else { Ok(()) }
}
