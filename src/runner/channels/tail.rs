//! Files that are read while they grow: `SWATH_METRICS`, and the transaction logs that appear below `WANDB_DIR`.
//!
//! inotify says when to look: files are watched for changes, folders for new entries. Where it cannot be had, everything
//! is looked at every [`POLL`]. Watching begins [`WATCH_AFTER`] the start: to give up an inotify the kernel takes some
//! 10 ms, which a run that is over by then is spared; what it wrote is read at its end. What is found is not trusted: no symbolic link is followed, only regular files are
//! opened and never in a way that waits, and one call reads a bounded amount of each file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;

use super::environment::too_old_for_live_values;
use super::jsonl::JsonLines;
use super::limits::{FOLDER_ENTRIES, POLL, READ_BYTES, WANDB_FILES, WATCH_AFTER};
use super::notes::Notes;
use super::reading::Reading;
use super::wandb_log::WandbLog;

/// Which files to read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file of `SWATH_METRICS`, which may never come; `None`: `collect.json` is off.
    pub metrics: Option<PathBuf>,
    /// The folder of `WANDB_DIR`; `None`: `collect.wandb` is off.
    pub wandb_dir: Option<PathBuf>,
}

impl Sources {
    fn any(&self) -> bool {
        self.metrics.is_some() || self.wandb_dir.is_some()
    }
}

/// What the transaction logs say of the script's W&B run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WandbSeen {
    /// `.wandb` files found.
    pub files: usize,
    /// The run's id in the last of them.
    pub run_id: Option<String>,
    /// wandb's version, where the log names it.
    pub version: Option<String>,
    /// The exit code the script's client wrote, if it came to that.
    pub exit_code: Option<i32>,
    /// `wandb.config` as the script saw it: names and their values as JSON.
    pub config: BTreeMap<String, String>,
}

/// The files of one run that are read while they grow.
#[derive(Debug)]
pub struct Files {
    sources: Sources,
    /// None: it is not begun.
    watch: Option<Watch>,
    metrics: Grown,
    json: JsonLines,
    logs: Vec<(Grown, WandbLog)>,
    found: BTreeSet<PathBuf>,
    sections: u32,
    seen: WandbSeen,
    /// Bytes were left unread.
    has_more: bool,
    notes: Notes,
}

impl Files {
    /// Reads nothing yet. Never fails: what cannot be watched is polled.
    pub fn new(sources: Sources) -> Files {
        Files {
            metrics: Grown::new(sources.metrics.clone().unwrap_or_default()),
            watch: None,
            json: JsonLines::default(),
            logs: Vec::new(),
            found: BTreeSet::new(),
            sections: 0,
            seen: WandbSeen::default(),
            has_more: false,
            notes: Notes::default(),
            sources,
        }
    }

    /// Readable when a file may have changed; `None` where files are polled.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref()?.fd.as_ref().map(OwnedFd::as_fd)
    }

    /// Longest time until the next [`ready`](Files::ready), since the last one or the start: zero while bytes are left
    /// unread; `None`: only when [`fd`](Files::fd) is readable.
    pub fn timeout(&self) -> Option<Duration> {
        match &self.watch {
            _ if self.has_more => Some(Duration::ZERO),
            Some(watch) => watch.is_incomplete.then_some(POLL),
            None => self.sources.any().then_some(WATCH_AFTER),
        }
    }

    /// Reads what has come, a bounded amount of each file.
    pub fn ready(&mut self, take: &mut dyn FnMut(Reading)) {
        let is_begun = self.watch.is_some();
        let watch = self.watch.get_or_insert_with(Watch::new);
        if !is_begun || watch.has_new_entries() || watch.is_incomplete {
            self.look_around();
        }
        self.has_more = self.read(take);
    }

    /// Reads all that is left, after the run's processes have gone.
    pub fn finish(&mut self, take: &mut dyn FnMut(Reading)) {
        self.look_around();
        // A process that escaped may write for ever: what was there at the first look is what counts. Beside full
        // parts a file may have its last one, a change to its successor, and that one's last.
        let parts = self.unread() / READ_BYTES as u64 + 3;
        for _ in 0..parts {
            if !self.read(take) {
                break;
            }
        }
        self.has_more = false;
        self.json.finish(&mut self.notes, take);
        for (_, log) in &mut self.logs {
            log.finish(take);
        }
    }

    /// What the W&B logs say.
    pub fn wandb(&self) -> &WandbSeen {
        &self.seen
    }

    /// What the user should hear, each thing once.
    pub fn notes(&mut self) -> Vec<String> {
        self.notes.take()
    }

    fn unread(&self) -> u64 {
        self.logs.iter().map(|(grown, _)| grown.unread()).sum::<u64>() + self.metrics.unread()
    }

    /// Reads a part of each file; whether any may have more.
    fn read(&mut self, take: &mut dyn FnMut(Reading)) -> bool {
        let mut has_more = false;
        if self.sources.metrics.is_some() {
            let json = &mut self.json;
            let notes = &mut self.notes;
            has_more |= match self.metrics.next() {
                Next::Bytes(bytes) => {
                    json.feed(&bytes, notes, take);
                    self.metrics.may_have_more(&bytes)
                }
                Next::Anew => {
                    json.finish(notes, take);
                    json.restart();
                    true
                }
                Next::Nothing => false,
            };
        }
        for (grown, log) in &mut self.logs {
            has_more |= match grown.next() {
                Next::Bytes(bytes) => {
                    log.feed(&bytes, &mut self.seen, &mut self.notes, take);
                    grown.may_have_more(&bytes)
                }
                Next::Anew => {
                    log.finish(take);
                    *log = WandbLog::new(self.sections);
                    self.sections += 1;
                    true
                }
                Next::Nothing => false,
            };
        }
        if let Some(note) = self.seen.version.as_deref().and_then(too_old_for_live_values) {
            self.notes.once("old wandb", || note);
        }
        has_more
    }

    /// Opens what is new, and watches it before its content is looked at.
    fn look_around(&mut self) {
        if let Some(path) = &self.sources.metrics {
            if let Some(folder) = path.parent() {
                watch_folder(&mut self.watch, folder);
            }
            self.metrics.open(self.watch.as_mut());
        }
        let Some(folder) = &self.sources.wandb_dir else { return };
        watch_folder(&mut self.watch, folder);
        let folder = folder.join("wandb");
        if !is_folder(&folder) {
            return;
        }
        watch_folder(&mut self.watch, &folder);
        for run in entries(&folder).into_iter().filter(|run| is_run(run) && is_folder(run)) {
            watch_folder(&mut self.watch, &run);
            for log in entries(&run).into_iter().filter(|log| is_log(log)) {
                self.add_log(log);
            }
        }
        for (grown, _) in &mut self.logs {
            grown.open(self.watch.as_mut());
        }
    }

    fn add_log(&mut self, path: PathBuf) {
        if self.found.contains(&path) {
            return;
        }
        if self.logs.len() >= WANDB_FILES {
            self.notes
                .once("logs", || format!("more than {WANDB_FILES} .wandb files; further ones are not read"));
            return;
        }
        self.found.insert(path.clone());
        self.logs.push((Grown::new(path), WandbLog::new(self.sections)));
        self.sections += 1;
        self.seen.files = self.logs.len();
    }
}

fn watch_folder(watch: &mut Option<Watch>, folder: &Path) {
    if let Some(watch) = watch {
        watch.folder(folder);
    }
}

/// A folder's entries in order of name; empty where it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(FOLDER_ENTRIES)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

/// A folder itself, not a link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// `run-DATE_TIME-ID`, `offline-run-DATE_TIME-ID`.
fn is_run(path: &Path) -> bool {
    name(path).is_some_and(|name| name.starts_with("run-") || name.starts_with("offline-run-"))
}

/// `run-ID.wandb`.
fn is_log(path: &Path) -> bool {
    name(path).is_some_and(|name| name.starts_with("run-") && name.ends_with(".wandb"))
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// A file that grows, and how far it was read.
#[derive(Debug)]
struct Grown {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    /// Another file took the path's place: read once this one is at its end.
    successor: Option<File>,
}

enum Next {
    Bytes(Vec<u8>),
    /// It was cut or replaced: what comes is from its start.
    Anew,
    Nothing,
}

impl Grown {
    fn new(path: PathBuf) -> Grown {
        Grown { path, file: None, offset: 0, successor: None }
    }

    /// Opens the file if the path holds another one than before.
    fn open(&mut self, watch: Option<&mut Watch>) {
        let Some(new) = open_regular(&self.path) else { return };
        let identity = |file: &File| file.metadata().ok().map(|found| (found.dev(), found.ino()));
        let newest = self.successor.as_ref().or(self.file.as_ref());
        if newest.is_some_and(|known| identity(known) == identity(&new)) {
            return;
        }
        if let Some(watch) = watch {
            watch.file(&self.path);
        }
        if self.file.is_none() {
            self.file = Some(new);
        } else {
            self.successor = Some(new);
        }
    }

    /// Whether the bytes just read may not be the last ones.
    fn may_have_more(&self, bytes: &[u8]) -> bool {
        bytes.len() == READ_BYTES || self.successor.is_some()
    }

    fn unread(&self) -> u64 {
        let size =
            |file: &Option<File>| file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |m| m.len());
        size(&self.file).saturating_sub(self.offset) + size(&self.successor)
    }

    fn next(&mut self) -> Next {
        let Some(file) = &self.file else { return Next::Nothing };
        // An error is as good as nothing new: it is met again, or the file is gone.
        let size = file.metadata().map_or(self.offset, |found| found.len());
        if size < self.offset {
            self.offset = 0;
            return Next::Anew;
        }
        let mut bytes = vec![0; (size - self.offset).min(READ_BYTES as u64) as usize];
        let count = file.read_at(&mut bytes, self.offset).unwrap_or(0);
        if count > 0 {
            bytes.truncate(count);
            self.offset += count as u64;
            return Next::Bytes(bytes);
        }
        match self.successor.take() {
            Some(successor) => {
                self.file = Some(successor);
                self.offset = 0;
                Next::Anew
            }
            None => Next::Nothing,
        }
    }
}

/// Opens a regular file without following a link at its end and without waiting (a FIFO).
fn open_regular(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    file.metadata().is_ok_and(|found| found.is_file()).then_some(file)
}

/// inotify, or the knowledge that it is not to be had.
#[derive(Debug)]
struct Watch {
    fd: Option<OwnedFd>,
    /// Something is not watched, so it must be polled.
    is_incomplete: bool,
}

impl Watch {
    fn new() -> Watch {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok();
        Watch { is_incomplete: fd.is_none(), fd }
    }

    /// Watches for new entries. A folder that is watched already stays so; one made anew at its place is another one.
    fn folder(&mut self, path: &Path) {
        use inotify::WatchFlags as Flags;
        self.add(path, Flags::CREATE | Flags::MOVED_TO | Flags::ONLYDIR);
    }

    /// Watches for changes of the content.
    fn file(&mut self, path: &Path) {
        self.add(path, inotify::WatchFlags::MODIFY | inotify::WatchFlags::DONT_FOLLOW);
    }

    fn add(&mut self, path: &Path, flags: inotify::WatchFlags) {
        let Some(fd) = &self.fd else { return };
        match inotify::add_watch(fd, path, flags) {
            // What is gone again is found again when its folder tells of it.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(_) => self.is_incomplete = true,
        }
    }

    /// Takes all events; whether one of them was a new entry, or events were lost.
    fn has_new_entries(&self) -> bool {
        let Some(fd) = &self.fd else { return false };
        let news =
            inotify::ReadFlags::CREATE | inotify::ReadFlags::MOVED_TO | inotify::ReadFlags::QUEUE_OVERFLOW;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(fd, &mut buffer);
        let mut found = false;
        while let Ok(event) = events.next() {
            found |= event.events().intersects(news);
        }
        found
    }
}

#[cfg(test)]
mod tests;
