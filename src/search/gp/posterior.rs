//! What is believed of the values anywhere, given rows and their values.
//!
//! mean(x) = mu(x) + k(x)' alpha, alpha = K^-1 (y - mu); variance(x) = k(x, x) - |L^-1 k(x)|^2 [RW06, alg. 2.1], without
//! noise.
//!
//! Rows that are *believed* (pending trials, assumed to come out at the posterior mean) stand at the end of the factor:
//! they leave the mean as it is and take away variance.
//!
//! A *hint* h(x) is a guess of the value anywhere, made elsewhere. It takes the place of mu: values are explained as beta h(x)
//! and the rest, with beta ~ N(1, t4) a priori, so that t4 h(x) h(x') is among the covariances.
//! A hint that misleads is unlearnt as its own direction, and one that is of no use as quickly.
//!
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use std::sync::Arc;

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
    hint: Option<Hint>,
    /// Observed rows, then believed ones.
    rows: Rows,
    /// What the hint says of each row; none without a hint.
    hints: Vec<f64>,
    factor: Factor,
    jitter: f64,
    /// The values less what was expected of them before any was known.
    y: Vec<f64>,
    alpha: Vec<f64>,
}

/// What another process believes, brought to this one's scale: factor (mean - offset).
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    pub(crate) from: Arc<Posterior>,
    pub(crate) offset: f64,
    pub(crate) factor: f64,
}

impl Hint {
    /// The hint at each row.
    pub(crate) fn at(&self, rows: &Rows) -> Vec<f64> {
        self.from.means(rows).into_iter().map(|mean| self.factor * (mean - self.offset)).collect()
    }

    /// The hint at one row, and its gradient.
    fn local(&self, at: &Rows) -> (f64, Vec<f64>) {
        let mut with = Covariances::default();
        let mean = self.from.mean(at, 0, None, &mut with);
        let mut gradient = self.from.mean_gradient(at, &with.slopes);
        gradient.iter_mut().for_each(|g| *g *= self.factor);
        (self.factor * (mean - self.offset), gradient)
    }

    fn is(&self, other: &Hint) -> bool {
        Arc::ptr_eq(&self.from, &other.from) && self.offset == other.offset && self.factor == other.factor
    }
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

/// What is expected of a row before any value is known: mu, or what the hint says.
fn before(hyper: &Hyper, rows: &Rows, row: usize, hint: Option<&f64>) -> f64 {
    hint.copied().unwrap_or_else(|| hyper.bowl * rows.bowl(row))
}

impl Posterior {
    /// The rows' factor, with as little jitter as it needs.
    pub(crate) fn new(rows: &Rows, hint: Option<&Hint>, hyper: &Hyper) -> Result<Posterior, NotPositive> {
        let hints = hint.map_or(Vec::new(), |hint| hint.at(rows));
        for jitter in JITTERS {
            let mut posterior = Posterior {
                hyper: hyper.clone(),
                hint: hint.cloned(),
                rows: rows.clone(),
                hints: hints.clone(),
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
            self.add_hint(self.hints.get(i), &mut with.k);
            with.k[i] += self.hyper.noise + self.jitter;
            self.factor.push(&with.k)?;
        }
        Ok(())
    }

    /// Adds t4 h(x) h of the first rows, as many as `k` has; h(x) where there is a hint.
    fn add_hint(&self, at: Option<&f64>, k: &mut [f64]) {
        if let Some(at) = at {
            let scaled = self.hyper.hint * at;
            k.iter_mut().zip(&self.hints).for_each(|(k, hint)| *k += scaled * hint);
        }
    }

    /// k(x, x) of a row of others, of which the hint says this.
    fn prior(&self, rows: &Rows, row: usize, hint: Option<&f64>) -> f64 {
        rows.prior(&self.hyper, row) + hint.map_or(0.0, |hint| self.hyper.hint * hint * hint)
    }

    /// What the hint says of some rows.
    fn hints_at(&self, rows: &Rows) -> Vec<f64> {
        self.hint.as_ref().map_or(Vec::new(), |hint| hint.at(rows))
    }

    /// Whether the first rows are these, under the same hyperparameters and hint.
    pub(crate) fn begins(&self, rows: &Rows, hint: Option<&Hint>, hyper: &Hyper) -> bool {
        let same_hint = match (&self.hint, hint) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is(b),
            _ => false,
        };
        same_hint && self.hyper == *hyper && rows.starts_with(&self.rows)
    }

    /// The same with the rows that are still missing. Where one does not fit, nothing is left to use.
    pub(crate) fn extend(mut self, rows: &Rows) -> Result<Posterior, NotPositive> {
        self.hints = self.hints_at(rows);
        self.rows = rows.clone();
        self.factor_rows()?;
        Ok(self)
    }

    /// Adds believed rows; one that adds nothing to the factor is left out, and so are those after it.
    pub(crate) fn believe(&mut self, rows: &Rows) {
        self.hints.extend(self.hints_at(rows));
        self.rows.append(rows);
        if self.factor_rows().is_err() {
            self.rows.truncate(self.factor.len());
            self.hints.truncate(self.factor.len());
        }
    }

    /// The values of the rows, in their order.
    pub(crate) fn tell(&mut self, y: &[f64]) {
        self.y = y.to_vec();
        for (i, y) in self.y.iter_mut().enumerate() {
            *y -= before(&self.hyper, &self.rows, i, self.hints.get(i));
        }
        self.alpha = self.y.clone();
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

    /// The posterior mean at every row that has a value: y - (sn + jitter) alpha.
    pub(crate) fn means_at_rows(&self) -> Vec<f64> {
        let noise = self.hyper.noise + self.jitter;
        let learnt = self.y.iter().zip(&self.alpha).map(|(y, alpha)| y - noise * alpha);
        learnt.enumerate().map(|(i, y)| y + before(&self.hyper, &self.rows, i, self.hints.get(i))).collect()
    }

    /// The posterior mean at each row of others.
    pub(crate) fn means(&self, rows: &Rows) -> Vec<f64> {
        let hints = self.hints_at(rows);
        let mut with = Covariances::default();
        (0..rows.len()).map(|q| self.mean(rows, q, hints.get(q), &mut with)).collect()
    }

    /// The posterior mean at row q of others; its covariances with these stand in `with` then.
    fn mean(&self, rows: &Rows, q: usize, hint: Option<&f64>, with: &mut Covariances) -> f64 {
        self.rows.covariances(&self.hyper, rows, q, self.rows.len(), with);
        self.add_hint(hint, &mut with.k);
        before(&self.hyper, rows, q, hint) + dot(&with.k, &self.alpha)
    }

    /// The gradient of the posterior mean in the numbers of row 0 of others, of which the covariances have these slopes;
    /// without what the hint adds.
    fn mean_gradient(&self, at: &Rows, slopes: &[f64]) -> Vec<f64> {
        let mut gradient = self.rows.gradient(&self.hyper, at, &self.alpha, slopes);
        if self.hint.is_none() {
            gradient.iter_mut().zip(at.bowl_gradient()).for_each(|(g, slope)| *g += self.hyper.bowl * slope);
        }
        gradient
    }

    /// The expected factor of the hint: 1 as long as nothing speaks against it, 0 where it is of no use.
    pub(crate) fn trust(&self) -> Option<f64> {
        self.hint.as_ref().map(|_| 1.0 + self.hyper.hint * dot(&self.hints, &self.alpha))
    }

    /// The residual of row i, predicted from all others, in its standard deviations [RW06, eq. 5.12].
    pub(crate) fn left_out(&self, i: usize) -> f64 {
        self.alpha[i] / self.factor.inverse_diagonal(i).sqrt()
    }

    /// Mean and an upper bound of the variance of each row: given the one observation that tells most of it.
    pub(crate) fn bounds(&self, rows: &Rows) -> Predictions {
        let known = |i: usize| 1.0 / (self.prior(&self.rows, i, self.hints.get(i)) + self.hyper.noise);
        let known: Vec<f64> = (0..self.rows.len()).map(known).collect();
        let hints = self.hints_at(rows);
        let mut out = Predictions::default();
        let mut with = Covariances::default();
        for q in 0..rows.len() {
            out.mean.push(self.mean(rows, q, hints.get(q), &mut with));
            let told = with.k.iter().zip(&known).map(|(k, known)| k * k * known);
            let told = told.fold(0.0, |most: f64, told| if told > most { told } else { most });
            out.variance.push((self.prior(rows, q, hints.get(q)) - told).max(SMALLEST_VARIANCE));
        }
        out
    }

    /// Mean and variance of each row.
    pub(crate) fn predict(&self, rows: &Rows) -> Predictions {
        let hints = self.hints_at(rows);
        let mut out = Predictions::default();
        let mut with = Covariances::default();
        let mut v = vec![[0.0f64; 8]; self.rows.len()];
        for block in (0..rows.len()).step_by(8) {
            let width = 8.min(rows.len() - block);
            for q in 0..width {
                out.mean.push(self.mean(rows, block + q, hints.get(block + q), &mut with));
                v.iter_mut().zip(&with.k).for_each(|(v, k)| v[q] = *k);
            }
            self.factor.solve_lower_eight(&mut v);
            for q in 0..width {
                let told: f64 = v.iter().map(|v| v[q] * v[q]).sum();
                let prior = self.prior(rows, block + q, hints.get(block + q));
                out.variance.push((prior - told).max(SMALLEST_VARIANCE));
            }
        }
        out
    }

    /// Mean and variance at one row (NaN where absent) and their gradients in the numbers, in the layout's order.
    pub(crate) fn local(&self, z: &[f64]) -> Local {
        let mut at = Rows::new(self.rows.layout.clone());
        at.push(z);
        let hint = self.hint.as_ref().map(|hint| hint.local(&at));
        let hinted = hint.as_ref().map(|(value, _)| value);
        let mut with = Covariances::default();
        let mean = self.mean(&at, 0, hinted, &mut with);
        // beta = K^-1 k: variance = k(x, x) - k' beta, d variance = d k(x, x) - 2 beta' dk
        let mut beta = with.k;
        self.factor.solve_lower(&mut beta);
        let told = dot(&beta, &beta);
        self.factor.solve_upper(&mut beta);
        let of_k = self.rows.gradient(&self.hyper, &at, &beta, &with.slopes);
        let of_prior = at.prior_gradient(&self.hyper);
        let mut local = Local {
            mean,
            variance: (self.prior(&at, 0, hinted) - told).max(SMALLEST_VARIANCE),
            mean_gradient: self.mean_gradient(&at, &with.slopes),
            variance_gradient: of_prior.iter().zip(of_k).map(|(prior, of_k)| prior - 2.0 * of_k).collect(),
        };
        if let Some((value, gradient)) = hint {
            let of_mean = 1.0 + self.hyper.hint * dot(&self.hints, &self.alpha);
            let of_variance = 2.0 * self.hyper.hint * (value - dot(&self.hints, &beta));
            for (j, slope) in gradient.iter().enumerate() {
                local.mean_gradient[j] += of_mean * slope;
                local.variance_gradient[j] += of_variance * slope;
            }
        }
        local
    }
}
