//! What may change while a sweep runs: `sweep set KEY=VALUE`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::space::Value;
use crate::spec::definition::Definition;
use crate::spec::duration;
use crate::spec::extensions::MAX_TRIALS;
use crate::spec::scalar;
use crate::spec::sweep::good_sweep_name;

/// One change. `None` lifts a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "key", content = "value")]
pub enum Patch {
    /// Runs at once.
    Parallel(Option<u32>),
    /// Trials in all (also `budget.trials`).
    RunCap(Option<u32>),
    /// `budget.gpu_hours`.
    GpuHours(Option<f64>),
    /// `budget.wall`.
    Wall(Option<Duration>),
    /// Attempts after a crash, of runs that end from now on.
    Retries(u32),
    /// Time limit of runs that start from now on.
    Timeout(Option<Duration>),
    /// All tags.
    Tags(Vec<String>),
    /// For people.
    Notes(Option<String>),
    /// Rank among sweeps.
    Priority(i32),
    /// Shown name.
    Name(String),
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadPatch {
    /// No `=`.
    #[error("'{0}' is not KEY=VALUE: write parallel=4")]
    Form(String),
    /// Old results would no longer be comparable.
    #[error(
        "'{key}' cannot change while a sweep runs: only parallel, run_cap, budget.trials, budget.gpu_hours, budget.wall, retries, timeout, tags, notes, priority and name can; for anything else start a new sweep"
    )]
    Key {
        /// What was named.
        key: String,
    },
    /// The value does not fit.
    #[error("{key} is '{value}': it must be {wanted}")]
    Value {
        /// What was named.
        key: String,
        /// What was given.
        value: String,
        /// What would fit.
        wanted: &'static str,
    },
}

impl std::str::FromStr for Patch {
    type Err = BadPatch;

    fn from_str(text: &str) -> Result<Patch, BadPatch> {
        let (key, value) = text.split_once('=').ok_or_else(|| BadPatch::Form(text.to_owned()))?;
        let bad = |wanted| BadPatch::Value { key: key.to_owned(), value: value.to_owned(), wanted };
        const COUNT: &str = "an integer from 1, or none";
        const WALL: &str = "a duration as 90s or 1h30m, or none";
        let count = |max: i64| {
            optional(value, |v| integer(v, 1, max).and_then(|n| u32::try_from(n).ok()))
                .ok_or_else(|| bad(COUNT))
        };
        let span =
            || optional(value, |v| duration::parse(v).ok().filter(|d| !d.is_zero())).ok_or_else(|| bad(WALL));
        match key {
            "parallel" => Ok(Patch::Parallel(count(10_000)?)),
            "run_cap" | "budget.trials" => Ok(Patch::RunCap(count(MAX_TRIALS)?)),
            "budget.gpu_hours" => {
                let hours = optional(value, |v| {
                    v.parse().ok().filter(|hours: &f64| hours.is_finite() && *hours > 0.0)
                });
                hours.map(Patch::GpuHours).ok_or_else(|| bad("a number above 0, or none"))
            }
            "budget.wall" => Ok(Patch::Wall(span()?)),
            "timeout" => Ok(Patch::Timeout(span()?)),
            "retries" => {
                let retries = integer(value, 0, 1_000_000).and_then(|n| u32::try_from(n).ok());
                retries.map(Patch::Retries).ok_or_else(|| bad("an integer from 0"))
            }
            "priority" => {
                let priority = integer(value, -1_000_000, 1_000_000).and_then(|n| i32::try_from(n).ok());
                priority.map(Patch::Priority).ok_or_else(|| bad("an integer"))
            }
            "tags" => Ok(Patch::Tags(
                value.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            )),
            "notes" => Ok(Patch::Notes((!value.is_empty()).then(|| value.to_owned()))),
            "name" if good_sweep_name(value) => Ok(Patch::Name(value.to_owned())),
            "name" => Err(bad("1 to 200 characters without control characters")),
            _ => Err(BadPatch::Key { key: key.to_owned() }),
        }
    }
}

impl Patch {
    /// Carries the change out.
    pub fn apply(&self, definition: &mut Definition) {
        match self.clone() {
            Patch::Parallel(n) => definition.parallel = n,
            Patch::RunCap(n) => definition.run_cap = n,
            Patch::GpuHours(hours) => definition.gpu_hours = hours,
            Patch::Wall(wall) => definition.wall = wall,
            Patch::Retries(n) => definition.retries = n,
            Patch::Timeout(timeout) => definition.timeout = timeout,
            Patch::Tags(tags) => definition.tags = tags,
            Patch::Notes(notes) => definition.notes = notes,
            Patch::Priority(priority) => definition.priority = priority,
            Patch::Name(name) => definition.name = name,
        }
    }

    /// The key it changes, as the file names it.
    pub fn key(&self) -> &'static str {
        match self {
            Patch::Parallel(_) => "parallel",
            Patch::RunCap(_) => "run_cap",
            Patch::GpuHours(_) => "budget.gpu_hours",
            Patch::Wall(_) => "budget.wall",
            Patch::Retries(_) => "retries",
            Patch::Timeout(_) => "timeout",
            Patch::Tags(_) => "tags",
            Patch::Notes(_) => "notes",
            Patch::Priority(_) => "priority",
            Patch::Name(_) => "name",
        }
    }
}

/// A value, or `none` to lift the limit.
fn optional<T>(value: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if value == "none" { Some(None) } else { read(value).map(Some) }
}

fn integer(text: &str, min: i64, max: i64) -> Option<i64> {
    match scalar::integer(text)?.0 {
        Value::Int(i) => Some(i).filter(|i| (min..=max).contains(i)),
        _ => None,
    }
}
