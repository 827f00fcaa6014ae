#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;
use serde_json::json;

const WALL_CLOCK: i64 = 1_795_348_800;

fn at(seconds: u64) -> BootTime {
    BootTime::from_micros(seconds * 1_000_000)
}

fn key(id: &str) -> PvdKey {
    PvdKey::Explicit(id.into())
}

fn about(id: &str) -> Topic {
    Topic { pvd: key(id), kind: FetchKind::AdditionalInformation }
}

/// A link whose provisioning domains offer what the test says.
struct Rig {
    fetches: Fetches,
    random: Random,
    wanted: BTreeMap<Topic, Wanted>,
}

impl Rig {
    fn new() -> Self {
        Self { fetches: Fetches::default(), random: Random::new(7), wanted: BTreeMap::new() }
    }

    fn with(ids: &[&str]) -> Self {
        let mut rig = Self::new();
        ids.iter().for_each(|id| rig.offer(id, 1));
        rig
    }

    fn offer(&mut self, id: &str, sequence: u16) {
        let subject = Some(Subject::AdditionalInformation { sequence });
        self.wanted.insert(about(id), Wanted { subject, delay: 0, by_name: true, ready: true });
    }

    fn with_portal(uri: &str) -> Self {
        let mut rig = Self::new();
        let topic = Topic { pvd: PvdKey::ImplicitIpv4, kind: FetchKind::CaptivePortal };
        let subject = Some(Subject::CaptivePortal { uri: uri.to_owned() });
        rig.wanted.insert(topic, Wanted { subject, delay: 0, by_name: true, ready: true });
        rig
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Wanted)) {
        change(self.wanted.get_mut(&about(id)).unwrap());
    }

    fn update(&mut self, now: BootTime) -> Steps {
        let steps = self.fetches.update(now, &self.wanted, &mut self.random);
        assert!(steps.wake.is_none_or(|wake| wake > now), "due again at once");
        steps
    }

    /// How many requests are made at `now`.
    fn asked(&mut self, now: BootTime) -> usize {
        self.update(now).fetch.len()
    }

    /// Sleeps from `from` on until the next request, at most until `until`; the moment.
    fn next_request(&mut self, from: BootTime, until: BootTime) -> Option<BootTime> {
        let mut now = from;
        loop {
            let steps = self.update(now);
            if !steps.fetch.is_empty() {
                return Some(now);
            }
            now = steps.wake.filter(|wake| *wake <= until)?;
        }
    }

    fn answer(&mut self, now: BootTime, topic: &Topic, answer: FetchAnswer) {
        let subject = self.wanted[topic].subject.clone().unwrap();
        let fetched = Fetched { ifindex: 1, pvd: topic.pvd.clone(), subject, wall_clock: WALL_CLOCK, answer };
        assert!(self.fetches.take(now, &fetched, []));
    }

    fn fail(&mut self, now: BootTime, id: &str, failure: FetchFailure) {
        self.answer(now, &about(id), FetchAnswer::Failed(failure));
    }

    fn give(&mut self, now: BootTime, id: &str, expires: &str) {
        let text = json!({"identifier": id, "expires": expires, "prefixes": []}).to_string();
        self.answer(now, &about(id), FetchAnswer::Document { text, max_age: None });
    }

    fn portal_says(&mut self, now: BootTime, text: &str) {
        let topic = self.wanted.keys().next().unwrap().clone();
        self.answer(now, &topic, FetchAnswer::Document { text: text.to_owned(), max_age: None });
    }
}

#[test]
fn what_comes_with_its_pvd_is_asked_at_once_and_when_this_host_is_ready() {
    let mut rig = Rig::with(&["a.example"]);
    rig.change("a.example", |wanted| wanted.ready = false);
    assert_eq!(rig.update(at(1)), Steps::default());
    rig.change("a.example", |wanted| wanted.ready = true);
    assert_eq!(rig.asked(at(2)), 1);
    assert_eq!(rig.asked(at(3)), 0, "it is under way");
}

#[test]
fn a_new_sequence_number_is_asked_after_a_random_delay() {
    for delay in [0_u8, 3, 15] {
        let longest = 1_024_000_u64 << delay;
        let mut moments = Vec::new();
        for seed in 0..50 {
            let mut rig = Rig { random: Random::new(seed), ..Rig::with(&["a.example"]) };
            assert_eq!(rig.asked(at(100)), 1);
            rig.give(at(100), "a.example", "2026-12-22T12:00:00Z");
            rig.offer("a.example", 2);
            rig.change("a.example", |wanted| wanted.delay = delay);
            let began = at(200);
            let asked = rig.next_request(began, BootTime::FOREVER).unwrap();
            moments.push(asked.as_micros() - began.as_micros());
        }
        assert!(moments.iter().all(|moment| *moment <= longest), "{delay}: {moments:?}");
        let late = moments.iter().filter(|moment| **moment > longest / 2).count();
        assert!((10..40).contains(&late), "{delay}: {late} of 50 in the second half");
    }
}

#[test]
fn flag_h_that_comes_later_waits_too() {
    let mut rig = Rig::with(&["a.example"]);
    rig.change("a.example", |wanted| (wanted.subject, wanted.delay) = (None, 5));
    assert_eq!(rig.update(at(1)), Steps::default());
    rig.offer("a.example", 1);
    rig.change("a.example", |wanted| wanted.delay = 5);
    assert_eq!(rig.asked(at(2)), 0);
    let asked = rig.next_request(at(2), at(100)).unwrap();
    assert!(asked > at(2) && asked < at(2 + 33));
    rig.change("a.example", |wanted| wanted.subject = None);
    assert_eq!(rig.update(asked).cancel, [about("a.example")], "without it nobody may ask");
}

#[test]
fn ten_seconds_lie_between_two_requests_for_one_thing() {
    let mut rig = Rig::with(&["a.example"]);
    assert_eq!(rig.asked(at(0)), 1);
    rig.give(at(1), "a.example", "2026-11-22T12:00:02Z");
    let again = rig.next_request(at(1), at(60)).unwrap();
    assert_eq!(again, at(10));
    // Whoever changes its number all the time is asked no more often.
    let mut requests = 0;
    for second in 11..111 {
        rig.offer("a.example", u16::try_from(second).unwrap());
        requests += rig.asked(at(second));
    }
    assert!((9..=10).contains(&requests), "{requests} in 100 s");
}

#[test]
fn five_requests_leave_in_ten_seconds() {
    let ids: Vec<String> = (0..12).map(|number| format!("p{number}.example")).collect();
    let mut rig = Rig::with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rig.asked(at(0)), 5);
    assert_eq!(rig.asked(at(9)), 0);
    assert_eq!(rig.asked(at(10)), 5);
    assert_eq!(rig.update(at(10)).wake, Some(at(20)));
    assert_eq!(rig.asked(at(20)), 2);
}

#[test]
fn an_answer_that_is_wrong_ends_it() {
    use FetchFailure::{Http, MediaType, NotText, Redirection, Status, Tls, TooLarge};
    for failure in [Http, MediaType, NotText, Redirection, Status(404), Status(503), Tls, TooLarge] {
        let mut rig = Rig::with(&["a.example"]);
        assert_eq!(rig.asked(at(0)), 1);
        rig.fail(at(1), "a.example", failure);
        rig.offer("a.example", 2);
        assert_eq!(rig.next_request(at(1), BootTime::FOREVER), None, "{failure}");
        let reports = rig.update(at(2)).reports;
        assert_eq!(reports, [], "told once, with the update before");
    }
}

#[test]
fn a_wrong_answer_is_no_answer_of_that_pvd() {
    let mut rig = Rig::with(&["a.example"]);
    rig.asked(at(0));
    let text =
        json!({"identifier": "b.example", "expires": "2027-01-01T00:00:00Z", "prefixes": []}).to_string();
    rig.answer(at(1), &about("a.example"), FetchAnswer::Document { text, max_age: None });
    let steps = rig.update(at(1));
    let trouble = FetchTrouble::Unusable(Unusable::OtherIdentifier);
    assert_eq!(steps.reports[0].result, Err(trouble));
    assert_eq!(rig.next_request(at(1), BootTime::FOREVER), None);
}

#[test]
fn who_cannot_be_reached_is_asked_ever_less_often_and_not_for_ever() {
    let mut rig = Rig::with(&["a.example"]);
    let (mut now, mut moments) = (at(0), Vec::new());
    while let Some(asked) = rig.next_request(now, BootTime::FOREVER) {
        moments.push(asked.as_micros() / 1_000_000);
        rig.fail(asked, "a.example", FetchFailure::Unreachable);
        now = asked;
    }
    assert_eq!(moments, [0, 10, 30, 70, 150, 310, 630, 1_270, 2_550, 5_110]);
    // Neither is anybody else on this link.
    rig.offer("b.example", 1);
    assert_eq!(rig.next_request(now, BootTime::FOREVER), None);
}

#[test]
fn what_hinders_this_host_is_not_the_networks_failure() {
    let mut rig = Rig::with(&["a.example"]);
    let mut now = at(0);
    for _ in 0..30 {
        now = rig.next_request(now, BootTime::FOREVER).unwrap();
        rig.fail(now, "a.example", FetchFailure::Hindered);
    }
    let last = now;
    assert_eq!(rig.next_request(now, BootTime::FOREVER), Some(last.after(LONGEST_PAUSE)));
}

#[test]
fn it_is_asked_again_in_the_second_half_of_its_validity() {
    for seed in 0..100 {
        let mut rig = Rig { random: Random::new(seed), ..Rig::with(&["a.example"]) };
        assert_eq!(rig.asked(at(0)), 1);
        rig.give(at(0), "a.example", "2026-11-22T13:00:00Z");
        let again = rig.next_request(at(0), at(4_000)).unwrap();
        assert!(again >= at(1_800) && again < at(3_600), "{again:?}");
        // Without an answer the old one is good until its end.
        rig.fail(again, "a.example", FetchFailure::Status(500));
        rig.fetches.expire(at(3_599), |_| Some((1, true)));
        assert!(rig.fetches.information(&key("a.example")).is_some());
        rig.fetches.expire(at(3_600), |_| Some((1, true)));
        assert!(rig.fetches.information(&key("a.example")).is_none());
    }
}

#[test]
fn information_ends_with_its_number_and_its_flag() {
    for current in [None, Some((2, true)), Some((1, false))] {
        let mut rig = Rig::with(&["a.example"]);
        rig.asked(at(0));
        rig.give(at(0), "a.example", "2026-11-22T13:00:00Z");
        rig.fetches.expire(at(1), |_| Some((1, true)));
        assert!(rig.fetches.information(&key("a.example")).is_some());
        rig.fetches.expire(at(1), |_| current);
        assert!(rig.fetches.information(&key("a.example")).is_none(), "{current:?}");
    }
}

#[test]
fn an_answer_to_another_question_is_not_used() {
    let mut rig = Rig::with(&["a.example"]);
    rig.asked(at(0));
    let text =
        json!({"identifier": "a.example", "expires": "2027-01-01T00:00:00Z", "prefixes": []}).to_string();
    let answer = FetchAnswer::Document { text, max_age: None };
    let subject = Subject::AdditionalInformation { sequence: 9 };
    let late = Fetched { ifindex: 1, pvd: key("a.example"), subject, wall_clock: WALL_CLOCK, answer };
    assert!(!rig.fetches.take(at(1), &late, []));
    rig.wanted.clear();
    assert_eq!(rig.update(at(2)).cancel, [about("a.example")]);
    assert!(rig.fetches.is_empty());
}

#[test]
fn a_silent_fetcher_is_asked_again() {
    let mut rig = Rig::with(&["a.example"]);
    assert_eq!(rig.asked(at(0)), 1);
    assert_eq!(rig.next_request(at(1), at(1_000)), Some(at(60)));
}

#[test]
fn a_portal_is_asked_as_its_answers_say() {
    let mut rig = Rig::with_portal("https://portal.example/api");
    let known =
        |rig: &Rig| rig.fetches.captivity(&PvdKey::ImplicitIpv4, "https://portal.example/api").cloned();
    assert_eq!(rig.asked(at(0)), 1);
    rig.portal_says(at(1), r#"{"captive": true}"#);
    assert!(known(&rig).unwrap().captive);
    assert_eq!(rig.next_request(at(1), at(100)), Some(at(31)));
    // The last good answer stays through an error.
    let topic = rig.wanted.keys().next().unwrap().clone();
    let failures = [FetchFailure::Status(500), FetchFailure::Unreachable, FetchFailure::NotYetValid];
    for (failure, (failed, again)) in failures.into_iter().zip([(32, 42), (43, 63), (64, 104)]) {
        rig.answer(at(failed), &topic, FetchAnswer::Failed(failure));
        assert!(known(&rig).unwrap().captive, "{failure}");
        assert_eq!(rig.next_request(at(failed), at(200)), Some(at(again)), "{failure}");
    }
    rig.portal_says(at(105), r#"{"captive": false, "seconds-remaining": 600}"#);
    assert_eq!(known(&rig).unwrap().expires, Some(at(705)));
    assert_eq!(rig.next_request(at(105), at(1_000)), Some(at(705)));
    // A bad certificate is no API at all.
    rig.answer(at(706), &topic, FetchAnswer::Failed(FetchFailure::Tls));
    assert_eq!(known(&rig), None);
    assert_eq!(rig.next_request(at(706), BootTime::FOREVER), None);
}

#[test]
fn another_portal_is_another_question() {
    let mut rig = Rig::with_portal("https://portal.example/api");
    rig.asked(at(0));
    rig.portal_says(at(1), r#"{"captive": true}"#);
    let subject = Some(Subject::CaptivePortal { uri: "https://other.example/".into() });
    rig.wanted.values_mut().for_each(|wanted| wanted.subject.clone_from(&subject));
    assert_eq!(rig.next_request(at(2), at(100)), Some(at(10)));
    assert_eq!(rig.fetches.captivity(&PvdKey::ImplicitIpv4, "https://portal.example/api"), None);
    assert_eq!(rig.fetches.captivity(&PvdKey::ImplicitIpv4, "https://other.example/"), None);
}

proptest! {
    /// Whatever is offered, withdrawn and answered: the rates hold, and memory is bounded.
    #[test]
    fn the_limits_hold_for_every_history(
        steps in proptest::collection::vec((0_usize..40, 0_u16..3, 0_u8..5, 0_u64..8), 1..200),
    ) {
        let mut rig = Rig::new();
        let mut begun: Vec<(u64, PvdKey)> = Vec::new();
        let mut now = 0;
        for (id, sequence, what, pause) in steps {
            now += pause;
            let id = format!("p{id}.example");
            match what {
                0 => drop(rig.wanted.remove(&about(&id))),
                1 | 2 => rig.offer(&id, sequence),
                _ if !rig.wanted.contains_key(&about(&id)) => {}
                3 if rig.fetches.tasks.contains_key(&about(&id)) => {
                    let subject = rig.fetches.tasks[&about(&id)].subject.clone().unwrap();
                    let answer = FetchAnswer::Failed(FetchFailure::Unreachable);
                    let pvd = key(&id);
                    rig.fetches.take(at(now), &Fetched { ifindex: 1, pvd, subject, wall_clock: 0, answer }, []);
                }
                _ => rig.change(&id, |wanted| wanted.ready = !wanted.ready),
            }
            begun.extend(rig.update(at(now)).fetch.into_iter().map(|(pvd, _)| (now, pvd)));
        }
        for (index, (moment, pvd)) in begun.iter().enumerate() {
            let window = begun[index..].iter().take_while(|(later, _)| *later < moment + 10);
            prop_assert!(window.clone().count() <= 5);
            prop_assert_eq!(window.filter(|(_, other)| other == pvd).count(), 1);
        }
        prop_assert!(rig.fetches.refused.len() <= 10 && rig.fetches.begun.len() <= 5);
        prop_assert!(rig.fetches.tasks.len() <= rig.wanted.len());
    }
}
