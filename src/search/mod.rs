//! Who proposes: random, grid and the methods that learn from the trials so far. Pure.

mod axis;
mod bayes;
mod cmaes;
mod engine;
mod front;
mod gp;
mod grid;
mod problem;
mod proposal;
mod random;
mod sobol;
mod standing;
mod taken;
#[cfg(test)]
mod testing;
mod tpe;

pub use bayes::{
    Bayes, Fit, ModelFit, ModelOutlook, Modelled, Outlook, Proposed, Recommended, Scale, standardised,
};
pub use cmaes::Cmaes;
pub use engine::Engine;
pub use front::{hypervolume, pareto, ranks};
pub use grid::{Given, GridOrderError, GridSearch};
pub use problem::{History, Impute, Observation, Outcome, Pending, Problem, Reported, UsedUp};
pub use proposal::{Expected, Hindrance, Proposal, Reason};
pub use random::random;
pub use sobol::{Sobol, SobolSearch};
pub use tpe::Tpe;
