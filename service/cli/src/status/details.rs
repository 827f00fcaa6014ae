//! The lines below a provisioning domain that only some have: encrypted DNS, NAT64, routes, lease, portal ...

use std::time::Duration;

use mif::names::identifier;
use mif::wire::Deadline;
use serde_json::Value;

use super::configuration::Configuration;
use crate::format;

/// Routes and prefixes that are shown; how many more there are is said.
const MOST: usize = 12;

/// A value with its label; a label that is empty goes on with the one before.
pub type Line = (&'static str, String);

/// The lines for `configuration`, in reading order. `now` is CLOCK_BOOTTIME.
pub fn lines(configuration: &Configuration, now: Duration) -> Vec<Line> {
    let details = Details { configuration, now };
    let mut lines = details.list("enc. DNS", identifier::ENCRYPTED_DNS, Details::encrypted_dns);
    lines.extend(details.texts("NAT64", identifier::PREF64));
    lines.extend(details.list("prefixes", identifier::PREFIXES, Details::prefix));
    lines.extend(details.list("routes", identifier::ROUTES, Details::route));
    lines.extend(configuration.number(identifier::MTU).map(|mtu| ("MTU", mtu.to_string())));
    lines.extend(details.texts("NTP", identifier::NTP_SERVERS));
    lines.extend(details.nis());
    lines.extend(details.reverse_path());
    lines.extend(details.lease());
    lines.extend(details.portal());
    lines.extend(details.option());
    lines.extend(details.information());
    lines
}

struct Details<'a> {
    configuration: &'a Configuration,
    now: Duration,
}

impl Details<'_> {
    fn texts(&self, label: &'static str, identifier: &str) -> Option<Line> {
        let texts = self.configuration.texts(identifier);
        (!texts.is_empty()).then(|| (label, texts.join(", ")))
    }

    /// One line for each item, [`MOST`] at most.
    fn list(
        &self,
        label: &'static str,
        identifier: &str,
        show: impl Fn(&Self, &Value) -> String,
    ) -> Vec<Line> {
        let items = self.configuration.list(identifier);
        let mut lines: Vec<Line> =
            items.iter().take(MOST).map(|item| show(self, item)).map(|text| ("", text)).collect();
        if let Some(more) = items.len().checked_sub(MOST).filter(|more| *more > 0) {
            lines.push(("", format!("and {more} more")));
        }
        if let Some(first) = lines.first_mut() {
            first.0 = label;
        }
        lines
    }

    fn encrypted_dns(&self, resolver: &Value) -> String {
        let addresses = joined(resolver, "addresses");
        let addresses = if addresses.is_empty() { String::new() } else { format!(" at {addresses}") };
        let port = resolver["port"].as_u64().map(|port| format!(", port {port}")).unwrap_or_default();
        let path = resolver["path"].as_str().map(|path| format!(", {path}")).unwrap_or_default();
        format!("{}{addresses} ({}){port}{path}", text(resolver, "name"), joined(resolver, "alpn"))
    }

    fn prefix(&self, prefix: &Value) -> String {
        let flags = [("on-link", "on link"), ("autonomous", "autonomous")];
        let flags = flags.iter().filter(|(key, _)| prefix[key] == true).map(|(_, word)| format!(", {word}"));
        let flags: String = flags.collect();
        format!("{}{flags}, valid {}", text(prefix, "prefix"), self.lasts(&prefix["valid-until"]))
    }

    fn route(&self, route: &Value) -> String {
        let destination = match text(route, "destination") {
            "::/0" => "default (IPv6)",
            "0.0.0.0/0" => "default (IPv4)",
            other => other,
        };
        let way = route["gateway"].as_str().map_or("on link".to_owned(), |gateway| format!("via {gateway}"));
        let preference = match text(route, "preference") {
            "" | "medium" => String::new(),
            other => format!(", {other} preference"),
        };
        let ends = match deadline(&route["valid-until"]) {
            Deadline::Never => String::new(),
            deadline => format!(", valid {}", format::lasts(deadline, self.now)),
        };
        format!("{destination} {way}{preference}{ends}")
    }

    fn nis(&self) -> Option<Line> {
        let servers = self.configuration.texts(identifier::NIS_SERVERS).join(", ");
        let domain = self.configuration.text(identifier::NIS_DOMAIN);
        match (domain, servers.as_str()) {
            (None, "") => None,
            (Some(domain), "") => Some(("NIS", format!("domain {domain}"))),
            (Some(domain), servers) => Some(("NIS", format!("domain {domain} at {servers}"))),
            (None, servers) => Some(("NIS", servers.to_owned())),
        }
    }

    fn reverse_path(&self) -> Option<Line> {
        let strict = self.configuration.flag(identifier::STRICT_REVERSE_PATH)?;
        let said = "strict (1): root's sockets with its IPv4 addresses go by its routes too";
        strict.then(|| ("rp_filter", said.to_owned()))
    }

    fn lease(&self) -> Option<Line> {
        let until = self.configuration.number(identifier::LEASE_EXPIRES)?;
        let left = format::lasts(Deadline::from_micros(until), self.now);
        let from = self.configuration.text(identifier::SERVER_IDENTIFIER);
        let from = from.map(|server| format!(", from {server}")).unwrap_or_default();
        let by = self.configuration.text(identifier::TOLD_BY);
        let by = by.map(|program| format!(", told by {program}")).unwrap_or_default();
        Some(("lease", format!("{left}{from}{by}")))
    }

    /// Whether this host is captive, and what to do about it; else where that could be asked.
    fn portal(&self) -> Option<Line> {
        let page = self.configuration.text(identifier::CAPTIVE_PORTAL_URL);
        let said = match self.configuration.flag(identifier::CAPTIVE) {
            Some(true) => {
                format!("captive: {}", page.map_or("log in".to_owned(), |page| format!("log in at {page}")))
            }
            Some(false) => {
                let ends = self.configuration.number(identifier::CAPTIVE_EXPIRES).map(Deadline::from_micros);
                format!(
                    "not captive{}",
                    ends.map(|at| format!(" {}", format::lasts(at, self.now))).unwrap_or_default()
                )
            }
            None => {
                let api = self.configuration.text(identifier::CAPTIVE_PORTAL)?;
                format!("has not said whether this host is captive: {api}")
            }
        };
        Some(("portal", said))
    }

    fn option(&self) -> Option<Line> {
        let sequence = self.configuration.number(identifier::PVD_OPTION_SEQUENCE)?;
        let flags = self.configuration.texts(identifier::PVD_OPTION_FLAGS);
        let flags = if flags.is_empty() { String::new() } else { format!(", flags {}", flags.join(", ")) };
        Some(("option", format!("sequence {sequence}{flags}")))
    }

    /// What the network says of itself (RFC 8801 4), line by line.
    fn information(&self) -> Vec<Line> {
        let Some(text) = self.configuration.text(identifier::ADDITIONAL_INFORMATION) else {
            return Vec::new();
        };
        let until = self.configuration.number(identifier::ADDITIONAL_INFORMATION_EXPIRES).unwrap_or(u64::MAX);
        let mut lines = vec![format!("valid {}", format::lasts(Deadline::from_micros(until), self.now))];
        match self.configuration.flag(identifier::NO_INTERNET) {
            Some(true) => lines.push("no way to the Internet".to_owned()),
            Some(false) => lines.push("leads to the Internet".to_owned()),
            None => {}
        }
        let zones = self.configuration.texts(identifier::DNS_ZONES);
        if !zones.is_empty() {
            lines.push(format!("zones {}", zones.join(", ")));
        }
        for claim in self.configuration.list(identifier::SPLIT_DNS_CLAIMS) {
            let verified = if claim["verified"] == true { "" } else { " (not verified)" };
            let names = joined(claim, "subdomains");
            lines.push(format!(
                "{} claims {names} of {}{verified}",
                self::text(claim, "resolver"),
                self::text(claim, "parent")
            ));
        }
        lines.extend(other_keys(text));
        let labels = std::iter::once("says").chain(std::iter::repeat(""));
        labels.zip(lines).collect()
    }

    fn lasts(&self, micros: &Value) -> String {
        format::lasts(deadline(micros), self.now)
    }
}

/// The names of keys that nothing above shows: the whole object is for `--json`.
fn other_keys(text: &str) -> Option<String> {
    const SHOWN: [&str; 6] =
        ["identifier", "expires", "prefixes", "noInternet", "dnsZones", "splitDnsClaims"];
    let object: Value = serde_json::from_str(text).ok()?;
    let keys = object.as_object()?.keys().filter(|key| !SHOWN.contains(&key.as_str()));
    let keys: Vec<String> = keys.map(|key| key.escape_debug().to_string()).collect();
    (!keys.is_empty()).then(|| format!("and {} (see --json)", keys.join(", ")))
}

fn text<'a>(dictionary: &'a Value, key: &str) -> &'a str {
    dictionary[key].as_str().unwrap_or_default()
}

fn joined(dictionary: &Value, key: &str) -> String {
    let items = dictionary[key].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn deadline(micros: &Value) -> Deadline {
    Deadline::from_micros(micros.as_u64().unwrap_or(u64::MAX))
}
