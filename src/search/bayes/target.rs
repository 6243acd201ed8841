//! What each model is fitted to: which observations, in which order, with which values.
//!
//! - An objective: every trial of this sweep that has a value of it; failed ones at what they are imputed, by default the
//!   worst finite value. Where more than half of the trials failed, a plateau at the worst value would hide everything
//!   else: failed ones are left out there, and a model of its own says where trials fail.
//! - A constraint: the trials of this sweep that measured it.
//! - Failure: every trial of this sweep, 1 where it failed, else -1.
//!
//! What other sweeps observed is no model's row: it makes a hint ([`crate::search::bayes::transfer`]).
//!
//! Order: at a fit by trial number; what came later follows as it was told. Above [`MOST`] observations a fit keeps half
//! of them by value and half that came last.

use crate::search::bayes::record::{Modelled, Scale};
use crate::search::{Impute, Observation, Outcome, Problem, Reported};

/// So many observations are kept at a fit.
pub(super) const MOST: usize = 500;

/// The observations of one model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) of: Modelled,
    /// Indexes of observations.
    pub(super) indexes: Vec<usize>,
    /// Their values.
    pub(super) values: Vec<f64>,
}

impl Target {
    /// What the model sees of the values.
    pub(super) fn seen(&self, scale: &Scale) -> Vec<f64> {
        self.values.iter().map(|value| scale.of(*value)).collect()
    }
}

/// What all targets follow from.
pub(super) struct Facts<'a> {
    problem: &'a Problem,
    observations: &'a [Observation],
    /// The worst finite value of each objective.
    worst: Vec<f64>,
    /// How many of this sweep's own trials were measured, and how many failed.
    pub(super) measured: usize,
    pub(super) failed: usize,
    /// How many observations are of other sweeps.
    pub(super) foreign: usize,
}

impl<'a> Facts<'a> {
    pub(super) fn new(problem: &'a Problem, observations: &'a [Observation]) -> Facts<'a> {
        let mut facts = Facts {
            problem,
            observations,
            worst: vec![f64::NEG_INFINITY; problem.objectives],
            measured: 0,
            failed: 0,
            foreign: 0,
        };
        for observation in observations {
            if observation.trial.is_none() {
                facts.foreign += 1;
                continue;
            }
            match values(problem, observation) {
                Some(values) => {
                    facts.measured += usize::from(is_whole(values));
                    for (worst, value) in facts.worst.iter_mut().zip(values) {
                        *worst = worst.max(*value);
                    }
                }
                None => facts.failed += 1,
            }
        }
        facts
    }

    /// Whether so many trials fail that failure has its own model.
    pub(super) fn mostly_fails(&self) -> bool {
        self.failed > self.measured
    }

    /// The value that stands for a trial without one.
    pub(super) fn imputed(&self, impute: Impute, reported: &Reported, objective: usize) -> f64 {
        let own = match impute {
            Impute::Worst => None,
            Impute::Best => reported.best,
            Impute::Latest => reported.last,
        };
        own.filter(|value| value.is_finite() && objective == 0).unwrap_or(self.worst[objective])
    }

    /// Whether a trial kept all constraints; one that was not measured did not.
    pub(super) fn is_feasible(&self, index: usize) -> bool {
        match &self.observations[index].outcome {
            Outcome::Measured { constraints, .. } => {
                constraints.len() >= self.problem.constraints && constraints.iter().all(|c| *c <= 0.0)
            }
            Outcome::Failed(_) => false,
        }
    }

    /// Whether a trial of this sweep was measured.
    pub(super) fn is_measured(&self, index: usize) -> bool {
        let observation = &self.observations[index];
        observation.trial.is_some() && objectives(self.problem, observation).is_some()
    }

    /// The models there are to be, each with what it sees after a fit of the first `count` observations.
    pub(super) fn targets(&self, count: usize) -> Vec<Target> {
        let order = self.order(count);
        let objectives = (0..self.problem.objectives).map(Modelled::Objective);
        let constraints = (0..self.problem.constraints).map(Modelled::Constraint);
        let failure = self.mostly_fails().then_some(Modelled::Failure);
        let models = objectives.chain(constraints).chain(failure);
        // with a hint there is something to believe before there are trials
        let counts = |target: &Target| {
            !target.indexes.is_empty() || (matches!(target.of, Modelled::Objective(_)) && self.foreign > 0)
        };
        models.map(|of| self.target(of, &order)).filter(counts).collect()
    }

    /// What other sweeps observed of an objective: indexes and values. Of very many some are left out, evenly by value.
    pub(super) fn foreign(&self, objective: usize) -> Vec<(usize, f64)> {
        let mut all: Vec<(usize, f64)> = (0..self.observations.len())
            .filter(|index| self.observations[*index].trial.is_none())
            .filter_map(|index| {
                Some((index, objectives(self.problem, &self.observations[index])?[objective]))
            })
            .collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let mut kept: Vec<(usize, f64)> =
            all.iter().step_by(all.len().div_ceil(MOST).max(1)).copied().collect();
        kept.sort_by_key(|(index, _)| *index);
        kept
    }

    fn target(&self, of: Modelled, order: &[usize]) -> Target {
        let mut target = Target { of, indexes: Vec::new(), values: Vec::new() };
        for &index in order {
            if let Some(value) = self.value(of, index).filter(|value| value.is_finite()) {
                target.indexes.push(index);
                target.values.push(value);
            }
        }
        target
    }

    fn value(&self, of: Modelled, index: usize) -> Option<f64> {
        let observation = &self.observations[index];
        let own = observation.trial.is_some();
        let measured = values(self.problem, observation);
        match (of, measured, &observation.outcome) {
            (Modelled::Objective(j), Some(values), _) if own => Some(values[j]),
            (Modelled::Objective(j), None, Outcome::Failed(reported)) if own && !self.mostly_fails() => {
                Some(self.imputed(self.problem.impute, reported, j))
            }
            (Modelled::Objective(j), None, _) if own && !self.mostly_fails() => Some(self.worst[j]),
            (Modelled::Constraint(i), Some(_), Outcome::Measured { constraints, .. }) if own => {
                constraints.get(i).copied().filter(|c| c.is_finite())
            }
            (Modelled::Failure, measured, _) if own => Some(if measured.is_some() { -1.0 } else { 1.0 }),
            _ => None,
        }
    }

    /// The observations in the order of rows: those of the fit, then what came later.
    fn order(&self, count: usize) -> Vec<usize> {
        let count = count.min(self.observations.len());
        let own = |index: &usize| self.observations[*index].trial.is_some();
        let mut order: Vec<usize> = (0..count).filter(own).collect();
        order.sort_by_key(|index| self.observations[*index].trial);
        if order.len() > MOST {
            let kept = self.kept(count);
            order.retain(|index| kept[*index]);
        }
        order.extend((count..self.observations.len()).filter(own));
        order
    }

    /// Of the first `count` observations: the latest, and of the rest the best.
    fn kept(&self, count: usize) -> Vec<bool> {
        let mut kept: Vec<bool> = (0..count).map(|i| i + MOST / 2 >= count).collect();
        let mut rest: Vec<(f64, usize)> =
            (0..count).filter(|i| !kept[*i]).map(|i| (self.standing(i), i)).collect();
        rest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        rest.iter().take(MOST / 2).for_each(|(_, i)| kept[*i] = true);
        kept
    }

    /// Less is better: the sum of the objectives, infeasible and failed trials last.
    fn standing(&self, index: usize) -> f64 {
        match objectives(self.problem, &self.observations[index]) {
            Some(values) if self.problem.constraints == 0 || self.is_feasible(index) => values.iter().sum(),
            Some(_) => f64::MAX,
            None => f64::INFINITY,
        }
    }
}

/// The values of a trial that has a finite one of every objective.
fn objectives<'a>(problem: &Problem, observation: &'a Observation) -> Option<&'a [f64]> {
    values(problem, observation).filter(|values| is_whole(values))
}

fn is_whole(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// The same, and those of a trial that was stopped before it had them all: NaN, where it has none.
fn values<'a>(problem: &Problem, observation: &'a Observation) -> Option<&'a [f64]> {
    match &observation.outcome {
        Outcome::Measured { objectives, stopped, .. }
            if objectives.len() == problem.objectives && (*stopped || is_whole(objectives)) =>
        {
            Some(objectives)
        }
        Outcome::Measured { .. } | Outcome::Failed(_) => None,
    }
}
