//! One run's channels, put together: output and files become rows of metrics.
//!
//! Output is looked at behind the log, never before it: up to 8 MiB of it wait here. Beyond that it is counted and not
//! looked at until all that waits is done, so a script that floods its stdout is not slowed down. A line that such a
//! gap cuts is filled up until it is too long to be parsed: two halves of lines never make a number.
//!
//! A reader that panics is put away and noted; the run and the other readers go on.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::channels::{Dropped, Files, LINE_BYTES, LineReader, LineRules, Merge, PatternError, Row, Sources};
use super::folder::Folder;
use super::spec::Spec;
use crate::spec::CollectStdout;

const BACKLOG_BYTES: usize = 8 << 20;
/// Looked at in one go: well below a millisecond's worth.
const PIECE: usize = 8 << 10;

/// Number of a stream: stdout, stderr.
pub(crate) type StreamId = usize;
pub(crate) const STDERR: StreamId = 1;

/// Reads all channels of a run.
pub(crate) struct Collector {
    epoch: Instant,
    lines: Option<[Lines; 2]>,
    backlog: VecDeque<(StreamId, Vec<u8>)>,
    backlog_bytes: usize,
    /// Bytes of the first waiting piece that were looked at.
    looked_at: usize,
    unread: u64,
    files: Files,
    files_at: Instant,
    merge: Merge,
    faults: Vec<String>,
}

struct Lines {
    reader: LineReader,
    skips: bool,
}

impl Collector {
    pub(crate) fn new(spec: &Spec, folder: &Folder, now: Instant) -> Result<Collector, PatternError> {
        let collect = &spec.collect;
        let lines = match &collect.stdout {
            CollectStdout::Off => None,
            on => {
                let rules = LineRules::new(on, &spec.wanted)?;
                Some([0, 1].map(|_| Lines { reader: LineReader::new(rules.clone()), skips: false }))
            }
        };
        let files = Files::new(Sources {
            metrics: collect.json.then(|| folder.metrics()),
            wandb_dir: collect.wandb.then(|| folder.path().to_owned()),
        });
        Ok(Collector {
            epoch: now,
            lines,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            looked_at: 0,
            unread: 0,
            files,
            files_at: now,
            merge: Merge::new(&spec.wanted),
            faults: Vec::new(),
        })
    }

    /// Takes output in, to be looked at later.
    pub(crate) fn output(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(lines) = &mut self.lines else { return };
        let lines = &mut lines[stream];
        if lines.skips {
            let end = bytes.iter().position(|byte| *byte == b'\n').filter(|_| self.backlog_bytes == 0);
            let Some(end) = end else {
                self.unread += bytes.len() as u64;
                return;
            };
            lines.skips = false;
            self.unread += end as u64;
            self.push(stream, bytes[end..].to_vec());
        } else if self.backlog_bytes + bytes.len() > BACKLOG_BYTES {
            lines.skips = true;
            self.unread += bytes.len() as u64;
            self.push(stream, vec![b'x'; LINE_BYTES + 1]);
        } else {
            self.push(stream, bytes.to_vec());
        }
    }

    fn push(&mut self, stream: StreamId, bytes: Vec<u8>) {
        self.backlog_bytes += bytes.len();
        self.backlog.push_back((stream, bytes));
    }

    /// Whether output waits to be looked at.
    pub(crate) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Looks at the next piece of output.
    pub(crate) fn read_lines(&mut self) {
        let (Some((stream, bytes)), Some(lines)) = (self.backlog.front(), &mut self.lines) else { return };
        let piece = &bytes[self.looked_at..bytes.len().min(self.looked_at + PIECE)];
        let merge = &mut self.merge;
        let feed = || lines[*stream].reader.feed(piece, &mut |reading| merge.add(reading));
        if !survives("the output", &mut self.faults, feed) {
            return self.ignore_lines();
        }
        self.looked_at += piece.len();
        self.backlog_bytes -= piece.len();
        if self.looked_at == bytes.len() {
            self.backlog.pop_front();
            self.looked_at = 0;
        }
    }

    /// Readable when a file may have changed.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.files.fd()
    }

    /// When [`Collector::read_files`] and [`Collector::rows`] have something to do, `fd` aside.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let files = self.files.timeout().map(|timeout| self.files_at + timeout);
        let rows = self.merge.due().map(|due| self.epoch + due);
        files.into_iter().chain(rows).min()
    }

    /// Looks at the files: all that `fd` told of, or when their time has come.
    pub(crate) fn read_files(&mut self, is_readable: bool, now: Instant) {
        let is_due = self.files.timeout().is_some_and(|timeout| self.files_at + timeout <= now);
        if is_readable || is_due {
            self.files_at = now;
            let (merge, files) = (&mut self.merge, &mut self.files);
            if !survives("the files", &mut self.faults, || files.ready(&mut |reading| merge.add(reading))) {
                self.files = Files::new(Sources { metrics: None, wandb_dir: None });
            }
        }
    }

    /// The output is passed on, and not looked at any more.
    fn ignore_lines(&mut self) {
        self.lines = None;
        self.unread += self.backlog_bytes as u64;
        self.backlog.clear();
        (self.backlog_bytes, self.looked_at) = (0, 0);
    }

    /// Rows that may go on now.
    pub(crate) fn rows(&mut self, now: Instant) -> Vec<Row> {
        self.merge.rows(self.since(now))
    }

    /// Reads all that is left, after the run's processes have gone, and hands over the last rows.
    pub(crate) fn finish(&mut self) -> Vec<Row> {
        while self.is_behind() {
            self.read_lines();
        }
        let merge = &mut self.merge;
        for lines in self.lines.iter_mut().flatten().filter(|lines| !lines.skips) {
            survives("the output", &mut self.faults, || {
                lines.reader.finish(&mut |reading| merge.add(reading))
            });
        }
        let files = &mut self.files;
        survives("the files", &mut self.faults, || files.finish(&mut |reading| merge.add(reading)));
        self.merge.finish()
    }

    /// Bytes of output that were not looked at.
    pub(crate) fn unread(&self) -> u64 {
        self.unread
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.merge.dropped()
    }

    /// What the user should hear.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        let mut notes = self.files.notes();
        notes.extend(self.merge.notes());
        notes.append(&mut self.faults);
        notes
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
}

/// Runs a reader of `what`. False: it panicked, which is noted; it must not be used again.
fn survives(what: &str, faults: &mut Vec<String>, read: impl FnOnce()) -> bool {
    let survived = catch_unwind(AssertUnwindSafe(read)).is_ok();
    if !survived {
        faults
            .push(format!("a fault inside swath: the reader of {what} failed, and values in it are missed"));
    }
    survived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::{TempDir, a_spec};

    #[test]
    fn a_reader_that_panics_is_noted_and_the_others_go_on() {
        let dir = TempDir::new();
        let folder = Folder::at(dir.path());
        let now = Instant::now();
        std::fs::write(folder.metrics(), "").unwrap();
        let mut collector = Collector::new(&a_spec(&["true"]), &folder, now).unwrap();
        collector.output(0, b"loss=0.5\nloss=");
        collector.read_lines();
        collector.output(0, b"0.25\n");
        assert!(!survives("the output", &mut collector.faults, || panic!("a test's own")));
        collector.ignore_lines();
        assert!(!collector.is_behind());
        collector.output(0, b"loss=0.1\n");
        std::fs::write(folder.metrics(), "{\"acc\": 0.9}\n").unwrap();
        let rows = collector.finish();
        let found: Vec<_> = rows.iter().flat_map(|row| row.metrics.clone()).collect();
        assert_eq!(found, [("loss".to_owned(), 0.5), ("acc".to_owned(), 0.9)]);
        assert_eq!(collector.unread(), 5);
        let notes = collector.notes();
        assert!(notes.iter().any(|note| note.contains("the reader of the output failed")), "{notes:?}");
    }
}
