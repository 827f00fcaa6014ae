//! The page of one provisioning domain or of an interface: sections of rows.

use gettextrs::gettext;
use mif::names::identifier;
use mif::wire::{Deadline, Element, Origin};
use mif::{Address, Interface};
use serde_json::Value;

use super::network::{Network, Pvd, interface_title};
use super::rows::RowKey;
use super::words::{self, fill, isolated, joined};
use super::{Values, ValuesByElement};

mod information;
mod values;

/// A group of rows under a heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Stays the same over changes.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// Never empty.
    pub rows: Vec<Row>,
}

/// A fact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Stays the same over changes, unique in its section.
    pub key: String,
    /// The fact.
    pub title: String,
    /// What it is, and where it comes from.
    pub subtitle: String,
    /// What is copied.
    pub value: String,
    /// Until when it is there; `None` where that is not a question.
    pub until: Option<Deadline>,
    /// Until when it should be used for new things, where that differs.
    pub preferred: Option<Deadline>,
    /// A page for the person, opened in the browser.
    pub link: Option<Link>,
}

/// A page to open. Only ever http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub url: String,
    /// What the button says.
    pub label: String,
    /// It is what the person should do first.
    pub urgent: bool,
}

impl Row {
    /// A value that is its own name.
    fn fact(value: impl Into<String>, subtitle: impl Into<String>) -> Self {
        let value = value.into();
        Self {
            key: value.clone(),
            // A long address breaks at its colons, without a hyphen that would look like a part of it.
            title: isolated(&value.replace(':', ":\u{200b}")),
            subtitle: subtitle.into(),
            value,
            ..Self::default()
        }
    }

    /// A named value: the name on top.
    fn named(key: &str, title: String, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { key: key.to_owned(), title, subtitle: isolated(&value), value, ..Self::default() }
    }

    fn with_subtitle(self, subtitle: String) -> Self {
        Self { subtitle, ..self }
    }

    fn until(self, deadline: Option<Deadline>) -> Self {
        Self { until: deadline, ..self }
    }
}

impl Section {
    fn new(id: &'static str, title: String, rows: Vec<Row>) -> Option<Self> {
        (!rows.is_empty()).then_some(Self { id, title, rows })
    }
}

/// Title and sections of the page about a row of the list.
pub fn page(network: &Network, key: &RowKey) -> Option<(String, Vec<Section>)> {
    match key {
        RowKey::Pvd(path) => {
            let pvd = network.pvd(path)?;
            Some((network.title(&pvd.facts), sections(network, pvd)))
        }
        RowKey::Interface(path) => {
            let interface = network.interface(path)?;
            Some((interface_title(interface), interface_sections(network, interface)))
        }
    }
}

fn interface_sections(network: &Network, interface: &Interface) -> Vec<Section> {
    let rows = vec![
        Row::named("name", gettext("Name"), &interface.name),
        Row::named("kind", gettext("Kind"), words::interface_kind(&interface.kind)),
        Row::named("state", gettext("State"), words::interface_state(&interface.state)),
        Row::named("index", gettext("Index"), interface.ifindex.to_string()),
    ];
    let pvd = |pvd: &Pvd| Row {
        title: network.title(&pvd.facts),
        ..Row::fact(&pvd.facts.id, network.condition(pvd).words())
    };
    let pvds = network.pvds().into_iter().filter(|pvd| pvd.facts.interface == interface.path);
    let found = [
        Section::new("interface", gettext("Interface"), rows),
        Section::new("pvds", gettext("Provisioning domains"), pvds.map(pvd).collect()),
    ];
    found.into_iter().flatten().collect()
}

/// All sections of a PvD that have something, in reading order.
pub fn sections(network: &Network, pvd: &Pvd) -> Vec<Section> {
    let origins = Origins { pvd };
    let facts = &pvd.facts;
    let texts = |list: &[String], id| -> Vec<Row> {
        list.iter().map(|text| Row::fact(text, origins.of(id, text))).collect()
    };
    let addresses = |list: &[std::net::IpAddr], id| -> Vec<Row> {
        let rows = list.iter().map(ToString::to_string);
        rows.map(|text| Row::fact(text.clone(), origins.of(id, &text))).collect()
    };
    let found = [
        Section::new("portal", gettext("Sign-in"), portal(&pvd.values)),
        Section::new("identity", gettext("Provisioning domain (PvD)"), identity(network, pvd)),
        Section::new("addresses", gettext("Addresses"), facts.addresses.iter().map(address).collect()),
        Section::new("dns", gettext("Name servers"), addresses(&facts.dns_servers, identifier::DNS_SERVERS)),
        Section::new("encrypted", gettext("Encrypted DNS"), values::encrypted_dns(&pvd.values)),
        Section::new(
            "domains",
            gettext("Search domains"),
            texts(&facts.search_domains, identifier::SEARCH_DOMAINS),
        ),
        Section::new("routers", gettext("Routers"), addresses(&facts.routers, identifier::ROUTERS)),
        Section::new("routes", gettext("Routes"), values::routes(&pvd.values)),
        Section::new("prefixes", gettext("Prefixes"), values::prefixes(&pvd.values)),
        Section::new("lease", gettext("Lease"), values::lease(&pvd.values)),
        Section::new(
            "information",
            gettext("What the network says of itself"),
            information::rows(&pvd.values),
        ),
        Section::new("more", gettext("More"), values::more(&pvd.values)),
    ];
    found.into_iter().flatten().collect()
}

/// The page on which a person signs in, if one is known and can be opened.
pub fn sign_in_page(values: &Values) -> Option<&str> {
    let page = values.get(identifier::CAPTIVE_PORTAL_URL)?.as_str()?;
    is_web(page).then_some(page)
}

/// Whether a URL that came from a network may be handed to the desktop: it could start any program.
fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

fn portal(values: &Values) -> Vec<Row> {
    let captive = values.get(identifier::CAPTIVE).and_then(Value::as_bool);
    let api = values.get(identifier::CAPTIVE_PORTAL).and_then(Value::as_str);
    let page = sign_in_page(values);
    let until = values.get(identifier::CAPTIVE_EXPIRES).and_then(Value::as_u64).map(Deadline::from_micros);
    let title = match captive {
        Some(true) => gettext("Sign-in needed"),
        Some(false) => gettext("Signed in"),
        None if api.is_some() => gettext("The network may ask you to sign in"),
        None => return Vec::new(),
    };
    let urgent = captive == Some(true);
    let label = if urgent { gettext("Sign _In…") } else { gettext("_Open Portal…") };
    let link = page.map(|url| Link { url: url.to_owned(), label, urgent });
    let value = page.or(api).unwrap_or_default();
    vec![Row { key: "portal".to_owned(), until, link, ..Row::named("", title, value) }]
}

fn identity(network: &Network, pvd: &Pvd) -> Vec<Row> {
    let facts = &pvd.facts;
    let mut rows = vec![Row::named("id", gettext("PvD ID"), &facts.id), condition(network, pvd)];
    rows.push(origin(pvd));
    if let Some(interface) = network.interface_of(facts) {
        rows.push(interface_row(interface));
    }
    let elements = joined(facts.elements.iter().map(words::element));
    rows.push(Row::named("elements", gettext("Configured by"), elements));
    rows
}

fn condition(network: &Network, pvd: &Pvd) -> Row {
    let default = if network.is_default(&pvd.facts) {
        gettext("used by programs that know nothing of provisioning domains")
    } else {
        String::new()
    };
    let said = joined([network.condition(pvd).words(), words::family(&pvd.facts.family), default]);
    Row { subtitle: said.clone(), ..Row::named("condition", gettext("State"), said) }
}

fn origin(pvd: &Pvd) -> Row {
    let sequence = pvd.values.get(identifier::PVD_OPTION_SEQUENCE).and_then(Value::as_u64);
    let sequence =
        sequence.map(|number| fill(&gettext("sequence {number}"), &[("number", &number.to_string())]));
    let flags = texts(&pvd.values, identifier::PVD_OPTION_FLAGS).join(", ");
    let flags = if flags.is_empty() { flags } else { fill(&gettext("flags {list}"), &[("list", &flags)]) };
    let said = match pvd.facts.origin {
        Origin::Explicit => gettext("Named by the network (explicit, RFC 8801)"),
        Origin::Implicit => gettext("Made up from what the link was given (implicit)"),
        ref other => other.to_string(),
    };
    let said = joined([said, sequence.unwrap_or_default(), flags]);
    Row { subtitle: said.clone(), ..Row::named("origin", gettext("Origin"), said) }
}

fn interface_row(interface: &Interface) -> Row {
    let index = fill(&gettext("index {number}"), &[("number", &interface.ifindex.to_string())]);
    let said = joined([
        isolated(&interface.name),
        words::interface_kind(&interface.kind),
        index,
        words::interface_state(&interface.state),
    ]);
    Row { value: interface.name.clone(), ..Row::named("interface", gettext("Interface"), "") }
        .with_subtitle(said)
}

fn address(address: &Address) -> Row {
    let temporary = if address.temporary { gettext("temporary (privacy)") } else { String::new() };
    let from = address.element.as_ref().map(words::element).unwrap_or_default();
    let subtitle = joined([from, words::address_state(&address.state), temporary]);
    let text = format!("{}/{}", address.address, address.prefix_length);
    let preferred = (address.preferred_until != address.valid_until).then_some(address.preferred_until);
    Row {
        key: address.address.to_string(),
        value: address.address.to_string(),
        until: Some(address.valid_until),
        preferred,
        ..Row::fact(text, subtitle)
    }
}

/// Tells which elements a value comes from.
struct Origins<'a> {
    pvd: &'a Pvd,
}

impl Origins<'_> {
    /// "Router Advertisement · DHCPv6": the elements that have `text` in the list of that identifier.
    fn of(&self, identifier: &str, text: &str) -> String {
        joined(elements_with(&self.pvd.by_element, identifier, text).map(words::element))
    }
}

fn elements_with<'a>(
    by_element: &'a ValuesByElement,
    identifier: &str,
    text: &str,
) -> impl Iterator<Item = &'a Element> {
    let has = move |values: &Values| texts(values, identifier).contains(&text);
    by_element.iter().filter(move |(_, values)| has(values)).map(|(element, _)| element)
}

/// A list of texts; empty when there is none.
fn texts<'a>(values: &'a Values, identifier: &str) -> Vec<&'a str> {
    list(values, identifier).iter().filter_map(Value::as_str).collect()
}

/// A list; empty when there is none.
fn list<'a>(values: &'a Values, identifier: &str) -> &'a [Value] {
    values.get(identifier).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::model::network::Update;
    use crate::model::samples::{path, pvd, state, values};
    use serde_json::json;

    fn page(object: Value) -> Vec<Section> {
        let mut network = Network::default();
        network.reset(state(&["cafe.example"]));
        network.apply(Update::Pvd(Box::new(pvd("cafe.example")), values(object)));
        sections(&network, network.pvd(&path("pvd", "cafe.example")).unwrap())
    }

    fn row<'a>(page: &'a [Section], section: &str, key: &str) -> &'a Row {
        let section = page.iter().find(|it| it.id == section).expect(section);
        section.rows.iter().find(|it| it.key == key).expect(key)
    }

    #[test]
    fn what_a_pvd_has_is_shown_and_empty_sections_are_not() {
        let page = page(json!({}));
        let ids: Vec<&str> = page.iter().map(|section| section.id).collect();
        assert_eq!(ids, ["identity", "addresses", "dns", "domains", "routers"]);
        let address = row(&page, "addresses", "192.0.2.10");
        assert_eq!(words::plain(&address.title), "192.0.2.10/24");
        assert_eq!(address.subtitle, "Router Advertisement · preferred");
        assert_eq!(address.until, Some(Deadline::from_micros(3_600_000_000)));
        assert_eq!(address.preferred, Some(Deadline::from_micros(1_800_000_000)));
    }

    #[test]
    fn a_portal_is_on_top_with_its_page() {
        let url = "https://portal.example/in";
        let page = page(json!({"captive": true, "captive-portal-url": url, "captive-portal": "https://x/"}));
        assert_eq!(page[0].id, "portal");
        let link = page[0].rows[0].link.as_ref().unwrap();
        assert_eq!((link.url.as_str(), link.urgent), (url, true));
    }

    #[test]
    fn only_web_pages_are_ever_opened() {
        for url in ["file:///etc/passwd", "javascript:alert(1)", "smb://x/y", "x", "HTTPFOO://x"] {
            let page = page(json!({"captive": true, "captive-portal-url": url}));
            assert_eq!(row(&page, "portal", "portal").link, None, "{url}");
        }
        assert_eq!(sign_in_page(&values(json!({"captive-portal-url": "HTTP://a/"}))), Some("HTTP://a/"));
    }

    #[test]
    fn a_server_tells_which_element_named_it() {
        let mut network = Network::default();
        network.reset(state(&["cafe.example"]));
        let ra = values(json!({"dns-servers": ["2001:db8::53"]}));
        let by_element = ValuesByElement::from([
            (Element::Ra, ra.clone()),
            (Element::Dhcpv6, ra),
            (Element::Dhcpv4, values(json!({"dns-servers": ["192.0.2.53"]}))),
        ]);
        network.apply(Update::Elements(path("pvd", "cafe.example"), by_element));
        let page = sections(&network, network.pvd(&path("pvd", "cafe.example")).unwrap());
        assert_eq!(row(&page, "dns", "2001:db8::53").subtitle, "Router Advertisement · DHCPv6");
    }

    #[test]
    fn an_interface_tells_what_it_is_and_its_pvds() {
        let mut network = Network::default();
        network.reset(state(&["cafe.example", "implicit:eth1:ipv4"]));
        let (title, page) = super::page(&network, &RowKey::Interface(path("interface", "eth1"))).unwrap();
        assert_eq!(title, "eth1");
        assert_eq!(row(&page, "interface", "kind").subtitle, "\u{2066}Ethernet\u{2069}");
        let pvds: Vec<&str> = page[1].rows.iter().map(|row| row.value.as_str()).collect();
        assert_eq!(pvds, ["cafe.example", "implicit:eth1:ipv4"]);
        assert_eq!(super::page(&network, &RowKey::Interface(path("interface", "eth9"))), None);
    }

    #[test]
    fn the_pvd_option_is_told() {
        let page = page(json!({"pvd-option-sequence": 17, "pvd-option-flags": ["http", "ra"]}));
        let origin = row(&page, "identity", "origin");
        assert!(origin.subtitle.ends_with("sequence 17 · flags http, ra"), "{}", origin.subtitle);
    }
}
