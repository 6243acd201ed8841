//! How much hypervolume a trial is expected to add, two objectives, exactly.
//!
//! The region that no point of the front dominates, up to the reference r, is cut into strips between the front's first
//! values a_1 < .. < a_n (a_0 = -inf, a_n+1 = r_1); in strip i the second objective is below b_i (b_0 = r_2, b_i the
//! second value of point i). With independent normal beliefs [Y19]
//!
//! EHVI = sum_i (e1(a_i+1) - e1(a_i)) e2(b_i), e_j(t) = E max(0, t - f_j) = sd_j h((t - mean_j) / sd_j)
//!
//! in O(n). Terms are summed as logarithms, so that far from the front there is still a slope.
//!
//! - [Y19] K. Yang, M. Emmerich, A. Deutz, T. Back, "Efficient computation of expected hypervolume improvement using box
//!   decomposition algorithms", Journal of Global Optimization 75 (2019) 3-34.

use libm::{exp, log, log1p};

use crate::search::gp::acquisition::{Belief, Slope};
use crate::search::gp::normal::{log_cdf, log_h};

/// A front of two objectives, and its reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hypervolume {
    /// Where strip i ends: a_i+1.
    ends: Vec<f64>,
    /// Below what the second objective is in strip i: b_i.
    tops: Vec<f64>,
}

/// The points that no other dominates, by their first value; equal ones once.
pub(super) fn front(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let mut front: Vec<[f64; 2]> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point[1] < last[1]) {
            front.push(point);
        }
    }
    front
}

/// ln e(t) and the logarithms of its slopes in t (ln Phi) and in sd (ln phi).
struct Partial {
    ln_e: f64,
    ln_phi_cdf: f64,
    ln_density: f64,
}

impl Partial {
    fn at(t: f64, of: Belief) -> Partial {
        const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
        let z = (t - of.mean) / of.sd;
        Partial {
            ln_e: log_h(z) + log(of.sd),
            ln_phi_cdf: log_cdf(z),
            ln_density: -0.5 * z * z - HALF_LN_TAU,
        }
    }

    const NONE: Partial =
        Partial { ln_e: f64::NEG_INFINITY, ln_phi_cdf: f64::NEG_INFINITY, ln_density: f64::NEG_INFINITY };
}

impl Hypervolume {
    /// Of some points; those not better than the reference in both do not count.
    pub(crate) fn new(points: &[[f64; 2]], reference: [f64; 2]) -> Hypervolume {
        let inside: Vec<[f64; 2]> =
            points.iter().filter(|p| p[0] < reference[0] && p[1] < reference[1]).copied().collect();
        let front = front(&inside);
        let mut ends: Vec<f64> = front.iter().map(|p| p[0]).collect();
        ends.push(reference[0]);
        let mut tops = vec![reference[1]];
        tops.extend(front.iter().map(|p| p[1]));
        Hypervolume { ends, tops }
    }

    /// ln EHVI and its slopes.
    pub(crate) fn log_improvement(&self, at: &[Belief], slopes: &mut [Slope]) -> f64 {
        let strips = self.strips(at);
        let most = strips.iter().map(|strip| strip.0).fold(f64::NEG_INFINITY, f64::max);
        slopes.fill(Slope::default());
        if most == f64::NEG_INFINITY {
            return most;
        }
        let total = most + log(strips.iter().map(|strip| exp(strip.0 - most)).sum::<f64>());
        for (ln_term, first, second) in &strips {
            let share = exp(ln_term - total);
            slopes[0].mean += share * first.mean;
            slopes[0].sd += share * first.sd;
            slopes[1].mean += share * second.mean;
            slopes[1].sd += share * second.sd;
        }
        total
    }

    /// Of each strip the logarithm of its term, and that logarithm's slopes in both objectives.
    fn strips(&self, at: &[Belief]) -> Vec<(f64, Slope, Slope)> {
        let mut out = Vec::with_capacity(self.ends.len());
        let mut start = Partial::NONE;
        for (end, top) in self.ends.iter().zip(&self.tops) {
            let end = Partial::at(*end, at[0]);
            let height = Partial::at(*top, at[1]);
            // ln(e1(end) - e1(start))
            let ln_width = end.ln_e + log1p(-exp(start.ln_e - end.ln_e));
            if ln_width.is_finite() && height.ln_e.is_finite() {
                let first = Slope {
                    mean: exp(start.ln_phi_cdf - ln_width) - exp(end.ln_phi_cdf - ln_width),
                    sd: exp(end.ln_density - ln_width) - exp(start.ln_density - ln_width),
                };
                let second = Slope {
                    mean: -exp(height.ln_phi_cdf - height.ln_e),
                    sd: exp(height.ln_density - height.ln_e),
                };
                out.push((ln_width + height.ln_e, first, second));
            }
            start = end;
        }
        out
    }

    /// The hypervolume between the front and the reference.
    #[cfg(test)]
    pub(crate) fn volume(&self) -> f64 {
        let strips = self.ends.windows(2).zip(&self.tops[1..]);
        strips.map(|(ends, top)| (ends[1] - ends[0]) * (self.tops[0] - top)).sum()
    }
}
