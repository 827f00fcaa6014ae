//! The URLs that are asked: https, a host, nothing that a network could smuggle in.

use crate::captive_portal::MAX_URI_LENGTH;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// The port of https.
const HTTPS_PORT: u16 = 443;
/// Where additional information is (RFC 8801 4.1).
const WELL_KNOWN: &str = "/.well-known/pvd";

/// An https URL, fit to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl(Url);

/// Who is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlHost<'a> {
    /// By a name, which its certificate must carry.
    Name(&'a str),
    /// By an address, which its certificate must carry.
    Address(IpAddr),
}

/// Why a URL is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// It is none, or has characters in it that do not belong there.
    Malformed,
    /// Longer than [`MAX_URI_LENGTH`].
    TooLong,
    /// Another scheme than https (RFC 8801 4.1, RFC 8908 4).
    NotHttps,
    /// It names a user or a password.
    Credentials,
    /// Another port than 443, where only that one is asked.
    Port(u16),
}

impl HttpsUrl {
    /// Reads `text`, as a network gave it.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        Self::check_text(text)?;
        Self::checked(Url::parse(text).map_err(|_| BadUrl::Malformed)?)
    }

    /// Where the additional information of the provisioning domain `id` is; `None` when that is not a name of a host.
    pub fn of_pvd(id: &str) -> Option<Self> {
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !id.split('.').all(is_label) {
            return None;
        }
        let url = Self::parse(&format!("https://{id}{WELL_KNOWN}")).ok()?;
        // "192.0.2.1" and "0x7f.1" are names on the wire, and addresses in a URL.
        (url.host() == UrlHost::Name(id)).then_some(url)
    }

    /// Where a redirection leads to, `location` being absolute or relative to this URL (RFC 9110 10.2.2).
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn redirected(&self, location: &str) -> Result<Self, BadUrl> {
        Self::check_text(location)?;
        Self::checked(self.0.join(location).map_err(|_| BadUrl::Malformed)?)
    }

    /// The same, if it is at the port of https.
    ///
    /// # Errors
    /// [`BadUrl::Port`].
    pub fn at_default_port(self) -> Result<Self, BadUrl> {
        match self.port() {
            HTTPS_PORT => Ok(self),
            port => Err(BadUrl::Port(port)),
        }
    }

    /// Who is to be asked.
    pub fn host(&self) -> UrlHost<'_> {
        match self.0.host() {
            Some(Host::Domain(name)) => UrlHost::Name(name),
            Some(Host::Ipv4(address)) => UrlHost::Address(address.into()),
            Some(Host::Ipv6(address)) => UrlHost::Address(address.into()),
            // `checked` let no such URL pass.
            None => UrlHost::Name(""),
        }
    }

    /// At which port.
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(HTTPS_PORT)
    }

    /// The Host header of a request (RFC 9110 7.2).
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// The target of a request (RFC 9112 3.2.1).
    pub fn target(&self) -> String {
        match self.0.query() {
            Some(query) => format!("{}?{query}", self.0.path()),
            None => self.0.path().to_owned(),
        }
    }

    /// Odd bytes have been escaped with backslashes on the way here, and would be read as slashes.
    fn check_text(text: &str) -> Result<(), BadUrl> {
        if text.len() > MAX_URI_LENGTH {
            return Err(BadUrl::TooLong);
        }
        let good = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if good && !text.is_empty() { Ok(()) } else { Err(BadUrl::Malformed) }
    }

    fn checked(mut url: Url) -> Result<Self, BadUrl> {
        if url.scheme() != "https" {
            return Err(BadUrl::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials);
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Err(BadUrl::Malformed);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => out.write_str("it is not a URL"),
            Self::TooLong => write!(out, "it is longer than {MAX_URI_LENGTH} bytes"),
            Self::NotHttps => out.write_str("its scheme is not https"),
            Self::Credentials => out.write_str("it names a user"),
            Self::Port(port) => write!(out, "its port is {port} and not {HTTPS_PORT}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_pvd_id_becomes_its_well_known_url() {
        let url = HttpsUrl::of_pvd("isp.example.org").unwrap();
        assert_eq!(url.to_string(), "https://isp.example.org/.well-known/pvd");
        assert_eq!((url.host(), url.port()), (UrlHost::Name("isp.example.org"), 443));
        assert_eq!((url.authority(), url.target().as_str()), ("isp.example.org", "/.well-known/pvd"));
        for odd in ["192.0.2.1", "0x7f.1", "a\\046b.example", "a/b.example", "a@b.example", "a:1", "", "a..b"]
        {
            assert_eq!(HttpsUrl::of_pvd(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_a_network_gives_is_checked() {
        let parse = |text: &str| HttpsUrl::parse(text).map(|url| url.to_string());
        assert_eq!(parse("https://p.example:8443/a?b=c#d").unwrap(), "https://p.example:8443/a?b=c");
        assert_eq!(parse("http://p.example/"), Err(BadUrl::NotHttps));
        assert_eq!(parse("file:///etc/passwd"), Err(BadUrl::NotHttps));
        assert_eq!(parse("https://me:secret@p.example/"), Err(BadUrl::Credentials));
        assert_eq!(parse(&format!("https://p.example/{}", "x".repeat(1024))), Err(BadUrl::TooLong));
        for odd in [
            "",
            "p.example",
            "https://",
            "https:///x y",
            "https://p\\027.example/",
            "https://p.example/\u{e9}",
        ] {
            assert_eq!(parse(odd), Err(BadUrl::Malformed), "{odd}");
        }
        let literal = HttpsUrl::parse("https://[2001:db8::1]:1/").unwrap();
        assert_eq!(literal.host(), UrlHost::Address("2001:db8::1".parse().unwrap()));
        assert_eq!(literal.authority(), "[2001:db8::1]:1");
        assert_eq!(literal.at_default_port(), Err(BadUrl::Port(1)));
    }

    #[test]
    fn redirections_are_checked_like_any_other() {
        let url = HttpsUrl::of_pvd("isp.example").unwrap();
        let to = |location: &str| url.redirected(location).map(|url| url.to_string());
        assert_eq!(to("/elsewhere.json").unwrap(), "https://isp.example/elsewhere.json");
        assert_eq!(to("https://cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(to("//cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(to("http://isp.example/x"), Err(BadUrl::NotHttps));
        assert_eq!(to("https://cdn.example:22/").unwrap(), "https://cdn.example:22/");
        assert_eq!(to("\\\\cdn.example/"), Err(BadUrl::Malformed));
    }
}
