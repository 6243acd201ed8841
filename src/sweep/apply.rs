//! What an entry of the log makes of the state. No choice is made here: whatever could be otherwise stands in the entry.
//!
//! An entry that does not fit the state is damage of the log, named, never a panic.

use crate::stopping::Sample;
use crate::sweep::curve::Watched;
use crate::sweep::metrics::Metrics;
use crate::sweep::proposals::Proposals;
use crate::sweep::savings::Tally;
use crate::sweep::state::{Birth, EarlyEnds, Ends, Spent, index, reaches_target};
use crate::sweep::trial::{Kept, Live, Phase, Status};
use crate::sweep::{
    Body, Budget, Event, PauseHow, PauseWhy, Pos, Report, Run, State, SweepId, SweepPhase, Trial, Usage,
};

/// The first trials that are looked at for an early failure.
pub(super) const EARLY: usize = 3;

/// An entry that the state cannot have come to: the log is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {pos} does not fit the sweep's log: {why}")]
pub struct Damaged {
    /// Where.
    pub pos: Pos,
    /// In what way.
    pub why: Misfit,
}

/// In what way an entry does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Misfit {
    #[error("the first event is not the sweep's creation")]
    NotCreated,
    #[error("its definition makes no sweep")]
    Definition,
    #[error("the sweep is created again")]
    CreatedAgain,
    #[error("an event is missing before it")]
    Gap,
    #[error("it names a trial that does not exist or is not the next one")]
    Trial,
    #[error("it names a run that is not the trial's current one")]
    Run,
    #[error("its assignment lies outside the space")]
    Assignment,
    #[error("it names a metric that does not exist or is not the next one")]
    Metric,
}

impl State {
    /// The state after the first event of a sweep's log.
    pub fn begin(id: SweepId, first: &Event) -> Result<State, Damaged> {
        let Body::SweepCreated {
            definition,
            definition_hash,
            file,
            env,
            notes,
            project,
            seed,
            home,
            paused,
            keep_going,
            origin,
            engine,
            lessons,
        } = &first.body
        else {
            return Err(Damaged { pos: first.pos, why: Misfit::NotCreated });
        };
        let birth = Birth {
            id,
            at: first.at,
            actor: first.actor,
            definition_hash: definition_hash.clone(),
            file: file.clone(),
            env: env.clone(),
            project: project.clone(),
            seed: *seed,
            origin: origin.as_deref().cloned(),
            engine: engine.clone(),
            lessons: lessons.clone(),
        };
        let mut tags = definition.tags.clone();
        tags.sort();
        tags.dedup();
        Ok(State {
            birth,
            pos: first.pos,
            n: first.n,
            version: 1,
            notes: notes.clone(),
            tags,
            home: home.clone(),
            phase: if *paused {
                SweepPhase::Paused { how: PauseHow::Drain, why: PauseWhy::Person }
            } else {
                SweepPhase::Running
            },
            hidden: false,
            target_waived: false,
            early: if *keep_going { EarlyEnds::Settled } else { EarlyEnds::fresh() },
            failed_starts: 0,
            spent: Spent::default(),
            metrics: Metrics::default(),
            watched: Watched::new(definition),
            rule: definition.stopping_rule(),
            trials: Vec::new(),
            queue: Default::default(),
            live: Default::default(),
            asked: Default::default(),
            withdrawn: Default::default(),
            proposals: Proposals::new(definition, *seed)
                .map_err(|_| Damaged { pos: first.pos, why: Misfit::Definition })?,
            ends: Ends::default(),
            front: Default::default(),
            at_target: Default::default(),
            usage: Usage::default(),
            tally: Tally::default(),
            fit: None,
            touched: Default::default(),
            definition: definition.as_ref().clone(),
        })
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) -> Result<(), Damaged> {
        let damaged = |why| Damaged { pos: event.pos, why };
        if event.n != self.n + 1 || event.pos <= self.pos {
            return Err(damaged(Misfit::Gap));
        }
        self.take(event).map_err(damaged)?;
        self.pos = event.pos;
        self.n = event.n;
        Ok(())
    }

    /// Takes a report in. One of a run that is over changes nothing: marks stand for it.
    pub fn apply_report(&mut self, report: &Report) -> Result<(), Damaged> {
        let damaged = |why| Damaged { pos: report.pos, why };
        let known = u32::try_from(self.metrics.names().len()).unwrap_or(u32::MAX);
        if report.values.iter().any(|(id, _)| *id >= known) {
            return Err(damaged(Misfit::Metric));
        }
        let place = index(report.run.trial).filter(|at| *at < self.trials.len());
        let trial = &mut self.trials[place.ok_or(damaged(Misfit::Trial))?];
        if trial.attempt != report.run.attempt {
            return Err(damaged(Misfit::Run));
        }
        let Status::Running(live) = &mut trial.status else { return Err(damaged(Misfit::Run)) };
        live.seq = live.seq.max(report.seq);
        live.reports += 1;
        let Kept::Curve(curve) = &mut trial.kept else { return Err(damaged(Misfit::Run)) };
        let (step, judged) = curve.report(&self.watched, report.step, &report.values);
        if let Some(rule) = &mut self.rule {
            let Run { trial, attempt } = report.run;
            let looks = judged.into_iter().flat_map(|value| {
                rule.observe(&Sample { at: report.pos.0, trial: trial.0, attempt, step, value })
            });
            self.touched.extend(looks.map(Trial));
        }
        let reached = reaches_target(&self.definition.objectives, curve.bests(&self.watched))
            && curve.best_is_feasible(&self.watched, &self.definition.constraints);
        self.note_target(report.run.trial, reached);
        self.touched.insert(report.run.trial);
        self.pos = self.pos.max(report.pos);
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), Misfit> {
        match &event.body {
            Body::SweepCreated { .. } => return Err(Misfit::CreatedAgain),
            Body::SweepChanged { version, patch } => {
                self.version = *version;
                patch.iter().for_each(|patch| self.change(patch));
            }
            Body::SweepPaused { how, why } => self.phase = SweepPhase::Paused { how: *how, why: why.clone() },
            Body::SweepResumed { home, keep_going } => self.resume(home.as_ref(), *keep_going)?,
            Body::SweepEnding { why } => self.phase = SweepPhase::Ending(*why),
            Body::SweepEnded { why, best: _ } => self.phase = SweepPhase::Ended(*why),
            Body::SweepHidden {} => self.hidden = true,
            Body::SweepRestored {} => self.hidden = false,
            Body::TrialProposed { trial, assignment, source, reason: _, basis: _, version: _ } => {
                self.propose(*trial, assignment, *source)?;
            }
            Body::ModelFitted { fit, basis: _ } => self.fit = Some(fit.clone()),
            Body::TrialRetried { trial, why: _ } => self.retry(*trial)?,
            Body::TrialWithdrawn { trial, why } => {
                self.withdraw(*trial, *why)?;
            }
            Body::RunAssigned { run, fence, placements, lease } => {
                let live = Live {
                    fence: *fence,
                    placements: placements.clone(),
                    lease: *lease,
                    assigned: event.at,
                    phase: lease.map_or(Phase::Assigned, |_| Phase::Running(String::new())),
                    seq: 0,
                    reports: 0,
                };
                self.assign(*run, live)?;
            }
            Body::RunStarted { run, started } => {
                self.start(*run, &started.nonce)?;
            }
            Body::MetricNamed { id, name } => {
                if *id != self.metrics.next() {
                    return Err(Misfit::Metric);
                }
                self.metrics.name(name);
                self.watched.named(*id, name);
            }
            Body::StopDecided { run, then, why, evidence: _ } => {
                let live = self.current(*run)?;
                let nonce = live.phase.nonce().map(str::to_owned);
                live.phase = Phase::Stopping { nonce, then: *then, why: *why };
            }
            Body::RunSpared { run, evidence: _ } => {
                self.current(*run)?;
                self.trial_mut(run.trial)?.spared = true;
                self.tally.audit.spared += 1;
            }
            Body::RunEnded { run, outcome, ended, marks } => {
                self.end_run(*run, *outcome, ended, marks.as_deref())?;
                self.trial_mut(run.trial)?.told = event.pos;
            }
            Body::BudgetReached { budget, amount } => match budget {
                Budget::Wall => self.spent.wall = Some(*amount),
                Budget::GpuHours => self.spent.gpu_hours = Some(*amount),
            },
            Body::Annotated { trial, step: _, text: _ } => {
                if let Some(trial) = trial {
                    self.trial_mut(*trial)?;
                }
            }
            Body::Excluded { trial } => self.trial_mut(*trial)?.excluded = true,
            Body::Included { trial } => self.trial_mut(*trial)?.excluded = false,
            Body::Tagged { trial, add, remove } => {
                let tags = match trial {
                    Some(trial) => &mut self.trial_mut(*trial)?.tags,
                    None => &mut self.tags,
                };
                tags.retain(|tag| !remove.contains(tag));
                tags.extend(add.iter().cloned());
                tags.sort();
                tags.dedup();
            }
        }
        Ok(())
    }
}
