//! What may go wrong with a store, by what its caller must do about it.

use std::io;
use std::path::PathBuf;

use super::lock::Held;

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Something else lives there (FAULTS B50).
    #[error("{} holds something that is not a swath store ('{found}'); give an empty or a new directory", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// One of the names in it.
        found: String,
    },
    /// A restore wants an empty one.
    #[error("{} is not empty; give an empty or a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// A file where the directory should be.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Another user's.
    #[error("{} belongs to user {owner}; give a directory of your own", dir.display())]
    NotYours {
        /// The directory.
        dir: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// SQLite's locks are not safe there (F40).
    #[error("{} is on a network file system ({kind}), where a store is not safe; use a local disk", dir.display())]
    Network {
        /// The directory.
        dir: PathBuf,
        /// As the system calls it.
        kind: String,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Nobody else may open the store while it is held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process is the controller: exit code 7 (F08).
    #[error("{0}")]
    Held(Held),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A store that does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Written by a newer swath (F11).
    #[error("{} has format {found}, this swath knows formats up to {known}; use a newer swath", file.display())]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No database of swath's.
    #[error("{} is not a swath store: {why}", file.display())]
    NotAStore {
        /// The database.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Acknowledged entries are gone: exit code 8 (F38).
    #[error(
        "{} lost acknowledged entries: the first lost position is {first_lost}, the last was {last}",
        file.display()
    )]
    Lost {
        /// The database.
        file: PathBuf,
        /// The first position that is missing.
        first_lost: u64,
        /// The last that was acknowledged.
        last: u64,
    },
    /// The mark cannot be read, so that nobody knows whether entries are gone: exit code 8.
    #[error("{}: {why}", file.display())]
    Mark {
        /// The mark.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Others can read what must be secret (S24).
    #[error("{} can be read by others (mode {mode:o}); chmod 600 it if nobody did", file.display())]
    Exposed {
        /// The secret's file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// SQLite refused.
    #[error("{}: {source}", file.display())]
    Sqlite {
        /// The database.
        file: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// Verification found damage: exit code 8.
    #[error("{} is damaged: {why}", file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// The first of it.
        why: String,
    },
    /// The head or the mark could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl OpenError {
    /// Whether this is exit code 8: what was stored is damaged or gone.
    pub fn is_integrity(&self) -> bool {
        matches!(self, OpenError::Lost { .. } | OpenError::Mark { .. } | OpenError::Damaged { .. })
    }
}

/// A batch that was not stored. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full; fold again and go on with what matters (CORE 3).
    #[error("the disk is full: {free} bytes are free, {needed} are needed")]
    Full {
        /// Free bytes needed until everything is taken again.
        needed: u64,
        /// Free bytes now.
        free: u64,
    },
    /// Another process took the store: exit code 7.
    #[error("another process has taken over this store")]
    Fenced,
    /// Anything else: the process must end, exit code 8, and nothing may be tried again.
    #[error("the store cannot be written: {0}")]
    Broken(String),
}

/// A read that gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It took more than 5 s.
    #[error("the read took longer than 5 s and was cut")]
    TooLong,
    /// A stored row is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// SQLite refused.
    #[error("the store cannot be read: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => ReadError::TooLong,
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                ReadError::Damaged(error.to_string())
            }
            _ => ReadError::Sqlite(error),
        }
    }
}

/// A log that does not read back as it was written: this sweep is refused, others load (F39).
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The first bad entry.
    #[error("{log}, event {n} (position {pos}): {why}")]
    Damaged {
        /// Whose log.
        log: super::batch::Log,
        /// Number in the log; 0 for a report.
        n: u64,
        /// Position in the store.
        pos: u64,
        /// What is wrong.
        why: String,
    },
    /// The read itself failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<rusqlite::Error> for FoldError {
    fn from(error: rusqlite::Error) -> Self {
        FoldError::Read(error.into())
    }
}
