//! `[dns]`: how DNS servers are asked.

use crate::translate::Settings;
use mif_core::plan::Encryption;
use serde::Deserialize;
use std::path::PathBuf;

/// `[dns]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    encryption: Wish,
    certificates: Option<AbsolutePath>,
}

impl Dns {
    /// What they mean for translations.
    pub fn settings(&self) -> Settings {
        Settings {
            certificates: self.certificates.clone().map(|path| path.0),
            encryption: self.encryption.into(),
            ..Settings::default()
        }
    }
}

/// [`Encryption`] as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Off,
    #[default]
    Announced,
    Opportunistic,
}

impl From<Wish> for Encryption {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Off => Self::Off,
            Wish::Announced => Self::Announced,
            Wish::Opportunistic => Self::Opportunistic,
        }
    }
}

/// A service has no directory to be relative to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
struct AbsolutePath(PathBuf);

impl TryFrom<PathBuf> for AbsolutePath {
    type Error = NotAbsolute;

    fn try_from(path: PathBuf) -> Result<Self, NotAbsolute> {
        if path.is_absolute() { Ok(Self(path)) } else { Err(NotAbsolute) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not an absolute path")]
struct NotAbsolute;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Settings, String> {
        let config = Config::parse(Path::new("mifd.toml"), text).map_err(|error| error.to_string())?;
        Ok(config.dns.settings())
    }

    #[test]
    fn every_key_is_read() {
        assert_eq!(parse("").unwrap().encryption, Encryption::Announced);
        for (word, meaning) in [
            ("off", Encryption::Off),
            ("announced", Encryption::Announced),
            ("opportunistic", Encryption::Opportunistic),
        ] {
            assert_eq!(parse(&format!("[dns]\nencryption = \"{word}\"\n")).unwrap().encryption, meaning);
        }
        let settings = parse("dns.certificates = \"/etc/mif/ca.pem\"").unwrap();
        assert_eq!(settings.certificates, Some(PathBuf::from("/etc/mif/ca.pem")));
        assert_eq!(settings.hosts, Path::new("/etc/hosts"));
    }

    #[test]
    fn wrong_values_are_named_with_what_would_be_right() {
        assert_eq!(
            parse("[dns]\nencryption = \"always\"\n").unwrap_err(),
            "mifd.toml:2:14: dns.encryption is \"always\": it takes one of \"off\", \"announced\", \"opportunistic\""
        );
        assert_eq!(
            parse("[dns]\ncertificates = \"ca.pem\"\n").unwrap_err(),
            "mifd.toml:2:16: dns.certificates is \"ca.pem\": it takes the path of a PEM file, from / on"
        );
    }
}
