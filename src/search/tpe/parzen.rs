//! A density over the space, made of trials: a mixture of products, one component a trial and one for the prior.
//!
//! - n trials; their components have the weights w_i, the prior's has 1, and all are divided by their sum.
//! - A number of component i is normal around z_i, truncated to [0, 1]; a step of it has the mass of its cell. The
//!   standard deviation is the larger gap to the neighbours of z_i among the trials and the ends 0 and 1 (the first and
//!   the last trial: the gap inside), at least 1/min(100, n + 2) and at most 1. The prior is normal(1/2, 1), truncated.
//! - A choice of component i has K p_c/(n + 1) added to each class c, where p is the prior and K the number of classes,
//!   and 1 to the trial's own class.
//! - What a trial does not have (a leaf that was absent) its component takes from the prior, and n is, for a leaf, the
//!   number of trials that have it. The density of a point is that over the leaves it has.
//!
//! After J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011; the
//! numbers are those of Optuna's `_ParzenEstimator`.

use rand_chacha::ChaCha8Rng;

use libm::{exp, log};

use crate::search::axis::{Axis, Choices, weighted};
use crate::space::{Coordinate, Point, Space, normal_cdf, normal_quantile, uniform};

/// The narrowest kernel is this share of the interval.
const MOST_KERNELS: f64 = 100.0;
/// ln sqrt(2 pi)
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
/// Terms of a sum of exponentials that are smaller than the largest by this factor's logarithm add nothing.
const LOST: f64 = 45.0;
/// A mass that is smaller counts as this.
const LEAST_MASS: f64 = 1e-300;

/// The density.
#[derive(Debug)]
pub(super) struct Parzen<'a> {
    axes: &'a [Axis],
    /// Normalised, the prior's last.
    weights: Vec<f64>,
    ln_weights: Vec<f64>,
    factors: Vec<Factor>,
}

/// What the components have of one leaf.
#[derive(Debug)]
enum Factor {
    /// There is nothing to tell apart.
    None,
    /// Distinct kernels, the prior's first, and the number of each component's own.
    Numbers { kernels: Vec<Kernel>, of: Vec<u32> },
    /// ln of the probability of each class under each class's kernel, the prior's first; and each component's own.
    Classes { ln: Vec<Vec<f64>>, of: Vec<u32> },
}

/// A normal distribution truncated to [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kernel {
    mu: f64,
    sigma: f64,
    /// Mass of the normal below 0, and inside.
    below: f64,
    mass: f64,
    /// -ln(mass sigma sqrt(2 pi))
    ln_scale: f64,
}

/// A point's value on one leaf, as a density asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Query {
    Absent,
    At(f64),
    Cell(f64, f64),
    Class(usize),
}

impl<'a> Parzen<'a> {
    /// The density of trials at `points` with `weights`.
    pub(super) fn new(axes: &'a [Axis], points: &[&Point], weights: &[f64]) -> Parzen<'a> {
        let total = weights.iter().sum::<f64>() + 1.0;
        let weights: Vec<f64> = weights.iter().chain(&[1.0]).map(|weight| weight / total).collect();
        let ln_weights = weights.iter().map(|weight| log(*weight)).collect();
        let factors = axes.iter().enumerate().map(|(leaf, axis)| Factor::new(axis, leaf, points)).collect();
        Parzen { axes, weights, ln_weights, factors }
    }

    /// A point drawn from it.
    pub(super) fn draw(&self, space: &Space, rng: &mut ChaCha8Rng) -> Point {
        let component = weighted(&self.weights, rng);
        let units: Vec<f64> = self
            .axes
            .iter()
            .zip(&self.factors)
            .map(|(axis, factor)| factor.draw(axis, component, rng))
            .collect();
        space.at(&units)
    }

    /// ln of the density at a point.
    pub(super) fn ln_density(&self, query: &[Query]) -> f64 {
        let mut terms = self.ln_weights.clone();
        for (factor, at) in self.factors.iter().zip(query) {
            factor.add(*at, &mut terms);
        }
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return largest;
        }
        let sum: f64 = terms.iter().filter(|term| **term > largest - LOST).map(|t| exp(t - largest)).sum();
        largest + log(sum)
    }
}

/// How a density is asked about a point.
pub(super) fn query(axes: &[Axis], point: &Point) -> Vec<Query> {
    let one = |(axis, at): (&Axis, &Coordinate)| match axis {
        Axis::Choices(_) => axis.class(*at).map(Query::Class),
        Axis::Single => None,
        Axis::Continuous(_) => axis.z(*at).map(Query::At),
        Axis::Integers { .. } | Axis::Quantised { .. } | Axis::Ordinal { .. } => {
            axis.cell(*at).map(|(low, high)| Query::Cell(low, high))
        }
    };
    axes.iter().zip(point.coordinates()).map(|pair| one(pair).unwrap_or(Query::Absent)).collect()
}

impl Factor {
    fn new(axis: &Axis, leaf: usize, points: &[&Point]) -> Factor {
        match axis {
            Axis::Single => Factor::None,
            Axis::Choices(choices) => {
                let classes: Vec<Option<usize>> =
                    points.iter().map(|point| axis.class(point.coordinates()[leaf])).collect();
                Factor::classes(choices, &classes)
            }
            Axis::Continuous(_) | Axis::Integers { .. } | Axis::Quantised { .. } | Axis::Ordinal { .. } => {
                let zs: Vec<Option<f64>> =
                    points.iter().map(|point| axis.z(point.coordinates()[leaf])).collect();
                Factor::numbers(&zs)
            }
        }
    }

    fn classes(choices: &Choices, classes: &[Option<usize>]) -> Factor {
        let kernels = classes.iter().flatten().count() as f64 + 1.0;
        let count = choices.prior.len() as f64;
        let of_class = |own: usize| -> Vec<f64> {
            let one = |(class, prior): (usize, &f64)| {
                let weight = count * prior / kernels + f64::from(u8::from(class == own));
                log(weight / (count / kernels + 1.0))
            };
            choices.prior.iter().enumerate().map(one).collect()
        };
        let prior = choices.prior.iter().map(|p| log(*p)).collect();
        let ln = std::iter::once(prior).chain((0..choices.prior.len()).map(of_class)).collect();
        let own = |class: &Option<usize>| class.map_or(0, |class| class as u32 + 1);
        Factor::Classes { ln, of: classes.iter().map(own).chain([0]).collect() }
    }

    fn numbers(zs: &[Option<f64>]) -> Factor {
        let mut sorted: Vec<(f64, usize)> =
            zs.iter().enumerate().filter_map(|(trial, z)| z.map(|z| (z, trial))).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let narrowest = 1.0 / MOST_KERNELS.min(sorted.len() as f64 + 2.0);
        let mut kernels = vec![Kernel::new(0.5, 1.0)];
        let mut of = vec![0; zs.len() + 1];
        for (place, (z, trial)) in sorted.iter().enumerate() {
            let sigma = widest_gap(&sorted, place).clamp(narrowest, 1.0);
            // equal trials of a step follow each other, and most have equal gaps
            let last = kernels[kernels.len() - 1];
            if kernels.len() == 1 || (last.mu, last.sigma) != (*z, sigma) {
                kernels.push(Kernel::new(*z, sigma));
            }
            of[*trial] = kernels.len() as u32 - 1;
        }
        Factor::Numbers { kernels, of }
    }

    /// The unit value of a component's draw.
    fn draw(&self, axis: &Axis, component: usize, rng: &mut ChaCha8Rng) -> f64 {
        match (self, axis) {
            (Factor::Numbers { kernels, of }, _) => {
                axis.unit(kernels[of[component] as usize].quantile(uniform(rng)))
            }
            (Factor::Classes { ln, of }, Axis::Choices(choices)) => {
                let weights: Vec<f64> = ln[of[component] as usize].iter().map(|ln| exp(*ln)).collect();
                choices.unit(weighted(&weights, rng))
            }
            _ => 0.5,
        }
    }

    /// Adds what it says of a value to the logarithm of every component.
    fn add(&self, at: Query, terms: &mut [f64]) {
        let (table, of): (Vec<f64>, &[u32]) = match (self, at) {
            (Factor::Numbers { kernels, of }, Query::At(z)) => {
                (kernels.iter().map(|kernel| kernel.ln_density(z)).collect(), of)
            }
            (Factor::Numbers { kernels, of }, Query::Cell(low, high)) => {
                (kernels.iter().map(|kernel| kernel.ln_mass(low, high)).collect(), of)
            }
            (Factor::Classes { ln, of }, Query::Class(class)) => {
                (ln.iter().map(|kernel| kernel[class]).collect(), of)
            }
            _ => return,
        };
        for (term, kernel) in terms.iter_mut().zip(of) {
            *term += table[*kernel as usize];
        }
    }
}

/// Of the sorted trials, the larger gap beside one; the ends of the interval count for a trial that is alone, and for
/// those between the first and the last nothing but trials is near.
fn widest_gap(sorted: &[(f64, usize)], place: usize) -> f64 {
    let z = sorted[place].0;
    let before = place.checked_sub(1).map(|before| z - sorted[before].0);
    let after = sorted.get(place + 1).map(|after| after.0 - z);
    match (before, after) {
        (Some(before), Some(after)) => before.max(after),
        (Some(gap), None) | (None, Some(gap)) => gap,
        (None, None) => z.max(1.0 - z),
    }
}

impl Kernel {
    fn new(mu: f64, sigma: f64) -> Kernel {
        let below = normal_cdf(-mu / sigma);
        let mass = normal_cdf((1.0 - mu) / sigma) - below;
        Kernel { mu, sigma, below, mass, ln_scale: -log(mass * sigma) - LN_SQRT_TAU }
    }

    fn quantile(&self, u: f64) -> f64 {
        let share = (self.below + u * self.mass).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0);
        (self.mu + self.sigma * normal_quantile(share)).clamp(0.0, 1.0)
    }

    fn ln_density(&self, z: f64) -> f64 {
        let t = (z - self.mu) / self.sigma;
        self.ln_scale - 0.5 * t * t
    }

    fn ln_mass(&self, low: f64, high: f64) -> f64 {
        let (a, b) = ((low - self.mu) / self.sigma, (high - self.mu) / self.sigma);
        // in the lower tail, where differences keep their digits
        let mass = if a > 0.0 { normal_cdf(-a) - normal_cdf(-b) } else { normal_cdf(b) - normal_cdf(a) };
        log(mass.max(LEAST_MASS)) - log(self.mass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::{leaf, numbers, oracle, words};
    use crate::space::{Distribution, Value, stream};

    fn reference_space() -> Space {
        Space::new(vec![
            leaf("c", words(&["a", "b", "c"])),
            leaf("k", Distribution::IntUniform { min: 1, max: 9 }),
            leaf("lr", Distribution::LogUniformValues { min: 1e-4, max: 1.0 }),
            leaf("x", Distribution::Uniform { min: 0.0, max: 1.0 }),
        ])
        .unwrap()
    }

    fn reference_point(space: &Space, values: &serde_json::Value, k: usize) -> Point {
        let of = |name: &str| numbers(&values[name])[k];
        let units = [(of("c") + 0.5) / 3.0, (of("k") - 0.5) / 9.0, 1.0 - log(of("lr")) / log(1e-4), of("x")];
        space.at(&units)
    }

    #[test]
    fn kernels_and_densities_are_optunas() {
        let Some(known) = oracle("tpe.json") else { return };
        let space = reference_space();
        let axes = Axis::of(&space);
        let points: Vec<Point> = (0..4).map(|k| reference_point(&space, &known["observations"], k)).collect();
        let density = Parzen::new(&axes, &points.iter().collect::<Vec<_>>(), &[1.0; 4]);
        for (leaf, kernels, width) in [(3, 0, 1.0), (2, 1, -log(1e-4)), (1, 2, 9.0)] {
            let Factor::Numbers { kernels: own, of } = &density.factors[leaf] else { unreachable!() };
            let sigma: Vec<f64> = of.iter().map(|kernel| own[*kernel as usize].sigma * width).collect();
            let theirs = numbers(&known["kernels"][kernels]["sigma"]);
            assert!(
                sigma.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-12 * b),
                "{sigma:?} {theirs:?}"
            );
        }
        for (k, ln) in numbers(&known["log_pdf"]).into_iter().enumerate() {
            let at = query(&axes, &reference_point(&space, &known["queries"], k));
            // theirs is a density of ln lr
            let own = density.ln_density(&at) - log(-log(1e-4));
            assert!((own - ln).abs() < 1e-9, "{own} {ln}");
        }
    }

    #[test]
    fn draws_follow_the_density() {
        let space = Space::new(vec![leaf("x", Distribution::IntUniform { min: 0, max: 4 })]).unwrap();
        let axes = Axis::of(&space);
        let points: Vec<Point> = [0.1, 0.7, 0.7].map(|u| space.at(&[u])).to_vec();
        let density = Parzen::new(&axes, &points.iter().collect::<Vec<_>>(), &[1.0, 2.0, 0.5]);
        let mut rng = stream(1, "test", 0);
        let mut counts = [0.0; 5];
        for _ in 0..20_000 {
            let point = density.draw(&space, &mut rng);
            counts[point.coordinates()[0].number().unwrap() as usize] += 1.0 / 20_000.0;
        }
        let mut total = 0.0;
        for (k, share) in counts.into_iter().enumerate() {
            let mass = exp(density.ln_density(&query(&axes, &space.at(&[(k as f64 + 0.5) / 5.0]))));
            assert!((mass - share).abs() < 0.015, "{k}: {share} drawn of {mass}");
            total += mass;
        }
        assert!((total - 1.0).abs() < 1e-12, "{total}");
    }

    #[test]
    fn a_class_of_no_probability_is_never_drawn() {
        let distribution = Distribution::CategoricalWithProbabilities {
            values: ["a", "b", "c"].map(|word| Value::Text(word.to_owned())).to_vec(),
            probabilities: vec![0.5, 0.0, 0.5],
        };
        let space = Space::new(vec![leaf("x", distribution)]).unwrap();
        let axes = Axis::of(&space);
        let density = Parzen::new(&axes, &[&space.at(&[0.1])], &[1.0]);
        let mut rng = stream(1, "test", 0);
        assert!((0..100).all(|_| density.draw(&space, &mut rng).coordinates()[0] != Coordinate::Choice(1)));
        assert_eq!(density.ln_density(&[Query::Class(1)]), f64::NEG_INFINITY);
        // half of (3/4 + 1) / (3/2 + 1), half of the prior
        assert!((density.ln_density(&[Query::Class(0)]) - log(0.5 * 1.75 / 2.5 + 0.25)).abs() < 1e-12);
    }
}
