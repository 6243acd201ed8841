//! What others may see of a sweep: plain structs, and questions with short answers. No other room looks inside.

use crate::space::Assignment;
use crate::spec::Definition;
use crate::stopping;
use crate::sweep::curve::feasible;
use crate::sweep::state::EarlyEnds;
use crate::sweep::trial::{Live, Status, TrialState};
use crate::sweep::{
    Actor, FailWhy, Fence, Lease, Lesson, Mark, Origin, Phase, Placement, Pos, Rank, Run, Savings, Shown,
    Source, State, StopWhy, SweepId, SweepPhase, TextRef, Timestamp, Trial, Usage, Waiting, WithdrawWhy,
};

/// Trials by shown state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub queued: u32,
    pub running: u32,
    pub succeeded: u32,
    pub stopped: u32,
    pub failed: u32,
}

/// A sweep at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    #[allow(missing_docs)]
    pub id: SweepId,
    #[allow(missing_docs)]
    pub name: String,
    #[allow(missing_docs)]
    pub phase: SweepPhase,
    /// Deleted.
    pub hidden: bool,
    /// Of the definition: its etag.
    pub version: u32,
    #[allow(missing_docs)]
    pub counts: Counts,
    /// Runs that are not over.
    pub live: u32,
    /// `run_cap` in force.
    pub run_cap: Option<u32>,
    /// Of the runs that are over.
    pub usage: Usage,
    /// The agent that may start its runs.
    pub home: Option<String>,
    #[allow(missing_docs)]
    pub tags: Vec<String>,
    #[allow(missing_docs)]
    pub notes: Option<TextRef>,
    #[allow(missing_docs)]
    pub created: Timestamp,
    #[allow(missing_docs)]
    pub owner: Actor,
    /// The last entry.
    pub pos: Pos,
    /// The last event's number.
    pub n: u64,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EndedHow {
    Succeeded,
    Stopped(StopWhy),
    Withdrawn(WithdrawWhy),
    Failed(FailWhy),
}

/// A trial's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Queued {
    pub rank: Rank,
    pub waiting: Waiting,
}

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialView {
    #[allow(missing_docs)]
    pub trial: Trial,
    #[allow(missing_docs)]
    pub shown: Shown,
    /// While it is queued.
    pub queued: Option<Queued>,
    /// Once it is over.
    pub ended: Option<EndedHow>,
    #[allow(missing_docs)]
    pub assignment: Assignment,
    #[allow(missing_docs)]
    pub source: Source,
    /// The newest; 0: it never ran.
    pub attempt: u32,
    /// Its value of each objective: so far, or for good.
    pub values: Vec<Option<Mark>>,
    /// None: the sweep has no constraints.
    pub feasible: Option<bool>,
    /// In the definition's order, where they are known.
    pub constraints: Vec<Option<f64>>,
    /// The last step.
    pub step: Option<i64>,
    #[allow(missing_docs)]
    pub excluded: bool,
    #[allow(missing_docs)]
    pub tags: Vec<String>,
    /// The run that is not over.
    pub run: Option<RunView>,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct RunView {
    pub run: Run,
    pub fence: Fence,
    pub phase: Phase,
    pub placements: Vec<Placement>,
    pub lease: Option<Lease>,
    pub assigned: Timestamp,
    /// The cursor: the highest sequence number taken in.
    pub seq: u64,
    pub reports: u64,
}

impl State {
    /// What it began with of earlier sweeps.
    pub fn lessons(&self) -> &[Lesson] {
        &self.birth.lessons
    }

    #[allow(missing_docs)]
    pub fn id(&self) -> SweepId {
        self.birth.id
    }

    /// Where the sweep is.
    pub fn phase(&self) -> &SweepPhase {
        &self.phase
    }

    /// The definition in force, `env` and `notes` left out.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// blake3 of the first definition.
    pub fn definition_hash(&self) -> &str {
        &self.birth.definition_hash
    }

    /// The definition's version: its etag.
    pub fn version(&self) -> u32 {
        self.version
    }

    #[allow(missing_docs)]
    pub fn seed(&self) -> u64 {
        self.birth.seed
    }

    /// Where it belongs.
    pub fn project(&self) -> &str {
        &self.birth.project
    }

    /// Where it came from.
    pub fn origin(&self) -> Option<&Origin> {
        self.birth.origin.as_ref()
    }

    /// The version of swath that created it.
    pub fn engine(&self) -> &str {
        &self.birth.engine
    }

    /// The file's own text.
    pub fn file(&self) -> Option<&TextRef> {
        self.birth.file.as_ref()
    }

    /// The command's environment.
    pub fn env(&self) -> Option<&TextRef> {
        self.birth.env.as_ref()
    }

    /// The agent that may start its runs.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// Deleted.
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// No run is live and none will come until somebody asks for more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, SweepPhase::Ended(_))
    }

    /// The metric names by id.
    pub fn metrics(&self) -> &[String] {
        self.metrics.names()
    }

    /// The last entry.
    pub fn pos(&self) -> Pos {
        self.pos
    }

    /// The last event's number.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Of the runs that are over.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What the stopping rule saved, and how often it was wrong; none: the sweep has none.
    pub fn savings(&self) -> Option<Savings> {
        self.rule.as_ref().map(|_| self.tally.savings())
    }

    /// The stopping rule and what it knows of each trial.
    pub fn rule(&self) -> Option<&stopping::Rule> {
        self.rule.as_ref()
    }

    /// The trials that failed alike and for which the sweep was paused, and in what way.
    pub fn failed_early(&self) -> Option<(&[Trial], FailWhy)> {
        match &self.early {
            EarlyEnds::Alike { trials, how: Some(how) } => Some((trials, *how)),
            EarlyEnds::Alike { how: None, .. } | EarlyEnds::Settled => None,
        }
    }

    /// How many trials there are; they are numbered from 1.
    pub fn trials(&self) -> u32 {
        self.trial_count()
    }

    /// Whether the reports of a trial have to be read when the log is folded: it is not final, so no marks stand for
    /// them.
    pub fn needs_reports(&self, trial: Trial) -> bool {
        self.trial(trial).is_some_and(|known| known.curve().is_some())
    }

    /// The runs that are not over, by trial.
    pub fn live_runs(&self) -> impl Iterator<Item = RunView> {
        self.live().map(|(trial, known, live)| run_view(known.run(trial), live))
    }

    /// The run of a trial that is not over.
    pub fn live_run(&self, trial: Trial) -> Option<RunView> {
        let known = self.trial(trial)?;
        known.live().map(|live| run_view(known.run(trial), live))
    }

    /// The cursor of a run: the highest sequence number taken in; none: it is not the trial's newest.
    pub fn cursor(&self, run: Run, fence: Fence) -> Option<u64> {
        let known = self.trial(run.trial).filter(|known| known.attempt == run.attempt)?;
        match (known.live(), known.past) {
            (Some(live), _) => (live.fence == fence).then_some(live.seq),
            (None, Some(past)) => (past.fence == fence).then_some(past.seq),
            (None, None) => None,
        }
    }

    /// The queue in its order.
    pub fn queued(&self) -> impl Iterator<Item = Trial> {
        self.queue.iter().map(|(_, trial)| *trial)
    }

    /// Trials by shown state.
    pub fn counts(&self) -> Counts {
        let assigned = self.live().filter(|(_, known, _)| known.shown() == Shown::Queued).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Counts {
            queued: count(self.queue.len() + assigned),
            running: count(self.live.len() - assigned),
            succeeded: self.ends.succeeded,
            stopped: self.ends.stopped,
            failed: self.ends.failed,
        }
    }

    /// The sweep at a glance.
    pub fn summary(&self) -> Summary {
        Summary {
            id: self.birth.id,
            name: self.definition.name.clone(),
            phase: self.phase.clone(),
            hidden: self.hidden,
            version: self.version,
            counts: self.counts(),
            live: u32::try_from(self.live.len()).unwrap_or(u32::MAX),
            run_cap: self.definition.run_cap,
            usage: self.usage,
            home: self.home.clone(),
            tags: self.tags.clone(),
            notes: self.notes.clone(),
            created: self.birth.at,
            owner: self.birth.actor,
            pos: self.pos,
            n: self.n,
        }
    }

    /// The assignment of a trial.
    pub fn assignment(&self, trial: Trial) -> Option<Assignment> {
        Some(self.definition.space.assignment(&self.trial(trial)?.point))
    }

    /// One trial.
    pub fn trial_view(&self, trial: Trial) -> Option<TrialView> {
        let known = self.trial(trial)?;
        let mut marks = match known.marks() {
            Some(marks) => marks.clone(),
            None => self.marks_so_far(trial),
        };
        if matches!(known.status, Status::Withdrawn(_)) {
            (marks.value, marks.others) = (None, Vec::new()); // until a resume its curve counts for nothing
        }
        let constrained = !self.definition.constraints.is_empty() && marks.value.is_some();
        Some(TrialView {
            trial,
            shown: known.shown(),
            queued: queued(known),
            ended: ended(known),
            assignment: self.definition.space.assignment(&known.point),
            source: known.source,
            attempt: known.attempt,
            values: self.values(&marks).collect(),
            feasible: constrained.then(|| feasible(&self.definition.constraints, &marks.constraints)),
            constraints: marks.constraints,
            step: marks.step,
            excluded: known.excluded,
            tags: known.tags.clone(),
            run: known.live().map(|live| run_view(known.run(trial), live)),
        })
    }
}

fn run_view(run: Run, live: &Live) -> RunView {
    RunView {
        run,
        fence: live.fence,
        phase: live.phase.clone(),
        placements: live.placements.clone(),
        lease: live.lease,
        assigned: live.assigned,
        seq: live.seq,
        reports: live.reports,
    }
}

fn queued(known: &TrialState) -> Option<Queued> {
    let rank = known.rank()?;
    match known.status {
        Status::Queued(waiting) => Some(Queued { rank, waiting }),
        Status::Running(_)
        | Status::Succeeded
        | Status::Stopped(_)
        | Status::Withdrawn(_)
        | Status::Failed(_) => None,
    }
}

fn ended(known: &TrialState) -> Option<EndedHow> {
    match known.status {
        Status::Queued(_) | Status::Running(_) => None,
        Status::Succeeded => Some(EndedHow::Succeeded),
        Status::Stopped(why) => Some(EndedHow::Stopped(why)),
        Status::Withdrawn(why) => Some(EndedHow::Withdrawn(why)),
        Status::Failed(why) => Some(EndedHow::Failed(why)),
    }
}
