//! What is searched: parameters, distributions, assignments, the grid. Pure.

mod axis;
mod check;
mod combinations;
mod draw;
mod error;
mod grid;
mod parameter;
mod permutation;
mod point;
#[allow(clippy::module_inception)]
mod space;
mod special;
mod stream;
mod value;

#[cfg(test)]
mod tests;

pub use error::{BadDistribution, NotDiscrete, OutsideSpace, SpaceError};
pub use grid::{Count, Grid, Shuffled};
pub use parameter::{Condition, Distribution, Leaf, Step};
pub use point::{Coordinate, Point};
pub use space::Space;
pub use special::{normal_cdf, normal_quantile};
pub use stream::{stream, uniform};
pub use value::{Assignment, Value, float_name, named_float};
