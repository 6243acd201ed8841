//! The stopping rules: whether a run is worth going on. Pure.
//!
//! [`Rule`] is the one face of all of them. `hyperband` is W&B's and goes by the number of values; the others go by the
//! step and by the trial's value so far ([`field`]).

mod alone;
mod curve;
mod field;
mod forecast;
mod gain;
mod hyperband;
mod marks;
mod measure;
mod patience;
mod ranked;
mod ranking;
mod rule;
mod steps;
#[cfg(test)]
mod tests;
mod threshold;

pub use forecast::first_forecast;
pub use gain::{Course, Gains};
pub use marks::{Marks, Place};
pub use measure::Measure;
pub use ranking::Ranking;
pub use rule::{Evidence, Rule, Sample};
pub use steps::{fine, rungs};
