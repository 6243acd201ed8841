//! The trials that no other beats: of one objective the best one, of several the Pareto front.
//!
//! A trial counts by its value of each objective, if it has all of them, is feasible, and succeeded or was stopped. It
//! beats another when it is nowhere worse and somewhere better, or equal and the earlier one: so of equal trials the
//! front has one, whatever the order in which they ended.
//!
//! Invariant: the front is what all trials together make it; `check.rs` makes it anew and compares.

use std::collections::BTreeSet;

use crate::sweep::curve::feasible;
use crate::sweep::learned::sign;
use crate::sweep::trial::Status;
use crate::sweep::{Mark, Marks, State, Trial};

impl State {
    /// The best trial; none: no trial counts, or there are several objectives and so no single best.
    pub fn best(&self) -> Option<Trial> {
        if self.definition.objectives.len() == 1 { self.front.first().copied() } else { None }
    }

    /// The trials that no other beats, best first by the first objective.
    pub fn front(&self) -> Vec<Trial> {
        let mut front: Vec<(f64, Trial)> =
            self.front.iter().filter_map(|trial| Some((*self.standing(*trial)?.first()?, *trial))).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        front.into_iter().map(|(_, trial)| trial).collect()
    }

    /// How many trials no other beats.
    pub fn front_size(&self) -> usize {
        self.front.len()
    }

    /// Whether no trial that counts beats this one, which counts.
    pub fn is_on_front(&self, trial: Trial) -> bool {
        self.front.contains(&trial)
    }

    /// The best value of each objective that a trial which counts has, and its step.
    pub fn best_values(&self) -> Vec<Option<Mark>> {
        let objectives = self.definition.objectives.iter().enumerate();
        let best = |(k, objective): (usize, &crate::spec::Objective)| {
            let values =
                self.front.iter().filter_map(|trial| self.values(self.trial(*trial)?.marks()?).nth(k)?);
            values
                .reduce(|best, next| if objective.goal.better(next.value, best.value) { next } else { best })
        };
        objectives.map(best).collect()
    }

    /// A trial's value of each objective.
    pub(super) fn values(&self, marks: &Marks) -> impl Iterator<Item = Option<Mark>> {
        let wanted = self.definition.objectives.len();
        marks.values().chain(std::iter::repeat(None)).take(wanted)
    }

    /// The same to be minimised; none: there is no finite one.
    pub(super) fn shown(&self, marks: &Marks) -> impl Iterator<Item = Option<f64>> {
        let objectives = self.definition.objectives.iter().zip(self.values(marks));
        objectives
            .map(|(objective, value)| Some(sign(objective.goal) * value?.value).filter(|y| y.is_finite()))
    }

    /// What a trial counts by, to be minimised; none: it does not count.
    fn standing(&self, trial: Trial) -> Option<Box<[f64]>> {
        let state = self.trial(trial)?;
        let marks = state.marks()?;
        let counts = matches!(state.status, Status::Succeeded | Status::Stopped(_))
            && !self.definition.objectives.is_empty()
            && feasible(&self.definition.constraints, &marks.constraints);
        counts.then(|| self.shown(marks).collect())?
    }

    /// A trial is final: it takes its place.
    pub(super) fn enter_front(&mut self, trial: Trial) {
        let mut front = std::mem::take(&mut self.front);
        self.enter(&mut front, trial);
        self.front = front;
    }

    /// The front made anew, of all trials.
    pub(super) fn whole_front(&self) -> BTreeSet<Trial> {
        let mut front = BTreeSet::new();
        (1..=self.trial_count()).for_each(|trial| self.enter(&mut front, Trial(trial)));
        front
    }

    fn enter(&self, front: &mut BTreeSet<Trial>, next: Trial) {
        let Some(values) = self.standing(next) else { return };
        let there: Vec<(Trial, Box<[f64]>)> =
            front.iter().filter_map(|trial| Some((*trial, self.standing(*trial)?))).collect();
        if there.iter().any(|(trial, other)| beats(other, *trial, &values, next)) {
            return;
        }
        let stays = |(trial, other): &(Trial, Box<[f64]>)| !beats(&values, next, other, *trial);
        *front = there.into_iter().filter(stays).map(|(trial, _)| trial).chain([next]).collect();
    }
}

/// Whether `a` is nowhere worse than `b`, and better somewhere or the earlier one.
fn beats(a: &[f64], trial: Trial, b: &[f64], other: Trial) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && (trial < other || a.iter().zip(b).any(|(a, b)| a < b))
}
