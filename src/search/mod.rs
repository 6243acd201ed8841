//! Who proposes: random, grid and the methods that learn from the trials so far. Pure.

mod axis;
mod bayes;
mod gp;
mod grid;
mod problem;
mod proposal;
mod random;
mod sobol;
mod taken;
#[cfg(test)]
mod testing;

pub use bayes::{
    Bayes, Fit, ModelFit, ModelOutlook, Modelled, Outlook, Proposed, Recommended, Scale, standardised,
};
pub use grid::{Given, GridOrderError, GridSearch};
pub use problem::{History, Impute, Observation, Outcome, Pending, Problem, Reported, UsedUp};
pub use proposal::{Expected, Hindrance, Proposal, Reason};
pub use random::random;
pub use sobol::{Sobol, SobolSearch};
