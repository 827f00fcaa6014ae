//! Log lines with their priority in front, as sd-daemon(3) has it, where the journal takes them down: `journalctl
//! --priority warning` then shows what an administrator should look at. Everywhere else a line begins with its level.

use nix::sys::stat::fstat;
use std::fmt;
use std::os::fd::AsFd;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Where systemd says what it has connected to the journal: `DEVICE:INODE`.
const STREAM: &str = "JOURNAL_STREAM";

/// What stands before a line about an error of which nothing can be logged any more, or not yet.
pub const ERROR: &str = "<3>";

/// Whether what is written to standard error goes into the journal, and to nobody else.
pub fn takes_stderr() -> bool {
    let Ok(stream) = std::env::var(STREAM) else { return false };
    let Ok(status) = fstat(std::io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", status.st_dev, status.st_ino)
}

/// How a line is written: the journal keeps time and priority by itself.
pub struct Lines {
    journal: bool,
    format: Format<Full, ()>,
}

impl Lines {
    /// For the journal, or for everybody else.
    pub fn new(journal: bool) -> Self {
        let format = tracing_subscriber::fmt::format().with_target(false).without_time();
        Self { journal, format: format.with_level(!journal) }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.journal {
            writer.write_str(priority(*event.metadata().level()))?;
        }
        self.format.format_event(context, writer, event)
    }
}

/// The priorities of syslog(3). What libraries trace is no less of a debug message.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => ERROR,
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(journal: bool) -> String {
        let sink = Sink::default();
        let made = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(Lines::new(journal))
            .with_writer(move || made.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(ifindex = 2, "a limit is reached");
            tracing::info!("serving");
        });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_journal_gets_priorities_and_people_get_words() {
        assert_eq!(written(true), "<4>a limit is reached ifindex=2\n<6>serving\n");
        assert_eq!(written(false), " WARN a limit is reached ifindex=2\n INFO serving\n");
    }
}
