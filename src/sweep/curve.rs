//! The curve of a trial: what its attempts reported of the metrics that the sweep itself looks at, merged by step, the
//! later attempt wins.
//!
//! Held whole while the trial is not final; then its [`Marks`] stand for it. Two views of one step:
//! - its *value*: what came last for it. The trial's value is made of these;
//! - what the bands of the stopping rule *count*: a step that an attempt goes back to is not counted again, so bands
//!   that were passed stay as they were.
//!
//! Invariants: steps ascend strictly; `bands` are the counted finite values at the rule's bands, in step order.

use serde::{Deserialize, Serialize};

use crate::spec::{Constraint, Definition, Goal};
use crate::sweep::outcome::ObjectiveSeen;

/// Values in a row that are not finite: the run has diverged.
pub(super) const DIVERGED_AFTER: u32 = 10;

/// A finite value and the step it was reported at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Mark {
    pub value: f64,
    pub step: i64,
}

/// What stays of a final trial's curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marks {
    /// The trial's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Mark>,
    /// Its best finite value, whatever `aggregate` says: what `target` is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Mark>,
    /// In the definition's order: each constraint's metric at the value's step, else its last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Option<f64>>,
    /// The constraints at the best value: the same, unless `aggregate: last` picks another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_best: Vec<Option<f64>>,
    /// The judged metric at the stopping rule's bands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<f64>,
    /// The last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
}

/// The metrics that the sweep looks at, from its definition; a metric that serves twice is watched once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Watched {
    pub(super) metrics: Vec<Watch>,
    objective: Option<usize>,
    stopping: Option<usize>,
    constraints: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) id: Option<u32>,
    goal: Goal,
}

impl Watched {
    pub(super) fn new(definition: &Definition) -> Self {
        let mut watched = Watched::default();
        watched.objective = definition.objectives.first().map(|o| watched.add(&o.name, Some(o.goal)));
        watched.stopping = definition.early_terminate.as_ref().map(|s| watched.add(&s.metric, Some(s.goal)));
        for constraint in &definition.constraints {
            let index = watched.add(&constraint.metric, None);
            watched.constraints.push(index);
        }
        watched
    }

    fn add(&mut self, name: &str, goal: Option<Goal>) -> usize {
        let same = |w: &Watch| w.name == name && goal.is_none_or(|goal| goal == w.goal);
        self.metrics.iter().position(same).unwrap_or_else(|| {
            self.metrics.push(Watch { name: name.to_owned(), id: None, goal: goal.unwrap_or_default() });
            self.metrics.len() - 1
        })
    }

    /// The dictionary has a new name.
    pub(super) fn named(&mut self, id: u32, name: &str) {
        for watch in self.metrics.iter_mut().filter(|watch| watch.name == name) {
            watch.id = Some(id);
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.metrics.iter().any(|watch| watch.name == name)
    }
}

/// A value that a band counts and that was not there, or was another, before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moved {
    pub(super) band: usize,
    pub(super) old: Option<f64>,
    pub(super) new: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    series: Vec<Series>,
    /// Of the current attempt, over all metrics.
    last_step: Option<i64>,
    /// Objective values in a row that were not finite, in this attempt.
    not_finite: u32,
    bands: Vec<f64>,
}

impl Curve {
    /// Another attempt begins: its steps win over those that are there.
    pub(super) fn next_attempt(&mut self) {
        self.last_step = None;
        self.not_finite = 0;
        for series in &mut self.series {
            series.reached = None;
        }
    }

    /// Takes a report in. `bands`: the rule's, empty without one. Returns what moved there.
    pub(super) fn report(
        &mut self,
        watched: &Watched,
        bands: &[u64],
        step: Option<i64>,
        values: &[(u32, f64)],
    ) -> Vec<Moved> {
        let step = step.unwrap_or_else(|| self.last_step.map_or(0, |last| last.saturating_add(1)));
        self.last_step = Some(self.last_step.map_or(step, |last| last.max(step)));
        self.series.resize_with(watched.metrics.len(), Series::default);
        let mut moved = Vec::new();
        for (id, value) in values {
            for (index, watch) in watched.metrics.iter().enumerate().filter(|(_, w)| w.id == Some(*id)) {
                let change = self.series[index].enter(step, *value, watch.goal);
                if watched.objective == Some(index) {
                    self.not_finite = if value.is_finite() { 0 } else { self.not_finite.saturating_add(1) };
                }
                if watched.stopping == Some(index) {
                    self.series[index].pass(change, bands, &mut self.bands, &mut moved);
                }
            }
        }
        moved
    }

    /// Gives all there is, as numbers, in a fixed order: what a hash is made of.
    pub(super) fn write(&self, mut give: impl FnMut(&str, &[f64])) {
        let step = |step: Option<i64>| step.map_or(f64::NAN, |step| step as f64);
        give("attempt", &[step(self.last_step), f64::from(self.not_finite)]);
        give("bands", &self.bands);
        for series in &self.series {
            let samples = series.samples.iter().flat_map(|s| [f64::from_bits(s.step as u64), s.value, s.counts]);
            give("series", &samples.chain([step(series.reached)]).collect::<Vec<_>>());
        }
    }

    pub(super) fn diverged(&self) -> bool {
        self.not_finite >= DIVERGED_AFTER
    }

    /// The best finite value of the judged metric so far.
    pub(super) fn judged_best(&self, watched: &Watched) -> Option<f64> {
        let series = watched.stopping.and_then(|index| self.series.get(index))?;
        series.best.map(|best| best.value)
    }

    pub(super) fn bands(&self) -> &[f64] {
        &self.bands
    }

    /// The best finite value of the objective.
    pub(super) fn best(&self, watched: &Watched) -> Option<Mark> {
        watched.objective.and_then(|index| self.series.get(index)).and_then(|series| series.best)
    }

    fn last(&self, watched: &Watched) -> Option<Mark> {
        watched.objective.and_then(|index| self.series.get(index)).and_then(Series::last)
    }

    pub(super) fn objective_seen(&self, watched: &Watched) -> ObjectiveSeen {
        let Some(index) = watched.objective else { return ObjectiveSeen::NotWanted };
        match self.series.get(index) {
            Some(series) if series.best.is_some() => ObjectiveSeen::Finite,
            Some(series) if !series.samples.is_empty() => ObjectiveSeen::NotFinite,
            Some(_) | None => ObjectiveSeen::Never,
        }
    }

    /// Each constraint's metric at `step`, else its last value.
    fn constraints_at(&self, watched: &Watched, step: Option<i64>) -> Vec<Option<f64>> {
        let value = |index: &usize| {
            let series = self.series.get(*index)?;
            step.and_then(|step| series.at(step)).or_else(|| series.last().map(|mark| mark.value))
        };
        watched.constraints.iter().map(value).collect()
    }

    /// Whether the best value so far keeps the constraints.
    pub(super) fn best_is_feasible(&self, watched: &Watched, constraints: &[Constraint]) -> bool {
        let step = self.best(watched).map(|best| best.step);
        feasible(constraints, &self.constraints_at(watched, step))
    }

    /// What stays of this curve when its trial is final.
    pub(super) fn marks(&self, watched: &Watched, last_counts: bool) -> Marks {
        let value = if last_counts { self.last(watched) } else { self.best(watched) };
        let best = self.best(watched);
        Marks {
            value,
            best,
            at_best: self.constraints_at(watched, best.map(|best| best.step)),
            constraints: self.constraints_at(watched, value.map(|value| value.step)),
            bands: self.bands.clone(),
            step: self.series.iter().filter_map(|series| series.samples.last()).map(|s| s.step).max(),
        }
    }
}

/// A constraint whose metric was never reported is broken: nobody knows that it holds.
pub(super) fn feasible(constraints: &[Constraint], values: &[Option<f64>]) -> bool {
    let keeps = |(constraint, value): (&Constraint, &Option<f64>)| {
        value.is_some_and(|value| {
            constraint.max.is_none_or(|max| value <= max) && constraint.min.is_none_or(|min| value >= min)
        })
    };
    constraints.iter().zip(values).all(keeps)
}

/// One metric over the attempts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Series {
    samples: Vec<Sample>,
    /// The highest step of the current attempt.
    reached: Option<i64>,
    best: Option<Mark>,
    /// Samples that bands count.
    counted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    step: i64,
    value: f64,
    /// What the bands see; NaN: nothing.
    counts: f64,
}

impl Series {
    fn enter(&mut self, step: i64, value: f64, goal: Goal) -> Change {
        let back = self.reached.is_some_and(|reached| step < reached);
        self.reached = Some(self.reached.map_or(step, |reached| reached.max(step)));
        let change = match self.samples.binary_search_by_key(&step, |sample| sample.step) {
            Ok(index) => {
                let sample = &mut self.samples[index];
                sample.value = value;
                if !back {
                    self.counted += usize::from(value.is_finite());
                    self.counted -= usize::from(sample.counts.is_finite());
                    sample.counts = value;
                }
                Change::Replaced(index)
            }
            Err(index) => {
                let counts = if back { f64::NAN } else { value };
                self.counted += usize::from(counts.is_finite());
                self.samples.insert(index, Sample { step, value, counts });
                if index + 1 == self.samples.len() { Change::Appended } else { Change::Inserted }
            }
        };
        self.improve(Mark { value, step }, goal);
        change
    }

    /// Keeps `best`: the earliest step of the best finite value.
    fn improve(&mut self, new: Mark, goal: Goal) {
        if self.best.is_some_and(|best| best.step == new.step) {
            let finite = self.samples.iter().filter(|s| s.value.is_finite());
            self.best = finite.map(|s| Mark { value: s.value, step: s.step }).reduce(|best, next| {
                if goal.better(next.value, best.value) { next } else { best }
            });
        } else if new.value.is_finite()
            && self.best.is_none_or(|best| {
                goal.better(new.value, best.value) || (new.value == best.value && new.step < best.step)
            })
        {
            self.best = Some(new);
        }
    }

    fn at(&self, step: i64) -> Option<f64> {
        let index = self.samples.binary_search_by_key(&step, |sample| sample.step).ok()?;
        Some(self.samples[index].value).filter(|value| value.is_finite())
    }

    /// The last finite value by step.
    fn last(&self) -> Option<Mark> {
        let last = self.samples.iter().rev().find(|sample| sample.value.is_finite())?;
        Some(Mark { value: last.value, step: last.step })
    }

    /// Brings `passed` (the counted values at `bands`) up to date after `change`.
    fn pass(&self, change: Change, bands: &[u64], passed: &mut Vec<f64>, moved: &mut Vec<Moved>) {
        let all_count = self.counted == self.samples.len();
        let due = bands.partition_point(|band| *band <= self.counted as u64);
        let from = match change {
            Change::Appended => passed.len().min(due),
            Change::Replaced(index) if all_count => bands[..due].partition_point(|band| *band <= index as u64),
            Change::Replaced(_) | Change::Inserted => 0,
        };
        let until = match change {
            Change::Replaced(index) if all_count => bands[..due].partition_point(|band| *band <= index as u64 + 1),
            Change::Replaced(_) | Change::Inserted | Change::Appended => due,
        };
        let mut counted = self.samples.iter().map(|s| s.counts).filter(|c| c.is_finite());
        let (mut taken, mut value) = (0, f64::NAN);
        for (band, at) in bands.iter().enumerate().take(until).skip(from) {
            if all_count {
                value = self.samples[*at as usize - 1].counts;
            } else if taken < *at {
                value = counted.nth((*at - taken) as usize - 1).unwrap_or(f64::NAN);
                taken = *at;
            }
            let old = passed.get(band).copied();
            if old != Some(value) {
                moved.push(Moved { band, old, new: Some(value) });
            }
            match passed.get_mut(band) {
                Some(there) => *there = value,
                None => passed.push(value),
            }
        }
        for (band, old) in passed.iter().enumerate().skip(due) {
            moved.push(Moved { band, old: Some(*old), new: None });
        }
        passed.truncate(due);
    }
}

/// How a sample came in.
#[derive(Clone, Copy, Debug)]
enum Change {
    Appended,
    /// The one at this index.
    Replaced(usize),
    Inserted,
}
