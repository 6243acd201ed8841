//! What is searched: parameters, distributions, assignments, the grid. Pure.

mod parameter;
#[allow(clippy::module_inception)]
mod space;
mod value;

pub use parameter::{Condition, Distribution, Leaf, Step};
pub use space::Space;
pub use value::{Assignment, Value, float_name, named_float};
