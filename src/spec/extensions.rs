//! swath's own sections: `budget`, `resources`, `collect`, `env`, `on_silence`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::definition::{Collect, CollectStdout, Gpus, OnSilence, Resources};
use crate::spec::diagnostic::{Check, shortened};
use crate::spec::fields::{Fields, shown, unknown, wrong};
use crate::spec::source::{Kind, Node};

/// Trials of one sweep.
pub(super) const MAX_TRIALS: i64 = 1_000_000;

/// `budget`.
#[derive(Default)]
pub(super) struct Budget {
    pub(super) gpu_hours: Option<f64>,
    pub(super) wall: Option<Duration>,
    pub(super) trials: Option<u32>,
}

pub(super) fn budget(root: Fields<'_>, check: &mut Check<'_>) -> Budget {
    let Some(fields) = root.get("budget").and_then(|node| Fields::of(node, "budget", check)) else {
        return Budget::default();
    };
    fields.only(&["gpu_hours", "wall", "trials"], check);
    Budget {
        gpu_hours: fields.number("gpu_hours", "above 0", |hours| hours > 0.0, check),
        wall: positive(fields, "wall", check),
        trials: count(fields, "trials", MAX_TRIALS, check),
    }
}

/// An integer from 1.
pub(super) fn count(fields: Fields<'_>, key: &str, max: i64, check: &mut Check<'_>) -> Option<u32> {
    fields.integer(key, 1, max, check).and_then(|n| u32::try_from(n).ok())
}

/// A duration above 0.
pub(super) fn positive(fields: Fields<'_>, key: &str, check: &mut Check<'_>) -> Option<Duration> {
    let duration = fields.duration(key, check)?;
    if duration.is_zero() {
        let at = fields.get(key)?.at;
        check.error(
            Code::OutOfRange,
            at,
            &fields.path_of(key),
            format!("'{key}' is 0: leave it out for no limit"),
        );
        return None;
    }
    Some(duration)
}

pub(super) fn resources(root: Fields<'_>, check: &mut Check<'_>) -> Resources {
    let Some(fields) = root.get("resources").and_then(|node| Fields::of(node, "resources", check)) else {
        return Resources::default();
    };
    fields.only(&["gpus", "gpu_memory", "cpus", "memory"], check);
    for key in ["cpus", "memory"] {
        if let Some(entry) = fields.node.get(key) {
            let path = fields.path_of(key);
            check.note(Code::NoEffect, entry.key_at, &path, format!("'{path}' has no effect yet"));
        }
    }
    Resources {
        gpus: fields.get("gpus").and_then(|node| gpus(node, check)),
        gpu_memory: fields.bytes("gpu_memory", check),
        cpus: fields.number("cpus", "above 0", |cpus| cpus > 0.0, check),
        memory: fields.bytes("memory", check),
    }
}

/// Whole GPUs, or a share of one as `0.25` or `1/14`.
fn gpus(node: &Node, check: &mut Check<'_>) -> Option<Gpus> {
    let read = match node.scalar() {
        Some(Value::Int(n)) => u32::try_from(*n).ok().filter(|n| *n <= 1024).map(Gpus::Whole),
        Some(Value::Float(f)) if f.fract() == 0.0 && (0.0..=1024.0).contains(f) => {
            Some(Gpus::Whole(*f as u32))
        }
        Some(Value::Float(f)) if *f > 0.0 && *f < 1.0 => Some(Gpus::Share(*f)),
        Some(Value::Text(text)) => text.split_once('/').and_then(|(part, whole)| {
            let (part, whole): (u32, u32) = (part.trim().parse().ok()?, whole.trim().parse().ok()?);
            (part > 0 && part < whole).then(|| Gpus::Share(f64::from(part) / f64::from(whole)))
        }),
        _ => None,
    };
    if read.is_none() {
        let message =
            format!("'gpus' is {}: it must be a whole number up to 1024, or a share of one GPU", shown(node));
        check.error(Code::OutOfRange, node.at, "resources.gpus", message).help("write 2, 0.25 or 1/14");
    }
    read
}

pub(super) fn on_silence(root: Fields<'_>, check: &mut Check<'_>) -> OnSilence {
    let default = OnSilence::default();
    let Some(fields) = root.get("on_silence").and_then(|node| Fields::of(node, "on_silence", check)) else {
        return default;
    };
    fields.only(&["replace_after", "stop_after"], check);
    if let Some(entry) = root.node.get("on_silence") {
        check.note(Code::NoEffect, entry.key_at, "on_silence", "'on_silence' has no effect on one machine");
    }
    OnSilence {
        replace_after: fields.duration_or_never("replace_after", check).unwrap_or(default.replace_after),
        stop_after: fields.duration_or_never("stop_after", check).unwrap_or(default.stop_after),
    }
}

pub(super) fn collect(root: Fields<'_>, check: &mut Check<'_>) -> Collect {
    let mut collect = Collect::default();
    let Some(fields) = root.get("collect").and_then(|node| Fields::of(node, "collect", check)) else {
        return collect;
    };
    const LATER: [&str; 3] = ["tensorboard", "mlflow", "prometheus"];
    fields.only(&["stdout", "json", "wandb", "tensorboard", "mlflow", "prometheus"], check);
    if let Some(node) = fields.get("stdout") {
        collect.stdout = stdout(node, check).unwrap_or_default();
    }
    if fields.get("json").is_some() {
        collect.json = fields.flag("json", check).unwrap_or(true);
    }
    if fields.get("wandb").is_some() {
        collect.wandb = fields.flag("wandb", check).unwrap_or(true);
    }
    for key in LATER {
        match fields.get(key).map(|node| (node, node.scalar())) {
            None | Some((_, Some(Value::Bool(false)))) => {}
            Some((_, Some(Value::Bool(true)))) | Some((Node { kind: Kind::Map(_), .. }, _)) => {
                collect.later.push(key.to_owned());
            }
            Some((node, _)) => {
                wrong(check, node, &fields.path_of(key), "on, off or a mapping").unwrap_or_default()
            }
        }
    }
    collect
}

fn stdout(node: &Node, check: &mut Check<'_>) -> Option<CollectStdout> {
    const PATH: &str = "collect.stdout";
    match node.scalar() {
        Some(Value::Bool(true)) => return Some(CollectStdout::On),
        Some(Value::Bool(false)) => return Some(CollectStdout::Off),
        Some(_) => return wrong(check, node, PATH, "on, off, {pattern: ..} or {names: [..]}"),
        None => {}
    }
    let fields = Fields::of(node, PATH, check)?;
    fields.only(&["pattern", "names"], check);
    if fields.get("names").is_some() {
        return fields.texts("names", check).map(CollectStdout::Names);
    }
    let Some(at) = fields.get("pattern").map(|node| node.at) else {
        fields.missing("pattern", check);
        return None;
    };
    let pattern = fields.text("pattern", check)?;
    let group =
        |name: &str| pattern.contains(&format!("(?P<{name}>")) || pattern.contains(&format!("(?<{name}>"));
    if !group("value") || pattern.len() > 4096 {
        let message = "'pattern' needs a group named 'value', and at most 4 KiB";
        check
            .error(Code::NotAllowed, at, "collect.stdout.pattern", message)
            .help("as in (?P<name>\\w+)=(?P<value>\\S+)");
        return None;
    }
    Some(CollectStdout::Pattern(pattern))
}

pub(super) fn env(root: Fields<'_>, check: &mut Check<'_>) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let Some(fields) = root.get("env").and_then(|node| Fields::of(node, "env", check)) else { return env };
    for entry in fields.entries() {
        let (name, path) = (&entry.key, fields.path_of(&entry.key));
        if name.is_empty() || name.contains('=') || name.contains('\0') {
            let message = format!("'{}' is no name of an environment variable", shortened(name));
            check.error(Code::BadEnvName, entry.key_at, &path, message);
            continue;
        }
        if env.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            let message = format!("'{}' and another variable differ in case alone", shortened(name));
            check.error(Code::BadEnvName, entry.key_at, &path, message);
            continue;
        }
        match entry.value.kind.written() {
            Some(written) if written.contains('\0') => {
                check.error(
                    Code::BadEnvName,
                    entry.value.at,
                    &path,
                    format!("the value of '{}' holds NUL", shortened(name)),
                );
            }
            Some(written) => {
                env.insert(name.clone(), written.to_owned());
            }
            None => wrong(check, &entry.value, &path, "text").unwrap_or_default(),
        }
    }
    env
}

/// W&B's `scheduler` section: the method it stands for, where it does.
pub(super) fn scheduler(root: Fields<'_>, check: &mut Check<'_>) -> Option<&'static str> {
    let node = root.get("scheduler")?;
    let fields = Fields::of(node, "scheduler", check)?;
    let mut refused = false;
    for entry in fields.entries() {
        let path = fields.path_of(&entry.key);
        let (message, help) = match entry.key.as_str() {
            "engine" => continue,
            "source" | "optimizer" | "search_space" => (
                format!("'scheduler.{}' lets Python of yours decide, which runs under W&B alone", entry.key),
                "name a method (tpe, bayes ..) for the plain case; swath ask and swath tell serve a loop of your own",
            ),
            "job" | "resource" | "num_workers" | "settings" => (
                format!("'scheduler.{}' belongs to W&B Launch", entry.key),
                "delete the section: the sweep runs without it, with 'method:'",
            ),
            _ => {
                unknown(check, entry, &path, &["engine", "source", "optimizer", "search_space"]);
                refused = true;
                continue;
            }
        };
        refused = true;
        check.error(Code::SchedulerCode, entry.key_at, &path, message).help(help);
    }
    if refused {
        return None;
    }
    if fields.get("engine").is_none() {
        fields.missing("engine", check);
        return None;
    }
    let engine = fields.word("engine", &[("optuna", "tpe"), ("ax", "bayes"), ("wandb", "")], check)?;
    let message = match engine {
        "tpe" => {
            "the scheduler section is read as method: tpe (optuna's default); method: bayes is there too"
        }
        "bayes" => "the scheduler section is read as method: bayes",
        _ => "swath is its own scheduler",
    };
    let at = root.node.get("scheduler")?.key_at;
    check.note(Code::Scheduler, at, "scheduler", message);
    Some(engine)
}
