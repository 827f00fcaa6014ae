//! From the start of a program to its first frame.

use std::process::Command;
use std::time::{Duration, Instant};

use mif_tests::daemons::program;
use mif_tests::desktop::{Desktop, Film};
use mif_tests::report::{Bound, Quantity, Report, milliseconds};
use tokio::time::sleep;

use crate::APPLET;

/// After so long nothing more is drawn.
const STILL: Duration = Duration::from_millis(700);

/// How much longer than an empty window the applet may take.
const ALLOWED: f64 = 1.3;

const ALL: Quantity = Quantity::less("first frame", "ms");
const PIXELS: Quantity = Quantity::less("first pixels", "ms");
const EMPTY: &str = "empty window";

/// What is started in turn: the applet; an empty window, with a title bar as every window has; one without even that.
const PROGRAMS: [(&str, &str, &[&str]); 3] = [
    (APPLET, "mif-applet", &[]),
    (EMPTY, "mif-empty-window", &[]),
    ("without a title bar", "mif-empty-window", &["--bare"]),
];

/// Empty windows and the applet in turn. Of each counts that all of the window is as it stays (each is drawn once more
/// when it gets the focus); of the applet that is with every network that fits, and everything about the first of them.
pub async fn first_frames(desktop: &Desktop, networks: u32, rounds: usize, report: &mut Report) {
    let case = format!("started with {networks} networks");
    // What is read from disk for the first time does not count.
    for round in 0..=rounds {
        for (who, name, arguments) in PROGRAMS {
            let (first, all) = frames(desktop, name, arguments).await;
            if round > 0 {
                report.add(&case, who, PIXELS, milliseconds(first));
                report.add(&case, who, ALL, milliseconds(all));
            }
        }
    }
    let [applet, empty] = [APPLET, EMPTY].map(|who| report.median(&case, who, ALL));
    let times = applet.zip(empty).map(|(applet, empty)| applet / empty);
    let figure = format!("first frame with {networks} networks, times that of an empty window");
    report.goal(&figure, times, Bound::AtMost(ALLOWED));
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
