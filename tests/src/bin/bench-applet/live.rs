//! The applet at work, with hundreds of networks.

use std::time::{Duration, Instant};

use mif_tests::desktop::{Desktop, Film, SESSION_BUS};
use mif_tests::process::Process;
use mif_tests::report::{Bound, Quantity, Report, milliseconds};
use mif_tests::usage::Usage;
use mif_tests::wait::completes;
use tokio::time::{MissedTickBehavior, interval, sleep};
use zbus::Connection;

use crate::APPLET;
use crate::crowd::{Crowd, Ear};

/// Longer than the applet waits before it reads again.
const REST: Duration = Duration::from_millis(400);

/// From the announcement to the pixels.
const SEEN: Quantity = Quantity::less("seen after", "ms");

/// Two frames of a screen with 60 of them a second.
const TWO_FRAMES: f64 = 33.4;

/// How long each load lasts while CPU time is counted, and while the main loop is asked.
const LOADS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(6)];

/// Countdowns change this often.
const TICK: Duration = Duration::from_secs(1);

/// How often it is looked whether something woke up: what wakes up twice between two looks, or between three, does so for
/// one reason.
const LOOK: Duration = Duration::from_millis(10);

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(30);

/// After so long the applet has read all that there is.
const SETTLED: Duration = Duration::from_secs(5);

/// The applet, the networks that it shows, and who hears what it hears.
pub struct Live<'a> {
    desktop: &'a Desktop,
    applet: Process,
    crowd: Crowd,
    ear: Ear,
    film: Film,
    session: Connection,
}

impl<'a> Live<'a> {
    /// Opens the window.
    pub async fn start(desktop: &'a Desktop, crowd: Crowd, ear: Ear) -> Self {
        let applet = desktop.applet(&[], &[]).await;
        desktop.reads(&[&format!("{} networks", crowd.len())]).await;
        let builder = zbus::connection::Builder::address(SESSION_BUS);
        let session = completes("the session bus", builder.build()).await.expect("the session bus");
        let film = Film::of(Some(desktop.window_area()));
        Self { desktop, applet, crowd, ear, film, session }
    }

    /// From the announcement of a change, after some time without any, to its pixels.
    pub async fn first_change(&mut self, rounds: usize, report: &mut Report) {
        let case = format!("a change among {} networks", self.crowd.len());
        let mut slowest = 0.0_f64;
        for _ in 0..rounds {
            sleep(REST).await;
            self.film.frames();
            let before = self.ear.heard();
            self.crowd.shorten(1);
            let announced = self.ear.hears(before, 1).await;
            let delay = self.film.first().await.at.saturating_duration_since(announced.at);
            report.add(&case, APPLET, SEEN, milliseconds(delay));
            slowest = slowest.max(milliseconds(delay));
        }
        report.goal("ms until a change is seen, the slowest", Some(slowest), Bound::AtMost(TWO_FRAMES));
    }

    /// From the last announcement of many at once to the last pixel. What can be seen is announced last.
    pub async fn burst(&mut self, rounds: usize, report: &mut Report) {
        let many = u64::from(self.crowd.len() / 2);
        let case = format!("{many} changes at once");
        let mut slowest = 0.0_f64;
        for _ in 0..rounds {
            sleep(REST).await;
            self.film.frames();
            let before = self.ear.heard();
            self.crowd.shorten_half();
            let announced = self.ear.hears(before, many).await;
            self.film.still(2 * REST).await;
            let frames = self.film.frames();
            let delay = frames[frames.len() - 1].at.saturating_duration_since(announced.at);
            report.add(&case, APPLET, SEEN, milliseconds(delay));
            slowest = slowest.max(milliseconds(delay));
        }
        report.goal(&format!("ms until {case} are seen, the slowest"), Some(slowest), Bound::AtMost(250.0));
    }

    /// So many changes a second: `most` per cent of a core, and how long the main loop is busy at a time.
    pub async fn storm(&mut self, rate: u32, most: f64, report: &mut Report) {
        self.blow(rate, Duration::from_secs(1)).await;
        let (before, begin, heard) = (Usage::of(&self.applet), Instant::now(), self.ear.heard());
        self.blow(rate, LOADS[0]).await;
        let used = Usage::of(&self.applet).since(before);
        let seconds = begin.elapsed().as_secs_f64();
        let announced = (self.ear.heard().count - heard.count) as f64 / seconds;
        let case = format!("{rate} changes a second");
        let processor = used.cpu.as_secs_f64() / seconds * 100.0;
        report.add(&case, APPLET, Quantity::told("announced", "per second"), announced);
        report.add(&case, APPLET, Quantity::less("CPU", "% of a core"), processor);
        report.goal(&format!("{case}, % of a core"), Some(processor), Bound::AtMost(most));
        let session = self.session.clone();
        let asked = tokio::spawn(async move { longest_answer(&session, LOADS[1]).await });
        self.blow(rate, LOADS[1]).await;
        let longest = completes("the last answer", asked).await.expect("no panic");
        report.add(&case, APPLET, Quantity::less("longest stall", "ms"), milliseconds(longest));
        report.goal(
            &format!("{case}, ms of the longest stall"),
            Some(milliseconds(longest)),
            Bound::AtMost(100.0),
        );
        self.ear.quiet(2 * REST).await;
    }

    async fn blow(&mut self, rate: u32, long: Duration) {
        // Ten times a second or as often as there are changes; evenly.
        let at_once = (rate / 100).max(1);
        let mut pace = interval(Duration::from_secs(1) * at_once / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begin = Instant::now();
        while begin.elapsed() < long {
            pace.tick().await;
            self.crowd.change(at_once);
        }
    }

    /// Countdowns that are seen: of days, then of minutes and seconds; then the window is put away.
    pub async fn idle(&mut self, report: &mut Report) {
        self.ear.quiet(5 * REST).await;
        self.again().await;
        self.wakeups("countdowns of days", report).await;
        self.crowd.hurry(3_500);
        self.ear.quiet(5 * REST).await;
        self.again().await;
        let seconds = self.wakeups("countdowns of seconds", report).await;
        report.goal("countdowns of seconds, occasions a second", Some(seconds.occasions), Bound::AtMost(1.0));
        self.desktop.minimize();
        self.film.still(2 * REST).await;
        let hidden = self.wakeups("hidden", report).await;
        report.goal("hidden, wake-ups of all threads a second", Some(hidden.sleeps), Bound::AtMost(0.0));
    }

    /// Starts the applet once more: a program that was read to tells its reader of every change from then on, and nobody
    /// has read this one.
    async fn again(&mut self) {
        self.applet.kill().await;
        self.applet = self.desktop.applet(&[], &[]).await;
        sleep(SETTLED).await;
    }

    /// Waits for a wake-up of the main loop, if one comes: then no second is counted that has only begun.
    async fn wakes(&self) {
        let (before, begin) = (Usage::of(&self.applet).main_sleeps, Instant::now());
        while Usage::of(&self.applet).main_sleeps == before && begin.elapsed() < 2 * TICK {
            sleep(TICK / 100).await;
        }
        sleep(TICK / 10).await;
    }

    /// An occasion is a time in which the main loop is awake; the screen's word on a drawing may be read in a second turn.
    async fn wakeups(&self, case: &str, report: &mut Report) -> Wakeups {
        self.wakes().await;
        let (first, begin) = (Usage::of(&self.applet), Instant::now());
        let (mut last, mut awake, mut occasions) = (first, false, 0_u32);
        while begin.elapsed() < IDLE {
            sleep(LOOK).await;
            let now = Usage::of(&self.applet);
            let woken = now.main_sleeps > last.main_sleeps;
            occasions += u32::from(woken && !awake);
            (last, awake) = (now, woken);
        }
        let used = last.since(first);
        let a_second = |count: f64| count / begin.elapsed().as_secs_f64();
        let occasions = a_second(occasions.into());
        let sleeps = a_second(used.sleeps as f64);
        for (what, value) in [
            ("occasions", occasions),
            ("turns of the main loop", a_second(used.main_sleeps as f64)),
            ("wake-ups of all threads", sleeps),
        ] {
            report.add(case, APPLET, Quantity::less(what, "per second"), value);
        }
        Wakeups { occasions, sleeps }
    }
}

/// What woke up, a second.
struct Wakeups {
    /// How often the main loop was woken after a time in which it was not.
    occasions: f64,
    /// How often a thread returned from sleep.
    sleeps: f64,
}

/// Asks the main loop every ten milliseconds; the longest that it took to answer.
async fn longest_answer(session: &Connection, long: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let mut pace = interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = Instant::now();
    while begin.elapsed() < long {
        pace.tick().await;
        let asked = Instant::now();
        let (name, path) = ("org.ietf.Mif1.Applet", "/org/ietf/Mif1/Applet");
        let call = session.call_method(Some(name), path, Some("org.gtk.Actions"), "DescribeAll", &());
        call.await.expect("the applet answers");
        longest = longest.max(asked.elapsed());
    }
    longest
}
