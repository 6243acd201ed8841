//! What is believed of the values anywhere, given rows and their values.
//!
//! mean(x) = k(x)' alpha, alpha = K^-1 y; variance(x) = k(x, x) - |L^-1 k(x)|^2 [RW06, alg. 2.1], without noise.
//!
//! Rows that are *believed* (pending trials, assumed to come out at the posterior mean) stand at the end of the factor:
//! they leave the mean as it is and take away variance.
//!
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use crate::search::gp::kernel::{Hyper, Rows, Scaled};
use crate::search::gp::linalg::{Factor, NotPositive, dot};

/// No variance is smaller.
const SMALLEST_VARIANCE: f64 = 1e-12;
/// What is added to the diagonal until the factor succeeds, in units of sf.
const JITTERS: [f64; 5] = [0.0, 1e-10, 1e-8, 1e-6, 1e-4];

/// A Gaussian process given its observations.
#[derive(Clone, Debug)]
pub(crate) struct Posterior {
    hyper: Hyper,
    rows: Rows,
    extra: Vec<f64>,
    scaled: Scaled,
    factor: Factor,
    jitter: f64,
    y: Vec<f64>,
    alpha: Vec<f64>,
}

/// Mean and variance of some rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Predictions {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
}

/// Mean and variance at one row, and their gradients in its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) mean_gradient: Vec<f64>,
    pub(crate) variance_gradient: Vec<f64>,
}

impl Posterior {
    /// The rows' factor, with as little jitter as it needs.
    pub(crate) fn new(rows: &Rows, extra: &[f64], hyper: &Hyper) -> Result<Posterior, NotPositive> {
        let mut scaled = Scaled::new(&rows.layout, hyper);
        scaled.extend(rows, 0);
        for jitter in JITTERS {
            let mut posterior = Posterior {
                hyper: hyper.clone(),
                rows: Rows::new(rows.layout.clone()),
                extra: Vec::new(),
                scaled: scaled.clone(),
                factor: Factor::default(),
                jitter: jitter * hyper.signal,
                y: Vec::new(),
                alpha: Vec::new(),
            };
            if posterior.factor_rows(extra, rows.len()).is_ok() {
                posterior.rows = rows.clone();
                posterior.extra = extra.to_vec();
                return Ok(posterior);
            }
        }
        Err(NotPositive)
    }

    fn factor_rows(&mut self, extra: &[f64], n: usize) -> Result<(), NotPositive> {
        for i in self.factor.len()..n {
            let mut k: Vec<f64> = (0..i).map(|j| self.scaled.covariance(i, &self.scaled, j)).collect();
            k.push(
                self.scaled.prior(i) + self.hyper.noise + extra.get(i).copied().unwrap_or(0.0) + self.jitter,
            );
            self.factor.push(&k)?;
        }
        Ok(())
    }

    /// Whether the first rows are these, under the same hyperparameters.
    pub(crate) fn begins(&self, rows: &Rows, extra: &[f64], hyper: &Hyper) -> bool {
        let n = self.rows.len();
        self.hyper == *hyper
            && rows.len() >= n
            && self.rows.layout == rows.layout
            && self.extra[..] == extra[..n]
            && rows.starts_with(&self.rows)
    }

    /// The same with the rows that are still missing. Where one does not fit, nothing is left to use.
    pub(crate) fn extend(mut self, rows: &Rows, extra: &[f64]) -> Result<Posterior, NotPositive> {
        let from = self.rows.len();
        self.scaled.truncate(from);
        self.factor.truncate(from);
        self.scaled.extend(rows, from);
        self.factor_rows(extra, rows.len())?;
        self.rows = rows.clone();
        self.extra = extra.to_vec();
        Ok(self)
    }

    /// Adds believed rows; those that add nothing to the factor are left out.
    pub(crate) fn believe(&mut self, rows: &Rows) {
        for i in 0..rows.len() {
            let at = self.scaled.len();
            self.scaled.push(rows, i);
            if self.factor_rows(&[], at + 1).is_err() {
                self.scaled.truncate(at);
            }
        }
    }

    /// The values of the rows, in their order.
    pub(crate) fn tell(&mut self, y: &[f64]) {
        self.y = y.to_vec();
        self.alpha = y.to_vec();
        self.factor.solve_lower(&mut self.alpha);
        self.factor.solve_upper(&mut self.alpha);
    }

    /// How many rows there are, believed ones among them.
    pub(crate) fn len(&self) -> usize {
        self.scaled.len()
    }

    #[cfg(test)]
    pub(crate) fn factor(&self) -> &Factor {
        &self.factor
    }

    /// What was added to the diagonal.
    pub(crate) fn jitter(&self) -> f64 {
        self.jitter
    }

    /// The posterior mean at every row that has a value: y - D alpha, D the diagonal's noise.
    pub(crate) fn means_at_rows(&self) -> Vec<f64> {
        let of =
            |((y, alpha), extra): ((&f64, &f64), &f64)| y - (self.hyper.noise + extra + self.jitter) * alpha;
        self.y.iter().zip(&self.alpha).zip(&self.extra).map(of).collect()
    }

    /// The residual of row i, predicted from all others, in its standard deviations [RW06, eq. 5.12].
    pub(crate) fn left_out(&self, i: usize) -> f64 {
        self.alpha[i] / self.factor.inverse_diagonal(i).sqrt()
    }

    /// Scaled copies of rows, for prediction.
    fn scale(&self, rows: &Rows) -> Scaled {
        let mut scaled = Scaled::new(&rows.layout, &self.hyper);
        scaled.extend(rows, 0);
        scaled
    }

    /// Mean and an upper bound of the variance of each row: given the one observation that tells most of it.
    pub(crate) fn bounds(&self, rows: &Rows) -> Predictions {
        let at = self.scale(rows);
        let known: Vec<f64> =
            (0..self.scaled.len()).map(|i| self.scaled.prior(i) + self.hyper.noise).collect();
        let mut out = Predictions::default();
        let mut k = vec![0.0; self.scaled.len()];
        for q in 0..rows.len() {
            let mut told = 0.0f64;
            for (i, (k, known)) in k.iter_mut().zip(&known).enumerate() {
                *k = self.scaled.covariance(i, &at, q);
                told = told.max(*k * *k / known);
            }
            out.mean.push(dot(&k, &self.alpha));
            out.variance.push((at.prior(q) - told).max(SMALLEST_VARIANCE));
        }
        out
    }

    /// Mean and variance of each row.
    pub(crate) fn predict(&self, rows: &Rows) -> Predictions {
        let at = self.scale(rows);
        let n = self.scaled.len();
        let mut out = Predictions::default();
        let mut v = vec![[0.0f64; 8]; n];
        let mut k = vec![0.0; n];
        for block in (0..rows.len()).step_by(8) {
            let width = 8.min(rows.len() - block);
            for q in 0..width {
                for (i, (k, v)) in k.iter_mut().zip(&mut v).enumerate() {
                    *k = self.scaled.covariance(i, &at, block + q);
                    v[q] = *k;
                }
                out.mean.push(dot(&k, &self.alpha));
            }
            self.factor.solve_lower_eight(&mut v);
            for q in 0..width {
                let told: f64 = v.iter().map(|v| v[q] * v[q]).sum();
                out.variance.push((at.prior(block + q) - told).max(SMALLEST_VARIANCE));
            }
        }
        out
    }

    /// Mean and variance at one row (NaN where absent) and their gradients in the numbers, in the layout's order.
    pub(crate) fn local(&self, z: &[f64]) -> Local {
        let mut rows = Rows::new(self.rows.layout.clone());
        rows.push(z);
        let at = self.scale(&rows);
        let n = self.scaled.len();
        let (mut k, mut slopes) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for i in 0..n {
            let (value, slope) = self.scaled.covariance_and_slope(i, &at, 0);
            k.push(value);
            slopes.push(slope);
        }
        // beta = K^-1 k: variance = k(x, x) - k' beta, d variance = d k(x, x) - 2 beta' dk
        let mut beta = k.clone();
        self.factor.solve_lower(&mut beta);
        let told = dot(&beta, &beta);
        self.factor.solve_upper(&mut beta);
        let (mean_gradient, _) = self.scaled.gradient(&at, z, &self.alpha, &slopes[..self.alpha.len()]);
        let (of_k, mut variance_gradient) = self.scaled.gradient(&at, z, &beta, &slopes);
        for (g, of_k) in variance_gradient.iter_mut().zip(of_k) {
            *g -= 2.0 * of_k;
        }
        Local {
            mean: dot(&k, &self.alpha),
            variance: (at.prior(0) - told).max(SMALLEST_VARIANCE),
            mean_gradient,
            variance_gradient,
        }
    }
}
