//! The pixels of the screen, and when they change.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wait::eventually;

/// Xvfb keeps its screen in this file (the format of xwd), always as it is.
const FILE: &str = "/run/testbed/screen/Xvfb_screen0";

/// Of so many lines of pixels one is looked at: letters are higher than that.
const STEP: usize = 4;

/// How often.
const INTERVAL: Duration = Duration::from_millis(1);

/// A part of the screen: x, y, width, height.
pub type Area = [i32; 4];

/// Watches a part of the screen.
#[derive(Debug)]
pub struct Film {
    frames: Arc<Mutex<Vec<Frame>>>,
    over: Arc<AtomicBool>,
    camera: Option<JoinHandle<()>>,
}

/// The screen was seen to be another one.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// When.
    pub at: Instant,
    /// The same for the same pixels.
    pub picture: u64,
}

impl Film {
    /// Begins to watch a part of the screen, or all of it.
    ///
    /// # Panics
    /// When there is no screen.
    pub fn of(area: Option<Area>) -> Self {
        let (frames, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let screen = Screen::open(area);
        let (taken, end) = (frames.clone(), over.clone());
        let camera = std::thread::spawn(move || watch(&screen, &taken, &end));
        Self { frames, over, camera: Some(camera) }
    }

    /// What has changed since it was asked for the last time.
    pub fn frames(&self) -> Vec<Frame> {
        std::mem::take(&mut *lock(&self.frames))
    }

    /// Waits for the first change.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn first(&self) -> Frame {
        let first = || lock(&self.frames).first().copied();
        eventually("a change on the screen", async || first().ok_or("none")).await
    }

    /// Waits until something has changed and then nothing for so long.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn still(&self, long: Duration) {
        let last = || lock(&self.frames).last().map(|frame| frame.at.elapsed());
        eventually("a screen that stays", async || match last() {
            Some(since) if since >= long => Ok(()),
            other => Err(format!("the last change: {other:?} ago")),
        })
        .await;
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A camera that broke has said so.
        drop(self.camera.take().map(JoinHandle::join));
    }
}

struct Screen {
    file: File,
    /// Where the lines begin that are looked at, in the file.
    lines: Vec<u64>,
    /// Bytes of each.
    length: usize,
}

impl Screen {
    fn open(area: Option<Area>) -> Self {
        let file = File::open(FILE).expect("the screen");
        let mut header = [0; 100];
        file.read_exact_at(&mut header, 0).expect("the header of the screen");
        let field = |index: usize| {
            let bytes = header[4 * index..4 * index + 4].try_into().expect("four bytes");
            u64::from(u32::from_be_bytes(bytes))
        };
        let number = |field: u64| usize::try_from(field).expect("a small number");
        let (size, width, height, line, colours) = (field(0), field(4), field(5), field(12), field(19));
        let [x, y, wide, high] = area.map_or([0, 0, number(width), number(height)], |area| {
            area.map(|side| usize::try_from(side).unwrap_or(0))
        });
        let (right, bottom) = ((x + wide).min(number(width)), (y + high).min(number(height)));
        let begin = size + colours * 12 + x as u64 * 4;
        let lines = (y..bottom).step_by(STEP).map(|y| begin + y as u64 * line).collect();
        Self { file, lines, length: right.saturating_sub(x) * 4 }
    }

    fn look(&self, into: &mut [u8]) {
        for (line, into) in self.lines.iter().zip(into.chunks_exact_mut(self.length)) {
            self.file.read_exact_at(into, *line).expect("a line of the screen");
        }
    }
}

fn watch(screen: &Screen, frames: &Mutex<Vec<Frame>>, over: &AtomicBool) {
    let mut last = vec![0; screen.lines.len() * screen.length];
    let mut now = last.clone();
    screen.look(&mut last);
    while !over.load(Ordering::Relaxed) {
        let at = Instant::now();
        screen.look(&mut now);
        if now != last {
            let mut picture = DefaultHasher::new();
            now.hash(&mut picture);
            lock(frames).push(Frame { at, picture: picture.finish() });
            std::mem::swap(&mut now, &mut last);
        }
        std::thread::sleep(INTERVAL);
    }
}

fn lock(frames: &Mutex<Vec<Frame>>) -> MutexGuard<'_, Vec<Frame>> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}
