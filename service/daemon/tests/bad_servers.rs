//! DNS servers that lie, loop, break off or hold back: what they cost, and that nobody believes them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use mif_core::plan::{Families, TranslatePlan, TranslationFailure};
use mifd::translate::on_behalf_of;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use support::dns::{Log, Reply, address, alias, name, serve};
use support::translation::{Outcome, asking_for, plan, translate, translator};
use support::{neighbour, open_descriptors, runtime, universe, wait_for};

const SERVER: &str = "192.0.2.1 from 192.0.2.10";
/// What is right, and what nobody must ever be told.
const RIGHT: &str = "203.0.113.1";
const FORGED: &str = "203.0.113.66";
/// The names that are aliases of the next, without an end.
const CHAIN: &str = ".chain.example";
/// Longer than what is known at once takes, shorter than any timeout.
const SOON: Duration = Duration::from_millis(500);

/// A server on `e1`, asked for IPv4 addresses unless a test says otherwise.
fn server() -> Log {
    let log = Log::default();
    let of_server = log.clone();
    let theirs = ["192.0.2.1/24", "192.0.2.66/24"];
    neighbour("e1", &["192.0.2.10/24"], &theirs, move || serve("192.0.2.1", zone, &of_server));
    log
}

fn asking(name: &str) -> TranslatePlan {
    let plan = asking_for(Families::Ipv4, plan("e1", &[SERVER], &[name]));
    TranslatePlan { timeout_ms: 3_000, ..plan }
}

fn zone(owner: &Name, record_type: RecordType) -> Reply {
    let text = owner.to_ascii();
    let text = text.trim_end_matches('.');
    let v4 = |ttl| vec![address(owner, ttl, RIGHT)];
    if let Some(number) = text.strip_suffix(CHAIN) {
        let next = name(&format!("{}{CHAIN}", number.parse::<u32>().unwrap() + 1));
        return Reply::Records(vec![alias(owner, 300, &next)]);
    }
    match (text, record_type) {
        ("source.example", _) => Reply::Packets(from_elsewhere_first),
        ("echo.example", _) => Reply::Packets(|request, _, _| vec![request.to_vec().unwrap()]),
        ("pointer.example", _) => Reply::Packets(|request, _, _| vec![pointing(request, &[0xc0, 0xff])]),
        ("pointers.example", _) => {
            Reply::Packets(|request, _, _| vec![pointing(request, &[0xc0, 0xff, 0xc0, 0xff])])
        }
        ("count.example", _) => Reply::Packets(|request, _, _| vec![promising(request)]),
        ("short.example", _) => Reply::Packets(|request, _, _| vec![request.id.to_be_bytes().into()]),
        ("type.example", RecordType::AAAA) => {
            Reply::Records(vec![address(owner, 300, "2001:db8:ffff::1"), address(owner, 300, FORGED)])
        }
        ("extra.example", _) => Reply::Packets(|request, _, _| vec![with_extras(request)]),
        ("behind.example", _) => Reply::Records(vec![
            address(&name("elsewhere.example"), 300, FORGED),
            address(owner, 300, RIGHT),
            alias(owner, 300, &name("elsewhere2.example")),
        ]),
        ("self.example", _) => Reply::Records(vec![alias(owner, 300, owner)]),
        ("ring.example", _) => Reply::Records(vec![
            alias(owner, 300, &name("ring2.example")),
            alias(&name("ring2.example"), 300, owner),
        ]),
        ("half.example", _) => Reply::HalfOverTcp(v4(300)),
        ("mute-tcp.example", _) => {
            Reply::Packets(|request, _, tcp| if tcp { vec![] } else { vec![truncated(request)] })
        }
        ("always-tc.example", _) => Reply::Packets(|request, _, _| vec![truncated(request)]),
        ("forged-id-tcp.example", _) => Reply::Packets(|request, _, tcp| {
            let mut other = saying(request, FORGED);
            other.metadata.id = request.id.wrapping_add(1);
            if tcp {
                [other, saying(request, RIGHT)].map(|message| message.to_vec().unwrap()).into()
            } else {
                vec![truncated(request)]
            }
        }),
        ("forged-question-tcp.example", _) => Reply::Packets(|request, _, tcp| {
            let mut other = saying(request, FORGED);
            other.queries[0] = Query::query(name("other.example"), RecordType::A);
            if tcp { vec![other.to_vec().unwrap()] } else { vec![truncated(request)] }
        }),
        ("oldest.example", RecordType::A) => Reply::Records(v4(i32::MAX.unsigned_abs())),
        ("negative.example", RecordType::A) => Reply::Records(v4(u32::MAX)),
        ("no-soa.example", _) => Reply::Packets(|request, _, _| vec![response(request).to_vec().unwrap()]),
        ("broken.example", _) => Reply::Code(ResponseCode::ServFail),
        ("never6.example", RecordType::AAAA) => Reply::Silence,
        ("www.example" | "elsewhere.example" | "never6.example", RecordType::A) => Reply::Records(v4(300)),
        (silent, _) if silent.ends_with("silent.example") => Reply::Silence,
        _ => Reply::Code(ResponseCode::NXDomain),
    }
}

fn response(request: &Message) -> Message {
    let mut response = Message::response(request.id, request.op_code);
    response.add_query(request.queries[0].clone());
    response
}

fn saying(request: &Message, text: &str) -> Message {
    let mut message = response(request);
    message.add_answer(address(request.queries[0].name(), 300, text));
    message
}

fn truncated(request: &Message) -> Vec<u8> {
    let mut message = response(request);
    message.metadata.truncation = true;
    message.to_vec().unwrap()
}

/// Forgeries from another address and from another port, then the right answer.
fn from_elsewhere_first(request: &Message, from: SocketAddr, _: bool) -> Vec<Vec<u8>> {
    for at in ["192.0.2.66:53", "192.0.2.1:5353"] {
        // Both questions of a name may come at once.
        let Ok(socket) = UdpSocket::bind(at) else { continue };
        socket.send_to(&saying(request, FORGED).to_vec().unwrap(), from).unwrap();
    }
    vec![saying(request, RIGHT).to_vec().unwrap()]
}

/// One answer whose owner is made of pointers: 0xff in them becomes their own place, for two the other's.
fn pointing(request: &Message, owner: &[u8]) -> Vec<u8> {
    let mut packet = response(request).to_vec().unwrap();
    packet[7] = 1;
    let at = u8::try_from(packet.len()).unwrap();
    let last = at + u8::try_from(owner.len()).unwrap() - 2;
    let places = [last, at];
    let mut places = places.iter();
    packet.extend(owner.iter().map(|byte| if *byte == 0xff { *places.next().unwrap() } else { *byte }));
    packet.extend([0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 203, 0, 113, 66]);
    packet
}

/// 65,535 answers by its header, and none.
fn promising(request: &Message) -> Vec<u8> {
    let mut packet = response(request).to_vec().unwrap();
    packet[6..8].copy_from_slice(&[0xff, 0xff]);
    packet
}

/// The right answer among lies about another name, in every section.
fn with_extras(request: &Message) -> Vec<u8> {
    let lie = || address(&name("www.example"), 300, FORGED);
    let mut message = response(request);
    message.add_answers([lie(), address(request.queries[0].name(), 300, RIGHT), lie()]);
    message.add_authorities([lie()]);
    message.add_additionals([lie()]);
    message.to_vec().unwrap()
}

fn is_unanswered(outcome: &Outcome) -> bool {
    matches!(outcome.end, Err(TranslationFailure::ServerFailure(..) | TranslationFailure::NoAddress(_)))
}

#[test]
fn only_the_answer_to_the_question_is_believed() {
    universe("only_the_answer_to_the_question_is_believed", || {
        let log = server();
        runtime().block_on(async {
            let translator = translator();
            for believed in ["source.example", "extra.example", "forged-id-tcp.example"] {
                let outcome = translate(&translator, &asking(believed)).await;
                assert_eq!(outcome.addresses(), [RIGHT], "{believed}: {:?}", outcome.end);
                assert!(outcome.took < SOON, "{believed}: {:?}", outcome.took);
            }
            let other = translate(&translator, &asking("forged-question-tcp.example")).await;
            assert!(other.answers.is_empty() && is_unanswered(&other), "{:?}", other.end);
            // A name with an alias has nothing else: only what the alias leads to counts, and that is nothing.
            let behind = translate(&translator, &asking("behind.example")).await;
            assert_eq!(behind.end, Err(TranslationFailure::NameNotFound("behind.example".into())));
            // Of the family that was asked for, and nothing else with it.
            let ipv6 = asking_for(Families::Ipv6, asking("type.example"));
            let outcome = translate(&translator, &ipv6).await;
            assert_eq!(outcome.addresses(), ["2001:db8:ffff::1"]);
            // What was said besides is not remembered either.
            for lied_about in ["www.example", "elsewhere.example"] {
                assert_eq!(translate(&translator, &asking(lied_about)).await.addresses(), [RIGHT]);
                assert_eq!(log.count(lied_about), 1);
            }
        });
    });
}

#[test]
fn packets_that_are_no_answer_end_at_once_and_are_not_remembered() {
    universe("packets_that_are_no_answer_end_at_once_and_are_not_remembered", || {
        let log = server();
        runtime().block_on(async {
            let translator = translator();
            for odd in ["pointer.example", "pointers.example", "count.example", "echo.example"] {
                for times in 1..=2 {
                    let outcome = translate(&translator, &asking(odd)).await;
                    let failed = matches!(outcome.end, Err(TranslationFailure::ServerFailure(_, None)));
                    assert!(failed, "{odd}: {:?}", outcome.end);
                    assert!(outcome.took < SOON, "{odd}: {:?}", outcome.took);
                    assert_eq!(log.count(odd), times, "{odd}");
                }
            }
            // Two bytes are not even a header: as if nothing had come.
            let hasty = TranslatePlan { timeout_ms: 300, ..asking("short.example") };
            let outcome = translate(&translator, &hasty).await;
            assert!(outcome.answers.is_empty() && outcome.took < Duration::from_secs(2), "{:?}", outcome.end);
            for odd in ["no-soa.example", "broken.example"] {
                for times in 1..=2 {
                    assert!(is_unanswered(&translate(&translator, &asking(odd)).await));
                    assert_eq!(
                        log.count(odd),
                        times,
                        "{odd}: without a SOA it is not to be kept (RFC 2308 5)"
                    );
                }
            }
        });
    });
}

#[test]
fn aliases_without_an_end_end() {
    universe("aliases_without_an_end_end", || {
        let log = server();
        runtime().block_on(async {
            let translator = translator();
            for looping in ["self.example", "ring.example", "0.chain.example"] {
                let outcome = translate(&translator, &asking(looping)).await;
                assert!(
                    outcome.answers.is_empty() && is_unanswered(&outcome),
                    "{looping}: {:?}",
                    outcome.end
                );
                // What leads back is known to have no end, and the name may well have addresses.
                let is_failure = matches!(outcome.end, Err(TranslationFailure::ServerFailure(..)));
                assert!(is_failure || looping == "0.chain.example", "{looping}: {:?}", outcome.end);
                assert!(outcome.took < SOON, "{looping}: {:?}", outcome.took);
            }
            assert!((2..=16).contains(&log.all().iter().filter(|it| it.name.ends_with(CHAIN)).count()));
            assert!(log.count("self.example") + log.count("ring.example") <= 32, "{:?}", log.all());
        });
    });
}

#[test]
fn a_connection_that_dies_is_bounded_and_leaves_nothing() {
    universe("a_connection_that_dies_is_bounded_and_leaves_nothing", || {
        let log = server();
        runtime().block_on(async {
            let translator = translator();
            let before = open_descriptors();
            translate(&translator, &asking("www.example")).await;
            for dying in ["half.example", "always-tc.example"] {
                for times in 1..=2 {
                    let outcome = translate(&translator, &asking(dying)).await;
                    let failed = matches!(outcome.end, Err(TranslationFailure::ServerFailure(_, None)));
                    assert!(failed, "{dying}: {:?}", outcome.end);
                    assert!(outcome.took < SOON, "{dying}: {:?}", outcome.took);
                    let ways: Vec<bool> =
                        log.all().iter().filter(|it| it.name == dying).map(|it| it.tcp).collect();
                    // hickory asks once more.
                    assert!(ways.len() <= 4 * times, "{dying}: {ways:?}");
                    assert_eq!(ways, [false, true].repeat(ways.len() / 2), "{dying}");
                }
            }
            let hasty = TranslatePlan { timeout_ms: 400, ..asking("mute-tcp.example") };
            let outcome = translate(&translator, &hasty).await;
            assert_eq!(outcome.end, Err(TranslationFailure::TimedOut("mute-tcp.example".into())));
            assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}

#[test]
fn the_longest_time_is_a_day() {
    universe("the_longest_time_is_a_day", || {
        let log = server();
        let day = 24 * 60 * 60;
        runtime().block_on(async {
            let translator = translator();
            for _ in 0..2 {
                let outcome = translate(&translator, &asking("oldest.example")).await;
                let ttl = outcome.answers[0].1.ttl.unwrap();
                assert!((day - 60..=day).contains(&ttl), "{ttl}");
            }
            assert_eq!(log.count("oldest.example"), 1);
            // The top bit makes it nothing (RFC 2181 8).
            for times in 1..=2 {
                let outcome = translate(&translator, &asking("negative.example")).await;
                assert_eq!(
                    (outcome.addresses(), outcome.answers[0].1.ttl),
                    (vec![RIGHT.to_owned()], Some(0))
                );
                assert_eq!(log.count("negative.example"), times);
            }
        });
    });
}

#[test]
fn an_address_is_there_long_before_the_family_that_never_comes() {
    universe("an_address_is_there_long_before_the_family_that_never_comes", || {
        server();
        runtime().block_on(async {
            let both = asking_for(Families::Any, asking("never6.example"));
            let patient = TranslatePlan { timeout_ms: 60_000, ..both };
            let outcome = translate(&translator(), &patient).await;
            assert_eq!(outcome.addresses(), [RIGHT]);
            assert!(outcome.answers[0].0 < SOON, "{:?}", outcome.answers);
            assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        });
    });
}

#[test]
fn slow_names_of_one_client_do_not_hold_up_another() {
    universe("slow_names_of_one_client_do_not_hold_up_another", || {
        let log = server();
        runtime().block_on(async {
            let translator = Arc::new(translator());
            let before = open_descriptors();
            let mut slow = tokio::task::JoinSet::new();
            for n in 0..1_000 {
                let translator = Arc::clone(&translator);
                let plan = TranslatePlan { timeout_ms: 60_000, ..asking(&format!("n{n}.silent.example")) };
                let asking = async move { translate(&translator, &plan).await.end };
                slow.spawn(on_behalf_of(format!(":1.{}", n % 4).into(), asking));
            }
            // 64 that all share, and eight of each of the four.
            let most = 64 + 4 * 8;
            while open_descriptors() < before + most {
                tokio::task::yield_now().await;
            }
            // The same server, the same provisioning domain: others get through, with slow names of their own.
            let other = async {
                for n in 0..3 {
                    let (translator, plan) =
                        (Arc::clone(&translator), asking(&format!("o{n}.silent.example")));
                    slow.spawn(on_behalf_of(":1.9".into(), async move {
                        translate(&translator, &plan).await.end
                    }));
                }
                for n in 0..50 {
                    let name = format!("o{n}.www.example");
                    let outcome = translate(&translator, &asking(&name)).await;
                    assert_eq!(outcome.end, Err(TranslationFailure::NameNotFound(name)));
                    assert!(outcome.took < SOON, "{:?}", outcome.took);
                }
                let outcome = translate(&translator, &asking("www.example")).await;
                assert_eq!(outcome.addresses(), [RIGHT]);
                assert!(outcome.took < SOON, "{:?}", outcome.took);
            };
            on_behalf_of(":1.9".into(), other).await;
            // Each is sent three times at most, from a port of its own.
            assert!(open_descriptors() <= before + 3 * (most + 8));
            assert_eq!(log.count("www.example"), 1);
            slow.shutdown().await;
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}
