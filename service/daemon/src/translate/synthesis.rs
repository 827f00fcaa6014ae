//! IPv6 addresses for names that have none, where IPv4 is behind a NAT64 (RFC 6147, done by the host: RFC 7050).

use super::delivery::Delivery;
use super::dns::Ipv4Answer;
use super::servers::Servers;
use hickory_resolver::Resolver;
use hickory_resolver::proto::rr::{Name, RecordType};
use mif_core::configuration::Prefix;
use mif_core::nat64::{IPV4_ONLY_NAME, prefixes_of, synthesize};
use mif_core::plan::{Answer, Nat64};
use std::net::IpAddr;

/// How long an address holds whose IPv6 namesake is absent for an unknown time, in seconds (RFC 6147 5.1.7).
const UNKNOWN_TTL: u32 = 600;

/// Hands out what `ipv4` is behind the translators of this network. Whether there was anything.
pub(super) async fn give<Sink: FnMut(Answer)>(
    resolver: &Resolver<Servers>,
    nat64: &Nat64,
    ipv4: &[Ipv4Answer],
    negative_ttl: Option<u32>,
    delivery: &mut Delivery<Sink>,
) -> bool {
    if ipv4.is_empty() {
        return false;
    }
    let longest = negative_ttl.unwrap_or(UNKNOWN_TTL);
    let mut any = false;
    for prefix in prefixes(resolver, nat64).await {
        for Ipv4Answer { address, answer, .. } in ipv4 {
            let Some(v6) = synthesize(prefix, *address) else { continue };
            let ttl = answer.ttl.map(|ttl| ttl.min(longest));
            delivery.give(Answer { address: v6.into(), ttl, synthesized: true, ..*answer });
            any = true;
        }
    }
    any
}

/// The prefixes of the translators of this network.
pub(super) async fn prefixes(resolver: &Resolver<Servers>, nat64: &Nat64) -> Vec<Prefix> {
    match nat64 {
        Nat64::Announced(prefixes) => prefixes.clone(),
        Nat64::AskDns => {
            let Ok(name) = Name::from_ascii(format!("{IPV4_ONLY_NAME}.")) else { return Vec::new() };
            // No answer and a negative one mean the same: there is no DNS64, so there is no NAT64.
            let Ok(lookup) = resolver.lookup(name, RecordType::AAAA).await else { return Vec::new() };
            let addresses = lookup.answers().iter().filter_map(|record| match record.data.ip_addr()? {
                IpAddr::V6(v6) => Some(v6),
                IpAddr::V4(_) => None,
            });
            prefixes_of(addresses)
        }
    }
}
