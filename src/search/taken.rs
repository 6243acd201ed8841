//! Points that were proposed: which they are, and one that was not.

use rand_chacha::ChaCha8Rng;

use crate::search::axis::{Axis, same_point};
use crate::search::{History, UsedUp};
use crate::space::{Coordinate, Point, Space, uniform};

/// How often a point is drawn at random before all are gone through in order.
const DRAWS: u32 = 32;
/// What stands in that order for all values of a continuous leaf.
const OF_AN_INTERVAL: f64 = 3.0;

/// The points of a history, finished or pending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a> {
    pub(super) space: &'a Space,
    pub(super) axes: &'a [Axis],
    pub(super) history: &'a History<'a>,
}

impl Taken<'_> {
    /// Whether a point is one of them.
    pub(super) fn has(&self, point: &Point) -> bool {
        self.history.points().any(|known| same_point(self.axes, known, point))
    }

    /// A point that is none of them, drawn from the space where that is possible.
    pub(super) fn other(&self, rng: &mut ChaCha8Rng) -> Result<Point, UsedUp> {
        for _ in 0..DRAWS {
            let units: Vec<f64> = self.axes.iter().map(|_| uniform(rng)).collect();
            let point = self.space.at(&units);
            if !self.has(&point) {
                return Ok(point);
            }
        }
        let mut all = Enumeration::new(self.space, self.axes, rng);
        while self.has(&all.point) {
            all.next(self.space)?;
        }
        Ok(all.point)
    }
}

/// Every point of a space once, as an odometer counts, from a random one on. Each step either meets another point that
/// was taken or ends the search, so that no more steps are made than points were taken.
struct Enumeration<'a> {
    axes: &'a [Axis],
    /// The leaves, parents first.
    order: Vec<usize>,
    /// The number of each leaf's value, 0 where the leaf is absent; and the value that stands for number 0.
    digits: Vec<f64>,
    starts: Vec<f64>,
    counts: Vec<f64>,
    /// Of continuous leaves.
    units: Vec<[f64; OF_AN_INTERVAL as usize]>,
    point: Point,
}

impl<'a> Enumeration<'a> {
    fn new(space: &Space, axes: &'a [Axis], rng: &mut ChaCha8Rng) -> Enumeration<'a> {
        let counts: Vec<f64> = axes.iter().map(|axis| axis.count().unwrap_or(OF_AN_INTERVAL)).collect();
        let starts = counts.iter().map(|count| (uniform(rng) * count).floor().min(count - 1.0)).collect();
        let units = axes.iter().map(|_| std::array::from_fn(|_| uniform(rng))).collect();
        let digits = vec![0.0; axes.len()];
        let mut all = Enumeration {
            axes,
            order: parents_first(space),
            digits,
            starts,
            counts,
            units,
            point: space.midpoint(),
        };
        all.point = all.make(space);
        all
    }

    fn make(&self, space: &Space) -> Point {
        let unit = |leaf: usize| {
            let k = (self.digits[leaf] + self.starts[leaf]) % self.counts[leaf];
            match &self.axes[leaf] {
                Axis::Continuous(_) => self.units[leaf][k as usize],
                axis => axis.nth_unit(k),
            }
        };
        space.at(&(0..self.axes.len()).map(unit).collect::<Vec<_>>())
    }

    fn next(&mut self, space: &Space) -> Result<(), UsedUp> {
        for place in (0..self.order.len()).rev() {
            let leaf = self.order[place];
            let is_there = self.point.coordinates()[leaf] != Coordinate::Absent;
            if is_there && self.digits[leaf] + 1.0 < self.counts[leaf] {
                self.digits[leaf] += 1.0;
                for later in &self.order[place + 1..] {
                    self.digits[*later] = 0.0;
                }
                self.point = self.make(space);
                return Ok(());
            }
        }
        Err(UsedUp)
    }
}

fn parents_first(space: &Space) -> Vec<usize> {
    let leaves = space.leaves();
    let mut order: Vec<usize> = Vec::with_capacity(leaves.len());
    let mut placed = vec![false; leaves.len()];
    while order.len() < leaves.len() {
        let before = order.len();
        for (leaf, described) in leaves.iter().enumerate() {
            if !placed[leaf] && described.when.iter().all(|condition| placed[condition.parent]) {
                placed[leaf] = true;
                order.push(leaf);
            }
        }
        assert!(order.len() > before, "a space has no circle of conditions");
    }
    order
}
