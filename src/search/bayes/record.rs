//! What is recorded of a fit, so that it need not be made again: a replay reads it instead.

use serde::{Deserialize, Serialize};

use crate::search::gp::warp::{Bend, Warp};

/// Of the numerics: a fit of another version is only a place to start from.
pub(super) const ENGINE: u32 = 3;

/// The models' hyperparameters as they were fitted. A chain: each fit starts from the last one that was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// [`ENGINE`] when it was made.
    pub engine: u32,
    /// Its place in the chain, from 1.
    pub serial: u32,
    /// How many observations it saw.
    pub count: usize,
    /// One a model.
    pub models: Vec<ModelFit>,
}

/// One model's hyperparameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFit {
    /// What it models.
    pub of: Modelled,
    /// ln of: the weight of each axis (length scale^-2), signal, noise, three trends, and the hint of earlier sweeps if
    /// there are any.
    pub theta: Vec<f64>,
    /// From values to what the model sees.
    pub scale: Scale,
    /// The negative log posterior at theta.
    pub evidence: f64,
    /// What had to be added to the diagonal for the matrix to have a factor.
    pub jitter: f64,
}

/// What a model is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modelled {
    /// An objective, from 0.
    Objective(usize),
    /// A constraint, from 0.
    Constraint(usize),
    /// Whether trials fail.
    Failure,
}

/// From values to what a model sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Of an objective: bent and standardised.
    Objective {
        /// The bend.
        warp: Warp,
        /// What is taken from what earlier sweeps say, ..
        offset: f64,
        /// .. and by what the rest is multiplied, for it to be on this scale; 0 where they are of no use.
        factor: f64,
    },
    /// Of a constraint: the sign stays.
    Constraint(Bend),
    /// Of failures: as they are.
    Failure,
}

impl Scale {
    /// The same, deaf to earlier sweeps.
    pub(super) fn without_hint(&self) -> Scale {
        match self {
            Scale::Objective { warp, .. } => Scale::Objective { warp: *warp, offset: 0.0, factor: 0.0 },
            other => *other,
        }
    }

    /// What the model sees of a value.
    pub(super) fn of(&self, value: f64) -> f64 {
        match self {
            Scale::Objective { warp, .. } => warp.of(value),
            Scale::Constraint(bend) => bend.of(value),
            Scale::Failure => value,
        }
    }

    /// The value that the model sees as this.
    pub(super) fn inverse(&self, seen: f64) -> f64 {
        match self {
            Scale::Objective { warp, .. } => warp.inverse(seen),
            Scale::Constraint(bend) => bend.inverse(seen),
            Scale::Failure => seen,
        }
    }
}

impl Fit {
    /// The fit of a model, if there is one.
    pub(super) fn model(&self, of: Modelled) -> Option<&ModelFit> {
        self.models.iter().find(|model| model.of == of)
    }
}
