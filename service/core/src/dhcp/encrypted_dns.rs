//! Resolvers of encrypted DNS as DHCP designates them (RFC 9463 4 and 5).

use crate::configuration::EncryptedDns;
use crate::ra::domain_names;
use crate::ra::encrypted_dns::{MAX_ADDRESSES, counted, take_ipv6_addresses, take_parameters};
use std::net::{IpAddr, Ipv4Addr};

/// A resolver as DHCPv6 designates it (option 144, RFC 9463 4.1).
pub(crate) fn from_dhcpv6(value: &[u8]) -> Option<EncryptedDns> {
    let (priority, rest) = value.split_first_chunk::<2>()?;
    let priority = u16::from_be_bytes(*priority);
    let (name, rest) = counted(rest)?;
    let mut resolver = EncryptedDns { priority, name: domain_names::whole(name)?, ..EncryptedDns::default() };
    if priority > 0 && !rest.is_empty() {
        let (addresses, parameters) = counted(rest)?;
        take_ipv6_addresses(&mut resolver, addresses)?;
        take_parameters(&mut resolver, parameters)?;
    }
    Some(resolver)
}

/// The resolvers that DHCPv4 designates (option 162, RFC 9463 5.1), best first; malformed ones are left out.
pub(crate) fn from_dhcpv4(value: &[u8]) -> Vec<EncryptedDns> {
    let mut resolvers = Vec::new();
    let mut rest = value;
    while let Some((instance, after)) = counted(rest) {
        rest = after;
        resolvers.extend(dhcpv4_instance(instance));
    }
    resolvers.sort_by_key(|resolver| resolver.priority);
    resolvers.truncate(crate::ra::MAX_ENCRYPTED_DNS);
    resolvers
}

fn dhcpv4_instance(instance: &[u8]) -> Option<EncryptedDns> {
    let ([high, low, length], rest) = instance.split_first_chunk::<3>()?;
    let priority = u16::from_be_bytes([*high, *low]);
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let mut resolver = EncryptedDns { priority, name: domain_names::whole(name)?, ..EncryptedDns::default() };
    if priority > 0
        && let Some((length, rest)) = rest.split_first()
    {
        let (addresses, parameters) = rest.split_at_checked(usize::from(*length))?;
        let (addresses, odd) = addresses.as_chunks::<4>();
        let all = addresses.iter().map(|octets| Ipv4Addr::from(*octets));
        let usable = all.filter(|address| {
            !address.is_multicast()
                && !address.is_loopback()
                && !address.is_unspecified()
                && !address.is_broadcast()
        });
        resolver.addresses = usable.map(IpAddr::V4).take(MAX_ADDRESSES).collect();
        if !odd.is_empty() || (resolver.addresses.is_empty() && !addresses.is_empty()) {
            return None;
        }
        take_parameters(&mut resolver, parameters)?;
    }
    Some(resolver)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use std::net::Ipv6Addr;

    const NAME: &[u8] = b"\x03dns\x07example\x00";

    fn counted_bytes(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn parameter(key: u16, value: &[u8]) -> Vec<u8> {
        [key.to_be_bytes().to_vec(), counted_bytes(value)].concat()
    }

    fn address() -> [u8; 16] {
        "2001:db8::53".parse::<Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn both_protocols_designate_the_same() {
        let parameters = [parameter(1, b"\x03dot"), parameter(3, &[0x20, 0xfb])].concat();
        let six = [&[0, 1][..], &counted_bytes(NAME), &counted_bytes(&address()), &parameters].concat();
        let told = from_dhcpv6(&six).unwrap();
        assert_eq!((told.priority, &*told.name, told.port), (1, "dns.example", Some(8443)));
        assert_eq!(told.addresses, ["2001:db8::53".parse::<IpAddr>().unwrap()]);
        let alone = from_dhcpv6(&[&[0, 1][..], &counted_bytes(NAME)].concat()).unwrap();
        assert_eq!((alone.addresses.len(), alone.alpn.len()), (0, 0));
        for cut in (0..six.len()).filter(|cut| ![17, 35, 43].contains(cut)) {
            assert_eq!(from_dhcpv6(&six[..cut]), None, "cut at {cut}");
        }

        let instance = |priority: u8, addresses: &[u8]| {
            let name = [&[0, priority, 13][..], NAME].concat();
            let addresses = [&[u8::try_from(addresses.len()).unwrap()][..], addresses].concat();
            counted_bytes(&[name, addresses, parameters.clone()].concat())
        };
        let four = [instance(2, &[192, 0, 2, 53]), instance(1, &[192, 0, 2, 54, 0, 0, 0, 0])].concat();
        let told = from_dhcpv4(&four);
        assert_eq!(told.iter().map(|resolver| resolver.priority).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(told[0].addresses, ["192.0.2.54".parse::<IpAddr>().unwrap()]);
        assert_eq!(told[1].alpn, ["dot"]);
        let odd = [instance(3, &[192, 0, 2]), instance(4, &[255; 4]), counted_bytes(&[0]), vec![0, 9, 1]];
        assert_eq!(from_dhcpv4(&odd.concat()), []);
        assert_eq!(from_dhcpv4(&instance(1, &[192, 0, 2, 1]).repeat(40)).len(), crate::ra::MAX_ENCRYPTED_DNS);
    }
}
