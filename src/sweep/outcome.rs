//! What an ended run makes of its trial: the whole table, in one function.
//!
//! ```text
//! how the run ended          no stop decided                then: end                 then: requeue
//! 0, each objective finite   succeeded                      succeeded (too late)      succeeded
//! by itself, otherwise       crash: queued while `retries`  stopped                   as without
//!                            last, else failed; 0 without
//!                            an objective: failed at once
//! signalled by swath         its timeout: as a crash;       stopped                   queued
//!                            from outside: queued
//! lost                       queued; the 6th time: failed   stopped                   queued
//! never started: the user    failed                         stopped                   queued
//! never started: the machine queued                         stopped                   queued
//! told by its caller:
//!   succeeded                as 0                           as 0                      as 0
//!   failed                   a crash                        stopped                   as without
//!   stopped                  stopped                        stopped                   queued
//! ```
//!
//! A run stopped because it diverged is failed wherever the table says stopped. What a stop or the infrastructure
//! ended costs no retry.

use serde::{Deserialize, Serialize};

use crate::sweep::{AfterStop, Ended, Exit, StopWhy, Told};

/// Infrastructure losses that a trial survives.
pub(super) const LOSSES_SURVIVED: u32 = 5;

/// What became of a trial when its run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Outcome {
    Succeeded,
    /// Its value is kept.
    Stopped(StopWhy),
    Failed(FailWhy),
    /// It is queued again.
    Queued(QueueWhy),
}

/// Why a trial failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailWhy {
    /// Exit code other than 0.
    Code(i32),
    /// A signal that swath did not send.
    Signal(i32),
    /// Exit code 0, and an objective was never reported.
    NoObjective,
    /// Ten values in a row, or all of them, were not finite.
    Diverged,
    /// It ran into its time limit.
    Timeout,
    /// The command could not be started, and no machine would do better.
    NotStarted,
    /// Its run was lost for the 6th time.
    Infrastructure,
    /// The caller that had it said so.
    Told,
}

/// Why a trial went back to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueWhy {
    /// It crashed and has retries left.
    Crashed,
    /// It was told to stop and come back: a pause.
    Stopped,
    /// Stopped by something outside: eviction, an agent that hands back.
    Outside,
    /// Nobody saw it end.
    Lost,
    /// The machine could not start it.
    NotStarted,
}

/// What the table needs to know of the run's trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Stop decided for the run.
    pub(super) stop: Option<(AfterStop, StopWhy)>,
    /// Crashes that may still be retried.
    pub(super) retries_left: u32,
    /// Earlier losses of this trial.
    pub(super) losses: u32,
    pub(super) objective: ObjectiveSeen,
}

/// What the curve says of the objective; of several, of the one that is worst off: each is needed. In that order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectiveSeen {
    /// The sweep has none.
    NotWanted,
    Finite,
    #[default]
    Never,
    /// Never with a finite value.
    NotFinite,
}

/// The table of this file's head.
pub(super) fn outcome(ended: &Ended, trial: Circumstances) -> Outcome {
    match (&ended.exit, trial.stop) {
        (Exit::Code(0) | Exit::Told(Told::Succeeded), _)
            if !ended.signalled && trial.objective.suffices() =>
        {
            Outcome::Succeeded
        }
        (_, Some((AfterStop::End, StopWhy::Diverged))) => Outcome::Failed(FailWhy::Diverged),
        (_, Some((AfterStop::End, why))) => Outcome::Stopped(why),
        (Exit::Told(Told::Succeeded), _) => by_itself_with(0, trial),
        (Exit::Told(Told::Failed), _) => crashed(FailWhy::Told, trial),
        (Exit::Code(code), _) if !ended.signalled => by_itself_with(*code, trial),
        (Exit::Signal(signal), _) if !ended.signalled => crashed(FailWhy::Signal(*signal), trial),
        (_, Some((AfterStop::Requeue, _))) => Outcome::Queued(QueueWhy::Stopped),
        (Exit::Told(Told::Stopped), None) => Outcome::Stopped(StopWhy::Caller),
        (Exit::Code(_) | Exit::Signal(_), None) if ended.timed_out => crashed(FailWhy::Timeout, trial),
        (Exit::Code(_) | Exit::Signal(_), None) => Outcome::Queued(QueueWhy::Outside),
        (Exit::Lost(_), None) if trial.losses >= LOSSES_SURVIVED => Outcome::Failed(FailWhy::Infrastructure),
        (Exit::Lost(_), None) => Outcome::Queued(QueueWhy::Lost),
        (Exit::NotStarted { .. }, None) => Outcome::Failed(FailWhy::NotStarted),
        (Exit::NotStartedHere { .. }, None) => Outcome::Queued(QueueWhy::NotStarted),
    }
}

fn by_itself_with(code: i32, trial: Circumstances) -> Outcome {
    match (code, trial.objective) {
        (0, ObjectiveSeen::NotFinite) => Outcome::Failed(FailWhy::Diverged),
        (0, _) => Outcome::Failed(FailWhy::NoObjective),
        (code, _) => crashed(FailWhy::Code(code), trial),
    }
}

fn crashed(why: FailWhy, trial: Circumstances) -> Outcome {
    if trial.retries_left > 0 { Outcome::Queued(QueueWhy::Crashed) } else { Outcome::Failed(why) }
}

impl ObjectiveSeen {
    fn suffices(self) -> bool {
        matches!(self, ObjectiveSeen::NotWanted | ObjectiveSeen::Finite)
    }
}
