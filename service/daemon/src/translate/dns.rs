//! A name in DNS: A and AAAA side by side, candidate names one after the other.

use super::delivery::Delivery;
use super::provenance::Provenance;
use super::servers::Servers;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::Resolver;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use mif_core::configuration::AddressFamily;
use mif_core::plan::{Answer, AnswerSource, Families, TranslationEnd, TranslationFailure};
use std::net::IpAddr;
use std::time::Duration;

/// How long the second family may take once the first has given addresses. A network that drops the questions of one
/// family is common; it costs each translation this time, not all of its timeout.
const LAGGARD: Duration = Duration::from_secs(3);
/// The longest chain of aliases that is followed.
const LONGEST_CHAIN: usize = 16;

/// The names that a translation asks for.
pub(super) struct Names<'a> {
    /// As the caller gave it.
    pub(super) asked: &'a str,
    /// As they are asked for, absolute, until one has addresses.
    pub(super) candidates: &'a [String],
    pub(super) families: Families,
}

/// Why one name gave no address, in ascending order of what it tells about the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nothing {
    /// There is no such name.
    Name,
    /// The name has no such record.
    Address,
    /// No server answered.
    Silence,
    /// Servers could not or would not answer.
    Failure(Option<u16>),
}

/// Asks for the candidates in order until one has addresses. Only that a name does not exist, or has none, leads to
/// the next one: what a silent server would have said must not be guessed.
pub(super) async fn ask<Sink: FnMut(Answer)>(
    resolver: &Resolver<Servers>,
    names: &Names<'_>,
    delivery: &mut Delivery<Sink>,
) -> Result<TranslationEnd, TranslationFailure> {
    let mut known = Nothing::Name;
    for candidate in names.candidates {
        match ask_name(resolver, candidate, names.families, delivery).await {
            Ok(()) => return Ok(delivery.end()),
            Err(nothing @ (Nothing::Name | Nothing::Address)) => known = known.max(nothing),
            Err(nothing) => {
                known = nothing;
                break;
            }
        }
    }
    let name = names.asked.to_owned();
    Err(match known {
        Nothing::Name => TranslationFailure::NameNotFound(name),
        Nothing::Address => TranslationFailure::NoAddress(name),
        Nothing::Silence => TranslationFailure::TimedOut(name),
        Nothing::Failure(rcode) => TranslationFailure::ServerFailure(name, rcode),
    })
}

async fn ask_name<Sink: FnMut(Answer)>(
    resolver: &Resolver<Servers>,
    name: &str,
    families: Families,
    delivery: &mut Delivery<Sink>,
) -> Result<(), Nothing> {
    let mut name = Name::from_ascii(name).map_err(|_| Nothing::Name)?;
    name.set_fqdn(true);
    let types = [(AddressFamily::Ipv6, RecordType::AAAA), (AddressFamily::Ipv4, RecordType::A)];
    let wanted = types.into_iter().filter(|(family, _)| families.includes(*family));
    let mut lookups: FuturesUnordered<_> =
        wanted.map(|(_, record_type)| resolver.lookup(name.clone(), record_type)).collect();
    let mut found = Err(Nothing::Address);
    let mut exists = true;
    loop {
        let lookup = if found.is_ok() {
            tokio::time::timeout(LAGGARD, lookups.next()).await.unwrap_or_default()
        } else {
            lookups.next().await
        };
        match lookup {
            None if exists => return found,
            None => return found.map_err(|_| Nothing::Name),
            Some(Ok(lookup)) => {
                if deliver(&name, lookup.answers(), lookup.additionals(), delivery) {
                    found = Ok(());
                }
            }
            Some(Err(error)) => match explain(&error) {
                // That holds for every type (RFC 8020).
                Nothing::Name => exists = false,
                nothing => found = found.map_err(|known: Nothing| known.max(nothing)),
            },
        }
    }
}

fn explain(error: &NetError) -> Nothing {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
            ResponseCode::NXDomain => Nothing::Name,
            ResponseCode::NoError => Nothing::Address,
            code => Nothing::Failure(Some((*code).into())),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Nothing::Failure(Some((*code).into())),
        NetError::Timeout => Nothing::Silence,
        _ => Nothing::Failure(None),
    }
}

/// Hands out the addresses that `answers` give `name`. Whether there were any.
fn deliver<Sink: FnMut(Answer)>(
    name: &Name,
    answers: &[Record],
    additionals: &[Record],
    delivery: &mut Delivery<Sink>,
) -> bool {
    let provenance = Provenance::noted_in(additionals);
    let (canonical, mut ttl) = follow(name, answers);
    let mut any = false;
    for (address, record) in addresses(answers).filter(|(_, record)| record.name == canonical) {
        any = true;
        ttl = ttl.min(record.ttl);
        delivery.give(Answer {
            address,
            source: AnswerSource::Dns,
            ttl: Some(ttl),
            server: provenance.map(|provenance| provenance.server),
            transport: provenance.map(|provenance| provenance.transport),
            encrypted: false,
            synthesized: false,
        });
    }
    if any {
        delivery.name(text(&canonical));
    }
    any
}

/// The end of the chain of aliases that begins at `name`, and the least TTL on the way (RFC 1034 3.6.2).
fn follow(name: &Name, answers: &[Record]) -> (Name, u32) {
    let mut current = name.clone();
    let mut ttl = u32::MAX;
    for _ in 0..LONGEST_CHAIN {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == current => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, alias_ttl)) = alias else { break };
        ttl = ttl.min(alias_ttl);
        current = target.clone();
    }
    if addresses(answers).all(|(_, record)| record.name != current) {
        // hickory leaves aliases out when the rest of the chain was in its cache: all that is left is the end.
        if let Some((_, record)) = addresses(answers).next() {
            current = record.name.clone();
        }
    }
    (current, ttl)
}

fn addresses(answers: &[Record]) -> impl Iterator<Item = (IpAddr, &Record)> {
    answers.iter().filter_map(|record| Some((record.data.ip_addr()?, record)))
}

/// `name` as the contract writes names: no final dot, odd bytes as `\DDD`.
fn text(name: &Name) -> String {
    let label = |label: &[u8]| -> String {
        let character = |byte: &u8| match byte {
            b'.' | b'\\' => format!("\\{byte:03}"),
            byte if byte.is_ascii_graphic() => char::from(*byte).to_string(),
            byte => format!("\\{byte:03}"),
        };
        label.iter().map(character).collect()
    };
    name.iter().map(label).collect::<Vec<_>>().join(".")
}
