//! When a link's web servers are asked: delays, rates and an end to asking (RFC 8801 4.1).

use super::{FetchAnswer, FetchFailure, FetchKind, FetchReport, FetchTrouble, Fetched, Random, Subject};
use crate::BootTime;
use crate::captive_portal::Captivity;
use crate::configuration::Prefix;
use crate::pvd::PvdKey;
use crate::pvd_info::{AdditionalInformation, Expected, Unusable};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The time between two requests for one thing, and the window that requests are counted in.
const WINDOW: Duration = Duration::from_secs(10);
/// Requests in a window, on one link.
const PER_WINDOW: usize = 5;
/// After so many failures nothing more is asked on a link until it was down.
const MAX_FAILURES: u32 = 10;
/// How long a server that could not be reached is left alone at first; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// And how long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// When the one who asks has said nothing for so long, it never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2^10 ms, the unit of the PvD option's delay (RFC 8801 4.1).
const DELAY_UNIT_MS: u64 = 1 << 10;

/// One thing to know of one provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// The provisioning domain.
    pub pvd: PvdKey,
    /// What of it.
    pub kind: FetchKind,
}

/// What a provisioning domain offers to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The request; `None` while there is only the place for it (a PvD option without flag H).
    pub subject: Option<Subject>,
    /// The delay of the PvD option.
    pub delay: u8,
    /// Whether the server has a name to look up.
    pub by_name: bool,
    /// Whether this host can ask now: it has an address, a server for names, and carrier.
    pub ready: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Requests to make.
    pub fetch: Vec<(PvdKey, Subject)>,
    /// Requests under way that nobody wants any more.
    pub cancel: Vec<Topic>,
    /// What became of earlier ones.
    pub reports: Vec<FetchReport>,
    /// When to look again.
    pub wake: Option<BootTime>,
}

/// The requests of one link, from carrier to carrier ("local network attachment").
#[derive(Clone, Debug, Default)]
pub struct Fetches {
    tasks: BTreeMap<Topic, Task>,
    /// The latest requests, at most [`PER_WINDOW`].
    begun: VecDeque<(BootTime, Topic)>,
    /// Who has answered in a way that allows no other request; at most [`MAX_FAILURES`].
    refused: BTreeSet<PvdKey>,
    failures: u32,
    reports: Vec<FetchReport>,
}

#[derive(Clone, Debug)]
struct Task {
    subject: Option<Subject>,
    by_name: bool,
    state: State,
    tries: u32,
    information: Option<Arc<AdditionalInformation>>,
    captivity: Option<Captivity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked at this moment or as soon after it as may be.
    Due(BootTime),
    /// To be asked at a moment in between, still to be chosen.
    Between(BootTime, BootTime),
    /// Asked at this moment.
    UnderWay(BootTime),
    /// Not to be asked.
    Idle,
}

impl Fetches {
    /// What is to be done at `now` for what is `wanted`.
    pub fn update(&mut self, now: BootTime, wanted: &BTreeMap<Topic, Wanted>, random: &mut Random) -> Steps {
        let mut steps = Steps { reports: std::mem::take(&mut self.reports), ..Steps::default() };
        self.drop_unwanted(wanted, &mut steps);
        self.forget_old_requests(now);
        for (topic, wanted) in wanted {
            self.take_up(now, topic, wanted, random, &mut steps);
        }
        for (topic, wanted) in wanted {
            let Some(due) = self.settle(now, topic, random).filter(|_| wanted.ready) else { continue };
            if due.passed(now) {
                self.begin(now, topic, &mut steps);
            }
        }
        // After all requests of now have been counted.
        steps.wake = wanted.iter().filter_map(|(topic, wanted)| self.wake(now, topic, wanted.ready)).min();
        steps
    }

    /// Takes in what came of a request; `advertised` are the prefixes of that provisioning domain. Whether something
    /// is different now.
    pub fn take<'a>(
        &mut self,
        now: BootTime,
        fetched: &Fetched,
        advertised: impl IntoIterator<Item = &'a Prefix>,
    ) -> bool {
        let topic = Topic { pvd: fetched.pvd.clone(), kind: fetched.subject.kind() };
        let Some(task) =
            self.tasks.get_mut(&topic).filter(|task| task.subject.as_ref() == Some(&fetched.subject))
        else {
            return false;
        };
        let taken = match (&fetched.answer, topic.kind) {
            (FetchAnswer::Failed(failure), _) => Err(FetchTrouble::Failed(*failure)),
            (FetchAnswer::Document { text, .. }, FetchKind::AdditionalInformation) => {
                task.take_information(now, fetched, text, advertised).map_err(FetchTrouble::Unusable)
            }
            (FetchAnswer::Document { text, max_age }, FetchKind::CaptivePortal) => {
                task.take_captivity(now, text, *max_age).map_err(FetchTrouble::Unusable)
            }
        };
        if let Err(trouble) = &taken {
            self.fail(now, &topic, trouble);
        }
        self.reports.push(FetchReport { pvd: topic.pvd, kind: topic.kind, result: taken });
        true
    }

    /// Whether the server of this very request has a name to look up; `None` when it is not known here.
    pub fn is_by_name(&self, topic: &Topic, subject: Option<&Subject>) -> Option<bool> {
        let task = self.tasks.get(topic).filter(|task| task.subject.as_ref() == subject)?;
        Some(task.by_name)
    }

    /// The additional information of `pvd`, if there is any that may be used now.
    pub fn information(&self, pvd: &PvdKey) -> Option<&Arc<AdditionalInformation>> {
        let topic = Topic { pvd: pvd.clone(), kind: FetchKind::AdditionalInformation };
        self.tasks.get(&topic)?.information.as_ref()
    }

    /// What the API at `uri` says about `pvd`.
    pub fn captivity(&self, pvd: &PvdKey, uri: &str) -> Option<&Captivity> {
        let topic = Topic { pvd: pvd.clone(), kind: FetchKind::CaptivePortal };
        let task = self.tasks.get(&topic)?;
        let same = matches!(&task.subject, Some(Subject::CaptivePortal { uri: asked }) if asked == uri);
        task.captivity.as_ref().filter(|_| same)
    }

    /// Whether nothing was ever asked, and nothing is known.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Drops information that is not valid at `now` any more: past its end, or of another state of its PvD option,
    /// `current` (sequence number, flag H) by PvD.
    pub fn expire<'a>(&mut self, now: BootTime, current: impl Fn(&PvdKey) -> Option<(u16, bool)> + 'a) {
        for (topic, task) in &mut self.tasks {
            let Some(information) = &task.information else { continue };
            let asked = match task.subject {
                Some(Subject::AdditionalInformation { sequence }) => Some((sequence, true)),
                Some(Subject::CaptivePortal { .. }) | None => None,
            };
            if information.expires.passed(now) || asked.is_none() || current(&topic.pvd) != asked {
                task.information = None;
            }
        }
    }

    fn drop_unwanted(&mut self, wanted: &BTreeMap<Topic, Wanted>, steps: &mut Steps) {
        self.tasks.retain(|topic, task| {
            let stays = wanted.contains_key(topic);
            if !stays && matches!(task.state, State::UnderWay(_)) {
                steps.cancel.push(topic.clone());
            }
            stays
        });
    }

    fn forget_old_requests(&mut self, now: BootTime) {
        while self.begun.front().is_some_and(|(at, _)| at.after(WINDOW).passed(now)) {
            self.begun.pop_front();
        }
    }

    /// Begins to care for what is wanted: at once for what comes with its provisioning domain; later, as all hosts of
    /// the network do at that moment, for what changes or comes afterwards (RFC 8801 4.1).
    fn take_up(
        &mut self,
        now: BootTime,
        topic: &Topic,
        wanted: &Wanted,
        random: &mut Random,
        steps: &mut Steps,
    ) {
        let Some(task) = self.tasks.get_mut(topic) else {
            let state = if wanted.subject.is_some() { State::Due(now) } else { State::Idle };
            self.tasks.insert(topic.clone(), Task::new(wanted, state));
            return;
        };
        if task.subject == wanted.subject {
            return;
        }
        if matches!(task.state, State::UnderWay(_)) {
            steps.cancel.push(topic.clone());
        }
        let delay = Duration::from_millis(DELAY_UNIT_MS << wanted.delay.min(15));
        let state = match (topic.kind, task.state) {
            _ if wanted.subject.is_none() => State::Idle,
            (FetchKind::CaptivePortal, _) => State::Due(now),
            // A change while one waits does not make it wait longer: else a number that never rests kept it for ever.
            (FetchKind::AdditionalInformation, State::Due(due)) => {
                State::Due(due.min(random.between(now, now.after(delay))))
            }
            (FetchKind::AdditionalInformation, State::Between(..) | State::UnderWay(_) | State::Idle) => {
                State::Due(random.between(now, now.after(delay)))
            }
        };
        *task = Task::new(wanted, state);
    }

    /// When a task is due; makes up its mind where that was left open.
    fn settle(&mut self, now: BootTime, topic: &Topic, random: &mut Random) -> Option<BootTime> {
        let task = self.tasks.get_mut(topic)?;
        match task.state {
            State::Between(from, until) => task.state = State::Due(random.between(from, until)),
            State::UnderWay(since) if since.after(PATIENCE).passed(now) => task.state = State::Due(now),
            State::Due(_) | State::UnderWay(_) | State::Idle => {}
        }
        self.due(topic)
    }

    /// When a task may be begun at the earliest, if ever.
    fn due(&self, topic: &Topic) -> Option<BootTime> {
        let State::Due(due) = self.tasks.get(topic)?.state else { return None };
        if topic.kind == FetchKind::AdditionalInformation
            && (self.failures >= MAX_FAILURES || self.refused.contains(&topic.pvd))
        {
            return None;
        }
        let same = self.begun.iter().rev().find(|(_, begun)| begun == topic).map(|(at, _)| at.after(WINDOW));
        let crowded =
            self.begun.front().filter(|_| self.begun.len() >= PER_WINDOW).map(|(at, _)| at.after(WINDOW));
        Some([Some(due), same, crowded].into_iter().flatten().fold(due, BootTime::max))
    }

    fn begin(&mut self, now: BootTime, topic: &Topic, steps: &mut Steps) {
        if let Some(task) = self.tasks.get_mut(topic)
            && let Some(subject) = &task.subject
        {
            steps.fetch.push((topic.pvd.clone(), subject.clone()));
            task.state = State::UnderWay(now);
            self.begun.push_back((now, topic.clone()));
        }
    }

    /// When there is something to do for a task after `now`.
    fn wake(&self, now: BootTime, topic: &Topic, ready: bool) -> Option<BootTime> {
        let task = self.tasks.get(topic)?;
        let answer = match task.state {
            State::UnderWay(since) => Some(since.after(PATIENCE)),
            State::Due(_) | State::Between(..) | State::Idle => None,
        };
        let due = self.due(topic).filter(|_| ready);
        let end = task.information.as_ref().map(|information| information.expires);
        [answer, due, end].into_iter().flatten().filter(|wake| *wake > now).min()
    }

    fn fail(&mut self, now: BootTime, topic: &Topic, trouble: &FetchTrouble) {
        let Some(task) = self.tasks.get_mut(topic) else { return };
        let failure = match trouble {
            FetchTrouble::Failed(failure) => Some(*failure),
            FetchTrouble::Unusable(_) | FetchTrouble::GivenUp => None,
        };
        let again = match topic.kind {
            FetchKind::AdditionalInformation => failure.is_some_and(FetchFailure::is_transient),
            // RFC 8908 4.1: without a good certificate there is no API. Other errors may pass.
            FetchKind::CaptivePortal => failure != Some(FetchFailure::Tls),
        };
        if failure == Some(FetchFailure::Tls) && topic.kind == FetchKind::CaptivePortal {
            task.captivity = None;
        }
        task.state = if again { State::Due(now.after(pause(task.tries))) } else { State::Idle };
        task.tries = task.tries.saturating_add(1);
        if topic.kind == FetchKind::CaptivePortal && task.tries >= MAX_FAILURES {
            task.state = State::Idle;
        }
        if topic.kind == FetchKind::AdditionalInformation && failure != Some(FetchFailure::Hindered) {
            self.count(topic, again);
        }
    }

    fn count(&mut self, topic: &Topic, again: bool) {
        if !again {
            self.refused.insert(topic.pvd.clone());
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures == MAX_FAILURES {
            let given_up = Err(FetchTrouble::GivenUp);
            self.reports.push(FetchReport { pvd: topic.pvd.clone(), kind: topic.kind, result: given_up });
        }
    }
}

impl Task {
    fn new(wanted: &Wanted, state: State) -> Self {
        let (subject, by_name) = (wanted.subject.clone(), wanted.by_name);
        Self { subject, by_name, state, tries: 0, information: None, captivity: None }
    }

    fn take_information<'a>(
        &mut self,
        now: BootTime,
        fetched: &Fetched,
        text: &str,
        advertised: impl IntoIterator<Item = &'a Prefix>,
    ) -> Result<(), Unusable> {
        let PvdKey::Explicit(id) = &fetched.pvd else { return Err(Unusable::OtherIdentifier) };
        let expected = Expected { id, now, wall_clock: fetched.wall_clock };
        let information = AdditionalInformation::read(text, &expected)?;
        advertised.into_iter().try_for_each(|prefix| information.covers(prefix))?;
        // Somewhere in the second half of its validity, so that not all hosts ask at once.
        let validity = now.until(information.expires).unwrap_or(Duration::MAX);
        self.state = State::Between(now.after(validity / 2), information.expires);
        self.tries = 0;
        self.information = Some(Arc::new(information));
        Ok(())
    }

    fn take_captivity(&mut self, now: BootTime, text: &str, max_age: Option<u32>) -> Result<(), Unusable> {
        let captivity = Captivity::read(text, now).map_err(Unusable::Portal)?;
        self.state = captivity.ask_again(now, max_age).map_or(State::Idle, State::Due);
        self.tries = 0;
        self.captivity = Some(captivity);
        Ok(())
    }
}

fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
