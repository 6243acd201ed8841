//! How well hyperparameters explain the values: the negative log posterior of theta, and its gradient.
//!
//! theta = (ln w_1 .. ln w_d, ln sf, ln sn, ln t1, ln t2, ln t3 [, ln t4 with hints h]);
//! K = k(X, X) + t4 h h' + sn I; y is what the hints leave to be explained.
//!
//! f(theta) = y' K^-1 y / 2 + sum_i ln l_ii + n ln(2 pi) / 2 + priors [RW06, eq. 5.8]
//! df/dtheta = sum_ab G_ab dK_ab/dtheta, G = (K^-1 - alpha alpha') / 2, alpha = K^-1 y [RW06, eq. 5.9]
//!
//! Priors: l_j ~ LogNormal(sqrt 2 + ln(d) / 2, sqrt 3) [H24], sn ~ LogNormal(-4, 1), both as densities (so the term ln l
//! or ln sn beside the square); ln sf ~ N(0, 1/4) and ln t ~ N(-2, 9/4) in the logarithm.
//!
//! The optimiser knows no box: outside it, theta is moved to the edge and 50 times the square of the excess added.
//!
//! - [H24] C. Hvarfner, E. O. Hellsten, L. Nardi, "Vanilla Bayesian optimization performs great in high dimensions",
//!   ICML 2024.
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use libm::log;

use crate::search::gp::kernel::{Covariances, Hyper, Rows};
use crate::search::gp::linalg::{Factor, dot};

const LENGTH_MEAN: f64 = std::f64::consts::SQRT_2;
const LENGTH_SD: f64 = 1.732_050_807_568_877_2;
const NOISE_MEAN: f64 = -4.0;
const NOISE_SD: f64 = 1.0;
const SIGNAL_SD: f64 = 0.5;
const TREND_MEAN: f64 = -2.0;
const TREND_SD: f64 = 1.5;
/// Of the square of how far theta lies outside its box.
const PENALTY: f64 = 50.0;
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// What is to be explained: values (n) at rows (n).
pub(crate) struct Evidence<'a> {
    pub(crate) rows: &'a Rows,
    y: &'a [f64],
    /// Of each row with those up to it: p1'p1, p2'p2, the share of equal categories, the product of the hints.
    trends: Vec<Vec<Vec<f64>>>,
    has_hints: bool,
}

impl<'a> Evidence<'a> {
    /// `hints` has one a row, or there are none.
    pub(crate) fn new(rows: &'a Rows, y: &'a [f64], hints: Option<&[f64]>) -> Evidence<'a> {
        let parts = |a: usize| {
            let mut parts: Vec<Vec<f64>> = rows.trend_parts(a).into();
            parts.extend(hints.map(|h| h[..=a].iter().map(|other| h[a] * other).collect()));
            parts
        };
        Evidence { rows, y, trends: (0..rows.len()).map(parts).collect(), has_hints: hints.is_some() }
    }

    /// How many hyperparameters there are.
    pub(crate) fn dimensions(&self) -> usize {
        self.rows.layout.axes() + if self.has_hints { 6 } else { 5 }
    }

    /// Where a search begins that knows nothing: l = d^(1/4) / 2, sf = 1, sn = 0.01, t = e^-2.
    pub(crate) fn default_start(&self) -> Vec<f64> {
        let d = self.rows.layout.axes();
        let mut theta = vec![-2.0 * (log(0.5) + 0.25 * log(d.max(1) as f64)); d];
        theta.extend([0.0, log(0.01)]);
        theta.resize(self.dimensions(), TREND_MEAN);
        theta
    }

    /// The bounds of hyperparameter i.
    fn bounds(&self, i: usize) -> (f64, f64) {
        let (low, high) = match i.checked_sub(self.rows.layout.axes()) {
            None => (1e-6, 1e4),
            Some(0) => (0.02, 50.0),
            Some(1) => (1e-6, 1.0),
            Some(_) => (1e-6, 1e2),
        };
        (log(low), log(high))
    }

    /// theta inside its box.
    pub(crate) fn clamped(&self, theta: &[f64]) -> Vec<f64> {
        let inside = |(i, t): (usize, &f64)| {
            let (low, high) = self.bounds(i);
            t.clamp(low, high)
        };
        theta.iter().enumerate().map(inside).collect()
    }

    /// f and its gradient; none where K has no factor.
    pub(crate) fn at(&self, theta: &[f64]) -> Option<(f64, Vec<f64>)> {
        let inside = self.clamped(theta);
        let (mut f, mut gradient) = self.likelihood(&inside)?;
        self.add_priors(&inside, &mut f, &mut gradient);
        for ((g, t), inside) in gradient.iter_mut().zip(theta).zip(&inside) {
            let excess = t - inside;
            if excess != 0.0 {
                f += PENALTY * excess * excess;
                *g = 2.0 * PENALTY * excess;
            }
        }
        f.is_finite().then_some((f, gradient))
    }

    /// The negative log marginal likelihood and its gradient.
    pub(crate) fn likelihood(&self, theta: &[f64]) -> Option<(f64, Vec<f64>)> {
        let n = self.rows.len();
        let hyper = Hyper::of(theta, self.rows.layout.axes());
        let [t1, t2, t3] = hyper.trend;
        let trend = [t1, t2, t3, hyper.hint];
        // m(r2) and dm/dr2 of each row with those before it
        let mut materns = Vec::with_capacity(n);
        let mut factor = Factor::default();
        for a in 0..n {
            let mut with = Covariances::default();
            self.rows.matern(&hyper, self.rows, a, a + 1, &mut with);
            let mut k: Vec<f64> = with.k.iter().map(|m| hyper.signal * m).collect();
            for (t, part) in trend.iter().zip(&self.trends[a]) {
                k.iter_mut().zip(part).for_each(|(k, part)| *k += t * part);
            }
            k[a] += hyper.noise;
            factor.push(&k).ok()?;
            materns.push(with);
        }
        let mut alpha = self.y.to_vec();
        factor.solve_lower(&mut alpha);
        factor.solve_upper(&mut alpha);
        let f = 0.5 * dot(self.y, &alpha) + factor.half_log_determinant() + n as f64 * HALF_LN_TAU;

        let inverse = factor.inverse();
        let mut gradient = vec![0.0; theta.len()];
        let (of_weights, rest) = gradient.split_at_mut(self.rows.layout.axes());
        for (a, with) in materns.iter().enumerate() {
            let start = a * (a + 1) / 2;
            // twice G off the diagonal, for both triangles
            let mut g: Vec<f64> =
                inverse[start..=start + a].iter().zip(&alpha).map(|(k, b)| k - alpha[a] * b).collect();
            g[a] *= 0.5;
            rest[0] += dot(&g, &with.k);
            rest[1] += g[a];
            for (sum, part) in rest[2..].iter_mut().zip(&self.trends[a]) {
                *sum += dot(&g, part);
            }
            g.iter_mut().zip(&with.slopes).for_each(|(g, slope)| *g *= slope);
            self.rows.add_differences(a, &g, of_weights);
        }
        of_weights.iter_mut().zip(&hyper.weights).for_each(|(g, w)| *g *= hyper.signal * w);
        rest.iter_mut()
            .zip([hyper.signal, hyper.noise].iter().chain(&trend))
            .for_each(|(g, scale)| *g *= scale);
        Some((f, gradient))
    }

    fn add_priors(&self, theta: &[f64], f: &mut f64, gradient: &mut [f64]) {
        let d = self.rows.layout.axes();
        let length_mean = LENGTH_MEAN + 0.5 * log(d.max(1) as f64);
        for (i, t) in theta.iter().enumerate() {
            let (value, slope) = match i.checked_sub(d) {
                None => {
                    let ln_l = -0.5 * t;
                    let z = (ln_l - length_mean) / LENGTH_SD;
                    (0.5 * z * z + ln_l, -0.5 * (z / LENGTH_SD + 1.0))
                }
                Some(0) => (0.5 * (t / SIGNAL_SD) * (t / SIGNAL_SD), t / (SIGNAL_SD * SIGNAL_SD)),
                Some(1) => {
                    let z = (t - NOISE_MEAN) / NOISE_SD;
                    (0.5 * z * z + t, z / NOISE_SD + 1.0)
                }
                Some(_) => {
                    let z = (t - TREND_MEAN) / TREND_SD;
                    (0.5 * z * z, z / TREND_SD)
                }
            };
            *f += value;
            gradient[i] += slope;
        }
    }
}
