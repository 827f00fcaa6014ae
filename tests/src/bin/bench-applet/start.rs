//! From the start of a program to its first frame.

use std::process::Command;
use std::time::{Duration, Instant};

use mif_tests::daemons::program;
use mif_tests::desktop::{Desktop, Film};
use tokio::time::sleep;

use crate::{Goals, median, ms, say};

/// After so long nothing more is drawn.
const STILL: Duration = Duration::from_millis(700);

/// How much longer than an empty window the applet may take.
const ALLOWED: f64 = 1.3;

/// What is started in turn: an empty window, with a title bar as every window has; one without even that; the applet.
const PROGRAMS: [(&str, &[&str]); 3] =
    [("mif-empty-window", &[]), ("mif-empty-window", &["--bare"]), ("mif-applet", &[])];

/// Empty windows and the applet in turn. Of each counts that all of the window is as it stays (each is drawn once more
/// when it gets the focus); of the applet that is with every network that fits, and everything about the first of them.
pub async fn first_frames(desktop: &Desktop, networks: u32, rounds: usize, goals: &mut Goals) {
    let mut times = PROGRAMS.map(|_| (Vec::new(), Vec::new()));
    // What is read from disk for the first time does not count.
    for round in 0..=rounds {
        for ((name, arguments), times) in PROGRAMS.iter().zip(&mut times) {
            let (first, all) = frames(desktop, name, arguments).await;
            if round > 0 {
                times.0.push(first);
                times.1.push(all);
            }
        }
    }
    let [empty, bare, applet] =
        times.map(|(mut first, mut all)| (ms(median(&mut first)), ms(median(&mut all))));
    say(&format!(
        "first frame, medians of {rounds}: empty window {:.0} ms, {networks} networks {:.0} ms (the first pixels of \
         both: {:.0} ms, {:.0} ms; a window without a title bar {:.0} ms, {:.2} times that)",
        empty.1,
        applet.1,
        empty.0,
        applet.0,
        bare.1,
        applet.1 / bare.1
    ));
    goals.figure(&format!("first frame with {networks} networks"), applet.1 / empty.1, " times", ALLOWED);
}

/// From the start to the first pixel, and to the first time that the screen is as it stays.
async fn frames(desktop: &Desktop, name: &str, arguments: &[&str]) -> (Duration, Duration) {
    let film = Film::of(None);
    let begin = Instant::now();
    let mut command = Command::new(program(name));
    command.args(arguments);
    let process = desktop.spawn(name, command);
    film.still(STILL).await;
    let frames = film.frames();
    let (first, last) = (frames[0], frames[frames.len() - 1]);
    let all = frames.iter().find(|frame| frame.picture == last.picture).unwrap_or(&last);
    assert!(process.exit_status().is_none(), "{name} ended:\n{}", process.log());
    process.kill().await;
    film.still(Duration::from_millis(100)).await;
    // Others are told that it is gone, and put away what they had for it: that is not to cost who comes next.
    sleep(STILL).await;
    (first.at - begin, all.at - begin)
}
