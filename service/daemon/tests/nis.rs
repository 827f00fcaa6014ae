//! Names asked of NIS servers that behave and of those that do not; and systems that step in for one another.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use mif_core::plan::{
    Answer, AnswerSource, DnsPlan, DnsProtocol, DnsServer, Families, Lookup, NisPlan, NisServer, Refusal,
    System, Systems, TranslatePlan, Translation, TranslationEnd, TranslationFailure, Transport,
    UntranslatableName,
};
use mif_core::pvd::Serial;
use mifd::translate::{Settings, Translator};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use support::dns::{self, Reply};
use support::nis::{Log, Lookup as Asked, SERVER_PORT, Script, serve, value};
use support::{DEADLINE, ifindex, neighbour, open_descriptors, runtime, universe};

const OWN: [&str; 1] = ["192.0.2.10/24"];
const THEIRS: [&str; 3] = ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn server(last: &str) -> NisServer {
    NisServer { address: format!("192.0.2.{last}:111").parse().unwrap(), source: Some(ip("192.0.2.10")) }
}

/// A plan for `link`: servers by the last number of their address.
fn plan(link: &str, servers: &[&str], host: &str) -> TranslatePlan {
    let ifindex = ifindex(link);
    let nis = NisPlan {
        name: host.to_owned(),
        domain: "nis.test".to_owned(),
        servers: servers.iter().map(|last| server(last)).collect(),
    };
    let lookup = Lookup {
        name: host.to_owned(),
        families: Families::Any,
        hosts: false,
        mdns: None,
        dns: Err(Refusal::NameNotFound(UntranslatableName::NotInHosts(host.to_owned()))),
        llmnr: None,
        nis: Some(nis),
    };
    TranslatePlan {
        pvd: Serial(u64::from(ifindex)),
        ifindex,
        timeout_ms: 10_000,
        translation: Translation::Lookup(lookup),
    }
}

/// DNS first, by the last number of the server's address.
fn with_dns(plan: TranslatePlan, last: &str) -> TranslatePlan {
    let Translation::Lookup(mut lookup) = plan.translation else { panic!("a literal") };
    let NisServer { mut address, source } = server(last);
    address.set_port(53);
    let server = DnsServer { address, source, protocol: DnsProtocol::Plain };
    lookup.dns =
        Ok(DnsPlan { servers: vec![server], names: vec![lookup.name.clone()], named: None, nat64: None });
    TranslatePlan { translation: Translation::Lookup(lookup), ..plan }
}

struct Outcome {
    answers: Vec<Answer>,
    end: Result<TranslationEnd, TranslationFailure>,
    took: Duration,
}

impl Outcome {
    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self.answers.iter().map(|it| it.address.to_string()).collect();
        addresses.sort();
        addresses
    }
}

fn translator() -> Translator {
    Translator::new(Settings { hosts: "/nonexistent/hosts".into(), ..Settings::default() })
}

async fn translate(translator: &Translator, plan: &TranslatePlan) -> Outcome {
    let since = Instant::now();
    let mut answers = Vec::new();
    let translation = translator.translate(plan, |answer| answers.push(answer));
    let end = tokio::time::timeout(DEADLINE, translation).await.expect("the translation ends");
    Outcome { answers, end, took: since.elapsed() }
}

fn unknown(name: &str) -> Result<TranslationEnd, TranslationFailure> {
    Err(TranslationFailure::Unknown(name.to_owned(), Systems::NONE.with(System::Nis)))
}

const NO_MAP: i32 = -1;
const NO_DOMAIN: i32 = -2;
const NO_KEY: i32 = -3;

fn well_behaved(asked: &Asked, _: usize) -> Vec<Vec<u8>> {
    assert_eq!(asked.domain, "nis.test");
    let known = match (asked.map.as_str(), asked.name.as_str()) {
        ("hosts.byname", "printer") => Some("203.0.113.1\tPrinter.example printer"),
        ("ipnodes.byname", "printer") => Some("2001:db8:ffff::1 printer.example"),
        ("hosts.byname", "v4.example") => Some("203.0.113.4 v4.example\n203.0.113.5 v4.example"),
        _ => None,
    };
    vec![known.map_or_else(|| value(asked.xid, NO_KEY, ""), |line| value(asked.xid, 1, line))]
}

fn only_hosts(asked: &Asked, before: usize) -> Vec<Vec<u8>> {
    if asked.map == "hosts.byname" { well_behaved(asked, before) } else { vec![value(asked.xid, NO_MAP, "")] }
}

fn other_domain(asked: &Asked, _: usize) -> Vec<Vec<u8>> {
    vec![value(asked.xid, NO_DOMAIN, "")]
}

fn silent(_: &Asked, _: usize) -> Vec<Vec<u8>> {
    Vec::new()
}

/// Everything that must not be believed; then, asked again, the truth.
fn liar(asked: &Asked, before: usize) -> Vec<Vec<u8>> {
    let lie = |xid| value(xid, 1, "203.0.113.66 printer");
    let long = |length: u32| {
        let results = [1_u32.to_be_bytes(), length.to_be_bytes()].concat();
        support::nis::reply(asked.xid, &results)
    };
    let whole = lie(asked.xid);
    let mut call = whole.clone();
    call[7] = 0;
    let mut replies = vec![
        lie(asked.xid.wrapping_add(1)),
        call,
        whole[..whole.len() - 6].to_vec(),
        vec![0xff; 5_000],
        vec![],
    ];
    replies.extend([long(8), long(1025), long(0x7fff_ffff), long(u32::MAX)]);
    replies.extend((0..24).map(|length| whole[..length].to_vec()));
    if before > 0 {
        replies.extend(well_behaved(asked, before));
    }
    replies
}

/// A link with a server at each of the addresses; `None` as port: its port mapper is silent.
fn one_link(scripts: Vec<(&'static str, Option<u16>, Script)>) -> Vec<Log> {
    let logs: Vec<Log> = scripts.iter().map(|_| Log::default()).collect();
    let theirs = logs.clone();
    neighbour("e1", &OWN, &THEIRS, move || {
        for ((last, port, script), log) in scripts.into_iter().zip(&theirs) {
            serve(&format!("192.0.2.{last}"), port, script, log);
        }
    });
    logs
}

#[test]
fn hosts_of_the_domain_are_found() {
    universe("hosts_of_the_domain_are_found", || {
        let logs =
            one_link(vec![("1", Some(SERVER_PORT), well_behaved), ("2", Some(SERVER_PORT), only_hosts)]);
        runtime().block_on(async {
            let translator = translator();
            let both = translate(&translator, &plan("e1", &["1"], "Printer")).await;
            assert_eq!(both.addresses(), ["2001:db8:ffff::1", "203.0.113.1"]);
            for answer in &both.answers {
                assert_eq!((answer.source, answer.ttl), (AnswerSource::Nis, None));
                assert_eq!((answer.server, answer.transport), (Some(ip("192.0.2.1")), Some(Transport::Udp)));
            }
            let end = both.end.unwrap();
            assert_eq!(end.canonical_name.as_deref(), Some("Printer.example"));
            assert_eq!((end.truncated, end.rcode), (false, None));
            let several = translate(&translator, &plan("e1", &["1"], "v4.example")).await;
            assert_eq!(several.addresses(), ["203.0.113.4", "203.0.113.5"]);
            let absent = translate(&translator, &plan("e1", &["1"], "absent")).await;
            assert_eq!(absent.end, unknown("absent"));
            assert!(absent.took < Duration::from_millis(450), "{:?}", absent.took);
            // Where the server is need not be asked again, until the provisioning domain is gone.
            assert_eq!(logs[0].ports(), 1);
            translator.forget(plan("e1", &["1"], "printer").pvd);
            translate(&translator, &plan("e1", &["1"], "printer")).await;
            assert_eq!(logs[0].ports(), 2);
            // A server without the second map; a family that the name has not.
            let one = translate(&translator, &plan("e1", &["2"], "printer")).await;
            assert_eq!(one.addresses(), ["203.0.113.1"]);
            let mut v6 = plan("e1", &["2"], "printer");
            let Translation::Lookup(lookup) = &mut v6.translation else { panic!() };
            lookup.families = Families::Ipv6;
            let none = translate(&translator, &v6).await;
            assert_eq!(none.end, Err(TranslationFailure::NoAddress("printer".into())));
        });
        let asked: Vec<String> = logs[0].lookups().into_iter().map(|asked| asked.map).collect();
        assert!(
            asked.iter().any(|map| map == "hosts.byname") && asked.iter().any(|map| map == "ipnodes.byname")
        );
    });
}

#[test]
fn the_next_server_steps_in() {
    universe("the_next_server_steps_in", || {
        let logs = one_link(vec![
            ("1", Some(SERVER_PORT), silent),
            ("2", Some(SERVER_PORT), other_domain),
            ("3", Some(SERVER_PORT), well_behaved),
        ]);
        // Hosts without a port mapper, and with one that knows no NIS server.
        neighbour("e2", &OWN, &THEIRS, || {
            serve("192.0.2.2", Some(0), well_behaved, &Log::default());
            serve("192.0.2.3", None, well_behaved, &Log::default());
        });
        runtime().block_on(async {
            let translator = translator();
            let after_refusal = translate(&translator, &plan("e1", &["2", "3"], "printer")).await;
            assert_eq!(after_refusal.answers[0].server, Some(ip("192.0.2.3")));
            assert!(after_refusal.took < Duration::from_millis(450), "{:?}", after_refusal.took);
            let after_silence = translate(&translator, &plan("e1", &["1", "3"], "printer")).await;
            assert_eq!(after_silence.answers[0].server, Some(ip("192.0.2.3")));
            let took = after_silence.took;
            assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&took), "{took:?}");
            // The one that was silent is asked last now: not at all.
            let asked = logs[0].lookups().len();
            let again = translate(&translator, &plan("e1", &["1", "3"], "printer")).await;
            assert!(again.took < Duration::from_millis(450), "{:?}", again.took);
            assert_eq!(logs[0].lookups().len(), asked);
            // And when there is no other: once.
            let only = translate(&translator, &plan("e1", &["1"], "printer")).await;
            assert_eq!(only.end, Err(TranslationFailure::TimedOut("printer".into())));
            assert!(only.took < Duration::from_secs(2), "{:?}", only.took);

            for (server, expected) in [
                ("1", TranslationFailure::ServerFailure("printer".into(), None)),
                ("2", TranslationFailure::ServerFailure("printer".into(), None)),
                ("3", TranslationFailure::TimedOut("printer".into())),
            ] {
                let nobody = translate(&translator, &plan("e2", &[server], "printer")).await;
                assert_eq!(nobody.end, Err(expected), "{server}");
                assert!(nobody.took < Duration::from_secs(5), "{server}: {:?}", nobody.took);
            }
        });
    });
}

#[test]
fn forged_replies_are_not_believed() {
    universe("forged_replies_are_not_believed", || {
        one_link(vec![("1", Some(SERVER_PORT), liar)]);
        runtime().block_on(async {
            let outcome = translate(&translator(), &plan("e1", &["1"], "printer")).await;
            assert_eq!(outcome.addresses(), ["2001:db8:ffff::1", "203.0.113.1"], "{:?}", outcome.end);
            assert!(outcome.took < Duration::from_secs(3), "{:?}", outcome.took);
        });
    });
}

#[test]
fn each_link_has_its_servers() {
    universe("each_link_has_its_servers", || {
        let logs = [Log::default(), Log::default()];
        for (link, log) in ["e1", "e2"].into_iter().zip(logs.clone()) {
            neighbour(link, &OWN, &THEIRS, move || serve("192.0.2.1", Some(SERVER_PORT), well_behaved, &log));
        }
        runtime().block_on(async {
            let translator = translator();
            for link in ["e1", "e2", "e1"] {
                let outcome = translate(&translator, &plan(link, &["1"], "printer")).await;
                assert_eq!(outcome.answers.len(), 2, "{:?}", outcome.end);
            }
            assert_eq!(logs.each_ref().map(|log| (log.count("printer"), log.ports())), [(4, 1), (2, 1)]);
        });
    });
}

fn dns_zone(owner: &Name, record_type: RecordType) -> Reply {
    match (owner.to_ascii().trim_end_matches('.'), record_type) {
        ("printer", _) => Reply::Silence,
        ("v4.example", RecordType::A) => Reply::Records(vec![dns::address(owner, 60, "203.0.113.99")]),
        ("v4.example", _) => Reply::Records(vec![]),
        _ => Reply::Code(ResponseCode::NXDomain),
    }
}

#[test]
fn one_system_after_the_other() {
    universe("one_system_after_the_other", || {
        let nis = Log::default();
        let (their_nis, questions) = (nis.clone(), dns::Log::default());
        neighbour("e1", &OWN, &THEIRS, move || {
            serve("192.0.2.1", Some(SERVER_PORT), well_behaved, &their_nis);
            dns::serve("192.0.2.2", dns_zone, &questions);
        });
        runtime().block_on(async {
            let translator = translator();
            // What DNS knows is asked of nobody else.
            let known = translate(&translator, &with_dns(plan("e1", &["1"], "v4.example"), "2")).await;
            assert_eq!(known.addresses(), ["203.0.113.99"]);
            assert_eq!((known.end.unwrap().rcode, nis.count("v4.example")), (Some(0), 0));
            // Nobody knows it: what DNS said is told.
            let absent = translate(&translator, &with_dns(plan("e1", &["1"], "absent.example"), "2")).await;
            assert_eq!(absent.end, Err(TranslationFailure::NameNotFound("absent.example".into())));
            assert_eq!(nis.count("absent.example"), 2);
            // A dead system leaves the next one half of the time.
            let late = TranslatePlan { timeout_ms: 2_000, ..with_dns(plan("e1", &["1"], "printer"), "2") };
            let late = translate(&translator, &late).await;
            assert_eq!(late.addresses(), ["2001:db8:ffff::1", "203.0.113.1"]);
            assert_eq!(late.end.unwrap().rcode, None);
            let took = late.took;
            assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&took), "{took:?}");
        });
    });
}

#[test]
fn a_dropped_translation_leaves_nothing() {
    universe("a_dropped_translation_leaves_nothing", || {
        let logs = one_link(vec![("1", Some(SERVER_PORT), silent), ("2", Some(SERVER_PORT), well_behaved)]);
        runtime().block_on(async {
            let translator = translator();
            translate(&translator, &plan("e1", &["2"], "printer")).await;
            let before = open_descriptors();
            let plan_of_silence = plan("e1", &["1"], "dropped");
            let translation = translator.translate(&plan_of_silence, |answer| panic!("{answer:?}"));
            let on_the_wire = async {
                while logs[0].count("dropped") < 2 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(open_descriptors(), before + 2, "one socket a map");
            };
            tokio::select! {
                end = translation => panic!("{end:?}"),
                () = on_the_wire => {}
            }
            assert_eq!(open_descriptors(), before);
            // The sentinel takes longer than the next time of asking would.
            let sentinel = translate(&translator, &plan("e1", &["1"], "sentinel")).await;
            assert!(sentinel.took > Duration::from_secs(2), "{:?}", sentinel.took);
            assert_eq!(logs[0].count("dropped"), 2);
        });
    });
}
