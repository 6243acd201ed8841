//! `swath optimize`: a search without a store or a controller, asked and told over JSON lines.
//!
//! One line of input, one line of output, in order, flushed. Whatever a line holds, the process goes on; the end of input
//! ends it.

mod history;
mod request;
mod study;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value as Json, json};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::optimize::history::HistoryFile;
use crate::cli::optimize::request::{BadRequest, Request};
use crate::cli::optimize::study::Study;
use crate::cli::settings::Settings;
use crate::cli::sweep_file;
use crate::cli::talk;
use crate::cli::terminal::Stream;
use crate::space::Point;
use crate::spec::{self, Code, Definition, Method, Overrides};

/// Longest line of input.
const MOST_BYTES: u64 = 1 << 20;
/// A caller that is silent for so long computes something: time to do the same.
const MOMENT_NS: i64 = 2_000_000;

/// Propose trials for a loop of your own, over JSON lines
///
/// Needs no controller and no store. One JSON object a line on stdin gets one reply a line on stdout:
///
/// {"op":"ask","n":1} -> {"trials":[{"id":1,"params":{"lr":0.003}}]}
///
/// {"op":"tell","id":1,"value":0.5} -> {"ok":true}
///
/// tell takes "values":[..] for several objectives, "constraints":[..] (feasible if all are at most 0), and
/// "state":"failed" or "stopped". {"op":"report","id":1,"step":3,"value":0.3} -> {"stop":false}: the file's
/// early_terminate decides. {"op":"add","params":{..},"value":0.7} tells of a trial that nobody asked for. What cannot be
/// carried out gets {"error":".."}. NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Sweep file: parameters, metric or objectives, constraints, method [default: bayes], early_terminate, enqueue
    #[arg(value_name = "SPACE.yaml")]
    file: PathBuf,
    /// Makes proposals reproducible [default: the file's, else 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep what is asked and told in this file, and go on where it ends
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Any key of the file by its path: --set method=tpe
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Answers until the input ends.
///
/// # Errors
///
/// The file is wrong (exit code 3), or the history cannot be used.
pub(super) fn run(args: &Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let definition = definition(args, settings)?;
    let seed = definition.seed.unwrap_or(0);
    let mut study = Study::new(&definition, seed).map_err(|error| {
        Failure::new(Exit::BadFile, Code::GridContinuous, error)
            .context(format!("--> {}", args.file.display()))
    })?;
    let mut history = match &args.history {
        Some(path) => Some(HistoryFile::open(path, &mut study)?),
        None => None,
    };
    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    loop {
        if is_idle(&input) {
            study.prepare();
        }
        let Some(line) = next_line(&mut input)? else { return Ok(Exit::Done) };
        let reply = line
            .map_err(|error| error.to_string())
            .and_then(|line| answer(line.trim(), &mut study, history.as_mut()))
            .unwrap_or_else(|error| json!({"error": error}));
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
}

/// Whether nobody waits for an answer, and nobody will in a moment.
fn is_idle(input: &BufReader<File>) -> bool {
    let wait = Timespec { tv_sec: 0, tv_nsec: MOMENT_NS };
    let mut there = [PollFd::new(input.get_ref(), PollFlags::IN)];
    input.buffer().is_empty() && poll(&mut there, Some(&wait)) == Ok(0)
}

/// What the file says; everything that is wrong with it is printed.
fn definition(args: &Args, settings: &Settings) -> Result<Definition, Failure> {
    let shown = args.file.display().to_string();
    let overrides = Overrides {
        set: args.set.clone(),
        seed: args.seed,
        method_unless_named: Some(Method::Bayes),
        ..Overrides::default()
    };
    let parsed = match sweep_file::read(&args.file) {
        Ok(text) => spec::parse(&text, &shown, &overrides),
        Err(diagnostic) => spec::Parsed { definition: None, diagnostics: vec![*diagnostic] },
    };
    let Some(definition) = parsed.definition else {
        let color = Stream::Stderr.color(settings.color.value);
        let text = spec::render(&parsed.diagnostics, &shown, color);
        talk!("{text}exit code {}", Exit::BadFile.code());
        return Err(Failure::said(Exit::BadFile));
    };
    Ok(definition)
}

/// Carries out what a line asks for, once it is on disk.
fn answer(line: &str, study: &mut Study, history: Option<&mut HistoryFile>) -> Result<Json, String> {
    let cannot = |error: io::Error| format!("the history cannot be written: {error}");
    let request = Request::read(line).map_err(|error| error.to_string())?;
    if let Request::Ask { n } = request {
        let points = study.propose(n).map_err(|error| error.to_string())?;
        let trials: Vec<(u32, Point)> = (study.next_id()..).zip(points).collect();
        if let Some(history) = history {
            history.append(&study.asked(&trials).to_string()).map_err(cannot)?;
            study.written();
        }
        let shown: Vec<Json> = trials.iter().map(|(id, point)| study.shown(*id, point)).collect();
        trials.into_iter().for_each(|(_, point)| study.start(point));
        return Ok(json!({"trials": shown}));
    }
    study.check(&request).map_err(|error| error.to_string())?;
    if let Some(history) = history {
        history.append(line).map_err(cannot)?;
    }
    Ok(study.carry_out(request))
}

/// The next line without its end; none at the end of input. A line that cannot be read is skipped whole.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, BadRequest>>> {
    let mut bytes = Vec::new();
    if input.by_ref().take(MOST_BYTES + 1).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.len() as u64 > MOST_BYTES && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(BadRequest::TooLong { most: MOST_BYTES })));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| BadRequest::NotText)))
}
