//! The configuration file, `/etc/mif/mifd.toml` unless `--config` names another.
//!
//! ```toml
//! # How much goes to the log: error, warn, info, debug or trace. --log on the command line wins.
//! log = "info"
//!
//! [interfaces]
//! # How long provisioning domains stay when an interface loses its carrier, in milliseconds.
//! grace-ms = 2000
//!
//! [dns]
//! # Whether DNS is encrypted: "announced" uses the resolvers that the network announces for that (RFC 9463), and no
//! # other where it announces any; "opportunistic" tries with all servers, and does without where that fails; "off".
//! encryption = "announced"
//! # Certificates to be trusted besides those of the machine (a PEM file).
//! # certificates = "/etc/mif/dns-ca.pem"
//!
//! [web]
//! # Ask networks that offer it for additional information (RFC 8801), always by HTTPS and inside that network.
//! additional-information = true
//! # Ask the captive portal API that a network names (RFC 8908) whether this host is captive, in the same way.
//! captive-portal = true
//!
//! [dhcp]
//! # Ask DHCP servers, where nobody else on this host tells what they say: for an address that was set by hand or by an
//! # unknown client, on a link with a router (DHCPINFORM, RFC 2131), and where a router says that there is DHCPv6
//! # (Information-Request, RFC 8415). Neither asks for addresses or routes.
//! inform = true
//! information-request = true
//!
//! [routing]
//! # Whether packets of each provisioning domain in use are led by rules and a table of their own. Without it,
//! # connections can be had only on interfaces with one provisioning domain a family.
//! enabled = true
//! # Which bits of firewall marks are taken: a tag by which marks of this service are known, where it is, and
//! # where the numbers of provisioning domains are. Bits outside of both masks are left to others.
//! mark-tag = 0x4d000000
//! tag-mask = 0xff000000
//! number-mask = 0x0000ffff
//! # The priority of the first rule; seven in a row are used.
//! rule-priority = 700
//! # Which addresses of provisioning domains in use have rules that lead what comes from them: "where-needed" (IPv4,
//! # where a strict reverse path filter needs them), or "always" (all but link-local ones: sockets of any program
//! # that are bound to such an address then leave by the routers of its network).
//! source-rules = "where-needed"
//!
//! [names]
//! # Who may be asked for names: any of "dns", "hosts" (the host table), "mdns", "llmnr" and "nis".
//! systems = ["dns", "hosts", "mdns", "llmnr", "nis"]
//! ```

mod dhcp;
mod dns;
mod mistake;
mod names;
mod routing;

pub use dhcp::Dhcp;
pub use dns::Dns;
pub use mistake::Mistake;
pub use names::Names;
pub use routing::Routing;

use mif_core::fetch::FetchPolicy;
use mistake::{start, unknown_key, value_at};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;
use tracing_subscriber::filter::LevelFilter;

/// The file that is read when the command line names none. It need not be there.
pub const DEFAULT_PATH: &str = "/etc/mif/mifd.toml";

/// What the file says. Everything has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// How much goes to the log.
    pub log: LogLevel,
    /// `[interfaces]`.
    pub interfaces: Interfaces,
    /// `[dns]`.
    pub dns: Dns,
    /// `[dhcp]`.
    pub dhcp: Dhcp,
    /// `[web]`.
    pub web: Web,
    /// `[routing]`.
    pub routing: Routing,
    /// `[names]`.
    pub names: Names,
}

/// How much goes to the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What the service cannot do its work with.
    Error,
    /// What an administrator should look at.
    Warn,
    /// Starts, stops and changes of note.
    #[default]
    Info,
    /// With names and addresses.
    Debug,
    /// With the contents of packets.
    Trace,
}

/// `[interfaces]`: how links are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Interfaces {
    grace_ms: Grace,
}

impl Interfaces {
    /// How long provisioning domains stay when an interface loses its carrier.
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.0 as u64)
    }
}

/// `[web]`: what web servers of networks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Web {
    additional_information: bool,
    captive_portal: bool,
}

impl Web {
    /// The same, for the engine.
    pub const fn policy(&self) -> FetchPolicy {
        FetchPolicy {
            additional_information: self.additional_information,
            captive_portal: self.captive_portal,
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        let FetchPolicy { additional_information, captive_portal } = FetchPolicy::default();
        Self { additional_information, captive_portal }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
struct Grace(u32);

impl Grace {
    const LONGEST_MS: u32 = 60_000;
}

impl Default for Grace {
    fn default() -> Self {
        Self(2_000)
    }
}

impl TryFrom<u32> for Grace {
    type Error = OutOfRange;

    fn try_from(milliseconds: u32) -> Result<Self, OutOfRange> {
        if milliseconds <= Self::LONGEST_MS { Ok(Self(milliseconds)) } else { Err(OutOfRange) }
    }
}

/// A value that its key does not take; [`mistake`] says which it takes.
#[derive(Debug, thiserror::Error)]
#[error("out of range")]
struct OutOfRange;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong at one place.
    #[error("{}:{line}:{column}: {mistake}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong there, and what would be right.
        mistake: Mistake,
    },
}

impl Config {
    /// Reads `named`, or the default file when the command line named none.
    ///
    /// # Errors
    /// The file cannot be read (only the default file may be missing), or something in it is wrong.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Self::default()),
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// Reads `text`, which stands in `path`.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |(at, mistake): (usize, Mistake)| {
            let (line, column) = place(text, at);
            ConfigError::Wrong { path: path.to_owned(), line, column, mistake }
        };
        let syntax = |error: toml::de::Error| (start(&error), Mistake::Syntax(error.message().to_owned()));
        let table = DeTable::parse(text).map_err(|error| wrong(syntax(error)))?;
        if let Some(unknown) = unknown_key(table.get_ref(), "") {
            return Err(wrong(unknown));
        }
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = start(&error);
            wrong(value_at(table.get_ref(), at, text).unwrap_or_else(|| syntax(error)))
        })?;
        if let Err(why) = config.routing.checked() {
            let at = table.get_ref().get("routing").map_or(0, |value| value.span().start);
            return Err(wrong((at, Mistake::Together { table: "routing", why })));
        }
        Ok(config)
    }
}

impl LogLevel {
    /// As tracing has it.
    pub const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Line and character of the byte `at`, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::mistake::{KEYS, Key};
    use super::*;
    use mif_core::routing::{Layout, SourceRules};

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("mifd.toml"), text).map_err(|error| error.to_string())
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn everything_has_a_default() {
        let config = parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.log, LogLevel::Info);
        assert_eq!(config.interfaces.grace(), Duration::from_secs(2));
    }

    #[test]
    fn every_key_is_read() {
        let config = parse("log = \"debug\"\n[interfaces]\ngrace-ms = 0\n").unwrap();
        assert_eq!(config.log, LogLevel::Debug);
        assert_eq!(config.interfaces.grace(), Duration::ZERO);
        assert_eq!(parse("interfaces.grace-ms = 60000").unwrap().interfaces.grace(), Duration::from_secs(60));
        let few = parse("names.systems = [\"hosts\", \"dns\"]").unwrap().names.systems();
        assert_eq!(few.to_string(), "dns, hosts");
        assert_eq!(parse("names.systems = []").unwrap().names.systems().to_string(), "");
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert_eq!(parse(&format!("log = \"{level}\"")).unwrap().log.filter().to_string(), level);
        }
    }

    /// The file that packages install: every key in it stands behind a `#`, with its default.
    #[test]
    fn the_installed_file_explains_every_key_and_changes_nothing() {
        let installed = include_str!("../../../packaging/config/mifd.toml");
        assert_eq!(parse(installed).unwrap(), Config::default());
        let is_key = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
        let uncommented: String = installed
            .lines()
            .map(|line| if is_key(&line) { &line[1..] } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(parse(&uncommented).unwrap(), Config::default());
        let manual = include_str!("../../../packaging/man/mifd.toml.5").replace('\\', "");
        for Key { table, name, .. } in KEYS {
            let explained =
                installed.contains(&format!("\n[{name}]")) || installed.contains(&format!("{name} = "));
            assert!(explained, "packaging/config/mifd.toml lacks {table} {name}");
            assert!(manual.contains(name), "packaging/man/mifd.toml.5 lacks {table} {name}");
        }
    }

    #[test]
    fn the_example_at_the_top_is_valid() {
        let example: String = include_str!("config.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start()))
            .collect();
        assert_eq!(parse(&example).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        assert_eq!(
            message("log = \"info\"\nlogg = \"info\"\n"),
            "mifd.toml:2:1: there is no key \"logg\" at the top: the keys are log, interfaces, dns, web, dhcp, routing, names; did you mean \"log\"?"
        );
        assert_eq!(
            message("[interfaces]\n  grace_ms = 5\n"),
            "mifd.toml:2:3: there is no key \"grace_ms\" in [interfaces]: the keys are grace-ms; did you mean \"grace-ms\"?"
        );
        assert_eq!(
            message("[interfaces]\ngrace = 5\n"),
            "mifd.toml:2:1: there is no key \"grace\" in [interfaces]: the keys are grace-ms; did you mean \"grace-ms\"?"
        );
        assert_eq!(
            message("[connections]\ntimeout = 5\n"),
            "mifd.toml:1:2: there is no key \"connections\" at the top: the keys are log, interfaces, dns, web, dhcp, routing, names"
        );
        assert_eq!(
            message("grace-ms = 5\n"),
            "mifd.toml:1:1: there is no key \"grace-ms\" at the top: the keys are log, interfaces, dns, web, dhcp, routing, names"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_what_would_be_right() {
        assert_eq!(
            message("# comment\nlog = \"loud\"\n"),
            "mifd.toml:2:7: log is \"loud\": it takes one of \"error\", \"warn\", \"info\", \"debug\", \"trace\""
        );
        for value in ["60001", "-1", "\"soon\"", "2.5", "4294967296", "[1]", "{ a = 1 }"] {
            assert_eq!(
                message(&format!("[interfaces]\ngrace-ms = {value}\n")),
                format!(
                    "mifd.toml:2:12: interfaces.grace-ms is {value}: it takes whole milliseconds from 0 to 60000"
                )
            );
        }
        assert_eq!(
            message("names.systems = [\"dns\", \"wins\"]"),
            "mifd.toml:1:17: names.systems is [\"dns\", \"wins\"]: it takes a list of \"dns\", \"hosts\", \"mdns\", \"llmnr\", \"nis\""
        );
        assert_eq!(
            message("interfaces = 3\n"),
            "mifd.toml:1:14: interfaces is 3: it takes a table, written as a line in brackets"
        );
    }

    #[test]
    fn marks_must_go_together() {
        assert_eq!(parse("").unwrap().routing.layout(), Some(Layout::default()));
        assert_eq!(parse("routing.enabled = false").unwrap().routing.layout(), None);
        let moved =
            parse("[routing]\nmark-tag = 0x100\ntag-mask = 0x300\nnumber-mask = 0xffff0000\n").unwrap();
        assert_eq!(moved.routing.layout().unwrap().space.mask(), 0xffff_0300);
        assert_eq!(moved.routing.layout().unwrap().sources, SourceRules::WhereNeeded);
        let always = parse("routing.source-rules = \"always\"").unwrap();
        assert_eq!(always.routing.layout().unwrap().sources, SourceRules::Always);
        assert_eq!(
            message("routing.source-rules = \"never\""),
            "mifd.toml:1:24: routing.source-rules is \"never\": it takes one of \"where-needed\", \"always\""
        );
        assert_eq!(
            message("log = \"info\"\n[routing]\nmark-tag = 0\n"),
            "mifd.toml:2:1: [routing]: mark-tag is 0, which marks of others have too: give it a bit of tag-mask"
        );
        assert_eq!(
            message("[routing]\nrule-priority = 32001\n"),
            "mifd.toml:1:1: [routing]: rule-priority is 32001: give a number from 1 to 32000"
        );
        assert_eq!(
            message("[routing]\nmark-tag = -1\n"),
            "mifd.toml:2:12: routing.mark-tag is -1: it takes 32 bits, such as 0xff000000"
        );
    }

    #[test]
    fn what_is_not_toml_is_placed() {
        let text = message("log = \"info\"\n\u{e9} =\n");
        assert!(text.starts_with("mifd.toml:2:1: "), "{text}");
        let text = message("log = \"info\"\nlog = \"info\"\n");
        assert!(text.starts_with("mifd.toml:2:1: duplicate key"), "{text}");
    }

    #[test]
    fn only_the_default_file_may_be_missing() {
        let missing = std::env::temp_dir().join(format!("mifd-none-{}.toml", std::process::id()));
        let error = Config::load(Some(&missing)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{}: No such file or directory (os error 2)", missing.display())
        );
        if !Path::new(DEFAULT_PATH).exists() {
            assert_eq!(Config::load(None).unwrap(), Config::default());
        }
    }
}
