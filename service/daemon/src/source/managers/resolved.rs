//! systemd-resolved: the servers and domains of links that managers, VPNs and scripts told it.

use super::system_bus::{Service, SystemBus, Unheard};
use mif_core::event::{Event, Ifindex, LinkSettings, SettingsManager};
use mif_core::resolved;
use std::collections::BTreeMap;
use zbus::{Message, Variant};

const PATH: &str = "/org/freedesktop/resolve1";
const MANAGER: &str = "org.freedesktop.resolve1.Manager";

/// What is known of systemd-resolved.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    told: BTreeMap<Ifindex, LinkSettings>,
}

impl Resolved {
    /// Reads what is new, if it answers; what came of it.
    pub(super) async fn read(&mut self, bus: &mut SystemBus, events: &mut Vec<Event>) -> Result<(), Unheard> {
        // Without it, what it was told holds: it keeps that for its next start.
        if !std::mem::take(&mut bus.news().resolved) || !bus.is_there(Service::Resolved) {
            return Ok(());
        }
        let servers = bus.property(Service::Resolved, PATH, (MANAGER, "DNS")).await?;
        let domains = bus.property(Service::Resolved, PATH, (MANAGER, "Domains")).await?;
        let (Some(servers), Some(domains)) = (servers, domains) else { return Ok(()) };
        let (Some(servers), Some(domains)) = (list_of_servers(&servers), list_of_domains(&domains)) else {
            tracing::debug!("systemd-resolved: the lists of its servers make no sense");
            return Ok(());
        };
        let links = resolved::settings(
            servers.iter().map(|(link, _, address)| (*link, address.as_slice())),
            domains.iter().map(|(link, domain, routing)| (*link, domain.as_str(), *routing)),
        );
        self.tell(links, events);
        Ok(())
    }

    fn tell(&mut self, links: BTreeMap<Ifindex, LinkSettings>, events: &mut Vec<Event>) {
        let manager = SettingsManager::Resolved;
        let gone = self.told.keys().filter(|ifindex| !links.contains_key(ifindex));
        events.extend(gone.map(|ifindex| Event::SettingsGone { ifindex: *ifindex, manager }));
        for (ifindex, settings) in &links {
            let known = self.told.get(ifindex) == Some(settings);
            if !known {
                tracing::debug!(ifindex, servers = ?settings.dns_servers, "resolved: settings");
                let settings = Box::new(settings.clone());
                events.push(Event::Settings { ifindex: *ifindex, manager, settings });
            }
        }
        self.told = links;
    }
}

/// Link, family and bytes of each server.
fn list_of_servers(reply: &Message) -> Option<Vec<(i32, i32, Vec<u8>)>> {
    let body = reply.body();
    let list = body.deserialize::<Variant<'_>>().ok()?;
    let list = Vec::<zbus::wire::Structure<'_>>::try_from(list).ok()?;
    list.into_iter().map(|server| server.try_into().ok()).collect()
}

/// Link, name, and whether it is for routing only, of each domain.
fn list_of_domains(reply: &Message) -> Option<Vec<(i32, String, bool)>> {
    let body = reply.body();
    let list = body.deserialize::<Variant<'_>>().ok()?;
    let list = Vec::<zbus::wire::Structure<'_>>::try_from(list).ok()?;
    list.into_iter().map(|domain| domain.try_into().ok()).collect()
}
