//! From the start of a program to its first frame.

use std::process::Command;
use std::time::{Duration, Instant};

use mif_tests::daemons::program;
use mif_tests::desktop::{Desktop, Film};

use crate::{Goals, median, ms, say};

/// After so long nothing more is drawn.
const STILL: Duration = Duration::from_millis(700);

/// How much longer than an empty window the applet may take.
const ALLOWED: f64 = 1.3;

/// The empty window and the applet in turn. Of both counts that all of the window is as it stays (each is drawn once more
/// when it gets the focus); of the applet that is with every network that fits, and everything about the first of them.
pub async fn first_frames(desktop: &Desktop, networks: u32, rounds: usize, goals: &mut Goals) {
    let (mut empty, mut applet, mut first) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    // What is read from disk for the first time does not count.
    for round in 0..=rounds {
        let of_empty = frames(desktop, "mif-empty-window").await;
        let of_applet = frames(desktop, "mif-applet").await;
        if round > 0 {
            empty.push(of_empty.1);
            applet.push(of_applet.1);
            first[0].push(of_empty.0);
            first[1].push(of_applet.0);
        }
    }
    let (empty, applet) = (median(&mut empty), median(&mut applet));
    say(&format!(
        "first frame, medians of {rounds}: empty window {:.0} ms, {networks} networks {:.0} ms",
        ms(empty),
        ms(applet)
    ));
    let [empty_first, applet_first] = first.map(|mut times| ms(median(&mut times)));
    say(&format!("  the first pixels of both: {empty_first:.0} ms, {applet_first:.0} ms"));
    let ratio = applet.as_secs_f64() / empty.as_secs_f64();
    goals.figure(&format!("first frame with {networks} networks"), ratio, " times", ALLOWED);
}

/// From the start to the first pixel, and to the first time that the screen is as it stays.
async fn frames(desktop: &Desktop, name: &str) -> (Duration, Duration) {
    let film = Film::of(None);
    let begin = Instant::now();
    let process = desktop.spawn(name, Command::new(program(name)));
    film.still(STILL).await;
    let frames = film.frames();
    let (first, last) = (frames[0], frames[frames.len() - 1]);
    let all = frames.iter().find(|frame| frame.picture == last.picture).unwrap_or(&last);
    assert!(process.exit_status().is_none(), "{name} ended:\n{}", process.log());
    process.kill().await;
    film.still(Duration::from_millis(100)).await;
    (first.at - begin, all.at - begin)
}
