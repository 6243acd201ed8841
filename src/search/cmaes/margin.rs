//! The margin of a step: however far the distribution has shrunk, the neighbours of the mean's own step keep some
//! probability, so that no integer is settled for ever.
//!
//! R. Hamano, S. Saito, M. Nomura and S. Shirakawa, "CMA-ES with margin: lower-bounding marginal probability for
//! mixed-integer black-box optimization", GECCO 2022, section 4.

use crate::space::{normal_cdf, normal_quantile};

/// The mean and the standard deviation of a coordinate after the correction.
///
/// `cell`: that of the mean; one that touches 0 or 1 has a neighbour on one side alone. `alpha`: the probability of
/// leaving the cell is at least this.
pub(super) fn corrected(mean: f64, sd: f64, cell: (f64, f64), alpha: f64) -> (f64, f64) {
    let (low, high) = cell;
    let reach = sd * normal_quantile(1.0 - alpha);
    match (low <= 0.0, high >= 1.0) {
        (true, true) => (mean, sd),
        (true, false) => (mean.max(high - reach), sd),
        (false, true) => (mean.min(low + reach), sd),
        (false, false) => between(mean, sd, cell, alpha),
    }
}

/// Both sides get at least alpha/2; what they gain the three parts give in proportion.
fn between(mean: f64, sd: f64, (low, high): (f64, f64), alpha: f64) -> (f64, f64) {
    let (below, above) = (normal_cdf((low - mean) / sd), normal_cdf((mean - high) / sd));
    if below >= 0.5 * alpha && above >= 0.5 * alpha {
        return (mean, sd);
    }
    let inside = 1.0 - below - above;
    let (below, above) = (below.max(0.5 * alpha), above.max(0.5 * alpha));
    let sum = below + inside + above;
    let shrink = (1.0 - sum) / (sum - 1.5 * alpha);
    let side = |p: f64| normal_quantile(1.0 - (p + shrink * (p - 0.5 * alpha)).clamp(1e-12, 0.5 - 1e-12));
    let (left, right) = (side(below), side(above));
    // mean - low = left sd and high - mean = right sd
    ((low * right + high * left) / (left + right), (high - low) / (left + right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbours_keep_their_share() {
        let alpha = 0.05;
        for (mean, sd, cell) in [
            (0.5, 1e-9, (0.4, 0.6)),
            (0.41, 0.01, (0.4, 0.6)),
            (0.6, 1e-6, (0.4, 0.6)),
            (0.55, 0.03, (0.4, 0.6)),
        ] {
            let (m, s) = corrected(mean, sd, cell, alpha);
            let (below, above) = (normal_cdf((cell.0 - m) / s), normal_cdf((m - cell.1) / s));
            assert!(below > 0.49 * alpha && above > 0.49 * alpha, "{mean} {sd}: {below} {above}");
            assert!(m >= cell.0 && m <= cell.1, "{m}");
        }
        let (m, s) = corrected(0.05, 0.001, (0.0, 0.2), alpha);
        assert_eq!(s, 0.001);
        assert!((normal_cdf((m - 0.2) / s) - alpha).abs() < 1e-9);
        let (m, s) = corrected(0.95, 0.001, (0.8, 1.0), alpha);
        assert!((normal_cdf((0.8 - m) / s) - alpha).abs() < 1e-9);
        assert_eq!(corrected(0.5, 0.2, (0.4, 0.6), alpha), (0.5, 0.2));
        assert_eq!(corrected(0.5, 0.2, (0.0, 1.0), alpha), (0.5, 0.2));
    }
}
