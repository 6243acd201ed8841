//! W&B's transaction log, `run-ID.wandb`: what `wandb` writes offline.
//!
//! [`blocks`] undoes the framing (LevelDB's log blocks with a checksum of their own), [`records`] names the protobuf
//! messages and their fields, [`log`] makes readings of them. Bytes are fed as the file grows; a part of a chunk waits.

mod blocks;
mod log;
mod records;
#[cfg(test)]
mod tests;

pub(super) use log::WandbLog;
