//! Between the points of a space and the coordinates that the model sees.
//!
//! Every leaf that can have more than one value is an *axis*. A number's coordinate is z in [0, 1], uniform where the
//! distribution is; a list of at least three numbers is ordinal, its coordinate the rank / (k - 1); any other choice is a
//! category, its coordinate an index. A row is one z an axis; [`ABSENT`] stands where the leaf does not exist.
//!
//! A *full* row has a number on every axis, also where the leaf does not exist at the point: what it would be, should a
//! change of the parent bring it into being.

use std::collections::BTreeMap;

use crate::space::{Coordinate, Distribution, Point, Space, Step, Value};

/// The coordinate of a leaf that does not exist at a point.
pub(crate) const ABSENT: f64 = f64::NAN;
/// Proposals keep this far from 0 and 1 where the distribution has no bounds.
const TAIL: f64 = 1e-6;

/// How the points of a space become rows of coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    space: Space,
    axes: Vec<Axis>,
    conditional: bool,
}

/// One dimension of the model.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The index of its leaf.
    pub(crate) leaf: usize,
    kind: Kind,
    /// Whether some rows lack it.
    pub(crate) optional: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Any number of a continuous distribution.
    Line { distribution: Distribution, open: bool },
    /// min..=max
    Integers { min: i64, max: i64 },
    /// first q, (first + 1) q, .. last q
    Steps { distribution: Distribution, first: f64, last: f64, q: Step },
    /// Numbers in order; `shown` holds a choice for each rank, `place` the rank of each choice.
    Ordinal { shown: Vec<u32>, place: Vec<usize> },
    /// Values without order, as above.
    Category { shown: Vec<u32>, place: Vec<usize> },
}

/// A point's value, comparable: equal where two points are the same assignment.
pub(crate) type Key = Box<[(u8, u64)]>;

impl Embedding {
    pub(crate) fn new(space: &Space) -> Embedding {
        let axes = space
            .leaves()
            .iter()
            .enumerate()
            .filter_map(|(leaf, of)| {
                let kind = Kind::of(&of.distribution)?;
                Some(Axis { leaf, kind, optional: !of.when.is_empty() })
            })
            .collect();
        let conditional = space.leaves().iter().any(|leaf| !leaf.when.is_empty());
        Embedding { space: space.clone(), axes, conditional }
    }

    /// Marks the axes that a point (of another sweep) lacks; whether that changed anything.
    pub(crate) fn allow_absent(&mut self, point: &Point) -> bool {
        let mut changed = false;
        for axis in &mut self.axes {
            if !axis.optional && point.coordinates().get(axis.leaf) == Some(&Coordinate::Absent) {
                axis.optional = true;
                changed = true;
            }
        }
        changed
    }

    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    /// The row of a point.
    pub(crate) fn row(&self, point: &Point) -> Vec<f64> {
        let at = |axis: &Axis| {
            axis.kind.encode(point.coordinates().get(axis.leaf).copied().unwrap_or(Coordinate::Absent))
        };
        self.axes.iter().map(at).collect()
    }

    /// The full row of a row: the middle, or the first value, where a leaf does not exist.
    pub(crate) fn filled(&self, row: &[f64]) -> Vec<f64> {
        let fill = |(z, axis): (&f64, &Axis)| match (z.is_nan(), axis.is_category()) {
            (false, _) => *z,
            (true, true) => 0.0,
            (true, false) => axis.snap(0.5),
        };
        row.iter().zip(&self.axes).map(fill).collect()
    }

    /// A full row from one unit number a leaf, by each distribution.
    pub(crate) fn drawn(&self, units: &[f64]) -> Vec<f64> {
        let at = |axis: &Axis| {
            let u = units.get(axis.leaf).copied().unwrap_or(0.5);
            axis.kind.encode(self.space.leaves()[axis.leaf].distribution.ppf(u))
        };
        self.axes.iter().map(at).collect()
    }

    /// Moves every coordinate of a full row to one that a value has.
    pub(crate) fn snap(&self, full: &mut [f64]) {
        for (z, axis) in full.iter_mut().zip(&self.axes) {
            *z = axis.snap(*z);
        }
    }

    /// The point of a full row.
    pub(crate) fn point(&self, full: &[f64]) -> Point {
        let mut coordinates: Vec<Coordinate> =
            self.space.leaves().iter().map(|leaf| leaf.distribution.ppf(0.5)).collect();
        for (z, axis) in full.iter().zip(&self.axes) {
            coordinates[axis.leaf] = axis.kind.decode(*z);
        }
        self.space.of(&coordinates)
    }

    /// A full row with [`ABSENT`] where leaves do not exist.
    pub(crate) fn present(&self, full: &[f64]) -> Vec<f64> {
        if !self.conditional {
            return full.to_vec();
        }
        let point = self.point(full);
        let seen = |(z, axis): (&f64, &Axis)| {
            if point.coordinates()[axis.leaf] == Coordinate::Absent { ABSENT } else { *z }
        };
        full.iter().zip(&self.axes).map(seen).collect()
    }

    /// What tells a point's value from others.
    pub(crate) fn key(&self, point: &Point) -> Key {
        let at = |axis: &Axis| axis.kind.key(point.coordinates().get(axis.leaf).copied());
        self.axes.iter().map(at).collect()
    }

    /// How many full rows there are, if they can be counted and are at most `limit`.
    pub(crate) fn count(&self, limit: u64) -> Option<u64> {
        self.axes.iter().try_fold(1u64, |product, axis| {
            axis.steps().and_then(|steps| product.checked_mul(steps)).filter(|product| *product <= limit)
        })
    }

    /// The full row of a number below the count: the last axis changes fastest.
    pub(crate) fn numbered(&self, mut index: u64) -> Vec<f64> {
        let mut row = vec![0.0; self.axes.len()];
        for (z, axis) in row.iter_mut().zip(&self.axes).rev() {
            let steps = axis.steps().unwrap_or(1).max(1);
            *z = axis.step(index % steps);
            index /= steps;
        }
        row
    }
}

impl Axis {
    /// Whether its coordinate is an index.
    pub(crate) fn is_category(&self) -> bool {
        matches!(self.kind, Kind::Category { .. })
    }

    /// Whether it is a number of which not every one is a value.
    pub(crate) fn is_stepped(&self) -> bool {
        matches!(self.kind, Kind::Integers { .. } | Kind::Steps { .. } | Kind::Ordinal { .. })
    }

    /// How many values a category has.
    pub(crate) fn categories(&self) -> usize {
        match &self.kind {
            Kind::Category { shown, .. } => shown.len(),
            _ => 0,
        }
    }

    /// The nearest coordinate that a value has.
    pub(crate) fn snap(&self, z: f64) -> f64 {
        match &self.kind {
            Kind::Line { open: false, .. } => z.clamp(0.0, 1.0),
            Kind::Line { open: true, .. } => z.clamp(TAIL, 1.0 - TAIL),
            _ => self.kind.encode(self.kind.decode(z)),
        }
    }

    /// The coordinate `steps` values away from that of z, if there is one; of an axis that has steps.
    pub(crate) fn beside(&self, z: f64, steps: i64) -> Option<f64> {
        let at = match (&self.kind, self.kind.decode(z)) {
            (Kind::Integers { min, max }, Coordinate::Integer(x)) => {
                let next = x.checked_add(steps).filter(|x| min <= x && x <= max)?;
                Coordinate::Integer(next)
            }
            (Kind::Steps { first, last, q, .. }, at) => {
                let k = (at.number()? / q.size()).round_ties_even() + steps as f64;
                (*first <= k && k <= *last).then(|| multiple(k, *q))?
            }
            (Kind::Ordinal { shown, place }, Coordinate::Choice(i)) => {
                let rank = *place.get(i as usize)? as i64 + steps;
                Coordinate::Choice(*shown.get(usize::try_from(rank).ok()?)?)
            }
            _ => return None,
        };
        Some(self.kind.encode(at))
    }

    /// How many values it has, if they can be counted.
    fn steps(&self) -> Option<u64> {
        match &self.kind {
            Kind::Line { .. } => None,
            Kind::Integers { min, max } => max.checked_sub(*min)?.checked_add(1).map(i64::cast_unsigned),
            Kind::Steps { first, last, .. } => {
                let count = last - first + 1.0;
                (count < 1e15).then_some(count as u64)
            }
            Kind::Ordinal { shown, .. } | Kind::Category { shown, .. } => Some(shown.len() as u64),
        }
    }

    /// The coordinate of its k-th value.
    fn step(&self, k: u64) -> f64 {
        match &self.kind {
            Kind::Line { .. } => 0.5,
            Kind::Integers { min, .. } => {
                self.kind.encode(Coordinate::Integer(min.saturating_add_unsigned(k)))
            }
            Kind::Steps { first, q, .. } => self.kind.encode(multiple(first + k as f64, *q)),
            Kind::Ordinal { shown, .. } => k as f64 / (shown.len() - 1) as f64,
            Kind::Category { .. } => k as f64,
        }
    }
}

impl Kind {
    /// None where there is only one value.
    fn of(distribution: &Distribution) -> Option<Kind> {
        match distribution {
            Distribution::Constant { .. } => None,
            Distribution::Categorical { values }
            | Distribution::CategoricalWithProbabilities { values, .. } => {
                let ordered = matches!(distribution, Distribution::Categorical { .. });
                Kind::of_values(distribution, values, ordered)
            }
            Distribution::IntUniform { min, max } => {
                (min < max).then_some(Kind::Integers { min: *min, max: *max })
            }
            _ => Kind::of_numbers(distribution),
        }
    }

    /// Equal values count once, where the first stands, as the last is written.
    fn of_values(distribution: &Distribution, values: &[Value], ordered: bool) -> Option<Kind> {
        let mut known: BTreeMap<u32, usize> = BTreeMap::new();
        let mut shown = Vec::new();
        let mut place = Vec::with_capacity(values.len());
        for (index, value) in (0u32..).zip(values) {
            let one = match distribution.coordinate(value) {
                Some(Coordinate::Choice(one)) => one,
                _ => index,
            };
            let next = shown.len();
            place.push(*known.entry(one).or_insert(next));
            if place.last() == Some(&next) {
                shown.push(one);
            }
        }
        if shown.len() < 2 {
            return None;
        }
        let numbers: Vec<f64> =
            shown.iter().filter_map(|i| values[*i as usize].number()).filter(|x| x.is_finite()).collect();
        if !ordered || shown.len() < 3 || numbers.len() < shown.len() {
            return Some(Kind::Category { shown, place });
        }
        let mut by_size: Vec<usize> = (0..shown.len()).collect();
        by_size.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]).then(a.cmp(b)));
        let mut rank = vec![0; shown.len()];
        for (at, old) in by_size.iter().enumerate() {
            rank[*old] = at;
        }
        let place = place.into_iter().map(|old| rank[old]).collect();
        Some(Kind::Ordinal { shown: by_size.into_iter().map(|old| shown[old]).collect(), place })
    }

    fn of_numbers(distribution: &Distribution) -> Option<Kind> {
        let open = !matches!(
            distribution,
            Distribution::Uniform { .. }
                | Distribution::QUniform { .. }
                | Distribution::LogUniform { .. }
                | Distribution::QLogUniform { .. }
                | Distribution::InvLogUniform { .. }
                | Distribution::LogUniformValues { .. }
                | Distribution::QLogUniformValues { .. }
                | Distribution::InvLogUniformValues { .. }
        );
        let edge = if open { TAIL } else { 0.0 };
        let ends = (distribution.ppf(edge), distribution.ppf(1.0 - edge));
        let Some(q) = distribution.step() else {
            return (ends.0 != ends.1).then(|| Kind::Line { distribution: distribution.clone(), open });
        };
        let index = |at: Coordinate| (at.number().unwrap_or(0.0) / q.size()).round_ties_even();
        let (first, last) = (index(ends.0), index(ends.1));
        (first < last).then(|| Kind::Steps { distribution: distribution.clone(), first, last, q })
    }

    fn encode(&self, at: Coordinate) -> f64 {
        match (self, at) {
            (_, Coordinate::Absent) => ABSENT,
            (Kind::Line { distribution, .. } | Kind::Steps { distribution, .. }, at) => distribution.cdf(at),
            (Kind::Integers { min, max }, at) => {
                let x = at.number().unwrap_or(*min as f64).clamp(*min as f64, *max as f64);
                (x - *min as f64) / (*max as f64 - *min as f64)
            }
            (Kind::Ordinal { shown, place }, Coordinate::Choice(i)) => {
                place.get(i as usize).copied().unwrap_or(0) as f64 / (shown.len() - 1) as f64
            }
            (Kind::Category { place, .. }, Coordinate::Choice(i)) => {
                place.get(i as usize).copied().unwrap_or(0) as f64
            }
            (Kind::Ordinal { .. } | Kind::Category { .. }, _) => 0.0,
        }
    }

    fn decode(&self, z: f64) -> Coordinate {
        match self {
            Kind::Line { distribution, open } => line(distribution, *open, z),
            Kind::Steps { distribution, first, last, q } => {
                let at = distribution.ppf(z).number().unwrap_or(0.0) / q.size();
                multiple(at.round_ties_even().clamp(*first, *last), *q)
            }
            Kind::Integers { min, max } => {
                let x = *min as f64 + z.clamp(0.0, 1.0) * (*max as f64 - *min as f64);
                Coordinate::Integer((x.round_ties_even() as i64).clamp(*min, *max))
            }
            Kind::Ordinal { shown, .. } => {
                let rank = (z.clamp(0.0, 1.0) * (shown.len() - 1) as f64).round_ties_even();
                Coordinate::Choice(shown[(rank as usize).min(shown.len() - 1)])
            }
            Kind::Category { shown, .. } => {
                Coordinate::Choice(shown[(z.max(0.0) as usize).min(shown.len() - 1)])
            }
        }
    }

    fn key(&self, at: Option<Coordinate>) -> (u8, u64) {
        match (self, at) {
            (_, None | Some(Coordinate::Absent)) => (0, 0),
            (Kind::Ordinal { place, .. } | Kind::Category { place, .. }, Some(Coordinate::Choice(i))) => {
                (1, place.get(i as usize).map_or(u64::MAX, |place| *place as u64))
            }
            (Kind::Integers { .. }, Some(Coordinate::Integer(i))) => (2, i.cast_unsigned()),
            (Kind::Steps { q, .. }, Some(at)) => {
                // a written value may lie beside its multiple by a rounding
                let k = at.number().unwrap_or(0.0) / q.size();
                if (k - k.round_ties_even()).abs() < 1e-9 {
                    (3, (k.round_ties_even() + 0.0).to_bits())
                } else {
                    (4, k.to_bits())
                }
            }
            (_, Some(at)) => (5, (at.number().unwrap_or(0.0) + 0.0).to_bits()),
        }
    }
}

/// k q, as the distributions round to it.
fn multiple(k: f64, q: Step) -> Coordinate {
    match q {
        Step::Int(q) => Coordinate::Integer((k * q as f64) as i64),
        Step::Float(q) => Coordinate::Number(k * q + 0.0),
    }
}

/// The value at z; the ends of a bounded distribution are its bounds to the last bit.
fn line(distribution: &Distribution, open: bool, z: f64) -> Coordinate {
    if open {
        return distribution.ppf(z.clamp(TAIL, 1.0 - TAIL));
    }
    match distribution {
        Distribution::Uniform { min, max }
        | Distribution::LogUniformValues { min, max }
        | Distribution::InvLogUniformValues { min, max } => {
            if z <= 0.0 {
                Coordinate::Number(*min)
            } else if z >= 1.0 {
                Coordinate::Number(*max)
            } else {
                distribution.ppf(z)
            }
        }
        _ => distribution.ppf(z),
    }
}
