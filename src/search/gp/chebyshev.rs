//! Three objectives and more: expected improvement of one random scalarisation a proposal (ParEGO [K06]).
//!
//! g(f) = max_j w_j t_j + rho sum_j w_j t_j, t_j = (f_j - ideal_j) / range_j over the front. The objectives have a model
//! each, so the improvement on the best g of an observed trial is an average over fixed normal draws of all objectives,
//! f_j = mean_j + sd_j e_sj; each draw's improvement is smoothed, so that far away there is still a slope.
//!
//! - [K06] J. Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
//!   optimization problems", IEEE Transactions on Evolutionary Computation 10 (2006) 50-66.

use libm::{exp, log, log1p};

use crate::search::gp::acquisition::{Belief, Slope};

const RHO: f64 = 0.05;
/// How far below 0 an improvement still counts, in units of g.
const SOFTNESS: f64 = 0.02;

/// One scalarisation and the draws to average over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chebyshev {
    pub(crate) weights: Vec<f64>,
    pub(crate) ideal: Vec<f64>,
    pub(crate) range: Vec<f64>,
    /// The smallest g of an observed trial.
    pub(crate) best: f64,
    /// Standard normal draws, one vector of all objectives each.
    pub(crate) draws: Vec<Vec<f64>>,
}

impl Chebyshev {
    /// g at some values, and the objective that is its maximum.
    pub(crate) fn of(&self, values: &[f64]) -> (f64, usize) {
        let term = |j: usize| self.weights[j] * (values[j] - self.ideal[j]) / self.range[j];
        let terms: Vec<f64> = (0..values.len()).map(term).collect();
        let mut most = 0;
        for (j, term) in terms.iter().enumerate() {
            if *term > terms[most] {
                most = j;
            }
        }
        (terms[most] + RHO * terms.iter().sum::<f64>(), most)
    }

    /// The logarithm of the average smoothed improvement, and its slopes.
    pub(crate) fn log_improvement(&self, at: &[Belief], slopes: &mut [Slope]) -> f64 {
        let mut draws = Vec::with_capacity(self.draws.len());
        let mut values = vec![0.0; at.len()];
        for draw in &self.draws {
            for ((value, at), e) in values.iter_mut().zip(at).zip(draw) {
                *value = at.mean + at.sd * e;
            }
            let (g, most) = self.of(&values);
            let (ln_gain, slope) = log_softplus((self.best - g) / SOFTNESS);
            draws.push((ln_gain, slope / SOFTNESS, most, draw));
        }
        let highest = draws.iter().map(|draw| draw.0).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = draws.iter().map(|draw| exp(draw.0 - highest)).sum();
        slopes.fill(Slope::default());
        for (ln_gain, slope, most, draw) in &draws {
            let share = exp(ln_gain - highest) / sum;
            for (j, out) in slopes.iter_mut().enumerate() {
                let part = if j == *most { 1.0 + RHO } else { RHO };
                let of_value = -share * slope * part * self.weights[j] / self.range[j];
                out.mean += of_value;
                out.sd += of_value * draw[j];
            }
        }
        highest + log(sum / self.draws.len() as f64) + log(SOFTNESS)
    }
}

/// ln ln(1 + e^x) and its derivative.
fn log_softplus(x: f64) -> (f64, f64) {
    const FLAT: f64 = -30.0;
    if x < FLAT {
        return (x, 1.0);
    }
    let soft = if x > 0.0 { x + log1p(exp(-x)) } else { log1p(exp(x)) };
    (log(soft), 1.0 / (1.0 + exp(-x)) / soft)
}
