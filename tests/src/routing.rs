//! What a node's kernel has of the service's rules and routes.

use serde_json::Value;

use crate::node::Node;

/// The routing protocol number of the service, as `ip` shows it.
const PROTOCOL: &str = "77";

/// A family, as the options of `ip` name it.
pub const FAMILIES: [&str; 2] = ["-4", "-6"];

/// The service's rules, one a line: `-4 700: not from all fwmark ...`.
pub fn rules(node: &Node) -> Vec<String> {
    let of_family = |family: &str| -> Vec<String> {
        let shown = node.ip(&format!("{family} rule show"));
        let own = shown.lines().filter(|line| line.ends_with(&format!("proto {PROTOCOL}")));
        own.map(|line| format!("{family} {}", line.split_whitespace().collect::<Vec<_>>().join(" ")))
            .collect()
    };
    FAMILIES.into_iter().flat_map(of_family).collect()
}

/// The service's routes, one a line: table, destination, router, source, metric.
pub fn routes(node: &Node) -> Vec<String> {
    let of_family = |family: &str| -> Vec<String> {
        let shown = node.ip(&format!("-j {family} route show table all proto {PROTOCOL}"));
        let shown: Value = serde_json::from_str(&shown).expect("routes as JSON");
        let word = |route: &Value, key: &str| match &route[key] {
            Value::String(text) => format!(" {key} {text}"),
            Value::Number(number) => format!(" {key} {number}"),
            _ => String::new(),
        };
        let line = |route: &Value| -> String {
            ["table", "dst", "gateway", "dev", "prefsrc", "metric"].map(|key| word(route, key)).concat()
        };
        shown.as_array().into_iter().flatten().map(|route| format!("{family}{}", line(route))).collect()
    };
    let mut routes: Vec<String> = FAMILIES.into_iter().flat_map(of_family).collect();
    routes.sort();
    routes
}

/// All tables that hold routes of the service.
pub fn tables(node: &Node) -> Vec<String> {
    let mut tables: Vec<String> =
        routes(node).iter().filter_map(|route| route.split_whitespace().nth(2).map(str::to_owned)).collect();
    tables.sort();
    tables.dedup();
    tables
}
