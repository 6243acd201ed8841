//! Who proposes: random and grid; the model-based methods have their place beside them. Pure.

mod grid;
mod random;

pub use grid::{Given, GridOrderError, GridSearch};
pub use random::random;
