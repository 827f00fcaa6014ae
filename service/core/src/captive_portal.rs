//! Captive portals: the options of DHCPv4, DHCPv6 and Router Advertisements (RFC 8910 2), which carry the same, and
//! the API that they name ([`Captivity`], RFC 8908).

mod api;

pub use api::{BadStatus, Captivity};

use crate::text;
use serde::{Deserialize, Serialize};

/// The longest URI that is taken, in bytes: four times what networks may use (RFC 8910 2 allows 255).
pub const MAX_URI_LENGTH: usize = 1024;
/// "There is no captive portal" (RFC 8910 2).
const UNRESTRICTED: &str = "urn:ietf:params:capport:unrestricted";

/// What an option says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptivePortal {
    /// The network has none.
    Unrestricted,
    /// Its API is at this URI, escaped.
    Uri(String),
}

impl CaptivePortal {
    /// Reads `uri` as it is on the wire; `None` when it is empty or too long.
    pub fn read(uri: &[u8]) -> Option<Self> {
        if uri.is_empty() || uri.len() > MAX_URI_LENGTH {
            return None;
        }
        let unrestricted = uri.eq_ignore_ascii_case(UNRESTRICTED.as_bytes());
        Some(if unrestricted { Self::Unrestricted } else { Self::Uri(text::escape(uri)) })
    }

    /// The URI; `None` when there is no portal.
    pub fn into_uri(self) -> Option<String> {
        match self {
            Self::Unrestricted => None,
            Self::Uri(uri) => Some(uri),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_uri_is_escaped() {
        let uri = |bytes: &[u8]| CaptivePortal::read(bytes).unwrap().into_uri();
        assert_eq!(uri(b"https://portal.example/api").as_deref(), Some("https://portal.example/api"));
        assert_eq!(uri(b"https://p\x1b[2J\n/\\\xff").as_deref(), Some("https://p\\027[2J\\010/\\092\\255"));
    }

    #[test]
    fn the_urn_says_that_there_is_none() {
        for urn in ["urn:ietf:params:capport:unrestricted", "URN:ietf:params:capport:unrestricted"] {
            assert_eq!(CaptivePortal::read(urn.as_bytes()), Some(CaptivePortal::Unrestricted));
        }
        assert!(CaptivePortal::read(b"urn:ietf:params:capport:unrestricted.").unwrap().into_uri().is_some());
    }

    #[test]
    fn a_uri_has_a_length() {
        assert_eq!(CaptivePortal::read(b""), None);
        assert!(CaptivePortal::read(&[b'x'; MAX_URI_LENGTH]).is_some());
        assert_eq!(CaptivePortal::read(&[b'x'; MAX_URI_LENGTH + 1]), None);
    }
}
