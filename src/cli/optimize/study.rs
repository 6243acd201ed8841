//! A search that is asked and told: its trials, and what the method knows of them.
//!
//! A request is first judged ([`Study::check`]), then written down by whoever keeps a history, then carried out, so that
//! nothing is acknowledged that a restart would forget, and nothing that was refused is remembered.

use serde_json::{Value as Json, json};

use crate::cli::json::untagged;
use crate::cli::optimize::request::{End, Request, State};
use crate::search::{Engine, Fit, GridOrderError, History, Observation, Outcome, Pending, Reported, UsedUp};
use crate::space::{Assignment, OutsideSpace, Point, Space};
use crate::spec::{Aggregate, Definition};
use crate::stopping::{Gains, Rule, Sample};
use crate::sweep::{engine, judged_objective, problem, sign};

/// The search.
#[derive(Debug)]
pub(super) struct Study {
    space: Space,
    engine: Engine,
    /// -1 for an objective that is maximised, else 1.
    signs: Vec<f64>,
    constraints: usize,
    aggregate: Aggregate,
    rule: Option<Rule>,
    /// Whether reports are of the first objective; else of the metric that the rule judges.
    reports_objective: bool,
    reports: u64,
    /// The file's own points, which are tried first.
    enqueued: Vec<Point>,
    /// How many of them were.
    started: usize,
    /// How many trials there are, added ones too: the last one's id.
    trials: u32,
    observations: Vec<Observation>,
    pending: Vec<Pending>,
    /// What was told of the first objective of each observation, and by which trial.
    shown: Vec<Shown>,
    /// A fit that proposals were made with and that no history has.
    unwritten: Option<Fit>,
}

/// The value that an observation was told with.
#[derive(Clone, Copy, Debug)]
struct Shown {
    place: usize,
    trial: u32,
    value: f64,
    stopped: bool,
}

/// Why a request that reads well is not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no trial {id}: the last one is {trials}")]
    NoTrial { id: u32, trials: u32 },
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
        let problem = problem(definition, seed, definition.constraints.len());
        let signs: Vec<f64> = definition.objectives.iter().map(|objective| sign(objective.goal)).collect();
        let enqueued = definition.enqueue.iter().filter_map(|start| definition.space.point(start).ok());
        Ok(Study {
            engine: engine(definition, &problem)?,
            signs: if signs.is_empty() { vec![1.0] } else { signs },
            constraints: definition.constraints.len(),
            aggregate: definition.objectives.first().map(|first| first.aggregate).unwrap_or_default(),
            rule: definition.stopping_rule(),
            reports_objective: definition.early_terminate.is_none()
                || judged_objective(definition) == Some(0),
            reports: 0,
            enqueued: enqueued.collect(),
            started: 0,
            trials: 0,
            observations: Vec::new(),
            pending: Vec::new(),
            shown: Vec::new(),
            unwritten: None,
            space: definition.space.clone(),
        })
    }

    /// The next `n` trials, each of which sees those before it as pending; fewer where the space is used up. They become
    /// trials by [`Study::start`].
    pub(super) fn propose(&mut self, n: u32) -> Result<Vec<Point>, Refused> {
        self.bring_to_full_length();
        let before = self.pending.len();
        let mut points = Vec::new();
        let mut used_up = None;
        for (k, trial) in (0..n as usize).zip(self.trials + 1..) {
            match self.next(k, trial) {
                Ok(point) => {
                    self.pending.push(Pending { trial, point: point.clone(), reported: Reported::default() });
                    points.push(point);
                }
                Err(end) => {
                    used_up = Some(end);
                    break;
                }
            }
        }
        self.pending.truncate(before);
        match used_up {
            Some(end) if points.is_empty() => Err(end.into()),
            Some(_) | None => Ok(points),
        }
    }

    /// What becomes `trial`, the k-th (from 0) of those that are asked for now.
    fn next(&mut self, k: usize, trial: u32) -> Result<Point, UsedUp> {
        if let Some(start) = self.enqueued.get(self.started + k) {
            return Ok(start.clone());
        }
        let history = History { observations: &self.observations, pending: &self.pending };
        let proposed = self.engine.propose(trial, &history)?;
        if let Some(fit) = proposed.fit {
            self.record(fit);
        }
        Ok(proposed.proposal.point)
    }

    /// A fit is in force from now on.
    pub(super) fn record(&mut self, fit: Fit) {
        self.unwritten = Some(fit.clone());
        self.engine.record(fit);
    }

    /// A history has the fit.
    pub(super) fn written(&mut self) {
        self.unwritten = None;
    }

    /// Fits the model, if it is due, while nobody waits.
    pub(super) fn prepare(&mut self) {
        self.bring_to_full_length();
        self.engine.prepare(&History { observations: &self.observations, pending: &self.pending });
    }

    /// A proposed point becomes the next trial.
    pub(super) fn start(&mut self, point: Point) {
        self.trials += 1;
        self.started += 1;
        self.pending.push(Pending { trial: self.trials, point, reported: Reported::default() });
    }

    /// The id of the next trial.
    pub(super) fn next_id(&self) -> u32 {
        self.trials + 1
    }

    /// An answered `ask` as a history has it: reading it back gives the same points, and the fit they were made with.
    pub(super) fn asked(&self, trials: &[(u32, Point)]) -> Json {
        let trial = |(id, point): &(u32, Point)| json!({"id": id, "params": self.space.assignment(point)});
        let mut line = json!({"op": "ask", "trials": trials.iter().map(trial).collect::<Vec<Json>>()});
        if let Some(fit) = &self.unwritten {
            line["fit"] = json!(fit);
        }
        line
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
                    if let Outcome::Measured { objectives, stopped, .. } = &outcome
                        && let Some(value) = objectives.first().copied()
                    {
                        let place = self.observations.len();
                        self.shown.push(Shown { place, trial: id, value, stopped: *stopped });
                    }
                    self.observations.push(Observation { trial: Some(id), point: ended.point, outcome });
                }
                json!({"ok": true})
            }
            Request::Add { params, end } => {
                if let Ok(point) = self.point(&params) {
                    let outcome = self.outcome(&end, Reported::default());
                    // known to the method as any other
                    self.trials += 1;
                    self.observations.push(Observation { trial: Some(self.trials), point, outcome });
                }
                json!({"ok": true})
            }
        }
    }

    fn is_pending(&self, id: u32) -> Result<(), Refused> {
        if id == 0 || id > self.trials {
            return Err(Refused::NoTrial { id, trials: self.trials });
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
            && self.reports_objective
            && value.is_finite()
        {
            let best = pending.reported.best.map_or(minimised, |best| best.min(minimised));
            pending.reported = Reported { best: Some(best), last: Some(minimised) };
        }
        let Some(rule) = &mut self.rule else { return false };
        self.reports += 1;
        rule.observe(&Sample { at: self.reports, trial: id, attempt: 1, step, value });
        rule.verdict(id).is_some()
    }

    /// Gives every trial that was stopped the value that it would have reached, as far as the others tell by now.
    fn bring_to_full_length(&mut self) {
        let Some(rule) = self.rule.as_ref().filter(|_| self.reports_objective) else { return };
        if !self.shown.iter().any(|shown| shown.stopped) {
            return;
        }
        let end = |shown: &Shown| (!shown.stopped).then_some(shown.value);
        let ended: Vec<_> = self.shown.iter().map(|shown| rule.course(shown.trial, end(shown))).collect();
        let running: Vec<_> = self.pending.iter().map(|pending| rule.course(pending.trial, None)).collect();
        let gains = Gains::of(ended.iter().chain(&running));
        for (shown, course) in self.shown.iter().zip(&ended).filter(|(shown, _)| shown.stopped) {
            let full = gains.full_length(course, shown.value, self.aggregate == Aggregate::Best);
            if let Outcome::Measured { objectives, .. } = &mut self.observations[shown.place].outcome
                && full.is_finite()
            {
                objectives[0] = full;
            }
        }
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
            // of other objectives than the first nothing is known then
            None if stopped => of_reports.map(|first| {
                let mut values = vec![f64::NAN; self.signs.len()];
                values[0] = first;
                values.into()
            }),
            None => None,
        };
        let is_told = |values: &[f64]| end.values.is_none() || values.iter().all(|y| y.is_finite());
        let Some(objectives) = objectives.filter(|values| is_told(values)) else {
            return Outcome::Failed(reported);
        };
        let mut constraints = end.constraints.clone();
        // a stopped trial need not have come to where its constraints are measured
        constraints.resize(self.constraints, if stopped { 0.0 } else { f64::NAN });
        Outcome::Measured { objectives, constraints: constraints.into(), stopped }
    }
}
