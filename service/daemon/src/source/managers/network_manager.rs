//! NetworkManager: the leases of its DHCP clients and what is set on links.

use super::dirt::Places;
use super::system_bus::{Service, SystemBus, Unheard};
use crate::clock;
use mif_core::event::{Event, Ifindex, LeaseClient, LinkSettings, SettingsManager};
use mif_core::network_manager::{self, Options};
use nix::net::if_::if_nametoindex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use zbus::{Message, OwnedObjectPath, OwnedVariant, Variant};

/// Its object that is about all the others.
pub(super) const ROOT: &str = "/org/freedesktop/NetworkManager";
const ROOT_INTERFACE: &str = "org.freedesktop.NetworkManager";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
const IP4_CONFIG: &str = "org.freedesktop.NetworkManager.IP4Config";
const IP6_CONFIG: &str = "org.freedesktop.NetworkManager.IP6Config";
const DHCP4_CONFIG: &str = "org.freedesktop.NetworkManager.DHCP4Config";
const DHCP6_CONFIG: &str = "org.freedesktop.NetworkManager.DHCP6Config";
/// What stands for no object.
const NO_OBJECT: &str = "/";
/// Devices beyond this are not looked at.
const MAX_DEVICES: usize = 16_384;

type Properties = BTreeMap<String, OwnedVariant>;

/// What is known of NetworkManager.
#[derive(Debug, Default)]
pub(super) struct NetworkManager {
    devices: BTreeMap<String, Device>,
    /// What was told of each link; it outlives the objects, and NetworkManager.
    told: BTreeMap<Ifindex, Word>,
    /// It has not brought up yet what it brings up at its start: what it lacks may be still to come.
    starting: bool,
}

/// A device and the objects that its configuration is in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    ifindex: Ifindex,
    parts: BTreeSet<String>,
}

/// What it says of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    dhcp4: Option<Options>,
    dhcp6: Option<Options>,
    settings: LinkSettings,
}

impl NetworkManager {
    /// Reads what is new, as far as it answers; what came of it.
    pub(super) async fn read(&mut self, bus: &mut SystemBus, events: &mut Vec<Event>) -> Result<(), Unheard> {
        let places = bus.news().network_manager.take();
        if !bus.is_there(Service::NetworkManager) {
            self.devices.clear();
            self.without_witness(events);
            return Ok(());
        }
        match places {
            Places::Some(places) => {
                for path in self.devices_of(places) {
                    self.read_device(bus, &path, events).await?;
                }
                Ok(())
            }
            Places::All => self.read_all(bus, events).await,
        }
    }

    /// It has left: nobody could say when other configuration by DHCPv6 ends. All else ends with its addresses.
    fn without_witness(&mut self, events: &mut Vec<Event>) {
        for (ifindex, word) in &mut self.told {
            let lasts = |options: &Options| {
                network_manager::dhcpv6(options).is_some_and(|lease| !lease.addresses.is_empty())
            };
            if word.dhcp6.take_if(|options| !lasts(options)).is_some() {
                events.push(Event::Dhcpv6Gone { ifindex: *ifindex, client: LeaseClient::NetworkManager });
            }
        }
    }

    /// The devices that `places` are, or are parts of.
    fn devices_of(&self, places: BTreeSet<String>) -> BTreeSet<String> {
        let device_of = |place: String| {
            let of_part = self.devices.iter().find(|(_, device)| device.parts.contains(&place));
            match of_part {
                Some((path, _)) => Some(path.clone()),
                // What no device refers to (any more, or yet) is of no use.
                None => (self.devices.contains_key(&place) || place.contains("/Devices/")).then_some(place),
            }
        };
        places.into_iter().filter_map(device_of).collect()
    }

    async fn read_all(&mut self, bus: &mut SystemBus, events: &mut Vec<Event>) -> Result<(), Unheard> {
        let startup = (ROOT_INTERFACE, "Startup");
        // It has its name before it has this object: then it has only begun, and will say more.
        let Some(startup) = bus.property(Service::NetworkManager, ROOT, startup).await? else {
            bus.note_silence(Service::NetworkManager);
            return Ok(());
        };
        let startup = startup.body().deserialize::<OwnedVariant>().ok();
        self.starting = startup.and_then(|startup| bool::try_from(startup).ok()).unwrap_or(false);
        let call = (ROOT_INTERFACE, "GetDevices");
        let Some(reply) = bus.ask(Service::NetworkManager, ROOT, call, &()).await? else { return Ok(()) };
        let paths: Vec<OwnedObjectPath> = reply.body().deserialize().unwrap_or_default();
        self.devices.clear();
        for path in paths.iter().take(MAX_DEVICES) {
            self.read_device(bus, path.as_str(), events).await?;
        }
        if !self.starting {
            let there: BTreeSet<Ifindex> = self.devices.values().map(|device| device.ifindex).collect();
            let gone: Vec<Ifindex> =
                self.told.keys().filter(|ifindex| !there.contains(ifindex)).copied().collect();
            for ifindex in gone {
                self.tell(ifindex, Word::default(), events);
                self.told.remove(&ifindex);
            }
        }
        Ok(())
    }

    async fn read_device(
        &mut self,
        bus: &mut SystemBus,
        path: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), Unheard> {
        let Some(device) = properties(bus, path, DEVICE).await? else {
            if let Some(Device { ifindex, .. }) = self.devices.remove(path) {
                self.tell(ifindex, Word::default(), events);
                self.told.remove(&ifindex);
            }
            return Ok(());
        };
        let Some(ifindex) = ifindex(&device) else {
            self.devices.remove(path);
            return Ok(());
        };
        let part = |name| text(&device, name).filter(|part| part != NO_OBJECT);
        let parts = ["Ip4Config", "Ip6Config", "Dhcp4Config", "Dhcp6Config"].map(part);
        let known = Device { ifindex, parts: parts.iter().flatten().cloned().collect() };
        self.devices.insert(path.to_owned(), known);
        let managed = device.get("Managed").and_then(|managed| bool::try_from(managed).ok()).unwrap_or(true);
        let word = if managed { word(bus, &parts).await? } else { Word::default() };
        let state = device.get("State").and_then(|state| u32::try_from(state).ok());
        self.tell_when(self.starting || state.is_some_and(is_activating), ifindex, word, events);
        Ok(())
    }

    /// Tells what is another than before. While NetworkManager starts, what it lacks is not gone yet.
    fn tell(&mut self, ifindex: Ifindex, word: Word, events: &mut Vec<Event>) {
        self.tell_when(self.starting, ifindex, word, events);
    }

    /// [`Self::tell`]; while `unfinished`, what is lacking may be still to come. The kernel tells when addresses go.
    fn tell_when(&mut self, unfinished: bool, ifindex: Ifindex, word: Word, events: &mut Vec<Event>) {
        let told = self.told.entry(ifindex).or_default();
        let client = LeaseClient::NetworkManager;
        if told.dhcp4 != word.dhcp4 && !(unfinished && word.dhcp4.is_none()) {
            let lease = word.dhcp4.as_ref().and_then(|options| network_manager::lease(options, clock::now()));
            tracing::debug!(ifindex, address = ?lease.as_ref().map(|lease| lease.address), "NetworkManager: DHCPv4");
            events.push(lease.map_or(Event::LeaseGone { ifindex, client }, |lease| Event::Lease {
                ifindex,
                client,
                lease: Box::new(lease),
            }));
            told.dhcp4 = word.dhcp4;
        }
        if told.dhcp6 != word.dhcp6 && !(unfinished && word.dhcp6.is_none()) {
            let lease = word.dhcp6.as_ref().and_then(network_manager::dhcpv6);
            tracing::debug!(ifindex, addresses = ?lease.as_ref().map(|lease| &lease.addresses), "NetworkManager: DHCPv6");
            events.push(lease.map_or(Event::Dhcpv6Gone { ifindex, client }, |lease| Event::Dhcpv6 {
                ifindex,
                client,
                lease: Box::new(lease),
            }));
            told.dhcp6 = word.dhcp6;
        }
        if told.settings != word.settings && !(unfinished && word.settings.is_empty()) {
            let manager = SettingsManager::NetworkManager;
            tracing::debug!(ifindex, servers = ?word.settings.dns_servers, "NetworkManager: settings");
            events.push(Event::Settings { ifindex, manager, settings: Box::new(word.settings.clone()) });
            told.settings = word.settings;
        }
    }
}

/// Whether a device is being configured: NM_DEVICE_STATE_PREPARE to NM_DEVICE_STATE_SECONDARIES.
const fn is_activating(state: u32) -> bool {
    matches!(state, 40..=90)
}

/// Reads the parts of a device's configuration: IPv4, IPv6, DHCPv4, DHCPv6.
async fn word(bus: &mut SystemBus, parts: &[Option<String>; 4]) -> Result<Word, Unheard> {
    let mut read = [None, None, None, None];
    let interfaces = [IP4_CONFIG, IP6_CONFIG, DHCP4_CONFIG, DHCP6_CONFIG];
    for ((read, part), interface) in read.iter_mut().zip(parts).zip(interfaces) {
        if let Some(part) = part {
            *read = properties(bus, part, interface).await?;
        }
    }
    let [ip4, ip6, dhcp4, dhcp6] = read.map(Option::unwrap_or_default);
    let servers = ip4_servers(&ip4).into_iter().chain(ip6_servers(&ip6));
    let domains: Vec<String> = [&ip4, &ip6]
        .into_iter()
        .flat_map(|ip| [texts(ip, "Searches"), texts(ip, "Domains")])
        .flatten()
        .collect();
    let mut settings = network_manager::settings(servers, domains.iter().map(String::as_str));
    settings.search_domains = without_repeats(settings.search_domains);
    Ok(Word { dhcp4: options(&dhcp4), dhcp6: options(&dhcp6), settings })
}

async fn properties(bus: &mut SystemBus, path: &str, interface: &str) -> Result<Option<Properties>, Unheard> {
    let reply: Option<Message> = bus.properties(Service::NetworkManager, path, interface).await?;
    Ok(reply.and_then(|reply| reply.body().deserialize().ok()))
}

/// The link that carries IP: of a modem that is another than the device's own.
fn ifindex(device: &Properties) -> Option<Ifindex> {
    let name = ["IpInterface", "Interface"]
        .iter()
        .find_map(|name| text(device, name).filter(|name| !name.is_empty()));
    if_nametoindex(name?.as_str()).ok()
}

fn text(properties: &Properties, name: &str) -> Option<String> {
    match &**properties.get(name)? {
        Variant::Str(text) => Some(text.to_string()),
        Variant::ObjectPath(path) => Some(path.to_string()),
        _ => None,
    }
}

fn texts(properties: &Properties, name: &str) -> Vec<String> {
    properties.get(name).and_then(|value| value.clone().try_into().ok()).unwrap_or_default()
}

fn options(dhcp: &Properties) -> Option<Options> {
    let options: Properties = dhcp.get("Options")?.clone().try_into().ok()?;
    let told = |(name, value): (String, OwnedVariant)| Some((name, String::try_from(value).ok()?));
    Some(options.into_iter().filter_map(told).collect()).filter(|options: &Options| !options.is_empty())
}

fn ip4_servers(ip4: &Properties) -> Vec<IpAddr> {
    let servers: Vec<Properties> =
        ip4.get("NameserverData").and_then(|data| data.clone().try_into().ok()).unwrap_or_default();
    servers.iter().filter_map(|server| text(server, "address")?.parse().ok()).collect()
}

fn ip6_servers(ip6: &Properties) -> Vec<IpAddr> {
    let servers: Vec<Vec<u8>> =
        ip6.get("Nameservers").and_then(|data| data.clone().try_into().ok()).unwrap_or_default();
    let octets = |server: &Vec<u8>| <[u8; 16]>::try_from(server.as_slice()).ok();
    servers.iter().filter_map(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets))).collect()
}

fn without_repeats(mut list: Vec<String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    list.retain(|item| known.insert(item.clone()));
    list
}
