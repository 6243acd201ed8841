//! The words of the API as Rust types, and their conversion to and from the pure rooms' own. No logic: any room that
//! touches the wire may use it.

mod convert;
mod generated;

pub use convert::{BadMessage, RunId, duration, exit, from_timestamp, lost, timestamp};
pub use generated::*;
