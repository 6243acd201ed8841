//! Files.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::reading::Reading;

/// Which files to read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file of `SWATH_METRICS`, created empty before the start; `None`: `collect.json` is off.
    pub metrics: Option<PathBuf>,
    /// The folder of `WANDB_DIR`; `None`: `collect.wandb` is off.
    pub wandb_dir: Option<PathBuf>,
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
}

/// The files of one run that are read while they grow.
pub struct Files;

impl Files {
    /// Opens what is there and watches for the rest. Never fails: what cannot be watched is polled.
    pub fn new(_sources: Sources) -> Files {
        Files
    }
    /// Readable when a file may have changed; `None` where files are polled.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Longest time until the next `ready`: zero while unread bytes are left; `None`: only when `fd` is readable.
    pub fn timeout(&self) -> Option<Duration> {
        None
    }
    /// Reads what has come, a bounded amount.
    pub fn ready(&mut self, _take: &mut dyn FnMut(Reading)) {}
    /// Reads all that is left, after the run's processes have gone.
    pub fn finish(&mut self, _take: &mut dyn FnMut(Reading)) {}
    /// What the W&B logs say.
    pub fn wandb(&self) -> WandbSeen {
        WandbSeen::default()
    }
    /// What the user should hear, each thing once.
    pub fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}
