//! Values of earlier sweeps beside this sweep's own.
//!
//! An observation of another sweep has no trial number. Its objectives are what [`standardised`] makes of all measured
//! values of that sweep, each objective by itself, so that sweeps of different scales say where it was good there.
//! This sweep's own warped values t have mean 0 and deviation 1 too, but over other points. They are moved to where the
//! other sweeps' values lie at the same points: offset + factor t, with the offset the mean of what the nearest foreign
//! points had, and the factor their deviation, drawn to 1 while there are few own ones.

use crate::search::gp::warp::Warp;

/// So many of the nearest foreign points tell what a point had there.
const NEAREST: usize = 5;
/// The factor is drawn to 1 as by so many own observations.
const DRAWN_BY: f64 = 4.0;
/// The squared distance of two categories, and of present and absent.
const APART: f64 = 1.0 / 6.0;

/// What an earlier sweep's values, to be minimised, count as in this one; one objective at a time. Those that are not
/// finite stay so, and are not for use.
pub fn standardised(values: &[f64]) -> Vec<f64> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let warp = Warp::fit(&finite);
    values.iter().map(|value| warp.of(*value)).collect()
}

/// Offset and factor for own warped values, given rows and values of both.
pub(super) fn alignment(
    own: &[(&[f64], f64)],
    foreign: &[(&[f64], f64)],
    is_category: &[bool],
) -> (f64, f64) {
    if own.is_empty() || foreign.is_empty() {
        return (0.0, 1.0);
    }
    let there: Vec<f64> = own.iter().map(|(row, _)| nearest(row, foreign, is_category)).collect();
    let n = own.len() as f64;
    let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / n;
    let (mean_own, mean_there) =
        (mean(&mut own.iter().map(|(_, value)| *value)), mean(&mut there.iter().copied()));
    let variance = mean(&mut there.iter().map(|value| (value - mean_there) * (value - mean_there)));
    let factor = ((n * variance + DRAWN_BY) / (n + DRAWN_BY)).sqrt();
    (mean_there - factor * mean_own, factor)
}

/// The mean value of the nearest foreign points; ties by their order.
fn nearest(row: &[f64], foreign: &[(&[f64], f64)], is_category: &[bool]) -> f64 {
    let mut by_distance: Vec<(f64, f64)> =
        foreign.iter().map(|(other, value)| (distance(row, other, is_category), *value)).collect();
    by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = NEAREST.min(by_distance.len());
    by_distance.iter().take(count).map(|(_, value)| value).sum::<f64>() / count as f64
}

fn distance(a: &[f64], b: &[f64], is_category: &[bool]) -> f64 {
    let of = |((a, b), is_category): ((&f64, &f64), &bool)| {
        if a.is_nan() && b.is_nan() {
            0.0
        } else if a.is_nan() || b.is_nan() || (*is_category && a != b) {
            APART
        } else {
            (a - b) * (a - b)
        }
    };
    a.iter().zip(b).zip(is_category).map(of).sum()
}
