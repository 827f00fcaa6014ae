//! Talking with one dhcpcd through its unprivileged control socket.
//!
//! A command is its arguments with a NUL after each. `--listen` makes a connection hear every event from then on;
//! `--getinterfaces` gives the number of messages and then the messages, about every interface as it stands. They
//! go over two connections, and events are not read while the answer to the second is awaited: what happened
//! before it was given is heard again after it, so that the last word is always the latest.
//!
//! dhcpcd 9.4 ends with an error when it is asked in the first moments of its life, so that one whose socket is
//! young is only listened to at first. It has no lease yet that would be missed.

use mif_core::dhcpcd::{FrameTooLong, LENGTH_WIDTH, MAX_MESSAGE, Report, Told, first_frame, read_length};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A socket is there a moment before dhcpcd listens at it.
const CONNECT_ATTEMPTS: u32 = 5;
const FIRST_CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// dhcpcd answers one client at a time, and drops the question of another.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_ASK_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_ASK_PAUSE: Duration = Duration::from_secs(60);
/// Messages of one answer: two for each interface, and no machine has more of these.
const MAX_MESSAGES: usize = 1 << 17;
/// How old a socket must be for its dhcpcd to be asked. The crash was seen within the first 50 ms.
const MATURE: Duration = Duration::from_secs(2);
const READ_SIZE: usize = 8 << 10;

/// Tells one conversation from another.
pub(super) type ConversationId = u64;

/// What one conversation brings.
#[derive(Debug)]
pub(super) enum Heard {
    /// About one interface.
    Report(Report, Told),
    /// dhcpcd has said how everything stands, or does not answer.
    Inventory,
    /// dhcpcd is gone, or makes no sense.
    Ended,
}

/// One dhcpcd.
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    pub(super) path: PathBuf,
    pub(super) heard: mpsc::Sender<(ConversationId, Heard)>,
}

/// Why a conversation is over.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the connection was lost")]
    Io(#[from] io::Error),
    #[error("the answer makes no sense")]
    Frame(#[from] FrameTooLong),
    #[error("the answer claims {0} messages")]
    TooMany(usize),
    #[error("there was no answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("nobody listens any more")]
    NobodyListens,
}

impl Conversation {
    /// Goes on until dhcpcd closes the connection.
    pub(super) async fn run(self) {
        let end = self.converse().await;
        if let Err(end) = end {
            let cause = std::error::Error::source(&end).map(ToString::to_string);
            tracing::debug!(socket = %self.path.display(), cause, "dhcpcd: {end}");
        }
        // The receiver is gone only when all is.
        let _ = self.heard.send((self.id, Heard::Ended)).await;
    }

    async fn converse(&self) -> Result<(), End> {
        let mut events = Connection::open(&self.path).await?;
        events.command("--listen").await?;
        let mut pause = FIRST_ASK_PAUSE;
        self.listen(&mut events, Some(Instant::now() + self.until_mature())).await?;
        while let Err(error) = self.ask().await {
            if matches!(error, End::NobodyListens) {
                return Err(error);
            }
            tracing::debug!(socket = %self.path.display(), "dhcpcd was asked how things stand: {error}");
            self.tell(Heard::Inventory).await?;
            // Events are good even without an answer.
            self.listen(&mut events, Some(Instant::now() + pause)).await?;
            pause = (pause * 2).min(LONGEST_ASK_PAUSE);
        }
        self.tell(Heard::Inventory).await?;
        self.listen(&mut events, None).await
    }

    /// How long until dhcpcd may be asked; all of it when the clock makes no sense.
    fn until_mature(&self) -> Duration {
        let made = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
        MATURE.saturating_sub(age.unwrap_or_default())
    }

    async fn ask(&self) -> Result<(), End> {
        let mut connection = Connection::open(&self.path).await?;
        connection.command("--getinterfaces").await?;
        let count = timeout(ANSWER_TIMEOUT, connection.length()).await??;
        if count > MAX_MESSAGES {
            return Err(End::TooMany(count));
        }
        for _ in 0..count {
            let report = timeout(ANSWER_TIMEOUT, connection.report()).await??;
            let at = crate::clock::now();
            self.tell_report(report, Told::Asked { at }).await?;
        }
        Ok(())
    }

    /// Tells every event until `deadline`.
    async fn listen(&self, events: &mut Connection, deadline: Option<Instant>) -> Result<(), End> {
        loop {
            match deadline {
                None => events.fill().await?,
                Some(deadline) => match timeout_at(deadline, events.fill()).await {
                    Ok(filled) => filled?,
                    Err(_) => return Ok(()),
                },
            }
            while let Some(report) = events.next_report()? {
                let told = Told::Live { at: crate::clock::now() };
                self.tell_report(report, told).await?;
            }
        }
    }

    async fn tell_report(&self, report: Option<Report>, told: Told) -> Result<(), End> {
        match report {
            Some(report) => self.tell(Heard::Report(report, told)).await,
            None => Ok(()),
        }
    }

    async fn tell(&self, heard: Heard) -> Result<(), End> {
        self.heard.send((self.id, heard)).await.map_err(|_| End::NobodyListens)
    }
}

/// A connection and what was read from it ahead.
struct Connection {
    stream: UnixStream,
    ahead: Vec<u8>,
}

impl Connection {
    async fn open(path: &Path) -> io::Result<Self> {
        let mut pause = FIRST_CONNECT_PAUSE;
        for _ in 1..CONNECT_ATTEMPTS {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self { stream, ahead: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => sleep(pause).await,
                Err(error) => return Err(error),
            }
            pause *= 2;
        }
        Ok(Self { stream: UnixStream::connect(path).await?, ahead: Vec::new() })
    }

    async fn command(&mut self, argument: &str) -> io::Result<()> {
        self.stream.write_all(&[argument.as_bytes(), b"\0"].concat()).await
    }

    async fn length(&mut self) -> Result<usize, End> {
        loop {
            if let Some((length, _)) = read_length(&self.ahead) {
                self.ahead.drain(..LENGTH_WIDTH);
                return Ok(length);
            }
            self.fill().await?;
        }
    }

    /// The next message; `None` for one that names no interface.
    async fn report(&mut self) -> Result<Option<Report>, End> {
        loop {
            if let Some(report) = self.next_report()? {
                return Ok(report);
            }
            self.fill().await?;
        }
    }

    /// The next message that is there in full.
    fn next_report(&mut self) -> Result<Option<Option<Report>>, FrameTooLong> {
        let Some((message, taken)) = first_frame(&self.ahead)? else { return Ok(None) };
        let report = Report::read(message);
        self.ahead.drain(..taken);
        Ok(Some(report))
    }

    /// Reads more; never more ahead than one message and one read. Cancel safe.
    async fn fill(&mut self) -> io::Result<()> {
        debug_assert!(self.ahead.len() <= MAX_MESSAGE + LENGTH_WIDTH + READ_SIZE, "a whole message was left");
        let mut more = [0; READ_SIZE];
        match self.stream.read(&mut more).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.ahead.extend_from_slice(more.get(..length).unwrap_or_default());
                Ok(())
            }
        }
    }
}
