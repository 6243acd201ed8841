//! The command's output: logs of bounded size, and its last lines.
//!
//! A log is two files of half the limit: `out.log`, and before it `out.log.N`, the N-th half that was filled. So byte
//! `b` of the whole output lies in half `b / half`, and a reader finds it without any index. Bytes are stored as they
//! came. What the disk has no room for is counted. `out.log` has both streams in the order of their reading, `err.log`
//! what came on stderr once more; each is made by its first byte.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::collect::{STDERR, StreamId};
use super::folder::Folder;

const TAIL_BYTES: usize = 4 << 10;
const TAIL_LINES: usize = 20;

/// What a run's output is written to.
#[derive(Debug)]
pub(crate) struct Logs {
    all: Log,
    stderr: Log,
}

impl Logs {
    /// `limit`: bytes kept.
    pub(crate) fn new(folder: &Folder, limit: u64) -> Logs {
        Logs { all: Log::new(folder.log(), limit), stderr: Log::new(folder.error_log(), limit / 4) }
    }

    pub(crate) fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        self.all.write(bytes);
        if stream == STDERR {
            self.stderr.write(bytes);
        }
    }

    /// Bytes that were lost to a full disk.
    pub(crate) fn dropped(&self) -> u64 {
        self.all.dropped
    }
}

/// Writes one log.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    half: u64,
    filled: u64,
    halves: u64,
    dropped: u64,
}

impl Log {
    fn new(path: PathBuf, limit: u64) -> Log {
        Log { path, file: None, half: (limit / 2).max(1), filled: 0, halves: 0, dropped: 0 }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == self.half {
                self.rotate();
            }
            let room = (self.half - self.filled).min(bytes.len() as u64) as usize;
            let Some(n) = self.write_some(&bytes[..room]) else {
                self.dropped += bytes.len() as u64;
                return;
            };
            self.filled += n as u64;
            bytes = &bytes[n..];
        }
    }

    fn write_some(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.file.is_none() {
            self.file = open(&self.path).ok();
        }
        loop {
            match self.file.as_mut()?.write(bytes) {
                Ok(0) => return None,
                Ok(n) => return Some(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn rotate(&mut self) {
        if let Some(before) = self.halves.checked_sub(1) {
            let _ = fs::remove_file(full_half(&self.path, before));
        }
        // Where the name cannot change, the new half overwrites the old one: bounded all the same.
        let _ = fs::rename(&self.path, full_half(&self.path, self.halves));
        self.halves += 1;
        self.filled = 0;
        self.file = open(&self.path).ok();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// `out.log.3`.
fn full_half(log: &Path, number: u64) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    log.with_file_name(name)
}

/// A piece of a run's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in the whole output: beyond what was asked for where that is no longer kept.
    pub offset: u64,
    /// Its bytes; none at the end so far.
    pub bytes: Vec<u8>,
}

/// Which bytes of a run's output are kept in `log`.
pub fn kept_output(log: &Path) -> io::Result<Range<u64>> {
    steadily(log, |full| {
        let (oldest, current) = bounds(full);
        Ok(oldest..current + size_of(log)?)
    })
}

/// Reads up to `most` bytes of a run's output from `offset` on, while its runner may be writing.
pub fn read_output(log: &Path, offset: u64, most: usize) -> io::Result<Piece> {
    steadily(log, |full| read_at(log, full, offset, most))
}

/// Looks again where a rotation has moved the files meanwhile.
fn steadily<T>(log: &Path, look: impl Fn(Option<FullHalf>) -> io::Result<T>) -> io::Result<T> {
    loop {
        let full = last_full_half(log)?;
        let seen = look(full);
        if last_full_half(log)? == full {
            return seen;
        }
    }
}

/// The full half that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FullHalf {
    number: u64,
    size: u64,
}

fn last_full_half(log: &Path) -> io::Result<Option<FullHalf>> {
    let name = log.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut last = None;
    for entry in fs::read_dir(log.parent().unwrap_or(log))? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|half| {
            let number = half.strip_prefix(name)?.strip_prefix('.')?;
            number.parse::<u64>().ok()
        });
        if let Some(number) = number {
            // One that is gone meanwhile has a successor.
            let size = entry.metadata().map_or(0, |about| about.len());
            last = last.max(Some(FullHalf { number, size }));
        }
    }
    Ok(last)
}

/// Where the full half begins in the whole output, and where the current one does.
fn bounds(full: Option<FullHalf>) -> (u64, u64) {
    full.map_or((0, 0), |half| (half.number * half.size, (half.number + 1) * half.size))
}

fn size_of(file: &Path) -> io::Result<u64> {
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        about => Ok(about?.len()),
    }
}

fn read_at(log: &Path, full: Option<FullHalf>, offset: u64, most: usize) -> io::Result<Piece> {
    let (oldest, current) = bounds(full);
    let offset = offset.max(oldest);
    let mut bytes = Vec::new();
    if let Some(half) = full.filter(|_| offset < current) {
        read_from(&full_half(log, half.number), offset - oldest, most, &mut bytes)?;
    }
    let at = offset + bytes.len() as u64;
    if at >= current {
        read_from(log, at - current, most - bytes.len(), &mut bytes)?;
    }
    Ok(Piece { offset, bytes })
}

fn read_from(file: &Path, at: u64, most: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        file => {
            let mut file = file?;
            file.seek(SeekFrom::Start(at))?;
            file.take(most as u64).read_to_end(bytes)?;
        }
    }
    Ok(())
}

/// Moves a run's logs into another folder. `out.log` goes last: while it is there, a reader reads here.
pub fn move_output(from: &Folder, to: &Folder) -> io::Result<()> {
    let mut names: Vec<_> = match fs::read_dir(from.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?,
    };
    names.retain(|name| {
        let name = name.to_str().unwrap_or_default();
        ["out.log", "err.log"]
            .iter()
            .any(|log| name.strip_prefix(log).is_some_and(|n| n.is_empty() || n.starts_with('.')))
    });
    names.sort_by_key(|name| name == "out.log");
    if !names.is_empty() {
        fs::create_dir_all(to.path())?;
    }
    names.iter().try_for_each(|name| fs::rename(from.path().join(name), to.path().join(name)))
}

/// The end of the output, kept in memory: it is there when the disk was full.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let keep = &bytes[bytes.len().saturating_sub(2 * TAIL_BYTES)..];
        self.is_cut |= keep.len() < bytes.len();
        self.bytes.extend_from_slice(keep);
        if self.bytes.len() > 8 * TAIL_BYTES {
            self.is_cut = true;
            self.bytes.drain(..self.bytes.len() - 2 * TAIL_BYTES);
        }
    }

    /// The last lines, of a progress bar its last state, as text of at most 20 lines and 4 KiB. A line that is cut
    /// begins with `[cut] `.
    pub(crate) fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(2 * TAIL_BYTES);
        let text = String::from_utf8_lossy(&self.bytes[from..]);
        let is_cut = self.is_cut || from > 0;
        let mut lines: Vec<&str> = text.trim_end_matches(['\n', '\r']).split('\n').collect();
        let whole = lines.len() <= TAIL_LINES;
        lines.drain(..lines.len().saturating_sub(TAIL_LINES));
        let mut out = String::new();
        for (i, line) in lines.iter().enumerate() {
            let line = line.trim_end_matches('\r');
            let shown = line.rsplit('\r').next().unwrap_or(line);
            if i > 0 {
                out.push('\n');
            } else if whole && is_cut && shown.len() == line.len() {
                out.push_str(CUT);
            }
            out.push_str(shown);
        }
        shorten(out)
    }
}

const CUT: &str = "[cut] ";

fn shorten(text: String) -> String {
    if text.len() <= TAIL_BYTES {
        return text;
    }
    let mut from = text.len() - (TAIL_BYTES - CUT.len());
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mark = if text.as_bytes()[from - 1] == b'\n' { "" } else { CUT };
    format!("{mark}{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::TempDir;

    #[test]
    fn the_tail_is_the_last_twenty_lines() {
        let mut tail = Tail::default();
        for line in 0..10_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        let expected: Vec<String> = (9_980..10_000).map(|line| format!("line {line}")).collect();
        assert_eq!(tail.text(), expected.join("\n"));
    }

    #[test]
    fn a_line_without_end_is_cut_with_a_mark() {
        let mut tail = Tail::default();
        tail.push(&vec![b'x'; 1 << 20]);
        tail.push("é".repeat(50_000).as_bytes());
        let text = tail.text();
        assert!(
            text.len() <= TAIL_BYTES && text.starts_with("[cut] é"),
            "{} bytes: {:?}",
            text.len(),
            &text[..20]
        );
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_shown() {
        let mut tail = Tail::default();
        tail.push(b"start\r\n10%\r50%\r100%\r\ndone \xff\n");
        assert_eq!(tail.text(), "start\n100%\ndone \u{fffd}");
    }

    #[test]
    fn the_log_keeps_the_newest_half_to_whole_of_its_limit() {
        let dir = TempDir::new();
        let folder = Folder::at(dir.path());
        let log = folder.log();
        let mut logs = Logs::new(&folder, 20);
        assert_eq!(read_output(&log, 0, 9).unwrap(), Piece { offset: 0, bytes: Vec::new() });
        logs.write(0, b"0123456789abcdefghijABCDEFGHIJ___");
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(fs::read(dir.path().join("out.log.2")).unwrap(), b"ABCDEFGHIJ");
        assert_eq!(fs::read(&log).unwrap(), b"___");
        assert_eq!(kept_output(&log).unwrap(), 20..33);
        for (offset, most, found, text) in [
            (0, 99, 20, "ABCDEFGHIJ___"),
            (25, 2, 25, "FG"),
            (28, 3, 28, "IJ_"),
            (30, 99, 30, "___"),
            (32, 99, 32, "_"),
            (33, 99, 33, ""),
        ] {
            let piece = read_output(&log, offset, most).unwrap();
            assert_eq!(piece, Piece { offset: found, bytes: text.as_bytes().to_vec() });
        }
    }

    #[test]
    fn stderr_is_kept_once_more_apart() {
        let dir = TempDir::new();
        let folder = Folder::at(dir.path());
        let mut logs = Logs::new(&folder, 1 << 20);
        logs.write(0, b"out\n");
        assert!(!folder.error_log().exists());
        logs.write(STDERR, b"err\n");
        assert_eq!(fs::read(folder.log()).unwrap(), b"out\nerr\n");
        assert_eq!(fs::read(folder.error_log()).unwrap(), b"err\n");
    }
}
