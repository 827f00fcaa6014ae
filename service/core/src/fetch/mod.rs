//! What is asked of a network's own web servers: the additional information of explicit provisioning domains
//! (RFC 8801 4) and the captive portal API (RFC 8908).
//!
//! The core decides what is asked and when ([`Fetches`]), and never asks: the engine commands a [`Fetch`], and what
//! came of it is an event, [`Fetched`]. How one request stays inside its provisioning domain is said by
//! [`plan::fetch`](crate::plan::fetch).

mod random;
mod schedule;
mod url;
mod wanted;

pub use random::Random;
pub use schedule::{Fetches, Steps, Topic, Wanted};
pub use url::{BadUrl, HttpsUrl, UrlHost};
pub use wanted::wanted;

use crate::event::Ifindex;
use crate::pvd::{PvdKey, Serial};
use crate::pvd_info::Unusable;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The most bytes that are read of an answer.
pub const MAX_DOCUMENT: usize = 64 << 10;
/// The most redirections that are followed.
pub const MAX_REDIRECTIONS: usize = 3;
/// How long one request may take, redirections and name look-ups included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What may be asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPolicy {
    /// Additional information: of all provisioning domains that offer it, or of none (RFC 8801 4.1: a host that
    /// picks could be told by what it picks).
    pub additional_information: bool,
    /// The captive portal API.
    pub captive_portal: bool,
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self { additional_information: true, captive_portal: true }
    }
}

/// What one request is for. Another value is another request: an answer to the old one is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The additional information of an explicit provisioning domain, at this sequence number.
    AdditionalInformation {
        /// Of its PvD option.
        sequence: u16,
    },
    /// The state of a captive portal.
    CaptivePortal {
        /// Its API, as the network gave it (RFC 8910).
        uri: String,
    },
}

/// The sorts of [`Subject`]: at most one of each is asked for a provisioning domain at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchKind {
    /// RFC 8801 4.
    AdditionalInformation,
    /// RFC 8908.
    CaptivePortal,
}

impl Subject {
    /// Its sort.
    pub const fn kind(&self) -> FetchKind {
        match self {
            Self::AdditionalInformation { .. } => FetchKind::AdditionalInformation,
            Self::CaptivePortal { .. } => FetchKind::CaptivePortal,
        }
    }
}

impl FetchKind {
    /// The media type of the answer (RFC 8801 4.1, RFC 8908 5).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::AdditionalInformation => "application/pvd+json",
            Self::CaptivePortal => "application/captive+json",
        }
    }
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The link that it stays on.
    pub ifindex: Ifindex,
    /// The provisioning domain that it stays in.
    pub pvd: Serial,
    /// That provisioning domain over time.
    pub key: PvdKey,
    /// What it is for.
    pub subject: Subject,
}

impl Fetch {
    /// What is asked first.
    ///
    /// # Errors
    /// [`BadUrl`]; the engine commands no such request.
    pub fn url(&self) -> Result<HttpsUrl, BadUrl> {
        match (&self.subject, &self.key) {
            (Subject::AdditionalInformation { .. }, PvdKey::Explicit(id)) => {
                HttpsUrl::of_pvd(id).ok_or(BadUrl::Malformed)
            }
            (Subject::AdditionalInformation { .. }, _) => Err(BadUrl::Malformed),
            (Subject::CaptivePortal { uri }, _) => HttpsUrl::parse(uri),
        }
    }

    /// `url`, if a request like this may ask it: additional information is at port 443 only, a portal where its
    /// network says.
    ///
    /// # Errors
    /// [`BadUrl::Port`].
    pub fn admit(&self, url: HttpsUrl) -> Result<HttpsUrl, BadUrl> {
        match self.subject.kind() {
            FetchKind::AdditionalInformation => url.at_default_port(),
            FetchKind::CaptivePortal => Ok(url),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The link.
    pub ifindex: Ifindex,
    /// The provisioning domain.
    pub pvd: PvdKey,
    /// What was asked.
    pub subject: Subject,
    /// Seconds since 1970 at that moment, which the answer's own times are read against.
    pub wall_clock: i64,
    /// What was answered.
    pub answer: FetchAnswer,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchAnswer {
    /// A document of the right media type, at most [`MAX_DOCUMENT`] bytes long.
    Document {
        /// Its text.
        text: String,
        /// How long it may be kept, in seconds (Cache-Control: max-age, RFC 9111 5.2.2.1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age: Option<u32>,
    },
    /// None, and why.
    Failed(FetchFailure),
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchFailure {
    /// This host cannot ask now: the interface is down, or shared without routing per provisioning domain.
    Hindered,
    /// The server's name has no address, or one that must not be asked (this host's own, link-local ...).
    NoAddress,
    /// The server does not answer.
    Unreachable,
    /// It took longer than [`TIMEOUT`].
    TimedOut,
    /// TLS failed, or the certificate is not that server's.
    Tls,
    /// The certificate begins to be valid later, by this host's clock, which may not be set yet.
    NotYetValid,
    /// A status that is no success (RFC 9110 15).
    Status(u16),
    /// A redirection to where nobody may be sent, or too many of them.
    Redirection,
    /// HTTP was not spoken.
    Http,
    /// Another media type.
    MediaType,
    /// More than [`MAX_DOCUMENT`] bytes.
    TooLarge,
    /// Not UTF-8.
    NotText,
}

impl FetchFailure {
    /// Whether the server was not reached, or this host could not tell who it is, so that asking again later makes
    /// sense. The others are answers (RFC 8801 4.1 allows no second request after those).
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Hindered | Self::NoAddress | Self::Unreachable | Self::TimedOut | Self::NotYetValid
        )
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hindered => out.write_str("this host cannot ask inside that provisioning domain now"),
            Self::NoAddress => out.write_str("the server has no address that may be asked"),
            Self::Unreachable => out.write_str("the server cannot be reached"),
            Self::TimedOut => write!(out, "the server took longer than {} s", TIMEOUT.as_secs()),
            Self::Tls => out.write_str("TLS failed, or the certificate is not that server's"),
            Self::NotYetValid => {
                out.write_str("the server's certificate is not valid yet, or this host's clock is not set")
            }
            Self::Status(status) => write!(out, "the server answered with status {status}"),
            Self::Redirection => {
                out.write_str("the server redirects to where nobody may be sent, or too often")
            }
            Self::Http => out.write_str("the server does not speak HTTP"),
            Self::MediaType => out.write_str("the answer is of another media type"),
            Self::TooLarge => write!(out, "the answer has more than {MAX_DOCUMENT} bytes"),
            Self::NotText => out.write_str("the answer is not UTF-8"),
        }
    }
}

/// What became of a request, for one line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// The provisioning domain.
    pub pvd: PvdKey,
    /// What was asked.
    pub kind: FetchKind,
    /// What became of it.
    pub result: Result<(), FetchTrouble>,
}

/// Why a request gave nothing to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchTrouble {
    /// No document.
    Failed(FetchFailure),
    /// A document that must not be used.
    Unusable(Unusable),
    /// So many requests have failed here that no more are made (RFC 8801 4.1).
    GivenUp,
}

impl fmt::Display for FetchTrouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(out),
            Self::Unusable(unusable) => unusable.fmt(out),
            Self::GivenUp => {
                out.write_str("too many requests have failed: none is made until the link was down")
            }
        }
    }
}

impl fmt::Display for FetchKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AdditionalInformation => "additional information",
            Self::CaptivePortal => "captive portal",
        })
    }
}
