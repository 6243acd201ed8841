//! All trials as the rules that go by steps see them: how far each has come, with which value, and who leads.
//!
//! A trial reaches a rung with the first value at that step or beyond; its value there is its value so far: the best (or
//! the last) of those at steps up to the rung. One whose first value lies beyond several rungs is at the highest of them
//! with that value. Values that are NaN are none, infinite ones the worst there is.
//!
//! Invariants: `places` ascend by rung; every trial that has a value is in `standing` with its value so far, and the top
//! of it is such an entry. What else is there is out of date: it goes when it comes to the top, or when it is the half.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::stopping::curve::{Change, Curve};
use crate::stopping::ranking::{float, sortable};
use crate::stopping::{Marks, Measure, Place, Sample};

/// What is known of all trials.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) measure: Measure,
    /// Ascending, each once.
    rungs: Vec<i64>,
    trials: BTreeMap<u32, Known>,
    /// (value so far, to be minimised and sortable; trial), the best on top.
    standing: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many trials have a value.
    valued: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    marks: Marks,
    /// Of a trial that is not final.
    curve: Option<Curve>,
}

/// How a trial's places changed.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) gone: Vec<Place>,
    pub(super) come: Vec<Place>,
}

impl Field {
    pub(super) fn new(rungs: Vec<i64>, measure: Measure) -> Field {
        Field { measure, rungs, trials: BTreeMap::new(), standing: BinaryHeap::new(), valued: 0 }
    }

    pub(super) fn rungs(&self) -> &[i64] {
        &self.rungs
    }

    /// Takes in what a trial that is not final reported.
    pub(super) fn observe(&mut self, sample: &Sample) -> (Change, Moved) {
        let known = self.trials.entry(sample.trial).or_default();
        let change = known.curve.get_or_insert_default().insert(sample.attempt, sample.step, sample.value);
        let marks = match change {
            Change::Nothing => return (change, Moved::default()),
            Change::Grown => {
                let mut marks = known.marks.clone();
                self.push(&mut marks, sample.step, sample.value, sample.at);
                marks
            }
            Change::Inside => self.again(sample),
        };
        (change, self.remark(sample.trial, marks))
    }

    /// The marks of a trial's whole curve. What is as it was has arrived when it did.
    fn again(&self, sample: &Sample) -> Marks {
        let mut marks = Marks::default();
        for (step, value) in self.points(sample.trial) {
            self.push(&mut marks, step, value, sample.at);
        }
        let before = self.marks(sample.trial).map_or(&[][..], |marks| &marks.places);
        for place in &mut marks.places {
            let there = before.iter().find(|old| old.rung == place.rung && same(old.value, place.value));
            place.at = there.map_or(place.at, |old| old.at);
        }
        marks
    }

    /// Adds a value at the end.
    fn push(&self, marks: &mut Marks, step: i64, value: f64, at: u64) {
        let Some(value) = self.measure.counted(value) else { return };
        let before = self.so_far(marks);
        let is_better = |best: f64| self.measure.is_worse(best, value);
        marks.count += 1;
        marks.best = Some(marks.best.filter(|best| !is_better(*best)).unwrap_or(value));
        marks.last = Some(value);
        let now = self.measure.so_far(before, value);
        let passed = marks.places.last().map_or(0, |place| self.rungs.partition_point(|r| *r <= place.rung));
        let reached = self.rungs.partition_point(|rung| *rung <= step);
        let new = self.rungs.get(passed..reached).unwrap_or_default();
        match before {
            Some(before) => marks.places.extend(new.iter().map(|rung| {
                let value = if *rung == step { now } else { before };
                Place { rung: *rung, value, at }
            })),
            None => marks.places.extend(new.last().map(|rung| Place { rung: *rung, value: now, at })),
        }
    }

    /// Puts marks in the place of a trial's.
    pub(super) fn remark(&mut self, trial: u32, marks: Marks) -> Moved {
        let before = self.standing_of(trial);
        let known = self.trials.entry(trial).or_default();
        let old = std::mem::replace(&mut known.marks, marks);
        self.stand(trial, before);
        let places = self.marks(trial).map_or(&[][..], |marks| &marks.places);
        let left_out =
            |these: &[Place], those: &[Place]| these.iter().filter(|p| !those.contains(p)).copied().collect();
        Moved { gone: left_out(&old.places, places), come: left_out(places, &old.places) }
    }

    /// The trial's value so far may be another one than it was.
    fn stand(&mut self, trial: u32, before: Option<u64>) {
        let now = self.standing_of(trial);
        if now == before {
            return;
        }
        self.valued = self.valued + usize::from(now.is_some()) - usize::from(before.is_some());
        self.standing.extend(now.map(|now| Reverse((now, trial))));
        if self.standing.len() > 2 * self.valued + 64 {
            let all =
                self.trials.keys().filter_map(|trial| Some(Reverse((self.standing_of(*trial)?, *trial))));
            self.standing = all.collect();
        }
        while let Some(Reverse((value, trial))) = self.standing.peek().copied()
            && self.standing_of(trial) != Some(value)
        {
            self.standing.pop();
        }
    }

    /// The trial is final: its curve is let go.
    pub(super) fn settle(&mut self, trial: u32) -> Marks {
        let Some(known) = self.trials.get_mut(&trial) else { return Marks::default() };
        known.curve = None;
        known.marks.clone()
    }

    pub(super) fn forget(&mut self, trial: u32) -> Moved {
        let moved = self.remark(trial, Marks::default());
        self.trials.remove(&trial);
        moved
    }

    pub(super) fn marks(&self, trial: u32) -> Option<&Marks> {
        self.trials.get(&trial).map(|known| &known.marks)
    }

    /// All values of a trial that is not final, as they came, by step.
    pub(super) fn points(&self, trial: u32) -> impl Iterator<Item = (i64, f64)> {
        self.trials.get(&trial).and_then(|known| known.curve.as_ref()).into_iter().flat_map(Curve::points)
    }

    /// The places of all other trials at the rung of `place` that had arrived there before.
    pub(super) fn before(&self, trial: u32, place: Place) -> impl Iterator<Item = f64> {
        self.trials.iter().filter(move |(other, _)| **other != trial).filter_map(move |(_, known)| {
            let places = &known.marks.places;
            let at = places.binary_search_by_key(&place.rung, |other| other.rung).ok()?;
            Some(places[at]).filter(|other| other.at < place.at).map(|other| other.value)
        })
    }

    fn so_far(&self, marks: &Marks) -> Option<f64> {
        if self.measure.last_counts { marks.last } else { marks.best }
    }

    fn standing_of(&self, trial: u32) -> Option<u64> {
        let value = self.so_far(self.marks(trial)?)?;
        Some(sortable(self.measure.minimised(value)))
    }

    /// How many trials have a value.
    pub(super) fn len(&self) -> usize {
        self.valued
    }

    /// The best value so far of any trial.
    pub(super) fn best(&self) -> Option<f64> {
        self.standing.peek().map(|Reverse((key, _))| self.measure.minimised(float(*key)))
    }

    /// Whether no trial is better.
    pub(super) fn leads(&self, trial: u32) -> bool {
        let own = self.standing_of(trial);
        own.is_some() && own == self.standing.peek().map(|Reverse((key, _))| *key)
    }
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(points: &[(u32, i64, f64)], measure: Measure) -> Vec<(i64, f64, u64)> {
        let mut field = Field::new(vec![3, 9, 27], measure);
        for (at, (attempt, step, value)) in (1..).zip(points) {
            field.observe(&Sample { at, trial: 1, attempt: *attempt, step: *step, value: *value });
        }
        field
            .marks(1)
            .map(|marks| marks.places.iter().map(|p| (p.rung, p.value, p.at)).collect())
            .unwrap_or_default()
    }

    #[test]
    fn the_value_at_a_rung_is_the_one_so_far() {
        let best = Measure::default();
        assert_eq!(field(&[(1, 1, 5.0), (1, 2, 4.0)], best), []);
        assert_eq!(field(&[(1, 1, 5.0), (1, 3, 6.0)], best), [(3, 5.0, 2)]);
        assert_eq!(field(&[(1, 1, 5.0), (1, 10, 4.0)], best), [(3, 5.0, 2), (9, 5.0, 2)]);
        assert_eq!(field(&[(1, 10, 4.0), (1, 30, 3.0)], best), [(9, 4.0, 1), (27, 4.0, 2)]);
        assert_eq!(field(&[(1, 1, 5.0), (1, 3, f64::NAN)], best), [], "NaN reaches nothing");
        assert_eq!(field(&[(1, 3, f64::NEG_INFINITY), (1, 9, 2.0)], best), [(3, f64::MAX, 1), (9, 2.0, 2)]);
        let last = Measure { maximize: true, last_counts: true };
        assert_eq!(field(&[(1, 1, 5.0), (1, 3, 4.0), (1, 12, 9.0)], last), [(3, 4.0, 2), (9, 4.0, 3)]);
    }

    #[test]
    fn a_later_attempt_moves_only_what_it_changed() {
        let first = [(1, 1, 5.0), (1, 3, 4.0), (1, 9, 3.0)];
        let with = |more: &[(u32, i64, f64)]| field(&[&first[..], more].concat(), Measure::default());
        assert_eq!(with(&[(2, 1, 5.0), (2, 3, 4.0)]), [(3, 4.0, 2), (9, 3.0, 3)]);
        assert_eq!(with(&[(2, 3, 2.0)]), [(3, 2.0, 4), (9, 2.0, 4)]);
        assert_eq!(with(&[(2, 3, 4.5)]), [(3, 4.5, 4), (9, 3.0, 3)]);
    }
}
