//! Why a command was not carried out. The state is unchanged.

use crate::search::GridOrderError;
use crate::space::OutsideSpace;
use crate::sweep::{Budget, Fence, Run, Trial};

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A newer attempt holds the trial, or another fence the attempt.
    #[error("attempt {} is current; this is attempt {} (trial {}, fence {given_fence} is not {current_fence})",
        .current.attempt, .given.attempt, .current.trial)]
    Superseded {
        /// Who sent.
        given: Run,
        /// With this fence.
        given_fence: Fence,
        /// The newest run of the trial.
        current: Run,
        /// Its fence.
        current_fence: Fence,
    },
    /// The run has ended and sends something new.
    #[error("run {run} has ended")]
    RunOver {
        #[allow(missing_docs)]
        run: Run,
    },
    /// No such run was ever assigned.
    #[error("there is no run {run}")]
    NoSuchRun {
        #[allow(missing_docs)]
        run: Run,
    },
    /// What a caller says of a run whose lease is over, or that it gave up.
    #[error("attempt {} of trial {} is over: {}{current}", .given.attempt, .given.trial,
        if *.is_queued { "the trial is queued for attempt " } else { "current is attempt " })]
    Late {
        /// Which it speaks of.
        given: Run,
        /// The attempt that counts now.
        current: u32,
        /// Nobody has it yet.
        is_queued: bool,
    },
    /// A run that its agent speaks for.
    #[error("run {run} is not a caller's: an agent on {host} runs it, and reports")]
    NotAsked {
        #[allow(missing_docs)]
        run: Run,
        /// The machine, as people know it.
        host: String,
    },
    /// Two starts under one fence.
    #[error("run {run} was started already, by another runner")]
    SecondStart {
        #[allow(missing_docs)]
        run: Run,
    },
    /// No such trial.
    #[error("there is no trial {trial}")]
    NoSuchTrial {
        #[allow(missing_docs)]
        trial: Trial,
    },
    /// What was asked does not fit the trial's state.
    #[error("trial {trial} is {state}, so it cannot be {asked}")]
    TrialState {
        #[allow(missing_docs)]
        trial: Trial,
        /// Shown state.
        state: &'static str,
        /// What was asked, as a participle.
        asked: &'static str,
    },
    /// What was asked does not fit the sweep's state.
    #[error("the sweep is {state}, so it cannot be {asked}")]
    SweepState {
        /// Shown state.
        state: &'static str,
        /// What was asked, as a participle.
        asked: &'static str,
    },
    /// Deleted; `delete --undo` brings it back.
    #[error("the sweep was deleted")]
    Hidden,
    /// The definition changed since the caller looked.
    #[error("the sweep was changed meanwhile: version {current} is current; this is for version {given}")]
    Changed {
        #[allow(missing_docs)]
        given: u32,
        #[allow(missing_docs)]
        current: u32,
    },
    /// A budget is used up: it has to be raised first.
    #[error("{} is used up: {spent} of {limit}", budget_key(*.budget))]
    BudgetUsed {
        #[allow(missing_docs)]
        budget: Budget,
        #[allow(missing_docs)]
        spent: f64,
        #[allow(missing_docs)]
        limit: f64,
    },
    /// An assignment that is no point of the space.
    #[error(transparent)]
    OutsideSpace(#[from] OutsideSpace),
    /// A value that is not allowed.
    #[error("{what} is {given}; allowed is {allowed}")]
    OutOfRange {
        /// Which value.
        what: &'static str,
        #[allow(missing_docs)]
        given: String,
        #[allow(missing_docs)]
        allowed: &'static str,
    },
    /// A limit of swath's own.
    #[error("more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        #[allow(missing_docs)]
        limit: u64,
    },
    /// The method has not said what this trial should be.
    #[error("nothing was suggested for trial {trial}")]
    NoSuggestion {
        #[allow(missing_docs)]
        trial: Trial,
    },
    /// A grid that cannot be.
    #[error(transparent)]
    Grid(#[from] GridOrderError),
}

/// The file's key of a budget.
pub(super) fn budget_key(budget: Budget) -> &'static str {
    match budget {
        Budget::Wall => "budget.wall",
        Budget::GpuHours => "budget.gpu_hours",
    }
}
