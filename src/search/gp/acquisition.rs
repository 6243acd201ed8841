//! What a trial at a point is worth: a function of the models' means and standard deviations there.
//!
//! All of it minimises. One model an objective comes first, then one a limit (a constraint, or whether trials fail):
//!
//! - log EI [A23]: ln sd + ln h((best - mean) / sd), against the best posterior mean at an observed point;
//! - exploring, with many trials pending [S24]: sd - 10 max(0, mean - sd / 2 - target), target being the mean where
//!   mean - 1.8 sd is smallest: as unsure as can be, but only where the optimum can still be;
//! - the hypervolume of two objectives ([`crate::search::gp::ehvi`]), a scalarisation of three and more;
//! - limits: plus sum_i ln Phi(-mean_i / sd_i), the logarithm of the probability that all hold.
//!
//! Gradients in a row's numbers follow by the chain rule from the derivatives in means and deviations.
//!
//! - [A23] S. Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023.
//! - [S24] X. Song et al., "The Vizier Gaussian process bandit algorithm", 2024 (UCB-PE, with its constants).

use libm::log;

use crate::search::gp::chebyshev::Chebyshev;
use crate::search::gp::ehvi::Hypervolume;
use crate::search::gp::kernel::Rows;
use crate::search::gp::normal::{log_cdf, log_cdf_slope, log_h, log_h_slope};
use crate::search::gp::posterior::{Posterior, Predictions};

/// Of the standard deviation, where the optimum is still sought [S24].
pub(crate) const OPTIMISM: f64 = 1.8;
const REACH: f64 = 0.5;
const PENALTY: f64 = 10.0;

/// Mean and standard deviation of one model at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: f64,
    pub(crate) sd: f64,
}

/// How a value changes with a model's mean and standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Slope {
    pub(crate) mean: f64,
    pub(crate) sd: f64,
}

/// What is gained in the objectives.
#[derive(Clone, Debug)]
pub(crate) enum Gain {
    /// Of one objective, against its best.
    Improvement { best: f64 },
    /// Knowledge, where the optimum can still be.
    Knowledge { target: f64 },
    /// Of two objectives.
    Hypervolume(Hypervolume),
    /// Of more.
    Scalarised(Chebyshev),
    /// Nothing yet: no trial has kept the limits.
    Nothing,
}

/// The function to be maximised.
#[derive(Debug)]
pub(crate) struct Acquisition<'a> {
    pub(crate) gain: Gain,
    /// One an objective.
    pub(crate) objectives: Vec<&'a Posterior>,
    /// One a limit, kept where at most 0.
    pub(crate) limits: Vec<&'a Posterior>,
}

impl Gain {
    /// The value, and its slopes in each objective.
    pub(crate) fn of(&self, at: &[Belief], slopes: &mut [Slope]) -> f64 {
        match self {
            Gain::Improvement { best } => log_improvement(at[0], *best, &mut slopes[0]),
            Gain::Knowledge { target } => {
                let beyond = at[0].mean - REACH * at[0].sd - target;
                let steep = if beyond > 0.0 { PENALTY } else { 0.0 };
                slopes[0] = Slope { mean: -steep, sd: 1.0 + steep * REACH };
                at[0].sd - steep * beyond
            }
            Gain::Hypervolume(hypervolume) => hypervolume.log_improvement(at, slopes),
            Gain::Scalarised(chebyshev) => chebyshev.log_improvement(at, slopes),
            Gain::Nothing => 0.0,
        }
    }
}

/// log EI and its slopes: with z = (best - mean) / sd and s = h'(z) / h(z) they are -s / sd and (1 - s z) / sd.
pub(crate) fn log_improvement(at: Belief, best: f64, slope: &mut Slope) -> f64 {
    let z = (best - at.mean) / at.sd;
    let s = log_h_slope(z);
    *slope = Slope { mean: -s / at.sd, sd: (1.0 - s * z) / at.sd };
    log_h(z) + log(at.sd)
}

/// ln Phi(-mean / sd) and its slopes.
pub(crate) fn log_kept(at: Belief, slope: &mut Slope) -> f64 {
    let z = -at.mean / at.sd;
    let s = log_cdf_slope(z);
    *slope = Slope { mean: -s / at.sd, sd: -s * z / at.sd };
    log_cdf(z)
}

impl Acquisition<'_> {
    fn models(&self) -> impl Iterator<Item = &Posterior> {
        self.objectives.iter().chain(&self.limits).copied()
    }

    /// The value where the models believe this, and its slopes.
    pub(crate) fn of(&self, at: &[Belief], slopes: &mut [Slope]) -> f64 {
        let objectives = self.objectives.len();
        let gain = self.gain.of(&at[..objectives], &mut slopes[..objectives]);
        let kept = at[objectives..].iter().zip(&mut slopes[objectives..]);
        let value = gain + kept.map(|(at, slope)| log_kept(*at, slope)).sum::<f64>();
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    }

    /// The value of each row.
    pub(crate) fn values(&self, rows: &Rows) -> Vec<f64> {
        self.of_predictions(rows.len(), &self.models().map(|model| model.predict(rows)).collect::<Vec<_>>())
    }

    /// What each row's value can be at most, as far as the nearest observation tells.
    pub(crate) fn promises(&self, rows: &Rows) -> Vec<f64> {
        self.of_predictions(rows.len(), &self.models().map(|model| model.bounds(rows)).collect::<Vec<_>>())
    }

    fn of_predictions(&self, n: usize, predictions: &[Predictions]) -> Vec<f64> {
        let mut slopes = vec![Slope::default(); predictions.len()];
        let of = |row: usize| {
            let at: Vec<Belief> = predictions
                .iter()
                .map(|p| Belief { mean: p.mean[row], sd: p.variance[row].sqrt() })
                .collect();
            self.of(&at, &mut slopes)
        };
        (0..n).map(of).collect()
    }

    /// The value at one row and its gradient in the row's numbers; of no models there is none.
    pub(crate) fn local(&self, z: &[f64]) -> (f64, Vec<f64>) {
        let locals: Vec<_> = self.models().map(|model| model.local(z)).collect();
        let at: Vec<Belief> =
            locals.iter().map(|local| Belief { mean: local.mean, sd: local.variance.sqrt() }).collect();
        let mut slopes = vec![Slope::default(); at.len()];
        let value = self.of(&at, &mut slopes);
        let mut gradient = vec![0.0; locals.first().map_or(0, |local| local.mean_gradient.len())];
        for ((local, at), slope) in locals.iter().zip(&at).zip(&slopes) {
            let of_variance = slope.sd / (2.0 * at.sd);
            for ((g, m), v) in gradient.iter_mut().zip(&local.mean_gradient).zip(&local.variance_gradient) {
                *g += slope.mean * m + of_variance * v;
            }
        }
        (value, gradient)
    }
}
