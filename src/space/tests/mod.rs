//! Tests of the room as a whole.

mod grid;
mod samples;
mod spaces;
mod support;
mod vectors;
