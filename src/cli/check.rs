//! `swath check FILE...`: is this sweep file right, and what will it do. Starts nothing, needs no controller.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::sweep_file::{self, SweepFile};
use crate::cli::terminal::Stream;
use crate::search::{Given, GridSearch, random};
use crate::space::{Assignment, Count, Distribution, Leaf, Point, Step, Value};
use crate::spec::{
    self, Code, Definition, Diagnostic, Goal, GridOrder, Method, Overrides, Parsed, Rule, command,
    unsupported,
};

/// Is this sweep file right, what will it do
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sweep files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Show the first N commands that the method would propose
    #[arg(long, value_name = "N")]
    pub commands: Option<u32>,
    /// Show the first N assignments that the method would propose
    #[arg(long, value_name = "N")]
    pub points: Option<u32>,
    /// Seed of the proposals [default: the file's, else 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Any key of the file by its path: --set parameters.lr.max=0.1
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// How the answer is shown.
#[derive(Clone, Copy, Debug)]
struct Show {
    /// One JSON document a line and file.
    json: bool,
    /// Colour on stdout.
    color: bool,
    /// Columns of the terminal; none: as wide as it is.
    width: Option<usize>,
}

impl Show {
    fn new(settings: &Settings) -> Self {
        Show {
            json: settings.output.value.is_data(),
            color: Stream::Stdout.color(settings.color.value),
            width: Stream::Stdout.size().map(|(columns, _)| columns),
        }
    }
}

/// Proposals shown at most.
const MOST: u32 = 100_000;

/// Checks every file; the exit code is 3 where one is refused.
///
/// # Errors
///
/// When `out` cannot be written to.
pub fn run(args: &Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let overrides = Overrides { set: args.set.clone(), seed: args.seed, ..Overrides::default() };
    let show = Show::new(settings);
    let mut refused = false;
    for (i, path) in args.files.iter().enumerate() {
        if i > 0 && !show.json {
            writeln!(out)?;
        }
        let shown = path.display().to_string();
        let parsed = match sweep_file::read(path) {
            Ok(text) => spec::parse(&text, &shown, &overrides),
            Err(diagnostic) => Parsed { definition: None, diagnostics: vec![*diagnostic] },
        };
        answer(&shown, &parsed, args, show, out)?;
        refused |= parsed.refused();
    }
    Ok(if refused { Exit::BadFile } else { Exit::Done })
}

/// `run --dry-run`: what the file and the options that override it would do, with the first 3 commands.
///
/// # Errors
///
/// When `out` cannot be written to.
pub fn dry_run(
    file: &SweepFile,
    overrides: &Overrides,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let shown = file.path.display().to_string();
    let parsed = spec::parse(&file.text, &shown, overrides);
    let args = Args { files: Vec::new(), commands: Some(3), points: None, seed: None, set: Vec::new() };
    answer(&shown, &parsed, &args, Show::new(settings), out)?;
    Ok(if parsed.refused() { Exit::BadFile } else { Exit::Done })
}

/// Says what one file means, and what is wrong with it.
fn answer(shown: &str, parsed: &Parsed, args: &Args, show: Show, out: &mut dyn Write) -> io::Result<()> {
    if show.json {
        return writeln!(out, "{}", document(shown, parsed, args));
    }
    if let Some(definition) = &parsed.definition {
        summary(shown, definition, show, out)?;
        proposals(definition, args, out)?;
    }
    write!(out, "{}", spec::render(&parsed.diagnostics, shown, show.color))?;
    match (spec::summary(&parsed.diagnostics, shown), parsed.refused()) {
        (Some(counts), true) => writeln!(out, "{counts:<77} exit code 3")?,
        (Some(counts), false) => writeln!(out, "{counts}")?,
        (None, _) => {}
    }
    for later in parsed.definition.iter().flat_map(unsupported) {
        writeln!(out, "note {}: `swath run` refuses this: {}", Code::NotYet, later.message)?;
    }
    Ok(())
}

/// The JSON document of one file.
fn document(path: &str, parsed: &Parsed, args: &Args) -> serde_json::Value {
    let definition = parsed.definition.as_ref();
    let diagnostics: Vec<serde_json::Value> = parsed.diagnostics.iter().map(diagnostic).collect();
    let grid = definition.filter(|definition| definition.method == Method::Grid);
    let mut document = json!({
        "file": path,
        "verdict": if parsed.refused() { "refuse" } else { "accept" },
        "method": definition.map(|definition| definition.method),
        "parameters": definition.map(|definition| definition.space.leaves().len()),
        "gridSize": grid.and_then(|definition| definition.space.grid().ok()).map(|grid| grid.len().to_string()),
        "command": definition.and_then(|definition| argv(definition, &first(definition)?)),
        "diagnostics": diagnostics,
    });
    if let Some(definition) = definition {
        if let Some(n) = args.commands {
            let commands: Vec<_> =
                points(definition, n).iter().map(|point| argv(definition, point)).collect();
            document["commands"] = json!(commands);
        }
        if let Some(n) = args.points {
            let points: Vec<Assignment> =
                points(definition, n).iter().map(|point| definition.space.assignment(point)).collect();
            document["points"] = json!(points);
        }
    }
    document
}

fn diagnostic(diagnostic: &Diagnostic) -> serde_json::Value {
    let place = diagnostic.place.as_ref();
    let mut json = json!({
        "code": diagnostic.code.to_string(),
        "severity": diagnostic.severity,
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "message": diagnostic.message,
        "help": diagnostic.help,
    });
    if let Some(option) = place.and_then(|place| place.option.as_ref()) {
        json["option"] = json!(option);
    }
    json
}

/// The first grid point; for other methods the middle of everything.
fn first(definition: &Definition) -> Option<Point> {
    match definition.method {
        Method::Grid => definition.space.grid().ok()?.point(0),
        _ => Some(definition.space.midpoint()),
    }
}

/// The first points that the method would propose; those of methods that come later are random.
fn points(definition: &Definition, n: u32) -> Vec<Point> {
    let (n, seed) = (n.min(MOST), definition.seed.unwrap_or(0));
    let space = &definition.space;
    if definition.method != Method::Grid {
        return (1..=n).map(|trial| random(space, seed, trial)).collect();
    }
    let shuffled = (definition.order == GridOrder::Shuffled).then_some(seed);
    let Ok(search) = GridSearch::new(space, shuffled) else { return Vec::new() };
    let mut given = Given::default();
    let mut points = Vec::new();
    while let Some((index, point)) = search.propose(&given).filter(|_| points.len() < n as usize) {
        given.proposed(index);
        points.push(point);
    }
    points
}

fn argv(definition: &Definition, point: &Point) -> Option<Vec<String>> {
    let assignment = definition.space.assignment(point);
    let env = |name: &str| std::env::var(name).ok();
    command::build(definition, &assignment, &env, "args.json").ok().map(|built| built.argv)
}

fn proposals(definition: &Definition, args: &Args, out: &mut dyn Write) -> io::Result<()> {
    for point in points(definition, args.commands.unwrap_or(0)) {
        match argv(definition, &point) {
            Some(argv) => {
                writeln!(out, " {}", argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))?
            }
            None => writeln!(out, " no command: the file has no program")?,
        }
    }
    for point in points(definition, args.points.unwrap_or(0)) {
        writeln!(out, " {}", command::python_json_of(&definition.space.assignment(&point)))?;
    }
    if args.commands.or(args.points).is_some() {
        writeln!(out)?;
    }
    Ok(())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What the sweep is and will do.
fn summary(path: &str, definition: &Definition, show: Show, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", [vec![format!("{path}: ok")], head(definition)].concat().join(" · "))?;
    writeln!(out)?;
    table(definition, show, out)?;
    writeln!(out)?;
    writeln!(out, " space     {}", space(definition))?;
    writeln!(out, " trials    {}", trials(definition))?;
    writeln!(out, " cost      {}", cost(definition))?;
    writeln!(out, " command   {}", outline(definition))?;
    writeln!(out)
}

fn method_name(definition: &Definition) -> String {
    json!(definition.method).as_str().unwrap_or_default().to_owned()
}

fn head(definition: &Definition) -> Vec<String> {
    let goal = |goal| if goal == Goal::Maximize { "maximize" } else { "minimize" };
    let mut parts = vec![method_name(definition)];
    parts.extend(
        definition.objectives.iter().map(|objective| format!("{} {}", goal(objective.goal), objective.name)),
    );
    parts
}

fn table(definition: &Definition, show: Show, out: &mut dyn Write) -> io::Result<()> {
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
        writeln!(out, "{}", cut(line.trim_end(), show.width))?;
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
    let searched = leaves.iter().filter(|leaf| !leaf.distribution.is_constant()).count();
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
            text + &format!(", infinite; grid would need values for {}", continuous.join(", "))
        }
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
    if let Some(Rule::Hyperband { bands, .. }) =
        definition.early_terminate.as_ref().map(|stopping| &stopping.rule)
    {
        let shown: Vec<String> = bands.iter().take(4).map(u64::to_string).collect();
        let more = if bands.len() > 4 { ", .." } else { "" };
        text.push_str(&format!("; hyperband may stop a run after value {}{more}", shown.join(", ")));
    }
    text
}

fn cost(definition: &Definition) -> String {
    let mut text = "unknown until a run has ended".to_owned();
    if let (Some(Count::Exact(limit)), Some(timeout)) = (limit(definition), definition.timeout) {
        let hours = limit as f64 * timeout.as_secs_f64() / 3600.0;
        text.push_str(&format!(
            "; at most {limit} x timeout {} = {hours:.1} h",
            spec::duration::shown(timeout)
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
    let mut text = match command::build(definition, &Assignment(entries), &env, "<args.json>") {
        Ok(built) => built.argv.iter().map(|word| escaped(word)).collect::<Vec<_>>().join(" "),
        Err(error) => return error.to_string(),
    };
    if text.chars().count() > 200 {
        text = text.chars().take(199).chain(['…']).collect();
    }
    let Some(program) = &definition.program else { return text };
    let folder = definition.workdir.as_deref().unwrap_or(".");
    let found =
        if Path::new(folder).join(program).is_file() { "program found" } else { "program not found here" };
    format!("{text}   ({found})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, json: bool, commands: Option<u32>) -> (bool, String) {
        let args = Args { files: Vec::new(), commands, points: None, seed: None, set: Vec::new() };
        let parsed = spec::parse(text, "sweep.yaml", &Overrides::default());
        let mut out = Vec::new();
        answer("sweep.yaml", &parsed, &args, Show { json, color: false, width: None }, &mut out).unwrap();
        (parsed.refused(), String::from_utf8(out).unwrap())
    }

    const GRID: &str =
        "program: t.py\nmethod: grid\nparameters: {a: {values: [1, 2]}, b: {values: [x, y, z]}}\n";

    #[test]
    fn json_says_what_was_read() {
        let (refused, out) = checked(GRID, true, Some(2));
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(!refused);
        assert_eq!((&document["verdict"], &document["gridSize"]), (&json!("accept"), &json!("6")));
        assert_eq!(document["command"], json!(["/usr/bin/env", "python", "t.py", "--a=1", "--b=x"]));
        assert_eq!(document["commands"][1], json!(["/usr/bin/env", "python", "t.py", "--a=1", "--b=y"]));
    }

    #[test]
    fn a_refused_file_ends_with_code_3() {
        let (refused, out) = checked("method: grid\nparamters: {}\n", false, None);
        assert!(refused);
        assert!(
            out.contains("error SW1003: unknown key 'paramters'") && out.contains("exit code 3"),
            "{out}"
        );
        let (refused, out) = checked("method: grid\nparamters: {}\n", true, None);
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (refused, &document["verdict"], &document["command"]),
            (true, &json!("refuse"), &json!(null))
        );
    }

    #[test]
    fn the_table_names_kind_range_and_condition() {
        let text = "program: t.py\nmethod: random\nrun_cap: 5\nparameters:\n  lr: {distribution: log_uniform_values, min: 0.00001, max: 0.1}\n  opt: {values: [adam, sgd]}\n  m: {min: 0.0, max: 0.9, when: {opt: sgd}}\n";
        let (refused, out) = checked(text, false, None);
        assert!(!refused);
        for part in [
            "float, log  0.00001 … 0.1",
            "4 decades",
            "only if opt = sgd",
            "3 searched parameters (1 conditional)",
            "--lr=<lr>",
        ] {
            assert!(out.contains(part), "{part}:\n{out}");
        }
    }

    #[test]
    fn b56_not_a_regular_file() {
        for path in ["/", "/dev/zero", "/nonexistent.yaml"] {
            let refused = sweep_file::read(Path::new(path)).unwrap_err();
            assert_eq!(refused.code, Code::NotAFile, "{path}");
        }
    }
}
