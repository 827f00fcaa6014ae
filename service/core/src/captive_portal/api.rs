//! The captive portal API (RFC 8908 5): whether this host is captive, and where people end that.

use crate::BootTime;
use crate::fetch::HttpsUrl;
use crate::pvd_info::{BadJson, parse_object};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// An answer is not asked for again before this, whatever the server says.
const SOONEST: Duration = Duration::from_secs(10);
/// An answer is asked for again after this, whatever the server says.
const LATEST: Duration = Duration::from_secs(24 * 60 * 60);
/// When a captive host asks again if the server does not say: somebody is about to log in.
const WHILE_CAPTIVE: Duration = Duration::from_secs(30);

/// What the API says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captivity {
    /// Whether the network keeps this host from where it wants to go.
    pub captive: bool,
    /// Where people end that (`user-portal-url`).
    pub portal_url: Option<String>,
    /// When a host that is not captive will be (`seconds-remaining`).
    pub expires: Option<BootTime>,
}

/// Why an answer says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadStatus {
    /// It is no good JSON.
    Json(BadJson),
    /// The key `captive` is missing, or no boolean.
    NoCaptive,
}

impl Captivity {
    /// Reads the answer `text` that came at `now`; a portal that is not at an https URL is left out (RFC 8908 5).
    ///
    /// # Errors
    /// It says nothing.
    pub fn read(text: &str, now: BootTime) -> Result<Self, BadStatus> {
        let object = parse_object(text).map_err(BadStatus::Json)?;
        let captive = object.get("captive").and_then(Value::as_bool).ok_or(BadStatus::NoCaptive)?;
        let portal = object.get("user-portal-url").and_then(Value::as_str);
        let portal_url = portal.and_then(|url| HttpsUrl::parse(url).ok()).map(|url| url.to_string());
        // Meant for hosts that are free; of one that is captive it would say nothing.
        let remaining = object.get("seconds-remaining").and_then(Value::as_u64).filter(|_| !captive);
        let expires = remaining.map(|seconds| now.after(Duration::from_secs(seconds)));
        Ok(Self { captive, portal_url, expires })
    }

    /// When to ask again: what is kept no longer than `max_age` seconds, and what ends, is asked for then. A host that
    /// is free for good is not asked about any more; `None`.
    pub fn ask_again(&self, now: BootTime, max_age: Option<u32>) -> Option<BootTime> {
        let kept = max_age.map(|seconds| now.after(Duration::from_secs(u64::from(seconds))));
        let soonest = kept.into_iter().chain(self.expires).min();
        let default = self.captive.then(|| now.after(WHILE_CAPTIVE));
        soonest.or(default).map(|at| at.clamp(now.after(SOONEST), now.after(LATEST)))
    }

    /// Whether the two say the same, times left out of account.
    pub fn same_but_times(&self, other: &Self) -> bool {
        (self.captive, &self.portal_url, self.expires.is_some())
            == (other.captive, &other.portal_url, other.expires.is_some())
    }
}

impl fmt::Display for BadStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(bad) => bad.fmt(out),
            Self::NoCaptive => out.write_str("its key \"captive\" is missing or no boolean"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const NOW: BootTime = BootTime::from_micros(7);

    fn read(text: &str) -> Captivity {
        Captivity::read(text, NOW).unwrap()
    }

    fn seconds(seconds: u64) -> BootTime {
        NOW.after(Duration::from_secs(seconds))
    }

    /// The examples of RFC 8908 5.
    #[test]
    fn the_examples_of_the_rfc() {
        let captive = read(r#"{"captive": true, "user-portal-url": "https://example.org/portal.html"}"#);
        assert_eq!((captive.captive, captive.expires), (true, None));
        assert_eq!(captive.portal_url.as_deref(), Some("https://example.org/portal.html"));
        let free = read(
            r#"{"captive": false, "user-portal-url": "https://example.org/portal.html",
                "venue-info-url": "https://flight.example.com/entertainment",
                "seconds-remaining": 326, "can-extend-session": true}"#,
        );
        assert_eq!((free.captive, free.expires), (false, Some(seconds(326))));
    }

    #[test]
    fn what_says_nothing_is_refused_and_odd_values_are_left_out() {
        for text in ["{}", r#"{"captive": "no"}"#, r#"{"captive": 0}"#] {
            assert_eq!(Captivity::read(text, NOW), Err(BadStatus::NoCaptive), "{text}");
        }
        assert!(matches!(Captivity::read("[true]", NOW), Err(BadStatus::Json(BadJson::NotAnObject))));
        let odd = read(r#"{"captive": false, "user-portal-url": "http://a/", "seconds-remaining": -5}"#);
        assert_eq!(odd, Captivity::default());
        let odd =
            read(r#"{"captive": true, "user-portal-url": "javascript:alert(1)", "seconds-remaining": 5}"#);
        assert_eq!(odd, Captivity { captive: true, ..Captivity::default() });
        let long = read(r#"{"captive": false, "seconds-remaining": 18446744073709551615}"#);
        assert_eq!(long.expires, Some(BootTime::FOREVER));
    }

    #[test]
    fn it_is_asked_again_as_the_server_says_within_bounds() {
        let free = |text: &str| read(&format!("{{\"captive\":false{text}}}"));
        let captive = read(r#"{"captive": true}"#);
        assert_eq!(free("").ask_again(NOW, None), None);
        assert_eq!(free(",\"seconds-remaining\":300").ask_again(NOW, None), Some(seconds(300)));
        assert_eq!(free(",\"seconds-remaining\":300").ask_again(NOW, Some(60)), Some(seconds(60)));
        assert_eq!(free("").ask_again(NOW, Some(0)), Some(seconds(10)));
        assert_eq!(free(",\"seconds-remaining\":99999999999").ask_again(NOW, None), Some(seconds(86_400)));
        assert_eq!(captive.ask_again(NOW, None), Some(seconds(30)));
        assert_eq!(captive.ask_again(NOW, Some(15)), Some(seconds(15)));
    }
}
