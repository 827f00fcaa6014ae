//! Names translated inside provisioning domains, against servers that behave and servers that do not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use mif_core::plan::{
    Answer, AnswerSource, Families, Lookup, Refusal, TranslatePlan, Translation, TranslationEnd,
    TranslationFailure, Transport, UntranslatableName,
};
use mifd::translate::{Settings, Translator};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::dns::{Log, Reply, address, alias, name, serve};
use support::translation::{asking_for, ip, plan, translate, translator};
use support::{neighbour, open_descriptors, runtime, universe, wait_for};

/// What both servers say, but for the last number of the addresses.
fn zone(owner: &Name, record_type: RecordType, last: &str) -> Reply {
    let v4 = |ttl| address(owner, ttl, &format!("203.0.113.{last}"));
    let v6 = |ttl| address(owner, ttl, &format!("2001:db8:ffff::{last}"));
    let both = |ttl| match record_type {
        RecordType::A => vec![v4(ttl)],
        RecordType::AAAA => vec![v6(ttl)],
        other => panic!("{other} was asked for"),
    };
    let text = owner.to_ascii();
    match text.trim_end_matches('.') {
        "www.example" => Reply::Records(both(300)),
        "v4.example" if record_type == RecordType::A => Reply::Records(both(300)),
        "v4.example" | "empty.example" => Reply::Records(vec![]),
        "slow6.example" if record_type == RecordType::AAAA => {
            Reply::Late(Duration::from_millis(300), Box::new(Reply::Records(both(300))))
        }
        "never6.example" if record_type == RecordType::AAAA => Reply::Silence,
        "slow6.example" | "never6.example" => Reply::Records(both(300)),
        "alias.example" => Reply::Records(
            vec![
                alias(owner, 20, &name("other.example")),
                alias(&name("other.example"), 10, &name("www.example")),
            ]
            .into_iter()
            .chain(both(300).into_iter().map(|mut record| {
                record.name = name("www.example");
                record
            }))
            .collect(),
        ),
        // The server leaves it to the client to follow.
        "half-alias.example" => Reply::Records(vec![alias(owner, 20, &name("www.example"))]),
        "loop.example" => Reply::Records(vec![alias(owner, 20, &name("loop2.example"))]),
        "loop2.example" => Reply::Records(vec![alias(owner, 20, &name("loop.example"))]),
        "many.example" if record_type == RecordType::A => {
            Reply::OverTcp((0..200).map(|n| address(owner, 60, &format!("203.0.113.{n}"))).collect())
        }
        "large.example" => Reply::OverTcp(both(300)),
        "forged.example" => Reply::AfterForgeries(both(300)),
        "short.example" => Reply::Records(both(0)),
        "stray.example" => Reply::Records(vec![address(&name("elsewhere.example"), 300, "203.0.113.66")]),
        "broken.example" => Reply::Code(ResponseCode::ServFail),
        "refused.example" => Reply::Code(ResponseCode::Refused),
        "silent.example" => Reply::Silence,
        "printer.two.example" => Reply::Records(both(300)),
        "printer.empty.example" => Reply::Records(vec![]),
        _ => Reply::Code(ResponseCode::NXDomain),
    }
}

fn zone_1(owner: &Name, record_type: RecordType) -> Reply {
    zone(owner, record_type, "1")
}

fn zone_2(owner: &Name, record_type: RecordType) -> Reply {
    zone(owner, record_type, "2")
}

fn zone_of_failure(_: &Name, _: RecordType) -> Reply {
    Reply::Code(ResponseCode::ServFail)
}

fn zone_of_silence(_: &Name, _: RecordType) -> Reply {
    Reply::Silence
}

/// One link with one server.
fn one_link() -> Log {
    let log = Log::default();
    let server_log = log.clone();
    neighbour(
        "e1",
        &["192.0.2.10/24", "2001:db8:1::10/64"],
        &["192.0.2.1/24", "2001:db8:1::1/64", "fe80::53/64"],
        move || {
            for address in ["192.0.2.1", "2001:db8:1::1", "fe80::53"] {
                serve(address, zone_1, &server_log);
            }
        },
    );
    log
}

const SERVER: &str = "192.0.2.1 from 192.0.2.10";

#[test]
fn each_lookup_leaves_by_its_own_link() {
    universe("each_lookup_leaves_by_its_own_link", || {
        // The same server address behind both, and overlapping addresses of this host.
        let logs = [Log::default(), Log::default()];
        for (n, log) in [(1, logs[0].clone()), (2, logs[1].clone())] {
            let own = format!("192.0.2.{n}0/24");
            let zone = if n == 1 { zone_1 } else { zone_2 };
            neighbour(&format!("e{n}"), &[&own], &["192.0.2.1/24"], move || serve("192.0.2.1", zone, &log));
        }
        runtime().block_on(async {
            let translator = translator();
            for _ in 0..20 {
                for n in [2, 1] {
                    let server = format!("192.0.2.1 from 192.0.2.{n}0");
                    let plan = plan(&format!("e{n}"), &[&server], &["www.example"]);
                    let outcome = translate(&translator, &plan).await;
                    assert_eq!(
                        outcome.addresses(),
                        [format!("2001:db8:ffff::{n}"), format!("203.0.113.{n}")]
                    );
                    translator.forget(plan.pvd);
                }
            }
        });
        for (n, log) in logs.iter().enumerate() {
            let own = ip(&format!("192.0.2.{}0", n + 1));
            assert_eq!(log.all().len(), 40);
            assert!(log.all().iter().all(|question| question.from.ip() == own), "{:?}", log.all());
        }
    });
}

#[test]
fn an_address_does_not_wait_for_the_other_family() {
    universe("an_address_does_not_wait_for_the_other_family", || {
        one_link();
        runtime().block_on(async {
            let translator = translator();
            let outcome = translate(&translator, &plan("e1", &[SERVER], &["slow6.example"])).await;
            let [(first, a), (second, aaaa)] = outcome.answers[..] else { panic!("two answers") };
            assert_eq!((a.address, aaaa.address), (ip("203.0.113.1"), ip("2001:db8:ffff::1")));
            assert!(second - first > Duration::from_millis(200), "{first:?}, {second:?}");
            // And when it never comes, the translation ends all the same.
            let outcome = translate(&translator, &plan("e1", &[SERVER], &["never6.example"])).await;
            assert_eq!(outcome.addresses(), ["203.0.113.1"]);
            assert!(outcome.end.is_ok());
            assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
            let hasty = TranslatePlan { timeout_ms: 500, ..plan("e1", &[SERVER], &["never6.example"]) };
            translator.forget(hasty.pvd);
            let outcome = translate(&translator, &hasty).await;
            assert_eq!(outcome.addresses(), ["203.0.113.1"]);
            assert!(outcome.end.is_ok() && outcome.took < Duration::from_secs(2));
        });
    });
}

#[test]
fn answers_say_where_they_come_from() {
    universe("answers_say_where_they_come_from", || {
        let log = one_link();
        runtime().block_on(async {
            let translator = translator();
            let www = plan("e1", &[SERVER], &["www.example"]);
            let expected = |answer: &Answer, server: &str, transport| {
                assert_eq!(answer.source, AnswerSource::Dns);
                assert_eq!(answer.server, Some(ip(server)));
                assert_eq!(answer.transport, Some(transport));
                assert!(answer.ttl.is_some_and(|ttl| ttl <= 300), "{answer:?}");
                assert!(!answer.encrypted && !answer.synthesized);
            };
            // Twice: the second time from the cache.
            for _ in 0..2 {
                let outcome = translate(&translator, &www).await;
                assert_eq!(outcome.answers.len(), 2);
                outcome.answers.iter().for_each(|(_, answer)| expected(answer, "192.0.2.1", Transport::Udp));
                let end = outcome.end.unwrap();
                assert_eq!(end.canonical_name.as_deref(), Some("www.example"));
                assert_eq!((end.truncated, end.rcode), (false, Some(0)));
                let large = translate(&translator, &plan("e1", &[SERVER], &["large.example"])).await;
                assert_eq!(large.answers.len(), 2);
                large.answers.iter().for_each(|(_, answer)| expected(answer, "192.0.2.1", Transport::Tcp));
            }
            assert_eq!(log.count("www.example"), 2, "one A and one AAAA");
            assert_eq!(log.count("large.example"), 4);

            // Another source of ours keeps the cache, other servers do not.
            let mut elsewhere = www.clone();
            let Translation::Lookup(Lookup { dns: Ok(dns), .. }) = &mut elsewhere.translation else {
                panic!()
            };
            dns.servers[0].source = None;
            translate(&translator, &elsewhere).await;
            assert_eq!(log.count("www.example"), 2);
            let v6 = plan("e1", &["2001:db8:1::1 from 2001:db8:1::10"], &["www.example"]);
            let outcome = translate(&translator, &v6).await;
            outcome.answers.iter().for_each(|(_, answer)| expected(answer, "2001:db8:1::1", Transport::Udp));
            assert_eq!(log.count("www.example"), 4);
            translator.forget(www.pvd);
            translate(&translator, &v6).await;
            assert_eq!(log.count("www.example"), 6);
            // A TTL of zero is not kept.
            for _ in 0..2 {
                let short = translate(&translator, &plan("e1", &[SERVER], &["short.example"])).await;
                assert_eq!(short.answers[0].1.ttl, Some(0));
            }
            let families: Vec<_> =
                log.all().into_iter().filter(|asked| asked.name == "short.example").collect();
            assert_eq!(families.len(), 4, "{families:?}");
        });
    });
}

/// hickory's cache counts on a clock that stands still while the machine sleeps.
#[test]
fn nothing_is_kept_while_the_machine_sleeps() {
    static SLEPT: AtomicU64 = AtomicU64::new(5_000);
    universe("nothing_is_kept_while_the_machine_sleeps", || {
        let log = one_link();
        runtime().block_on(async {
            let slept = || Duration::from_millis(SLEPT.load(Ordering::Relaxed));
            let translator = translator().with_sleep(slept);
            let www = plan("e1", &[SERVER], &["www.example"]);
            let asked = async |after| {
                SLEPT.store(after, Ordering::Relaxed);
                assert_eq!(translate(&translator, &www).await.answers.len(), 2);
                log.count("www.example")
            };
            assert_eq!(asked(5_000).await, 2);
            assert_eq!(asked(5_200).await, 2, "no time passes between two looks at clocks");
            assert_eq!(asked(65_000).await, 4);
            assert_eq!(asked(65_000).await, 4);
        });
    });
}

#[test]
fn a_link_local_server_is_asked_on_its_link() {
    universe("a_link_local_server_is_asked_on_its_link", || {
        let log = one_link();
        runtime().block_on(async {
            let translator = translator();
            for name in ["www.example", "large.example"] {
                let outcome = translate(&translator, &plan("e1", &["fe80::53"], &[name])).await;
                assert_eq!(outcome.addresses(), ["2001:db8:ffff::1", "203.0.113.1"], "{:?}", outcome.end);
                assert_eq!(outcome.answers[0].1.server, Some(ip("fe80::53")));
            }
        });
        let link_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        assert!(log.all().iter().all(|question| link_local(question.from.ip())), "{:?}", log.all());
    });
}

#[test]
fn failures_are_told_apart() {
    universe("failures_are_told_apart", || {
        one_link();
        runtime().block_on(async {
            let translator = translator();
            let failure = async |families, name: &str| {
                let plan = asking_for(families, plan("e1", &[SERVER], &[name]));
                let outcome = translate(&translator, &plan).await;
                assert!(outcome.answers.is_empty(), "{name}: {:?}", outcome.answers);
                (outcome.end.unwrap_err(), outcome.took)
            };
            let any = Families::Any;
            let (absent, _) = failure(any, "absent.example").await;
            assert_eq!(absent, TranslationFailure::NameNotFound("absent.example".into()));
            assert_eq!(absent.rcode(), Some(3));
            let (empty, _) = failure(any, "empty.example").await;
            assert_eq!(empty, TranslationFailure::NoAddress("empty.example".into()));
            let (v4, _) = failure(Families::Ipv6, "v4.example").await;
            assert_eq!(v4, TranslationFailure::NoAddress("v4.example".into()));
            let (broken, _) = failure(any, "broken.example").await;
            assert_eq!(broken, TranslationFailure::ServerFailure("broken.example".into(), Some(2)));
            let (refused, _) = failure(any, "refused.example").await;
            assert_eq!(refused, TranslationFailure::ServerFailure("refused.example".into(), Some(5)));
            let (looping, _) = failure(any, "loop.example").await;
            assert!(matches!(looping, TranslationFailure::NoAddress(_)), "{looping:?}");
            let (stray, _) = failure(any, "stray.example").await;
            assert!(matches!(stray, TranslationFailure::NoAddress(_)), "{stray:?}");

            let hasty = TranslatePlan { timeout_ms: 300, ..plan("e1", &[SERVER], &["silent.example"]) };
            let outcome = translate(&translator, &hasty).await;
            assert_eq!(outcome.end, Err(TranslationFailure::TimedOut("silent.example".into())));
            assert!(outcome.took < Duration::from_secs(2));
            // Nobody there listens: known at once.
            let closed = plan("lo", &["127.0.0.1 from 127.0.0.1"], &["www.example"]);
            let outcome = translate(&translator, &closed).await;
            assert_eq!(outcome.end, Err(TranslationFailure::ServerFailure("www.example".into(), None)));
            assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
        });
    });
}

#[test]
fn the_next_server_steps_in() {
    universe("the_next_server_steps_in", || {
        let logs = [Log::default(), Log::default()];
        let (mute, good) = (logs[0].clone(), logs[1].clone());
        let theirs = ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24"];
        neighbour("e1", &["192.0.2.10/24"], &theirs, move || {
            serve("192.0.2.1", zone_of_silence, &mute);
            serve("192.0.2.2", zone_of_failure, &Log::default());
            serve("192.0.2.3", zone_1, &good);
        });
        runtime().block_on(async {
            let asking = async |translator: &Translator, servers: &[&str], name: &str| {
                let servers: Vec<String> =
                    servers.iter().map(|last| format!("192.0.2.{last} from 192.0.2.10")).collect();
                let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
                let outcome = translate(translator, &plan("e1", &servers, &[name])).await;
                assert!(!outcome.answers.is_empty(), "{servers:?}: {:?}", outcome.end);
                assert_eq!(outcome.answers[0].1.server, Some(ip("192.0.2.3")), "{servers:?}");
                outcome.took
            };
            // One that fails, one that is not there: the next one at once.
            for first in ["2", "4"] {
                let took = asking(&translator(), &[first, "3"], "www.example").await;
                assert!(took < Duration::from_millis(250), "{first}: {took:?}");
            }
            // One that is silent: a little later, and the next time it is asked last.
            let translator = translator();
            let took = asking(&translator, &["1", "3"], "www.example").await;
            assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2), "{took:?}");
            let asked = logs[0].all().len();
            let took = asking(&translator, &["1", "3"], "large.example").await;
            assert!(took < Duration::from_millis(250), "{took:?}");
            assert_eq!(logs[0].all().len(), asked);
        });
    });
}

#[test]
fn forged_answers_are_not_believed() {
    universe("forged_answers_are_not_believed", || {
        one_link();
        runtime().block_on(async {
            let outcome = translate(&translator(), &plan("e1", &[SERVER], &["forged.example"])).await;
            assert_eq!(outcome.addresses(), ["2001:db8:ffff::1", "203.0.113.1"]);
        });
    });
}

#[test]
fn aliases_are_followed() {
    universe("aliases_are_followed", || {
        one_link();
        runtime().block_on(async {
            let translator = translator();
            for name in ["alias.example", "half-alias.example", "half-alias.example"] {
                let outcome = translate(&translator, &plan("e1", &[SERVER], &[name])).await;
                assert_eq!(outcome.addresses(), ["2001:db8:ffff::1", "203.0.113.1"], "{name}");
                assert_eq!(outcome.canonical_name(), "www.example");
                assert!(
                    outcome.answers.iter().all(|(_, answer)| answer.ttl <= Some(20)),
                    "{name}: {:?}",
                    outcome.answers
                );
                assert!(outcome.answers.iter().all(|(_, answer)| answer.server == Some(ip("192.0.2.1"))));
            }
        });
    });
}

#[test]
fn too_many_addresses_are_cut() {
    universe("too_many_addresses_are_cut", || {
        one_link();
        runtime().block_on(async {
            let outcome = translate(&translator(), &plan("e1", &[SERVER], &["many.example"])).await;
            assert_eq!(outcome.answers.len(), 64);
            assert!(outcome.end.unwrap().truncated);
        });
    });
}

#[test]
fn candidates_are_asked_for_in_order() {
    universe("candidates_are_asked_for_in_order", || {
        let log = one_link();
        runtime().block_on(async {
            let translator = translator();
            let names =
                ["printer.one.example", "printer.empty.example", "printer.two.example", "www.example"];
            let outcome = translate(&translator, &plan("e1", &[SERVER], &names)).await;
            assert_eq!(outcome.canonical_name(), "printer.two.example");
            assert_eq!(log.count("www.example"), 0);
            let outcome = translate(&translator, &plan("e1", &[SERVER], &names[..2])).await;
            assert_eq!(outcome.end, Err(TranslationFailure::NoAddress("printer.one.example".into())));
            // A server that fails does not make another name the right one.
            let outcome =
                translate(&translator, &plan("e1", &[SERVER], &["broken.example", "www.example"])).await;
            assert!(matches!(outcome.end, Err(TranslationFailure::ServerFailure(..))));
        });
    });
}

#[test]
fn a_dropped_translation_leaves_nothing() {
    universe("a_dropped_translation_leaves_nothing", || {
        let log = one_link();
        runtime().block_on(async {
            let translator = translator();
            let before = open_descriptors();
            translate(&translator, &plan("e1", &[SERVER], &["www.example"])).await;
            wait_for("every socket to be closed", || open_descriptors() <= before);
            for _ in 0..10 {
                let plan = plan("e1", &[SERVER], &["silent.example"]);
                let asked = log.count("silent.example");
                let translation = translator.translate(&plan, |answer| panic!("{answer:?}"));
                let on_the_wire = async {
                    while log.count("silent.example") < asked + 2 {
                        tokio::task::yield_now().await;
                    }
                    wait_for("one socket a question", || open_descriptors() == before + 2);
                };
                tokio::select! {
                    end = translation => panic!("{end:?}"),
                    () = on_the_wire => {}
                }
                wait_for("every socket to be closed", || open_descriptors() <= before);
            }
        });
    });
}

#[test]
fn a_dead_server_costs_a_bounded_number_of_sockets() {
    universe("a_dead_server_costs_a_bounded_number_of_sockets", || {
        one_link();
        neighbour("e2", &["198.51.100.10/24"], &["198.51.100.1/24"], || {
            serve("198.51.100.1", zone_of_silence, &Log::default());
        });
        runtime().block_on(async {
            let translator = std::sync::Arc::new(translator());
            let before = open_descriptors();
            let mut asking = tokio::task::JoinSet::new();
            for n in 0..300 {
                let name = format!("n{n}.example");
                let dead = plan("e2", &["198.51.100.1 from 198.51.100.10"], &[&name]);
                let dead = TranslatePlan { timeout_ms: 900, ..dead };
                let translator = std::sync::Arc::clone(&translator);
                asking.spawn(async move { translate(&translator, &dead).await.end });
            }
            // 64 that all share, and eight of one client.
            let questions_on_the_wire = 72;
            while open_descriptors() < before + questions_on_the_wire {
                tokio::task::yield_now().await;
            }
            // Nobody else is kept waiting.
            let good = translate(&translator, &plan("e1", &[SERVER], &["www.example"])).await;
            assert_eq!(good.answers.len(), 2);
            assert!(good.took < Duration::from_millis(500), "{:?}", good.took);
            while let Some(end) = asking.join_next().await {
                assert!(matches!(end.unwrap(), Err(TranslationFailure::TimedOut(_))));
                assert!(open_descriptors() <= before + questions_on_the_wire);
            }
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}

#[test]
fn the_host_table_goes_first() {
    universe("the_host_table_goes_first", || {
        let log = one_link();
        let path = std::env::temp_dir().join(format!("mifd-hosts-first-{}", std::process::id()));
        std::fs::write(&path, "192.0.2.77 www.example printer\n").unwrap();
        let translator = Translator::new(Settings { hosts: path.clone(), ..Settings::default() });
        let with_hosts = |families, name: &str, dns: bool| {
            let plan = asking_for(families, plan("e1", &[SERVER], &[name]));
            let Translation::Lookup(lookup) = plan.translation else { panic!("a literal") };
            let refusal = Refusal::NameNotFound(UntranslatableName::NotInHosts(name.to_owned()));
            let dns = if dns { lookup.dns } else { Err(refusal) };
            TranslatePlan { translation: Translation::Lookup(Lookup { hosts: true, dns, ..lookup }), ..plan }
        };
        runtime().block_on(async {
            let outcome = translate(&translator, &with_hosts(Families::Any, "www.example", true)).await;
            assert_eq!(outcome.answers[0].1, Answer::local(ip("192.0.2.77"), AnswerSource::Hosts));
            assert_eq!(outcome.answers.len(), 1);
            assert_eq!(outcome.canonical_name(), "www.example");
            assert!(log.all().is_empty(), "no packet for it");
            // The table has no IPv6 address of it: DNS may.
            let outcome = translate(&translator, &with_hosts(Families::Ipv6, "www.example", true)).await;
            assert_eq!(outcome.addresses(), ["2001:db8:ffff::1"]);
            let outcome = translate(&translator, &with_hosts(Families::Any, "absent", false)).await;
            assert!(matches!(outcome.end, Err(TranslationFailure::Refused(Refusal::NameNotFound(_)))));
            let outcome = translate(&translator, &with_hosts(Families::Any, "PRINTER", false)).await;
            assert_eq!(outcome.addresses(), ["192.0.2.77"]);
            let literal = TranslatePlan {
                translation: Translation::Literal(ip("2001:db8::7")),
                ..with_hosts(Families::Any, "x", false)
            };
            let outcome = translate(&translator, &literal).await;
            assert_eq!(outcome.answers[0].1, Answer::local(ip("2001:db8::7"), AnswerSource::Literal));
            assert_eq!(outcome.end, Ok(TranslationEnd::default()));
        });
        std::fs::remove_file(&path).unwrap();
    });
}
