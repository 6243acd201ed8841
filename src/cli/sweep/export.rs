//! `swath sweep export`: everything of a sweep in forms that other tools read.
//!
//! JSON is byte-exact. In CSV a cell that a spreadsheet would take for a formula is escaped (FAULTS B55).

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value as Json, json};

use crate::cli::connect;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::shell_quote;
use crate::cli::front;
use crate::cli::session::Session;
use crate::cli::{json, output, words};
use crate::pb;
use crate::space::{Assignment, float_name};
use crate::spec::{Code, command};

/// Write a sweep's trials, reports, events, definition or best trial to stdout
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
    /// What to write
    #[arg(long, value_enum, default_value = "trials")]
    what: What,
    /// How [default: csv for trials and reports, jsonl for events, json else]
    #[arg(long, value_enum)]
    format: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Trials,
    Reports,
    Events,
    Definition,
    Best,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Csv,
    Json,
    Jsonl,
    Yaml,
    /// NAME=VALUE lines
    Env,
    /// The arguments to use in production
    Args,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let form = args.format.unwrap_or(match args.what {
        What::Trials | What::Reports => Form::Csv,
        What::Events => Form::Jsonl,
        What::Definition | What::Best => Form::Json,
    });
    if args.what == What::Best {
        return best(args.sweep, form, session).await;
    }
    let what = match args.what {
        What::Trials => pb::export_sweep_request::What::Trials,
        What::Reports => pb::export_sweep_request::What::Reports,
        What::Events => pb::export_sweep_request::What::Events,
        What::Definition | What::Best => pb::export_sweep_request::What::Definition,
    };
    let mut request = pb::ExportSweepRequest { sweep: args.sweep, what: what as i32, ..Default::default() };
    let mut trials = Vec::new();
    let mut rows = Rows::begin(args.what, form, session.out)?;
    'whole: loop {
        let mut stream = session.client.sweeps().export(request.clone()).await?.into_inner();
        while let Some(chunk) = connect::next(&mut stream).await? {
            if chunk.end {
                break 'whole;
            }
            go_on_behind(&mut request, &chunk);
            trials.extend(chunk.trials);
            for row in &chunk.reports {
                rows.report(row, session.out)?;
            }
            for entry in &chunk.events {
                rows.object(&json::of(entry), session.out)?;
            }
            if !chunk.definition.is_empty() {
                definition(&chunk.definition, form, session.out)?;
                break 'whole;
            }
        }
        session.node.broke_off().await?;
    }
    rows.end(session.out)?;
    if args.what == What::Trials {
        write_trials(&trials, form, session.out)?;
    }
    Ok(())
}

/// Should the stream break here, the next one begins behind this chunk.
fn go_on_behind(request: &mut pb::ExportSweepRequest, chunk: &pb::ExportChunk) {
    if let Some(last) = chunk.reports.last() {
        (request.after_trial, request.after_attempt, request.after) = (last.trial, last.attempt, last.pos);
    } else if let Some(last) = chunk.events.last() {
        request.after = last.n;
    } else if let Some(last) = chunk.trials.last() {
        request.after_trial = last.trial;
    }
}

fn no_such_form(what: &str, forms: &str) -> Failure {
    Failure::usage(format!("{what} cannot be written in that form")).help(format!("--format may be {forms}"))
}

fn definition(text: &str, form: Form, out: &mut dyn Write) -> Result<(), Failure> {
    let value: Json =
        serde_json::from_str(text).map_err(|error| Failure::new(Exit::Failed, Code::BadMessage, error))?;
    match form {
        Form::Json | Form::Jsonl => output::document(output::Format::Json, &value, out),
        Form::Yaml => output::document(output::Format::Yaml, &value, out),
        Form::Csv | Form::Env | Form::Args => Err(no_such_form("a definition", "json, yaml")),
    }
}

/// Reports or events, written as they come: lines of CSV, JSON objects a line each, or one JSON list of them.
struct Rows {
    form: Form,
    /// Written as a list, so that what has begun must be closed.
    is_list: bool,
    written: u64,
}

impl Rows {
    fn begin(what: What, form: Form, out: &mut dyn Write) -> Result<Self, Failure> {
        let streamed = matches!(what, What::Reports | What::Events);
        match (what, form) {
            (What::Reports, Form::Csv) => writeln!(out, "trial,attempt,step,metric,value,time_us")?,
            (What::Reports, Form::Yaml | Form::Env | Form::Args) => {
                return Err(no_such_form("reports", "csv, json, jsonl"));
            }
            (What::Events, Form::Csv | Form::Yaml | Form::Env | Form::Args) => {
                return Err(no_such_form("events", "json, jsonl"));
            }
            (What::Trials | What::Reports | What::Events | What::Definition | What::Best, _) => {}
        }
        Ok(Rows { form, is_list: streamed && form == Form::Json, written: 0 })
    }

    fn object(&mut self, object: &Json, out: &mut dyn Write) -> Result<(), Failure> {
        let before = match (self.is_list, self.written) {
            (false, _) => "",
            (true, 0) => "[",
            (true, _) => ",",
        };
        self.written += 1;
        Ok(writeln!(out, "{before}{object}")?)
    }

    fn report(&mut self, row: &pb::export_chunk::Row, out: &mut dyn Write) -> Result<(), Failure> {
        if self.form != Form::Csv {
            let value = if row.value.is_finite() { json!(row.value) } else { json!(float_name(row.value)) };
            let object = json!({"trial": row.trial, "attempt": row.attempt, "step": row.step, "metric": row.metric,
                "value": value, "timeUs": row.time_us.to_string()});
            return self.object(&object, out);
        }
        let step = row.step.map(|step| step.to_string()).unwrap_or_default();
        let (metric, value) = (cell(&row.metric), csv_number(row.value));
        Ok(writeln!(out, "{},{},{step},{metric},{value},{}", row.trial, row.attempt, row.time_us)?)
    }

    fn end(&self, out: &mut dyn Write) -> Result<(), Failure> {
        match (self.is_list, self.written) {
            (false, _) => Ok(()),
            (true, 0) => Ok(writeln!(out, "[]")?),
            (true, _) => Ok(writeln!(out, "]")?),
        }
    }
}

fn write_trials(trials: &[pb::Trial], form: Form, out: &mut dyn Write) -> Result<(), Failure> {
    match form {
        Form::Csv => write_csv(trials, out),
        Form::Json => {
            let response = pb::ListTrialsResponse { trials: trials.to_vec(), next_page_token: String::new() };
            output::document(output::Format::Json, &json::of(&response)["trials"], out)
        }
        Form::Jsonl => {
            for trial in trials {
                writeln!(out, "{}", json::of(trial))?;
            }
            Ok(())
        }
        Form::Yaml => {
            let response = pb::ListTrialsResponse { trials: trials.to_vec(), next_page_token: String::new() };
            output::document(output::Format::Yaml, &json::of(&response)["trials"], out)
        }
        Form::Env | Form::Args => Err(no_such_form("trials", "csv, json, jsonl, yaml")),
    }
}

/// Trials as a table: one column a parameter and an objective, groups flattened with dots; of several objectives, which
/// trials are on the front.
fn write_csv(trials: &[pb::Trial], out: &mut dyn Write) -> Result<(), Failure> {
    let rows: Vec<(&pb::Trial, Vec<(String, String)>)> =
        trials.iter().map(|trial| (trial, flat(trial.params.as_ref()))).collect();
    let mut names: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, _) in rows.iter().flat_map(|(_, cells)| cells) {
        if seen.insert(name.clone()) {
            names.push(name.clone());
        }
    }
    let objectives: Vec<&str> = trials
        .first()
        .map(|trial| trial.objectives.iter().map(|o| o.name.as_str()).collect())
        .unwrap_or_default();
    let front = (objectives.len() > 1).then(|| front::of(trials));
    let head: Vec<String> = ["trial", "state", "feasible", "attempts", "seconds"]
        .into_iter()
        .chain(front.is_some().then_some("front"))
        .map(str::to_owned)
        .chain(objectives.iter().map(|name| cell(name)))
        .chain(names.iter().map(|name| cell(&format!("params.{name}"))))
        .collect();
    writeln!(out, "{}", head.join(","))?;
    for (trial, cells) in rows {
        let seconds = words::trial_duration(trial).map(|d| d.as_secs_f64().to_string()).unwrap_or_default();
        let mut row = vec![
            trial.trial.to_string(),
            words::trial_state(trial).to_owned(),
            trial.feasible.to_string(),
            trial.runs.len().to_string(),
            seconds,
        ];
        row.extend(front.iter().map(|front| front.contains(&trial.trial).to_string()));
        row.extend(trial.objectives.iter().map(|o| o.value.map(csv_number).unwrap_or_default()));
        row.extend(names.iter().map(|name| {
            cells.iter().find(|(other, _)| other == name).map(|(_, value)| cell(value)).unwrap_or_default()
        }));
        writeln!(out, "{}", row.join(","))?;
    }
    Ok(())
}

/// (dotted name, text) of every leaf.
fn flat(assignment: Option<&pb::Assignment>) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &crate::space::Value, out: &mut Vec<(String, String)>) {
        match value {
            crate::space::Value::Map(entries) if !entries.is_empty() => {
                for (name, value) in entries {
                    walk(&format!("{prefix}.{name}"), value, out);
                }
            }
            other => out.push((prefix.to_owned(), command::python_str(other))),
        }
    }
    let mut out = Vec::new();
    if let Some(assignment) = assignment.and_then(|a| Assignment::try_from(a).ok()) {
        for (name, value) in &assignment.0 {
            walk(name, value, &mut out);
        }
    }
    out
}

/// A number as it reads back the same.
fn csv_number(x: f64) -> String {
    if x.is_finite() { x.to_string() } else { float_name(x).to_owned() }
}

/// A cell of text: quoted where it must be, and never a formula to a spreadsheet.
fn cell(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let formula = text.starts_with(['=', '+', '@', '-', '\t', '\r']) && !is_number;
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

async fn best(sweep: String, form: Form, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = pb::GetTrialRequest { sweep, trial: 0, best: true };
    let trial = session.client.trials().get(request).await?.into_inner();
    let params = trial.params.clone().unwrap_or_default();
    let assignment = Assignment::try_from(&params)
        .map_err(|error| Failure::new(Exit::Failed, Code::BadMessage, error.to_string()))?;
    match form {
        Form::Args => {
            let arguments: Vec<String> = assignment
                .0
                .iter()
                .map(|(name, value)| shell_quote(&format!("--{name}={}", command::python_str(value))))
                .collect();
            writeln!(session.out, "{}", arguments.join(" "))?;
            Ok(())
        }
        Form::Env => {
            for (name, value) in &assignment.0 {
                writeln!(session.out, "{}={}", env_name(name), shell_quote(&command::python_str(value)))?;
            }
            Ok(())
        }
        Form::Json | Form::Jsonl => {
            output::document(output::Format::Json, &json::of(&trial)["params"], session.out)
        }
        Form::Yaml => output::document(output::Format::Yaml, &json::of(&trial)["params"], session.out),
        Form::Csv => write_csv(&[trial], session.out),
    }
}

/// A parameter's name as an environment variable's: capitals, digits and `_`.
fn env_name(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b55_a_cell_is_never_a_formula() {
        for (text, shown) in [
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("-2.5", "-2.5"),
            ("+3", "+3"),
            ("--flag", "\"'--flag\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("plain", "plain"),
        ] {
            assert_eq!(cell(text), shown);
        }
    }

    #[test]
    fn a_name_becomes_a_variable() {
        assert_eq!(env_name("model.lr-2"), "MODEL_LR_2");
        assert_eq!(env_name("9x"), "_9X");
    }
}
