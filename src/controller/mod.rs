//! Owns the live sweeps: decides, stores, publishes; places runs on agents. The only writer of the store.
//!
//! One thread owns everything that changes (`core`); others send it messages through [`Handle`] and hear of an effect
//! only once it is on the disk.

mod handle;
mod mailbox;
mod refused;

pub use handle::{Handle, Stream};
pub use refused::{Problem, Refused, RefusedKind};
