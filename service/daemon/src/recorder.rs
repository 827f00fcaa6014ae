//! Writes what the sources see as JSON lines, to be replayed in tests. Never holds up the engine.

use crate::source::Observation;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

/// How many observations may wait to be written.
const QUEUE: usize = 1_024;
/// A recording ends when it is this large, in bytes.
const LARGEST: usize = 64 << 20;

/// A line of a recording.
#[derive(Serialize)]
struct Line<'a> {
    at: mif_core::BootTime,
    event: &'a mif_core::event::Event,
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    lines: mpsc::Sender<Observation>,
    dropped: u64,
}

impl Recorder {
    /// Begins a recording in the file `path`, which is overwritten.
    pub fn start(path: PathBuf) -> Self {
        let (lines, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            if let Err(error) = write(&path, waiting).await {
                tracing::warn!(path = %path.display(), %error, "the recording has ended");
            }
        });
        Self { lines, dropped: 0 }
    }

    /// Notes an observation, unless the disk is slower than the network.
    pub fn record(&mut self, observation: &Observation) {
        if self.lines.try_send(observation.clone()).is_err() {
            if self.dropped == 0 {
                tracing::warn!("the recording has a gap from here on");
            }
            self.dropped += 1;
        }
    }
}

async fn write(path: &Path, mut waiting: mpsc::Receiver<Observation>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path).await?);
    let mut written = 0;
    while let Some(Observation { at, event }) = waiting.recv().await {
        let mut line = serde_json::to_vec(&Line { at, event: &event })?;
        line.push(b'\n');
        written += line.len();
        if written > LARGEST {
            return Err(io::Error::other(format!("it is {LARGEST} bytes long")));
        }
        file.write_all(&line).await?;
        if waiting.is_empty() {
            file.flush().await?;
        }
    }
    file.flush().await
}
