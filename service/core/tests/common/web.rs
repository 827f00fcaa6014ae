//! What web servers of a network answer, in few words.

use super::host::Host;
use mif_core::engine::Command;
use mif_core::event::Event;
use mif_core::fetch::{Fetch, FetchAnswer, FetchFailure, Fetched};
use serde_json::{Value, json};

/// 2026-11-22T12:00:00Z, the time on the wall whenever somebody answers.
pub const WALL_CLOCK: i64 = 1_795_348_800;

/// The requests that the last events and the time since gave rise to.
pub fn requests(host: &Host) -> Vec<Fetch> {
    let fetch = |command: &Command| match command {
        Command::Fetch(fetch) => Some(Fetch::clone(fetch)),
        Command::Solicit { .. } | Command::Inquire { .. } | Command::CancelFetch { .. } => None,
    };
    host.commands().iter().filter_map(fetch).collect()
}

/// The one request so far.
pub fn request(host: &Host) -> Fetch {
    let mut all = requests(host);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The server answers `fetch` with this document.
pub fn answered(fetch: &Fetch, text: &str) -> Event {
    event(fetch, FetchAnswer::Document { text: text.to_owned(), max_age: None })
}

/// `fetch` fails.
pub fn failed(fetch: &Fetch, failure: FetchFailure) -> Event {
    event(fetch, FetchAnswer::Failed(failure))
}

/// An object of RFC 8801 for `id` that is good for an hour and covers 2001:db8::/32, with these keys besides.
pub fn information(id: &str, more: Value) -> String {
    let mut object =
        json!({"identifier": id, "expires": "2026-11-22T13:00:00Z", "prefixes": ["2001:db8::/32"]});
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object.to_string()
}

fn event(fetch: &Fetch, answer: FetchAnswer) -> Event {
    let Fetch { ifindex, key, subject, .. } = fetch.clone();
    Event::Fetched(Box::new(Fetched { ifindex, pvd: key, subject, wall_clock: WALL_CLOCK, answer }))
}
