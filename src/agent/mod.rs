//! Slots, GPUs and runs of one machine: launches runners, hands their reports over, adopts what it finds.
//!
//! `core` decides, `shell` carries out. Around them: `home` is the agent's place on disk, `link` its stream, `run` one
//! run's task, `launch` a run's start, `uplink` the way from a spool to messages, `follow` and `kept` what runs printed.

mod core;
mod files;
mod follow;
pub mod gpus;
mod handle;
mod home;
mod kept;
mod launch;
mod link;
mod machine;
mod run;
mod shell;
mod task;
mod uplink;

pub use core::Status;
pub use handle::{AgentHandle, Options, start};
pub use home::note_dead;
pub use machine::Machine;
