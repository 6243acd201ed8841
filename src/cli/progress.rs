//! Progress of `run` and `watch`: which form, plain lines, and the end.
//!
//! Everything shown comes from the controller: the log's entries say *that* something happened, a `Get` says how things
//! stand. Lines are one an ended trial; nothing is repeated.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::api::client::Client;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::follow::{ENDS, TURNS, Turn, works};
use crate::cli::format::{count, duration, escape, number, shell_quote, wrap};
use crate::cli::front;
use crate::cli::live::Live;
use crate::cli::settings::Settings;
use crate::cli::terminal::{self, Stream, Style};
use crate::cli::{json, talk, words};
use crate::pb;
use crate::spec::Code;

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Choice {
    /// Live on a terminal, else lines.
    Auto,
    /// A view that is redrawn in place.
    Live,
    /// One line an ended trial.
    Lines,
    /// The log's entries as JSON lines.
    Json,
    /// Nothing but the end.
    None,
}

/// The form in force: the option, else the setting, else what the terminal can show.
///
/// # Errors
///
/// A setting that names no form.
pub(super) fn choose(option: Option<Choice>, settings: &Settings) -> Result<Choice, Failure> {
    let setting = || {
        <Choice as clap::ValueEnum>::from_str(&settings.progress.value, true).map_err(|_| {
            Failure::new(
                Exit::Usage,
                Code::BadSetting,
                format!("'{}' is no form of progress", settings.progress.value),
            )
            .context(format!("from: {}", settings.progress.origin))
            .help("auto, live, lines, json or none")
        })
    };
    let choice = match option {
        Some(choice) => choice,
        None => setting()?,
    };
    Ok(match choice {
        _ if settings.quiet => Choice::None,
        Choice::Auto if Stream::Stderr.is_terminal() && terminal::is_capable() => Choice::Live,
        Choice::Auto => Choice::Lines,
        chosen => chosen,
    })
}

/// One of the forms of progress.
pub(super) enum View {
    Lines(Lines),
    Json,
    None,
    Live(Box<Live>),
}

impl View {
    pub(super) fn new(choice: Choice, sweep: &pb::Sweep, settings: &Settings) -> Self {
        match choice {
            Choice::Live => View::Live(Box::new(Live::new(sweep, settings))),
            Choice::Json => View::Json,
            Choice::None => View::None,
            Choice::Lines | Choice::Auto => View::Lines(Lines::new(settings)),
        }
    }

    pub(super) fn detail(&self) -> pb::watch_request::ReportDetail {
        match self {
            View::Live(_) => pb::watch_request::ReportDetail::Latest,
            View::Json => pb::watch_request::ReportDetail::All,
            View::Lines(_) | View::None => pb::watch_request::ReportDetail::None,
        }
    }

    /// Kinds of events that are looked at as the sweep stands; none: all.
    pub(super) fn kinds(&self, sweep: &pb::Sweep) -> Vec<&'static str> {
        match self {
            View::Live(_) | View::Json => Vec::new(),
            View::None if works(sweep) => TURNS.to_vec(),
            View::Lines(_) | View::None => [TURNS.as_slice(), &ENDS].concat(),
        }
    }

    pub(super) fn begin(&mut self, sweep: &pb::Sweep) {
        match self {
            View::Lines(lines) => lines.begin(sweep),
            View::Live(live) => live.begin(sweep),
            View::Json | View::None => {}
        }
    }

    /// Whether the message changes what is shown.
    pub(super) fn wants(&mut self, message: &pb::WatchResponse) -> bool {
        match self {
            View::Lines(_) => !ended_trials(message).is_empty(),
            View::None => false,
            View::Json => true,
            // Each end has its line.
            View::Live(live) => live.wants(message) | !ended_trials(message).is_empty(),
        }
    }

    pub(super) async fn take(
        &mut self,
        message: &pb::WatchResponse,
        sweep: &pb::Sweep,
        client: &Client,
    ) -> Result<(), Failure> {
        match self {
            View::Lines(lines) => lines.take(message, sweep, client).await,
            View::Live(live) => live.take(message, sweep, client).await,
            View::Json => {
                for entry in &message.entries {
                    talk!("{}", json::of(entry));
                }
                Ok(())
            }
            View::None => Ok(()),
        }
    }

    pub(super) fn say(&mut self, text: &str) {
        match self {
            View::Live(live) => live.say(text),
            View::Lines(_) => say(text),
            View::Json | View::None => {}
        }
    }

    /// Says what is odd about where the sweep's runs go.
    pub(super) fn remark(&mut self, sweep: &pb::Sweep) {
        if !sweep.remarks.is_empty() {
            self.say(&escape(&sweep.remarks.join("; ")));
        }
    }

    pub(super) fn suspended(&mut self) {
        self.say("Ctrl-Z is not taken: a stopped swath run would hold the store. Ctrl-C pauses the sweep");
    }

    /// What the view has to say by itself; never, without a live one.
    pub(super) async fn turn(&mut self) -> Turn {
        match self {
            View::Live(live) => live.turn().await,
            View::Lines(_) | View::Json | View::None => std::future::pending().await,
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self, View::Live(live) if live.is_stale())
    }

    pub(super) fn refresh(&mut self, sweep: &pb::Sweep) {
        if let View::Live(live) = self {
            live.refresh(sweep);
        }
    }

    pub(super) fn draw(&mut self) {
        if let View::Live(live) = self {
            live.draw();
        }
    }

    pub(super) fn end(&mut self, sweep: &pb::Sweep) {
        if let View::Live(live) = self {
            live.end(sweep);
        }
    }
}

/// One line an ended trial.
pub(super) struct Lines {
    color: bool,
    /// Ended trials that were shown, and how many had ended before.
    shown: BTreeSet<u32>,
    before: usize,
    best: Option<f64>,
}

impl Lines {
    /// Nothing shown yet.
    pub(super) fn new(settings: &Settings) -> Self {
        Lines {
            color: Stream::Stderr.color(settings.color.value),
            shown: BTreeSet::new(),
            before: 0,
            best: None,
        }
    }

    /// Lines to come are compared with the best value there is.
    pub(super) fn start_from(&mut self, sweep: &pb::Sweep) {
        self.best = best_value(sweep);
        self.before = words::ended(&sweep.counts.unwrap_or_default()) as usize;
    }

    fn begin(&mut self, sweep: &pb::Sweep) {
        let trials = sweep.trials.as_ref().map(|n| format!(" · {n} trials")).unwrap_or_default();
        talk!(
            "swath: {} {} · {}{trials} · seed {}",
            sweep.sweep,
            escape(&sweep.name),
            words::purpose(sweep),
            sweep.seed
        );
        self.start_from(sweep);
    }

    async fn take(
        &mut self,
        message: &pb::WatchResponse,
        sweep: &pb::Sweep,
        client: &Client,
    ) -> Result<(), Failure> {
        for trial in ended_trials(message) {
            if self.shown.contains(&trial) {
                continue;
            }
            let request = pb::GetTrialRequest { sweep: sweep.sweep.clone(), trial, best: false };
            let trial = client.trials().get(request).await?.into_inner();
            if let Some(line) = self.line(&trial, sweep) {
                talk!("{line}");
            }
        }
        Ok(())
    }

    /// The line of a trial that is final; `None` for one that goes on.
    pub(super) fn line(&mut self, trial: &pb::Trial, sweep: &pb::Sweep) -> Option<String> {
        use pb::trial::State;
        let (word, style) = match trial.state() {
            State::Queued | State::Running | State::Unspecified => return None,
            State::Succeeded if !trial.feasible => ("limit", Style::Infeasible),
            State::Succeeded => ("ok", Style::Succeeded),
            State::Stopped => ("stopped", Style::Stopped),
            State::Failed => ("failed", Style::Failed),
        };
        self.shown.insert(trial.trial);
        let (word, style) = match front::has_one(sweep) {
            true if front::has(sweep, trial) => ("FRONT", Style::Best),
            false if self.is_best(trial) => ("BEST", Style::Best),
            true | false => (word, style),
        };
        let of = sweep.trials.as_deref().unwrap_or("-");
        let width = of.len().max(3);
        let ended = words::ended(&sweep.counts.unwrap_or_default()) as usize;
        let nth = (self.before + self.shown.len()).min(ended.max(1));
        let value = match trial.state() {
            State::Failed => trial.reason.clone(),
            _ => words::values(&trial.objectives),
        };
        let step = match trial.state() {
            State::Stopped => trial.last_step.map(|step| format!(" step {step}")).unwrap_or_default(),
            _ => String::new(),
        };
        let time = words::trial_duration(trial).map(duration).unwrap_or_default();
        let why = match trial.state() {
            State::Stopped => trial.reason.clone(),
            State::Failed => trial.tail.lines().last().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let word = style.paint(&format!("{word:<8}"), self.color);
        let room = match trial.objectives.len() {
            _ if terminal::stderr_width().is_some_and(|columns| columns < 80) => 16,
            0 | 1 => 24,
            _ => 40,
        };
        let line = format!(
            "[{nth:>width$}/{of}] {word} {:<4} {:<room$} {time:>6}  {}  {}",
            trial.trial,
            escape(&format!("{value}{step}")),
            words::parameters(trial.params.as_ref()),
            escape(&why)
        );
        Some(line.trim_end().to_owned())
    }

    /// Whether the trial is better than all before it.
    fn is_best(&mut self, trial: &pb::Trial) -> bool {
        let counts = trial.feasible && trial.state() != pb::trial::State::Failed;
        let Some((objective, value)) = trial.objectives.first().and_then(|o| Some((o, o.value?))) else {
            return false;
        };
        let better = self.best.is_none_or(|best| match objective.goal() {
            pb::objective::Goal::Maximize => value > best,
            pb::objective::Goal::Minimize | pb::objective::Goal::Unspecified => value < best,
        });
        if counts && better {
            self.best = Some(value);
        }
        counts && better
    }
}

/// The best value of the first objective.
pub(super) fn best_value(sweep: &pb::Sweep) -> Option<f64> {
    sweep.objectives.first()?.value
}

/// Trials of which a run ended, by the entries of a message.
pub(super) fn ended_trials(message: &pb::WatchResponse) -> Vec<u32> {
    let trial = |entry: &pb::Entry| {
        let body: serde_json::Value = serde_json::from_str(&entry.body_json).ok()?;
        let trial = body.get("run").and_then(|run| run.get("trial")).or_else(|| body.get("trial"))?;
        u32::try_from(trial.as_u64()?).ok()
    };
    message
        .entries
        .iter()
        .filter(|entry| matches!(entry.kind.as_str(), "RunEnded" | "TrialWithdrawn"))
        .filter_map(trial)
        .collect()
}

/// Trials of a front that an end shows.
const FRONT: usize = 10;

/// Writes the end of a sweep, answer first.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(super) fn write_end(sweep: &pb::Sweep, out: &mut dyn Write) -> io::Result<()> {
    let counts = sweep.counts.unwrap_or_default();
    let ended = words::ended(&counts);
    let mut line = format!(
        "{}: {} in {}",
        words::sweep_state(sweep),
        count(ended, "trial"),
        duration(words::seconds(sweep.wall.as_ref()))
    );
    for (n, word) in [
        (counts.succeeded, "done"),
        (counts.infeasible, "infeasible"),
        (counts.stopped, "stopped early"),
        (counts.failed, "failed"),
    ] {
        if n > 0 {
            line.push_str(&format!(" · {n} {word}"));
        }
    }
    let width = Stream::Stdout.size().map(|(columns, _)| columns);
    let mut lines = wrap(&line, width);
    if !sweep.reason.is_empty() && sweep.state() != pb::sweep::State::Finished {
        lines.extend(wrap(&escape(&sweep.reason), width));
    }
    let id = &sweep.sweep;
    match &sweep.best {
        _ if sweep.front_size > 0 => {
            lines.extend(wrap(
                &format!("front: {} that no other beats", count(sweep.front_size, "trial")),
                width,
            ));
            lines.extend(front::lines(sweep, FRONT, width));
            let first = sweep.front.first().map(|first| first.trial).unwrap_or_default();
            let next = format!("next: swath sweep show {id} · swath trial show {id}/{first}");
            lines.extend(wrap(&next, width));
        }
        Some(best) => {
            lines.extend(wrap(
                &format!("best {} · {id}/{}", words::values(&best.objectives), best.trial),
                width,
            ));
            let arguments: Vec<String> = best
                .params
                .iter()
                .flat_map(|params| &params.entries)
                .map(|entry| shell_quote(&format!("--{}={}", entry.name, exact(entry.value.as_ref()))))
                .collect();
            // For a shell: never broken.
            lines.push(format!("  {}", arguments.iter().map(|a| escape(a)).collect::<Vec<_>>().join(" ")));
            let n = best.trial;
            lines.extend(wrap(
                &format!("next: swath trial show {id}/{n} · swath trial enqueue {id} --from {n} --repeat 3"),
                width,
            ));
        }
        None if sweep.objectives.is_empty() => {
            lines.extend(wrap(&format!("next: swath trial list {id}"), width))
        }
        None => lines.extend(wrap(
            &format!("no best trial · next: swath trial list {id} · swath trial show {id}/1"),
            width,
        )),
    }
    writeln!(out, "{}", lines.join("\n"))
}

/// A parameter's value with all its digits, as the command line has it.
fn exact(value: Option<&pb::Value>) -> String {
    let value = value.and_then(|value| crate::space::Value::try_from(value).ok());
    value.map_or_else(String::new, |value| crate::spec::command::python_str(&value))
}

/// Says a sentence on stderr, in lines that fit its terminal.
fn say(text: &str) {
    talk!("{}", wrap(text, terminal::stderr_width()).join("\n"));
}

/// Says that the sweep was paused, and how to go on.
pub(super) fn say_paused(sweep: &pb::Sweep) {
    use pb::sweep::State;
    let best = words::best(sweep);
    let best = if best.is_empty() { String::new() } else { format!(" · best {best}") };
    let id = &sweep.sweep;
    let text = match sweep.state() {
        State::Paused => {
            let ended = count(words::ended(&sweep.counts.unwrap_or_default()), "trial");
            format!("paused after {ended}{best} · go on with: swath run --resume {id}")
        }
        State::Running => format!("left alone: its runs go on · go on with: swath run --resume {id}"),
        State::Finished | State::Stopped | State::Damaged | State::Unspecified => {
            format!("{}{best}", words::sweep_state(sweep))
        }
    };
    say(&text);
}

/// Why a sweep paused itself: the common reason of its first failures, with the last lines of one.
///
/// # Errors
///
/// The controller is lost.
pub(super) async fn early_failure(sweep: &pb::Sweep, client: &Client) -> Result<Failure, Failure> {
    let request = pb::ListTrialsRequest {
        sweep: sweep.sweep.clone(),
        state: "failed".to_owned(),
        sort: "-trial".to_owned(),
        page_size: 1,
        page_token: String::new(),
    };
    let trials = client.trials().list(request).await?.into_inner().trials;
    let why = sweep.reason.trim_start_matches("paused: ");
    let failed_alike = why.contains("failed in the same way");
    let Some(last) = trials.first().filter(|_| failed_alike) else {
        let what = format!("the sweep paused itself: {}", escape(why));
        let failure = Failure::new(Exit::NoBest, Code::PausedItself, what);
        return Ok(sweep
            .remarks
            .iter()
            .fold(failure, |failure, remark| failure.context(escape(remark)))
            .help(format!("look at what it ran: swath trial list {}", sweep.sweep))
            .help(format!("then: swath run --resume {}", sweep.sweep)));
    };
    let request = pb::GetTrialRequest { sweep: sweep.sweep.clone(), trial: last.trial, best: false };
    let trial = client.trials().get(request).await?.into_inner();
    let run = trial.runs.last();
    let took = words::trial_duration(&trial).map(|d| format!(" after {}", duration(d))).unwrap_or_default();
    let host = run
        .and_then(|run| run.placements.first())
        .map(|p| format!(", on {}", escape(&p.host)))
        .or_else(|| run.and_then(words::caller).map(|caller| format!(", {caller}")))
        .unwrap_or_default();
    let mut failure = Failure::new(Exit::NoBest, Code::FailedAlike, format!("{why}, so the sweep is paused"))
        .context(format!("{}{took}{host}, last lines of trial {}:", escape(&trial.reason), trial.trial));
    for line in trial.tail.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev() {
        failure = failure.context(format!("   | {}", escape(line)));
    }
    let command: Vec<String> = trial.command.iter().map(|argument| escape(&shell_quote(argument))).collect();
    failure = failure.context(format!("the command was: {}", command.join(" ")));
    if trial.reason.contains("never reported") {
        failure = never_reported(failure, &trial);
    }
    if trial.tail.contains("ModuleNotFoundError") || trial.tail.contains("ImportError") {
        failure = failure
            .help(
                "activate the environment first (source .venv/bin/activate), or name its Python in the file:",
            )
            .help("      command: [.venv/bin/python, \"${program}\", \"${args}\"]");
    } else {
        failure =
            failure.help(format!("all of its output: swath trial logs {}/{}", sweep.sweep, trial.trial));
    }
    let again = format!("then: swath run --resume {}       (the failed trials are tried again)", sweep.sweep);
    Ok(failure.help(again))
}

/// How a value is reported, and what was instead.
fn never_reported(failure: Failure, trial: &pb::Trial) -> Failure {
    let missing = trial.objectives.iter().find(|objective| objective.value.is_none());
    let name = missing.map(|objective| escape(&objective.name)).unwrap_or_default();
    let is_objective = |name: &String| trial.objectives.iter().any(|objective| objective.name == *name);
    let others: Vec<String> = trial
        .last
        .keys()
        .filter(|name| !is_objective(name))
        .map(|name| format!("'{}'", escape(name)))
        .collect();
    match others.is_empty() {
        true => failure.help(format!("print it on a line of its own, as {name}=0.31, or log it with wandb")),
        false => {
            failure.help(format!("it did report {}: is one of them meant by metric?", others.join(", ")))
        }
    }
}

/// The middle of the remaining time: the mean of ended runs' durations over the trials still to come and the runs at
/// once. `None` before 3 runs have ended, or where the number of trials has no limit.
pub(super) fn remaining(sweep: &pb::Sweep) -> Option<std::time::Duration> {
    let total: u64 = sweep.trials.as_ref()?.parse().ok()?;
    let seconds = &sweep.run_seconds;
    if seconds.len() < 3 {
        return None;
    }
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let open = total.saturating_sub(u64::from(words::ended(&sweep.counts.unwrap_or_default())));
    let at_once = f64::from(sweep.parallel.unwrap_or(1).max(1));
    std::time::Duration::try_from_secs_f64(mean * open as f64 / at_once).ok()
}

/// `val_loss 0.1832  trial 31  lr=3.1e-4 ..`: the best trial in one line.
pub(super) fn best_line(sweep: &pb::Sweep) -> Option<String> {
    let best = sweep.best.as_ref()?;
    let value = best.objectives.first().and_then(|o| o.value).map(number).unwrap_or_default();
    Some(format!("{value}  trial {}  {}", best.trial, words::parameters(best.params.as_ref())))
}
