//! What a method answers: a point, and why this one.

use crate::space::Point;

/// A point to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Where.
    pub point: Point,
    /// Why there.
    pub reason: Reason,
}

/// How a point was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Drawn from the distributions.
    Random,
    /// The point of this place of the grid's order.
    Grid {
        /// From 0.
        index: u128,
    },
    /// The point of this index of the Sobol sequence: the method's own, or the first trials of one that learns.
    Sobol {
        /// From 0.
        index: u32,
    },
    /// Drawn where good trials are denser than the others.
    Tpe {
        /// Logarithm of the ratio of the two densities there.
        log_ratio: f64,
    },
    /// Drawn from the distribution that the generations have formed.
    Cmaes {
        /// How many generations that were, restarts included.
        generation: u32,
    },
    /// One of the points that were left, found without the method.
    Unused,
}
