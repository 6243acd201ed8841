//! What the streams can show: width, colour, UTF-8.

use std::env;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar;

use crate::cli::env_vars;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also off a terminal.
    Always,
    /// Not at all.
    Never,
}

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// The result.
    Stdout,
    /// The talk.
    Stderr,
}

impl Stream {
    /// Whether it is a terminal.
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        }
    }

    /// Columns and rows of the terminal; `None` off one.
    pub(super) fn size(self) -> Option<(usize, usize)> {
        if !self.is_terminal() {
            return None;
        }
        let size = match self {
            Stream::Stdout => tcgetwinsize(std::io::stdout()),
            Stream::Stderr => tcgetwinsize(std::io::stderr()),
        };
        let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        let or = |n: u16, default: usize| if n == 0 { default } else { usize::from(n) };
        Some((or(columns, 80), or(rows, 24)))
    }

    /// Whether colour may be written to it.
    pub(super) fn color(self, choice: ColorChoice) -> bool {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set(env_vars::NO_COLOR) => false,
            ColorChoice::Auto if env::var_os(env_vars::CLICOLOR_FORCE).is_some_and(|v| v == "1") => true,
            ColorChoice::Auto => self.is_terminal() && is_capable(),
        }
    }
}

/// Columns of the terminal at stderr; `None` off one.
pub(super) fn stderr_width() -> Option<usize> {
    Stream::Stderr.size().map(|(columns, _)| columns)
}

/// Whether the terminal moves its cursor at all.
pub(super) fn is_capable() -> bool {
    env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty())
}

/// Whether the locale's characters are UTF-8.
pub(super) fn is_utf8() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os).find(|value| !value.is_empty());
    locale.is_some_and(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Stdout for the result: what a terminal without UTF-8 cannot show is written in ASCII.
pub(super) fn stdout() -> impl Write {
    Plain { inner: io::stdout().lock(), is_plain: Stream::Stdout.is_terminal() && !is_utf8() }
}

/// Stderr for the talk, likewise. While a live view stands there, what is said waits for it.
pub(super) fn stderr() -> impl Write {
    Talk(screen())
}

/// Stderr for a live view itself.
pub(super) fn screen() -> impl Write {
    Plain { inner: io::stderr().lock(), is_plain: Stream::Stderr.is_terminal() && !is_utf8() }
}

/// What is said while a live view stands on the screen; none: there is no view.
static HELD_BACK: Mutex<Option<String>> = Mutex::new(None);

/// Whether a live view stands there, which shows above itself what is said.
pub(super) fn hold_back(is_live: bool) {
    *HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner) = is_live.then(String::new);
}

/// The lines that were held back.
pub(super) fn held_back() -> Vec<String> {
    let mut held = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    let text = held.as_mut().map(std::mem::take).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

struct Talk<W>(W);

impl<W: Write> Write for Talk<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(held) = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            held.push_str(&String::from_utf8_lossy(bytes));
            return Ok(());
        }
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes on, in ASCII where it must be.
struct Plain<W> {
    inner: W,
    is_plain: bool,
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match std::str::from_utf8(bytes) {
            Ok(text) if self.is_plain && !text.is_ascii() => self.inner.write_all(in_ascii(text).as_bytes()),
            Ok(_) | Err(_) => self.inner.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// swath's own marks by their likes, all else by a `?`, in as many columns.
fn in_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '·' => out.push('-'),
            '…' => out.push('~'),
            '●' => out.push('*'),
            c if c.is_ascii() => out.push(c),
            c => out.extend(std::iter::repeat_n('?', c.width().unwrap_or(0))),
        }
    }
    out
}

/// A style of the terminal's own 16 colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // what it marks
pub(super) enum Style {
    Succeeded,
    Running,
    Stopped,
    Failed,
    Infeasible,
    Best,
    Error,
    Warning,
    Help,
}

impl Style {
    /// `text` in this style, or as it is where there is no colour.
    pub(super) fn paint(self, text: &str, color: bool) -> String {
        if !color {
            return text.to_owned();
        }
        let code = match self {
            Style::Succeeded => "32",
            Style::Running => "34",
            Style::Stopped | Style::Warning => "33",
            Style::Failed => "31",
            Style::Infeasible => "35",
            Style::Best => "1",
            Style::Error => "1;31",
            Style::Help => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
