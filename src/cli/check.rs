//! `swath check FILE...`: is this sweep file right, and what will it do. Starts nothing, needs no controller.

mod explain;

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::sweep_file::{self, SweepFile};
use crate::cli::terminal::Stream;
use crate::search::{History, Pending, Reported};
use crate::space::{Assignment, Point};
use crate::spec::{self, Code, Definition, Diagnostic, Method, Overrides, Parsed, command, unsupported};
use crate::sweep;

/// Is this sweep file right, what will it do
#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
pub(super) fn run(args: &Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
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
pub(super) fn dry_run(
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
        explain::summary(shown, definition, show.width, out)?;
        proposals(definition, args, out)?;
    }
    write!(out, "{}", spec::render(&parsed.diagnostics, shown, show.color))?;
    for later in parsed.definition.iter().flat_map(unsupported) {
        writeln!(out, "note {}: `swath run` refuses this: {}", Code::NotYet, later.message)?;
    }
    match (spec::summary(&parsed.diagnostics, shown), parsed.refused()) {
        (Some(counts), true) => writeln!(out, "{counts:<77} exit code 3")?,
        (Some(counts), false) => writeln!(out, "{counts}")?,
        (None, _) => {}
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

/// The points of the first trials: the file's own, then what the method proposes while no result is there.
fn points(definition: &Definition, n: u32) -> Vec<Point> {
    let problem = sweep::problem(definition, definition.seed.unwrap_or(0), 0);
    let Ok(mut engine) = sweep::engine(definition, &problem) else { return Vec::new() };
    let mut pending: Vec<Pending> = Vec::new();
    for trial in 1..=n.min(MOST) {
        let written = definition.enqueue.get(pending.len()).map(|start| definition.space.point(start).ok());
        let history = History { observations: &[], pending: &pending };
        let point = written.unwrap_or_else(|| engine.propose(trial, &history).ok().map(|p| p.proposal.point));
        let Some(point) = point else { break };
        pending.push(Pending { trial, point, reported: Reported::default() });
    }
    pending.into_iter().map(|trial| trial.point).collect()
}

fn argv(definition: &Definition, point: &Point) -> Option<Vec<String>> {
    let assignment = definition.space.assignment(point);
    let env = |name: &str| std::env::var(name).ok();
    command::build(definition, &assignment, &env, "args.json").ok().map(|built| built.argv)
}

fn proposals(definition: &Definition, args: &Args, out: &mut dyn Write) -> io::Result<()> {
    let asked = args.commands.or(args.points).is_some();
    if asked && matches!(definition.method, Method::Bayes | Method::Tpe | Method::Cmaes) {
        let method = definition.method.word();
        writeln!(out, " {method} proposes from results; while there are none, these:")?;
    }
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
    if asked {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

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
