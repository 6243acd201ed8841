//! The distribution of one run of the strategy: what a generation is drawn from, and how its results move it.
//!
//! Numbers and steps are coordinates in [0, 1]: x = m + sigma S B diag(D) z, where S is the diagonal of scales that the
//! margin of steps needs. A choice has a vector of probabilities, drawn by itself: it moves towards what the better half
//! chose, and every class keeps a share (after R. Hamano, S. Saito, M. Nomura, K. Uchida and S. Shirakawa, "CatCMA:
//! stochastic optimization for mixed-category problems", GECCO 2024, at a fixed rate).

use libm::{exp, sqrt};
use rand_chacha::ChaCha8Rng;

use crate::search::axis::{Axis, weighted};
use crate::search::cmaes::covariance::Covariance;
use crate::search::cmaes::margin::corrected;
use crate::search::cmaes::strategy::Strategy;
use crate::space::{Point, Space, normal_cdf, normal_quantile, uniform};

/// The first standard deviation of every coordinate.
pub(super) const SIGMA: f64 = 1.0 / 6.0;
/// The largest, of an interval of width 1.
const LARGEST_SIGMA: f64 = 10.0;
/// How often a point outside the unit cube is drawn again.
const REDRAWS: usize = 100;

/// The distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evolution {
    pub(super) lambda: usize,
    /// Generations that closed.
    pub(super) generation: u32,
    strategy: Strategy,
    /// The leaf of each coordinate, and of each vector of probabilities.
    coordinates: Vec<usize>,
    choices: Vec<usize>,
    mean: Vec<f64>,
    sigma: f64,
    scales: Vec<f64>,
    covariance: Covariance,
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
    probabilities: Vec<Vec<f64>>,
}

/// A draw: the coordinates, before steps are rounded, and the point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) x: Vec<f64>,
    pub(super) point: Point,
}

impl Evolution {
    /// A run that begins at `mean(leaf)`.
    pub(super) fn new(axes: &[Axis], lambda: usize, mut mean: impl FnMut() -> f64) -> Evolution {
        let (mut coordinates, mut choices, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
        for (leaf, axis) in axes.iter().enumerate() {
            match axis {
                Axis::Single => {}
                Axis::Choices(own) => {
                    choices.push(leaf);
                    probabilities.push(own.prior.clone());
                }
                Axis::Continuous(_)
                | Axis::Integers { .. }
                | Axis::Quantised { .. }
                | Axis::Ordinal { .. } => coordinates.push(leaf),
            }
        }
        let d = coordinates.len();
        Evolution {
            lambda,
            generation: 0,
            strategy: Strategy::new(d.max(1), lambda, Covariance::is_diagonal(d)),
            mean: coordinates.iter().map(|_| mean()).collect(),
            sigma: SIGMA,
            scales: vec![1.0; d],
            covariance: Covariance::identity(d),
            path_sigma: vec![0.0; d],
            path_c: vec![0.0; d],
            coordinates,
            choices,
            probabilities,
        }
    }

    /// How many coordinates it has, steps and numbers.
    pub(super) fn coordinates(&self) -> usize {
        self.coordinates.len()
    }

    /// Draws a point.
    pub(super) fn draw(&self, space: &Space, axes: &[Axis], rng: &mut ChaCha8Rng) -> Drawn {
        let mut x = self.draw_coordinates(rng);
        for _ in 0..REDRAWS {
            if x.iter().all(|x| (0.0..=1.0).contains(x)) {
                break;
            }
            x = self.draw_coordinates(rng);
        }
        x.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
        let mut units = vec![0.5; axes.len()];
        for (leaf, x) in self.coordinates.iter().zip(&x) {
            units[*leaf] = axes[*leaf].unit(*x);
        }
        for (leaf, probabilities) in self.choices.iter().zip(&self.probabilities) {
            let class = weighted(probabilities, rng);
            if let Axis::Choices(choices) = &axes[*leaf] {
                units[*leaf] = choices.unit(class);
            }
        }
        Drawn { x, point: space.at(&units) }
    }

    fn draw_coordinates(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let z: Vec<f64> = self.mean.iter().map(|_| normal_quantile(uniform(rng))).collect();
        let y = self.covariance.root(&z);
        (0..y.len()).map(|k| self.mean[k] + self.sigma * self.scales[k] * y[k]).collect()
    }

    /// Coordinates of a point that was not drawn from here: the mean where it has none; of a step a draw of the
    /// marginal inside its cell.
    pub(super) fn locate(&self, axes: &[Axis], point: &Point, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut x = self.mean.clone();
        for (k, leaf) in self.coordinates.iter().enumerate() {
            let u = uniform(rng);
            let at = point.coordinates()[*leaf];
            if let Some((low, high)) = axes[*leaf].cell(at) {
                let sd = self.deviation(k);
                let share = |edge: f64| normal_cdf((edge - self.mean[k]) / sd);
                let (below, above) = (share(low), share(high));
                let inside = (below + u * (above - below)).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
                x[k] = (self.mean[k] + sd * normal_quantile(inside)).clamp(low, high);
            } else if let Some(z) = axes[*leaf].z(at) {
                x[k] = z;
            }
        }
        x
    }

    fn deviation(&self, coordinate: usize) -> f64 {
        self.sigma * self.scales[coordinate] * sqrt(self.covariance.variance(coordinate))
    }

    /// Learns from a generation, best first: [H16], equations 34 to 47.
    pub(super) fn learn(&mut self, axes: &[Axis], ranked: &[(Vec<f64>, &Point)]) {
        self.generation += 1;
        if !self.mean.is_empty() {
            let ys: Vec<Vec<f64>> = ranked.iter().map(|(x, _)| self.step(x)).collect();
            self.learn_coordinates(&ys);
            self.keep_margins(axes);
        }
        self.learn_choices(axes, ranked);
    }

    /// (x - m) / (sigma S), shortened where no draw would go so far: N. Hansen, "Injecting external solutions into
    /// CMA-ES" (2011).
    fn step(&self, x: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> =
            (0..x.len()).map(|k| (x[k] - self.mean[k]) / (self.sigma * self.scales[k])).collect();
        let d = x.len() as f64;
        let (length, longest) = (norm(&self.covariance.whiten(&y)), sqrt(d) + 2.0 * d / (d + 2.0));
        if length > longest {
            y.iter_mut().for_each(|y| *y *= longest / length);
        }
        y
    }

    fn learn_coordinates(&mut self, ys: &[Vec<f64>]) {
        let (s, d) = (&self.strategy, self.mean.len());
        // y_w = sum over the best mu of w_i y_i
        let mut y_w = vec![0.0; d];
        for (w, y) in s.weights.iter().zip(ys).take(s.mu) {
            y_w.iter_mut().zip(y).for_each(|(sum, y)| *sum += w * y);
        }
        let white = self.covariance.whiten(&y_w);
        let lengths: Vec<f64> = ys.iter().map(|y| norm(&self.covariance.whiten(y))).collect();
        for ((mean, y), scale) in self.mean.iter_mut().zip(&y_w).zip(&self.scales) {
            *mean = (*mean + self.sigma * scale * y).clamp(0.0, 1.0);
        }
        let pull = sqrt(s.c_sigma * (2.0 - s.c_sigma) * s.mu_eff);
        self.path_sigma.iter_mut().zip(&white).for_each(|(p, y)| *p = (1.0 - s.c_sigma) * *p + pull * y);
        let length = norm(&self.path_sigma);
        self.sigma *= exp((s.c_sigma / s.d_sigma) * (length / s.chi - 1.0));
        self.sigma = self.sigma.clamp(f64::MIN_POSITIVE, LARGEST_SIGMA);
        // h_sigma: the path to the covariance waits while sigma grows fast
        let decay = exp(2.0 * f64::from(self.generation + 1) * libm::log(1.0 - s.c_sigma));
        let waits = length / sqrt(1.0 - decay) >= (1.4 + 2.0 / (d as f64 + 1.0)) * s.chi;
        let h = if waits { 0.0 } else { 1.0 };
        let pull = h * sqrt(s.c_c * (2.0 - s.c_c) * s.mu_eff);
        self.path_c.iter_mut().zip(&y_w).for_each(|(p, y)| *p = (1.0 - s.c_c) * *p + pull * y);
        let lost = (1.0 - h) * s.c_c * (2.0 - s.c_c);
        let keep = 1.0 + s.c_1 * lost - s.c_1 - s.c_mu * s.weights.iter().sum::<f64>();
        let mut steps: Vec<(f64, &[f64])> = vec![(s.c_1, &self.path_c)];
        for ((w, y), length) in s.weights.iter().zip(ys).zip(&lengths) {
            // what is unlearned has the length of a usual draw
            let scale = if *w >= 0.0 { 1.0 } else { d as f64 / (length * length + 1e-8) };
            steps.push((s.c_mu * w * scale, y));
        }
        self.covariance.learn(keep, &steps);
    }

    fn keep_margins(&mut self, axes: &[Axis]) {
        let alpha = self.least_share();
        for (k, leaf) in self.coordinates.iter().enumerate() {
            let Some(cell) = axes[*leaf].cell_at(self.mean[k]) else { continue };
            let sd = self.deviation(k);
            let (mean, wider) = corrected(self.mean[k], sd, cell, alpha);
            self.mean[k] = mean.clamp(0.0, 1.0);
            self.scales[k] *= wider / sd;
        }
    }

    /// The probability with which a step or a choice is another than the usual one.
    fn least_share(&self) -> f64 {
        1.0 / ((self.coordinates.len() + self.choices.len()) as f64 * self.lambda as f64)
    }

    fn learn_choices(&mut self, axes: &[Axis], ranked: &[(Vec<f64>, &Point)]) {
        let s = &self.strategy;
        let rate = s.mu_eff / (s.mu_eff + (self.coordinates.len() + self.choices.len()) as f64 + 5.0);
        let least = self.least_share();
        for (leaf, probabilities) in self.choices.iter().zip(&mut self.probabilities) {
            let Axis::Choices(choices) = &axes[*leaf] else { continue };
            for (w, (_, point)) in s.weights.iter().zip(ranked).take(s.mu) {
                let Some(class) = axes[*leaf].class(point.coordinates()[*leaf]) else { continue };
                for (other, p) in probabilities.iter_mut().enumerate() {
                    *p += rate * w * (f64::from(u8::from(other == class)) - *p);
                }
            }
            let possible = choices.prior.iter().filter(|prior| **prior > 0.0).count();
            let least = least / possible.saturating_sub(1).max(1) as f64;
            for (p, prior) in probabilities.iter_mut().zip(&choices.prior) {
                *p = if *prior > 0.0 { p.max(least) } else { 0.0 };
            }
            let total: f64 = probabilities.iter().sum();
            probabilities.iter_mut().for_each(|p| *p /= total);
        }
    }

    /// Whether it has shrunk to nothing, or to a needle.
    pub(super) fn is_exhausted(&self) -> bool {
        let widest = (0..self.mean.len()).map(|k| self.deviation(k)).fold(0.0, f64::max);
        !self.mean.is_empty()
            && (widest < 1e-12 * SIGMA || !widest.is_finite() || self.covariance.condition() > 1e14)
    }
}

fn norm(x: &[f64]) -> f64 {
    sqrt(x.iter().map(|x| x * x).sum())
}
