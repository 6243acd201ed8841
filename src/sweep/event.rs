//! What happened to a sweep. Stored for ever: a field is added with a default and never changes its meaning; a new
//! meaning is a new kind.
//!
//! Ids, fences, text rows and random numbers are drawn by the shell and come in with the command (CORE law L5).

use serde::{Deserialize, Serialize};

use crate::search::{Fit, Reason};
use crate::space::Assignment;
use crate::spec::Definition;
use crate::sweep::{Actor, Fence, Lesson, Marks, Outcome, Pos, Run, TextRef, Timestamp, Trial};

/// An event with its place in the log of its sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// In the store.
    pub pos: Pos,
    /// 1.. within the sweep.
    pub n: u64,
    /// When the controller took it.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub body: Body,
}

/// What happened, by kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Body {
    /// The first event of every sweep.
    SweepCreated {
        /// `env` and `notes` are empty here: see the text references.
        definition: Box<Definition>,
        /// blake3 of the definition's JSON, hex.
        definition_hash: String,
        /// The file's own text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<TextRef>,
        /// JSON mapping.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        env: Option<TextRef>,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notes: Option<TextRef>,
        /// Where it belongs.
        #[serde(default = "default_project")]
        project: String,
        /// 32 bits where it was drawn.
        seed: u64,
        /// The agent that may start its runs; none: it waits for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
        /// Begin paused.
        #[serde(default)]
        paused: bool,
        /// No pause when the first trials all fail alike.
        #[serde(default)]
        keep_going: bool,
        /// Absolute path of the file and of the folder it was started in: how `run FILE` finds its unfinished sweep.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<Origin>>,
        /// `CARGO_PKG_VERSION` of the engine.
        engine: String,
        /// What it begins with of earlier sweeps: `from`.
        #[serde(default, skip_serializing_if = "<[Lesson]>::is_empty")]
        lessons: Box<[Lesson]>,
    },
    /// `sweep set`, `enqueue` beyond `run_cap`, a larger `-n`.
    SweepChanged {
        /// Counts changes; the definition of `SweepCreated` is version 1.
        version: u32,
        /// What changed.
        patch: Vec<Patch>,
    },
    #[allow(missing_docs)]
    SweepPaused { how: PauseHow, why: PauseWhy },
    /// Trials that an ending withdrew are queued again.
    SweepResumed {
        /// The agent that may start its runs from now on; none: as before.
        home: Option<String>,
        /// No pause when the next trials all fail alike.
        #[serde(default)]
        keep_going: bool,
    },
    #[allow(missing_docs)]
    SweepEnding { why: EndWhy },
    #[allow(missing_docs)]
    SweepEnded { why: EndWhy, best: Option<Trial> },
    /// `delete`.
    SweepHidden {},
    /// `delete --undo`.
    SweepRestored {},
    #[allow(missing_docs)]
    TrialProposed {
        trial: Trial,
        assignment: Assignment,
        source: Source,
        /// Of a method that learns: why there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Box<Reason>>,
        /// The last entry that the proposal saw.
        basis: Pos,
        /// The definition's.
        version: u32,
    },
    /// A method fitted its models anew; stored with the first proposal that was made with the fit.
    ModelFitted {
        #[allow(missing_docs)]
        fit: Box<Fit>,
        /// The last entry that the fit saw.
        basis: Pos,
    },
    #[allow(missing_docs)]
    TrialRetried { trial: Trial, why: RetryWhy },
    #[allow(missing_docs)]
    TrialWithdrawn { trial: Trial, why: WithdrawWhy },
    /// An agent has the run, or, with a lease and no placements, a caller: the actor.
    #[allow(missing_docs)]
    RunAssigned {
        run: Run,
        fence: Fence,
        placements: Vec<Placement>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
    },
    #[allow(missing_docs)]
    RunStarted { run: Run, started: Box<Started> },
    /// The sweep's dictionary of metric names; ids count from 0.
    #[allow(missing_docs)]
    MetricNamed { id: u32, name: String },
    #[allow(missing_docs)]
    StopDecided {
        run: Run,
        then: AfterStop,
        why: StopWhy,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Evidence>,
    },
    /// The stopping rule condemned the run, and `early_terminate.audit` lets it go on: the rule judges its trial no more.
    #[allow(missing_docs)]
    RunSpared { run: Run, evidence: Evidence },
    /// The run is over for good.
    RunEnded {
        #[allow(missing_docs)]
        run: Run,
        /// What becomes of its trial, decided once.
        outcome: Outcome,
        #[allow(missing_docs)]
        ended: Box<Ended>,
        /// Of a trial that is final now: what stands for its reports, so that they need not be read again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        marks: Option<Box<Marks>>,
    },
    #[allow(missing_docs)]
    BudgetReached { budget: Budget, amount: f64 },
    /// A note on the sweep (no trial) or on a trial, perhaps at a step.
    #[allow(missing_docs)]
    Annotated {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trial: Option<Trial>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<i64>,
        text: TextRef,
    },
    /// Kept and shown; the search does not learn from it.
    #[allow(missing_docs)]
    Excluded { trial: Trial },
    #[allow(missing_docs)]
    Included { trial: Trial },
    /// Adds (or takes away) tags; `star` is the tag `*`.
    #[allow(missing_docs)]
    Tagged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trial: Option<Trial>,
        add: Vec<String>,
        remove: Vec<String>,
    },
}

impl Body {
    /// The kind by which it is stored and sent.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::SweepCreated { .. } => "SweepCreated",
            Body::SweepChanged { .. } => "SweepChanged",
            Body::SweepPaused { .. } => "SweepPaused",
            Body::SweepResumed { .. } => "SweepResumed",
            Body::SweepEnding { .. } => "SweepEnding",
            Body::SweepEnded { .. } => "SweepEnded",
            Body::SweepHidden { .. } => "SweepHidden",
            Body::SweepRestored { .. } => "SweepRestored",
            Body::TrialProposed { .. } => "TrialProposed",
            Body::ModelFitted { .. } => "ModelFitted",
            Body::TrialRetried { .. } => "TrialRetried",
            Body::TrialWithdrawn { .. } => "TrialWithdrawn",
            Body::RunAssigned { .. } => "RunAssigned",
            Body::RunStarted { .. } => "RunStarted",
            Body::MetricNamed { .. } => "MetricNamed",
            Body::StopDecided { .. } => "StopDecided",
            Body::RunEnded { .. } => "RunEnded",
            Body::BudgetReached { .. } => "BudgetReached",
            Body::Annotated { .. } => "Annotated",
            Body::Excluded { .. } => "Excluded",
            Body::Included { .. } => "Included",
            Body::Tagged { .. } => "Tagged",
            Body::RunSpared { .. } => "RunSpared",
        }
    }
}

/// The project of sweeps whose log does not name it yet.
fn default_project() -> String {
    "default".to_owned()
}

/// Where a sweep came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Origin {
    pub file: String,
    pub folder: String,
    /// blake3 of the file's bytes and of the overriding options, hex.
    pub hash: String,
}

/// One change to a running sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the file's own keys; None takes a limit away
pub enum Patch {
    Name(String),
    Parallel(Option<u32>),
    RunCap(Option<u32>),
    GpuHours(Option<f64>),
    /// Seconds.
    Wall(Option<f64>),
    Retries(u32),
    /// Seconds.
    Timeout(Option<f64>),
    Priority(i32),
    Tags(Vec<String>),
    Notes(Option<TextRef>),
}

/// What becomes of running runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseHow {
    /// They run to their end.
    Drain,
    /// They are stopped and go back to the queue.
    Requeue,
}

/// Why a sweep was paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseWhy {
    /// A person, also by Ctrl-C.
    Person,
    /// The first 3 trials to end failed for good with the same outcome: UX SW3101.
    EarlyFailure,
    /// Infrastructure failures in a row (FAULTS F27).
    Flapping,
    /// A panic or a refusal inside the core or the search, with its message (F06, F67).
    Fault(String),
}

/// Why a sweep takes no new trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum EndWhy {
    RunCap,
    SpaceUsedUp,
    Target,
    Wall,
    GpuHours,
    /// `sweep stop`: the sweep becomes *stopped*; it never runs again.
    Person,
}

/// Who proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The file's `enqueue`.
    Start,
    /// Drawn from (seed, trial).
    Random,
    /// A grid point.
    Grid {
        /// Its place in the grid's order.
        #[serde(with = "index")]
        index: u128,
    },
    /// The method, from what came of the trials before; the reason is beside it.
    Model,
    /// A person's `enqueue`.
    Enqueued,
    /// The assignment of another trial, again.
    Repeat {
        /// Whose.
        of: Trial,
    },
}

/// A grid index as a decimal string: 128 bits do not fit a JSON number.
mod index {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(index: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(index)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a final trial is queued again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RetryWhy {
    Person,
    /// The sweep was resumed after an early failure.
    Resumed,
}

/// Why a queued trial will not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum WithdrawWhy {
    /// The sweep ended.
    SweepEnding,
    /// `trial stop` of a queued one.
    Person,
}

/// Where a run was put.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Agent id.
    pub agent: String,
    /// Machine id.
    pub machine: String,
    /// The machine's name, as people know it.
    #[serde(default)]
    pub host: String,
    /// Whole GPUs it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The run was given no GPU although some are there: `CUDA_VISIBLE_DEVICES` is set to nothing (`gpus: 0`) or left
    /// as it was (none reserved).
    #[serde(default)]
    pub gpus: GpuGrant,
}

/// A caller's hold on a trial that it asked for: over once it has said nothing for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    #[allow(missing_docs)]
    pub ms: u64,
    /// The first entry that the caller's request made: the trials of one request are known by it.
    pub request: Pos,
}

/// What `CUDA_VISIBLE_DEVICES` becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuGrant {
    /// Left as the agent has it.
    #[default]
    Untouched,
    /// Set to nothing.
    Hidden,
    /// Set to the UUIDs of `devices`.
    Devices,
}

/// A GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Device {
    pub uuid: String,
    pub index: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The runner's first word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Drawn by the runner: a second start under one fence shows.
    pub nonce: String,
    #[allow(missing_docs)]
    pub runner_pid: u32,
    #[allow(missing_docs)]
    pub command_pid: u32,
    /// Boot id of the machine.
    pub boot: String,
    /// The command as it was started, the program looked up.
    pub argv: Vec<String>,
    /// What was noticed: `python3` taken for `python`, an unset `${envvar:..}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Commit, dirty, versions: what the runner could tell cheaply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    /// The runner's own clock.
    pub at: Timestamp,
}

/// What follows a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterStop {
    /// The trial goes back to the queue.
    Requeue,
    /// The trial is over. Overrides `Requeue`, never the reverse.
    End,
}

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum StopWhy {
    /// The stopping rule; the evidence is beside it.
    Rule,
    /// Ten values in a row that were not finite.
    Diverged,
    /// `trial stop`, `sweep stop`, `delete`.
    Person,
    /// `budget.wall`, `budget.gpu_hours`.
    Budget,
    /// A pause that sends runs back to the queue, Ctrl-C.
    Paused,
    /// The caller that had the run gave it up; no stop was decided.
    Caller,
}

/// The numbers a rule decided on: those of [`crate::stopping::Evidence`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Evidence {
    pub rule: String,
    #[serde(alias = "band")]
    pub rung: i64,
    /// NaN and infinities as their names.
    #[serde(with = "float")]
    pub value: f64,
    pub threshold: f64,
    pub count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// A float that JSON may not be able to carry.
mod float {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::space::{float_name, named_float};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Name(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { value.serialize(s) } else { float_name(*value).serialize(s) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(value) => Ok(value),
            Written::Name(name) => {
                named_float(&name).ok_or_else(|| D::Error::custom("not the name of a float"))
            }
        }
    }
}

/// How a run ended, as its runner (or, for `Lost`, the core) says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// How the process ended.
    pub exit: Exit,
    /// The runner had sent its first signal before the process ended (CORE.md 4).
    #[serde(default)]
    pub signalled: bool,
    /// It outlived `grace` and got SIGKILL.
    #[serde(default)]
    pub killed: bool,
    /// Its `timeout` ended it.
    #[serde(default)]
    pub timed_out: bool,
    /// Reports of this run.
    pub reports: u64,
    /// The last sequence number it used.
    pub last_seq: u64,
    /// blake3 over its stored reports, hex.
    #[serde(default)]
    pub digest: String,
    /// Wall time of the command, ms.
    pub wall_ms: u64,
    /// User and system time of the command's tree, ms.
    #[serde(default)]
    pub cpu_ms: u64,
    /// Largest resident set, bytes.
    #[serde(default)]
    pub peak_memory: u64,
    /// GPUs it held.
    #[serde(default)]
    pub gpus: u32,
    /// Last lines of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<TextRef>,
    /// What was counted or noticed on the way: dropped lines, refused names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How the process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself or after a signal it caught.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Never started: the user's fault (no such program, not executable).
    NotStarted {
        /// What the system said, naming the program.
        why: String,
    },
    /// Never started: a fault of the machine (EAGAIN, ENOMEM, killed before the start).
    NotStartedHere {
        /// What the system said.
        why: String,
    },
    /// The caller that had it said so.
    Told(Told),
    /// Nobody saw it end.
    Lost(LostWhy),
}

/// What a caller says of a run that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Told {
    Succeeded,
    Failed,
    /// Before its time.
    Stopped,
}

/// Why nobody saw a run end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostWhy {
    /// Its runner was killed.
    Runner,
    /// The machine went down.
    Machine,
    /// Its agent came back without it.
    Gone,
    /// Its agent was silent, and another slot took the trial.
    Replaced,
    /// Its agent was silent when the run had to end.
    Silent,
    /// Its caller said nothing for as long as its lease was.
    Lease,
    /// Its sweep stopped what ran, and nobody waits for callers.
    Ended,
}

/// Which budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Budget {
    Wall,
    GpuHours,
}

/// Metrics that a run gave at one step. Not JSON in the store: a row of its own table, in the same numbering.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// In the store.
    pub pos: Pos,
    /// Whose.
    pub run: Run,
    /// The runner's sequence number of the frame.
    pub seq: u64,
    /// None: none was given and none could be counted.
    pub step: Option<i64>,
    /// The run's own clock.
    pub at: Timestamp,
    /// (metric id of the sweep's dictionary, value as it came).
    pub values: Vec<(u32, f64)>,
    /// Channel it came by: number of the channel in CHANNELS.md's order.
    pub source: u32,
}
