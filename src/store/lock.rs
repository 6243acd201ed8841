//! Who holds the store: a file lock that dies with its process (CORE.md 9).
//!
//! The descriptor is close-on-exec: a child that inherited it would hold the lock after its parent's death.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::dir::DataDir;
use super::error::LockError;

/// The right to open the store of a directory. Given back when dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    dir: DataDir,
    _file: File,
}

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The directory.
    pub dir: PathBuf,
    /// The process; none in the moment before it has written its name.
    pub pid: Option<u32>,
    /// Its machine.
    pub host: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store in {} is held by ", self.dir.display())?;
        match self.pid {
            Some(pid) => write!(f, "process {pid} on {}; end it first, or use another --data-dir", self.host),
            None => f.write_str("another process, which is just starting"),
        }
    }
}

impl Lock {
    /// Takes the lock at once or says who has it.
    pub fn take(dir: &DataDir) -> Result<Lock, LockError> {
        let path = dir.file("lock");
        loop {
            let io = |source| LockError::Io { path: path.clone(), source };
            let file = open(&path).map_err(io)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_at(&file, &path) => {
                    write_owner(&file).map_err(io)?;
                    return Ok(Lock { dir: dir.clone(), _file: file });
                }
                Ok(()) => {} // unlinked or replaced between open and flock: another file is the lock now
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(read_owner(dir, &file))),
                Err(errno) => return Err(io(errno.into())),
            }
        }
    }

    /// Whose lock it is.
    pub fn dir(&self) -> &DataDir {
        &self.dir
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

fn write_owner(file: &File) -> io::Result<()> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    file.set_len(0)?;
    file.write_all_at(format!("{}\n{host}\n{}\n", std::process::id(), boot.trim()).as_bytes(), 0)
}

fn read_owner(dir: &DataDir, file: &File) -> Held {
    let mut bytes = [0; 512];
    let length = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..length]);
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.parse().ok());
    Held { dir: dir.path().to_owned(), pid, host: lines.next().unwrap_or_default().to_owned() }
}
