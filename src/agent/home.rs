//! The agent's place on disk: `work/STORE/MACHINE/`, which the agents of one store, machine and user share.
//!
//! ```text
//! runs/SWEEP-TRIAL.ATTEMPT-FENCE/   a run's folder (see `runner`)
//! agents/ID.lock                    held locked while agent ID lives
//! agents/ID.runs/NAME               a claim: the run's folder belongs to agent ID
//! logs/NAME/                        the newest part of the output of a run whose folder is gone
//! checkpoints/SWEEP/TRIAL/          kept across the trial's attempts
//! epoch                             the highest epoch of the store that an agent here has seen
//! ```
//!
//! A claim is made before its folder and goes after it, and passes to an heir by a rename, so that no folder is ever
//! nobody's. The kernel gives a dead agent's lock to one of those that wait for it; the heir keeps the lock until the
//! controller has answered a hello that names the dead one, and only then buries it: an heir that dies before has an
//! heir of both.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::files;
use crate::runner::{self, Folder, RunKey};

/// Why an agent cannot work in a folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("{what} {path}: {error}")]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("agent {0} lives already: give this one another id, or end that one")]
    Alive(String),
    #[error(
        "the controller is of epoch {now}, and epoch {seen} of this store was seen here: an older copy of it?"
    )]
    OldEpoch { now: u32, seen: u32 },
    #[error("'{0}' cannot name a folder: ids have letters, digits, - and _, at most 64")]
    Name(String),
}

/// The place of one agent, whose lock it holds.
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
    agent: String,
    _lock: File,
    /// Locks of dead agents whose heir this one is, until they are buried.
    inherited: BTreeMap<String, File>,
}

/// A dead agent's lock, which this process got.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) agent: String,
    lock: File,
}

impl Home {
    /// Takes agent `agent`'s place in the store's folder below `work`.
    pub(crate) fn enter(work: &Path, store: &str, machine: &str, agent: &str) -> Result<Home, HomeError> {
        for name in [store, machine, agent] {
            check_name(name)?;
        }
        let root = work.join(store).join(machine);
        let claims = root.join("agents").join(format!("{agent}.runs"));
        for folder in [root.join("runs"), root.join("logs"), root.join("checkpoints"), claims] {
            make_folder(&folder)?;
        }
        let path = lock_path(&root, agent);
        loop {
            let lock = open_lock(&path).map_err(failed("opening", &path))?;
            match lock.try_lock() {
                Ok(()) if is_at(&lock, &path) => {
                    return Ok(Home {
                        root,
                        agent: agent.to_owned(),
                        _lock: lock,
                        inherited: BTreeMap::new(),
                    });
                }
                // Somebody buried an agent of this name in between.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(HomeError::Alive(agent.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed("locking", &path)(error)),
            }
        }
    }

    /// Remembers the epoch, unless a higher one was seen.
    pub(crate) fn remember(&self, epoch: u32) -> Result<(), HomeError> {
        let path = self.root.join("epoch");
        let seen = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("reading", &path)(error)),
        };
        if epoch < seen {
            return Err(HomeError::OldEpoch { now: epoch, seen });
        }
        if epoch > seen {
            files::replace(&path, epoch.to_string().as_bytes()).map_err(failed("writing", &path))?;
        }
        Ok(())
    }

    /// Where all runs' folders lie, other agents' too.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The trial's own folder.
    pub(crate) fn checkpoints(&self, run: &RunKey) -> PathBuf {
        self.root.join("checkpoints").join(&run.sweep).join(run.trial.to_string())
    }

    /// The file that is locked while this agent lives.
    pub(crate) fn lock_path(&self) -> PathBuf {
        lock_path(&self.root, &self.agent)
    }

    /// Makes a folder this agent's before it is there. A claim is another name of the agent's lock file: no inode is made
    /// and dropped for it, which ext4 makes dear when trials are short.
    pub(crate) fn claim(&self, folder: &Folder) -> io::Result<()> {
        let claim = self.claim_of(folder);
        match fs::hard_link(self.lock_path(), &claim) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => File::create(claim).map(drop),
            _ => Ok(()),
        }
    }

    /// Where the output of runs that are over is kept.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Where a run's output is kept when its folder is gone.
    pub(crate) fn kept(&self, folder: &Folder) -> Folder {
        Folder::at(self.logs().join(folder.path().file_name().unwrap_or_default()))
    }

    /// Removes a folder, or keeps it for a later run, but for its output; then its claim.
    pub(crate) fn forget(&self, folder: &Folder) -> io::Result<()> {
        runner::move_output(folder, &self.kept(folder))?;
        folder.put_aside()?;
        match fs::remove_file(self.claim_of(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn claim_of(&self, folder: &Folder) -> PathBuf {
        self.claims(&self.agent).join(folder.path().file_name().unwrap_or_default())
    }

    fn claims(&self, agent: &str) -> PathBuf {
        self.root.join("agents").join(format!("{agent}.runs"))
    }

    /// The folders that this agent has claimed. A claim whose folder never came is dropped.
    pub(crate) fn claimed(&self) -> io::Result<Vec<(RunKey, Folder)>> {
        let folders = Folder::list(&self.runs())?;
        for entry in fs::read_dir(self.claims(&self.agent))? {
            let entry = entry?;
            if !self.runs().join(entry.file_name()).exists() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(folders.into_iter().filter(|(_, folder)| self.claim_of(folder).exists()).collect())
    }

    /// The other agents that have a lock here, alive or dead.
    pub(crate) fn peers(&self) -> io::Result<Vec<String>> {
        let mut peers = Vec::new();
        for entry in fs::read_dir(self.root.join("agents"))? {
            let name = entry?.file_name();
            let agent = name.to_str().and_then(|name| name.strip_suffix(".lock"));
            peers.extend(agent.filter(|agent| *agent != self.agent).map(str::to_owned));
        }
        peers.sort();
        Ok(peers)
    }

    /// Where another agent's lock lies, if that can be its name.
    pub(crate) fn peer_lock(&self, agent: &str) -> Option<PathBuf> {
        (check_name(agent).is_ok() && agent != self.agent).then(|| lock_path(&self.root, agent))
    }

    /// Takes over what a dead agent held: returns its runs.
    pub(crate) fn inherit(&mut self, estate: Estate) -> io::Result<Vec<(RunKey, Folder)>> {
        let theirs = self.claims(&estate.agent);
        let mut names = Vec::new();
        match fs::read_dir(&theirs) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry?.file_name();
                    fs::rename(theirs.join(&name), self.claims(&self.agent).join(&name))?;
                    names.push(name);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.inherited.insert(estate.agent, estate.lock);
        let mut claimed = self.claimed()?;
        claimed.retain(|(_, folder)| names.iter().any(|name| folder.path().file_name() == Some(name)));
        Ok(claimed)
    }

    /// Removes what dead agents left, now that the controller knows who speaks for them.
    pub(crate) fn bury(&mut self) {
        for (agent, lock) in std::mem::take(&mut self.inherited) {
            // What cannot be removed is inherited once more, which changes nothing.
            let _ = fs::remove_dir(self.claims(&agent));
            let _ = fs::remove_file(lock_path(&self.root, &agent));
            drop(lock);
        }
    }

    /// Leaves no trace of an agent that holds nothing any more.
    pub(crate) fn leave(self) {
        if self.inherited.is_empty() && fs::remove_dir(self.claims(&self.agent)).is_ok() {
            let _ = fs::remove_file(self.lock_path());
        }
    }
}

/// Notes agents that the store of a new directory waits for and that will never come to it. Whoever is the first agent
/// there speaks for them, as for any dead one, and has nothing of theirs: their runs are lost at once.
pub fn note_dead(
    work: &Path,
    store: u64,
    machine: &str,
    agents: impl IntoIterator<Item = String>,
) -> io::Result<()> {
    let root = work.join(format!("{store:016x}")).join(machine);
    for agent in agents.into_iter().filter(|agent| check_name(agent).is_ok()) {
        DirBuilder::new().recursive(true).mode(0o700).create(root.join("agents"))?;
        open_lock(&lock_path(&root, &agent))?;
    }
    Ok(())
}

/// Waits in this thread until the lock at `path` is free: its agent is dead. None: nothing is left of that agent.
pub(crate) fn wait_for_death(agent: &str, path: &Path) -> Option<Estate> {
    let lock = File::options().read(true).write(true).open(path).ok()?;
    lock.lock().ok()?;
    is_at(&lock, path).then(|| Estate { agent: agent.to_owned(), lock })
}

/// The same without waiting.
pub(crate) fn is_dead(agent: &str, path: &Path) -> Option<Estate> {
    let lock = File::options().read(true).write(true).open(path).ok()?;
    lock.try_lock().ok()?;
    is_at(&lock, path).then(|| Estate { agent: agent.to_owned(), lock })
}

fn check_name(name: &str) -> Result<(), HomeError> {
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_name { Ok(()) } else { Err(HomeError::Name(name.to_owned())) }
}

fn lock_path(root: &Path, agent: &str) -> PathBuf {
    root.join("agents").join(format!("{agent}.lock"))
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether the opened file is still the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(opened), Ok(there)) => (opened.dev(), opened.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn make_folder(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("making", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError + use<> {
    let path = path.to_owned();
    move |error| HomeError::Io { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("swath-home-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn run(trial: u32) -> RunKey {
        RunKey { sweep: "q7k2m9xa".to_owned(), trial, attempt: 1, fence: 9 }
    }

    #[test]
    fn f60_another_store_or_machine_is_another_place() {
        let work = work("f60");
        let home = Home::enter(&work, "s", "m", "a").unwrap();
        let folder = Folder::of(&home.runs(), &run(1));
        home.claim(&folder).unwrap();
        fs::create_dir(folder.path()).unwrap();
        for (store, machine) in [("t", "m"), ("s", "n")] {
            let other = Home::enter(&work, store, machine, "a").unwrap();
            assert!(other.claimed().unwrap().is_empty());
            assert!(other.peers().unwrap().is_empty());
        }
        assert_eq!(home.claimed().unwrap().len(), 1);
        fs::remove_dir_all(&work).unwrap();
    }

    #[test]
    fn a_dead_agents_runs_pass_to_its_heir_and_to_the_heirs_heir() {
        let work = work("heir");
        let first = Home::enter(&work, "s", "m", "a").unwrap();
        let folder = Folder::of(&first.runs(), &run(1));
        first.claim(&folder).unwrap();
        fs::create_dir(folder.path()).unwrap();
        let mut second = Home::enter(&work, "s", "m", "b").unwrap();
        let lock = second.peer_lock("a").unwrap();
        assert!(is_dead("a", &lock).is_none(), "it lives");
        assert!(matches!(Home::enter(&work, "s", "m", "a"), Err(HomeError::Alive(_))));
        drop(first);
        let estate = wait_for_death("a", &lock).unwrap();
        assert_eq!(second.inherit(estate).unwrap(), [(run(1), folder.clone())]);
        drop(second); // dies before it could bury
        let mut third = Home::enter(&work, "s", "m", "c").unwrap();
        let mut runs = Vec::new();
        for agent in third.peers().unwrap() {
            let estate = is_dead(&agent, &third.peer_lock(&agent).unwrap()).unwrap();
            runs.extend(third.inherit(estate).unwrap());
        }
        assert_eq!(runs, [(run(1), folder.clone())]);
        third.bury();
        assert!(third.peers().unwrap().is_empty());
        third.forget(&folder).unwrap();
        third.leave();
        let left: Vec<_> = fs::read_dir(work.join("s/m/agents")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        fs::remove_dir_all(&work).unwrap();
    }

    #[test]
    fn a_lower_epoch_of_the_store_is_refused() {
        let work = work("epoch");
        let home = Home::enter(&work, "s", "m", "a").unwrap();
        home.remember(4).unwrap();
        home.remember(4).unwrap();
        assert!(matches!(home.remember(3), Err(HomeError::OldEpoch { now: 3, seen: 4 })));
        home.remember(5).unwrap();
        fs::remove_dir_all(&work).unwrap();
    }

    #[test]
    fn names_from_outside_never_become_other_paths() {
        let work = work("names");
        for name in ["", "..", "a/b", "a.b", &"x".repeat(65)] {
            assert!(matches!(Home::enter(&work, name, "m", "a"), Err(HomeError::Name(_))), "{name}");
        }
        assert!(!work.exists());
    }
}
