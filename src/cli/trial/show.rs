//! `swath trial show`.

use std::io::{self, Write};

use crate::cli::failure::Failure;
use crate::cli::format::{bytes, duration, escape, number, shell_quote};
use crate::cli::front;
use crate::cli::reference::TrialRef;
use crate::cli::session::Session;
use crate::cli::terminal::is_utf8;
use crate::cli::words;
use crate::pb;
use crate::spec::Code;

/// Show a trial: parameters, result, curve, attempts, command
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// SWEEP/17, SWEEP/@best, or 17 with --sweep
    trial: TrialRef,
    /// The sweep, where TRIAL does not say
    #[arg(long)]
    sweep: Option<String>,
    /// This attempt alone
    #[arg(long, value_name = "N")]
    run: Option<u32>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = request(&args.trial, args.sweep.as_deref())?;
    let mut trial = session.client.trials().get(request).await?.into_inner();
    if let Some(attempt) = args.run.or(args.trial.attempt) {
        trial.runs.retain(|run| run.attempt == attempt);
        if trial.runs.is_empty() {
            let what = format!("trial {}/{} has no run {attempt}", trial.sweep, trial.trial);
            return Err(Failure::new(crate::cli::exit::Exit::NotFound, Code::NotFound, what));
        }
    }
    if session.settings.quiet {
        writeln!(session.out, "{}/{}", trial.sweep, trial.trial)?;
    } else if !session.print_data(&trial)? {
        let place = place(&trial, session).await?;
        write(&trial, &place, session.out)?;
    }
    Ok(())
}

/// Where the trial stands among the others, in a word.
async fn place(trial: &pb::Trial, session: &mut Session<'_>) -> Result<String, Failure> {
    Ok(match trial.rank {
        Some(1) => "   best".to_owned(),
        Some(rank) => format!("   rank {rank}"),
        None if trial.objectives.len() > 1 => {
            let request = pb::GetSweepRequest { sweep: trial.sweep.clone(), ..Default::default() };
            let sweep = session.client.sweeps().get(request).await?.into_inner();
            if front::has(&sweep, trial) { "   on the front".to_owned() } else { String::new() }
        }
        None => String::new(),
    })
}

/// The request for a trial as it was typed.
pub(super) fn request(trial: &TrialRef, sweep: Option<&str>) -> Result<pb::GetTrialRequest, Failure> {
    let number = trial.number();
    Ok(pb::GetTrialRequest { sweep: trial.sweep(sweep)?, trial: number, best: number == 0 })
}

fn write(trial: &pb::Trial, place: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}/{}  {}   {}{place}",
        trial.sweep,
        trial.trial,
        words::trial_state(trial),
        words::values(&trial.objectives),
    )?;
    if !trial.reason.is_empty() {
        writeln!(out, " why         {}", escape(&trial.reason))?;
    }
    writeln!(out, " parameters  {}", words::parameters(trial.params.as_ref()))?;
    for limit in &trial.constraints {
        let value = limit.value.map_or_else(|| "not reported".to_owned(), number);
        let bounds =
            [limit.min.map(|m| format!(">= {}", number(m))), limit.max.map(|m| format!("<= {}", number(m)))];
        let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        writeln!(out, " limit       {} {value} ({bounds})", escape(&limit.metric))?;
    }
    write_curves(trial, out)?;
    for run in &trial.runs {
        write_run(run, out)?;
    }
    if !trial.command.is_empty() {
        let command: Vec<String> = trial.command.iter().map(|argument| shell_quote(argument)).collect();
        writeln!(out, " command     {}", escape_lines(&command.join(" ")))?;
    }
    for (name, value) in &trial.environment {
        writeln!(out, " {:<11} {}", escape(name), escape(value))?;
    }
    writeln!(out, " source      {} · seed {}", escape(&trial.source), trial.seed)?;
    if !trial.tags.is_empty() {
        writeln!(out, " tags        {}", escape(&trial.tags.join(", ")))?;
    }
    for note in &trial.annotations {
        let step = note.step.map(|step| format!(" at step {step}")).unwrap_or_default();
        writeln!(out, " note        {}{step}: {}", escape(&note.author), escape(&note.text))?;
    }
    if trial.state() == pb::trial::State::Failed && !trial.tail.is_empty() {
        writeln!(out, " output      its last lines:")?;
        for line in trial.tail.lines() {
            writeln!(out, "   | {}", escape(line))?;
        }
    }
    Ok(())
}

fn write_curves(trial: &pb::Trial, out: &mut dyn Write) -> io::Result<()> {
    let utf8 = is_utf8();
    for series in trial.series.iter().take(12) {
        let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
        let last = values.last().copied().map(number).unwrap_or_default();
        let line = words::sparkline(&values, 30, utf8);
        writeln!(out, " curve       {line}  {} {last} ({} values)", escape(&series.name), values.len())?;
    }
    if trial.series.len() > 12 {
        writeln!(out, "             and {} more metrics: -o json shows all", trial.series.len() - 12)?;
    }
    Ok(())
}

fn write_run(run: &pb::Run, out: &mut dyn Write) -> io::Result<()> {
    let mut parts = vec![match run.state() {
        pb::run::State::Ended => ending(run),
        pb::run::State::Assigned => "given to an agent".to_owned(),
        pb::run::State::Stopping => "stopping".to_owned(),
        pb::run::State::Running | pb::run::State::Unspecified => "running".to_owned(),
    }];
    if let Some(time) = &run.duration {
        parts.push(duration(words::seconds(Some(time))));
    }
    parts.extend(words::caller(run));
    if let Some(place) = run.placements.first() {
        let gpus: Vec<String> = place.devices.iter().map(|device| format!("gpu{}", device.index)).collect();
        let host = escape(&place.host);
        parts.push(if gpus.is_empty() { host } else { format!("{host}:{}", gpus.join(",")) });
    }
    if run.peak_memory_bytes > 0 {
        parts.push(format!("peak {}", bytes(run.peak_memory_bytes)));
    }
    if run.cpu_seconds > 0.0 {
        parts.push(format!("{} CPU s", number(run.cpu_seconds)));
    }
    if run.gpu_hours > 0.0 {
        parts.push(format!("{} GPU h", number(run.gpu_hours)));
    }
    writeln!(out, " run {:<7} {}", run.attempt, parts.join(" · "))?;
    if !run.stop.is_empty() {
        writeln!(out, "             stopped: {}", escape(&run.stop))?;
    }
    for note in &run.notes {
        writeln!(out, "             note: {}", escape(note))?;
    }
    Ok(())
}

fn ending(run: &pb::Run) -> String {
    let exit = run.exit.clone().unwrap_or_default();
    let mut text = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => escape(&exit.why),
    };
    if exit.timed_out {
        text.push_str(" (timeout)");
    }
    if exit.killed {
        text.push_str(" (outlived its grace period)");
    }
    text
}

/// A command may hold newlines inside quotes: those stay, everything else that paints is escaped.
fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}
