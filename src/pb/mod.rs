//! The words of the API as Rust types, and their conversion to and from the pure rooms' own. No logic: any room that
//! touches the wire may use it.

mod generated;

pub use generated::*;
