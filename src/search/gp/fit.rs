//! The most probable hyperparameters, by L-BFGS over the logarithms.
//!
//! From each start given (the last fit's theta, the default one); the best is kept, ties go to the first. An
//! evaluation that fails counts as infinite, so that the line search backs off. A fit that finds nothing is none: its
//! caller falls back.
//!
//! - [LN89] D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
//!   Programming 45 (1989) 503-528, as argmin implements it, with More and Thuente's line search.

use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use crate::search::gp::evidence::Evidence;

const MEMORY: usize = 10;
const ITERATIONS: u64 = 60;
/// Above [`LARGE`] rows.
const ITERATIONS_LARGE: u64 = 20;
/// Rows from which a fit is kept short.
pub(crate) const LARGE: usize = 200;
/// L-BFGS stops at a relative decrease below this: a looser end was measured to cost quality.
const DECREASE: f64 = 2e-9;
/// .. or a gradient below this, for up to 50 rows; in proportion to the rows beyond.
const SLOPE: f64 = 1e-5;

/// Hyperparameters, and the negative log posterior there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) theta: Vec<f64>,
    pub(crate) f: f64,
}

/// The last point evaluated: L-BFGS asks for value and gradient one after the other.
struct Memo<'a> {
    evidence: &'a Evidence<'a>,
    last: RefCell<Option<Evaluation>>,
}

/// Value and gradient at a point.
struct Evaluation {
    theta: Vec<f64>,
    f: f64,
    gradient: Vec<f64>,
}

impl Memo<'_> {
    fn at<T>(&self, theta: &[f64], take: impl Fn(&Evaluation) -> T) -> T {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|last| last.theta != theta) {
            let failed = || (f64::INFINITY, vec![0.0; theta.len()]);
            let (f, gradient) = self.evidence.at(theta).unwrap_or_else(failed);
            *last = Some(Evaluation { theta: theta.to_vec(), f, gradient });
        }
        take(last.as_ref().expect("evaluated above"))
    }
}

impl CostFunction for &Memo<'_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, theta: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok(self.at(theta, |at| at.f))
    }
}

impl Gradient for &Memo<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, theta: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.at(theta, |at| at.gradient.clone()))
    }
}

/// The best of what L-BFGS finds from each start; none where no start can be evaluated.
pub(crate) fn fit(evidence: &Evidence<'_>, starts: &[Vec<f64>]) -> Option<Fitted> {
    let mut best: Option<Fitted> = None;
    for start in starts {
        let found = from(evidence, &evidence.clamped(start));
        if let Some(found) = found
            && best.as_ref().is_none_or(|best| found.f < best.f)
        {
            best = Some(found);
        }
    }
    best
}

/// L-BFGS from one start. Where it gives up early, what it had reached counts.
fn from(evidence: &Evidence<'_>, start: &[f64]) -> Option<Fitted> {
    let (f, _) = evidence.at(start)?;
    let first = Fitted { theta: start.to_vec(), f };
    let n = evidence.rows.len() as f64;
    let memo = Memo { evidence, last: RefCell::new(None) };
    let iterations = if evidence.rows.len() > LARGE { ITERATIONS_LARGE } else { ITERATIONS };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(SLOPE * (n / 50.0).max(1.0))
        .and_then(|solver| solver.with_tolerance_cost(DECREASE * f.abs().max(1.0)));
    let Ok(solver) = solver else { return Some(first) };
    let run = Executor::new(&memo, solver)
        .configure(|state| state.param(start.to_vec()).max_iters(iterations))
        .timer(false)
        .run();
    let Ok(run) = run else { return Some(first) };
    let Some(theta) = run.state().get_best_param() else { return Some(first) };
    let theta = evidence.clamped(theta);
    match evidence.at(&theta) {
        Some((f, _)) if f <= first.f => Some(Fitted { theta, f }),
        _ => Some(first),
    }
}
