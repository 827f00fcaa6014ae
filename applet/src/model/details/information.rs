//! Rows from additional information (RFC 8801, section 4).

use gettextrs::gettext;
use mif::names::identifier;
use mif::wire::Deadline;
use serde_json::Value;

use super::values::plain;
use super::{Row, list, texts};
use crate::model::Values;
use crate::model::words::{fill, isolated};

/// Keys that rows of their own show.
const SHOWN: [&str; 6] = ["identifier", "expires", "prefixes", "noInternet", "dnsZones", "splitDnsClaims"];

/// What the network says of itself.
pub fn rows(values: &Values) -> Vec<Row> {
    let Some(text) = values.get(identifier::ADDITIONAL_INFORMATION).and_then(Value::as_str) else {
        return Vec::new();
    };
    let until = values.get(identifier::ADDITIONAL_INFORMATION_EXPIRES).and_then(Value::as_u64);
    let internet = match values.get(identifier::NO_INTERNET).and_then(Value::as_bool) {
        Some(true) => gettext("It does not lead to the Internet"),
        _ => gettext("It leads to the Internet"),
    };
    let access = Row { subtitle: internet, ..Row::named("access", gettext("Internet access"), text) };
    let mut rows = vec![access.until(until.map(Deadline::from_micros))];
    let zones = texts(values, identifier::DNS_ZONES).join(", ");
    if !zones.is_empty() {
        rows.push(Row::named("zones", gettext("DNS zones"), zones));
    }
    rows.extend(list(values, identifier::SPLIT_DNS_CLAIMS).iter().enumerate().map(claim));
    rows.extend(others(text));
    rows
}

fn claim((index, claim): (usize, &Value)) -> Row {
    let text = |key: &str| claim[key].as_str().unwrap_or_default().to_owned();
    let title = if claim["verified"] == true {
        gettext("Split DNS claim (verified)")
    } else {
        gettext("Split DNS claim (not verified)")
    };
    let names = claim["subdomains"].as_array().map(|names| plain(&Value::Array(names.clone())));
    let said = fill(
        &gettext("{resolver} claims {names} of {parent}"),
        &[
            ("resolver", &isolated(&text("resolver"))),
            ("names", &isolated(&names.unwrap_or_default())),
            ("parent", &isolated(&text("parent"))),
        ],
    );
    Row { subtitle: said, ..Row::named(&format!("claim {index}"), title, text("parent")) }
}

/// What else is in the object.
fn others(text: &str) -> Vec<Row> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let others = object.iter().filter(|(key, _)| !SHOWN.contains(&key.as_str()));
    others.map(|(key, value)| Row::named(key, key.escape_debug().to_string(), plain(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::values;
    use serde_json::json;

    #[test]
    fn every_key_of_the_object_is_shown() {
        let rows = rows(&values(json!({
            "additional-information": "{\"identifier\":\"a.example\",\"noInternet\":true,\"colour\":\"red\"}",
            "additional-information-expires": 9_000_000,
            "no-internet": true,
            "dns-zones": ["a.example"],
        })));
        let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["access", "zones", "colour"]);
        assert_eq!(rows[0].subtitle, "It does not lead to the Internet");
        assert_eq!(rows[0].until, Some(Deadline::from_micros(9_000_000)));
    }

    #[test]
    fn a_claim_says_whether_it_was_verified() {
        let rows = rows(&values(json!({
            "additional-information": "{}",
            "split-dns-claims": [{"resolver": "dns.a.example", "parent": "a.example", "subdomains": ["*"]}],
        })));
        assert_eq!(rows[1].title, "Split DNS claim (not verified)");
    }

    #[test]
    fn without_information_there_are_no_rows() {
        assert!(rows(&values(json!({"no-internet": true}))).is_empty());
    }
}
