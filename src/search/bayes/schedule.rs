//! When the models are fitted anew. It counts observations, never time or questions, so that proposals stay a function
//! of the history.

use crate::search::gp::posterior::Posterior;

/// Up to so many observations a fit is made after so many new ones.
const STEPS: [(usize, usize); 4] = [(50, 1), (200, 5), (500, 20), (usize::MAX, 50)];
/// A new best value so many standard deviations below what was expected calls for a fit at once ..
const SURPRISE: f64 = 3.0;
/// .. and so does a mean residual of so many, over so many of the last observations.
const MISFIT: f64 = 2.0;
const MISFIT_OF: usize = 10;

/// Whether a fit that saw `fitted` observations of this sweep is too old for `count`.
pub(super) fn is_due(fitted: usize, count: usize) -> bool {
    count.saturating_sub(fitted) >= step(count)
}

fn step(count: usize) -> usize {
    STEPS.iter().find(|(most, _)| count <= *most).map_or(1, |(_, step)| *step)
}

/// Whether what came after the fit disagrees with it: of the `count` observations the first `fitted` were known to it, and
/// `own` are of this sweep. `indexes` and `values` are the model's observations and what it sees of them, in the order of
/// its rows.
pub(super) fn is_surprised(
    fitted: usize,
    count: usize,
    own: usize,
    indexes: &[usize],
    values: &[f64],
    posterior: &Posterior,
) -> bool {
    if fitted == count {
        return false;
    }
    let best_before = indexes
        .iter()
        .zip(values)
        .filter(|(index, _)| **index < fitted)
        .map(|(_, value)| *value)
        .fold(f64::INFINITY, f64::min);
    let leaps = (0..indexes.len()).filter(|row| indexes[*row] >= fitted && values[*row] < best_before);
    if leaps.map(|row| posterior.left_out(row)).any(|residual| residual < -SURPRISE) {
        return true;
    }
    // rows of late observations stand late; a misfit is looked for less often than a leap
    if count - fitted < step(own).div_ceil(5) || indexes.len() < MISFIT_OF {
        return false;
    }
    let last = indexes.len() - MISFIT_OF..indexes.len();
    let mean = last.map(|row| posterior.left_out(row).abs()).sum::<f64>() / MISFIT_OF as f64;
    mean > MISFIT
}
