//! Rows from configuration values.

use gettextrs::gettext;
use mif::names::identifier;
use mif::wire::Deadline;
use serde_json::Value;

use super::{Row, list, texts};
use crate::model::Values;
use crate::model::words::{fill, isolated, joined};

/// The longest list of routes or prefixes that is shown; how many more there are is said.
const MOST: usize = 64;

/// What other sections and properties show already.
const SHOWN: [&str; 26] = [
    identifier::DNS_SERVERS,
    identifier::SEARCH_DOMAINS,
    identifier::ROUTERS,
    identifier::ROUTES,
    identifier::PREFIXES,
    identifier::CAPTIVE_PORTAL,
    identifier::CAPTIVE,
    identifier::CAPTIVE_PORTAL_URL,
    identifier::CAPTIVE_EXPIRES,
    identifier::ENCRYPTED_DNS,
    identifier::SERVER_IDENTIFIER,
    identifier::LEASE_EXPIRES,
    identifier::TOLD_BY,
    identifier::PVD_OPTION_SEQUENCE,
    identifier::PVD_OPTION_FLAGS,
    identifier::ADDITIONAL_INFORMATION,
    identifier::ADDITIONAL_INFORMATION_EXPIRES,
    identifier::DNS_ZONES,
    identifier::NO_INTERNET,
    identifier::SPLIT_DNS_CLAIMS,
    identifier::MTU,
    identifier::DOMAIN_NAME,
    identifier::NTP_SERVERS,
    identifier::NIS_DOMAIN,
    identifier::NIS_SERVERS,
    identifier::PREF64,
];

/// Encrypted DNS servers that the network announces.
pub fn encrypted_dns(values: &Values) -> Vec<Row> {
    let row = |(index, resolver): (usize, &Value)| {
        let name = resolver["name"].as_str().unwrap_or_default();
        let port = resolver["port"].as_u64();
        let port = port.map(|port| fill(&gettext("port {number}"), &[("number", &port.to_string())]));
        let path = resolver["path"].as_str().unwrap_or_default();
        let subtitle = joined([
            words_of(resolver, "alpn"),
            isolated(&words_of(resolver, "addresses")),
            port.unwrap_or_default(),
            path.to_owned(),
        ]);
        Row { key: format!("{index} {name}"), ..Row::fact(name, subtitle) }
    };
    list(values, identifier::ENCRYPTED_DNS).iter().enumerate().map(row).collect()
}

/// Routes, the default ones too.
pub fn routes(values: &Values) -> Vec<Row> {
    let row = |route: &Value| {
        let destination = route["destination"].as_str().unwrap_or_default();
        let name = match destination {
            "::/0" => gettext("Default (IPv6)"),
            "0.0.0.0/0" => gettext("Default (IPv4)"),
            other => isolated(other),
        };
        let gateway = route["gateway"].as_str();
        let way = gateway.map_or_else(
            || gettext("on the link"),
            |gateway| fill(&gettext("via {router}"), &[("router", &isolated(gateway))]),
        );
        let preference = match route["preference"].as_str() {
            Some("high") => gettext("high preference"),
            Some("low") => gettext("low preference"),
            _ => String::new(),
        };
        let value = format!("{destination} {}", gateway.unwrap_or_default());
        Row { title: name, ..Row::fact(value.trim_end(), joined([way, preference])) }
            .until(deadline(&route["valid-until"]))
    };
    capped(list(values, identifier::ROUTES), row)
}

/// Prefixes of the link.
pub fn prefixes(values: &Values) -> Vec<Row> {
    let row = |prefix: &Value| {
        let flag = |key, word: String| if prefix[key] == true { word } else { String::new() };
        let subtitle = joined([
            flag("on-link", gettext("on the link")),
            flag("autonomous", gettext("hosts make addresses of it")),
        ]);
        let (valid, preferred) = (deadline(&prefix["valid-until"]), deadline(&prefix["preferred-until"]));
        let preferred = preferred.filter(|preferred| Some(*preferred) != valid);
        let row = Row::fact(prefix["prefix"].as_str().unwrap_or_default(), subtitle);
        Row { preferred, ..row.until(valid) }
    };
    capped(list(values, identifier::PREFIXES), row)
}

/// The DHCP lease.
pub fn lease(values: &Values) -> Vec<Row> {
    let text = |identifier: &str| values.get(identifier).and_then(Value::as_str);
    let server =
        text(identifier::SERVER_IDENTIFIER).map(|server| Row::named("server", gettext("Server"), server));
    let client = text(identifier::TOLD_BY).map(|program| Row::named("told-by", gettext("Told by"), program));
    let until = values.get(identifier::LEASE_EXPIRES).and_then(deadline);
    let mut rows: Vec<Row> = server.into_iter().chain(client).collect();
    match (rows.first_mut(), until) {
        (Some(row), until) => row.until = until,
        (None, None) => {}
        (None, until) => {
            let row = Row { key: "lease".to_owned(), title: gettext("Lease"), ..Row::default() };
            rows.push(row.until(until));
        }
    }
    rows
}

/// Everything else: nothing that the network gave is hidden.
pub fn more(values: &Values) -> Vec<Row> {
    let named =
        |key: &str, title: String, value: String| (!value.is_empty()).then(|| Row::named(key, title, value));
    let list = |identifier| texts(values, identifier).join(", ");
    let single = |identifier| values.get(identifier).map(plain).unwrap_or_default();
    let known = [
        named("domain", gettext("Domain name"), single(identifier::DOMAIN_NAME)),
        named("mtu", gettext("Largest packet (MTU)"), single(identifier::MTU)),
        named("pref64", gettext("NAT64 prefixes"), list(identifier::PREF64)),
        named("ntp", gettext("Time servers (NTP)"), list(identifier::NTP_SERVERS)),
        named("nis-domain", gettext("NIS domain"), single(identifier::NIS_DOMAIN)),
        named("nis", gettext("NIS servers"), list(identifier::NIS_SERVERS)),
    ];
    let others = values.iter().filter(|(identifier, _)| !SHOWN.contains(&identifier.as_str()));
    let others = others.map(|(identifier, value)| Row::named(identifier, identifier.clone(), plain(value)));
    known.into_iter().flatten().chain(others).collect()
}

/// At most [`MOST`] rows; the last says how many more there are.
fn capped(items: &[Value], row: impl Fn(&Value) -> Row) -> Vec<Row> {
    let mut rows: Vec<Row> = items.iter().take(MOST).map(row).collect();
    // Keys are unique, so that rows can be told apart.
    for index in 1..rows.len() {
        if rows[..index].iter().any(|row| row.key == rows[index].key) {
            rows[index].key.push_str(&format!(" {index}"));
        }
    }
    if items.len() > MOST {
        let more = crate::model::words::counted("and {count} more", "and {count} more", items.len() - MOST);
        rows.push(Row { key: "more".to_owned(), title: more, ..Row::default() });
    }
    rows
}

/// Words of a list in a dictionary.
fn words_of(dictionary: &Value, key: &str) -> String {
    let items = dictionary[key].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// A value as text: strings as they are, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn deadline(micros: &Value) -> Option<Deadline> {
    micros.as_u64().map(Deadline::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::values;
    use crate::model::words::plain as without_isolates;
    use serde_json::json;

    #[test]
    fn routes_say_where_to_and_by_whom() {
        let values = values(json!({"routes": [
            {"destination": "::/0", "gateway": "fe80::1", "preference": "high", "valid-until": 60_000_000},
            {"destination": "10.0.0.0/8"},
        ]}));
        let rows = routes(&values);
        assert_eq!(rows[0].title, "Default (IPv6)");
        assert_eq!(without_isolates(&rows[0].subtitle), "via fe80::1 · high preference");
        assert_eq!(rows[0].value, "::/0 fe80::1");
        assert_eq!(rows[0].until, Some(Deadline::from_micros(60_000_000)));
        assert_eq!((rows[1].subtitle.as_str(), rows[1].until), ("on the link", None));
    }

    #[test]
    fn long_lists_end_with_how_many_more_there_are() {
        let route = |index: usize| json!({"destination": format!("2001:db8:{index:x}::/48")});
        let many: Vec<Value> = (0..70).map(route).collect();
        let rows = routes(&values(json!({"routes": many})));
        assert_eq!(rows.len(), 65);
        assert_eq!(rows[64].title, "and 6 more");
    }

    #[test]
    fn rows_of_equal_routes_can_be_told_apart() {
        let rows = routes(&values(json!({"routes": [{"destination": "::/0"}, {"destination": "::/0"}]})));
        assert_ne!(rows[0].key, rows[1].key);
    }

    #[test]
    fn what_this_version_does_not_know_is_shown_all_the_same() {
        let rows = more(&values(json!({"mtu": 1280, "colour": ["red", "blue"], "weight": {"kg": 3}})));
        let shown: Vec<(&str, &str)> =
            rows.iter().map(|row| (row.key.as_str(), row.value.as_str())).collect();
        assert_eq!(shown, [("mtu", "1280"), ("colour", "red, blue"), ("weight", "{\"kg\":3}")]);
    }

    #[test]
    fn an_encrypted_server_tells_how_to_ask_it() {
        let rows = encrypted_dns(&values(json!({"encrypted-dns": [
            {"name": "dns.example", "alpn": ["h2", "dot"], "addresses": ["2001:db8::1"], "port": 853},
        ]})));
        assert_eq!(rows[0].value, "dns.example");
        assert_eq!(without_isolates(&rows[0].subtitle), "h2, dot · 2001:db8::1 · port 853");
    }

    #[test]
    fn a_lease_has_an_end_even_without_a_server() {
        let rows = lease(&values(json!({"lease-expires": 5_000_000})));
        assert_eq!(rows[0].until, Some(Deadline::from_micros(5_000_000)));
        assert!(lease(&values(json!({}))).is_empty());
    }
}
