//! Whether a distribution's numbers make sense, and how a message names what it allows.

use std::fmt;

use crate::space::error::listed;
use crate::space::{BadDistribution, Distribution, Step, Value};

/// W&B's tolerance for the sum of the probabilities: relative, and absolute beside it.
const SUM_TOLERANCE: f64 = 1e-5 + 1e-8;

impl Distribution {
    /// Bounds in order, numbers finite, as many probabilities as values.
    pub fn check(&self) -> Result<(), BadDistribution> {
        match self {
            Distribution::Constant { .. } => Ok(()),
            Distribution::Categorical { values } => some(values),
            Distribution::CategoricalWithProbabilities { values, probabilities } => {
                some(values)?;
                let sum: f64 = probabilities.iter().sum();
                let fair = probabilities.iter().all(|p| *p >= 0.0) && (sum - 1.0).abs() <= SUM_TOLERANCE;
                (fair && probabilities.len() == values.len())
                    .then_some(())
                    .ok_or(BadDistribution::Probabilities)
            }
            Distribution::IntUniform { min, max } => ordered(min, max),
            Distribution::Uniform { min, max }
            | Distribution::LogUniform { min, max }
            | Distribution::InvLogUniform { min, max } => bounds(*min, *max),
            Distribution::QUniform { min, max, q, .. } | Distribution::QLogUniform { min, max, q } => {
                bounds(*min, *max)?;
                step(*q)
            }
            Distribution::LogUniformValues { min, max } | Distribution::InvLogUniformValues { min, max } => {
                positive(*min, *max)
            }
            Distribution::QLogUniformValues { min, max, q } => {
                positive(*min, *max)?;
                step(*q)
            }
            Distribution::Normal { mu, sigma } | Distribution::LogNormal { mu, sigma } => {
                finite("mu", *mu)?;
                not_negative("sigma", *sigma)
            }
            Distribution::QNormal { mu, sigma, q } | Distribution::QLogNormal { mu, sigma, q } => {
                finite("mu", *mu)?;
                not_negative("sigma", *sigma)?;
                step(*q)
            }
            Distribution::Beta { a, b } => not_negative("a", *a).and(not_negative("b", *b)),
            Distribution::QBeta { a, b, q } => {
                not_negative("a", *a)?;
                not_negative("b", *b)?;
                step(*q)
            }
        }
    }
}

/// What it allows, as a message says it after "it is".
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distribution::Constant { value } => write!(f, "always {}", listed(std::slice::from_ref(value))),
            Distribution::Categorical { values }
            | Distribution::CategoricalWithProbabilities { values, .. } => {
                write!(f, "one of {}", listed(values))
            }
            Distribution::IntUniform { min, max } => write!(f, "an integer from {min} to {max}"),
            Distribution::Uniform { min, max }
            | Distribution::LogUniformValues { min, max }
            | Distribution::InvLogUniformValues { min, max } => write!(f, "a number from {min:?} to {max:?}"),
            Distribution::LogUniform { min, max } => write!(f, "a number from e^{min:?} to e^{max:?}"),
            Distribution::InvLogUniform { min, max } => write!(f, "a number from e^-{max:?} to e^-{min:?}"),
            Distribution::QUniform { min, max, q, .. } | Distribution::QLogUniformValues { min, max, q } => {
                write!(f, "a multiple of {} from {min:?} to {max:?}", q.size())
            }
            Distribution::QLogUniform { min, max, q } => {
                write!(f, "a multiple of {} from e^{min:?} to e^{max:?}", q.size())
            }
            Distribution::Normal { .. } => f.write_str("any number"),
            Distribution::LogNormal { .. } => f.write_str("a number above 0"),
            Distribution::Beta { .. } => f.write_str("a number from 0 to 1"),
            Distribution::QNormal { q, .. } => write!(f, "a multiple of {}", q.size()),
            Distribution::QLogNormal { q, .. } => write!(f, "a multiple of {}, 0 or above", q.size()),
            Distribution::QBeta { q, .. } => write!(f, "a multiple of {} from 0 to 1", q.size()),
        }
    }
}

fn some(values: &[Value]) -> Result<(), BadDistribution> {
    let fits = !values.is_empty() && u32::try_from(values.len()).is_ok();
    fits.then_some(()).ok_or(BadDistribution::Values)
}

fn ordered<T: PartialOrd + fmt::Debug>(min: &T, max: &T) -> Result<(), BadDistribution> {
    let wrong = || BadDistribution::Bounds { min: format!("{min:?}"), max: format!("{max:?}") };
    (min < max).then_some(()).ok_or_else(wrong)
}

fn bounds(min: f64, max: f64) -> Result<(), BadDistribution> {
    finite("min", min)?;
    finite("max", max)?;
    ordered(&min, &max)
}

fn positive(min: f64, max: f64) -> Result<(), BadDistribution> {
    bounds(min, max)?;
    (min > 0.0).then_some(()).ok_or(BadDistribution::NotPositive)
}

fn finite(field: &'static str, x: f64) -> Result<(), BadDistribution> {
    x.is_finite().then_some(()).ok_or(BadDistribution::NotFinite { field })
}

fn not_negative(field: &'static str, x: f64) -> Result<(), BadDistribution> {
    finite(field, x)?;
    (x >= 0.0).then_some(()).ok_or(BadDistribution::Negative { field })
}

fn step(q: Step) -> Result<(), BadDistribution> {
    let size = q.size();
    (size.is_finite() && size > 0.0).then_some(()).ok_or(BadDistribution::Step)
}
