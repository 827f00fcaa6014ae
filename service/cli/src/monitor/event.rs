//! One line of monitor, as text and as JSON.

use std::net::IpAddr;
use std::time::Duration;

use mif::wire::{Deadline, Element, Family, InterfaceKind, Origin};
use serde_json::{Map, Value, json};
use zbus::OwnedObjectPath;

use crate::format;
use crate::output::{Paint, Style};

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An interface.
    Interface(Change, InterfaceEvent),
    /// A provisioning domain.
    ProvisioningDomain(Change, PvdEvent),
    /// A configuration element of a PvD.
    Element(Change, Subject, Element),
    /// An address of a PvD.
    Address(Change, Subject, AddressEvent),
    /// The service itself.
    Service(ServiceChange),
}

/// What has happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is announced again.
    Changed,
    /// It is gone.
    Removed,
}

/// What has happened to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceChange {
    /// Everything that was there has been told.
    Listed { interfaces: usize, pvds: usize },
    /// It has left the bus.
    Stopped,
    /// It is back, and everything is told anew.
    Started,
    /// Messages were lost; everything is told anew.
    Missed,
}

/// An interface.
#[derive(Debug, Clone, PartialEq)]
pub struct InterfaceEvent {
    pub interface: OwnedObjectPath,
    pub name: String,
    pub display_name: String,
    pub kind: Option<InterfaceKind>,
}

/// A provisioning domain.
#[derive(Debug, Clone, PartialEq)]
pub struct PvdEvent {
    pub interface: OwnedObjectPath,
    /// The name of the interface, when it was announced.
    pub on: String,
    pub pvd: OwnedObjectPath,
    pub id: String,
    pub origin: Option<Origin>,
    pub family: Option<Family>,
}

/// The PvD that something belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub pvd: OwnedObjectPath,
    pub id: String,
    pub on: String,
}

/// An address.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressEvent {
    pub address: IpAddr,
    pub prefix_length: Option<u8>,
    /// Preferred and valid until; `None` when it is gone.
    pub lifetimes: Option<(Deadline, Deadline)>,
}

impl Change {
    /// Came, or came again.
    pub fn came(known: bool) -> Self {
        if known { Self::Changed } else { Self::Added }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }

    fn mark(self) -> (&'static str, Style) {
        match self {
            Self::Added => ("+", Style::Good),
            Self::Changed => ("~", Style::Notice),
            Self::Removed => ("-", Style::Bad),
        }
    }
}

impl Subject {
    /// The PvD of an announcement.
    pub fn of(pvd: &PvdEvent) -> Self {
        Self { pvd: pvd.pvd.clone(), id: pvd.id.clone(), on: pvd.on.clone() }
    }

    /// The Id; with the interface when the Id does not name it.
    fn shown(&self) -> String {
        shown_id(&self.id, &self.on)
    }
}

impl Event {
    /// One line of text. `now` is CLOCK_BOOTTIME.
    pub fn text(&self, time_of_day: &str, now: Duration, paint: Paint) -> String {
        let time = paint.paint(Style::Faint, time_of_day);
        let (change, what, text) = match self {
            Self::Interface(change, interface) => (change, "interface", interface_text(interface, paint)),
            Self::ProvisioningDomain(change, pvd) => (change, "PvD", pvd_text(*change, pvd, paint)),
            Self::Element(change, subject, element) => {
                (change, "element", format!("{element}  in {}", subject.shown()))
            }
            Self::Address(change, subject, event) => {
                (change, "address", address_text(subject, event, now, paint))
            }
            Self::Service(change) => {
                return format!("{time}  {}\n", paint.paint(Style::Notice, &service_text(*change)));
            }
        };
        let (mark, style) = change.mark();
        format!("{time}  {} {what:<9}  {}\n", paint.paint(style, mark), text.trim_end())
    }

    /// One object; the schema is in `mifctl monitor --help`. `time` is since 1970, `now` CLOCK_BOOTTIME.
    pub fn json(&self, time: Duration, now: Duration) -> Value {
        let (event, change, fields) = match self {
            Self::Interface(change, it) => (
                "interface",
                change.word(),
                json!({ "interface": it.interface.as_str(), "name": it.name, "display_name": it.display_name,
                        "kind": it.kind.as_ref().map(|kind| kind.as_str()) }),
            ),
            Self::ProvisioningDomain(change, it) => (
                "provisioning-domain",
                change.word(),
                json!({ "interface": it.interface.as_str(), "pvd": it.pvd.as_str(), "id": it.id,
                        "origin": it.origin.as_ref().map(|origin| origin.as_str()),
                        "family": it.family.as_ref().map(|family| family.as_str()) }),
            ),
            Self::Element(change, subject, element) => (
                "configuration-element",
                change.word(),
                json!({ "pvd": subject.pvd.as_str(), "id": subject.id, "element": element.as_str() }),
            ),
            Self::Address(change, subject, event) => {
                ("address", change.word(), address_json(subject, event, now))
            }
            Self::Service(change) => ("service", service_word(*change), json!({})),
        };
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time.as_millis() as f64 / 1e3));
        object.insert("event".to_owned(), json!(event));
        object.insert("change".to_owned(), json!(change));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

fn interface_text(interface: &InterfaceEvent, paint: Paint) -> String {
    let name = paint.paint(Style::Name, &interface.name);
    let alias = match interface.display_name == interface.name {
        true => String::new(),
        false => format!(" ({})", interface.display_name),
    };
    let kind = interface.kind.as_ref().map_or("", |kind| kind.as_str());
    format!("{name}{alias}  {kind}")
}

fn pvd_text(change: Change, pvd: &PvdEvent, paint: Paint) -> String {
    let id = paint.paint(Style::Name, &shown_id(&pvd.id, &pvd.on));
    if change == Change::Removed {
        return id;
    }
    let words = [pvd.origin.as_ref().map(|it| it.as_str()), pvd.family.as_ref().map(format::family)];
    format!("{id}  {}", words.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn address_text(subject: &Subject, event: &AddressEvent, now: Duration, paint: Paint) -> String {
    let prefix = event.prefix_length.map_or(String::new(), |bits| format!("/{bits}"));
    let name = paint.paint(Style::Name, &format!("{}{prefix}", event.address));
    let lifetimes = event.lifetimes.map_or(String::new(), |(preferred, valid)| {
        let preferred = match preferred.remaining(now) {
            Some(Duration::ZERO) => "deprecated".to_owned(),
            _ => format!("preferred {}", format::lasts(preferred, now)),
        };
        format!(", {preferred}, valid {}", format::lasts(valid, now))
    });
    format!("{name}  in {}{}", subject.shown(), paint.paint(Style::Faint, &lifetimes))
}

fn address_json(subject: &Subject, event: &AddressEvent, now: Duration) -> Value {
    let mut value = json!({ "pvd": subject.pvd.as_str(), "id": subject.id, "address": event.address,
                            "prefix_length": event.prefix_length });
    if let (Some((preferred, valid)), Value::Object(fields)) = (event.lifetimes, &mut value) {
        fields.insert("preferred_seconds".to_owned(), json!(format::seconds_left(preferred, now)));
        fields.insert("valid_seconds".to_owned(), json!(format::seconds_left(valid, now)));
    }
    value
}

fn service_text(change: ServiceChange) -> String {
    match change {
        ServiceChange::Listed { interfaces, pvds } => format!(
            "-- {}, {}. Watching for changes; Ctrl-C ends.",
            format::count(interfaces, "interface"),
            format::count(pvds, "provisioning domain")
        ),
        ServiceChange::Stopped => "-- The service has stopped. Waiting for it to come back.".to_owned(),
        ServiceChange::Started => "-- The service is back. What is there now:".to_owned(),
        ServiceChange::Missed => "-- Messages were lost. What is there now:".to_owned(),
    }
}

fn service_word(change: ServiceChange) -> &'static str {
    match change {
        ServiceChange::Listed { .. } => "listed",
        ServiceChange::Stopped => "stopped",
        ServiceChange::Started => "started",
        ServiceChange::Missed => "missed",
    }
}

/// An implicit Id names its interface; an explicit one may be on several.
fn shown_id(id: &str, on: &str) -> String {
    if id.starts_with("implicit:") || on.is_empty() { id.to_owned() } else { format!("{id} on {on}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn path(text: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    fn subject() -> Subject {
        Subject { pvd: path("/p/1"), id: "isp.example".into(), on: "eth1".into() }
    }

    fn address(lifetimes: Option<(Deadline, Deadline)>) -> AddressEvent {
        AddressEvent { address: "2001:db8::1".parse().unwrap(), prefix_length: Some(64), lifetimes }
    }

    fn text(event: &Event) -> String {
        event.text("12:49:03.120", NOW, Paint::PLAIN)
    }

    #[test]
    fn lines() {
        let interface = InterfaceEvent {
            interface: path("/i/1"),
            name: "eth1".into(),
            display_name: "eth1".into(),
            kind: Some(InterfaceKind::Ethernet),
        };
        let soon = Deadline::At(NOW + Duration::from_secs(1_795));
        let cases = [
            (Event::Interface(Change::Added, interface), "12:49:03.120  + interface  eth1  ethernet\n"),
            (
                Event::Element(Change::Changed, subject(), Element::Ra),
                "12:49:03.120  ~ element    ra  in isp.example on eth1\n",
            ),
            (
                Event::Address(Change::Added, subject(), address(Some((soon, Deadline::Never)))),
                "12:49:03.120  + address    2001:db8::1/64  in isp.example on eth1, preferred for 29 min 55 s, \
                 valid for ever\n",
            ),
            (
                Event::Address(Change::Removed, subject(), address(None)),
                "12:49:03.120  - address    2001:db8::1/64  in isp.example on eth1\n",
            ),
            (
                Event::Service(ServiceChange::Listed { interfaces: 1, pvds: 2 }),
                "12:49:03.120  -- 1 interface, 2 provisioning domains. Watching for changes; Ctrl-C ends.\n",
            ),
        ];
        for (event, line) in cases {
            assert_eq!(text(&event), line);
        }
    }

    #[test]
    fn json_lines_have_the_fields_of_the_help() {
        let soon = Deadline::At(NOW + Duration::from_secs(60));
        let event = Event::Address(Change::Added, subject(), address(Some((soon, Deadline::Never))));
        let value = event.json(Duration::from_millis(1_700_000_000_042), NOW);
        assert_eq!(
            value,
            json!({ "time": 1_700_000_000.042, "event": "address", "change": "added", "pvd": "/p/1",
                    "id": "isp.example", "address": "2001:db8::1", "prefix_length": 64,
                    "preferred_seconds": 60, "valid_seconds": null })
        );
    }
}
