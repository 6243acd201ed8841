//! The log on SQLite: one writer, one numbering, nothing acknowledged before it is synced.
//!
//! Start reading at [`Store`]: it appends a [`Batch`] in one transaction with one fsync. [`Readers`] page through what is
//! committed, beside the writer. No async code: the core thread and reader threads call it and wait for the disk.

mod append;
mod backup;
mod batch;
mod chain;
mod checkpoint;
mod dir;
mod disk;
mod error;
mod fold;
mod frame;
mod lock;
mod mark;
mod open;
mod reader;
mod reserve;
mod schema;
#[cfg(test)]
mod tests;
mod verify;

pub use append::{Appended, Store};
pub use backup::{Backup, Restored, backup, restore};
pub use batch::{Batch, Log, Request, StoreBody, StoreEvent, SweepRow, Text, TrialRow, text_ref};
pub use dir::{DataDir, NetworkRule};
pub use disk::{Disk, SystemDisk};
pub use error::{AppendError, DirError, FoldError, LockError, OpenError, ReadError};
pub use fold::{Entry, Reports};
pub use frame::Digest;
pub use lock::{Held, Lock};
pub use open::{Loss, Options};
pub use reader::{LogEvent, Reader, Readers, SweepFilter, TrialFilter, TrialOrder};
pub use verify::{Bad, Verified, read_log, read_sweeps, verify};
