//! What a method is asked about, and what it sees of the past.
//!
//! Everything here minimises: whoever builds a [`Problem`] negates the values of objectives to be maximised once, and
//! moves every constraint so that a trial keeps it where the number is at most 0.

use crate::space::{Point, Space};

/// What is searched for.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where.
    pub space: Space,
    /// How many objectives there are; at least one.
    pub objectives: usize,
    /// How many constraints there are.
    pub constraints: usize,
    /// Of the sweep; every random stream is drawn from it.
    pub seed: u64,
    /// What a failed trial counts as.
    pub impute: Impute,
    /// What a running trial counts as; none: it is pending.
    pub impute_while_running: Option<Impute>,
}

/// The value that stands for one that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Impute {
    /// The worst finite value of all trials that ended.
    #[default]
    Worst,
    /// The trial's own best value so far.
    Best,
    /// The trial's own last value so far.
    Latest,
}

/// A trial that ended, in the order in which the ends were told.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its number; foreign ones (of another sweep) have none.
    pub trial: Option<u32>,
    /// Where it was.
    pub point: Point,
    /// What came out.
    pub outcome: Outcome,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has a finite value of every objective; where it was stopped, of one at least.
    Measured {
        /// To be minimised, one an objective; NaN: it was stopped before it came to it.
        objectives: Box<[f64]>,
        /// Kept where at most 0; NaN: missing, so not kept.
        constraints: Box<[f64]>,
        /// Whether a stopping rule cut it short: its values are what it would have reached, as far as the rule tells.
        stopped: bool,
    },
    /// Its configuration failed.
    Failed(Reported),
}

/// What a trial reported of the first objective on its way, to be minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reported {
    /// The smallest finite value.
    pub best: Option<f64>,
    /// The last finite value.
    pub last: Option<f64>,
}

/// A trial that was proposed and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its number.
    pub trial: u32,
    /// Where it is.
    pub point: Point,
    /// What it reported so far.
    pub reported: Reported,
}

/// The past at a proposal.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Trials that ended, as their ends were told; trials whose failure says nothing of their point are not among them.
    pub observations: &'a [Observation],
    /// Trials that have not, by number.
    pub pending: &'a [Pending],
}

impl<'a> History<'a> {
    /// The points of all trials, finished or not.
    pub fn points(&self) -> impl Iterator<Item = &'a Point> + use<'a> {
        let ended = self.observations.iter().map(|observation| &observation.point);
        ended.chain(self.pending.iter().map(|pending| &pending.point))
    }
}

/// Every point of the space was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every point of the space was proposed")]
pub struct UsedUp;
