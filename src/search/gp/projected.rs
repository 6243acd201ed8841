//! L-BFGS in the unit cube: minimises a function of which every variable lies in [0, 1].
//!
//! At each step the variables that lie on a bound and would leave it are held; the direction of the others comes from the
//! last pairs of steps and gradient changes (two loops [NW06, alg. 7.4]), and is followed along its projection into the
//! cube until Armijo's condition holds [B82]. Optima on bounds are common in tuning, so no transform hides the bounds.
//!
//! - [NW06] J. Nocedal and S. J. Wright, "Numerical Optimization", Springer, 2006.
//! - [B82] D. P. Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM Journal
//!   on Control and Optimization 20 (1982) 221-246.

use std::collections::VecDeque;

use crate::search::gp::linalg::dot;

const MEMORY: usize = 8;
/// Armijo's share of the decrease that the slope promises.
const SUFFICIENT: f64 = 1e-4;
const HALVINGS: u32 = 20;
/// Ends where no free slope is larger, or a step gains less than this, relative to the value.
const FLAT: f64 = 1e-5;
const GAIN: f64 = 1e-8;
/// The first step moves no variable further.
const FIRST_STEP: f64 = 0.1;

/// The last pairs of steps s and gradient changes y.
#[derive(Default)]
struct Pairs(VecDeque<(Vec<f64>, Vec<f64>)>);

impl Pairs {
    /// Keeps a pair of positive curvature.
    fn push(&mut self, s: Vec<f64>, y: Vec<f64>) {
        if dot(&s, &y) > 1e-12 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
            if self.0.len() == MEMORY {
                self.0.pop_front();
            }
            self.0.push_back((s, y));
        }
    }

    /// -H g over the free variables [NW06, alg. 7.4].
    fn direction(&self, gradient: &[f64], free: &[bool]) -> Vec<f64> {
        let masked = |v: &[f64]| -> Vec<f64> {
            v.iter().zip(free).map(|(v, free)| if *free { *v } else { 0.0 }).collect()
        };
        let mut q = masked(gradient);
        let pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = self
            .0
            .iter()
            .map(|(s, y)| (masked(s), masked(y)))
            .map(|(s, y)| {
                let curvature = dot(&s, &y);
                (s, y, curvature)
            })
            .filter(|(_, _, curvature)| *curvature > 1e-300)
            .collect();
        let mut shares = Vec::with_capacity(pairs.len());
        for (s, y, curvature) in pairs.iter().rev() {
            let share = dot(s, &q) / curvature;
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= share * y);
            shares.push(share);
        }
        let scale = match pairs.last() {
            Some((_, y, curvature)) => curvature / dot(y, y),
            None => FIRST_STEP / q.iter().fold(0.0f64, |most, q| most.max(q.abs())).max(1e-300),
        };
        q.iter_mut().for_each(|q| *q *= scale);
        for ((s, y, curvature), share) in pairs.iter().zip(shares.iter().rev()) {
            let change = share - dot(y, &q) / curvature;
            q.iter_mut().zip(s).for_each(|(q, s)| *q += change * s);
        }
        q.iter_mut().for_each(|q| *q = -*q);
        q
    }
}

/// The best point found from `start` in at most `iterations` steps, and its value.
pub(crate) fn minimise(
    start: &[f64],
    iterations: usize,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> (Vec<f64>, f64) {
    let mut x: Vec<f64> = start.iter().map(|x| x.clamp(0.0, 1.0)).collect();
    let (mut f, mut gradient) = function(&x);
    let mut pairs = Pairs::default();
    for _ in 0..iterations {
        let free: Vec<bool> = x
            .iter()
            .zip(&gradient)
            .map(|(x, g)| !((*x <= 0.0 && *g > 0.0) || (*x >= 1.0 && *g < 0.0)))
            .collect();
        let steepest = gradient.iter().zip(&free).filter(|(_, free)| **free).map(|(g, _)| g.abs());
        if steepest.fold(0.0, f64::max) <= FLAT || !f.is_finite() {
            break;
        }
        let mut direction = pairs.direction(&gradient, &free);
        if dot(&direction, &gradient) >= 0.0 {
            pairs = Pairs::default();
            direction = pairs.direction(&gradient, &free);
        }
        let Some((next, value, slope)) = descend(&x, f, &gradient, &direction, &mut function) else {
            if pairs.0.is_empty() {
                break;
            }
            pairs = Pairs::default();
            continue;
        };
        let s = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y = slope.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        pairs.push(s, y);
        let gained = f - value;
        (x, f, gradient) = (next, value, slope);
        if gained <= GAIN * f.abs().max(1.0) {
            break;
        }
    }
    (x, f)
}

/// Halves the step along the projected direction until the value falls enough.
fn descend(
    x: &[f64],
    f: f64,
    gradient: &[f64],
    direction: &[f64],
    function: &mut impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let mut step = 1.0;
    for _ in 0..HALVINGS {
        let next: Vec<f64> = x.iter().zip(direction).map(|(x, d)| (x + step * d).clamp(0.0, 1.0)).collect();
        if next == x {
            return None;
        }
        let promised: f64 = next.iter().zip(x).zip(gradient).map(|((a, b), g)| (a - b) * g).sum();
        let (value, slope) = function(&next);
        if value <= f + SUFFICIENT * promised {
            return Some((next, value, slope));
        }
        step *= 0.5;
    }
    None
}
