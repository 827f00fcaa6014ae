//! systemd-networkd: what is set on links, and what DHCPv6 gave. Its DHCPv4 leases are in files
//! (`source::networkd`).

use super::dirt::Places;
use super::system_bus::{Service, SystemBus, Unheard};
use mif_core::event::{Dhcpv6Lease, Event, Ifindex, LeaseClient, LinkSettings, SettingsManager};
use mif_core::networkd::{self, Description, MAX_DESCRIPTION};
use std::collections::{BTreeMap, BTreeSet};

const PATH: &str = "/org/freedesktop/network1";
const MANAGER: &str = "org.freedesktop.network1.Manager";

/// What is known of systemd-networkd.
#[derive(Debug, Default)]
pub(super) struct Networkd {
    told: BTreeMap<Ifindex, Told>,
}

#[derive(Debug, Default)]
struct Told {
    settings: Option<LinkSettings>,
    dhcpv6: Option<Dhcpv6Lease>,
}

impl Networkd {
    /// Reads what is new, as far as it answers; what came of it.
    pub(super) async fn read(&mut self, bus: &mut SystemBus, events: &mut Vec<Event>) -> Result<(), Unheard> {
        let places = bus.news().networkd.take();
        if !bus.is_there(Service::Networkd) {
            self.without_witness(events);
            return Ok(());
        }
        let links = match places {
            Places::Some(links) => links,
            Places::All => {
                let mut links = list_links(bus).await?;
                links.extend(self.told.keys());
                links
            }
        };
        for ifindex in links {
            let call = (MANAGER, "DescribeLink");
            let number = i32::try_from(ifindex).unwrap_or(i32::MAX);
            let reply = bus.ask(Service::Networkd, PATH, call, &number).await?;
            let json = reply.and_then(|reply| {
                let body = reply.body();
                let fits = body.len() <= MAX_DESCRIPTION;
                body.deserialize::<String>().ok().filter(|_| fits)
            });
            self.tell(ifindex, json.as_deref().and_then(networkd::description), events);
        }
        Ok(())
    }

    /// It has left: nobody could say when other configuration by DHCPv6 ends. All else ends with its addresses.
    fn without_witness(&mut self, events: &mut Vec<Event>) {
        for (ifindex, told) in &mut self.told {
            if told.dhcpv6.take_if(|lease| lease.addresses.is_empty()).is_some() {
                events.push(Event::Dhcpv6Gone { ifindex: *ifindex, client: LeaseClient::Networkd });
            }
        }
    }

    /// Tells what is another than before. What it lacks while it configures a link may be still to come.
    fn tell(&mut self, ifindex: Ifindex, description: Option<Description>, events: &mut Vec<Event>) {
        let told = self.told.entry(ifindex).or_default();
        let managed = description.is_some();
        let Description { settings, dhcpv6, settled } =
            description.unwrap_or(Description { settled: true, ..Description::default() });
        if told.dhcpv6 != dhcpv6 && (settled || dhcpv6.is_some()) {
            let client = LeaseClient::Networkd;
            tracing::debug!(ifindex, addresses = ?dhcpv6.as_ref().map(|lease| &lease.addresses), "networkd: DHCPv6");
            told.dhcpv6.clone_from(&dhcpv6);
            events.push(dhcpv6.map_or(Event::Dhcpv6Gone { ifindex, client }, |lease| Event::Dhcpv6 {
                ifindex,
                client,
                lease: Box::new(lease),
            }));
        }
        if told.settings != settings && (!managed || settings.is_some()) {
            let manager = SettingsManager::Networkd;
            tracing::debug!(ifindex, servers = ?settings.as_ref().map(|set| &set.dns_servers), "networkd: settings");
            told.settings.clone_from(&settings);
            events.push(settings.map_or(Event::SettingsGone { ifindex, manager }, |settings| {
                Event::Settings { ifindex, manager, settings: Box::new(settings) }
            }));
        }
        if told.settings.is_none() && told.dhcpv6.is_none() {
            self.told.remove(&ifindex);
        }
    }
}

async fn list_links(bus: &mut SystemBus) -> Result<BTreeSet<Ifindex>, Unheard> {
    let reply = bus.ask(Service::Networkd, PATH, (MANAGER, "ListLinks"), &()).await?;
    let links =
        reply.and_then(|reply| reply.body().deserialize::<Vec<(i32, String, zbus::OwnedObjectPath)>>().ok());
    let links = links.unwrap_or_default().into_iter();
    Ok(links.filter_map(|(ifindex, ..)| Ifindex::try_from(ifindex).ok()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const SERVER: &str = r#""DNS":[{"Family":2,"Address":[192,0,2,9],"ConfigSource":"static"}]"#;

    fn told(networkd: &mut Networkd, state: &str, more: &str) -> Vec<Event> {
        let json = format!(r#"{{"AdministrativeState":"{state}"{more}}}"#);
        let mut events = Vec::new();
        networkd.tell(2, networkd::description(&json), &mut events);
        events
    }

    fn servers(events: &[Event]) -> Vec<usize> {
        let count = |event: &Event| match event {
            Event::Settings { settings, .. } => settings.dns_servers.len(),
            other => panic!("settings were expected and not {other:?}"),
        };
        events.iter().map(count).collect()
    }

    #[test]
    fn what_is_set_holds_until_a_new_networkd_has_read_its_configuration() {
        let mut networkd = Networkd::default();
        let with_server = format!(",{SERVER}");
        assert_eq!(servers(&told(&mut networkd, "configured", &with_server)), [1]);
        for state in ["pending", "initialized"] {
            assert_eq!(told(&mut networkd, state, ""), [], "{state}");
        }
        assert_eq!(told(&mut networkd, "configuring", &with_server), []);
        assert_eq!(servers(&told(&mut networkd, "configuring", "")), [0], "it was taken out of the file");
    }

    #[test]
    fn a_link_that_it_leaves_alone_has_nothing_of_it() {
        let mut networkd = Networkd::default();
        assert_eq!(told(&mut networkd, "pending", ""), [], "nobody knows yet");
        assert_eq!(servers(&told(&mut networkd, "configuring", &format!(",{SERVER}"))), [1]);
        let gone = Event::SettingsGone { ifindex: 2, manager: SettingsManager::Networkd };
        assert_eq!(told(&mut networkd, "unmanaged", ""), [gone]);
        assert!(networkd.told.is_empty());
    }
}
