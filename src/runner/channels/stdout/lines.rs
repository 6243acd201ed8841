//! Bytes of a stream become lines, and lines readings.
//!
//! A script may write flat out, so most bytes are only searched for an anchor, whole chunks at once; just the lines
//! that have one are looked at. Of a line, what stands after its last carriage return counts (progress bars), and
//! of that at most [`LINE_BYTES`]: nothing longer is ever held.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::escapes::plain;
use super::guess::Said;
use super::rules::LineRules;
use super::steps::Steps;
use crate::runner::channels::limits::LINE_BYTES;
use crate::runner::channels::reading::{Channel, Reading};

/// Reads one stream, stdout or stderr. Any split of its bytes into chunks gives the same readings.
#[derive(Debug)]
pub struct LineReader {
    rules: Arc<LineRules>,
    steps: Steps,
    /// The unfinished line's last segment, without carriage returns at its end.
    pub(super) held: Vec<u8>,
    /// A carriage return stands at the end of the segment: what comes next replaces it.
    returned: bool,
    /// The segment is too long to be parsed.
    overlong: bool,
}

impl LineReader {
    /// A reader at the start of a stream.
    pub fn new(rules: Arc<LineRules>) -> LineReader {
        LineReader { rules, steps: Steps::default(), held: Vec::new(), returned: false, overlong: false }
    }

    /// Takes the stream's next bytes.
    pub fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(Reading)) {
        if self.rules.is_off() {
            return;
        }
        let Some(first) = memchr(b'\n', bytes) else {
            return self.hold(bytes);
        };
        self.hold(&bytes[..first]);
        self.end_line(take);
        let rest = &bytes[first + 1..];
        let complete = memrchr(b'\n', rest).map_or(0, |last| last + 1);
        self.read_lines(&rest[..complete], take);
        self.hold(&rest[complete..]);
    }

    /// Takes the rest as a line, at the stream's end.
    pub fn finish(&mut self, take: &mut dyn FnMut(Reading)) {
        self.end_line(take);
    }

    /// Reads lines that are there as a whole, going from anchor to anchor.
    fn read_lines(&mut self, bytes: &[u8], take: &mut dyn FnMut(Reading)) {
        let mut at = 0;
        while let Some(anchor) = self.rules.next(bytes, at) {
            let start = memrchr(b'\n', &bytes[at..anchor]).map_or(at, |before| at + before + 1);
            let end = memchr(b'\n', &bytes[anchor..]).map_or(bytes.len(), |after| anchor + after);
            self.read(last_segment(&bytes[start..end]), take);
            at = (end + 1).min(bytes.len());
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let end = bytes.iter().rposition(|&b| b != b'\r').map_or(0, |last| last + 1);
        if end > 0 {
            let after = memrchr(b'\r', &bytes[..end]).map(|at| at + 1);
            if self.returned || after.is_some() {
                self.held.clear();
                self.overlong = false;
            }
            let new = &bytes[after.unwrap_or(0)..end];
            self.overlong |= self.held.len() + new.len() > LINE_BYTES;
            if self.overlong {
                self.held.clear();
            } else {
                self.held.extend_from_slice(new);
            }
            self.returned = false;
        }
        self.returned |= end < bytes.len();
    }

    fn end_line(&mut self, take: &mut dyn FnMut(Reading)) {
        let held = std::mem::take(&mut self.held);
        (self.returned, self.overlong) = (false, false);
        if self.rules.next(&held, 0).is_some() {
            self.read(&held, take);
        }
        self.held = held;
        self.held.clear();
    }

    fn read(&mut self, segment: &[u8], take: &mut dyn FnMut(Reading)) {
        if segment.len() > LINE_BYTES {
            return;
        }
        match self.rules.read(&plain(segment)) {
            Said::Nothing => {}
            Said::Heading(step) => self.steps.head(step),
            Said::Metrics { step, metrics } => {
                let step = self.steps.of(step, &metrics);
                take(Reading { section: 0, step, time: None, metrics, source: Channel::Stdout });
            }
        }
    }
}

/// What stands after the last carriage return that something follows.
fn last_segment(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|&b| b != b'\r').map_or(0, |last| last + 1);
    let start = memrchr(b'\r', &line[..end]).map_or(0, |at| at + 1);
    &line[start..end]
}
