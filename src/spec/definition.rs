//! What a sweep file says, checked: everything that the rest of swath knows of it.
//!
//! A definition is stored in the log as JSON. Fields are added with a default and never change their meaning.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::space::{Assignment, Space};

/// A sweep as its file, and the options that override it, define it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Shown name; the file's name where the file gives none.
    pub name: String,
    /// `description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `program`: the script; may be absent when `command` does not need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// `command`, each element as text, macros unexpanded; never empty (the default command stands where the file has none).
    pub command: Vec<String>,
    /// Who proposes.
    pub method: Method,
    /// Of a grid.
    #[serde(default)]
    pub order: GridOrder,
    /// What is searched.
    pub space: Space,
    /// `metric` is a list of one; none: exit code 0 is success and there is no best.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    /// Limits a trial must keep to be feasible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// The stopping rule; none: no run is ever stopped by a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_terminate: Option<Stopping>,
    /// As the file has it; the seed in force is `SweepCreated`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The smaller of `run_cap` and `budget.trials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_cap: Option<u32>,
    /// `budget.gpu_hours`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_hours: Option<f64>,
    /// `budget.wall`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration")]
    pub wall: Option<Duration>,
    /// Runs at once; none: the number of usable GPUs, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// Rank among sweeps; no effect yet.
    #[serde(default)]
    pub priority: i32,
    /// Of one run.
    #[serde(default)]
    pub resources: Resources,
    /// Attempts after a crash.
    #[serde(default)]
    pub retries: u32,
    /// Time limit of a run.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration")]
    pub timeout: Option<Duration>,
    /// Between the stop signal and SIGKILL.
    #[serde(with = "seconds", default = "default_grace")]
    pub grace: Duration,
    /// The stop signal.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// Assignments to try first; each is a point of the space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enqueue: Vec<Assignment>,
    /// Earlier sweeps to learn from, by id or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Which channels are read and how.
    #[serde(default)]
    pub collect: Collect,
    /// For the command. Empty in the log: its text is stored apart, so that it can be erased.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where the command runs; relative to where `swath run` or the agent was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// How long a silent agent's runs are waited for.
    #[serde(default)]
    pub on_silence: OnSilence,
    /// For people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// For people. Empty in the log, as `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Keys without effect here, by path, as they were written: W&B's `project`, unknown ones, `kubernetes`, and those
    /// that `run` refuses yet (`early_terminate.promote` ..).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, serde_json::Value>,
}

/// `grace` where the file has none.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

fn default_grace() -> Duration {
    DEFAULT_GRACE
}

/// `method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the file's own names
pub enum Method {
    Random,
    Grid,
    Bayes,
    Tpe,
    Cmaes,
    Sobol,
}

impl Method {
    /// As the file says it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Random => "random",
            Method::Grid => "grid",
            Method::Bayes => "bayes",
            Method::Tpe => "tpe",
            Method::Cmaes => "cmaes",
            Method::Sobol => "sobol",
        }
    }

    /// Whether it proposes from what came of the trials before.
    pub fn learns(self) -> bool {
        match self {
            Method::Random | Method::Grid => false,
            Method::Bayes | Method::Tpe | Method::Cmaes | Method::Sobol => true,
        }
    }
}

/// `order` of a grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridOrder {
    /// W&B's order: the last leaf changes fastest.
    #[default]
    File,
    /// Permuted by the seed.
    Shuffled,
}

/// `goal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Goal {
    #[default]
    Minimize,
    Maximize,
}

impl Goal {
    /// Whether `a` is strictly better than `b`.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Goal::Minimize => a < b,
            Goal::Maximize => a > b,
        }
    }
}

/// Which of a run's finite values is its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Aggregate {
    #[default]
    Best,
    Last,
}

/// `metric`, or one of `objectives`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// As logged.
    pub name: String,
    /// Which way is better.
    #[serde(default)]
    pub goal: Goal,
    /// The sweep ends once a run reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Which value counts.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// What a failed trial counts as for a method that learns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub impute: Impute,
    /// What a running trial counts as for it; none: it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impute_while_running: Option<Impute>,
}

/// `impute`: the value that stands for one that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impute {
    /// The worst of all trials that ended.
    #[default]
    Worst,
    /// The trial's own best so far.
    Best,
    /// The trial's own last one.
    Latest,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `constraints`: at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Constraint {
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

/// `early_terminate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopping {
    /// The metric that is judged: the objective's, unless the file names one.
    pub metric: String,
    /// Which way is better.
    pub goal: Goal,
    /// The rule and its numbers.
    pub rule: Rule,
    /// The share of condemned runs that is let go on, to see how often the rule is wrong.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audit: f64,
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

/// The rule of `early_terminate.type`, its numbers checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Rule {
    /// W&B's hyperband. `bands`: ascending; the first 100 where they are endless.
    Hyperband {
        /// Iterations (finite values reported) at which a run is judged.
        bands: Vec<u64>,
        /// 1/eta of the runs pass.
        eta: f64,
        /// Judge by the value at the band, not by the best so far.
        strict: bool,
    },
    /// The best 1/eta of those that came to a rung go on; rungs at steps.
    Asha {
        /// The first rung.
        min_iter: i64,
        /// The step at which a run is at its end; none: rungs without end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_iter: Option<i64>,
        /// The ratio of rungs.
        eta: f64,
    },
    /// The better half of those that came as far go on.
    Median {
        /// The first step at which a run is judged.
        min_iter: i64,
        /// Others that must have come as far.
        startup: u64,
    },
    /// The best `percentile` of a hundred of those that came as far go on.
    Percentile {
        #[allow(missing_docs)]
        percentile: f64,
        /// The first step at which a run is judged.
        min_iter: i64,
        /// Others that must have come as far.
        startup: u64,
    },
    /// No value may lie beyond a bound; at least one of the two is there.
    Threshold {
        #[allow(missing_docs)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        #[allow(missing_docs)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// The first step that is looked at.
        after: i64,
    },
    /// So many reports in a row without a gain are too many.
    Patience {
        /// Reports.
        patience: u64,
        /// A gain is larger than this.
        min_delta: f64,
        /// The first step at which a run may be stopped.
        min_iter: i64,
    },
    /// Runs whose learning curve will hardly beat the best stop.
    Curve {
        /// The step at which a run is at its end.
        max_iter: i64,
        /// The first step at which a run may be stopped; none: a fifth of `max_iter`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_iter: Option<i64>,
    },
}

impl Rule {
    /// As the file names it.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Hyperband { .. } => "hyperband",
            Rule::Asha { .. } => "asha",
            Rule::Median { .. } => "median",
            Rule::Percentile { .. } => "percentile",
            Rule::Threshold { .. } => "threshold",
            Rule::Patience { .. } => "patience",
            Rule::Curve { .. } => "curve",
        }
    }
}

/// `resources` of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// None: one whole GPU while `parallel` is at most the number of usable ones, else none is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// Bytes; checked, refused when the sweep is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<u64>,
    /// No effect yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Bytes; no effect yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// `resources.gpus`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gpus {
    /// Whole ones; 0: none, and `CUDA_VISIBLE_DEVICES` is set to nothing.
    Whole(u32),
    /// A share of one; refused when the sweep is started.
    Share(f64),
}

/// `stop_signal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum StopSignal {
    #[default]
    Term,
    Int,
}

/// `collect`: the channels that exist now, and what of them is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collect {
    /// Lines of stdout and stderr.
    #[serde(default)]
    pub stdout: CollectStdout,
    /// `SWATH_METRICS`.
    #[serde(default = "yes")]
    pub json: bool,
    /// W&B's transaction log.
    #[serde(default = "yes")]
    pub wandb: bool,
    /// Channels that the file asks for and that later releases bring; refused when the sweep is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Default for Collect {
    fn default() -> Self {
        Collect { stdout: CollectStdout::default(), json: true, wandb: true, later: Vec::new() }
    }
}

/// `collect.stdout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectStdout {
    /// The usual forms of lines.
    #[default]
    On,
    /// Output is kept, not read.
    Off,
    /// A regular expression with groups `name`, `value`, `step`.
    Pattern(String),
    /// Only these names.
    Names(Vec<String>),
}

/// `on_silence`; no effect on one machine yet, but kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnSilence {
    /// None: never.
    #[serde(with = "duration")]
    pub replace_after: Option<Duration>,
    /// None: never.
    #[serde(with = "duration")]
    pub stop_after: Option<Duration>,
}

impl Default for OnSilence {
    fn default() -> Self {
        OnSilence { replace_after: Some(Duration::from_secs(300)), stop_after: None }
    }
}

/// Durations in the log: seconds as a number, null where there is none.
mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        duration.map(|d| d.as_secs_f64()).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(d)?
            .map(|seconds| Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom))
            .transpose()
    }
}

/// As [`duration`], for one that is always there.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
        duration.as_secs_f64().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
