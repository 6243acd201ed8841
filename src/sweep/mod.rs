//! The state machine of sweeps, trials and runs: `decide` and `apply`. Pure.

mod apply;
mod check;
mod command;
mod curve;
mod decide;
mod due;
mod event;
mod front;
mod hash;
mod id;
mod judge;
mod learned;
mod lessons;
mod metrics;
mod outcome;
mod proposals;
mod refusal;
mod rehearsal;
mod savings;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transition;
mod trial;
mod view;

pub use apply::{Damaged, Misfit};
pub use check::Broken;
pub use command::{Command, Creation, Enqueued, Head, Incoming, Offer, Taken};
pub use curve::{Mark, Marks, Reached};
pub use decide::{create, decide, decide_report, teller};
pub use due::{due, lacks_suggestion};
pub use event::{
    AfterStop, Body, Budget, Device, EndWhy, Ended, Event, Evidence, Exit, GpuGrant, Lease, LostWhy, Origin,
    Patch, PauseHow, PauseWhy, Placement, Report, RetryWhy, Source, Started, StopWhy, Told, WithdrawWhy,
};
pub use id::{Actor, BadId, Fence, Pos, Run, SweepId, TextRef, Timestamp, Trial};
pub use learned::{Question, Suggestion, engine, judged_objective, problem, sign};
pub use lessons::{Lesson, Lessons, NoLesson, lessons};
pub use metrics::allowed as is_metric_name;
pub use outcome::{FailWhy, Outcome, QueueWhy};
pub use refusal::Refusal;
pub use rehearsal::{Differs, LogEntry, Rehearsed, rehearse};
pub use savings::{Audit, Savings};
pub use state::{State, SweepPhase, Usage};
pub use trial::{Phase, Rank, Shown, Waiting};
pub use view::{Counts, EndedHow, Queued, RunView, Summary, TrialView};
