//! A search that is asked and told: its trials, and what the method knows of them.
//!
//! A request is first judged ([`Study::check`]), then written down by whoever keeps a history, then carried out, so that
//! nothing is acknowledged that a restart would forget, and nothing that was refused is remembered.

use serde_json::{Value as Json, json};

use crate::cli::json::untagged;
use crate::cli::optimize::request::{End, Request, State};
use crate::search::{
    Engine, GridOrderError, History, Observation, Outcome, Pending, Problem, Reported, UsedUp,
};
use crate::space::{Assignment, OutsideSpace, Point, Space};
use crate::spec::{Aggregate, Definition, Goal, GridOrder, Method, Rule};
use crate::stopping::Hyperband;

/// The search.
#[derive(Debug)]
pub(super) struct Study {
    space: Space,
    engine: Engine,
    /// -1 for an objective that is maximised, else 1.
    signs: Vec<f64>,
    constraints: usize,
    aggregate: Aggregate,
    rule: Option<Hyperband>,
    /// The file's own points, which are tried first.
    enqueued: Vec<Point>,
    /// How many trials were asked for.
    asked: u32,
    observations: Vec<Observation>,
    pending: Vec<Pending>,
}

/// Why a request that reads well is not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no trial {id}: {asked} were asked for")]
    NoTrial { id: u32, asked: u32 },
    #[error("trial {id} has ended already")]
    Ended { id: u32 },
    #[error("{wanted} values are needed, one an objective; here are {given}")]
    Values { wanted: usize, given: usize },
    #[error("there are {wanted} constraints; here are {given} values of them")]
    Constraints { wanted: usize, given: usize },
    #[error("params: {0}")]
    Params(#[from] OutsideSpace),
    #[error("a trial that was added succeeded, or failed: nothing stopped it")]
    AddedStopped,
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
}

impl Study {
    /// The search that a definition describes.
    pub(super) fn new(definition: &Definition, seed: u64) -> Result<Study, GridOrderError> {
        let problem = Problem {
            space: definition.space.clone(),
            objectives: definition.objectives.len().max(1),
            constraints: definition.constraints.len(),
            seed,
            impute: Default::default(),
            impute_while_running: None,
        };
        let sign = |goal: Goal| if goal == Goal::Maximize { -1.0 } else { 1.0 };
        let signs: Vec<f64> = definition.objectives.iter().map(|objective| sign(objective.goal)).collect();
        let enqueued = definition.enqueue.iter().filter_map(|start| definition.space.point(start).ok());
        Ok(Study {
            engine: engine(definition, &problem)?,
            signs: if signs.is_empty() { vec![1.0] } else { signs },
            constraints: definition.constraints.len(),
            aggregate: definition.objectives.first().map(|first| first.aggregate).unwrap_or_default(),
            rule: rule(definition),
            enqueued: enqueued.collect(),
            asked: 0,
            observations: Vec::new(),
            pending: Vec::new(),
            space: definition.space.clone(),
        })
    }

    /// The next `n` trials, each of which sees those before it as pending; fewer where the space is used up. They become
    /// trials by [`Study::start`].
    pub(super) fn propose(&mut self, n: u32) -> Result<Vec<Point>, Refused> {
        let before = self.pending.len();
        let mut points = Vec::new();
        let mut end = Ok(());
        for trial in self.asked + 1..=self.asked.saturating_add(n) {
            let start = self.enqueued.get(trial as usize - 1).cloned();
            let history = History { observations: &self.observations, pending: &self.pending };
            let proposed = match start {
                Some(point) => Ok(point),
                None => self.engine.propose(trial, &history).map(|proposal| proposal.point),
            };
            match proposed {
                Ok(point) => {
                    self.pending.push(Pending { trial, point: point.clone(), reported: Reported::default() });
                    points.push(point);
                }
                Err(used_up) => {
                    end = Err(used_up);
                    break;
                }
            }
        }
        self.pending.truncate(before);
        if points.is_empty() { end.map(|()| points).map_err(Refused::from) } else { Ok(points) }
    }

    /// A proposed point becomes the next trial.
    pub(super) fn start(&mut self, point: Point) {
        self.asked += 1;
        self.pending.push(Pending { trial: self.asked, point, reported: Reported::default() });
    }

    /// The id of the next trial.
    pub(super) fn next_id(&self) -> u32 {
        self.asked + 1
    }

    /// A trial as a history has it: reading it back gives the same point.
    pub(super) fn recorded(&self, id: u32, point: &Point) -> Json {
        json!({"id": id, "params": self.space.assignment(point)})
    }

    /// A trial as a reply has it.
    pub(super) fn shown(&self, id: u32, point: &Point) -> Json {
        let params = serde_json::to_value(self.space.assignment(point)).unwrap_or_default();
        json!({"id": id, "params": untagged(params)})
    }

    /// The point of an assignment.
    pub(super) fn point(&self, params: &Assignment) -> Result<Point, OutsideSpace> {
        self.space.point(params)
    }

    /// Whether a request other than `ask` can be carried out.
    pub(super) fn check(&self, request: &Request) -> Result<(), Refused> {
        match request {
            Request::Ask { .. } => Ok(()),
            Request::Report { id, .. } => self.is_pending(*id),
            Request::Tell { id, end } => self.is_pending(*id).and_then(|()| self.fits(end)),
            Request::Add { params, end } => {
                if end.state == State::Stopped {
                    return Err(Refused::AddedStopped);
                }
                self.point(params)?;
                self.fits(end)
            }
        }
    }

    /// Carries out a request that was checked. Gives the reply.
    pub(super) fn carry_out(&mut self, request: Request) -> Json {
        match request {
            Request::Ask { .. } => json!({"ok": true}),
            Request::Report { id, step, value } => json!({"stop": self.report(id, step, value)}),
            Request::Tell { id, end } => {
                if let Some(place) = self.pending.iter().position(|pending| pending.trial == id) {
                    let ended = self.pending.remove(place);
                    self.rule.iter_mut().for_each(|rule| drop(rule.settle(id)));
                    let outcome = self.outcome(&end, ended.reported);
                    self.observations.push(Observation { trial: Some(id), point: ended.point, outcome });
                }
                json!({"ok": true})
            }
            Request::Add { params, end } => {
                if let Ok(point) = self.point(&params) {
                    let outcome = self.outcome(&end, Reported::default());
                    self.observations.push(Observation { trial: None, point, outcome });
                }
                json!({"ok": true})
            }
        }
    }

    fn is_pending(&self, id: u32) -> Result<(), Refused> {
        if id == 0 || id > self.asked {
            return Err(Refused::NoTrial { id, asked: self.asked });
        }
        let is_there = self.pending.iter().any(|pending| pending.trial == id);
        is_there.then_some(()).ok_or(Refused::Ended { id })
    }

    fn fits(&self, end: &End) -> Result<(), Refused> {
        let wanted = self.signs.len();
        match &end.values {
            Some(values) if values.len() != wanted => Err(Refused::Values { wanted, given: values.len() }),
            _ if end.constraints.len() > self.constraints => {
                Err(Refused::Constraints { wanted: self.constraints, given: end.constraints.len() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the rule says that the trial should stop.
    fn report(&mut self, id: u32, step: i64, value: f64) -> bool {
        let minimised = self.signs[0] * value;
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.trial == id)
            && value.is_finite()
        {
            let best = pending.reported.best.map_or(minimised, |best| best.min(minimised));
            pending.reported = Reported { best: Some(best), last: Some(minimised) };
        }
        let Some(rule) = &mut self.rule else { return false };
        rule.observe(id, 1, step, value);
        rule.verdict(id).is_some()
    }

    /// What the method is told. A trial that was stopped has what it reported, unless the caller says more.
    fn outcome(&self, end: &End, reported: Reported) -> Outcome {
        let of_reports = match self.aggregate {
            Aggregate::Best => reported.best,
            Aggregate::Last => reported.last,
        };
        let stopped = end.state == State::Stopped;
        let objectives: Option<Box<[f64]>> = match &end.values {
            _ if end.state == State::Failed => None,
            Some(values) => Some(self.signs.iter().zip(values).map(|(sign, value)| sign * value).collect()),
            None if stopped && self.signs.len() == 1 => of_reports.map(|value| Box::from([value])),
            None => None,
        };
        let Some(objectives) = objectives.filter(|values| values.iter().all(|value| value.is_finite()))
        else {
            return Outcome::Failed(reported);
        };
        let mut constraints = end.constraints.clone();
        // a stopped trial need not have come to where its constraints are measured
        constraints.resize(self.constraints, if stopped { 0.0 } else { f64::NAN });
        Outcome::Measured { objectives, constraints: constraints.into(), stopped }
    }
}

/// The method of a definition at work.
fn engine(definition: &Definition, problem: &Problem) -> Result<Engine, GridOrderError> {
    Ok(match definition.method {
        Method::Random => Engine::random(problem),
        Method::Grid => Engine::grid(problem, definition.order == GridOrder::Shuffled)?,
        Method::Sobol => Engine::sobol(problem),
        Method::Tpe | Method::Bayes => Engine::tpe(problem),
        Method::Cmaes => Engine::cmaes(problem),
    })
}

/// The stopping rule of a definition.
fn rule(definition: &Definition) -> Option<Hyperband> {
    let stopping = definition.early_terminate.as_ref()?;
    match &stopping.rule {
        Rule::Hyperband { bands, eta, strict } => {
            Some(Hyperband::new(bands, *eta, *strict, stopping.goal == Goal::Maximize))
        }
        Rule::Later { .. } => None,
    }
}
