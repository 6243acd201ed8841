//! How a trial, its runs and the sweep pass from one state to the next: the steps that `apply` is made of.
//!
//! [`State::set_status`] is the one place where a trial's status changes, so that the queue, the live runs and the
//! counts follow it.

use std::time::Duration;

use crate::space::Assignment;
use crate::sweep::apply::{EARLY, Misfit};
use crate::sweep::curve::feasible;
use crate::sweep::savings::{Length, Tally, Took};
use crate::sweep::state::{EarlyEnds, index, reaches_target};
use crate::sweep::trial::{Kept, Live, Past, Phase, Status, TrialState, Waiting, status};
use crate::sweep::{
    EndWhy, Ended, Exit, Marks, Outcome, Patch, QueueWhy, Run, Source, State, SweepPhase, Trial, WithdrawWhy,
};

impl State {
    pub(super) fn trial_mut(&mut self, trial: Trial) -> Result<&mut TrialState, Misfit> {
        index(trial).and_then(|at| self.trials.get_mut(at)).ok_or(Misfit::Trial)
    }

    pub(super) fn current(&mut self, run: Run) -> Result<&mut Live, Misfit> {
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
        let (live, asked) = (state.live().is_some(), state.live().is_some_and(|live| live.lease.is_some()));
        if let Some(rank) = rank {
            self.queue.remove(&(rank, trial));
        }
        if let Some(rank) = new_rank {
            self.queue.insert((rank, trial));
        }
        for (is_one, all) in [(live, &mut self.live), (asked, &mut self.asked)] {
            if is_one {
                all.insert(trial);
            } else {
                all.remove(&trial);
            }
        }
        self.withdrawn.remove(&trial);
        self.ends.count(was, is);
        Ok(())
    }

    pub(super) fn propose(
        &mut self,
        trial: Trial,
        assignment: &Assignment,
        source: Source,
    ) -> Result<(), Misfit> {
        if trial != self.next_trial() {
            return Err(Misfit::Trial);
        }
        let point = self.definition.space.point(assignment).map_err(|_| Misfit::Assignment)?;
        self.proposals.proposed(&point, source);
        self.trials.push(TrialState::proposed(point, source));
        self.set_status(trial, Status::Queued(Waiting::New))
    }

    pub(super) fn start(&mut self, run: Run, nonce: &str) -> Result<(), Misfit> {
        let live = self.current(run)?;
        live.phase = match &live.phase {
            Phase::Assigned | Phase::Running(_) => Phase::Running(nonce.to_owned()),
            Phase::Stopping { nonce: _, then, why } => {
                Phase::Stopping { nonce: Some(nonce.to_owned()), then: *then, why: *why }
            }
        };
        live.seq = live.seq.max(1);
        self.failed_starts = 0;
        Ok(())
    }

    pub(super) fn withdraw(&mut self, trial: Trial, why: WithdrawWhy) -> Result<(), Misfit> {
        self.set_status(trial, Status::Withdrawn(why))?;
        if why == WithdrawWhy::SweepEnding {
            self.withdrawn.insert(trial);
        }
        Ok(())
    }

    pub(super) fn assign(&mut self, run: Run, live: Live) -> Result<(), Misfit> {
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

    pub(super) fn retry(&mut self, trial: Trial) -> Result<(), Misfit> {
        self.count_length(trial, Tally::remove);
        let state = self.trial_mut(trial)?;
        state.kept = Kept::Curve(Box::default());
        state.spared = false;
        state.took = Took::default();
        state.crashes = 0;
        state.losses = 0;
        if let Some(rule) = &mut self.rule {
            self.touched.extend(rule.forget(trial.0).into_iter().map(Trial));
        }
        self.note_target(trial, false);
        self.set_status(trial, Status::Queued(Waiting::Retried))?;
        if self.front.contains(&trial) {
            self.front = self.whole_front();
        }
        Ok(())
    }

    pub(super) fn end_run(
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
            Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted { .. } | Exit::Told(_) => 0,
            Exit::Lost(_) => self.failed_starts,
        };
        let trial = self.trial_mut(run.trial)?;
        trial.past = Some(Past { fence, seq: ended.last_seq });
        trial.took.wall_ms = trial.took.wall_ms.saturating_add(ended.wall_ms);
        trial.took.gpu_ms =
            trial.took.gpu_ms.saturating_add(ended.wall_ms.saturating_mul(u64::from(ended.gpus)));
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
            self.enter_front(run.trial);
            self.count_length(run.trial, Tally::add);
            self.note_audit(run.trial);
        }
        Ok(())
    }

    fn count_length(&mut self, trial: Trial, count: fn(&mut Tally, Length, Took)) {
        let Some(state) = self.trial(trial) else { return };
        if let (Some(length), took) = (state.length(), state.took) {
            count(&mut self.tally, length, took);
        }
    }

    /// A trial that was let go on has come to its end: was the rule wrong?
    fn note_audit(&mut self, trial: Trial) {
        let has_ended = |state: &TrialState| state.spared && state.length() == Some(Length::Full);
        if self.trial(trial).is_some_and(has_ended) {
            self.tally.audit.ended += 1;
            self.tally.audit.wrong += u32::from(self.front.contains(&trial));
        }
    }

    /// The trial is final: its marks stand for its curve from now on.
    fn keep_marks(&mut self, trial: Trial, marks: &Marks) -> Result<(), Misfit> {
        self.trial_mut(trial)?.kept = Kept::Marks(Box::new(marks.clone()));
        if let (Some(rule), Some(marks)) = (&mut self.rule, &marks.rule) {
            self.touched.extend(rule.set(trial.0, marks.clone()).into_iter().map(Trial));
        }
        let reached = reaches_target(&self.definition.objectives, marks.bests())
            && feasible(&self.definition.constraints, &marks.at_best);
        self.note_target(trial, reached);
        Ok(())
    }

    pub(super) fn note_target(&mut self, trial: Trial, reached: bool) {
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

    pub(super) fn resume(&mut self, home: Option<&String>, keep_going: bool) -> Result<(), Misfit> {
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
            self.set_status(trial, Status::Queued(waiting))?;
        }
        Ok(())
    }

    pub(super) fn change(&mut self, patch: &Patch) {
        let definition = &mut self.definition;
        match patch {
            Patch::Name(name) => definition.name = name.clone(),
            Patch::Parallel(parallel) => definition.parallel = *parallel,
            Patch::RunCap(cap) => definition.run_cap = *cap,
            Patch::GpuHours(hours) => definition.gpu_hours = *hours,
            Patch::Wall(seconds) => definition.wall = seconds.and_then(duration),
            Patch::Retries(retries) => definition.retries = *retries,
            Patch::Timeout(seconds) => definition.timeout = seconds.and_then(duration),
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

/// None for what is no duration: `decide` lets none through.
fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
