//! Who proposes: random, grid and the methods that learn from the trials so far. Pure.

mod grid;
mod problem;
mod random;

pub use grid::{Given, GridOrderError, GridSearch};
pub use problem::{History, Impute, Observation, Outcome, Pending, Problem, Reported, UsedUp};
pub use random::random;
