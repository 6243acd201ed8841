//! The grid: every combination of discrete leaves, the i-th computed from i, none held.
//!
//! Points are numbered as in the full product, the last leaf changing fastest. A leaf that does not exist counts as its
//! first value, so a point has one number; numbers whose absent leaves have another digit are nobody's (*idle*), and
//! [`Grid::next`] steps over them without looking at each.

use std::fmt;

use crate::space::Distribution;
use crate::space::axis::Axis;
use crate::space::combinations::Combinations;
use crate::space::permutation::Permutation;
use crate::space::{Coordinate, NotDiscrete, Point, Space};

/// How many points a grid has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// So many; at most 2^127.
    Exact(u128),
    /// More than 2^127.
    Beyond,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Exact(n) => write!(f, "{n}"),
            Count::Beyond => f.write_str(">1.7e38"),
        }
    }
}

/// Every point of a discrete space, by number.
#[derive(Clone, Debug)]
pub struct Grid {
    axes: Vec<Axis>,
    conditions: Vec<Vec<Condition>>,
    /// The leaves, parents first.
    order: Vec<usize>,
    combinations: Combinations,
}

/// Of a leaf: the parent's digits for which it exists, ascending.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) parent: usize,
    pub(super) digits: Digits,
}

/// Some digits of an axis.
pub(super) type Digits = std::collections::BTreeSet<u128>;

impl Grid {
    pub(super) fn new(space: &Space) -> Result<Grid, NotDiscrete> {
        let axes = space
            .leaves()
            .iter()
            .map(|leaf| {
                Axis::new(&leaf.distribution).ok_or_else(|| match leaf.distribution {
                    Distribution::CategoricalWithProbabilities { .. } => {
                        NotDiscrete::Probabilities { name: leaf.name() }
                    }
                    _ => NotDiscrete::Continuous { name: leaf.name() },
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let conditions: Vec<Vec<Condition>> = space
            .gates()
            .iter()
            .map(|gates| {
                let digits = |gate: &super::space::Gate| {
                    gate.allowed().iter().filter_map(|at| axes[gate.parent].digit(*at)).collect()
                };
                gates.iter().map(|gate| Condition { parent: gate.parent, digits: digits(gate) }).collect()
            })
            .collect();
        let order = space.parents_first().to_vec();
        let counts: Vec<u128> = axes.iter().map(Axis::count).collect();
        let combinations = Combinations::new(&counts, &conditions, &order).map_err(|connected| {
            NotDiscrete::TooConnected {
                names: connected.into_iter().map(|leaf| space.leaves()[leaf].name()).collect(),
                limit: Combinations::LIMIT,
            }
        })?;
        Ok(Grid { axes, conditions, order, combinations })
    }

    /// How many distinct points there are.
    pub fn len(&self) -> Count {
        self.combinations.count()
    }

    /// Never: every leaf has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == Count::Exact(0)
    }

    /// The point of a number; none beyond the end and where the number is idle.
    pub fn point(&self, index: u128) -> Option<Point> {
        let digits = self.digits(index)?;
        let exists = self.existing(&digits);
        let idle = digits.iter().zip(&exists).any(|(digit, exists)| *digit != 0 && !exists);
        (!idle).then(|| self.of_digits(&digits, &exists))
    }

    /// The number of a point; none where it is no point of the grid, or its number needs more than 128 bits.
    pub fn index(&self, point: &Point) -> Option<u128> {
        if point.coordinates().len() != self.axes.len() {
            return None;
        }
        let mut digits = Vec::with_capacity(self.axes.len());
        for (axis, at) in self.axes.iter().zip(point.coordinates()) {
            digits.push(if *at == Coordinate::Absent { 0 } else { axis.digit(*at)? });
        }
        let exists = self.existing(&digits);
        let fits = exists.iter().zip(point.coordinates()).all(|(e, at)| *e == (*at != Coordinate::Absent));
        if fits { self.number(&digits) } else { None }
    }

    /// The first number at or after `index` that has a point.
    pub fn next(&self, index: u128) -> Option<u128> {
        let digits = self.digits(index)?;
        let exists = self.existing(&digits);
        if digits.iter().zip(&exists).all(|(digit, exists)| *digit == 0 || *exists) {
            return Some(index);
        }
        // the longest prefix that can be kept, its last digit raised, the rest as small as can be
        (0..digits.len()).rev().find_map(|last| {
            let mut digits = self.raised(&digits, last)?;
            self.complete(&mut digits, last + 1);
            self.number(&digits)
        })
    }

    /// The order of `order: shuffled`; none where there are more than 2^127 points.
    pub fn shuffled(&self, seed: u64) -> Option<Shuffled> {
        match self.len() {
            Count::Exact(n) => Some(Shuffled { permutation: Permutation::new(n, seed), n }),
            Count::Beyond => None,
        }
    }

    /// The point at a place (from 0) of a shuffled order of this grid.
    pub fn shuffled_point(&self, order: &Shuffled, place: u128) -> Option<Point> {
        if place >= order.n {
            return None;
        }
        let digits = self.combinations.digits(order.permutation.at(place), &self.conditions);
        Some(self.of_digits(&digits, &self.existing(&digits)))
    }

    fn of_digits(&self, digits: &[u128], exists: &[bool]) -> Point {
        let at = |leaf: usize| {
            if exists[leaf] { self.axes[leaf].coordinate(digits[leaf]) } else { Coordinate::Absent }
        };
        Point::new((0..self.axes.len()).map(at).collect())
    }

    fn digits(&self, mut index: u128) -> Option<Vec<u128>> {
        let mut digits = vec![0; self.axes.len()];
        for (digit, axis) in digits.iter_mut().zip(&self.axes).rev() {
            *digit = index % axis.count();
            index /= axis.count();
        }
        (index == 0).then_some(digits)
    }

    fn number(&self, digits: &[u128]) -> Option<u128> {
        let mut index = 0u128;
        for (digit, axis) in digits.iter().zip(&self.axes) {
            index = index.checked_mul(axis.count())?.checked_add(*digit)?;
        }
        Some(index)
    }

    fn existing(&self, digits: &[u128]) -> Vec<bool> {
        let mut exists = vec![true; digits.len()];
        for &leaf in &self.order {
            exists[leaf] = self.conditions[leaf]
                .iter()
                .all(|c| exists[c.parent] && c.digits.contains(&digits[c.parent]));
        }
        exists
    }

    /// `digits` up to `last`, with that one raised to the next that some point has.
    fn raised(&self, digits: &[u128], last: usize) -> Option<Vec<u128>> {
        let mut digits = digits[..=last].to_vec();
        let before = self.demands(&digits[..last])?;
        digits[last] = match before[last].as_ref() {
            Some(allowed) => allowed.iter().copied().find(|digit| *digit > digits[last])?,
            None => Some(digits[last] + 1).filter(|digit| *digit < self.axes[last].count())?,
        };
        self.demands(&digits)?;
        Some(digits)
    }

    /// Fills in the leaves from `first` on with the smallest digits that some point has; the prefix has one.
    fn complete(&self, digits: &mut Vec<u128>, first: usize) {
        for leaf in first..self.axes.len() {
            let demanded = self.demands(digits).and_then(|demands| demands[leaf].as_ref()?.first().copied());
            digits.push(demanded.unwrap_or(0));
        }
    }

    /// What a prefix of digits demands of every leaf: the digits it may have (None: any). Nothing where the prefix is no
    /// point's: a digit other than 0 demands that the leaf exists, so that its parents exist and admit it.
    fn demands(&self, prefix: &[u128]) -> Option<Vec<Option<Digits>>> {
        let mut demands: Vec<Option<Digits>> = vec![None; self.axes.len()];
        let mut needed: Vec<bool> =
            (0..self.axes.len()).map(|leaf| prefix.get(leaf).is_some_and(|digit| *digit != 0)).collect();
        for &leaf in self.order.iter().rev() {
            if !needed[leaf] {
                continue;
            }
            for condition in &self.conditions[leaf] {
                needed[condition.parent] = true;
                let allowed = match demands[condition.parent].take() {
                    Some(before) => before.intersection(&condition.digits).copied().collect(),
                    None => condition.digits.clone(),
                };
                let fits = match prefix.get(condition.parent) {
                    Some(digit) => allowed.contains(digit),
                    None => !allowed.is_empty(),
                };
                if !fits {
                    return None;
                }
                demands[condition.parent] = Some(allowed);
            }
        }
        Some(demands)
    }
}

/// A permutation of a grid's points by a seed: a key, not a list.
#[derive(Clone, Debug)]
pub struct Shuffled {
    permutation: Permutation,
    n: u128,
}
