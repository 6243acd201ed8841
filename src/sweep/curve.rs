//! The curve of a trial: what its attempts reported of the metrics that the sweep itself looks at, merged by step, the
//! later attempt wins.
//!
//! Held whole while the trial is not final; then its [`Marks`] stand for it. What came last for a step counts; a step
//! that an attempt goes back to does not reach the stopping rule, whose bands stay as they were passed.
//!
//! Invariants: steps ascend strictly; `best` is the earliest step of the best finite value.

use serde::{Deserialize, Serialize};

use crate::spec::{Aggregate, Constraint, Definition, Goal};
use crate::stopping;
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
    /// The trial's value; of several objectives the first one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Mark>,
    /// Its best finite value, whatever `aggregate` says: what `target` is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Mark>,
    /// Its last finite value, where that is not `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Mark>,
    /// The objectives after the first, in the definition's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Reached>,
    /// In the definition's order: each constraint's metric at the value's step, else its last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Option<f64>>,
    /// The constraints at the best value: the same, unless `aggregate: last` picks another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_best: Vec<Option<f64>>,
    /// What the stopping rule keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<stopping::Marks>,
    /// The last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
}

/// What a trial reached of an objective after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Mark>,
    /// The best finite one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Mark>,
}

impl Marks {
    /// The trial's value of each objective; one, if there is none.
    pub fn values(&self) -> impl Iterator<Item = Option<Mark>> {
        std::iter::once(self.value).chain(self.others.iter().map(|other| other.value))
    }

    /// Its best finite value of each.
    pub fn bests(&self) -> impl Iterator<Item = Option<Mark>> {
        std::iter::once(self.best).chain(self.others.iter().map(|other| other.best))
    }

    /// The last finite value of the first objective.
    pub fn last(&self) -> Option<Mark> {
        self.last.or(self.value)
    }
}

/// The metrics that the sweep looks at, from its definition; a metric that serves twice is watched once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Watched {
    pub(super) metrics: Vec<Watch>,
    objectives: Vec<Aim>,
    stopping: Option<usize>,
    constraints: Vec<usize>,
}

/// An objective: which of the metrics, and which of its values counts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Aim {
    metric: usize,
    last_counts: bool,
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
        for objective in &definition.objectives {
            let metric = watched.add(&objective.name, Some(objective.goal));
            watched.objectives.push(Aim { metric, last_counts: objective.aggregate == Aggregate::Last });
        }
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

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    series: Vec<Series>,
    /// Of the current attempt, over all metrics.
    last_step: Option<i64>,
}

impl Curve {
    /// Another attempt begins: its steps win over those that are there.
    pub(super) fn next_attempt(&mut self) {
        self.last_step = None;
        for series in &mut self.series {
            series.reached = None;
            series.not_finite = 0;
        }
    }

    /// Takes a report in. Returns the step, and the values that the stopping rule is to see.
    pub(super) fn report(
        &mut self,
        watched: &Watched,
        step: Option<i64>,
        values: &[(u32, f64)],
    ) -> (i64, Vec<f64>) {
        let step = step.unwrap_or_else(|| self.last_step.map_or(0, |last| last.saturating_add(1)));
        self.last_step = Some(self.last_step.map_or(step, |last| last.max(step)));
        self.series.resize_with(watched.metrics.len(), Series::default);
        let mut judged = Vec::new();
        for (id, value) in values {
            for (index, watch) in watched.metrics.iter().enumerate().filter(|(_, w)| w.id == Some(*id)) {
                let back = self.series[index].enter(step, *value, watch.goal);
                if watched.stopping == Some(index) && !back {
                    judged.push(*value);
                }
            }
        }
        (step, judged)
    }

    /// Gives all there is, as numbers, in a fixed order: what a hash is made of.
    pub(super) fn write(&self, watched: &Watched, mut give: impl FnMut(&str, &[f64])) {
        let step = |step: Option<i64>| step.map_or(f64::NAN, |step| step as f64);
        let mut streaks: Vec<f64> = self.streaks(watched).map(f64::from).collect();
        streaks.resize(watched.objectives.len().max(1), 0.0);
        give("attempt", &[&[step(self.last_step)], streaks.as_slice()].concat());
        for series in &self.series {
            let samples = series.samples.iter().flat_map(|s| [f64::from_bits(s.step as u64), s.value]);
            give("series", &samples.chain([step(series.reached)]).collect::<Vec<_>>());
        }
    }

    /// Whether an objective was not finite for so long in a row.
    pub(super) fn diverged(&self, watched: &Watched) -> bool {
        self.streaks(watched).any(|streak| streak >= DIVERGED_AFTER)
    }

    /// Of each objective: values in a row that were not finite, in this attempt.
    fn streaks(&self, watched: &Watched) -> impl Iterator<Item = u32> {
        watched.objectives.iter().map(|aim| self.of(*aim).map_or(0, |series| series.not_finite))
    }

    fn of(&self, aim: Aim) -> Option<&Series> {
        self.series.get(aim.metric)
    }

    /// The best finite value of each objective.
    pub(super) fn bests(&self, watched: &Watched) -> impl Iterator<Item = Option<Mark>> {
        watched.objectives.iter().map(|aim| self.of(*aim)?.best)
    }

    /// All that an objective needs is that each has a finite value: what is missing of the worst of them.
    pub(super) fn objective_seen(&self, watched: &Watched) -> ObjectiveSeen {
        let seen = watched.objectives.iter().map(|aim| match self.of(*aim) {
            Some(series) if series.best.is_some() => ObjectiveSeen::Finite,
            Some(series) if !series.samples.is_empty() => ObjectiveSeen::NotFinite,
            Some(_) | None => ObjectiveSeen::Never,
        });
        seen.max().unwrap_or(ObjectiveSeen::NotWanted)
    }

    /// Each constraint's metric at `step`, else its last value.
    fn constraints_at(&self, watched: &Watched, step: Option<i64>) -> Vec<Option<f64>> {
        let value = |index: &usize| {
            let series = self.series.get(*index)?;
            step.and_then(|step| series.at(step)).or_else(|| series.last().map(|mark| mark.value))
        };
        watched.constraints.iter().map(value).collect()
    }

    /// Whether the first objective's best value so far keeps the constraints.
    pub(super) fn best_is_feasible(&self, watched: &Watched, constraints: &[Constraint]) -> bool {
        let step = self.bests(watched).next().flatten().map(|best| best.step);
        feasible(constraints, &self.constraints_at(watched, step))
    }

    /// What stays of this curve when its trial is final.
    pub(super) fn marks(&self, watched: &Watched) -> Marks {
        let mut reached = watched.objectives.iter().map(|aim| {
            let series = self.of(*aim);
            let best = series.and_then(|series| series.best);
            let value = if aim.last_counts { series.and_then(Series::last) } else { best };
            Reached { value, best }
        });
        let Reached { value, best } = reached.next().unwrap_or_default();
        let last = watched.objectives.first().and_then(|aim| self.of(*aim)?.last());
        Marks {
            value,
            best,
            last: last.filter(|last| Some(*last) != value),
            others: reached.collect(),
            at_best: self.constraints_at(watched, best.map(|best| best.step)),
            constraints: self.constraints_at(watched, value.map(|value| value.step)),
            rule: None,
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
    /// Values in a row that were not finite, in the current attempt.
    not_finite: u32,
    best: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    step: i64,
    value: f64,
}

impl Series {
    /// Takes a value in; whether the attempt went back to it.
    fn enter(&mut self, step: i64, value: f64, goal: Goal) -> bool {
        let back = self.reached.is_some_and(|reached| step < reached);
        self.not_finite = if value.is_finite() { 0 } else { self.not_finite.saturating_add(1) };
        self.reached = Some(self.reached.map_or(step, |reached| reached.max(step)));
        match self.samples.binary_search_by_key(&step, |sample| sample.step) {
            Ok(index) => self.samples[index].value = value,
            Err(index) => self.samples.insert(index, Sample { step, value }),
        }
        self.improve(Mark { value, step }, goal);
        back
    }

    /// Keeps `best`: the earliest step of the best finite value.
    fn improve(&mut self, new: Mark, goal: Goal) {
        if self.best.is_some_and(|best| best.step == new.step) {
            let finite = self.samples.iter().filter(|s| s.value.is_finite());
            self.best = finite
                .map(|s| Mark { value: s.value, step: s.step })
                .reduce(|best, next| if goal.better(next.value, best.value) { next } else { best });
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
}
