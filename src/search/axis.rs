//! One leaf as a model sees it: a place z in the unit interval, or one of some unordered choices.
//!
//! - A number's z is its share of the distribution, so that equal steps of z are equally likely a priori: logarithms,
//!   normals and betas need no further care.
//! - Integers, quantised numbers and lists of at least three distinct numbers are *steps*: each owns a cell of the unit
//!   interval, the cells tile it in the order of the values, and z is the middle of the cell.
//! - Other lists are *choices*: equal values are one class, nothing lies between two classes.

use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution as _;
use rand_distr::weighted::WeightedIndex;

use crate::space::{Coordinate, Distribution, Point, Space, Value};

/// The narrowest cell: of a step that is lost in the rounding of its value.
const NARROWEST: f64 = 1e-12;
/// How far, in steps, equal values of a quantised number may lie apart.
const SAME_STEP: f64 = 1e-6;

/// One leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// It has one value.
    Single,
    /// Any number of an interval.
    Continuous(Distribution),
    /// Integers from `min` on.
    Integers { min: i64, count: f64 },
    /// Multiples of `q`, from `first` on.
    Quantised { distribution: Distribution, q: f64, first: f64, count: f64 },
    /// Numbers that were listed: the rank of each index of the list, and an index of each rank.
    Ordinal { rank: Vec<u32>, index: Vec<u32> },
    /// Anything else that was listed.
    Choices(Choices),
}

/// Classes of equal values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choices {
    /// Of each index of the list.
    class: Vec<u32>,
    /// The unit value that draws each class.
    unit: Vec<f64>,
    /// How likely each class is a priori.
    pub(super) prior: Vec<f64>,
}

impl Axis {
    /// The axes of a space, one a leaf.
    pub(super) fn of(space: &Space) -> Vec<Axis> {
        space.leaves().iter().map(|leaf| Axis::new(&leaf.distribution)).collect()
    }

    fn new(distribution: &Distribution) -> Axis {
        if distribution.ppf(0.0) == distribution.ppf(1.0) {
            return Axis::Single;
        }
        match distribution {
            Distribution::Constant { .. } => Axis::Single,
            Distribution::Categorical { values } => {
                let even = vec![1.0 / values.len() as f64; values.len()];
                ordinal(values).unwrap_or_else(|| choices(distribution, values, &even))
            }
            Distribution::CategoricalWithProbabilities { values, probabilities } => {
                choices(distribution, values, probabilities)
            }
            Distribution::IntUniform { min, max } => {
                Axis::Integers { min: *min, count: (i128::from(*max) - i128::from(*min) + 1) as f64 }
            }
            Distribution::QUniform { q, .. }
            | Distribution::QLogUniform { q, .. }
            | Distribution::QLogUniformValues { q, .. }
            | Distribution::QNormal { q, .. }
            | Distribution::QLogNormal { q, .. }
            | Distribution::QBeta { q, .. } => quantised(distribution, q.size()),
            Distribution::Uniform { .. }
            | Distribution::LogUniform { .. }
            | Distribution::InvLogUniform { .. }
            | Distribution::LogUniformValues { .. }
            | Distribution::InvLogUniformValues { .. }
            | Distribution::Normal { .. }
            | Distribution::LogNormal { .. }
            | Distribution::Beta { .. } => Axis::Continuous(distribution.clone()),
        }
    }

    /// Whether there is something to search.
    pub(super) fn is_searched(&self) -> bool {
        *self != Axis::Single
    }

    /// Where a value lies; none for an absent leaf and for a choice.
    pub(super) fn z(&self, at: Coordinate) -> Option<f64> {
        match self {
            Axis::Single | Axis::Choices(_) => None,
            Axis::Continuous(distribution) => at.number().map(|_| distribution.cdf(at)),
            Axis::Integers { .. } | Axis::Quantised { .. } | Axis::Ordinal { .. } => {
                self.cell(at).map(|(low, high)| 0.5 * (low + high))
            }
        }
    }

    /// The cell of a step.
    pub(super) fn cell(&self, at: Coordinate) -> Option<(f64, f64)> {
        match (self, at) {
            (Axis::Integers { min, count }, Coordinate::Integer(i)) => {
                let k = (i128::from(i) - i128::from(*min)) as f64;
                Some(wide(k / count, (k + 1.0) / count))
            }
            (Axis::Ordinal { rank, index }, Coordinate::Choice(i)) => {
                let (k, count) = (f64::from(*rank.get(i as usize)?), index.len() as f64);
                Some((k / count, (k + 1.0) / count))
            }
            (Axis::Quantised { distribution, q, .. }, at) => {
                let x = at.number()?;
                let share = |x: f64| distribution.cdf(Coordinate::Number(x));
                Some(wide(share(x - 0.5 * q), share(x + 0.5 * q)))
            }
            _ => None,
        }
    }

    /// The cell in which a place lies, of an axis of steps.
    pub(super) fn cell_at(&self, z: f64) -> Option<(f64, f64)> {
        match self {
            Axis::Integers { count, .. } => Some(equal_cell(z, *count)),
            Axis::Ordinal { index, .. } => Some(equal_cell(z, index.len() as f64)),
            Axis::Quantised { distribution, .. } => self.cell(distribution.ppf(z)),
            Axis::Single | Axis::Continuous(_) | Axis::Choices(_) => None,
        }
    }

    /// The class of a choice.
    pub(super) fn class(&self, at: Coordinate) -> Option<usize> {
        match (self, at) {
            (Axis::Choices(choices), Coordinate::Choice(i)) => {
                choices.class.get(i as usize).map(|class| *class as usize)
            }
            _ => None,
        }
    }

    /// The unit value from which [`Space::at`] makes the value at `z`.
    pub(super) fn unit(&self, z: f64) -> f64 {
        match self {
            Axis::Ordinal { index, .. } => {
                let rank = ((z * index.len() as f64) as usize).min(index.len() - 1);
                (f64::from(index[rank]) + 0.5) / index.len() as f64
            }
            Axis::Single
            | Axis::Continuous(_)
            | Axis::Integers { .. }
            | Axis::Quantised { .. }
            | Axis::Choices(_) => z,
        }
    }

    /// How many values there are; none: more than anybody counts.
    pub(super) fn count(&self) -> Option<f64> {
        match self {
            Axis::Single => Some(1.0),
            Axis::Continuous(_) => None,
            Axis::Integers { count, .. } | Axis::Quantised { count, .. } => Some(*count),
            Axis::Ordinal { index, .. } => Some(index.len() as f64),
            Axis::Choices(choices) => Some(choices.unit.len() as f64),
        }
    }

    /// The unit value of the k-th of [`Axis::count`] values.
    pub(super) fn nth_unit(&self, k: f64) -> f64 {
        match self {
            Axis::Single | Axis::Continuous(_) => 0.5,
            Axis::Integers { count, .. } => (k + 0.5) / count,
            Axis::Quantised { distribution, q, first, .. } => {
                distribution.cdf(Coordinate::Number(first + k * q))
            }
            Axis::Ordinal { index, .. } => self.unit((k + 0.5) / index.len() as f64),
            Axis::Choices(choices) => choices.unit[k as usize],
        }
    }

    /// Whether two values are one.
    pub(super) fn same(&self, a: Coordinate, b: Coordinate) -> bool {
        if a == b {
            return true;
        }
        match self {
            Axis::Quantised { q, .. } => {
                a.number().zip(b.number()).is_some_and(|(a, b)| (a - b).abs() <= SAME_STEP * q)
            }
            Axis::Choices(_) => self.class(a).is_some() && self.class(a) == self.class(b),
            Axis::Single => a != Coordinate::Absent && b != Coordinate::Absent,
            Axis::Continuous(_) | Axis::Integers { .. } | Axis::Ordinal { .. } => false,
        }
    }
}

impl Choices {
    /// The unit value from which [`Space::at`] makes a value of the class.
    pub(super) fn unit(&self, class: usize) -> f64 {
        self.unit[class]
    }
}

/// One of those that have these weights, as likely as its share of them; the first where they say nothing.
pub(super) fn weighted(weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    WeightedIndex::new(weights).map_or(0, |index| index.sample(rng))
}

/// Whether two points are one.
pub(super) fn same_point(axes: &[Axis], a: &Point, b: &Point) -> bool {
    let (a, b) = (a.coordinates(), b.coordinates());
    a.len() == b.len() && axes.iter().zip(a.iter().zip(b)).all(|(axis, (a, b))| axis.same(*a, *b))
}

/// One of `count` equal cells.
fn equal_cell(z: f64, count: f64) -> (f64, f64) {
    let k = (z * count).floor().clamp(0.0, count - 1.0);
    wide(k / count, (k + 1.0) / count)
}

/// A cell that has some width.
fn wide(low: f64, high: f64) -> (f64, f64) {
    if high - low >= NARROWEST { (low, high) } else { (low - 0.5 * NARROWEST, low + 0.5 * NARROWEST) }
}

fn quantised(distribution: &Distribution, q: f64) -> Axis {
    let end = |u: f64| distribution.ppf(u).number().unwrap_or(0.0);
    let (first, last) = (end(0.0), end(1.0));
    let count = ((last - first) / q).round() + 1.0;
    Axis::Quantised { distribution: distribution.clone(), q, first, count }
}

/// At least three values, all finite numbers, no two equal.
fn ordinal(values: &[Value]) -> Option<Axis> {
    let mut numbers = Vec::with_capacity(values.len());
    for (index, value) in (0u32..).zip(values) {
        numbers.push((value.number().filter(|x| x.is_finite())?, index));
    }
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    if numbers.len() < 3 || numbers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let index: Vec<u32> = numbers.into_iter().map(|(_, index)| index).collect();
    let mut rank = vec![0; index.len()];
    for (place, index) in (0u32..).zip(&index) {
        rank[*index as usize] = place;
    }
    Some(Axis::Ordinal { rank, index })
}

/// Classes by value, in the order in which they are listed.
fn choices(distribution: &Distribution, values: &[Value], probabilities: &[f64]) -> Axis {
    let mut class = Vec::with_capacity(values.len());
    let mut stands_for: Vec<Option<u32>> = vec![None; values.len()];
    let (mut unit, mut prior) = (Vec::new(), Vec::new());
    let mut before = 0.0;
    for (index, (value, probability)) in values.iter().zip(probabilities).enumerate() {
        let last = match distribution.coordinate(value) {
            Some(Coordinate::Choice(last)) => last as usize,
            _ => index,
        };
        let own = *stands_for[last].get_or_insert(prior.len() as u32) as usize;
        if own == prior.len() {
            prior.push(0.0);
            unit.push(before + 0.5 * probability);
        } else if prior[own] == 0.0 {
            unit[own] = before + 0.5 * probability;
        }
        prior[own] += probability;
        before += probability;
        class.push(own as u32);
    }
    Axis::Choices(Choices { class, unit, prior })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Step;
    use crate::space::stream;

    fn list(values: &[f64]) -> Distribution {
        Distribution::Categorical { values: values.iter().map(|x| Value::Float(*x)).collect() }
    }

    fn words(words: &[&str]) -> Distribution {
        Distribution::Categorical { values: words.iter().map(|w| Value::Text((*w).to_owned())).collect() }
    }

    #[test]
    fn every_value_comes_back_from_its_place() {
        let distributions = [
            Distribution::Uniform { min: -2.0, max: 5.0 },
            Distribution::LogUniformValues { min: 1e-5, max: 0.1 },
            Distribution::InvLogUniform { min: 1.0, max: 4.0 },
            Distribution::Normal { mu: 1.0, sigma: 2.0 },
            Distribution::Beta { a: 2.0, b: 3.0 },
            Distribution::IntUniform { min: -3, max: 9 },
            Distribution::IntUniform { min: i64::MIN, max: i64::MAX },
            Distribution::QUniform { min: 0.0, max: 1.0, q: Step::Float(0.1), integral: false },
            Distribution::QLogUniformValues { min: 1.0, max: 1000.0, q: Step::Int(8) },
            Distribution::QNormal { mu: 0.0, sigma: 3.0, q: Step::Int(1) },
            list(&[64.0, 16.0, 32.0, 128.0]),
        ];
        for distribution in distributions {
            let axis = Axis::new(&distribution);
            for k in 0..200 {
                let value = distribution.ppf((f64::from(k) + 0.5) / 200.0);
                let z = axis.z(value).unwrap();
                let again = distribution.ppf(axis.unit(z));
                let close = match (value.number(), again.number()) {
                    (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1e-3),
                    _ => value == again,
                };
                assert!(close, "{distribution}: {value:?} at {z} gives {again:?}");
            }
        }
    }

    #[test]
    fn cells_tile_the_interval_in_the_order_of_the_values() {
        let distributions = [
            Distribution::IntUniform { min: 1, max: 9 },
            Distribution::QUniform { min: 1.0, max: 10.0, q: Step::Int(4), integral: true },
            Distribution::QLogUniformValues { min: 1.0, max: 100.0, q: Step::Int(8) },
            list(&[64.0, 16.0, 32.0, 128.0]),
        ];
        for distribution in distributions {
            let axis = Axis::new(&distribution);
            let mut end = 0.0;
            for k in 0..axis.count().unwrap() as u32 {
                let value = distribution.ppf(axis.nth_unit(f64::from(k)));
                let (low, high) = axis.cell(value).unwrap();
                assert!((low - end).abs() < 1e-12 && high > low, "{distribution}: {k}: {low} after {end}");
                assert_eq!(axis.cell_at(0.5 * (low + high)), Some((low, high)));
                end = high;
            }
            assert!((end - 1.0).abs() < 1e-12, "{distribution}: ends at {end}");
        }
    }

    #[test]
    fn lists_are_ordered_where_they_hold_numbers_alone() {
        assert!(matches!(Axis::new(&list(&[3.0, 1.0, 2.0])), Axis::Ordinal { .. }));
        assert!(matches!(Axis::new(&list(&[3.0, 1.0])), Axis::Choices(_)));
        assert!(matches!(Axis::new(&list(&[3.0, 1.0, f64::NAN])), Axis::Choices(_)));
        assert!(matches!(Axis::new(&words(&["a", "b", "c"])), Axis::Choices(_)));
        assert_eq!(Axis::new(&words(&["a"])), Axis::Single);
        assert_eq!(Axis::new(&Distribution::Normal { mu: 1.0, sigma: 0.0 }), Axis::Single);
    }

    #[test]
    fn equal_choices_are_one_class() {
        let distribution = words(&["a", "b", "a"]);
        let axis = Axis::new(&distribution);
        let Axis::Choices(choices) = &axis else { unreachable!() };
        assert_eq!(choices.prior.len(), 2);
        assert!((choices.prior[0] - 2.0 / 3.0).abs() < 1e-12);
        assert!(axis.same(Coordinate::Choice(0), Coordinate::Choice(2)));
        assert!(!axis.same(Coordinate::Choice(0), Coordinate::Choice(1)));
        for class in 0..2 {
            assert_eq!(axis.class(distribution.ppf(choices.unit(class))), Some(class));
        }
    }

    /// The library may draw otherwise in a later version: then so do `tpe` and `cmaes`, and a sweep that goes on.
    #[test]
    fn the_same_stream_draws_the_same() {
        let mut rng = stream(1, "test", 0);
        let drawn: Vec<usize> = (0..12).map(|_| weighted(&[0.5, 0.0, 1.0, 0.25], &mut rng)).collect();
        assert_eq!(drawn, [0, 2, 2, 2, 2, 2, 3, 3, 3, 2, 0, 0]);
        assert_eq!(weighted(&[0.0, 0.0], &mut rng), 0);
        assert_eq!(weighted(&[f64::NAN, 1.0], &mut rng), 0);
    }
}
