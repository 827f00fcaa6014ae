//! What this service asks DHCP servers itself, and when: only what nobody else on the host tells, and not often.
//!
//! An IPv4 address that no client tells of, on a link with a router: DHCPINFORM (RFC 2131 3.4). A router that says that
//! there is DHCPv6, with no client that tells what it gave: Information-Request (RFC 8415 18.2.6). A link that leads
//! nowhere is not asked for IPv4: where this host itself is the network (of its containers, say), answers would come
//! from those who are to ask it.

use super::LinkFacts;
use crate::BootTime;
use crate::event::LinkKind;
use crate::fetch::Random;
use crate::lease::{Lease, LeaseClient};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long others are given to tell before the first question: as long as a router is given to answer.
const PATIENCE: Duration = super::PATIENCE;
/// How long an answer to DHCPINFORM is good for, which carries no time; that of DHCPv6 where it carries none.
const INFORMED_SECONDS: u32 = crate::dhcp::v6::REFRESH_DEFAULT;
/// The longest pause between questions that nobody answers: INF_MAX_RT (RFC 8415 7.6).
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Which questions may be asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InquiryPolicy {
    /// DHCPINFORM.
    pub dhcpv4: bool,
    /// Information-Request.
    pub dhcpv6: bool,
}

impl InquiryPolicy {
    /// Nothing is asked.
    pub const NONE: Self = Self { dhcpv4: false, dhcpv6: false };
    /// Everything may be asked.
    pub const ALL: Self = Self { dhcpv4: true, dhcpv6: true };
}

/// What the servers of a link are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// DHCPINFORM, for the host that has this address.
    Dhcpv4 {
        /// A usable address of the link.
        address: Ipv4Addr,
    },
    /// Information-Request.
    Dhcpv6,
}

/// A question to the servers of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub subject: Subject,
    /// The number of the exchange: the same while nobody answers.
    pub transaction: u32,
    /// How long ago this was asked first.
    pub elapsed: Duration,
    /// How long to listen for answers: until it is asked again.
    pub listen: Duration,
}

/// What is needed on a link now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    dhcpv4: Option<Ipv4Addr>,
    dhcpv6: bool,
}

/// Where the questions of both protocols stand on a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inquiries {
    dhcpv4: Inquiry,
    dhcpv6: Inquiry,
    /// The address that DHCPINFORM is about.
    address: Option<Ipv4Addr>,
}

/// Where the questions of one protocol stand.
#[derive(Clone, Copy, Debug)]
struct Inquiry {
    pace: Pace,
    next: Option<BootTime>,
    /// Since when nobody has answered.
    exchange: Option<Exchange>,
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    transaction: u32,
    since: BootTime,
    asked: u32,
}

/// How often is asked.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The first question comes at a random moment within so long, for all hosts may have heard of it at once.
    spread: Duration,
    first_pause: Duration,
    /// After so many questions in vain it is asked once in a long pause only.
    tries: u32,
}

/// RFC 2131 4.1 and 4.4.3: four tries, with 4, 8 and 16 seconds between them.
const DHCPV4: Pace = Pace { spread: Duration::from_secs(1), first_pause: Duration::from_secs(4), tries: 4 };
/// RFC 8415 7.6: INF_MAX_DELAY, INF_TIMEOUT; there is no end of trying.
const DHCPV6: Pace =
    Pace { spread: Duration::from_secs(1), first_pause: Duration::from_secs(1), tries: u32::MAX };

impl Default for Inquiries {
    fn default() -> Self {
        Self { dhcpv4: Inquiry::at(DHCPV4), dhcpv6: Inquiry::at(DHCPV6), address: None }
    }
}

impl Inquiries {
    fn ask(&mut self, now: BootTime, needs: Needs, random: &mut Random) -> Vec<Question> {
        if self.address != needs.dhcpv4 {
            self.dhcpv4 = Inquiry::at(DHCPV4);
            self.address = needs.dhcpv4;
        }
        let informing = needs.dhcpv4.map(|address| Subject::Dhcpv4 { address });
        let requesting = needs.dhcpv6.then_some(Subject::Dhcpv6);
        let dhcpv4 = self.dhcpv4.ask(now, informing, random);
        dhcpv4.into_iter().chain(self.dhcpv6.ask(now, requesting, random)).collect()
    }

    fn next(&self) -> Option<BootTime> {
        [self.dhcpv4.next, self.dhcpv6.next].into_iter().flatten().min()
    }
}

impl Inquiry {
    const fn at(pace: Pace) -> Self {
        Self { pace, next: None, exchange: None }
    }

    /// The question to ask now, when there is a `subject` to ask for. Counts it as asked.
    fn ask(&mut self, now: BootTime, subject: Option<Subject>, random: &mut Random) -> Option<Question> {
        let Some(subject) = subject else {
            *self = Self::at(self.pace);
            return None;
        };
        let soonest = now.after(PATIENCE);
        let next = *self.next.get_or_insert_with(|| random.between(soonest, soonest.after(self.pace.spread)));
        if !next.passed(now) {
            return None;
        }
        let new = || Exchange { transaction: random.number(), since: now, asked: 0 };
        let mut exchange = self.exchange.unwrap_or_else(new);
        let pause = self.pace.after(exchange.asked, random);
        exchange.asked = exchange.asked.saturating_add(1);
        self.exchange = Some(exchange);
        self.next = Some(now.after(pause));
        let elapsed = exchange.since.until(now).unwrap_or_default();
        Some(Question { subject, transaction: exchange.transaction, elapsed, listen: pause })
    }

    /// Whether an answer is waited for. It is good for so many seconds.
    fn answered(&mut self, now: BootTime, seconds: u32) -> bool {
        let awaited = self.exchange.take().is_some();
        if awaited {
            self.next = Some(now.after_lifetime(seconds)).filter(|next| *next != BootTime::FOREVER);
            // Never again, that is: until the link or its network is another one.
            self.next.get_or_insert(BootTime::FOREVER);
        }
        awaited
    }
}

impl Pace {
    /// The pause after the question of this number, from 0: doubled each time, and a tenth more or less.
    fn after(self, asked: u32, random: &mut Random) -> Duration {
        let doubled = self.first_pause.saturating_mul(1_u32.checked_shl(asked).unwrap_or(u32::MAX));
        let tried = asked.saturating_add(1) >= self.tries;
        let pause = if tried { LONGEST_PAUSE } else { doubled.min(LONGEST_PAUSE) };
        let tenth = pause / 10;
        let shortest = BootTime::ZERO.after(pause - tenth);
        let moment = random.between(shortest, shortest.after(tenth * 2));
        BootTime::ZERO.until(moment).unwrap_or(pause)
    }
}

impl LinkFacts {
    /// What servers of this link are to be asked now, because nobody else tells. Counts it as asked; forgets what they
    /// have told when somebody else tells, or it is of no use any more.
    pub fn ask(&mut self, now: BootTime, policy: InquiryPolicy, random: &mut Random) -> Vec<Question> {
        // A link without carrier is as it was until its grace is over; then nothing that was learnt on it holds.
        if self.up_since().is_none() {
            return Vec::new();
        }
        let needs = self.needs(policy);
        if needs.dhcpv4 != self.inquiries().address {
            self.told_mut().remove_lease(LeaseClient::Own);
        }
        if !needs.dhcpv6 {
            self.told_mut().remove_dhcpv6(LeaseClient::Own);
        }
        self.inquiries_mut().ask(now, needs, random)
    }

    /// When the next question may be due.
    pub fn next_question(&self) -> Option<BootTime> {
        self.up_since()?;
        self.inquiries().next().filter(|next| *next != BootTime::FOREVER)
    }

    /// Whether this answer to a DHCPINFORM of this service counts: it is waited for, and not from a server on this host.
    pub(super) fn takes_information(&mut self, now: BootTime, lease: &Lease) -> bool {
        let address = self.inquiries().address.map(IpAddr::V4);
        if address != Some(lease.address) || !self.inquiries_mut().dhcpv4.answered(now, INFORMED_SECONDS) {
            return false;
        }
        let server = lease.configuration.server_identifier.as_ref().and_then(|server| server.parse().ok());
        !self.addresses().any(|fact| Some(fact.address.key.address) == server)
    }

    /// The same for what an Information-Request gave, which is good for `refresh` seconds.
    pub(super) fn takes_dhcpv6_information(&mut self, now: BootTime, refresh: Option<u32>) -> bool {
        self.inquiries_mut().dhcpv6.answered(now, refresh.unwrap_or(INFORMED_SECONDS))
    }

    fn needs(&self, policy: InquiryPolicy) -> Needs {
        let may_have_servers = self.link().is_some_and(|link| match link.kind {
            LinkKind::Ethernet | LinkKind::Wifi | LinkKind::Bridge | LinkKind::Vlan | LinkKind::Bond => true,
            // The other end configures these.
            LinkKind::Wwan | LinkKind::Tunnel | LinkKind::Loopback | LinkKind::Other => false,
        });
        // A manager that has a say in the link has said all that there is.
        if !may_have_servers || self.settings().is_some() {
            return Needs::default();
        }
        let told = self.lease().is_some_and(|(client, _)| client != LeaseClient::Own);
        let informs = policy.dhcpv4 && !told && self.has_ipv4_router();
        let told = self.dhcpv6().is_some_and(|(client, _)| client != LeaseClient::Own);
        let asked = self.routers().values().any(super::RouterFacts::other);
        let dhcpv6 = policy.dhcpv6 && !told && asked && self.has_link_local_source();
        Needs { dhcpv4: informs.then(|| self.address_to_inform_of()).flatten(), dhcpv6 }
    }

    /// The address that it was about is kept while it is there, for others come and go.
    fn address_to_inform_of(&self) -> Option<Ipv4Addr> {
        let usable = || {
            self.addresses().filter_map(|fact| match fact.address.key.address {
                IpAddr::V4(v4) if !fact.address.tentative && !v4.is_link_local() && !v4.is_loopback() => {
                    Some(v4)
                }
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            })
        };
        let former = self.inquiries().address;
        former.filter(|former| usable().any(|address| address == *former)).or_else(|| usable().next())
    }

    fn has_ipv4_router(&self) -> bool {
        self.routes().any(|route| matches!(route.gateway, Some(IpAddr::V4(_))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: u64) -> BootTime {
        BootTime::from_micros(milliseconds * 1_000)
    }

    /// The moments at which is asked, in milliseconds, when nobody answers; and the questions.
    fn unanswered(pace: Pace, seed: u64, count: usize) -> Vec<(u64, Question)> {
        let (mut inquiry, mut random) = (Inquiry::at(pace), Random::new(seed));
        let mut now = at(0);
        let mut asked = Vec::new();
        while asked.len() < count {
            let question = inquiry.ask(now, Some(Subject::Dhcpv6), &mut random);
            asked.extend(question.map(|question| (now.as_micros() / 1_000, question)));
            now = inquiry.next.unwrap();
        }
        asked
    }

    fn pauses(asked: &[(u64, Question)]) -> Vec<u64> {
        asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    fn is_about(value: u64, wanted: u64) -> bool {
        (wanted * 9 / 10 - 1..=wanted * 11 / 10 + 1).contains(&value)
    }

    proptest! {
        #[test]
        fn dhcpv4_is_asked_four_times_and_then_once_an_hour(seed: u64) {
            let asked = unanswered(DHCPV4, seed, 8);
            prop_assert!((4_000..=5_000).contains(&asked[0].0), "{asked:?}");
            let wanted = [4_000, 8_000, 16_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000];
            let pauses = pauses(&asked);
            prop_assert!(pauses.iter().zip(wanted).all(|(pause, wanted)| is_about(*pause, wanted)), "{pauses:?}");
        }

        #[test]
        fn dhcpv6_is_asked_ever_more_seldom(seed: u64) {
            let asked = unanswered(DHCPV6, seed, 40);
            let pauses = pauses(&asked);
            let wanted = (0..39).map(|number| (1_000_u64 << number.min(20)).min(3_600_000));
            prop_assert!(pauses.iter().zip(wanted).all(|(pause, wanted)| is_about(*pause, wanted)), "{pauses:?}");
            // One exchange (RFC 8415 16.1), whose age each question tells.
            let first = asked[0];
            for (moment, question) in &asked {
                prop_assert_eq!(question.transaction, first.1.transaction);
                prop_assert!(question.elapsed.as_millis().abs_diff(u128::from(moment - first.0)) <= 1);
            }
        }

        #[test]
        fn an_answer_is_good_for_its_time(seed: u64, seconds in 1_u32..1_000_000) {
            let (mut inquiry, mut random) = (Inquiry::at(DHCPV6), Random::new(seed));
            let mut ask = |inquiry: &mut Inquiry, now| inquiry.ask(now, Some(Subject::Dhcpv6), &mut random);
            prop_assert_eq!(ask(&mut inquiry, at(0)), None);
            prop_assert!(!inquiry.answered(at(1), seconds), "nothing was asked");
            let first = ask(&mut inquiry, at(5_000)).unwrap();
            prop_assert!(inquiry.answered(at(5_500), seconds));
            prop_assert!(!inquiry.answered(at(5_600), seconds), "one answer is enough");
            let due = 5_500 + u64::from(seconds) * 1_000;
            prop_assert_eq!(ask(&mut inquiry, at(due - 1)), None);
            let again = ask(&mut inquiry, at(due)).unwrap();
            prop_assert_ne!(again.transaction, first.transaction);
            prop_assert_eq!(again.elapsed, Duration::ZERO);
        }
    }

    #[test]
    fn what_is_good_for_ever_is_not_asked_again_and_what_is_not_wanted_is_forgotten() {
        let (mut inquiry, mut random) = (Inquiry::at(DHCPV6), Random::new(1));
        inquiry.ask(at(0), Some(Subject::Dhcpv6), &mut random);
        assert!(inquiry.ask(at(5_000), Some(Subject::Dhcpv6), &mut random).is_some());
        assert!(inquiry.answered(at(5_001), u32::MAX));
        assert_eq!(inquiry.ask(at(u64::MAX >> 20), Some(Subject::Dhcpv6), &mut random), None);
        assert_eq!(inquiry.ask(at(6_000), None, &mut random), None);
        assert_eq!((inquiry.next, inquiry.exchange.is_some()), (None, false));
        assert_eq!(inquiry.ask(at(7_000), Some(Subject::Dhcpv6), &mut random), None, "it waits anew");
    }
}
