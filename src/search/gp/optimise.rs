//! Where the acquisition is largest, among the points that were not proposed yet.
//!
//! Candidates from all over the space and mutations of the best observed points are compared; the best few are refined:
//! L-BFGS over all numbers as if they were continuous, snap to values, then the best discrete neighbour and L-BFGS over
//! the continuous numbers, until no neighbour is better. A space that is discrete and small is compared point by point.
//! Every value that is compared is that of a snapped point.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::search::gp::acquisition::Acquisition;
use crate::search::gp::coordinates::{Axis, Embedding};
use crate::search::gp::kernel::{Layout, Rows};
use crate::search::gp::projected::minimise;
use crate::space::{Point, normal_quantile, uniform};

/// How much is compared and refined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Candidates from all over the space.
    pub(crate) spread: usize,
    /// Mutations of the best points.
    mutations: usize,
    /// How many candidates are predicted exactly, those that promise most.
    predicted: usize,
    /// How many candidates are refined.
    starts: usize,
}

impl Effort {
    /// With so many observations. What is left out above 200 was measured to gain nothing.
    pub(crate) fn of(observations: usize) -> Effort {
        match observations {
            0..=150 => Effort { spread: 512, mutations: 512, predicted: usize::MAX, starts: 4 },
            151..=200 => Effort { spread: 512, mutations: 512, predicted: 128, starts: 4 },
            _ => Effort { spread: 256, mutations: 256, predicted: 64, starts: 2 },
        }
    }
}

/// Rounds of neighbourhood and L-BFGS.
const ROUNDS: usize = 3;
const ITERATIONS: usize = 50;
/// A discrete space with so many points at most is compared whole.
pub(crate) const WHOLE: u64 = 4096;
/// Neighbours of one category axis.
const CATEGORIES: usize = 64;
/// Draws before a space counts as hard to find a new point in.
const DRAWS: usize = 4096;
/// A discrete space with so many points at most is searched to the end for a new one.
const COUNTED: u64 = 1 << 20;

/// What a search for the best point needs beside the acquisition.
pub(crate) struct Search<'a> {
    pub(crate) embedding: &'a Embedding,
    pub(crate) layout: &'a Layout,
    pub(crate) effort: Effort,
    /// Full rows of the best observed points.
    pub(crate) best: Vec<Vec<f64>>,
    /// Full rows from all over the space.
    pub(crate) spread: Vec<Vec<f64>>,
    /// Whether a point may not be proposed any more.
    pub(crate) known: &'a dyn Fn(&Point) -> bool,
}

/// A full row and its value.
#[derive(Clone, Debug)]
struct Scored {
    row: Vec<f64>,
    value: f64,
}

impl Search<'_> {
    /// The new point with the largest acquisition, and its value; none where all points are known.
    pub(crate) fn maximise(
        &self,
        acquisition: &Acquisition<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Point, f64)> {
        if let Some(count) = self.embedding.count(WHOLE) {
            return self.whole(acquisition, count);
        }
        let mut rows = self.spread.clone();
        rows.extend(self.mutations(rng));
        let mut candidates = self.score(acquisition, rows);
        candidates.sort_by(|a, b| b.value.total_cmp(&a.value));
        let mut found: Vec<Scored> = candidates
            .iter()
            .take(self.effort.starts)
            .map(|start| self.refine(acquisition, start.clone()))
            .collect();
        found.extend(candidates);
        found.sort_by(|a, b| b.value.total_cmp(&a.value));
        found
            .into_iter()
            .map(|scored| (self.embedding.point(&scored.row), scored.value))
            .find(|(point, _)| !(self.known)(point))
    }

    /// The best point of a small discrete space.
    fn whole(&self, acquisition: &Acquisition<'_>, count: u64) -> Option<(Point, f64)> {
        let new = |row: &Vec<f64>| !(self.known)(&self.embedding.point(row));
        let rows: Vec<Vec<f64>> = (0..count).map(|i| self.embedding.numbered(i)).filter(new).collect();
        let scored = self.score(acquisition, rows);
        let mut best: Option<&Scored> = None;
        for one in &scored {
            if best.is_none_or(|best| one.value > best.value) {
                best = Some(one);
            }
        }
        best.map(|best| (self.embedding.point(&best.row), best.value))
    }

    /// The value of each row. With many observations only the most promising are kept.
    fn score(&self, acquisition: &Acquisition<'_>, mut rows: Vec<Vec<f64>>) -> Vec<Scored> {
        if rows.len() > self.effort.predicted {
            let promises = acquisition.promises(&self.rows(&rows));
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by(|a, b| promises[*b].total_cmp(&promises[*a]).then(a.cmp(b)));
            rows =
                order.into_iter().take(self.effort.predicted).map(|i| std::mem::take(&mut rows[i])).collect();
        }
        let values = acquisition.values(&self.rows(&rows));
        rows.into_iter().zip(values).map(|(row, value)| Scored { row, value }).collect()
    }

    fn rows(&self, full: &[Vec<f64>]) -> Rows {
        let mut rows = Rows::new(self.layout.clone());
        for row in full {
            rows.push(&self.embedding.present(row));
        }
        rows
    }

    /// The best observed points with some coordinates changed: two of them on average, or half.
    fn mutations(&self, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
        let d = self.embedding.axes().len();
        let mut out = Vec::with_capacity(self.effort.mutations);
        for index in 0..self.effort.mutations {
            let Some(base) = self.best.get(index * self.best.len() / self.effort.mutations) else { break };
            let changed = if uniform(rng) < 0.5 { 2.0 } else { 0.5 * d as f64 };
            let probability = (changed / d as f64).min(1.0);
            let always = (uniform(rng) * d as f64) as usize;
            // a step of 10^U(-3, -0.5)
            let scale = libm::exp(std::f64::consts::LN_10 * (-3.0 + 2.5 * uniform(rng)));
            let mut row = base.clone();
            for (j, (z, axis)) in row.iter_mut().zip(self.embedding.axes()).enumerate() {
                let (chance, draw) = (uniform(rng), uniform(rng));
                if chance < probability || j == always {
                    *z = mutated(axis, *z, draw, scale);
                }
            }
            out.push(row);
        }
        out
    }

    /// Refines one candidate; what comes out is not worse.
    fn refine(&self, acquisition: &Acquisition<'_>, start: Scored) -> Scored {
        let mut best = start;
        let numbers = |axis: &Axis| !axis.is_category();
        let continuous = |axis: &Axis| !axis.is_category() && !axis.is_stepped();
        self.polish(acquisition, &mut best, numbers);
        for _ in 0..ROUNDS {
            let neighbours = self.neighbours(&best.row);
            if neighbours.is_empty() {
                return best;
            }
            let values = acquisition.values(&self.rows(&neighbours));
            let mut next: Option<Scored> = None;
            for (row, value) in neighbours.into_iter().zip(values) {
                if value > next.as_ref().map_or(best.value, |next| next.value) {
                    next = Some(Scored { row, value });
                }
            }
            let Some(next) = next else { break };
            best = next;
            self.polish(acquisition, &mut best, continuous);
        }
        best
    }

    /// L-BFGS over the present axes that are `free`; then a snap. Taken where it is better.
    fn polish(&self, acquisition: &Acquisition<'_>, best: &mut Scored, free: impl Fn(&Axis) -> bool) {
        let present = self.embedding.present(&best.row);
        let axes = self.embedding.axes();
        // the free axes, with their places among the layout's numbers
        let moved: Vec<(usize, usize)> = self
            .layout
            .numbers
            .iter()
            .enumerate()
            .filter(|(_, axis)| free(&axes[**axis]) && !present[**axis].is_nan())
            .map(|(number, axis)| (number, *axis))
            .collect();
        if moved.is_empty() {
            return;
        }
        let start: Vec<f64> = moved.iter().map(|(_, axis)| present[*axis]).collect();
        let mut z = present;
        let (x, _) = minimise(&start, ITERATIONS, |x| {
            for ((_, axis), x) in moved.iter().zip(x) {
                z[*axis] = *x;
            }
            let (value, gradient) = acquisition.local(&z);
            (-value, moved.iter().map(|(number, _)| -gradient.get(*number).unwrap_or(&0.0)).collect())
        });
        let mut row = best.row.clone();
        for ((_, axis), x) in moved.iter().zip(&x) {
            row[*axis] = *x;
        }
        self.embedding.snap(&mut row);
        let value = acquisition.values(&self.rows(std::slice::from_ref(&row)))[0];
        if value > best.value {
            *best = Scored { row, value };
        }
    }

    /// Every other category, and numbers 1, 2 and 4 values away, one axis at a time.
    fn neighbours(&self, row: &[f64]) -> Vec<Vec<f64>> {
        let present = self.embedding.present(row);
        let mut out = Vec::new();
        for (j, axis) in self.embedding.axes().iter().enumerate() {
            if present[j].is_nan() {
                continue;
            }
            let others: Vec<f64> = if axis.is_category() {
                (0..axis.categories().min(CATEGORIES)).map(|c| c as f64).filter(|c| *c != row[j]).collect()
            } else if axis.is_stepped() {
                [-4, -2, -1, 1, 2, 4].into_iter().filter_map(|steps| axis.beside(row[j], steps)).collect()
            } else {
                Vec::new()
            };
            for z in others {
                let mut neighbour = row.to_vec();
                neighbour[j] = z;
                out.push(neighbour);
            }
        }
        out
    }
}

/// Another coordinate: a category drawn anew, a number moved by a normal step, reflected at the ends, by one value at
/// least.
fn mutated(axis: &Axis, z: f64, draw: f64, scale: f64) -> f64 {
    if axis.is_category() {
        let categories = axis.categories();
        return ((draw * categories as f64) as usize).min(categories - 1) as f64;
    }
    let step = scale * normal_quantile(draw);
    let mut moved = (z + step).abs();
    if moved > 1.0 {
        moved = 2.0 - moved;
    }
    let snapped = axis.snap(moved.clamp(0.0, 1.0));
    if snapped == z && axis.is_stepped() {
        let toward = if step < 0.0 { -1 } else { 1 };
        return axis.beside(z, toward).or_else(|| axis.beside(z, -toward)).unwrap_or(z);
    }
    snapped
}

/// A point that is not known, drawn from the whole space; none where there is none left.
pub(crate) fn any_new(
    embedding: &Embedding,
    known: &dyn Fn(&Point) -> bool,
    rng: &mut ChaCha8Rng,
) -> Option<Point> {
    let leaves = embedding.space().leaves().len();
    if embedding.count(WHOLE).is_none() {
        for _ in 0..DRAWS {
            let units: Vec<f64> = (0..leaves).map(|_| uniform(rng)).collect();
            let point = embedding.space().at(&units);
            if !known(&point) {
                return Some(point);
            }
        }
    }
    match embedding.count(COUNTED) {
        Some(count) => {
            let offset = rng.next_u64() % count.max(1);
            let at = |i: u64| embedding.point(&embedding.numbered((i + offset) % count));
            (0..count).map(at).find(|point| !known(point))
        }
        None => {
            let units: Vec<f64> = (0..leaves).map(|_| uniform(rng)).collect();
            Some(embedding.space().at(&units))
        }
    }
}
