//! Names asked of the neighbours of a link, by multicast DNS and by LLMNR: of those that behave and of those that do not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, PTR};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use mif_core::configuration::Prefix;
use mif_core::plan::{
    Answer, AnswerSource, Families, Group, LinkPlan, LinkQuestion, Lookup, Refusal, System, Systems,
    TranslatePlan, Translation, TranslationEnd, TranslationFailure, Transport, UntranslatableName,
};
use mif_core::pvd::Serial;
use mifd::translate::{Settings, Translator};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};
use support::dns::{address, name};
use support::responder::{Asked, Dialect, Log, Reply, Script, respond};
use support::{DEADLINE, ifindex, neighbour, open_descriptors, runtime, universe, wait_for};

/// The families of a provisioning domain, as the groups that it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    V4,
    V6,
    Both,
}

const OWN: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];
const THEIRS: [&str; 4] = ["192.0.2.1/24", "198.51.100.66/24", "2001:db8:1::1/64", "2001:db8:66::66/64"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A plan for `link`, whose prefixes are those of [`OWN`].
fn plan(link: &str, dialect: Dialect, by: By, host: &str) -> TranslatePlan {
    let ifindex = ifindex(link);
    let (v4, v6) = dialect.groups();
    let v4 = Group {
        address: SocketAddr::new(v4.into(), dialect.port()),
        source: Some(ip("192.0.2.10")),
        on_link: vec![Prefix::covering(ip("192.0.2.0"), 24), Prefix::covering(ip("169.254.0.0"), 16)],
    };
    let v6 = Group {
        address: SocketAddrV6::new(v6, dialect.port(), 0, ifindex).into(),
        source: None,
        on_link: vec![Prefix::covering(ip("2001:db8:1::"), 64), Prefix::covering(ip("fe80::"), 10)],
    };
    let groups = match by {
        By::V4 => vec![v4],
        By::V6 => vec![v6],
        By::Both => vec![v4, v6],
    };
    let link = LinkPlan { question: LinkQuestion::Addresses(host.to_owned()), groups };
    let nobody = UntranslatableName::NotInHosts(host.to_owned());
    let lookup = Lookup {
        name: host.to_owned(),
        families: Families::Any,
        hosts: false,
        mdns: None,
        dns: Err(Refusal::NameNotFound(nobody)),
        llmnr: None,
        nis: None,
    };
    let lookup = match dialect {
        Dialect::Mdns => Lookup { mdns: Some(link), ..lookup },
        Dialect::Llmnr => Lookup { llmnr: Some(link), ..lookup },
    };
    TranslatePlan {
        pvd: Serial(u64::from(ifindex)),
        ifindex,
        timeout_ms: 10_000,
        translation: Translation::Lookup(lookup),
    }
}

fn with_lookup(plan: TranslatePlan, change: impl FnOnce(&mut Lookup)) -> TranslatePlan {
    let Translation::Lookup(mut lookup) = plan.translation else { panic!("a literal") };
    change(&mut lookup);
    TranslatePlan { translation: Translation::Lookup(lookup), ..plan }
}

struct Outcome {
    answers: Vec<(Duration, Answer)>,
    end: Result<TranslationEnd, TranslationFailure>,
    took: Duration,
}

impl Outcome {
    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self.answers.iter().map(|(_, it)| it.address.to_string()).collect();
        addresses.sort();
        addresses
    }
}

async fn translate(plan: &TranslatePlan) -> Outcome {
    let translator = Translator::new(Settings { hosts: "/nonexistent/hosts".into(), ..Settings::default() });
    let since = Instant::now();
    let mut answers = Vec::new();
    let translation = translator.translate(plan, |answer| answers.push((since.elapsed(), answer)));
    let end = tokio::time::timeout(DEADLINE, translation).await.expect("the translation ends");
    Outcome { answers, end, took: since.elapsed() }
}

/// One link with one neighbour that speaks `dialect`.
fn one_link(dialect: Dialect, script: Script) -> Log {
    let log = Log::default();
    let theirs = log.clone();
    neighbour("e1", &OWN, &THEIRS, move || respond(dialect, script, &theirs));
    log
}

const BOTH: [&str; 2] = ["2001:db8:ffff::1", "203.0.113.1"];

fn unknown(name: &str, system: System) -> Result<TranslationEnd, TranslationFailure> {
    Err(TranslationFailure::Unknown(name.to_owned(), Systems::NONE.with(system)))
}

/// A neighbour that answers in both ways by `script`; what it is asked.
fn neighbour_on(link: &str, script: Script) -> Log {
    let log = Log::default();
    let theirs = log.clone();
    neighbour(link, &OWN, &THEIRS, move || {
        respond(Dialect::Mdns, script, &theirs);
        respond(Dialect::Llmnr, script, &theirs);
    });
    log
}

fn well_behaved(asked: &Asked, _: usize) -> Vec<Reply> {
    vec![asked.address("203.0.113.1", "2001:db8:ffff::1")]
}

#[test]
fn neighbours_answer() {
    universe("neighbours_answer", || {
        let log = neighbour_on("e1", well_behaved);
        runtime().block_on(async {
            for (dialect, source) in
                [(Dialect::Mdns, AnswerSource::Mdns), (Dialect::Llmnr, AnswerSource::Llmnr)]
            {
                for by in [By::V4, By::V6, By::Both] {
                    let outcome = translate(&plan("e1", dialect, by, "printer.local")).await;
                    assert_eq!(outcome.addresses(), BOTH, "{dialect:?} {by:?}: {:?}", outcome.end);
                    let end = outcome.end.unwrap();
                    assert_eq!(end.canonical_name.as_deref(), Some("printer.local"));
                    assert_eq!((end.truncated, end.rcode), (false, None));
                    for (_, answer) in &outcome.answers {
                        assert_eq!((answer.source, answer.ttl), (source, Some(10)));
                        assert_eq!(answer.transport, Some(Transport::Udp));
                        let server = answer.server.unwrap();
                        let link_local = matches!(server, IpAddr::V6(v6) if v6.is_unicast_link_local());
                        assert!(server == ip("192.0.2.1") || link_local, "{server}");
                        assert!(!answer.encrypted && !answer.synthesized);
                    }
                    assert!(outcome.took < Duration::from_secs(1), "{dialect:?} {by:?}: {:?}", outcome.took);
                }
            }
            // One family only.
            for dialect in [Dialect::Mdns, Dialect::Llmnr] {
                let plan = plan("e1", dialect, By::V4, "one.local");
                let plan = with_lookup(plan, |lookup| lookup.families = Families::Ipv4);
                assert_eq!(translate(&plan).await.addresses(), ["203.0.113.1"]);
            }
        });
        // One message a question, from an ephemeral port, with no flag set.
        assert_eq!(log.count("one.local"), 2);
        for asked in log.all() {
            assert!(![5353, 5355].contains(&asked.from.port()), "{asked:?}");
            assert_eq!(asked.message.queries.len(), 1);
            let flags = asked.message.metadata;
            assert!(!flags.recursion_desired && !flags.authoritative && !flags.truncation, "{flags:?}");
        }
        let ids: std::collections::BTreeSet<u16> = log.all().iter().map(|asked| asked.message.id).collect();
        assert!(ids.len() > 4, "ids are random: {ids:?}");
    });
}

#[test]
fn each_link_answers_for_itself() {
    universe("each_link_answers_for_itself", || {
        let other: Script = |asked, _| vec![asked.address("203.0.113.2", "2001:db8:ffff::2")];
        let logs = [neighbour_on("e1", well_behaved), neighbour_on("e2", other)];
        // The best route of every sort leads to the other link.
        support::ip("route add default via 192.0.2.1 dev e2");
        support::ip("route add 224.0.0.0/4 dev e2");
        runtime().block_on(async {
            for dialect in [Dialect::Mdns, Dialect::Llmnr] {
                for by in [By::V4, By::V6, By::Both] {
                    let outcome = translate(&plan("e1", dialect, by, "printer.local")).await;
                    assert_eq!(outcome.addresses(), BOTH, "{dialect:?} {by:?}: {:?}", outcome.end);
                }
            }
            // The sentinel: the other link hears what is for it.
            let outcome = translate(&plan("e2", Dialect::Mdns, By::V4, "sentinel.local")).await;
            assert_eq!(outcome.addresses(), ["2001:db8:ffff::2", "203.0.113.2"]);
            assert_eq!(logs[1].count("printer.local"), 0, "{:?}", logs[1].all());
            assert_eq!((logs[0].count("sentinel.local"), logs[1].all().len()), (0, 2));
        });
    });
}

/// Everything that must not be believed; then, when it was asked twice, the truth.
fn liar(asked: &Asked, before: usize) -> Vec<Reply> {
    if before > 0 && asked.name.starts_with("late") {
        return well_behaved(asked, before);
    }
    let owner = asked.message.queries[0].name().clone();
    let lie = || match asked.record_type() {
        RecordType::AAAA => address(&owner, 10, "2001:db8:666::1"),
        _ => address(&owner, 10, "203.0.113.66"),
    };
    let changed = |change: fn(&mut Message)| {
        let mut message = asked.answer();
        message.add_answer(lie());
        change(&mut message);
        Reply::from(message)
    };
    let good = || asked.with([lie()]);
    let elsewhere = if asked.from.is_ipv4() { "198.51.100.66" } else { "2001:db8:66::66" };
    let stray = address(&name("elsewhere.local"), 10, "203.0.113.66");
    let mut looping = asked.answer().to_vec().unwrap();
    // One answer whose owner is a compression pointer to itself (RFC 1035 4.1.4).
    looping[7] = 1;
    let at = u16::try_from(looping.len()).unwrap();
    looping.extend((0xc000 | at).to_be_bytes());
    looping.extend([0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 203, 0, 113, 66]);
    let whole = good().bytes;
    let mut replies = vec![
        changed(|message| message.metadata.id = message.metadata.id.wrapping_add(1)),
        changed(|message| message.metadata.message_type = MessageType::Query),
        changed(|message| message.metadata.response_code = ResponseCode::NXDomain),
        changed(|message| message.queries.clear()),
        asked.elsewhere(vec![lie()]),
        asked.with([stray]),
        asked.with([Record::from_rdata(owner.clone(), 10, RData::CNAME(CNAME(name("elsewhere.local"))))]),
        Reply { port: Some(6666), ..good() },
        Reply { from: Some(elsewhere), ..good() },
        Reply::raw(looping),
        Reply::raw(whole[..whole.len() - 1].to_vec()),
        Reply::raw(whole[..11].to_vec()),
        Reply::raw(vec![0xff; 600]),
        Reply::raw(Vec::new()),
    ];
    if asked.name.ends_with(".local") {
        replies.extend([254, 64, 1].map(|hop_limit| Reply { hop_limit, ..good() }));
    } else {
        // T: whoever says so does not know yet whether the name is its own.
        replies.push(changed(|message| message.metadata.recursion_desired = true));
    }
    replies
}

#[test]
fn bad_answers_are_ignored() {
    universe("bad_answers_are_ignored", || {
        let log = neighbour_on("e1", liar);
        // So that the kernel itself has nothing against those from elsewhere.
        support::ip("route add 198.51.100.0/24 dev e1");
        support::ip("-6 route add 2001:db8:66::/64 dev e1");
        runtime().block_on(async {
            for (by, late) in [(By::V4, "late4.local"), (By::V6, "late6.local")] {
                let outcome = translate(&plan("e1", Dialect::Mdns, by, late)).await;
                assert_eq!(outcome.addresses(), BOTH, "{by:?}");
                assert!(outcome.took >= Duration::from_secs(1), "{:?}", outcome.took);
                let outcome = translate(&plan("e1", Dialect::Mdns, by, "lies.local")).await;
                assert_eq!(outcome.end, unknown("lies.local", System::Mdns));
                assert!(outcome.answers.is_empty());
                assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
                let outcome = translate(&plan("e1", Dialect::Llmnr, by, "lies")).await;
                assert!(outcome.answers.is_empty(), "{:?}", outcome.answers);
                // A well-made answer that has nothing to the point says that there is no such address.
                assert_eq!(outcome.end, Err(TranslationFailure::NoAddress("lies".into())));
            }
        });
        // Two questions, twice each; by two families.
        assert_eq!(log.count("lies.local"), 8);
    });
}

fn silent(asked: &Asked, before: usize) -> Vec<Reply> {
    if asked.name == "second" && before == 2 { well_behaved(asked, before) } else { Vec::new() }
}

#[test]
fn silence_is_bounded() {
    universe("silence_is_bounded", || {
        let log = neighbour_on("e1", silent);
        runtime().block_on(async {
            let outcome = translate(&plan("e1", Dialect::Mdns, By::V4, "nobody.local")).await;
            assert_eq!(outcome.end, unknown("nobody.local", System::Mdns));
            assert!(outcome.took >= Duration::from_secs(3) && outcome.took < Duration::from_secs(6));
            let outcome = translate(&plan("e1", Dialect::Llmnr, By::V4, "nobody")).await;
            assert_eq!(outcome.end, unknown("nobody", System::Llmnr));
            assert!(outcome.took >= Duration::from_secs(1) && outcome.took < Duration::from_secs(4));
            assert_eq!((log.count("nobody.local"), log.count("nobody")), (4, 6));
            let outcome = translate(&plan("e1", Dialect::Llmnr, By::V4, "second")).await;
            assert_eq!(outcome.addresses(), BOTH);
            assert_eq!(log.count("second"), 6);
            // A shorter time is kept.
            let hasty =
                TranslatePlan { timeout_ms: 200, ..plan("e1", Dialect::Mdns, By::V4, "nobody.local") };
            let outcome = translate(&hasty).await;
            assert_eq!(outcome.end, Err(TranslationFailure::TimedOut("nobody.local".into())));
            assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
        });
    });
}

fn generous(asked: &Asked, _: usize) -> Vec<Reply> {
    let owner = asked.message.queries[0].name().clone();
    match (asked.name.as_str(), asked.record_type()) {
        ("many.local", RecordType::A) => {
            vec![asked.with((0..200).map(|n| address(&owner, 10, &format!("203.0.113.{n}"))))]
        }
        // The other family comes along, and somebody else's address (RFC 6762 6.2).
        ("along.local", RecordType::A) => {
            let mut answer = asked.answer();
            answer.add_answer(address(&owner, 10, "203.0.113.1"));
            answer.add_additional(address(&owner, 9, "2001:db8:ffff::1"));
            answer.add_additional(address(&name("elsewhere.local"), 9, "203.0.113.66"));
            vec![Reply::from(answer)]
        }
        ("alias.local", RecordType::A) => {
            let real = name("real.local");
            let alias = Record::from_rdata(owner, 5, RData::CNAME(CNAME(real.clone())));
            vec![asked.with([alias, address(&real, 10, "203.0.113.1")])]
        }
        ("loop.local", RecordType::A) => {
            let alias = Record::from_rdata(owner.clone(), 5, RData::CNAME(CNAME(owner.clone())));
            vec![asked.with([alias, address(&owner, 10, "203.0.113.1")])]
        }
        ("b\u{fc}cher.local", RecordType::A) => vec![asked.with([address(&owner, 10, "203.0.113.1")])],
        ("7.1.254.169.in-addr.arpa", RecordType::PTR) => {
            let mut owner_name =
                hickory_resolver::proto::rr::Name::from_labels(["b\u{fc}ro\n".as_bytes(), b"local"]).unwrap();
            owner_name.set_fqdn(true);
            vec![asked.with([Record::from_rdata(owner, 10, RData::PTR(PTR(owner_name)))])]
        }
        ("flood.local", _) => vec![asked.elsewhere(Vec::new()); 2_000],
        _ => Vec::new(),
    }
}

#[test]
fn answers_are_read_to_the_point() {
    universe("answers_are_read_to_the_point", || {
        let log = one_link(Dialect::Mdns, generous);
        runtime().block_on(async {
            let asking = async |host: &str| translate(&plan("e1", Dialect::Mdns, By::V4, host)).await;
            let many = asking("many.local").await;
            assert_eq!(many.answers.len(), 64);
            assert!(many.end.unwrap().truncated);
            assert_eq!(asking("along.local").await.addresses(), BOTH);
            let narrow = with_lookup(plan("e1", Dialect::Mdns, By::V4, "along.local"), |lookup| {
                lookup.families = Families::Ipv4;
            });
            assert_eq!(translate(&narrow).await.addresses(), ["203.0.113.1"]);
            let alias = asking("alias.local").await;
            assert_eq!((alias.addresses(), alias.answers[0].1.ttl), (vec!["203.0.113.1".into()], Some(5)));
            assert_eq!(alias.end.unwrap().canonical_name.as_deref(), Some("real.local"));
            assert_eq!(asking("loop.local").await.addresses(), ["203.0.113.1"]);
            let umlaut = asking("b\u{fc}cher.local").await;
            assert_eq!(umlaut.end.unwrap().canonical_name.as_deref(), Some("b\u{fc}cher.local"));

            let reverse = "7.1.254.169.in-addr.arpa";
            let plan = with_lookup(plan("e1", Dialect::Mdns, By::V4, reverse), |lookup| {
                let mdns = lookup.mdns.as_mut().unwrap();
                mdns.question = LinkQuestion::Owner(ip("169.254.1.7"), reverse.into());
            });
            let outcome = translate(&plan).await;
            assert_eq!(outcome.addresses(), ["169.254.1.7"]);
            assert_eq!(outcome.end.unwrap().canonical_name.as_deref(), Some("b\u{fc}ro\\010.local"));

            let flood = asking("flood.local").await;
            assert_eq!(flood.end, unknown("flood.local", System::Mdns));
            assert!(flood.took < Duration::from_secs(8), "{:?}", flood.took);
        });
        assert_eq!(log.count("along.local"), 3);
    });
}

fn talkative(asked: &Asked, before: usize) -> Vec<Reply> {
    let owner = asked.message.queries[0].name().clone();
    let of = |number: usize| address(&owner, 30, &format!("203.0.113.{number}"));
    let marked = |change: fn(&mut Message), number| {
        let mut message = asked.answer();
        message.add_answer(of(number));
        change(&mut message);
        Reply::from(message)
    };
    if asked.record_type() != RecordType::A {
        return vec![Reply::from(asked.answer())];
    }
    match asked.name.as_str() {
        "long" if asked.tcp => vec![asked.with((0..64).map(of))],
        "long" | "cut" if !asked.tcp => vec![marked(|message| message.metadata.truncation = true, 1)],
        // Nothing more than the length, and then the end.
        "cut" => vec![Reply::raw(Vec::new())],
        "shared" if before == 0 => {
            let shared = |number| marked(|message| message.metadata.authoritative = true, number);
            vec![shared(1), Reply { from: Some("192.0.2.2"), ..shared(2) }]
        }
        "taken-twice" if before == 0 => {
            vec![marked(|_| {}, 1), Reply { from: Some("192.0.2.2"), ..marked(|_| {}, 2) }]
        }
        _ => vec![Reply::from(asked.answer())],
    }
}

#[test]
fn llmnr_has_its_own_rules() {
    universe("llmnr_has_its_own_rules", || {
        let log = Log::default();
        let their_log = log.clone();
        let theirs = ["192.0.2.1/24", "192.0.2.2/24"];
        neighbour("e1", &OWN, &theirs, move || respond(Dialect::Llmnr, talkative, &their_log));
        runtime().block_on(async {
            let asking = async |host: &str| translate(&plan("e1", Dialect::Llmnr, By::V4, host)).await;
            // Too long for UDP.
            let long = asking("long").await;
            assert_eq!(long.answers.len(), 64, "{:?}", long.end);
            assert!(long.answers.iter().all(|(_, answer)| answer.transport == Some(Transport::Tcp)));
            // When TCP fails, what came by UDP counts.
            let cut = asking("cut").await;
            assert_eq!(cut.addresses(), ["203.0.113.1"]);
            assert_eq!(cut.answers[0].1.transport, Some(Transport::Udp));
            assert_eq!(log.all().iter().filter(|asked| asked.tcp).count(), 2);
            // Somebody has the name, and no address: known at once, with one question a family.
            let empty = asking("empty").await;
            assert_eq!(empty.end, Err(TranslationFailure::NoAddress("empty".into())));
            assert!(empty.took < Duration::from_millis(900), "{:?}", empty.took);
            assert_eq!(log.count("empty"), 2);
            // Several may have it, and say so: all are heard.
            assert_eq!(asking("shared").await.addresses(), ["203.0.113.1", "203.0.113.2"]);
            assert_eq!(log.count("shared"), 2);
            // Two take it for their own: both are heard of, and told of each other once (RFC 4795 4.2).
            asking("taken-twice").await;
            let told =
                || log.all().into_iter().filter(|asked| asked.message.authoritative).collect::<Vec<_>>();
            support::wait_for("word of the conflict", || told().len() == 1);
        });
    });
}

#[test]
fn a_dropped_translation_leaves_nothing() {
    universe("a_dropped_translation_leaves_nothing", || {
        let log = neighbour_on("e1", silent);
        runtime().block_on(async {
            let translator =
                Translator::new(Settings { hosts: "/nonexistent/hosts".into(), ..Settings::default() });
            for (dialect, host) in [(Dialect::Mdns, "dropped.local"), (Dialect::Llmnr, "dropped")] {
                // The first one brings the threads and descriptors of the runtime along.
                translate(&plan("e1", Dialect::Llmnr, By::Both, "warm")).await;
                let before = open_descriptors();
                let plan = plan("e1", dialect, By::Both, host);
                let translation = translator.translate(&plan, |answer| panic!("{answer:?}"));
                let on_the_wire = async {
                    while log.count(host) < 4 {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(open_descriptors(), before + 2, "one socket a family");
                };
                tokio::select! {
                    end = translation => panic!("{end:?}"),
                    () = on_the_wire => {}
                }
                wait_for("every socket to be closed", || open_descriptors() <= before);
            }
            // The sentinel: the same questions, now to their end. Those that were dropped are not asked again.
            let asked = (log.count("dropped.local"), log.count("dropped"));
            translate(&plan("e1", Dialect::Mdns, By::Both, "sentinel.local")).await;
            assert_eq!((log.count("dropped.local"), log.count("dropped")), asked);
            assert!(asked.0 <= 4 && asked.1 <= 8, "{asked:?}");
        });
    });
}

#[test]
fn a_link_that_is_gone_is_no_link() {
    universe("a_link_that_is_gone_is_no_link", || {
        one_link(Dialect::Mdns, silent);
        runtime().block_on(async {
            let plan = plan("e1", Dialect::Mdns, By::Both, "printer.local");
            support::ip("link delete e1");
            let outcome = translate(&plan).await;
            assert_eq!(outcome.end, Err(TranslationFailure::ServerFailure("printer.local".into(), None)));
            assert!(outcome.took < Duration::from_secs(3), "{:?}", outcome.took);
        });
    });
}
