//! Channels: how metrics leave an unmodified training script.
//!
//! ```text
//! stdout, stderr --pipe--> LineReader (one a stream) --+
//! SWATH_METRICS  --file--> Files: json lines       --+--> Reading --> Merge --> Row --> spool
//! W&B offline    --file--> Files: transaction log  --+
//! ```
//!
//! A reader turns bytes into [`Reading`]s: one step of one channel, steps numbered by that channel's own rule.
//! [`Merge`] makes one series a name out of them, keeps the limits, and says what was dropped. Nothing here has a
//! thread or reads a clock: the runner's loop polls [`Files::fd`] beside its pipes and passes the time in.
//! Bytes, lines, files and names are hostile: each has a limit, and none can make a reader fail or wait.

mod environment;
mod json;
mod jsonl;
mod limits;
mod merge;
mod notes;
mod reading;
mod stdout;
mod tail;
#[cfg(test)]
mod testing;
mod wandb_log;

pub use environment::{Changes, WandbRun, no_report, wandb_environment, wandb_parameters_path};
pub use limits::*;
pub use merge::{Dropped, Merge, Row};
pub use reading::{Channel, Reading};
pub use stdout::{LineReader, LineRules, PatternError};
pub use tail::{Files, Sources, WandbSeen};
