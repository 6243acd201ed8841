//! One leaf of a grid: its distinct values in order, by number. Nothing is held but the indexes of written values.

use std::collections::BTreeMap;

use crate::space::draw::{STEP_TOLERANCE, int_count};
use crate::space::value::same_key;
use crate::space::{Coordinate, Distribution, Step, Value};

/// The values of one leaf, numbered from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// Written values, equal ones once: where the first stands, as the last is written.
    Choices { shown: Vec<u32>, place: Vec<u32> },
    /// min, min + 1 ..
    Integers { min: i64, count: u128 },
    /// numpy's `arange(min, max, q)`: max is left out, element i is min + i d.
    Steps { min: f64, d: f64, count: u128, integral: bool },
}

impl Axis {
    /// None where the distribution is continuous, or has probabilities.
    pub(super) fn new(distribution: &Distribution) -> Option<Axis> {
        match distribution {
            Distribution::Constant { value } => Some(choices(std::slice::from_ref(value))),
            Distribution::Categorical { values } => Some(choices(values)),
            Distribution::IntUniform { min, max } => {
                Some(Axis::Integers { min: *min, count: int_count(*min, *max) })
            }
            Distribution::QUniform { min, max, q, integral } => Some(steps(*min, *max, *q, *integral)),
            _ => None,
        }
    }

    pub(super) fn count(&self) -> u128 {
        match self {
            Axis::Choices { shown, .. } => shown.len() as u128,
            Axis::Integers { count, .. } | Axis::Steps { count, .. } => *count,
        }
    }

    /// The value numbered `digit`, which is below the count.
    pub(super) fn coordinate(&self, digit: u128) -> Coordinate {
        match self {
            Axis::Choices { shown, .. } => Coordinate::Choice(
                usize::try_from(digit).ok().and_then(|d| shown.get(d)).copied().unwrap_or(0),
            ),
            Axis::Integers { min, .. } => Coordinate::Integer((i128::from(*min) + digit as i128) as i64),
            Axis::Steps { min, d, integral: true, .. } => {
                Coordinate::Integer((min + digit as f64 * d) as i64)
            }
            Axis::Steps { min, d, integral: false, .. } => Coordinate::Number(min + digit as f64 * d),
        }
    }

    /// The number of a value, if it is one of them.
    pub(super) fn digit(&self, at: Coordinate) -> Option<u128> {
        match (self, at) {
            (Axis::Choices { place, .. }, Coordinate::Choice(i)) => {
                place.get(i as usize).copied().map(u128::from)
            }
            (Axis::Integers { min, count }, Coordinate::Integer(i)) => {
                u128::try_from(i128::from(i) - i128::from(*min)).ok().filter(|digit| digit < count)
            }
            (Axis::Steps { min, d, count, .. }, at) => {
                let steps = (at.number()? - min) / d;
                let digit = steps.round_ties_even();
                let on = (steps - digit).abs() <= STEP_TOLERANCE && digit >= 0.0;
                on.then_some(digit as u128).filter(|digit| digit < count)
            }
            _ => None,
        }
    }
}

fn choices(values: &[Value]) -> Axis {
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    let mut shown = Vec::with_capacity(values.len());
    let mut place = Vec::with_capacity(values.len());
    for (index, value) in (0u32..).zip(values) {
        let digit = *known.entry(same_key(value)).or_insert_with(|| {
            shown.push(index);
            shown.len() as u32 - 1
        });
        shown[digit as usize] = index;
        place.push(digit);
    }
    Axis::Choices { shown, place }
}

fn steps(min: f64, max: f64, q: Step, integral: bool) -> Axis {
    let q = q.size();
    let count = ((max - min) / q).ceil().max(1.0) as u128;
    Axis::Steps { min, d: (min + q) - min, count, integral }
}
