//! Resolvers that a network tells by name alone (RFC 9463 3.1.6): what they speak, and where they are, is asked of its DNS
//! in the clear (RFC 9462 5). Whoever answers there can only send us to a server that must prove the very same name.

use super::dns::is_absent;
use super::servers::Servers;
use futures_util::future::join;
use hickory_resolver::Resolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::rdata::SVCB;
use hickory_resolver::proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use mif_core::configuration::EncryptedDns;
use std::net::IpAddr;
use std::sync::Arc;

/// Aliases from one name to the next that are followed.
const MOST_ALIASES: usize = 4;
/// Records of one resolver that are looked at.
const MOST_RECORDS: usize = 8;
/// The URI template of DoH (RFC 9461 5).
const DOHPATH: SvcParamKey = SvcParamKey::Unknown(7);
/// Addresses of one record that are taken.
const MOST_ADDRESSES: usize = 8;

/// The resolvers of these names, as the network's DNS describes them; those that it knows nothing of are left out. All
/// of it comes from the resolver's cache while that knows it.
///
/// # Errors
/// Nobody said that there is none: whoever can drop these answers could have everything else sent in the clear.
pub(super) async fn find(
    resolver: &Resolver<Servers>,
    names: &[Arc<str>],
) -> Result<Vec<EncryptedDns>, NetError> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        for (owner, record) in records(resolver, name).await? {
            let Some(mut described) = described(name, &record) else { continue };
            // Section 2.5.2 of RFC 9460: the root stands for the owner of the record.
            let target = if record.target_name.is_root() { owner } else { record.target_name };
            described.addresses = addresses(resolver, &target).await?;
            found.push(described);
        }
        if found.len() == before {
            tracing::debug!(%name, "a resolver that the network names is not to be found");
        }
    }
    Ok(found)
}

/// The records of a resolver in ServiceMode with their owner, aliases followed (RFC 9460 2.4.2).
async fn records(resolver: &Resolver<Servers>, name: &str) -> Result<Vec<(Name, SVCB)>, NetError> {
    let Ok(mut owner) = Name::from_ascii(format!("_dns.{name}.")) else { return Ok(Vec::new()) };
    for _ in 0..=MOST_ALIASES {
        let Some(lookup) = existing(resolver.lookup(owner.clone(), RecordType::SVCB).await)? else { break };
        let records = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::SVCB(service) => Some((record.name.clone(), service.clone())),
            _ => None,
        });
        let records: Vec<(Name, SVCB)> = records.take(MOST_RECORDS).collect();
        match records.iter().find(|(_, service)| service.svc_priority == 0) {
            None => return Ok(records),
            // There is no such service.
            Some((_, alias)) if alias.target_name.is_root() => break,
            Some((_, alias)) => owner = alias.target_name.clone(),
        }
    }
    Ok(Vec::new())
}

/// What was found; `None` where there is nothing.
fn existing(lookup: Result<Lookup, NetError>) -> Result<Option<Lookup>, NetError> {
    match lookup {
        Err(error) if is_absent(&error) => Ok(None),
        lookup => lookup.map(Some),
    }
}

/// What a record in ServiceMode says of the resolver `name`, still without addresses. `None`: it cannot be used without
/// understanding more than is understood here (RFC 9460 8).
fn described(name: &str, record: &SVCB) -> Option<EncryptedDns> {
    let mut resolver =
        EncryptedDns { priority: record.svc_priority, name: name.to_owned(), ..EncryptedDns::default() };
    for (key, value) in &record.svc_params {
        match value {
            SvcParamValue::Mandatory(keys) if !keys.0.iter().all(|key| is_understood(*key)) => return None,
            SvcParamValue::Alpn(protocols) => resolver.alpn.clone_from(&protocols.0),
            SvcParamValue::Port(port) => resolver.port = Some(*port),
            // What is no path of a URI is found out when it is to be used.
            SvcParamValue::Unknown(path) if *key == DOHPATH => {
                resolver.path = Some(String::from_utf8_lossy(&path.0).into_owned());
            }
            _ => {}
        }
    }
    Some(resolver)
}

/// Hints are not needed: addresses are asked for.
fn is_understood(key: SvcParamKey) -> bool {
    matches!(
        key,
        SvcParamKey::Alpn | SvcParamKey::Port | SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint | DOHPATH
    )
}

async fn addresses(resolver: &Resolver<Servers>, target: &Name) -> Result<Vec<IpAddr>, NetError> {
    let of = |family| resolver.lookup(target.clone(), family);
    let (v6, v4) = join(of(RecordType::AAAA), of(RecordType::A)).await;
    let mut addresses = Vec::new();
    for lookup in [existing(v6)?, existing(v4)?].into_iter().flatten() {
        let found = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
        addresses.extend(found.take(MOST_ADDRESSES));
    }
    Ok(addresses)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::svcb::{Alpn, Mandatory, Unknown};

    fn record(priority: u16, parameters: Vec<(SvcParamKey, SvcParamValue)>) -> SVCB {
        SVCB::new(priority, Name::from_ascii("ns.isp.example.").unwrap(), parameters)
    }

    #[test]
    fn a_record_is_read_as_the_network_would_have_announced_it() {
        let alpn = || (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["dot".to_owned(), "h2".to_owned()])));
        let port = (SvcParamKey::Port, SvcParamValue::Port(8853));
        let path = (SvcParamKey::Unknown(7), SvcParamValue::Unknown(Unknown(b"/dns{?dns}".to_vec())));
        let expected = EncryptedDns {
            priority: 3,
            name: "dns.isp.example".to_owned(),
            addresses: Vec::new(),
            alpn: vec!["dot".to_owned(), "h2".to_owned()],
            port: Some(8853),
            path: Some("/dns{?dns}".to_owned()),
        };
        let good = record(3, vec![alpn(), port, path]);
        assert_eq!(described("dns.isp.example", &good), Some(expected));
        // What must be understood and is not.
        let unknown = SvcParamKey::Unknown(9);
        let mandatory = |key| (SvcParamKey::Mandatory, SvcParamValue::Mandatory(Mandatory(vec![key])));
        let value = (unknown, SvcParamValue::Unknown(Unknown(vec![1])));
        assert_eq!(described("dns.isp.example", &record(1, vec![mandatory(unknown), alpn(), value])), None);
        assert!(
            described("dns.isp.example", &record(1, vec![mandatory(SvcParamKey::Alpn), alpn()])).is_some()
        );
    }
}
