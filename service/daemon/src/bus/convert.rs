//! The core's types as D-Bus values. Signatures are those of the contract; keys without a value are left out.

use super::error::BusError;
use super::path;
use super::wire::{Fields, Value};
use crate::request::bind::Bound;
use crate::request::race::Raced;
use mif_core::BootTime;
use mif_core::announcement::ConnectionDetails;
use mif_core::captive_portal::Captivity;
use mif_core::configuration::{
    Configuration, EncryptedDns, Prefix, PrefixData, PvdFlags, RouteData, RouteKey,
};
use mif_core::plan::{Answer, TranslationEnd};
use mif_core::pvd::{Interface, Pvd, PvdAddress};
use mif_core::pvd_info::{AdditionalInformation, SplitDnsClaim};
use std::collections::BTreeMap;
use zbus::ObjectPath;

/// How long the story of a race may be, in lines.
const STORY_LINES: usize = 64;

/// A deadline: CLOCK_BOOTTIME microseconds, the maximum for ever.
pub const fn deadline(time: BootTime) -> u64 {
    time.as_micros()
}

/// An entry of `Addresses`: everything but the lifetimes, which would wake everybody at each advertisement.
pub fn address(address: &PvdAddress) -> Fields {
    BTreeMap::from([
        ("address", text(address.address)),
        ("prefix-length", Value::from(address.prefix_length)),
        ("state", Value::from(address.state.word())),
        ("element", Value::from(address.element.word())),
        ("temporary", Value::from(address.temporary)),
    ])
}

/// `AddressLifetimes`: preferred-until and valid-until by address.
pub fn address_lifetimes(pvd: &Pvd) -> BTreeMap<String, (u64, u64)> {
    let lifetimes = |address: &PvdAddress| (deadline(address.preferred_until), deadline(address.valid_until));
    pvd.addresses.iter().map(|address| (address.address.to_string(), lifetimes(address))).collect()
}

/// The `a{sv}` of an InterfaceAnnouncement.
pub fn interface_announcement(interface: &Interface) -> Fields {
    BTreeMap::from([
        ("ifindex", Value::from(interface.ifindex)),
        ("name", Value::from(interface.name.clone())),
        ("kind", Value::from(interface.kind.word())),
    ])
}

/// The `a{sv}` of a ProvisioningDomainAnnouncement.
pub fn pvd_announcement(pvd: &Pvd) -> Fields {
    BTreeMap::from([
        ("id", Value::from(pvd.id.clone())),
        ("origin", Value::from(pvd.key.origin().word())),
        ("family", Value::from(pvd.family.word())),
    ])
}

/// The details of a NameTranslation.
pub fn answer(answer: &Answer) -> Fields {
    let mut fields = BTreeMap::from([
        ("source", Value::from(answer.source.word())),
        ("encrypted", Value::from(answer.encrypted)),
        ("synthesized", Value::from(answer.synthesized)),
    ]);
    put(&mut fields, "ttl", answer.ttl);
    put(&mut fields, "server", answer.server.map(|server| server.to_string()));
    put(&mut fields, "transport", answer.transport.map(|transport| transport.word()));
    fields
}

/// The details of a TranslationFinished that went well, and those of TranslateName besides its answers.
pub fn translation_end(end: &TranslationEnd) -> Fields {
    let mut fields = BTreeMap::from([("truncated", Value::from(end.truncated))]);
    put(&mut fields, "canonical-name", end.canonical_name.clone());
    put(&mut fields, "rcode", end.rcode);
    fields
}

/// The details of a TranslationFinished or NotConnected that went wrong.
pub fn failure(error: &BusError) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "errno", error.errno);
    put(&mut fields, "rcode", error.rcode);
    fields
}

/// The details of TranslateName.
pub fn translation(answers: &[Answer], end: &TranslationEnd) -> Fields {
    let with_address = |item: &Answer| {
        let mut fields = answer(item);
        fields.insert("address", text(item.address));
        fields
    };
    let mut fields = translation_end(end);
    fields.insert("answers", Value::from(answers.iter().map(with_address).collect::<Vec<_>>()));
    fields
}

/// The details of ConnectToAddress and of Connected.
pub fn connection(details: &ConnectionDetails) -> Fields {
    BTreeMap::from([
        ("local-address", text(details.local_address)),
        ("local-port", Value::from(details.local_port)),
        ("remote-address", text(details.remote_address)),
        ("handshake-us", Value::from(details.handshake_us)),
    ])
}

/// The details of ConnectToName.
pub fn raced(raced: &Raced, details: &ConnectionDetails) -> Fields {
    let mut fields = connection(details);
    fields.insert("pvd", Value::from(path::pvd(raced.pvd)));
    fields.insert("pvd-id", Value::from(raced.id.clone()));
    fields.insert("address", text(raced.address));
    fields.insert("story", Value::from(raced.story.lines(STORY_LINES)));
    fields
}

/// The details of BindSocket.
pub fn binding(bound: &Bound) -> Fields {
    let mut fields =
        BTreeMap::from([("source", text(bound.local.ip())), ("device", Value::from(bound.device.clone()))]);
    put(&mut fields, "local-port", Some(bound.local.port()).filter(|port| *port != 0));
    fields
}

/// Every identifier that has a value in `configuration` (GetAllConfigurationData).
pub fn configuration(configuration: &Configuration) -> Fields {
    let mut fields = Fields::new();
    put_list(&mut fields, "dns-servers", texts(&configuration.dns_servers));
    put_list(&mut fields, "search-domains", configuration.search_domains.clone());
    put(&mut fields, "domain-name", configuration.domain_name.clone());
    put_list(&mut fields, "routers", texts(&configuration.routers));
    put_list(&mut fields, "routes", configuration.routes.iter().map(route).collect());
    put_list(&mut fields, "prefixes", configuration.prefixes.iter().map(prefix).collect());
    put(&mut fields, "mtu", configuration.mtu);
    put_list(&mut fields, "ntp-servers", configuration.ntp_servers.clone());
    put_list(&mut fields, "nis-servers", texts(&configuration.nis_servers));
    put(&mut fields, "nis-domain", configuration.nis_domain.clone());
    put(&mut fields, "captive-portal", configuration.captive_portal.clone());
    put_list(&mut fields, "pref64", texts(&configuration.pref64));
    put_list(&mut fields, "encrypted-dns", configuration.encrypted_dns.iter().map(encrypted_dns).collect());
    put(&mut fields, "server-identifier", configuration.server_identifier.clone());
    put(&mut fields, "lease-expires", configuration.lease_expires.map(deadline));
    put(&mut fields, "pvd-option-sequence", configuration.pvd_option.map(|option| option.sequence));
    put_list(
        &mut fields,
        "pvd-option-flags",
        configuration.pvd_option.iter().flat_map(PvdFlags::words).collect::<Vec<&str>>(),
    );
    put(&mut fields, "told-by", configuration.told_by.clone());
    if let Some(captivity) = &configuration.captivity {
        put_captivity(&mut fields, captivity);
    }
    if let Some(information) = &configuration.additional_information {
        put_information(&mut fields, information);
    }
    fields
}

fn put_captivity(fields: &mut Fields, captivity: &Captivity) {
    put(fields, "captive", Some(captivity.captive));
    put(fields, "captive-portal-url", captivity.portal_url.clone());
    put(fields, "captive-expires", captivity.expires.map(deadline));
}

fn put_information(fields: &mut Fields, information: &AdditionalInformation) {
    put(fields, "additional-information", Some(information.text.clone()));
    put(fields, "additional-information-expires", Some(deadline(information.expires)));
    put_list(fields, "dns-zones", information.dns_zones.clone());
    put(fields, "no-internet", information.no_internet);
    put_list(fields, "split-dns-claims", information.split_dns_claims.iter().map(split_dns_claim).collect());
}

/// The identifier of something that the network did not give: the reverse path filter of the interface is strict.
pub const STRICT_REVERSE_PATH: &str = "strict-reverse-path";

/// Every identifier of the contract: what GetConfigurationData takes, whether this instance ever has a value.
pub const IDENTIFIERS: &[&str] = &[
    "dns-servers",
    "search-domains",
    "domain-name",
    "routers",
    "routes",
    "prefixes",
    "mtu",
    "ntp-servers",
    "nis-servers",
    "nis-domain",
    "captive-portal",
    "captive",
    "captive-portal-url",
    "captive-expires",
    "pref64",
    "encrypted-dns",
    "server-identifier",
    "lease-expires",
    "pvd-option-sequence",
    "pvd-option-flags",
    "additional-information",
    "additional-information-expires",
    "dns-zones",
    "no-internet",
    STRICT_REVERSE_PATH,
    "told-by",
    "split-dns-claims",
];

/// The paths of provisioning domains.
pub fn pvd_paths(pvds: impl Iterator<Item = mif_core::pvd::Serial>) -> Vec<ObjectPath<'static>> {
    pvds.map(path::pvd).collect()
}

/// Anything that shows itself, as a string.
pub fn text(value: impl ToString) -> Value {
    Value::from(value.to_string())
}

/// Many of them.
pub fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

fn route((key, data): (&RouteKey, &RouteData)) -> Fields {
    let mut fields = BTreeMap::from([
        ("destination", text(key.destination)),
        ("preference", Value::from(data.preference.word())),
        ("valid-until", Value::from(deadline(data.valid_until))),
    ]);
    put(&mut fields, "gateway", key.gateway.map(|gateway| gateway.to_string()));
    fields
}

fn prefix((prefix, data): (&Prefix, &PrefixData)) -> Fields {
    BTreeMap::from([
        ("prefix", text(prefix)),
        ("on-link", Value::from(data.on_link)),
        ("autonomous", Value::from(data.autonomous)),
        ("preferred-until", Value::from(deadline(data.preferred_until))),
        ("valid-until", Value::from(deadline(data.valid_until))),
    ])
}

fn encrypted_dns(resolver: &EncryptedDns) -> Fields {
    let mut fields = BTreeMap::from([
        ("name", Value::from(resolver.name.clone())),
        ("addresses", Value::from(texts(&resolver.addresses))),
        ("priority", Value::from(resolver.priority)),
        ("alpn", Value::from(resolver.alpn.clone())),
    ]);
    put(&mut fields, "port", resolver.port);
    put(&mut fields, "path", resolver.path.clone());
    fields
}

/// A claim of RFC 9704. It is obeyed when its owner has confirmed it, which nobody has asked yet.
fn split_dns_claim(claim: &SplitDnsClaim) -> Fields {
    BTreeMap::from([
        ("resolver", Value::from(claim.resolver.clone())),
        ("parent", Value::from(claim.parent.clone())),
        ("subdomains", Value::from(claim.subdomains.clone())),
        ("algorithm", Value::from(claim.algorithm.clone())),
        ("salt", Value::from(claim.salt.clone())),
        ("verified", Value::from(false)),
    ])
}

fn put<T: Into<Value>>(fields: &mut Fields, key: &'static str, value: Option<T>) {
    if let Some(value) = value {
        fields.insert(key, value.into());
    }
}

fn put_list<T>(fields: &mut Fields, key: &'static str, list: Vec<T>)
where
    Vec<T>: Into<Value>,
{
    if !list.is_empty() {
        fields.insert(key, list.into());
    }
}
