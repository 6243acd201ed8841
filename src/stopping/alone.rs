//! Rules that judge a run by its own curve: `threshold`, `patience`, and `curve`, which holds it against the best of the
//! others. What they find follows from the curve as it is, whatever the order of its reports.

use std::collections::BTreeMap;

use crate::stopping::curve::Change;
use crate::stopping::field::Field;
use crate::stopping::ranked::FEWEST;
use crate::stopping::{Evidence, Marks, Measure, Sample};

/// How a run is judged by its own values.
pub(super) trait Own {
    /// What is kept of a curve while it grows.
    type Seen: Clone + Default + std::fmt::Debug;
    /// Whether the other trials count.
    const COMPARES: bool;

    /// Takes in the next value by step, as it was reported.
    fn see(&self, seen: &mut Self::Seen, step: i64, value: f64, measure: Measure);

    /// Why the run should stop. `best`: of all trials.
    fn judge(&self, seen: &Self::Seen, best: f64, measure: Measure) -> Option<Evidence>;
}

/// One of the rules, and what it knows of each trial.
#[derive(Clone, Debug)]
pub(super) struct Alone<R: Own> {
    rule: R,
    field: Field,
    /// Of the trials that are not final.
    seen: BTreeMap<u32, R::Seen>,
}

impl<R: Own> Alone<R> {
    /// `rungs`: where values are kept for [`crate::stopping::Gains`].
    pub(super) fn new(rule: R, rungs: Vec<i64>, measure: Measure) -> Alone<R> {
        Alone { rule, field: Field::new(rungs, measure), seen: BTreeMap::new() }
    }

    pub(super) fn field(&self) -> &Field {
        &self.field
    }

    pub(super) fn observe(&mut self, sample: &Sample) -> Vec<u32> {
        let before = self.compared();
        let (change, _) = self.field.observe(sample);
        let seen = self.seen.entry(sample.trial).or_default();
        let measure = self.field.measure;
        match change {
            Change::Nothing => {}
            Change::Grown => self.rule.see(seen, sample.step, sample.value, measure),
            Change::Inside => {
                *seen = R::Seen::default();
                for (step, value) in self.field.points(sample.trial) {
                    self.rule.see(seen, step, value, measure);
                }
            }
        }
        let mut look = self.moved(before);
        look.push(sample.trial);
        look
    }

    pub(super) fn settle(&mut self, trial: u32) -> Marks {
        self.seen.remove(&trial);
        self.field.settle(trial)
    }

    pub(super) fn set(&mut self, trial: u32, marks: Marks) -> Vec<u32> {
        let before = self.compared();
        self.field.remark(trial, marks);
        self.settle(trial);
        self.moved(before)
    }

    pub(super) fn forget(&mut self, trial: u32) -> Vec<u32> {
        let before = self.compared();
        self.field.forget(trial);
        self.seen.remove(&trial);
        self.moved(before)
    }

    pub(super) fn verdict(&self, trial: u32) -> Option<Evidence> {
        let is_spared = R::COMPARES && (self.field.leads(trial) || self.field.len() <= FEWEST);
        let best = self.field.best().unwrap_or(f64::NAN);
        let seen = self.seen.get(&trial).filter(|_| !is_spared)?;
        self.rule.judge(seen, best, self.field.measure)
    }

    /// What of the others counts in a verdict.
    fn compared(&self) -> (Option<f64>, bool) {
        (self.field.best(), self.field.len() <= FEWEST)
    }

    /// The trials to judge again.
    fn moved(&self, before: (Option<f64>, bool)) -> Vec<u32> {
        if R::COMPARES && self.compared() != before {
            self.seen.keys().copied().collect()
        } else {
            Vec::new()
        }
    }
}
