//! What a method that learns is asked: the problem, and what came of the trials so far, as the log has it.
//!
//! A proposal is made outside, by an engine that may take its time; the state only says what it is to be made from
//! ([`Question`]) and takes what came of it ([`Suggestion`]). `basis` is the last entry that the question saw, and is
//! stored with the proposal: whatever the timing, the same question has the same answer.

use crate::search::{
    self, Engine, Fit, GridOrderError, Observation, Outcome, Pending, Problem, Reason, Reported,
};
use crate::space::Point;
use crate::spec::{Aggregate, Constraint, Definition, Goal, GridOrder, Impute, Method, Objective};
use crate::stopping::Gains;
use crate::sweep::lessons;
use crate::sweep::trial::{Kept, Status, TrialState};
use crate::sweep::{FailWhy, Mark, Marks, Pos, State, StopWhy, Trial, due};

/// What a proposal is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Whose proposal it will be.
    pub trial: Trial,
    /// The last entry of which it knows.
    pub basis: Pos,
    /// The definition's.
    pub version: u32,
    /// The last fit that was recorded.
    pub fit: Option<Fit>,
    /// Trials that are over, as they ended.
    pub observations: Vec<Observation>,
    /// Trials that are not, by number.
    pub pending: Vec<Pending>,
}

/// What a method answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// For which trial.
    pub trial: Trial,
    /// Where.
    pub point: Point,
    /// Why there.
    pub reason: Reason,
    /// The fit it was made with, if that is not on record yet.
    pub fit: Option<Fit>,
    /// The question's.
    pub basis: Pos,
    /// The question's.
    pub version: u32,
}

/// The problem that a definition describes, to be minimised.
pub fn problem(definition: &Definition, seed: u64, constraints: usize) -> Problem {
    let first = definition.objectives.first();
    Problem {
        space: definition.space.clone(),
        objectives: definition.objectives.len().max(1),
        constraints,
        seed,
        impute: first.map(|first| imputed(first.impute)).unwrap_or_default(),
        impute_while_running: first.and_then(|first| first.impute_while_running).map(imputed),
    }
}

fn imputed(impute: Impute) -> search::Impute {
    match impute {
        Impute::Worst => search::Impute::Worst,
        Impute::Best => search::Impute::Best,
        Impute::Latest => search::Impute::Latest,
    }
}

/// The method of a definition at work.
///
/// # Errors
///
/// A grid that there cannot be.
pub fn engine(definition: &Definition, problem: &Problem) -> Result<Engine, GridOrderError> {
    Ok(match definition.method {
        Method::Random => Engine::random(problem),
        Method::Grid => Engine::grid(problem, definition.order == GridOrder::Shuffled)?,
        Method::Sobol => Engine::sobol(problem),
        Method::Tpe => Engine::tpe(problem),
        Method::Bayes => Engine::bayes(problem),
        Method::Cmaes => Engine::cmaes(problem),
    })
}

/// -1 for an objective that is maximised, else 1.
pub fn sign(goal: Goal) -> f64 {
    if goal == Goal::Maximize { -1.0 } else { 1.0 }
}

/// Which objective the stopping rule judges, if there is one and it judges one.
pub fn judged_objective(definition: &Definition) -> Option<usize> {
    let stopping = definition.early_terminate.as_ref()?;
    let is_judged =
        |objective: &Objective| (&objective.name, objective.goal) == (&stopping.metric, stopping.goal);
    definition.objectives.iter().position(is_judged)
}

impl State {
    /// What its method searches.
    pub fn problem(&self) -> Problem {
        let bounds = self.definition.constraints.iter().map(|constraint| bounds(constraint, None).count());
        problem(&self.definition, self.birth.seed, bounds.sum())
    }

    /// Whether its next new trial needs a method's suggestion.
    pub(super) fn learns(&self) -> bool {
        self.definition.method.learns() && self.proposals.starts() >= self.definition.enqueue.len()
    }

    /// Whether a new trial is wanted that needs a method's suggestion.
    pub fn wants_suggestion(&self) -> bool {
        self.learns() && due::proposes(self)
    }

    /// What the method is asked about the next new trial.
    pub fn question(&self) -> Question {
        Question {
            trial: self.next_trial(),
            basis: self.pos,
            version: self.version,
            fit: self.fit.as_deref().cloned(),
            observations: self.observations(),
            pending: self.pending(),
        }
    }

    /// Whether a suggestion is still for the next trial.
    pub fn suits(&self, suggestion: &Suggestion) -> bool {
        suggestion.trial == self.next_trial() && suggestion.version == self.version
    }

    fn pending(&self) -> Vec<Pending> {
        let waits = |trial: &TrialState| matches!(trial.status, Status::Queued(_) | Status::Running(_));
        let trials = self.numbered().filter(|(_, trial)| waits(trial));
        trials
            .map(|(number, trial)| {
                let marks = trial.curve().map(|_| self.marks_so_far(number)).unwrap_or_default();
                let reported = self.reported(&marks);
                Pending { trial: number.0, point: trial.point.clone(), reported }
            })
            .collect()
    }

    /// Those that tell something of their point, in the order of their ends.
    fn observations(&self) -> Vec<Observation> {
        let mut told: Vec<_> = self
            .numbered()
            .filter(|(_, trial)| !trial.excluded)
            .filter_map(|(number, trial)| Some((trial.told, number, trial, self.outcome(trial)?)))
            .collect();
        told.sort_by_key(|(at, ..)| *at);
        if let Some(judged) = judged_objective(&self.definition) {
            let ended: Vec<_> = told.iter().map(|(_, number, _, outcome)| (*number, outcome)).collect();
            let full = self.full_lengths(judged, &ended);
            for ((.., outcome), full) in told.iter_mut().zip(full) {
                if let (Outcome::Measured { objectives, .. }, Some(full)) = (outcome, full) {
                    objectives[judged] = full;
                }
            }
        }
        let own = told.into_iter().map(|(_, number, trial, outcome)| Observation {
            trial: Some(number.0),
            point: trial.point.clone(),
            outcome,
        });
        let lessons = match self.definition.method {
            Method::Bayes => lessons::observations(&self.birth.lessons, &self.definition.space),
            _ => Vec::new(), // other methods compare values as they are
        };
        lessons.into_iter().chain(own).collect()
    }

    /// What each stopped trial would have reached of the judged objective, as far as the others tell by now (the gain
    /// rule).
    fn full_lengths(&self, judged: usize, ended: &[(Trial, &Outcome)]) -> Vec<Option<f64>> {
        let Some(rule) = &self.rule else { return vec![None; ended.len()] };
        let value = |outcome: &Outcome, wanted: bool| match outcome {
            Outcome::Measured { objectives, stopped, .. } if *stopped == wanted => Some(objectives[judged]),
            Outcome::Measured { .. } | Outcome::Failed(_) => None,
        };
        let courses: Vec<_> =
            ended.iter().map(|(trial, outcome)| rule.course(trial.0, value(outcome, false))).collect();
        let running: Vec<_> = self.live.iter().map(|trial| rule.course(trial.0, None)).collect();
        let gains = Gains::of(courses.iter().chain(&running));
        let best_counts = self.definition.objectives[judged].aggregate == Aggregate::Best;
        let full = |((_, outcome), course): (&(Trial, &Outcome), &_)| {
            let shown = value(outcome, true)?;
            Some(gains.full_length(course, shown, best_counts)).filter(|full| full.is_finite())
        };
        ended.iter().zip(&courses).map(full).collect()
    }

    /// What a trial tells; none: it is not over, or what ended it says nothing of its point.
    fn outcome(&self, trial: &TrialState) -> Option<Outcome> {
        let Kept::Marks(marks) = &trial.kept else { return None };
        match &trial.status {
            Status::Succeeded => Some(self.measured(marks, false)),
            Status::Stopped(StopWhy::Diverged) => Some(Outcome::Failed(self.reported(marks))),
            Status::Stopped(_) => Some(self.measured(marks, true)),
            Status::Failed(FailWhy::Infrastructure | FailWhy::NotStarted) => None,
            Status::Failed(_) => Some(Outcome::Failed(self.reported(marks))),
            Status::Queued(_) | Status::Running(_) | Status::Withdrawn(_) => None,
        }
    }

    /// What the first objective showed on its way.
    fn reported(&self, marks: &Marks) -> Reported {
        let sign = self.definition.objectives.first().map_or(1.0, |first| sign(first.goal));
        let minimised = |mark: Option<Mark>| mark.map(|mark| sign * mark.value);
        Reported { best: minimised(marks.best), last: minimised(marks.last()) }
    }

    fn measured(&self, marks: &Marks, stopped: bool) -> Outcome {
        let objectives: Box<[f64]> = self.shown(marks).map(|value| value.unwrap_or(f64::NAN)).collect();
        let there = objectives.iter().filter(|value| !value.is_nan()).count();
        if there == 0 || (there < objectives.len() && !stopped) {
            return Outcome::Failed(self.reported(marks));
        }
        let measured = marks.constraints.iter().copied().chain(std::iter::repeat(None));
        let constraints = self.definition.constraints.iter().zip(measured);
        // A trial that was stopped need not have come to where its constraints are measured.
        let missing = if stopped { 0.0 } else { f64::NAN };
        let constraints = constraints.flat_map(|(constraint, value)| {
            bounds(constraint, value).map(move |excess| excess.unwrap_or(missing))
        });
        Outcome::Measured { objectives, constraints: constraints.collect(), stopped }
    }
}

/// How far a value lies beyond each of a constraint's bounds; at most 0 where it keeps it.
fn bounds(constraint: &Constraint, value: Option<f64>) -> impl Iterator<Item = Option<f64>> + use<> {
    let value = value.filter(|value| value.is_finite());
    let above = constraint.max.map(|max| value.map(|value| value - max));
    let below = constraint.min.map(|min| value.map(|value| min - value));
    above.into_iter().chain(below)
}
