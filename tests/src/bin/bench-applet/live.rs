//! The applet at work, with hundreds of networks.

use std::time::{Duration, Instant};

use mif_tests::desktop::{Desktop, Film, SESSION_BUS};
use mif_tests::process::Process;
use mif_tests::usage::Usage;
use mif_tests::wait::completes;
use tokio::time::{MissedTickBehavior, interval, sleep};
use zbus::Connection;

use crate::crowd::{Crowd, Ear};
use crate::{Goals, median, ms, say};

/// Longer than the applet waits before it reads again.
const REST: Duration = Duration::from_millis(400);

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
    pub async fn first_change(&mut self, rounds: usize, goals: &mut Goals) {
        let mut delays = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            sleep(REST).await;
            self.film.frames();
            let before = self.ear.heard();
            self.crowd.shorten(1);
            let announced = self.ear.hears(before, 1).await;
            delays.push(self.film.first().await.at.saturating_duration_since(announced.at));
        }
        let middle = median(&mut delays);
        say(&format!("a change is seen after, median of {rounds}: {:.1} ms", ms(middle)));
        // Sorted by now.
        let most = delays[delays.len() - 1];
        goals.figure("the slowest of them", ms(most), " ms", TWO_FRAMES);
    }

    /// From the last announcement of many at once to the last pixel. What can be seen is announced last.
    pub async fn burst(&mut self, rounds: usize, goals: &mut Goals) {
        let mut delays = Vec::with_capacity(rounds);
        let many = u64::from(self.crowd.len() / 2);
        for _ in 0..rounds {
            sleep(REST).await;
            self.film.frames();
            let before = self.ear.heard();
            self.crowd.shorten_half();
            let announced = self.ear.hears(before, many).await;
            self.film.still(2 * REST).await;
            let frames = self.film.frames();
            delays.push(frames[frames.len() - 1].at.saturating_duration_since(announced.at));
        }
        let middle = median(&mut delays);
        say(&format!("{many} changes at once are seen after, median of {rounds}: {:.0} ms", ms(middle)));
        let most = delays[delays.len() - 1];
        goals.figure("the slowest of them", ms(most), " ms", 250.0);
    }

    /// So many changes a second: `most` per cent of a core, and how long the main loop is busy at a time.
    pub async fn storm(&mut self, rate: u32, most: f64, goals: &mut Goals) {
        self.blow(rate, Duration::from_secs(1)).await;
        let (before, begin, heard) = (Usage::of(&self.applet), Instant::now(), self.ear.heard());
        self.blow(rate, LOADS[0]).await;
        let used = Usage::of(&self.applet).since(before);
        let seconds = begin.elapsed().as_secs_f64();
        let announced = (self.ear.heard().count - heard.count) as f64 / seconds;
        let what = format!("{announced:.0} changes/s in {} networks, of one core", self.crowd.len());
        goals.figure(&what, used.cpu.as_secs_f64() / seconds * 100.0, " %", most);
        let session = self.session.clone();
        let asked = tokio::spawn(async move { longest_answer(&session, LOADS[1]).await });
        self.blow(rate, LOADS[1]).await;
        let longest = completes("the last answer", asked).await.expect("no panic");
        goals.figure("  the main loop is busy at a time", ms(longest), " ms", 100.0);
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
    pub async fn idle(&mut self, goals: &mut Goals) {
        self.ear.quiet(5 * REST).await;
        self.again().await;
        let days = self.wakeups().await;
        say(&format!("countdowns of days wake the main loop {:.2} times a second", days.occasions));
        self.crowd.hurry(3_500);
        self.ear.quiet(5 * REST).await;
        self.again().await;
        let shown = self.wakeups().await;
        goals.figure("countdowns of seconds wake the main loop", shown.occasions, "/s", 1.0);
        say(&format!(
            "  it returns from sleep {:.2} times a second, as the screen has to say something about a drawing; \
             all threads, which also read again what is on display, {:.2} times",
            shown.main_sleeps, shown.sleeps
        ));
        self.desktop.minimize();
        self.film.still(2 * REST).await;
        let hidden = self.wakeups().await;
        goals.figure("hidden, all threads return from sleep", hidden.sleeps, "/s", 0.0);
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

    async fn wakeups(&self) -> Wakeups {
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
        Wakeups {
            occasions: a_second(occasions.into()),
            main_sleeps: a_second(used.main_sleeps as f64),
            sleeps: a_second(used.sleeps as f64),
        }
    }
}

/// What woke up, a second.
struct Wakeups {
    /// How often the main loop was woken after a time in which it was not.
    occasions: f64,
    /// How often the first thread returned from sleep.
    main_sleeps: f64,
    /// All threads.
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
