//! What earlier sweeps observed, as a hint.
//!
//! An observation of another sweep has no trial number. Its objectives are what [`standardised`] makes of all measured
//! values of that sweep, each objective by itself, so that sweeps of different scales say where it was good there.
//!
//! A process of its own is fitted to them. Its mean is what this sweep's model starts from: a hint, that is, which has to
//! prove itself on this sweep's own values ([`crate::search::gp::posterior::Hint`]). The model's hyperparameters are learnt
//! from own values alone, and at every fit the hint is kept only if the values are more probable with it than without, the
//! more so the more of them there are: one of no use does no harm for long, and one that is nearly right makes way for
//! what the sweep itself has found.
//!
//! This sweep's own warped values t have mean 0 and deviation 1, over its own points. The hint m is brought to that scale:
//! factor (m - offset), with the offset its mean at the same points and the factor one over its deviation there, drawn to
//! 1 while there are few of them.

use std::sync::Arc;

use crate::search::gp::evidence::Evidence;
use crate::search::gp::fit::{self, Fitted};
use crate::search::gp::kernel::{Hyper, Rows};
use crate::search::gp::posterior::Posterior;
use crate::search::gp::warp::Warp;

/// The factor is drawn to 1 as by so many own observations.
const DRAWN_BY: f64 = 4.0;

/// Own values from which on a hint must bring something ..
const FREE: usize = 4;
/// .. so much in the logarithm of their probability for each.
const BURDEN: f64 = 0.5;

/// By how much `values` own values must be more probable with a hint, in the logarithm.
pub(super) fn burden(values: usize) -> f64 {
    BURDEN * values.saturating_sub(FREE) as f64
}

/// What an earlier sweep's values, to be minimised, count as in this one; one objective at a time. Those that are not
/// finite stay so, and are not for use.
pub fn standardised(values: &[f64]) -> Vec<f64> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let warp = Warp::fit(&finite);
    values.iter().map(|value| warp.of(*value)).collect()
}

/// What earlier sweeps say of one objective.
#[derive(Debug)]
pub(super) struct Earlier {
    /// Observations, and their values.
    pub(super) seen: Vec<(usize, f64)>,
    /// None where no process explains them.
    pub(super) model: Option<Arc<Posterior>>,
}

impl Earlier {
    pub(super) fn new(seen: Vec<(usize, f64)>, rows: &Rows) -> Earlier {
        let values: Vec<f64> = seen.iter().map(|(_, value)| *value).collect();
        let model = model(rows, &values).map(Arc::new);
        Earlier { seen, model }
    }
}

fn model(rows: &Rows, values: &[f64]) -> Option<Posterior> {
    if values.is_empty() {
        return None;
    }
    let evidence = Evidence::new(rows, values, None);
    let Fitted { theta, .. } = fit::fit(&evidence, &[evidence.default_start()])?;
    let mut posterior = Posterior::new(rows, None, &Hyper::of(&theta, rows.layout.axes())).ok()?;
    posterior.tell(values);
    Some(posterior)
}

/// Offset and factor of the hint, given what it says of the own points.
pub(super) fn alignment(there: &[f64]) -> (f64, f64) {
    if there.is_empty() {
        return (0.0, 1.0);
    }
    let n = there.len() as f64;
    let offset = there.iter().sum::<f64>() / n;
    let squares = there.iter().map(|m| (m - offset) * (m - offset)).sum::<f64>();
    (offset, ((n + DRAWN_BY) / (squares + DRAWN_BY)).sqrt())
}
