//! What may be asked of a sweep. Ids, text rows, placements and where the log stands come in with the command: nothing
//! below draws or reads any.

use std::collections::BTreeSet;

use crate::space::Assignment;
use crate::spec::Definition;
use crate::sweep::{
    AfterStop, Body, Budget, EndWhy, Ended, Evidence, Fence, Lease, Lesson, LostWhy, Origin, Patch, PauseHow,
    PauseWhy, Placement, Pos, Report, Run, Started, StopWhy, Suggestion, TextRef, Timestamp, Trial,
};

/// Where the log stands: what positions and fences are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of the store.
    pub epoch: u32,
    /// The position that the first entry of this decision will have.
    pub next: Pos,
}

impl Head {
    /// The position of the entry `after` others of the same decision.
    pub(super) fn pos(self, after: usize) -> Pos {
        Pos(self.next.0 + after as u64)
    }
}

/// What a sweep is made of.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields of `Body::SweepCreated`
pub struct Creation {
    /// Its `env` and `notes` are left out of the log.
    pub definition: Definition,
    pub file: Option<TextRef>,
    pub env: Option<TextRef>,
    pub notes: Option<TextRef>,
    pub project: String,
    pub seed: u64,
    pub home: Option<String>,
    pub paused: bool,
    pub keep_going: bool,
    pub origin: Option<Origin>,
    pub lessons: Vec<Lesson>,
}

/// One command on one sweep. Sent twice it has one effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `pause`, Ctrl-C, a fault that the shell caught, or what [`crate::sweep::due`] found.
    #[allow(missing_docs)]
    Pause { how: PauseHow, why: PauseWhy },
    /// Go on, with another home if one is given.
    #[allow(missing_docs)]
    Resume { home: Option<String>, keep_going: bool },
    /// `sweep stop`: for good.
    Stop,
    /// `delete`: stops what runs, for good, and hides the sweep.
    Hide,
    /// `delete --undo`.
    Restore,
    /// `sweep set`. `version`: the definition's that the caller saw.
    #[allow(missing_docs)]
    Change { patch: Vec<Patch>, version: Option<u32> },
    /// Trials that run next, `repeat` times each.
    #[allow(missing_docs)]
    Enqueue { what: Enqueued, repeat: u32 },
    /// `trial retry`: final trials are queued again.
    #[allow(missing_docs)]
    Retry { trials: Vec<Trial> },
    /// `trial stop`.
    #[allow(missing_docs)]
    StopTrial { trial: Trial },
    /// A note.
    #[allow(missing_docs)]
    Annotate { trial: Option<Trial>, step: Option<i64>, text: TextRef },
    /// Tags of the sweep (no trial) or of a trial.
    #[allow(missing_docs)]
    Tag { trial: Option<Trial>, add: Vec<String>, remove: Vec<String> },
    /// Kept and shown; the search does not learn from it.
    #[allow(missing_docs)]
    Exclude { trial: Trial },
    #[allow(missing_docs)]
    Include { trial: Trial },
    /// The runner's first frame.
    #[allow(missing_docs)]
    Started { run: Run, fence: Fence, started: Box<Started> },
    /// The runner's last frame.
    #[allow(missing_docs)]
    Ended { run: Run, fence: Fence, ended: Box<Ended> },
    /// The shell found that nobody will see the run end.
    #[allow(missing_docs)]
    Lost { run: Run, fence: Fence, why: LostWhy },
    /// The shell's measure of a budget.
    #[allow(missing_docs)]
    Spent { budget: Budget, amount: f64 },
    /// From `due`: a run is not worth going on.
    #[allow(missing_docs)]
    StopRun { run: Run, then: AfterStop, why: StopWhy, evidence: Option<Evidence> },
    /// From `due`: the rule condemned a run, and the audit lets it go on.
    #[allow(missing_docs)]
    SpareRun { run: Run, evidence: Evidence },
    /// From `due`: the sweep takes no new trials.
    #[allow(missing_docs)]
    End { why: EndWhy },
    /// From `due`: the last run of an ending sweep has ended.
    Finish,
    /// From `due`: the slot offered, or the caller that asks, takes a queued trial (a silent run of it is replaced), or a
    /// new one.
    Assign {
        #[allow(missing_docs)]
        trial: Option<Trial>,
        #[allow(missing_docs)]
        placements: Vec<Placement>,
        /// The caller's; none: an agent takes it.
        lease: Option<Lease>,
        /// What a method that learns answered; the shell puts it in.
        suggestion: Option<Box<Suggestion>>,
    },
}

/// What to enqueue.
#[derive(Clone, Debug, PartialEq)]
pub enum Enqueued {
    /// Points of the space.
    Assignments(Vec<Assignment>),
    /// The assignment of another trial.
    From(Trial),
}

/// A slot that the scheduler offers to one sweep, or a caller that asks it for a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Where the run would be put.
    pub placements: Vec<Placement>,
    /// A caller's, which takes no slot: it comes on top of `parallel`.
    pub lease: Option<Lease>,
    /// Runs at once where the definition does not say: the number of usable GPUs, else 1.
    pub parallel: u32,
    /// Queued trials that may not take this slot now: back-offs, devices not free yet.
    pub held_back: BTreeSet<Trial>,
    /// The shell has a suggestion that [`State::suits`](crate::sweep::State::suits): without one a method that learns is
    /// given no new trial.
    pub has_suggestion: bool,
    /// Trials whose run is silent beyond `replace_after`: this slot may replace it.
    pub silent: BTreeSet<Trial>,
}

/// Metrics as a run sends them: by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    #[allow(missing_docs)]
    pub run: Run,
    #[allow(missing_docs)]
    pub fence: Fence,
    /// The runner's sequence number of the frame.
    pub seq: u64,
    #[allow(missing_docs)]
    pub step: Option<i64>,
    /// The run's own clock.
    pub at: Timestamp,
    /// Values as they came.
    pub values: Vec<(String, f64)>,
    /// Channel it came by.
    pub source: u32,
}

/// What is stored of [`Incoming`]: first the names, then the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// New names in the sweep's dictionary.
    pub named: Vec<Body>,
    /// None: the frame was known already, or nothing of it could be kept.
    pub report: Option<Report>,
    /// Values left out: names above the limits.
    pub left_out: u32,
}
