//! What can be wrong in a configuration file, and which keys there are.

use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It is not TOML; the parser's words.
    Syntax(String),
    /// A key that means nothing.
    UnknownKey {
        /// The key.
        key: String,
        /// The table that it is in; empty at the top.
        table: &'static str,
    },
    /// A value that its key does not take.
    Value {
        /// The key, with its table.
        key: String,
        /// The value as it is written.
        value: String,
        /// What the key takes.
        takes: &'static str,
    },
    /// Values that do not go together.
    Together {
        /// The table that they are in.
        table: &'static str,
        /// Why they do not.
        why: String,
    },
}

/// A key of the file and what it takes.
pub(super) struct Key {
    pub(super) table: &'static str,
    pub(super) name: &'static str,
    takes: &'static str,
}

const TABLE: &str = "a table, written as a line in brackets";

const BITS: &str = "32 bits, such as 0xff000000";

const SWITCH: &str = "true or false";

pub(super) const KEYS: &[Key] = &[
    Key { table: "", name: "log", takes: "one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"" },
    Key { table: "", name: "interfaces", takes: TABLE },
    Key { table: "", name: "dns", takes: TABLE },
    Key { table: "dns", name: "encryption", takes: "one of \"off\", \"announced\", \"opportunistic\"" },
    Key { table: "dns", name: "certificates", takes: "the path of a PEM file, from / on" },
    Key { table: "interfaces", name: "grace-ms", takes: "whole milliseconds from 0 to 60000" },
    Key { table: "", name: "web", takes: TABLE },
    Key { table: "web", name: "additional-information", takes: SWITCH },
    Key { table: "web", name: "captive-portal", takes: SWITCH },
    Key { table: "", name: "dhcp", takes: TABLE },
    Key { table: "dhcp", name: "inform", takes: SWITCH },
    Key { table: "dhcp", name: "information-request", takes: SWITCH },
    Key { table: "", name: "routing", takes: TABLE },
    Key { table: "routing", name: "enabled", takes: SWITCH },
    Key { table: "routing", name: "mark-tag", takes: BITS },
    Key { table: "routing", name: "tag-mask", takes: BITS },
    Key { table: "routing", name: "number-mask", takes: BITS },
    Key { table: "routing", name: "rule-priority", takes: "a whole number from 1 to 32000" },
    Key { table: "routing", name: "source-rules", takes: "one of \"where-needed\", \"always\"" },
    Key { table: "", name: "names", takes: TABLE },
    Key {
        table: "names",
        name: "systems",
        takes: "a list of \"dns\", \"hosts\", \"mdns\", \"llmnr\", \"nis\"",
    },
];

/// The first key in `table` that means nothing, and where it is.
pub(super) fn unknown_key(table: &DeTable<'_>, name: &'static str) -> Option<(usize, Mistake)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().find_map(|(key, value)| {
        let known = KEYS.iter().find(|known| known.table == name && known.name == key.get_ref().as_ref());
        match (known, value.get_ref()) {
            (None, _) => {
                let key_name = key.get_ref().to_string();
                Some((key.span().start, Mistake::UnknownKey { key: key_name, table: name }))
            }
            (Some(known), DeValue::Table(inner)) if known.takes == TABLE => unknown_key(inner, known.name),
            (Some(_), _) => None,
        }
    })
}

/// The innermost key whose value is written around `at`, as a mistake.
pub(super) fn value_at(table: &DeTable<'_>, at: usize, text: &str) -> Option<(usize, Mistake)> {
    let inner = |value: &DeValue<'_>| match value {
        DeValue::Table(inner) => value_at(inner, at, text),
        _ => None,
    };
    if let Some(found) = table.values().find_map(|value| inner(value.get_ref())) {
        return Some(found);
    }
    let (key, value) = table.iter().find(|(_, value)| contains(&value.span(), at))?;
    let known = KEYS.iter().find(|known| known.name == key.get_ref().as_ref())?;
    let key = if known.table.is_empty() {
        known.name.to_owned()
    } else {
        format!("{}.{}", known.table, known.name)
    };
    let written = text.get(value.span()).unwrap_or_default().to_owned();
    Some((value.span().start, Mistake::Value { key, value: written, takes: known.takes }))
}

fn contains(span: &Range<usize>, at: usize) -> bool {
    span.start <= at && at < span.end.max(span.start + 1)
}

/// Where the parser found something wrong.
pub(super) fn start(error: &toml::de::Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => out.write_str(message),
            Self::Together { table, why } => write!(out, "[{table}]: {why}"),
            Self::Value { key, value, takes } => write!(out, "{key} is {value}: it takes {takes}"),
            Self::UnknownKey { key, table } => {
                let known = || KEYS.iter().filter(|known| known.table == *table).map(|known| known.name);
                write!(out, "there is no key \"{key}\" ")?;
                if table.is_empty() {
                    write!(out, "at the top: the keys are ")?;
                } else {
                    write!(out, "in [{table}]: the keys are ")?;
                }
                write!(out, "{}", known().collect::<Vec<_>>().join(", "))?;
                let near = known().min_by_key(|known| distance(known, key)).filter(|near| is_near(near, key));
                near.map_or(Ok(()), |near| write!(out, "; did you mean \"{near}\"?"))
            }
        }
    }
}

fn is_near(known: &str, key: &str) -> bool {
    const FEW: usize = 3;
    distance(known, key) <= FEW.min(known.len() / 2) || (!key.is_empty() && known.starts_with(key))
}

/// How many characters must be changed, added or taken away to get from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
