//! Additional information of an explicit provisioning domain (RFC 8801 4.3): what a JSON object must have to be used,
//! and what is taken out of it.

mod json;
mod split_dns;

pub use json::{BadJson, MAX_DEPTH, one_line, parse_object};
pub use split_dns::SplitDnsClaim;

use crate::BootTime;
use crate::captive_portal::BadStatus;
use crate::configuration::Prefix;
use crate::text;
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most DNS zones that are taken from one object.
pub const MAX_ZONES: usize = 64;
/// The most split-DNS claims that are taken from one object.
pub const MAX_CLAIMS: usize = 16;
/// The most prefixes that are looked at: twice what a router may advertise.
pub const MAX_PREFIXES: usize = 128;
/// The longest name in DNS, in characters.
const MAX_NAME: usize = 253;

/// A checked object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalInformation {
    /// All of it in one line ([`one_line`]).
    pub text: String,
    /// It is not to be used from then on (`expires`).
    pub expires: BootTime,
    /// The zones that the provisioning domain's servers alone know (`dnsZones`), lower case, no final dot, escaped.
    pub dns_zones: Vec<String>,
    /// Whether there is no way to the Internet (`noInternet`), if it says so.
    pub no_internet: Option<bool>,
    /// The claims of authority over names (`splitDnsClaims`, RFC 9704), none of them verified.
    pub split_dns_claims: Vec<SplitDnsClaim>,
    /// The prefixes that its provisioning domain has (`prefixes`).
    prefixes: Vec<Prefix>,
    /// [`AdditionalInformation::text`] without `expires`.
    lasting: String,
}

/// Why an object must not be used (RFC 8801 4.3, 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is no good JSON.
    Json(BadJson),
    /// A key that must be there is missing, or of another type.
    Missing(&'static str),
    /// `identifier` names another provisioning domain.
    OtherIdentifier,
    /// `expires` is no time of RFC 3339.
    NotATime,
    /// `expires` is in the past, by this host's clock.
    Expired,
    /// An entry of `prefixes` is no prefix, or there are more than [`MAX_PREFIXES`].
    Prefixes,
    /// A prefix that the routers advertise is in none of `prefixes`: the network is misconfigured.
    NotCovered(Prefix),
    /// The word of a captive portal that says nothing (RFC 8908 5).
    Portal(BadStatus),
}

/// What an object is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The PvD ID, lower case, no final dot.
    pub id: &'a str,
    /// The time.
    pub now: BootTime,
    /// Seconds since 1970 at `now`.
    pub wall_clock: i64,
}

impl AdditionalInformation {
    /// Reads `text` as the object of the provisioning domain that is `expected`.
    ///
    /// # Errors
    /// Why it must not be used. Whether it covers the advertised prefixes is for [`AdditionalInformation::covers`].
    pub fn read(text: &str, expected: &Expected<'_>) -> Result<Self, Unusable> {
        let mut object = parse_object(text).map_err(Unusable::Json)?;
        check_identifier(&object, expected.id)?;
        let expires = read_expires(&object, expected)?;
        let prefixes = read_prefixes(&object)?;
        let text = one_line(&object);
        let information = Self {
            dns_zones: names(object.get("dnsZones"), MAX_ZONES),
            no_internet: object.get("noInternet").and_then(Value::as_bool),
            split_dns_claims: split_dns::read(object.get("splitDnsClaims")),
            lasting: {
                object.remove("expires");
                one_line(&object)
            },
            text,
            expires,
            prefixes,
        };
        Ok(information)
    }

    /// Whether a prefix that a router advertises is inside one of its own, bit by bit.
    ///
    /// # Errors
    /// It is not: the object must not be used.
    pub fn covers(&self, advertised: &Prefix) -> Result<(), Unusable> {
        let covered = self.prefixes.iter().any(|own| own.contains(advertised));
        covered.then_some(()).ok_or(Unusable::NotCovered(*advertised))
    }

    /// Whether the two say the same, `expires` left out of account.
    pub fn same_but_times(&self, other: &Self) -> bool {
        self.lasting == other.lasting
    }
}

fn check_identifier(object: &Map<String, Value>, id: &str) -> Result<(), Unusable> {
    let identifier =
        object.get("identifier").and_then(Value::as_str).ok_or(Unusable::Missing("identifier"))?;
    let name = identifier.strip_suffix('.').unwrap_or(identifier);
    if name.eq_ignore_ascii_case(id) { Ok(()) } else { Err(Unusable::OtherIdentifier) }
}

fn read_expires(object: &Map<String, Value>, expected: &Expected<'_>) -> Result<BootTime, Unusable> {
    let expires = object.get("expires").and_then(Value::as_str).ok_or(Unusable::Missing("expires"))?;
    let expires = OffsetDateTime::parse(expires, &Rfc3339).map_err(|_| Unusable::NotATime)?.unix_timestamp();
    match u64::try_from(expires.saturating_sub(expected.wall_clock)) {
        Ok(left @ 1..) => Ok(expected.now.after(Duration::from_secs(left))),
        Ok(0) | Err(_) => Err(Unusable::Expired),
    }
}

fn read_prefixes(object: &Map<String, Value>) -> Result<Vec<Prefix>, Unusable> {
    let list = object.get("prefixes").and_then(Value::as_array).ok_or(Unusable::Missing("prefixes"))?;
    if list.len() > MAX_PREFIXES {
        return Err(Unusable::Prefixes);
    }
    let prefix = |entry: &Value| entry.as_str().and_then(Prefix::from_text).ok_or(Unusable::Prefixes);
    list.iter().map(prefix).collect()
}

/// The domain names in a list; what is none is left out, as is what comes after `most` of them.
pub(crate) fn names(list: Option<&Value>, most: usize) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).filter_map(name).take(most).collect()
}

/// A domain name in lower case, without final dot, escaped.
pub(crate) fn name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let good = !name.is_empty() && name.len() <= MAX_NAME && name.split('.').all(|label| !label.is_empty());
    good.then(|| text::escape(name.to_ascii_lowercase().as_bytes()))
}

impl fmt::Display for Unusable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(bad) => bad.fmt(out),
            Self::Portal(bad) => bad.fmt(out),
            Self::Missing(key) => write!(out, "its key \"{key}\" is missing or of another type"),
            Self::OtherIdentifier => out.write_str("it is of another provisioning domain"),
            Self::NotATime => out.write_str("its key \"expires\" is no time (RFC 3339)"),
            Self::Expired => out.write_str("it has expired, by this host's clock"),
            Self::Prefixes => {
                write!(out, "its key \"prefixes\" is not a list of at most {MAX_PREFIXES} prefixes")
            }
            Self::NotCovered(prefix) => {
                write!(out, "none of its prefixes covers {prefix}, which a router advertises")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// 2026-11-22T12:00:00Z.
    const WALL_CLOCK: i64 = 1_795_348_800;
    const NOW: BootTime = BootTime::from_micros(5_000_000);

    fn read(text: &str) -> Result<AdditionalInformation, Unusable> {
        AdditionalInformation::read(text, &Expected { id: "isp.example", now: NOW, wall_clock: WALL_CLOCK })
    }

    fn with(key: &str, value: Value) -> Result<AdditionalInformation, Unusable> {
        let mut object = json!({
            "identifier": "isp.example",
            "expires": "2026-11-22T13:00:00Z",
            "prefixes": ["2001:db8:1::/48"],
        });
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(key)),
            value => object[key] = value,
        }
        read(&object.to_string())
    }

    fn prefix(text: &str) -> Prefix {
        Prefix::from_text(text).unwrap()
    }

    #[test]
    fn a_full_object_is_read() {
        let information = read(
            r#"{"identifier": "ISP.Example.", "expires": "2026-11-22T14:00:00.5+01:00", "prefixes": ["2001:db8:1::/48"],
                "noInternet": true, "dnsZones": ["Corp.Example.", "example.net", 5, "", "a..b"], "vendor-x": {"y": 1}}"#,
        )
        .unwrap();
        assert_eq!(information.expires, NOW.after(Duration::from_secs(3600)));
        assert_eq!(information.dns_zones, ["corp.example", "example.net"]);
        assert_eq!(information.no_internet, Some(true));
        assert!(information.text.contains(r#""vendor-x":{"y":1}"#));
    }

    #[test]
    fn what_must_be_there_must_be_right() {
        let unusable = |key: &str, value: Value| with(key, value).unwrap_err();
        for key in ["identifier", "expires", "prefixes"] {
            let missing = [Value::Null, json!(1), json!({})].map(|value| with(key, value).unwrap_err());
            assert!(
                missing.iter().all(|why| matches!(why, Unusable::Missing(named) if *named == key)),
                "{missing:?}"
            );
        }
        assert_eq!(unusable("identifier", json!("isp.example.org")), Unusable::OtherIdentifier);
        assert_eq!(unusable("expires", json!("tomorrow")), Unusable::NotATime);
        assert_eq!(unusable("expires", json!("2026-11-22T12:00:00Z")), Unusable::Expired);
        assert_eq!(unusable("expires", json!("1969-01-01T00:00:00Z")), Unusable::Expired);
        for prefixes in [json!(["2001:db8::"]), json!([1]), json!(["2001:db8::/129"]), json!(["x/1"])] {
            assert_eq!(unusable("prefixes", prefixes), Unusable::Prefixes);
        }
        assert_eq!(unusable("prefixes", json!(vec!["2001:db8::/32"; MAX_PREFIXES + 1])), Unusable::Prefixes);
        assert!(matches!(read("{\"identifier\":"), Err(Unusable::Json(BadJson::Malformed(_)))));
    }

    #[test]
    fn what_need_not_be_there_may_be_wrong() {
        for (key, value) in
            [("noInternet", json!("yes")), ("dnsZones", json!("corp")), ("splitDnsClaims", json!(7))]
        {
            let information = with(key, value).unwrap();
            assert_eq!((information.no_internet, information.dns_zones.len()), (None, 0));
        }
        let zones: Vec<String> = (0..100).map(|number| format!("z{number}.example")).collect();
        assert_eq!(with("dnsZones", json!(zones)).unwrap().dns_zones.len(), MAX_ZONES);
    }

    #[test]
    fn prefixes_cover_bit_by_bit() {
        let covers = |own: &str, advertised: &str| {
            with("prefixes", json!([own])).unwrap().covers(&prefix(advertised)).is_ok()
        };
        assert!(covers("2001:db8:1::/48", "2001:db8:1:2::/64"));
        assert!(covers("2001:db8:1::/48", "2001:db8:1::/48"));
        assert!(!covers("2001:db8:1::/48", "2001:db8::/32"), "wider than its own");
        assert!(!covers("2001:db8:1::/48", "2001:db8:10::/64"), "a prefix as text only");
        assert!(covers("2001:db8:1:8000::/49", "2001:db8:1:ffff::/64"));
        assert!(!covers("2001:db8:1:8000::/49", "2001:db8:1:7fff::/64"));
        let why = with("prefixes", json!([])).unwrap().covers(&prefix("2001:db8:1::/64")).unwrap_err();
        assert_eq!(why, Unusable::NotCovered(prefix("2001:db8:1::/64")));
    }

    #[test]
    fn a_later_end_is_no_news() {
        let early = with("expires", json!("2026-11-22T13:00:00Z")).unwrap();
        let late = with("expires", json!("2026-11-22T14:00:00Z")).unwrap();
        assert!(early.same_but_times(&late) && early != late);
        assert!(!early.same_but_times(&with("noInternet", json!(false)).unwrap()));
    }

    proptest! {
        #[test]
        fn covering_is_covering_of_every_address(own in any::<u128>(), length in 0_u8..=128, other in any::<u128>(),
                                                 same in 0_u8..=128, longer in 0_u8..=128) {
            let v6 = |bits: u128| std::net::IpAddr::from(std::net::Ipv6Addr::from(bits));
            let own = Prefix::covering(v6(own), length);
            // An address that shares `same` bits with it.
            let mask = u128::MAX.checked_shl(128 - u32::from(same)).unwrap_or(0);
            let std::net::IpAddr::V6(base) = own.address else { unreachable!() };
            let other = Prefix::covering(v6((u128::from(base) & mask) | (other & !mask)), longer);
            let std::net::IpAddr::V6(first) = other.address else { unreachable!() };
            let last = u128::from(first) | u128::MAX.checked_shr(u32::from(longer)).unwrap_or(0);
            prop_assert_eq!(own.contains(&other), own.covers(other.address) && own.covers(v6(last)));
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,200}") {
            let _ = read(&text);
        }
    }
}
