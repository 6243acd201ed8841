//! What is believed of the values anywhere, given rows and their values.
//!
//! mean(x) = k(x)' alpha, alpha = K^-1 y; variance(x) = k(x, x) - |L^-1 k(x)|^2 [RW06, alg. 2.1], without noise.
//!
//! Rows that are *believed* (pending trials, assumed to come out at the posterior mean) stand at the end of the factor:
//! they leave the mean as it is and take away variance.
//!
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use crate::search::gp::kernel::{Covariances, Hyper, Rows};
use crate::search::gp::linalg::{Factor, NotPositive, dot};

/// No variance is smaller.
const SMALLEST_VARIANCE: f64 = 1e-12;
/// What is added to the diagonal until the factor succeeds, in units of sf.
const JITTERS: [f64; 5] = [0.0, 1e-10, 1e-8, 1e-6, 1e-4];

/// A Gaussian process given its observations.
#[derive(Clone, Debug)]
pub(crate) struct Posterior {
    hyper: Hyper,
    /// Observed rows, then believed ones.
    rows: Rows,
    /// More noise, one an observed row.
    extra: Vec<f64>,
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
        for jitter in JITTERS {
            let mut posterior = Posterior {
                hyper: hyper.clone(),
                rows: rows.clone(),
                extra: extra.to_vec(),
                factor: Factor::default(),
                jitter: jitter * hyper.signal,
                y: Vec::new(),
                alpha: Vec::new(),
            };
            if posterior.factor_rows().is_ok() {
                return Ok(posterior);
            }
        }
        Err(NotPositive)
    }

    /// Brings the factor up to the rows.
    fn factor_rows(&mut self) -> Result<(), NotPositive> {
        let mut with = Covariances::default();
        for i in self.factor.len()..self.rows.len() {
            self.rows.covariances(&self.hyper, &self.rows, i, i + 1, &mut with);
            with.k[i] += self.hyper.noise + self.extra.get(i).copied().unwrap_or(0.0) + self.jitter;
            self.factor.push(&with.k)?;
        }
        Ok(())
    }

    /// Whether the first rows are these, under the same hyperparameters.
    pub(crate) fn begins(&self, rows: &Rows, extra: &[f64], hyper: &Hyper) -> bool {
        self.hyper == *hyper && extra.starts_with(&self.extra) && rows.starts_with(&self.rows)
    }

    /// The same with the rows that are still missing. Where one does not fit, nothing is left to use.
    pub(crate) fn extend(mut self, rows: &Rows, extra: &[f64]) -> Result<Posterior, NotPositive> {
        self.rows = rows.clone();
        self.extra = extra.to_vec();
        self.factor_rows()?;
        Ok(self)
    }

    /// Adds believed rows; one that adds nothing to the factor is left out, and so are those after it.
    pub(crate) fn believe(&mut self, rows: &Rows) {
        self.rows.append(rows);
        if self.factor_rows().is_err() {
            self.rows.truncate(self.factor.len());
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
        self.rows.len()
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

    /// Mean and an upper bound of the variance of each row: given the one observation that tells most of it.
    pub(crate) fn bounds(&self, rows: &Rows) -> Predictions {
        let n = self.rows.len();
        let known: Vec<f64> =
            (0..n).map(|i| 1.0 / (self.rows.prior(&self.hyper, i) + self.hyper.noise)).collect();
        let mut out = Predictions::default();
        let mut with = Covariances::default();
        for q in 0..rows.len() {
            self.rows.covariances(&self.hyper, rows, q, n, &mut with);
            let told = with.k.iter().zip(&known).map(|(k, known)| k * k * known);
            let told = told.fold(0.0, |most: f64, told| if told > most { told } else { most });
            out.mean.push(dot(&with.k, &self.alpha));
            out.variance.push((rows.prior(&self.hyper, q) - told).max(SMALLEST_VARIANCE));
        }
        out
    }

    /// Mean and variance of each row.
    pub(crate) fn predict(&self, rows: &Rows) -> Predictions {
        let n = self.rows.len();
        let mut out = Predictions::default();
        let mut with = Covariances::default();
        let mut v = vec![[0.0f64; 8]; n];
        for block in (0..rows.len()).step_by(8) {
            let width = 8.min(rows.len() - block);
            for q in 0..width {
                self.rows.covariances(&self.hyper, rows, block + q, n, &mut with);
                v.iter_mut().zip(&with.k).for_each(|(v, k)| v[q] = *k);
                out.mean.push(dot(&with.k, &self.alpha));
            }
            self.factor.solve_lower_eight(&mut v);
            for q in 0..width {
                let told: f64 = v.iter().map(|v| v[q] * v[q]).sum();
                out.variance.push((rows.prior(&self.hyper, block + q) - told).max(SMALLEST_VARIANCE));
            }
        }
        out
    }

    /// Mean and variance at one row (NaN where absent) and their gradients in the numbers, in the layout's order.
    pub(crate) fn local(&self, z: &[f64]) -> Local {
        let mut at = Rows::new(self.rows.layout.clone());
        at.push(z);
        let mut with = Covariances::default();
        self.rows.covariances(&self.hyper, &at, 0, self.rows.len(), &mut with);
        let mean = dot(&with.k, &self.alpha);
        // beta = K^-1 k: variance = k(x, x) - k' beta, d variance = d k(x, x) - 2 beta' dk
        let mut beta = with.k;
        self.factor.solve_lower(&mut beta);
        let told = dot(&beta, &beta);
        self.factor.solve_upper(&mut beta);
        let of_k = self.rows.gradient(&self.hyper, &at, &beta, &with.slopes);
        let of_prior = at.prior_gradient(&self.hyper);
        Local {
            mean,
            variance: (at.prior(&self.hyper, 0) - told).max(SMALLEST_VARIANCE),
            mean_gradient: self.rows.gradient(&self.hyper, &at, &self.alpha, &with.slopes),
            variance_gradient: of_prior.iter().zip(of_k).map(|(prior, of_k)| prior - 2.0 * of_k).collect(),
        }
    }
}
