//! Supervises one run: environment, channels, signals, spool.
//!
//! Two sides meet here. `exec` is the runner: a process of its own around one command, which outlives the agent that
//! started it. `adopt` and `reader` are what an agent needs of it: start one, read its spool, find it again, close what
//! a dead one left. They share nothing but the run's folder.

mod adopt;
pub mod channels;
mod collect;
mod course;
mod ended;
mod environment;
pub mod exec;
mod folder;
mod frame;
mod launch;
mod nursery;
mod output;
mod processes;
mod program;
mod reader;
mod record;
mod recorder;
mod signals;
mod silence;
mod spec;
mod spool;
mod streams;
mod supervise;
mod terminal;
#[cfg(test)]
mod testing;
mod thin;
mod usage;

pub use adopt::{LockedSpool, OWN_BINARY, close_orphan, create_locked, hold_runner, try_lock, wait_for_lock};
pub use ended::{Counts, Ended, Fault, How, Lost, StopCause, Usage};
pub use folder::{Folder, is_sweep_id};
pub use nursery::{Nursery, Runner};
pub use output::{Piece, kept_output, move_output, read_output};
pub use processes::boot_id;
pub use reader::{Entry, Position, SpoolError, SpoolReader};
pub use record::{BadRecord, Process, Record, Report, SignalSent, Started};
pub use spec::{FORMAT, RunKey, Silence, Spec, StopSignal};
