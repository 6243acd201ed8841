//! Slots, GPUs and runs of one machine: launches runners, hands their reports over, adopts what it finds.

mod core;
mod files;
pub mod gpus;
mod machine;

pub use core::Status;
pub use machine::Machine;
