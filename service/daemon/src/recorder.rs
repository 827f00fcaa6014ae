//! Writes what the sources see as JSON lines, to be replayed in tests. Never holds up the engine.

use crate::source::Observation;
use mif_core::BootTime;
use mif_core::recording::{Line, Recorded};
use std::io;
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How many lines may wait to be written: the dump of a host with ten thousand links fits.
const QUEUE: usize = 1 << 16;
/// A recording ends when it would become larger than this, in bytes.
const LARGEST: usize = 64 << 20;

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    lines: mpsc::Sender<Line>,
    gap: Option<Gap>,
    had_gap: bool,
}

/// Observations that are not in the recording because the disk was slower than the network.
#[derive(Clone, Copy, Debug)]
struct Gap {
    began: BootTime,
    lost: u64,
}

/// Why a recording ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing more is to come.
    Closed,
    /// It is as large as it may get.
    Large,
}

impl Recorder {
    /// Begins a recording in the file `path`, which is overwritten and which only its owner may read: it tells
    /// where this host has been. Must be called within a tokio runtime.
    ///
    /// When it ends early (the file cannot be written or has become 64 MiB large), the log says so and the
    /// service goes on without it.
    pub fn start(path: PathBuf) -> Self {
        let (recorder, waiting) = Self::with_queue(QUEUE);
        tokio::spawn(async move {
            let path = path.as_path();
            match write_file(path, waiting).await {
                Ok(End::Closed) => {}
                Ok(End::Large) => {
                    tracing::warn!(path = %path.display(), bytes = LARGEST, "the recording is full and ends");
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "the recording has ended"),
            }
        });
        recorder
    }

    /// Notes an observation, unless the disk is slower than the network: then the recording says how many are
    /// missing, and goes on when half of the queue is free again.
    pub fn record(&mut self, observation: &Observation) {
        if self.gap.is_some() && self.lines.capacity() < self.lines.max_capacity() / 2 {
            self.lose(observation.at);
            return;
        }
        let gap = self.gap.map(|gap| Line { at: gap.began, what: Recorded::Lost(gap.lost) });
        let full = match self.lines.try_reserve_many(1 + usize::from(gap.is_some())) {
            Ok(permits) => {
                let line =
                    Line { at: observation.at, what: Recorded::Event(Box::new(observation.event.clone())) };
                for (permit, line) in permits.zip(gap.into_iter().chain([line])) {
                    permit.send(line);
                }
                self.gap = None;
                false
            }
            Err(TrySendError::Full(())) => true,
            // The task has said why it ended.
            Err(TrySendError::Closed(())) => false,
        };
        if full {
            self.lose(observation.at);
        }
    }

    fn with_queue(length: usize) -> (Self, mpsc::Receiver<Line>) {
        let (lines, waiting) = mpsc::channel(length);
        (Self { lines, gap: None, had_gap: false }, waiting)
    }

    fn lose(&mut self, at: BootTime) {
        if !std::mem::replace(&mut self.had_gap, true) {
            tracing::warn!("the disk is too slow for the recording: it has gaps from here on, each marked");
        }
        self.gap.get_or_insert(Gap { began: at, lost: 0 }).lost += 1;
    }
}

async fn write_file(path: &Path, waiting: mpsc::Receiver<Line>) -> io::Result<End> {
    let mut options = OpenOptions::new();
    let file: File = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
    write(BufWriter::new(file), waiting, LARGEST).await
}

/// Writes whole lines, and makes sure that they are in the file whenever no others wait.
async fn write<W>(mut file: W, mut waiting: mpsc::Receiver<Line>, largest: usize) -> io::Result<End>
where
    W: AsyncWrite + Unpin,
{
    let mut room = largest;
    while let Some(line) = waiting.recv().await {
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let Some(left) = room.checked_sub(bytes.len()) else {
            file.flush().await?;
            return Ok(End::Large);
        };
        room = left;
        file.write_all(&bytes).await?;
        if waiting.is_empty() {
            file.flush().await?;
        }
    }
    file.flush().await?;
    Ok(End::Closed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use mif_core::event::Event;

    fn observation(number: u32) -> Observation {
        let at = BootTime::from_micros(u64::from(number));
        Observation { at, event: Event::LinkGone { ifindex: number } }
    }

    fn line(number: u32) -> Line {
        let Observation { at, event } = observation(number);
        Line { at, what: Recorded::Event(Box::new(event)) }
    }

    fn lost(began: u32, lost: u64) -> Line {
        Line { at: BootTime::from_micros(u64::from(began)), what: Recorded::Lost(lost) }
    }

    fn read(bytes: &[u8]) -> Vec<Line> {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "whole lines only");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_recorded_reads_back() {
        let (mut recorder, waiting) = Recorder::with_queue(10);
        for number in 1..=3 {
            recorder.record(&observation(number));
        }
        drop(recorder);
        let mut file = Vec::new();
        assert_eq!(write(&mut file, waiting, 1000).await.unwrap(), End::Closed);
        assert_eq!(read(&file), [line(1), line(2), line(3)]);
        assert!(file.starts_with(br#"{"at":1,"event":{"link-gone":{"ifindex":1}}}"#));
    }

    #[tokio::test]
    async fn it_ends_before_it_becomes_too_large() {
        let (mut recorder, waiting) = Recorder::with_queue(10);
        for number in 1..=3 {
            recorder.record(&observation(number));
        }
        let length = serde_json::to_vec(&line(1)).unwrap().len() + 1;
        let mut file = Vec::new();
        assert_eq!(write(&mut file, waiting, 3 * length - 1).await.unwrap(), End::Large);
        assert_eq!(read(&file), [line(1), line(2)]);
        recorder.record(&observation(4));
        assert!(recorder.gap.is_none(), "it has ended, which is no gap");
    }

    #[test]
    fn a_slow_disk_makes_a_gap_that_is_marked() {
        let (mut recorder, mut waiting) = Recorder::with_queue(4);
        for number in 1..=6 {
            recorder.record(&observation(number));
        }
        let mut seen = vec![waiting.try_recv().unwrap()];
        recorder.record(&observation(7));
        assert_eq!(waiting.len(), 3, "one free place is not worth an end of the gap");
        seen.push(waiting.try_recv().unwrap());
        recorder.record(&observation(8));
        recorder.record(&observation(9));
        drop(recorder);
        while let Ok(line) = waiting.try_recv() {
            seen.push(line);
        }
        assert_eq!(seen, [line(1), line(2), line(3), line(4), lost(5, 3), line(8)]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_ends_it() {
        let missing = Path::new("/proc/no-such-directory/recording");
        let (_, waiting) = Recorder::with_queue(1);
        assert_eq!(write_file(missing, waiting).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
