//! What a method answers: a point, and why this one.

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// The centre of the space: the first trial of a method that learns.
    Centre,
    /// Where the models expect most.
    Model {
        /// The acquisition function there.
        acquisition: f64,
        /// What is expected of each objective.
        expected: Vec<Expected>,
        /// Whether knowledge was sought rather than a better value, because many trials are pending.
        exploring: bool,
    },
    /// Drawn from the distributions, because the models could not be used.
    Fallback {
        /// What was in the way.
        why: Hindrance,
    },
    /// One of the points that were left, found without the method.
    Unused,
}

/// What is expected of a value, in its own unit (to be minimised).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The mean; where values are bent for the model, that of the bent values brought back.
    pub mean: f64,
    /// The standard deviation, as far as one number can tell it.
    pub sd: f64,
}

/// Why models could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Hindrance {
    /// No hyperparameters explain the values.
    #[error("no fit of the model succeeded")]
    Fit,
    /// A covariance matrix stayed without a factor, with the most jitter too.
    #[error("a covariance matrix is not positive definite, with jitter too")]
    Factor,
    /// They took too long.
    #[error("the models took too long")]
    Slow,
    /// The values are beyond what floating point can standardise.
    #[error("values are too large to be modelled")]
    Values,
}
