//! The data directory: 0700, the user's own, on a local disk, never over something else (FAULTS B50, S24, F40).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::DirError;

/// What else may lie in a directory before its store is made.
const OURS: &[&str] = &["lock", "sock", "token", "machine", "agents", "runs", "logs", "checkpoints", "work"];

/// What to do where the directory is on a network file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkRule {
    /// Refuse.
    Refuse,
    /// The user said that it is all right.
    Allow,
}

/// A directory that may hold a store.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes the directory (0700) or checks the one that is there.
    pub fn prepare(path: &Path, disk: &dyn Disk, network: NetworkRule) -> Result<Self, DirError> {
        let io = |source| DirError::Io { path: path.to_owned(), source };
        make(path).map_err(io)?;
        let meta = fs::metadata(path).map_err(io)?;
        if !meta.is_dir() {
            return Err(DirError::NotADirectory(path.to_owned()));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(DirError::NotYours { dir: path.to_owned(), owner: meta.uid() });
        }
        if let (NetworkRule::Refuse, Some(kind)) = (network, disk.network(path).map_err(io)?) {
            return Err(DirError::Network { dir: path.to_owned(), kind });
        }
        refuse_foreign(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io)?;
        Ok(DataDir(path.to_owned()))
    }

    /// As [`prepare`](DataDir::prepare), for a restore: whatever lies there is in the way.
    pub(super) fn prepare_empty(
        path: &Path,
        disk: &dyn Disk,
        network: NetworkRule,
    ) -> Result<Self, DirError> {
        let io = |source| DirError::Io { path: path.to_owned(), source };
        match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(DirError::NotEmpty(path.to_owned()));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(io(source)),
        }
        DataDir::prepare(path, disk, network)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes names that were created or renamed survive a power cut.
    pub(super) fn sync(&self) -> Result<(), DirError> {
        sync_dir(&self.0).map_err(|source| DirError::Io { path: self.0.clone(), source })
    }
}

/// A new file of mode 0600; one that is there is an error.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// A store that another process makes meanwhile gets its name after what it is made of and before what goes with it:
/// whether it is there has to be asked after the names are read.
fn refuse_foreign(path: &Path) -> Result<(), DirError> {
    let io = |source| DirError::Io { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let known = name.to_str().is_some_and(|name| OURS.contains(&name) || MADE_FIRST.contains(&name));
        if !known && !path.join("store.db").exists() {
            return Err(DirError::Foreign {
                dir: path.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// What a creation that was cut off may have left.
const MADE_FIRST: &[&str] =
    &["secret.new", "secret", "reserve.new", "reserve", "store.db.new", "store.db.new-journal", "mark"];
