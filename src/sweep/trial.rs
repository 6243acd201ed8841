//! One trial and the run it has now.
//!
//! ```text
//! proposed --> Queued --assigned--> Running --the run's outcome--> Succeeded
//!                ^ ^                   |                            Stopped  --retried--> Queued
//!                | +-----requeued------+                            Failed   --retried--> Queued
//!                |    (stop, loss, crash)
//!                +--withdrawn--> Stopped --retried, or the sweep goes on--> Queued
//!
//! a run: Assigned --> Running --> Stopping --> gone          asked for by a caller: Running at once
//! ```
//!
//! Invariant: a trial has at most one run that is not over, and that run has its newest attempt.

use crate::space::Point;
use crate::sweep::curve::{Curve, Marks};
use crate::sweep::savings::{Length, Took};
use crate::sweep::{
    AfterStop, FailWhy, Fence, Lease, Outcome, Placement, Pos, QueueWhy, Run, Source, StopWhy, Timestamp,
    Trial, WithdrawWhy,
};

/// Which queued trial comes first: by rank, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It ran before, or was retried.
    Again,
    /// A person enqueued it.
    Enqueued,
    /// Proposed, and its first run could not be assigned with it.
    New,
}

/// Why a trial is in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It never ran.
    New,
    /// It ran, and came back.
    Back(QueueWhy),
    /// It was over, and was retried.
    Retried,
}

#[derive(Clone, Debug)]
pub(super) enum Status {
    Queued(Waiting),
    Running(Box<Live>),
    Succeeded,
    Stopped(StopWhy),
    Withdrawn(WithdrawWhy),
    Failed(FailWhy),
}

/// A run that is not over.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) fence: Fence,
    pub(super) placements: Vec<Placement>,
    /// A caller has it, not an agent.
    pub(super) lease: Option<Lease>,
    pub(super) assigned: Timestamp,
    pub(super) phase: Phase,
    /// The highest sequence number taken in.
    pub(super) seq: u64,
    /// Reports taken in.
    pub(super) reports: u64,
}

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Given to an agent that has not yet said it started.
    Assigned,
    /// Its runner's nonce; empty where a caller has it.
    Running(String),
    /// The stop is on its way.
    Stopping {
        /// None: it had not started.
        nonce: Option<String>,
        /// What follows.
        then: AfterStop,
        /// Why it was told to stop.
        why: StopWhy,
    },
}

impl Phase {
    pub(super) fn nonce(&self) -> Option<&str> {
        match self {
            Phase::Assigned => None,
            Phase::Running(nonce) => Some(nonce),
            Phase::Stopping { nonce, .. } => nonce.as_deref(),
        }
    }

    /// The stop that was decided.
    pub fn stop(&self) -> Option<(AfterStop, StopWhy)> {
        match self {
            Phase::Assigned | Phase::Running(_) => None,
            Phase::Stopping { then, why, .. } => Some((*then, *why)),
        }
    }
}

/// The newest run that is over: what its late messages are told apart by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Past {
    pub(super) fence: Fence,
    pub(super) seq: u64,
}

/// What the search and the rules keep of a trial: whole while it may still run, marks once it is final.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Curve(Box<Curve>),
    Marks(Box<Marks>),
}

#[derive(Clone, Debug)]
pub(super) struct TrialState {
    pub(super) point: Point,
    pub(super) source: Source,
    /// The newest; 0: it never ran.
    pub(super) attempt: u32,
    /// Crashes that were retried, since a person last retried it.
    pub(super) crashes: u32,
    /// Infrastructure losses, likewise.
    pub(super) losses: u32,
    pub(super) past: Option<Past>,
    /// Where the log says how its newest run ended.
    pub(super) told: Pos,
    pub(super) status: Status,
    pub(super) kept: Kept,
    /// The stopping rule condemned it, and the audit let it go on.
    pub(super) spared: bool,
    /// All its runs, since a person last retried it.
    pub(super) took: Took,
    pub(super) excluded: bool,
    /// Sorted.
    pub(super) tags: Vec<String>,
}

impl TrialState {
    pub(super) fn proposed(point: Point, source: Source) -> Self {
        TrialState {
            point,
            source,
            attempt: 0,
            crashes: 0,
            losses: 0,
            past: None,
            told: Pos(0),
            status: Status::Queued(Waiting::New),
            kept: Kept::Curve(Box::default()),
            spared: false,
            took: Took::default(),
            excluded: false,
            tags: Vec::new(),
        }
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match &self.status {
            Status::Running(live) => Some(live),
            Status::Queued(_)
            | Status::Succeeded
            | Status::Stopped(_)
            | Status::Withdrawn(_)
            | Status::Failed(_) => None,
        }
    }

    pub(super) fn curve(&self) -> Option<&Curve> {
        match &self.kept {
            Kept::Curve(curve) => Some(curve),
            Kept::Marks(_) => None,
        }
    }

    pub(super) fn marks(&self) -> Option<&Marks> {
        match &self.kept {
            Kept::Curve(_) => None,
            Kept::Marks(marks) => Some(marks),
        }
    }

    /// Its place in the queue; none: it is not queued.
    pub(super) fn rank(&self) -> Option<Rank> {
        match (&self.status, self.source) {
            (Status::Queued(Waiting::Back(_) | Waiting::Retried), _) => Some(Rank::Again),
            (Status::Queued(Waiting::New), Source::Enqueued | Source::Repeat { .. }) => Some(Rank::Enqueued),
            (
                Status::Queued(Waiting::New),
                Source::Start | Source::Random | Source::Grid { .. } | Source::Model,
            ) => Some(Rank::New),
            (
                Status::Running(_)
                | Status::Succeeded
                | Status::Stopped(_)
                | Status::Withdrawn(_)
                | Status::Failed(_),
                _,
            ) => None,
        }
    }

    pub(super) fn shown(&self) -> Shown {
        match &self.status {
            Status::Queued(_) => Shown::Queued,
            Status::Running(live) if live.phase.nonce().is_none() => Shown::Queued,
            Status::Running(_) => Shown::Running,
            Status::Succeeded => Shown::Succeeded,
            Status::Stopped(_) | Status::Withdrawn(_) => Shown::Stopped,
            Status::Failed(_) => Shown::Failed,
        }
    }

    /// How it is shown, if it is over.
    pub(super) fn ending(&self) -> Option<Shown> {
        match self.shown() {
            Shown::Queued | Shown::Running => None,
            over @ (Shown::Succeeded | Shown::Stopped | Shown::Failed) => Some(over),
        }
    }

    /// Which length its time is of, if it is of any.
    pub(super) fn length(&self) -> Option<Length> {
        match &self.status {
            Status::Succeeded => Some(Length::Full),
            Status::Stopped(StopWhy::Rule) => Some(Length::Cut),
            Status::Queued(_)
            | Status::Running(_)
            | Status::Stopped(_)
            | Status::Withdrawn(_)
            | Status::Failed(_) => None,
        }
    }

    pub(super) fn run(&self, trial: Trial) -> Run {
        Run { trial, attempt: self.attempt }
    }
}

/// The word that people see for a trial's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Shown {
    Queued,
    Running,
    Succeeded,
    Stopped,
    Failed,
}

impl Shown {
    /// The word itself.
    pub fn word(self) -> &'static str {
        match self {
            Shown::Queued => "queued",
            Shown::Running => "running",
            Shown::Succeeded => "succeeded",
            Shown::Stopped => "stopped",
            Shown::Failed => "failed",
        }
    }
}

/// What a final trial's outcome makes of its status.
pub(super) fn status(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Succeeded => Status::Succeeded,
        Outcome::Stopped(why) => Status::Stopped(why),
        Outcome::Failed(why) => Status::Failed(why),
        Outcome::Queued(why) => Status::Queued(Waiting::Back(why)),
    }
}
