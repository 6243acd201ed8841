//! What `swath check` says of a file that is right: its space, its limits, its cost, its command.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

use crate::space::{Assignment, Count, Distribution, Leaf, Step, Value};
use crate::spec::{self, Definition, Goal, Gpus, GridOrder, Method, Resources, Rule, Stopping, command};
use crate::stopping;

/// What the sweep is and will do.
pub(super) fn summary(
    path: &str,
    definition: &Definition,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = [vec![format!("{}: ok", escaped(path))], head(definition)].concat().join(" · ");
    writeln!(out, "{}\n", wrapped(&head, 2, width))?;
    table(definition, width, out)?;
    writeln!(out)?;
    let lines = [
        ("space", space(definition)),
        ("trials", trials(definition)),
        ("cost", cost(definition)),
        ("command", outline(definition)),
    ];
    for (word, text) in lines {
        writeln!(out, "{}", wrapped(&format!(" {word:<9} {text}"), 11, width))?;
    }
    writeln!(out)
}

/// A line broken at words so that it fits; what follows the first line is set in by `indent`.
fn wrapped(line: &str, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width.map(|width| width.max(indent + 20)) else { return line.to_owned() };
    let (mut out, mut column) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        if column > indent && column + word.trim_end().width() > width {
            out.truncate(out.trim_end().len());
            out.push_str(&format!("\n{}", " ".repeat(indent)));
            column = indent;
        }
        out.push_str(word);
        column += word.width();
    }
    out
}

fn head(definition: &Definition) -> Vec<String> {
    let goal = |goal| if goal == Goal::Maximize { "maximize" } else { "minimize" };
    let mut parts = Vec::new();
    if is_wandb(definition) {
        parts.push("W&B sweep".to_owned());
    }
    parts.push(definition.method.word().to_owned());
    parts.extend(
        definition
            .objectives
            .iter()
            .map(|objective| format!("{} {}", goal(objective.goal), escaped(&objective.name))),
    );
    parts
}

/// Whether W&B would take the file too: it has nothing that is swath's own.
fn is_wandb(definition: &Definition) -> bool {
    let own_rule = |stopping: &Stopping| !matches!(stopping.rule, Rule::Hyperband { .. });
    matches!(definition.method, Method::Random | Method::Grid | Method::Bayes)
        && definition.objectives.len() <= 1
        && !definition.early_terminate.as_ref().is_some_and(own_rule)
        && definition.space.leaves().iter().all(|leaf| leaf.when.is_empty())
        && definition.constraints.is_empty()
        && definition.enqueue.is_empty()
        && definition.env.is_empty()
        && definition.tags.is_empty()
        && (definition.seed, definition.parallel, definition.workdir.as_ref()) == (None, None, None)
        && (definition.gpu_hours, definition.wall, definition.timeout) == (None, None, None)
        && (definition.retries, definition.order) == (0, GridOrder::File)
        && definition.resources == Resources::default()
}

/// Whether there is nothing to choose: a constant, or a list of one.
fn is_fixed(distribution: &Distribution) -> bool {
    match distribution {
        Distribution::Categorical { values } => values.len() == 1,
        other => other.is_constant(),
    }
}

fn table(definition: &Definition, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![["PARAMETER", "KIND", "RANGE", "NOTE"].map(str::to_owned)];
    rows.extend(definition.space.leaves().iter().map(|leaf| {
        let (kind, range) = (kind(&leaf.distribution), range(&leaf.distribution));
        [escaped(&leaf.name()), kind.to_owned(), escaped(&range), escaped(&note(leaf, definition))]
    }));
    let widths: Vec<usize> =
        (0..4).map(|i| rows.iter().map(|row| row[i].width()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        let line = format!(" {}", cells.collect::<Vec<_>>().join("  "));
        writeln!(out, "{}", cut(line.trim_end(), width))?;
    }
    Ok(())
}

/// A line shortened to the terminal's width.
fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if line.width() > width => {
            let mut short = String::new();
            for c in line.chars() {
                if short.width() + 2 > width {
                    break;
                }
                short.push(c);
            }
            short + "…"
        }
        _ => line.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_unicode().collect() } else { vec![c] }).collect()
}

fn kind(distribution: &Distribution) -> &'static str {
    match distribution {
        fixed if is_fixed(fixed) => "constant",
        Distribution::Constant { .. } => "constant",
        Distribution::Categorical { values } if values.iter().all(|value| matches!(value, Value::Int(_))) => {
            "integer"
        }
        Distribution::Categorical { .. } | Distribution::CategoricalWithProbabilities { .. } => "choice",
        Distribution::IntUniform { .. } => "integer",
        Distribution::Uniform { .. } | Distribution::Beta { .. } => "float",
        Distribution::QUniform { q: Step::Int(_), .. } | Distribution::QBeta { q: Step::Int(_), .. } => {
            "integer"
        }
        Distribution::QUniform { .. } | Distribution::QBeta { .. } => "float",
        Distribution::QLogUniform { q: Step::Int(_), .. }
        | Distribution::QLogUniformValues { q: Step::Int(_), .. } => "integer, log",
        Distribution::LogUniform { .. }
        | Distribution::QLogUniform { .. }
        | Distribution::InvLogUniform { .. }
        | Distribution::LogUniformValues { .. }
        | Distribution::QLogUniformValues { .. }
        | Distribution::InvLogUniformValues { .. } => "float, log",
        Distribution::QNormal { q: Step::Int(_), .. } => "integer, normal",
        Distribution::Normal { .. } | Distribution::QNormal { .. } => "float, normal",
        Distribution::QLogNormal { q: Step::Int(_), .. } => "integer, log-normal",
        Distribution::LogNormal { .. } | Distribution::QLogNormal { .. } => "float, log-normal",
    }
}

/// Values in a row of the table; more are counted.
const SHOWN: usize = 8;

fn range(distribution: &Distribution) -> String {
    let span = |low: f64, high: f64| format!("{low} … {high}");
    match distribution {
        Distribution::Constant { value } => command::python_str(value),
        Distribution::Categorical { values } | Distribution::CategoricalWithProbabilities { values, .. } => {
            let mut texts: Vec<String> = values.iter().take(SHOWN).map(command::python_str).collect();
            if values.len() > SHOWN {
                texts.push(format!("… ({} in all)", values.len()));
            }
            texts.join(", ")
        }
        Distribution::IntUniform { min, max } => format!("{min} … {max}"),
        Distribution::Uniform { min, max }
        | Distribution::QUniform { min, max, .. }
        | Distribution::LogUniformValues { min, max }
        | Distribution::QLogUniformValues { min, max, .. }
        | Distribution::InvLogUniformValues { min, max } => span(*min, *max),
        Distribution::LogUniform { min, max } | Distribution::QLogUniform { min, max, .. } => {
            format!("exp({min}) … exp({max})")
        }
        Distribution::InvLogUniform { min, max } => format!("exp(-{max}) … exp(-{min})"),
        Distribution::Normal { mu, sigma } | Distribution::QNormal { mu, sigma, .. } => {
            format!("{mu} ± {sigma}")
        }
        Distribution::LogNormal { mu, sigma } | Distribution::QLogNormal { mu, sigma, .. } => {
            format!("exp({mu} ± {sigma})")
        }
        Distribution::Beta { a, b } | Distribution::QBeta { a, b, .. } => format!("0 … 1 (a {a}, b {b})"),
    }
}

fn note(leaf: &Leaf, definition: &Definition) -> String {
    let mut notes = Vec::new();
    if let Distribution::LogUniformValues { min, max } | Distribution::InvLogUniformValues { min, max } =
        leaf.distribution
    {
        let decades = (max / min).log10();
        let rounded = (decades * 10.0).round() / 10.0;
        notes.push(format!("{rounded} decade{}", if rounded == 1.0 { "" } else { "s" }));
    }
    for condition in &leaf.when {
        let parent = definition.space.leaves()[condition.parent].name();
        let values: Vec<String> = condition.values.iter().map(command::python_str).collect();
        notes.push(format!("only if {parent} = {}", values.join(" or ")));
    }
    notes.join("; ")
}

fn space(definition: &Definition) -> String {
    let leaves = definition.space.leaves();
    let searched = leaves.iter().filter(|leaf| !is_fixed(&leaf.distribution)).count();
    let conditional = leaves.iter().filter(|leaf| !leaf.when.is_empty()).count();
    let mut text = format!("{searched} searched parameter{}", if searched == 1 { "" } else { "s" });
    if conditional > 0 {
        text.push_str(&format!(" ({conditional} conditional)"));
    }
    match definition.space.grid() {
        Ok(grid) => text + &format!(", {} points", grid.len()),
        Err(_) => {
            let continuous: Vec<String> = leaves
                .iter()
                .filter(|leaf| !leaf.distribution.is_discrete())
                .map(|leaf| escaped(&leaf.name()))
                .collect();
            if continuous.is_empty() {
                return text;
            }
            text + &format!(", infinite; grid would need values for {}", some(&continuous))
        }
    }
}

/// Three names, and how many more there are.
fn some(names: &[String]) -> String {
    match names.len() {
        0..=3 => names.join(", "),
        all => format!("{} and {} more", names[..3].join(", "), all - 3),
    }
}

/// How many trials there will be; none: no limit.
fn limit(definition: &Definition) -> Option<Count> {
    let cap = definition.run_cap.map(|cap| Count::Exact(u128::from(cap)));
    let grid = (definition.method == Method::Grid)
        .then(|| definition.space.grid().ok().map(|grid| grid.len()))
        .flatten();
    [cap, grid].into_iter().flatten().min()
}

fn trials(definition: &Definition) -> String {
    let mut text = limit(definition).map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    if let Some(parallel) = definition.parallel {
        text.push_str(&format!(", {parallel} at once"));
    }
    if let Some(stopping) = &definition.early_terminate {
        text.push_str(&format!("; {}", judgement(stopping)));
    }
    text
}

/// When the stopping rule looks at a run.
fn judgement(stopping: &Stopping) -> String {
    let (name, metric) = (stopping.rule.name(), escaped(&stopping.metric));
    let may = format!("{name} may stop a run");
    let mut text = match &stopping.rule {
        Rule::Hyperband { bands, .. } => format!("{may} after value {} of {metric}", first_few(bands)),
        Rule::Asha { min_iter, max_iter, eta } => {
            let rungs = stopping::rungs(*min_iter, *max_iter, *eta);
            format!("{may} at step {} of {metric}", first_few(&rungs))
        }
        Rule::Median { min_iter, startup } | Rule::Percentile { min_iter, startup, .. } => {
            let steps = stopping::fine(*min_iter);
            format!("{may} at step {} of {metric}, once {startup} others were there", first_few(&steps))
        }
        Rule::Threshold { after, .. } => format!("{may} at any step of {metric} from {after} on"),
        Rule::Patience { patience, min_iter, .. } => {
            format!("{may} from step {min_iter} on, after {patience} reports of {metric} without a gain")
        }
        Rule::Curve { max_iter, min_iter } => {
            let first = min_iter.unwrap_or(stopping::first_forecast(*max_iter));
            format!("{may} at any step of {metric} from {first} to {max_iter}, once it has 8 values")
        }
    };
    if stopping.audit > 0.0 {
        text.push_str(&format!(
            "; {} % of those go on, to see how often it is wrong",
            stopping.audit * 100.0
        ));
    }
    text
}

/// `3, 9, 27, 81, ..`
fn first_few<T: ToString>(numbers: &[T]) -> String {
    let shown: Vec<String> = numbers.iter().take(4).map(T::to_string).collect();
    format!("{}{}", shown.join(", "), if numbers.len() > 4 { ", .." } else { "" })
}

fn cost(definition: &Definition) -> String {
    let mut text = "unknown until a run has ended".to_owned();
    if let (Some(Count::Exact(limit)), Some(timeout)) = (limit(definition), definition.timeout) {
        let hours = limit as f64 * timeout.as_secs_f64() / 3600.0;
        let (gpus, unit) = match definition.resources.gpus {
            Some(Gpus::Whole(gpus)) if gpus > 0 => (f64::from(gpus), "GPU h"),
            Some(_) | None => (1.0, "h"),
        };
        let hours = format!("{:.1}", hours * gpus);
        let each = if gpus == 1.0 { String::new() } else { format!(" x {gpus} GPUs") };
        text.push_str(&format!(
            "; at most {limit} x timeout {}{each} = {} {unit}",
            spec::duration::shown(timeout),
            hours.trim_end_matches(".0")
        ));
    }
    if let Some(hours) = definition.gpu_hours {
        text.push_str(&format!("; budget stops at {hours} GPU h"));
    }
    if let Some(wall) = definition.wall {
        text.push_str(&format!("; budget stops after {}", spec::duration::shown(wall)));
    }
    text
}

/// The command with `<name>` in place of values.
fn outline(definition: &Definition) -> String {
    let names = definition.space.leaves().iter().map(|leaf| leaf.path[0].clone());
    let mut entries: Vec<(String, Value)> =
        names.map(|name| (name.clone(), Value::Text(format!("<{name}>")))).collect();
    entries.dedup_by(|a, b| a.0 == b.0);
    let env = |name: &str| std::env::var(name).ok();
    let argv = match command::build(definition, &Assignment(entries), &env, "<args.json>") {
        Ok(built) => built.argv,
        Err(error) => return error.to_string(),
    };
    let mut text = argv.iter().map(|word| escaped(word)).collect::<Vec<_>>().join(" ");
    if text.chars().count() > 200 {
        text = text.chars().take(199).chain(['…']).collect();
    }
    format!("{text}   ({})", found(definition, &argv))
}

/// Whether the program is there, and what would start it.
fn found(definition: &Definition, argv: &[String]) -> String {
    let folder = Path::new(definition.workdir.as_deref().unwrap_or("."));
    let starter = match argv {
        [env, name, ..] if env.ends_with("/env") || env == "env" => name,
        [name, ..] => name,
        [] => return "nothing to start".to_owned(),
    };
    let starts = is_executable(folder, starter) || (starter == "python" && is_executable(folder, "python3"));
    let there = definition.program.as_ref().is_none_or(|program| folder.join(program).is_file());
    match (there, starts) {
        (true, true) => "program found, executable".to_owned(),
        (false, true) => "program not found here".to_owned(),
        (true, false) => format!("program found, but {} cannot be started here", escaped(starter)),
        (false, false) => format!("neither the program nor {} is found here", escaped(starter)),
    }
}

/// Whether the system would start `name`: a path from `folder` on, or a name that PATH leads to.
fn is_executable(folder: &Path, name: &str) -> bool {
    let may =
        |path: PathBuf| path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return may(folder.join(name));
    }
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| may(dir.join(name))))
}
