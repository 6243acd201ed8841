//! The state of one sweep: a fold of its log.
//!
//! ```text
//! created --> Running <--resumed-- Paused        Running, Paused --ending--> Ending --last run ended--> Ended
//!                |                   ^           Ending, Ended (but by a person) --resumed--> Running
//!                +-------paused------+           Ending (but by a person) --paused--> Paused
//! ```
//!
//! Only [`crate::sweep::decide`] says what may happen, only [`State::apply`] and [`State::apply_report`] change
//! anything, and nothing here reads a clock or draws a number. `check.rs` names the invariants.

use std::collections::BTreeSet;

use crate::search::Fit;
use crate::spec::{Definition, Goal, Objective};
use crate::stopping;
use crate::sweep::curve::Watched;
use crate::sweep::metrics::Metrics;
use crate::sweep::proposals::Proposals;
use crate::sweep::savings::Tally;
use crate::sweep::trial::{Live, Rank, Shown, TrialState};
use crate::sweep::{
    Actor, Budget, EndWhy, FailWhy, Lesson, Mark, Marks, Origin, PauseHow, PauseWhy, Pos, Refusal, SweepId,
    TextRef, Timestamp, Trial,
};

/// Trials a sweep may have.
pub(super) const TRIALS: u32 = 1_000_000;

/// Where a sweep is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepPhase {
    #[allow(missing_docs)]
    Running,
    #[allow(missing_docs)]
    Paused { how: PauseHow, why: PauseWhy },
    /// Takes no new trials; what runs, and its retries, go on (or are stopped: a person, a budget).
    Ending(EndWhy),
    /// *stopped* by a person, else *finished*.
    Ended(EndWhy),
}

/// What created the sweep and never changes.
#[derive(Clone, Debug)]
pub(super) struct Birth {
    pub(super) id: SweepId,
    pub(super) at: Timestamp,
    pub(super) actor: Actor,
    pub(super) definition_hash: String,
    pub(super) file: Option<TextRef>,
    pub(super) env: Option<TextRef>,
    pub(super) project: String,
    pub(super) seed: u64,
    pub(super) origin: Option<Origin>,
    pub(super) engine: String,
    pub(super) lessons: Box<[Lesson]>,
}

/// The first trials to end, until three have or the question is settled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum EarlyEnds {
    /// Trials that failed for good, all in this way.
    Alike { trials: Vec<Trial>, how: Option<FailWhy> },
    /// Some trial ended in another way, or nobody wants to know.
    Settled,
}

impl EarlyEnds {
    pub(super) fn fresh() -> Self {
        EarlyEnds::Alike { trials: Vec::new(), how: None }
    }
}

/// What was used of the budgets, as the shell last found a limit reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) wall: Option<f64>,
    pub(super) gpu_hours: Option<f64>,
}

/// One sweep.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) birth: Birth,
    /// Of the last entry applied.
    pub(super) pos: Pos,
    /// Of the last event applied.
    pub(super) n: u64,
    pub(super) definition: Definition,
    pub(super) version: u32,
    pub(super) notes: Option<TextRef>,
    /// Sorted.
    pub(super) tags: Vec<String>,
    pub(super) home: Option<String>,
    pub(super) phase: SweepPhase,
    pub(super) hidden: bool,
    /// Resumed although its target is reached: what is queued runs, nothing is proposed.
    pub(super) target_waived: bool,
    pub(super) early: EarlyEnds,
    /// Runs in a row that a machine could not start.
    pub(super) failed_starts: u32,
    pub(super) spent: Spent,
    pub(super) metrics: Metrics,
    pub(super) watched: Watched,
    /// The stopping rule.
    pub(super) rule: Option<stopping::Rule>,
    /// By number.
    pub(super) trials: Vec<TrialState>,
    pub(super) queue: BTreeSet<(Rank, Trial)>,
    pub(super) live: BTreeSet<Trial>,
    /// Of the live ones, those that callers have.
    pub(super) asked: BTreeSet<Trial>,
    pub(super) withdrawn: BTreeSet<Trial>,
    pub(super) proposals: Proposals,
    pub(super) ends: Ends,
    /// Trials that no other beats.
    pub(super) front: BTreeSet<Trial>,
    /// Trials whose best feasible values reach the target of every objective that has one.
    pub(super) at_target: BTreeSet<Trial>,
    pub(super) usage: Usage,
    /// The last fit of the method's models.
    pub(super) fit: Option<Box<Fit>>,
    pub(super) tally: Tally,
    /// Trials whose run is to be judged, since `due` last found nothing.
    pub(super) touched: BTreeSet<Trial>,
}

/// Final trials by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) succeeded: u32,
    pub(super) stopped: u32,
    pub(super) failed: u32,
}

/// What the ended runs used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Usage {
    pub runs: u64,
    pub reports: u64,
    pub wall_ms: u64,
    pub cpu_ms: u64,
    /// Wall time x GPUs.
    pub gpu_ms: u64,
}

impl SweepPhase {
    /// The word that people see.
    pub fn word(&self) -> &'static str {
        match self {
            SweepPhase::Running | SweepPhase::Ending(_) => "running",
            SweepPhase::Paused { .. } => "paused",
            SweepPhase::Ended(EndWhy::Person) => "stopped",
            SweepPhase::Ended(_) => "finished",
        }
    }
}

impl Ends {
    /// A trial that ended as `was` (none: it had not) ends as `is` now.
    pub(super) fn count(&mut self, was: Option<Shown>, is: Option<Shown>) {
        if let Some(count) = was.and_then(|was| self.of(was)) {
            *count -= 1;
        }
        if let Some(count) = is.and_then(|is| self.of(is)) {
            *count += 1;
        }
    }

    fn of(&mut self, shown: Shown) -> Option<&mut u32> {
        match shown {
            Shown::Succeeded => Some(&mut self.succeeded),
            Shown::Stopped => Some(&mut self.stopped),
            Shown::Failed => Some(&mut self.failed),
            Shown::Queued | Shown::Running => None,
        }
    }
}

impl State {
    pub(super) fn trial(&self, trial: Trial) -> Option<&TrialState> {
        self.trials.get(index(trial)?)
    }

    pub(super) fn known(&self, trial: Trial) -> Result<&TrialState, Refusal> {
        self.trial(trial).ok_or(Refusal::NoSuchTrial { trial })
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (Trial, &TrialState, &Live)> {
        self.live.iter().filter_map(|trial| {
            let state = self.trial(*trial)?;
            Some((*trial, state, state.live()?))
        })
    }

    pub(super) fn next_trial(&self) -> Trial {
        Trial(self.trial_count() + 1)
    }

    pub(super) fn trial_count(&self) -> u32 {
        u32::try_from(self.trials.len()).unwrap_or(u32::MAX)
    }

    /// A budget that is used up: what was used when it was found so, and its limit.
    pub(super) fn budget_used(&self) -> Option<(Budget, f64, f64)> {
        [Budget::Wall, Budget::GpuHours].into_iter().find_map(|budget| {
            let (spent, limit) = self.budget(budget);
            let (spent, limit) = (spent?, limit?);
            (spent >= limit).then_some((budget, spent, limit))
        })
    }

    /// Whether it is on record that a budget is used up.
    pub fn has_used_up(&self, budget: Budget) -> bool {
        let (spent, limit) = self.budget(budget);
        spent.zip(limit).is_some_and(|(spent, limit)| spent >= limit)
    }

    /// What was used when a budget's limit was reached, and the limit as it is now.
    fn budget(&self, budget: Budget) -> (Option<f64>, Option<f64>) {
        match budget {
            Budget::Wall => (self.spent.wall, self.definition.wall.map(|limit| limit.as_secs_f64())),
            Budget::GpuHours => (self.spent.gpu_hours, self.definition.gpu_hours),
        }
    }

    /// What would stay of a trial if it were final now.
    pub(super) fn marks_so_far(&self, trial: Trial) -> Marks {
        let curve = self.trial(trial).and_then(TrialState::curve);
        let mut marks = curve.map(|curve| curve.marks(&self.watched)).unwrap_or_default();
        marks.rule = self.rule.as_ref().and_then(|rule| rule.marks(trial.0)).cloned();
        marks
    }

    /// Whether the method has nothing left to propose.
    pub(super) fn used_up(&self) -> bool {
        self.proposals.used_up(&self.definition)
    }

    /// Live runs that take agents' slots.
    pub fn placed(&self) -> usize {
        self.live.len() - self.asked.len()
    }

    /// The limit of parallel runs: the definition's, else the machine's.
    pub(super) fn parallel(&self, machine: u32) -> usize {
        self.definition.parallel.unwrap_or(machine) as usize
    }
}

/// Whether a trial's best values reach the target of every objective that has one.
pub(super) fn reaches_target(objectives: &[Objective], bests: impl Iterator<Item = Option<Mark>>) -> bool {
    let mut aims = objectives.iter().zip(bests).filter_map(|(o, best)| Some((o.goal, o.target?, best)));
    let reaches = |(goal, target, best): (Goal, f64, Option<Mark>)| {
        best.is_some_and(|best| best.value == target || goal.better(best.value, target))
    };
    aims.next().is_some_and(reaches) && aims.all(reaches)
}

/// Where a trial lies in the list of them.
pub(super) fn index(trial: Trial) -> Option<usize> {
    (trial.0 as usize).checked_sub(1)
}
