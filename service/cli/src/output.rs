//! Standard output: plain or coloured text, or JSON.

use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use crate::args::GlobalOptions;
use crate::failure::Failure;

/// Where answers go.
pub struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    paint: Paint,
    json: bool,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    enabled: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A name that the eye looks for.
    Name,
    /// Good: up, came, answered.
    Good,
    /// Bad: down, went, failed.
    Bad,
    /// Needs attention: changed, still starting.
    Notice,
    /// Of less interest.
    Faint,
}

impl Output {
    /// Standard output, with colours if it is a terminal and nobody objects.
    pub fn standard(options: &GlobalOptions) -> Self {
        let stdout = std::io::stdout();
        let objected =
            options.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let enabled = stdout.is_terminal() && !objected && !options.json;
        Self { writer: BufWriter::new(stdout.lock()), paint: Paint { enabled }, json: options.json }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// How many characters fit on a line of the terminal; `None` when this is none.
    pub fn width(&self) -> Option<usize> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        // SAFETY: winsize is plain numbers; all zero is a valid value of it.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live value of the type that this request fills.
        let told = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
        if told == 0 && size.ws_col > 0 { Some(size.ws_col.into()) } else { Some(80) }
    }

    /// The colours to use.
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Writes one JSON value over several lines.
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.writer, value)
            .map_err(|error| Failure::Output(error.into()))?;
        self.text("\n")
    }

    /// Writes one JSON value on one line.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.writer, value).map_err(|error| Failure::Output(error.into()))?;
        self.text("\n")
    }

    /// Lets the reader see what is written so far.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(Failure::Output)
    }
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub const PLAIN: Self = Self { enabled: false };

    /// The text in the colour of its style.
    pub fn paint(self, style: Style, text: &str) -> String {
        if !self.enabled {
            return text.to_owned();
        }
        let code = match style {
            Style::Name => "1",
            Style::Good => "32",
            Style::Bad => "31",
            Style::Notice => "33",
            Style::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Paint::PLAIN.paint(Style::Bad, "down"), "down");
        assert_eq!(Paint { enabled: true }.paint(Style::Bad, "down"), "\x1b[31mdown\x1b[0m");
    }
}
