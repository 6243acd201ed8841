//! Owns the live sweeps: decides, stores, publishes; places runs on agents. The only writer of the store.
//!
//! One thread owns everything that changes (`core`); others send it messages through [`Handle`] and hear of an effect
//! only once it is on the disk.

mod agents;
mod ask;
mod beliefs;
mod budgets;
mod callers;
mod changes;
mod clock;
mod core;
mod create;
mod directory;
mod draw;
mod feed;
mod fleet;
mod handle;
mod keepers;
mod lessons;
mod links;
mod loaded;
mod logs;
mod mailbox;
mod pending;
mod placement;
mod readers;
mod reasons;
mod rebuild;
mod recovery;
mod refused;
mod request;
mod row;
#[cfg(test)]
mod sim;
mod start;
mod status;
mod suggest;
mod tell;
#[cfg(test)]
mod tests;
mod watch;
mod words;

pub use handle::{Handle, Stream};
pub use refused::{Problem, Refused, RefusedKind};
pub use start::{Controller, Ended, Options, StartError, start};
