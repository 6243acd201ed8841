//! The agent's side of a spool: makes it, starts a runner on it, finds it again, closes it when its runner has died.
//!
//! The spool's lock says whether a runner lives: it goes from the agent to the runner with its descriptor, without a
//! gap, and the kernel frees it when the runner is gone, however that happens. Nobody starts a folder that was found:
//! whoever gets the lock of a spool without an end closes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ended::{Ended, How, Lost};
use super::folder::{Folder, is_sweep_id};
use super::reader::{Entry, SpoolError, SpoolReader};
use super::record::{Record, Started};
use super::spec::{RunKey, Spec};
use super::spool::SpoolWriter;
use super::{frame, processes};
use crate::failpoint;

/// Names this very binary, even when its file was replaced.
pub const OWN_BINARY: &str = "/proc/self/exe";

/// Longest wait for killed processes to go; one that is stuck in the kernel goes when the kernel lets it.
const DEATH: Duration = Duration::from_secs(5);

/// A run's spool with its lock held by this process.
#[derive(Debug)]
pub struct LockedSpool {
    folder: Folder,
    file: File,
}

impl LockedSpool {
    /// The run's folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The file, which holds the lock.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The file, which holds the lock, and its size.
    pub(crate) fn into_file(self) -> io::Result<(File, u64)> {
        let size = self.file.metadata()?.len();
        Ok((self.file, size))
    }
}

/// Makes the folder of `spec`'s run below `runs`, with its spool, frame 0 in it and the lock held. Leaves nothing
/// behind when it fails.
pub fn create_locked(runs: &Path, spec: &Spec) -> io::Result<LockedSpool> {
    if !is_sweep_id(&spec.run.sweep) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a sweep's id is [0-9a-z], at most 64 characters",
        ));
    }
    let folder = Folder::of(&std::path::absolute(runs)?, &spec.run);
    if !folder.take_spare() {
        folder.create()?;
    }
    let spool = write_spec(&folder, spec).inspect_err(|_| {
        // The first error is the one to tell; a folder that stays is closed as one that never started.
        let _ = folder.remove();
    })?;
    failpoint::reach("after_folder");
    Ok(spool)
}

/// Writes frame 0 of a new spool in a folder that is there.
pub(crate) fn write_spec(folder: &Folder, spec: &Spec) -> io::Result<LockedSpool> {
    let (kind, body) = Record::Spec(Box::new(spec.clone())).encode()?;
    if body.len() > frame::MAX_BODY {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the run's spec is larger than 4 MiB"));
    }
    let mut bytes = Vec::with_capacity(frame::HEADER + body.len());
    frame::encode(0, kind, &body, &mut bytes);
    let mut file = new_spool(folder)?;
    file.write_all(&bytes)?;
    Ok(LockedSpool { folder: folder.clone(), file })
}

/// An empty spool with its lock: that of a spare folder, unless somebody still has a hand on it, else a new one.
fn new_spool(folder: &Folder) -> io::Result<File> {
    let path = folder.spool();
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    match options.open(&path) {
        Ok(spare) if spare.try_lock().is_ok() && spare.metadata()?.len() == 0 => return Ok(spare),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.create_new(true).open(&path)?;
    file.try_lock()?;
    Ok(file)
}

/// Takes a spool's lock; `None` while a runner has it. Of a folder without spool: `NotFound`.
pub fn try_lock(folder: &Folder) -> io::Result<Option<LockedSpool>> {
    let file = open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LockedSpool { folder: folder.clone(), file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits in this thread until the runner is gone, and takes the lock. Before this, the runner's pidfd must have been
/// taken ([`hold_runner`]).
pub fn wait_for_lock(folder: &Folder) -> io::Result<LockedSpool> {
    let file = open(folder)?;
    file.lock()?;
    Ok(LockedSpool { folder: folder.clone(), file })
}

/// Holds the runner that wrote `started`, to signal it; `None` when it is gone.
pub fn hold_runner(started: &Started) -> Option<OwnedFd> {
    (started.boot == processes::boot_id()).then(|| processes::hold(started.runner)).flatten()
}

/// Ends a run whose runner is gone: kills what is left of it, cuts what was half written, and writes the end. Of a run
/// that has its end it changes nothing. `run` is what the folder's name says.
pub fn close_orphan(spool: LockedSpool, run: &RunKey) -> Result<Ended, SpoolError> {
    let LockedSpool { folder, file } = spool;
    let failed = |error| SpoolError::Io { path: folder.spool().display().to_string(), error };
    let found = Found::read(&folder, &file, run)?;
    if let Some(ended) = found.ended {
        return Ok(*ended);
    }
    let boot = processes::boot_id();
    let is_other_boot = found.boot.is_some_and(|recorded| recorded != boot);
    if !is_other_boot {
        kill_what_is_left(run, found.started.as_ref());
    }
    let lost = match found.started {
        _ if is_other_boot => Lost::Machine,
        Some(_) => Lost::Runner,
        None => Lost::NeverStarted,
    };
    file.set_len(found.good).map_err(failed)?;
    let mut writer =
        SpoolWriter::new(&folder, file, found.good, found.last_seq).resume(found.reports, found.reserve);
    let ended = Ended { last_seq: found.last_seq, reports: found.reports, ..Ended::of(How::Lost(lost)) };
    writer.end(ended.clone(), &Default::default()).map_err(failed)?;
    Ok(ended)
}

/// What a spool says, read to the end of its good part.
#[derive(Default)]
struct Found {
    boot: Option<String>,
    started: Option<Started>,
    ended: Option<Box<Ended>>,
    reports: u64,
    last_seq: u64,
    good: u64,
    reserve: u64,
}

impl Found {
    fn read(folder: &Folder, file: &File, run: &RunKey) -> Result<Found, SpoolError> {
        let mut reader = SpoolReader::open(folder)?;
        let mut found = Found::default();
        // The lock's holder alone may cut.
        let cut = |offset| {
            let path = || folder.spool().display().to_string();
            file.set_len(offset).map_err(|error| SpoolError::Io { path: path(), error })
        };
        loop {
            match reader.next() {
                // A spool is used again, and a power cut may bring back what an earlier run wrote.
                Ok(Some(Entry { record: Record::Spec(spec), .. })) if spec.run != *run => {
                    cut(0)?;
                    return Ok(Found { boot: Some(spec.boot), ..Found::default() });
                }
                Ok(Some(entry)) => found.take(entry.record),
                Ok(None) => break,
                // What the reserve holds follows the last good frame or is nothing.
                Err(SpoolError::Damaged { offset, .. }) => cut(offset)?,
                Err(error) => return Err(error),
            }
        }
        found.last_seq = reader.last_seq();
        found.good = reader.position().spool_offset();
        found.reserve = reader.position().reserve_offset();
        Ok(found)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Spec(spec) => self.boot = Some(spec.boot),
            Record::Started(started) => self.started = Some(started),
            Record::Report(_) => self.reports += 1,
            Record::Ended(ended) => self.ended = Some(ended),
            Record::Names(_) | Record::SignalSent(_) => {}
        }
    }
}

/// The group first: a program that overwrites its environment has no mark.
fn kill_what_is_left(run: &RunKey, started: Option<&Started>) {
    let deadline = Instant::now() + DEATH;
    loop {
        processes::await_newborn(deadline.saturating_duration_since(Instant::now()));
        let mut killed = started.map(|started| processes::kill_group_of(started.command)).unwrap_or_default();
        killed.extend(processes::kill_marked(run));
        let left = deadline.saturating_duration_since(Instant::now());
        if killed.is_empty() || left.is_zero() {
            return;
        }
        processes::wait_for_all(&killed, left);
    }
}

fn open(folder: &Folder) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).open(folder.spool())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A start that has returned may not show its environment yet; who looks for its mark has to wait for it.
    #[test]
    fn f12_a_process_that_only_just_began_is_told_by_its_mark() {
        let fence = std::process::id().into();
        let run = RunKey { sweep: "newborn1".to_owned(), trial: 1, attempt: 1, fence };
        for _ in 0..30 {
            let mut command = Command::new("sleep");
            command.arg("1000").env("SWATH_RUN", run.display()).env("SWATH_FENCE", fence.to_string());
            let mut child = command.spawn().unwrap();
            kill_what_is_left(&run, None);
            let ended = child.try_wait().unwrap();
            let _ = child.kill();
            assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
        }
    }
}
