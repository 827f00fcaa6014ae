//! A name in DNS: A and AAAA side by side, candidate names one after the other.

use super::delivery::Delivery;
use super::provenance::Provenance;
use super::servers::Servers;
use super::synthesis;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::Resolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use mif_core::configuration::AddressFamily;
use mif_core::plan::{Answer, AnswerSource, Families, Nat64, TranslationEnd, TranslationFailure};
use std::net::{IpAddr, Ipv4Addr};
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
    pub(super) nat64: Option<&'a Nat64>,
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
        match ask_name(resolver, candidate, names, delivery).await {
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

/// Asks for both families side by side. Where IPv4 is behind a NAT64, a name without IPv6 addresses gets some.
async fn ask_name<Sink: FnMut(Answer)>(
    resolver: &Resolver<Servers>,
    name: &str,
    names: &Names<'_>,
    delivery: &mut Delivery<Sink>,
) -> Result<(), Nothing> {
    let mut name = Name::from_ascii(name).map_err(|_| Nothing::Name)?;
    name.set_fqdn(true);
    let types = [(AddressFamily::Ipv6, RecordType::AAAA), (AddressFamily::Ipv4, RecordType::A)];
    let wanted = types.into_iter().filter(|(family, _)| names.families.includes(*family));
    let mut lookups: FuturesUnordered<_> =
        wanted.map(|(_, record_type)| resolver.lookup(name.clone(), record_type)).collect();
    let mut found = Found::default();
    loop {
        let lookup = if found.any.is_ok() {
            tokio::time::timeout(LAGGARD, lookups.next()).await.unwrap_or_default()
        } else {
            lookups.next().await
        };
        let Some(lookup) = lookup else { break };
        found.note(&name, lookup, delivery);
    }
    if let Some(nat64) = names.nat64.filter(|_| found.exists && !found.ipv6) {
        let ipv4 = match names.families {
            Families::Ipv6 => ipv4_addresses(resolver, &name).await,
            Families::Any | Families::Ipv4 => found.ipv4,
        };
        if synthesis::give(resolver, nat64, &ipv4, found.negative_ttl, delivery).await {
            delivery.name(ipv4.first().map_or_else(|| text(&name), |of| of.canonical.clone()));
            return Ok(());
        }
    }
    if found.exists { found.any } else { found.any.map_err(|_| Nothing::Name) }
}

/// What the lookups of one name gave.
struct Found {
    any: Result<(), Nothing>,
    exists: bool,
    ipv6: bool,
    ipv4: Vec<Ipv4Answer>,
    /// How long it holds that there is no IPv6 address, in seconds.
    negative_ttl: Option<u32>,
}

impl Default for Found {
    fn default() -> Self {
        Self { any: Err(Nothing::Address), exists: true, ipv6: false, ipv4: Vec::new(), negative_ttl: None }
    }
}

/// An IPv4 address that IPv6 ones can be made of.
pub(super) struct Ipv4Answer {
    pub(super) address: Ipv4Addr,
    pub(super) answer: Answer,
    canonical: String,
}

impl Found {
    /// Takes a result in, and hands its addresses out.
    fn note<Sink: FnMut(Answer)>(
        &mut self,
        name: &Name,
        lookup: Result<Lookup, NetError>,
        delivery: &mut Delivery<Sink>,
    ) {
        match lookup {
            Ok(lookup) => {
                let (canonical, answers) = answers(name, &lookup);
                for answer in answers {
                    self.any = Ok(());
                    delivery.name(canonical.clone());
                    delivery.give(answer);
                    match answer.address {
                        IpAddr::V6(_) => self.ipv6 = true,
                        IpAddr::V4(address) => {
                            self.ipv4.push(Ipv4Answer { address, answer, canonical: canonical.clone() });
                        }
                    }
                }
            }
            Err(error) => match explain(&error) {
                // That holds for every type (RFC 8020).
                Nothing::Name => self.exists = false,
                nothing => {
                    self.negative_ttl = negative_ttl(&error).or(self.negative_ttl);
                    self.any = self.any.map_err(|known| known.max(nothing));
                }
            },
        }
    }
}

async fn ipv4_addresses(resolver: &Resolver<Servers>, name: &Name) -> Vec<Ipv4Answer> {
    let Ok(lookup) = resolver.lookup(name.clone(), RecordType::A).await else { return Vec::new() };
    let (canonical, answers) = answers(name, &lookup);
    let of_ipv4 = |answer: Answer| match answer.address {
        IpAddr::V4(address) => Some(Ipv4Answer { address, answer, canonical: canonical.clone() }),
        IpAddr::V6(_) => None,
    };
    answers.into_iter().filter_map(of_ipv4).collect()
}

fn negative_ttl(error: &NetError) -> Option<u32> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { negative_ttl, .. })) => *negative_ttl,
        _ => None,
    }
}

/// Whether a server said that there is no such name, or none with such a record.
pub(super) fn is_absent(error: &NetError) -> bool {
    matches!(explain(error), Nothing::Name | Nothing::Address)
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

/// The addresses that `lookup` gives `name`, and whose they are.
fn answers(name: &Name, lookup: &Lookup) -> (String, Vec<Answer>) {
    let provenance = Provenance::noted_in(lookup.additionals());
    let (canonical, ttl) = follow(name, lookup.answers());
    let of_the_name = addresses(lookup.answers()).filter(|(_, record)| record.name == canonical);
    let answer = |(address, record): (IpAddr, &Record)| Answer {
        address,
        source: AnswerSource::Dns,
        ttl: Some(ttl.min(record.ttl)),
        server: provenance.map(|provenance| provenance.server),
        transport: provenance.map(|provenance| provenance.transport),
        encrypted: provenance.is_some_and(|provenance| provenance.encrypted),
        synthesized: false,
    };
    let answers = of_the_name.map(answer).collect();
    (text(&canonical), answers)
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

/// The addresses among `answers`. IPv4 addresses in the clothes of IPv6 lead nowhere (RFC 6147 5.1.4).
fn addresses(answers: &[Record]) -> impl Iterator<Item = (IpAddr, &Record)> {
    let address = |record: &Record| match record.data.ip_addr()? {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        address => Some(address),
    };
    answers.iter().filter_map(move |record| Some((address(record)?, record)))
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
