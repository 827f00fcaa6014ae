//! What systemd-resolved knows of each link: DNS servers and domains that managers, VPNs and scripts told it
//! (`DNSEx` or `DNS`, and `Domains`, of `org.freedesktop.resolve1.Manager`).

use crate::event::Ifindex;
use crate::lease::LinkSettings;
use crate::{lease_text, limits};
use std::collections::BTreeMap;

/// What is known of each link, from lists of all links: `servers` with the bytes of their addresses, `domains` with
/// whether they are for routing only, which is not searched. The number 0 stands for no link.
pub fn settings<'a>(
    servers: impl IntoIterator<Item = (i32, &'a [u8])>,
    domains: impl IntoIterator<Item = (i32, &'a str, bool)>,
) -> BTreeMap<Ifindex, LinkSettings> {
    let mut links: BTreeMap<Ifindex, LinkSettings> = BTreeMap::new();
    for (link, address) in servers {
        let (Some(link), Some(address)) = (ifindex(link), lease_text::packed_address(address)) else {
            continue;
        };
        let Some(settings) = entry(&mut links, link) else { continue };
        if settings.dns_servers.len() < limits::SERVERS_PER_PVD && !settings.dns_servers.contains(&address) {
            settings.dns_servers.push(address);
        }
    }
    for (link, domain, for_routing_only) in domains {
        let (Some(link), false) = (ifindex(link), for_routing_only) else { continue };
        let Some(domain) = lease_text::search_domains([domain]).pop() else { continue };
        let Some(settings) = entry(&mut links, link) else { continue };
        if settings.search_domains.len() < limits::DOMAINS_PER_PVD {
            settings.search_domains.push(domain);
        }
    }
    links
}

fn ifindex(link: i32) -> Option<Ifindex> {
    Ifindex::try_from(link).ok().filter(|ifindex| *ifindex != 0)
}

fn entry(links: &mut BTreeMap<Ifindex, LinkSettings>, link: Ifindex) -> Option<&mut LinkSettings> {
    let room = links.len() < limits::INTERFACES || links.contains_key(&link);
    room.then(|| links.entry(link).or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn each_link_has_its_own() {
        let servers: [(i32, &[u8]); 6] = [
            (0, &[9, 9, 9, 9]),
            (2, &[192, 0, 2, 53]),
            (2, &[192, 0, 2, 53]),
            (3, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53]),
            (3, &[1, 2, 3]),
            (-1, &[192, 0, 2, 54]),
        ];
        let domains =
            [(0, "all.test", false), (2, "corp.test", true), (2, "vpn.test", false), (2, ".", false)];
        let links = settings(servers, domains);
        assert_eq!(links.keys().collect::<Vec<_>>(), [&2, &3]);
        assert_eq!(links[&2].dns_servers, ["192.0.2.53".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(links[&2].search_domains, ["vpn.test"]);
        assert_eq!(links[&3].dns_servers, ["2001:db8::53".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn lists_have_an_end() {
        let servers: Vec<[u8; 4]> = (1..200).map(|last| [192, 0, 2, last]).collect();
        let names: Vec<String> = (0..200).map(|number| format!("d{number}.test")).collect();
        let links = settings(
            servers.iter().map(|address| (2, address.as_slice())),
            names.iter().map(|name| (2, &**name, false)),
        );
        assert_eq!(links[&2].dns_servers.len(), limits::SERVERS_PER_PVD);
        assert_eq!(links[&2].search_domains.len(), limits::DOMAINS_PER_PVD);
    }
}
