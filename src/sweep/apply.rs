//! What an entry of the log makes of the state. No choice is made here: whatever could be otherwise stands in the entry.
//!
//! An entry that does not fit the state is damage of the log, named, never a panic.

use std::time::Duration;

use crate::sweep::curve::{Watched, feasible};
use crate::sweep::metrics::Metrics;
use crate::sweep::proposals::Proposals;
use crate::sweep::state::{Birth, EarlyEnds, Ends, Spent, index, reaches_target, rule_of};
use crate::sweep::trial::{Kept, Live, Past, Phase, Status, TrialState, Waiting, status};
use crate::sweep::{
    Body, Budget, EndWhy, Ended, Event, Exit, Marks, Outcome, Patch, PauseHow, PauseWhy, Pos, QueueWhy,
    Report, Run, State, SweepId, SweepPhase, Trial, Usage, WithdrawWhy,
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
            seed,
            home,
            paused,
            keep_going,
            origin,
            engine,
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
            seed: *seed,
            origin: origin.clone(),
            engine: engine.clone(),
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
            hyperband: rule_of(definition),
            trials: Vec::new(),
            queue: Default::default(),
            live: Default::default(),
            withdrawn: Default::default(),
            proposals: Proposals::new(definition, *seed)
                .map_err(|_| Damaged { pos: first.pos, why: Misfit::Definition })?,
            ends: Ends::default(),
            best: None,
            at_target: Default::default(),
            usage: Usage::default(),
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
        if let Some(rule) = &mut self.hyperband {
            let Run { trial, attempt } = report.run;
            let looks = judged.into_iter().flat_map(|value| rule.observe(trial.0, attempt, step, value));
            self.touched.extend(looks.map(Trial));
        }
        let reached = curve.best(&self.watched).is_some_and(|best| {
            reaches_target(&self.definition, best.value)
                && curve.best_is_feasible(&self.watched, &self.definition.constraints)
        });
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
            Body::SweepResumed { home, keep_going } => self.resume(home.as_ref(), *keep_going),
            Body::SweepEnding { why } => self.phase = SweepPhase::Ending(*why),
            Body::SweepEnded { why, best: _ } => self.phase = SweepPhase::Ended(*why),
            Body::SweepHidden {} => self.hidden = true,
            Body::SweepRestored {} => self.hidden = false,
            Body::TrialProposed { trial, assignment, source, basis: _, version: _ } => {
                if *trial != self.next_trial() {
                    return Err(Misfit::Trial);
                }
                let point = self.definition.space.point(assignment).map_err(|_| Misfit::Assignment)?;
                self.proposals.proposed(&point, *source);
                self.trials.push(TrialState::proposed(point, *source));
                self.enter_queue(*trial)?;
            }
            Body::TrialRetried { trial, why: _ } => self.retry(*trial)?,
            Body::TrialWithdrawn { trial, why } => {
                self.set_status(*trial, Status::Withdrawn(*why))?;
                if *why == WithdrawWhy::SweepEnding {
                    self.withdrawn.insert(*trial);
                }
            }
            Body::RunAssigned { run, fence, placements } => {
                let live = Live {
                    fence: *fence,
                    placements: placements.clone(),
                    assigned: event.at,
                    phase: Phase::Assigned,
                    seq: 0,
                    reports: 0,
                };
                self.assign(*run, live)?;
            }
            Body::RunStarted { run, started } => {
                let live = self.current(*run)?;
                live.phase = match &live.phase {
                    Phase::Assigned | Phase::Running(_) => Phase::Running(started.nonce.clone()),
                    Phase::Stopping { nonce: _, then, why } => {
                        Phase::Stopping { nonce: Some(started.nonce.clone()), then: *then, why: *why }
                    }
                };
                live.seq = live.seq.max(1);
                self.failed_starts = 0;
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
            Body::RunEnded { run, outcome, ended, marks } => {
                self.end_run(*run, *outcome, ended, marks.as_deref())?
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

    fn trial_mut(&mut self, trial: Trial) -> Result<&mut TrialState, Misfit> {
        index(trial).and_then(|at| self.trials.get_mut(at)).ok_or(Misfit::Trial)
    }

    fn current(&mut self, run: Run) -> Result<&mut Live, Misfit> {
        let trial = self.trial_mut(run.trial)?;
        if trial.attempt != run.attempt {
            return Err(Misfit::Run);
        }
        match &mut trial.status {
            Status::Running(live) => Ok(live),
            Status::Queued(_)
            | Status::Succeeded
            | Status::Stopped(_)
            | Status::Withdrawn(_)
            | Status::Failed(_) => Err(Misfit::Run),
        }
    }

    /// The one place where a trial's status changes: keeps the queue, the live runs and the counts.
    fn set_status(&mut self, trial: Trial, status: Status) -> Result<(), Misfit> {
        let state = self.trial_mut(trial)?;
        let (rank, was) = (state.rank(), state.ending());
        state.status = status;
        let (new_rank, is) = (state.rank(), state.ending());
        let live = state.live().is_some();
        if let Some(rank) = rank {
            self.queue.remove(&(rank, trial));
        }
        if let Some(rank) = new_rank {
            self.queue.insert((rank, trial));
        }
        if live {
            self.live.insert(trial);
        } else {
            self.live.remove(&trial);
        }
        self.withdrawn.remove(&trial);
        self.ends.count(was, is);
        Ok(())
    }

    fn enter_queue(&mut self, trial: Trial) -> Result<(), Misfit> {
        self.set_status(trial, Status::Queued(Waiting::New))
    }

    fn assign(&mut self, run: Run, live: Live) -> Result<(), Misfit> {
        let trial = self.trial_mut(run.trial)?;
        if run.attempt != trial.attempt + 1 || trial.live().is_some() {
            return Err(Misfit::Run);
        }
        trial.attempt = run.attempt;
        if let Kept::Curve(curve) = &mut trial.kept {
            curve.next_attempt();
        }
        self.touched.insert(run.trial); // thresholds may have moved while it was queued
        self.set_status(run.trial, Status::Running(Box::new(live)))
    }

    fn retry(&mut self, trial: Trial) -> Result<(), Misfit> {
        let state = self.trial_mut(trial)?;
        state.kept = Kept::Curve(Box::default());
        state.crashes = 0;
        state.losses = 0;
        if let Some(rule) = &mut self.hyperband {
            self.touched.extend(rule.forget(trial.0).into_iter().map(Trial));
        }
        self.note_target(trial, false);
        self.set_status(trial, Status::Queued(Waiting::Retried))?;
        if self.best == Some(trial) {
            self.best = (1..=self.trial_count()).map(Trial).fold(None, |best, next| self.better(best, next));
        }
        Ok(())
    }

    fn end_run(
        &mut self,
        run: Run,
        outcome: Outcome,
        ended: &Ended,
        marks: Option<&Marks>,
    ) -> Result<(), Misfit> {
        let fence = self.current(run)?.fence;
        self.usage.runs += 1;
        self.usage.reports += ended.reports;
        self.usage.wall_ms += ended.wall_ms;
        self.usage.cpu_ms += ended.cpu_ms;
        self.usage.gpu_ms += ended.wall_ms.saturating_mul(u64::from(ended.gpus));
        self.failed_starts = match ended.exit {
            Exit::NotStartedHere { .. } => self.failed_starts + 1,
            Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted { .. } => 0,
            Exit::Lost(_) => self.failed_starts,
        };
        let trial = self.trial_mut(run.trial)?;
        trial.past = Some(Past { fence, seq: ended.last_seq });
        match outcome {
            Outcome::Queued(QueueWhy::Crashed) => trial.crashes += 1,
            Outcome::Queued(QueueWhy::Lost) => trial.losses += 1,
            Outcome::Queued(QueueWhy::Stopped | QueueWhy::Outside | QueueWhy::NotStarted)
            | Outcome::Succeeded
            | Outcome::Stopped(_)
            | Outcome::Failed(_) => {}
        }
        self.set_status(run.trial, status(outcome))?;
        if let Some(marks) = marks {
            self.keep_marks(run.trial, marks)?;
            self.note_early_end(run.trial, outcome);
            self.best = self.better(self.best, run.trial);
        }
        Ok(())
    }

    /// The trial is final: its marks stand for its curve from now on.
    fn keep_marks(&mut self, trial: Trial, marks: &Marks) -> Result<(), Misfit> {
        self.trial_mut(trial)?.kept = Kept::Marks(Box::new(marks.clone()));
        if let (Some(rule), Some(marks)) = (&mut self.hyperband, &marks.rule) {
            self.touched.extend(rule.set(trial.0, marks.clone(), false).into_iter().map(Trial));
        }
        let reached = marks.best.is_some_and(|best| reaches_target(&self.definition, best.value))
            && feasible(&self.definition.constraints, &marks.at_best);
        self.note_target(trial, reached);
        Ok(())
    }

    fn note_target(&mut self, trial: Trial, reached: bool) {
        if reached {
            self.at_target.insert(trial);
        } else {
            self.at_target.remove(&trial);
        }
    }

    fn note_early_end(&mut self, trial: Trial, outcome: Outcome) {
        let Outcome::Failed(why) = outcome else {
            self.early = EarlyEnds::Settled;
            return;
        };
        self.early = match std::mem::replace(&mut self.early, EarlyEnds::Settled) {
            EarlyEnds::Alike { mut trials, how }
                if how.is_none_or(|how| how == why) && trials.len() < EARLY =>
            {
                trials.push(trial);
                EarlyEnds::Alike { trials, how: Some(why) }
            }
            EarlyEnds::Alike { trials, how } if trials.len() >= EARLY => EarlyEnds::Alike { trials, how },
            EarlyEnds::Alike { .. } | EarlyEnds::Settled => EarlyEnds::Settled,
        };
    }

    /// The better of two trials; the lower number where they are equal.
    pub(super) fn better(&self, best: Option<Trial>, next: Trial) -> Option<Trial> {
        let (Some(goal), Some(value)) = (self.goal(), self.ranked_value(next)) else { return best };
        let Some(best) = best else { return Some(next) };
        let Some(there) = self.ranked_value(best) else { return Some(next) };
        let wins = goal.better(value, there) || (value == there && next < best);
        Some(if wins { next } else { best })
    }

    fn resume(&mut self, home: Option<&String>, keep_going: bool) {
        if let Some(home) = home {
            self.home = Some(home.clone());
        }
        let was = std::mem::replace(&mut self.phase, SweepPhase::Running);
        self.target_waived |=
            matches!(was, SweepPhase::Ending(EndWhy::Target) | SweepPhase::Ended(EndWhy::Target));
        self.failed_starts = 0;
        self.touch_all(); // a fault may have left stops undecided
        let failed_early = matches!(&self.early, EarlyEnds::Alike { trials, .. } if trials.len() >= EARLY);
        if keep_going {
            self.early = EarlyEnds::Settled;
        } else if failed_early {
            self.early = EarlyEnds::fresh();
        }
        for trial in std::mem::take(&mut self.withdrawn) {
            let waiting = match self.trial(trial) {
                Some(state) if state.attempt > 0 => Waiting::Retried,
                Some(_) | None => Waiting::New,
            };
            // a trial in `withdrawn` exists
            let _ = self.set_status(trial, Status::Queued(waiting));
        }
    }

    fn change(&mut self, patch: &Patch) {
        let definition = &mut self.definition;
        match patch {
            Patch::Name(name) => definition.name = name.clone(),
            Patch::Parallel(parallel) => definition.parallel = *parallel,
            Patch::RunCap(cap) => definition.run_cap = *cap,
            Patch::GpuHours(hours) => definition.gpu_hours = *hours,
            Patch::Wall(seconds) => definition.wall = seconds.map(Duration::from_secs_f64),
            Patch::Retries(retries) => definition.retries = *retries,
            Patch::Timeout(seconds) => definition.timeout = seconds.map(Duration::from_secs_f64),
            Patch::Priority(priority) => definition.priority = *priority,
            Patch::Tags(tags) => {
                self.tags = tags.clone();
                self.tags.sort();
                self.tags.dedup();
            }
            Patch::Notes(notes) => self.notes = notes.clone(),
        }
    }
}
