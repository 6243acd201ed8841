//! What one run may hand over. Above a limit things are counted and named once, never failed over.

use std::time::Duration;

/// A longer line of stdout or stderr is not parsed.
pub const LINE_BYTES: usize = 64 << 10;
/// A longer line of `SWATH_METRICS` is skipped.
pub(super) const JSON_LINE_BYTES: usize = 1 << 20;
/// Of `SWATH_METRICS` no more than this is read.
pub(super) const JSON_FILE_BYTES: u64 = 1 << 30;
/// Objects nested deeper than this are not read.
pub(super) const JSON_DEPTH: usize = 64;
/// A longer record of a `.wandb` file is skipped.
pub(super) const WANDB_RECORD_BYTES: usize = 64 << 20;
/// `.wandb` files read of one run.
pub(super) const WANDB_FILES: usize = 1_000;
/// Entries of a folder that are looked at in search of them.
pub(super) const FOLDER_ENTRIES: usize = 10_000;
/// Distinct names that lines of stdout may bring, beside the wanted ones.
pub(super) const STDOUT_NAMES: usize = 200;
/// Distinct names a run.
pub(super) const NAMES: usize = 10_000;
/// Bytes of a name.
pub(super) const NAME_BYTES: usize = 256;
/// Rows a second that go on to the store; more are held back and thinned.
pub(super) const ROWS_A_SECOND: u32 = 1_000;
/// Values held back at most before every second row of them goes.
pub(super) const HELD_VALUES: usize = 200_000;
/// Bytes read of one file before the next one has its turn.
pub(super) const READ_BYTES: usize = 256 << 10;
/// After the start, files are watched.
pub(super) const WATCH_AFTER: Duration = Duration::from_millis(50);
/// How often files are looked at where the system does not say that they changed.
pub(super) const POLL: Duration = Duration::from_millis(250);
