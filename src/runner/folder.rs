//! A run's folder, `runs/SWEEP-TRIAL.ATTEMPT-FENCE/`, readable by its owner alone, and what lies in it.
//!
//! The fence is in the name since attempts repeat after a restore. No part of the name comes from outside but the
//! sweep's id, which is checked, so no name becomes another path.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::spec::RunKey;

/// Bytes of the file that takes the last frame when the disk is full.
pub(crate) const RESERVE_BYTES: usize = 64 << 10;

/// Where one run's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder that is there, or soon will be.
    pub fn at(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into() }
    }

    /// The folder of `run` below `runs`.
    pub fn of(runs: &Path, run: &RunKey) -> Folder {
        Folder::at(runs.join(name(run)))
    }

    /// Makes the folder with its bell and reserve. Fails when it is there already.
    pub(crate) fn create(&self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        DirBuilder::new().mode(0o700).create(&self.path)?;
        self.furnish()
    }

    /// Makes bell and reserve in a folder that is there.
    pub(crate) fn furnish(&self) -> io::Result<()> {
        mknodat(CWD, self.bell(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        fs::write(self.reserve(), vec![0; RESERVE_BYTES])
    }

    /// All runs' folders below `runs`, by name; other entries are passed over. No `runs`: none.
    pub fn list(runs: &Path) -> io::Result<Vec<(RunKey, Folder)>> {
        let entries = match fs::read_dir(runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Some(run) = entry.file_name().to_str().and_then(parse_name) {
                found.push((run, Folder::at(entry.path())));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Removes the folder and all in it. One that is gone is no error.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lock, orders and record in one file.
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// The FIFO that gets a byte after each frame.
    pub fn bell(&self) -> PathBuf {
        self.path.join("bell")
    }

    /// Written at the start, so that the last frame has its place on a full disk.
    pub fn reserve(&self) -> PathBuf {
        self.path.join("end")
    }

    /// The run's output, the newest part of it.
    pub fn log(&self) -> PathBuf {
        self.path.join("out.log")
    }

    /// What of it came on stderr; absent while nothing did.
    pub fn error_log(&self) -> PathBuf {
        self.path.join("err.log")
    }

    /// What the runner itself has to say: empty unless something is wrong.
    pub fn runner_log(&self) -> PathBuf {
        self.path.join("runner.log")
    }

    /// `SWATH_METRICS`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `SWATH_PARAMS`.
    pub fn params(&self) -> PathBuf {
        self.path.join("params.json")
    }

    /// The stand-in for `~/.netrc`.
    pub(crate) fn netrc(&self) -> PathBuf {
        self.path.join("netrc")
    }

    /// Opens the bell for reading and writing, without waiting: so it never sees an end, and a full one is no error.
    pub fn open_bell(&self) -> io::Result<File> {
        let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(self.bell())
    }
}

/// `SWEEP-TRIAL.ATTEMPT-FENCE`.
fn name(run: &RunKey) -> String {
    format!("{}-{}.{}-{}", run.sweep, run.trial, run.attempt, run.fence)
}

fn parse_name(text: &str) -> Option<RunKey> {
    let (rest, fence) = text.rsplit_once('-')?;
    let (sweep, rest) = rest.rsplit_once('-')?;
    let (trial, attempt) = rest.split_once('.')?;
    let run = RunKey {
        sweep: sweep.to_owned(),
        trial: trial.parse().ok()?,
        attempt: attempt.parse().ok()?,
        fence: fence.parse().ok()?,
    };
    (is_sweep_id(sweep) && name(&run) == text).then_some(run)
}

/// Whether a text may stand in a path as a sweep's id.
pub(crate) fn is_sweep_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_nothing_else_does() {
        let run = RunKey { sweep: "q7k2m9xa".into(), trial: 17, attempt: 2, fence: 1 << 41 };
        assert_eq!(name(&run), "q7k2m9xa-17.2-2199023255552");
        assert_eq!(parse_name(&name(&run)), Some(run));
        for odd in
            ["", "x", "x-1.1", "../x-1.1-5", "x-01.1-5", "x-1.1-5-", "X-1.1-5", "x-1.1-+5", "a-b-1.1-5"]
        {
            assert_eq!(parse_name(odd), None, "{odd}");
        }
    }
}
