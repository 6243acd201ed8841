//! A run's folder, `runs/SWEEP-TRIAL.ATTEMPT-FENCE/`, readable by its owner alone, and what lies in it.
//!
//! The fence is in the name since attempts repeat after a restore. No part of the name comes from outside but the
//! sweep's id, which is checked, so no name becomes another path.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::channels;
use super::spec::RunKey;

/// Bytes of the file that takes the last frame when the disk is full.
pub(crate) const RESERVE_BYTES: usize = 64 << 10;

/// Folders kept for later runs.
const SPARES: usize = 16;

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

    /// Takes a spare folder of [`Folder::put_aside`] for this one. False: there is none.
    pub(crate) fn take_spare(&self) -> bool {
        self.spares().any(|spare| fs::rename(spare, &self.path).is_ok())
    }

    /// Removes the folder, but keeps a few, empty but for bell and reserve, for later runs: ext4 gives no inode again
    /// for minutes and looks at each that it may not give, so a thousand short runs would pay for all before them.
    pub fn put_aside(&self) -> io::Result<()> {
        let is_spare = self.is_reserve_unused()?
            && self.clear()?
            && self.spares().any(|spare| fs::rename(&self.path, spare).is_ok());
        if is_spare { Ok(()) } else { self.remove() }
    }

    /// Names that are no run's.
    fn spares(&self) -> impl Iterator<Item = PathBuf> {
        (0..SPARES).map(|i| self.path.with_file_name(format!("spare.{i}")))
    }

    fn is_reserve_unused(&self) -> io::Result<bool> {
        let mut head = [0; 8];
        match File::open(self.reserve()).and_then(|mut reserve| reserve.read_exact(&mut head)) {
            Ok(()) => Ok(head == [0; 8]),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes all but what every run needs again. False: the bell is not there.
    fn clear(&self) -> io::Result<bool> {
        let mut has_bell = false;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let path = entry.path();
            has_bell |= path == self.bell();
            // What the script may write to is never used again: one that escaped could still hold it open.
            if path == self.bell() || path == self.reserve() || self.is_written_anew(&path)? {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(has_bell)
    }

    /// Whether it is a file that the next run's runner writes anew. Only one that is still what a runner made: no link,
    /// and no second name of something else.
    fn is_written_anew(&self, path: &Path) -> io::Result<bool> {
        if path != self.params() && path != self.wandb_config() {
            return Ok(false);
        }
        let about = fs::symlink_metadata(path)?;
        Ok(about.is_file() && about.nlink() == 1)
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

    /// What runners themselves have to say, one file for all beside their folders: empty unless something is wrong.
    pub fn runner_log(&self) -> PathBuf {
        self.path.with_file_name("runner.log")
    }

    /// `SWATH_METRICS`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `SWATH_PARAMS`.
    pub fn params(&self) -> PathBuf {
        self.path.join("params.json")
    }

    /// `WANDB_SWEEP_PARAM_PATH`.
    pub(crate) fn wandb_config(&self) -> PathBuf {
        channels::wandb_parameters_path(&self.path)
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
pub fn is_sweep_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::TempDir;

    #[test]
    fn a_spare_folder_holds_nothing_of_the_run_before_but_what_is_written_anew() {
        let dir = TempDir::new();
        let run = |trial| RunKey { sweep: "q7k2m9xa".into(), trial, attempt: 1, fence: 7 };
        let first = Folder::of(dir.path(), &run(1));
        assert!(!first.take_spare());
        first.create().unwrap();
        fs::write(first.params(), "{}").unwrap();
        fs::write(first.metrics(), "").unwrap();
        let others = dir.path().join("others");
        fs::write(&others, "kept").unwrap();
        std::os::unix::fs::symlink(&others, first.wandb_config()).unwrap();
        fs::create_dir(first.path().join("wandb")).unwrap();
        fs::write(first.path().join("wandb/log"), "x").unwrap();
        first.put_aside().unwrap();
        assert!(!first.path().exists());
        assert_eq!(Folder::list(dir.path()).unwrap(), []);
        let second = Folder::of(dir.path(), &run(2));
        assert!(second.take_spare());
        let mut names: Vec<_> =
            fs::read_dir(second.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["bell", "end", "params.json"]);
        assert_eq!(fs::read(others).unwrap(), b"kept");
        assert!(second.open_bell().is_ok());
        assert_eq!(fs::read(second.reserve()).unwrap(), vec![0; RESERVE_BYTES]);
    }

    #[test]
    fn a_folder_whose_reserve_was_used_is_no_spare() {
        let dir = TempDir::new();
        let folder =
            Folder::of(dir.path(), &RunKey { sweep: "q7k2m9xa".into(), trial: 1, attempt: 1, fence: 7 });
        folder.create().unwrap();
        let mut reserve = fs::read(folder.reserve()).unwrap();
        reserve[0] = 1;
        fs::write(folder.reserve(), reserve).unwrap();
        folder.put_aside().unwrap();
        assert!(!folder.path().exists() && !folder.take_spare());
        folder.put_aside().unwrap();
    }

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
