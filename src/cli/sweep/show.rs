//! `swath sweep show`: the answer first, then how it came about.

use std::io::{self, Write};

use crate::cli::failure::Failure;
use crate::cli::format::{age, duration, escape, number, shell_quote};
use crate::cli::front;
use crate::cli::session::Session;
use crate::cli::sweep::model;
use crate::cli::terminal::{Stream, is_utf8};
use crate::cli::words;
use crate::pb;

/// Show a sweep: did it work, what is best, what did it cost
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last [default: the only unfinished one]
    sweep: Option<String>,
    /// What its method believes, and what it would try next
    #[arg(long)]
    model: bool,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let sweep = session.sweep_or_only(args.sweep.as_deref()).await?;
    let sweep =
        session.client.sweeps().get(pb::GetSweepRequest { sweep, model: args.model }).await?.into_inner();
    if session.settings.quiet {
        writeln!(session.out, "{}", sweep.sweep)?;
    } else if !session.print_data(&sweep)? {
        write_summary(&sweep, session.out)?;
    }
    Ok(())
}

/// Writes what `sweep show` prints.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn write_summary(sweep: &pb::Sweep, out: &mut dyn Write) -> io::Result<()> {
    let utf8 = is_utf8();
    let now = words::now_us();
    let state = if sweep.hidden { "deleted" } else { words::sweep_state(sweep) };
    writeln!(
        out,
        "{}  {}   {} · seed {}   {state}",
        escape(&sweep.name),
        sweep.sweep,
        words::purpose(sweep),
        sweep.seed
    )?;
    if !sweep.reason.is_empty() {
        writeln!(out, " why      {}", escape(&sweep.reason))?;
    }
    let counts = sweep.counts.unwrap_or_default();
    writeln!(out, " trials   {}   {}", words::progress(sweep), words::counts(&counts))?;
    match &sweep.best {
        _ if front::has_one(sweep) => write_front(sweep, out)?,
        Some(best) => {
            writeln!(
                out,
                " best     {} · {}/{}{}",
                words::values(&best.objectives),
                sweep.sweep,
                best.trial,
                at_step(best)
            )?;
            writeln!(out, "          {}", words::parameters(best.params.as_ref()))?;
        }
        None if sweep.objectives.is_empty() => writeln!(out, " best     no metric in the file, so none")?,
        None => writeln!(out, " best     none yet")?,
    }
    if sweep.trend.len() > 1 {
        let line = words::sparkline(&sweep.trend, 40, utf8);
        writeln!(
            out,
            " trend    {line}   {} since the last gain",
            crate::cli::format::count(sweep.since_gain, "trial")
        )?;
    }
    for limit in &sweep.constraints {
        let bounds = [
            limit.min.map(|min| format!(">= {}", number(min))),
            limit.max.map(|max| format!("<= {}", number(max))),
        ];
        writeln!(
            out,
            " limit    {} {}",
            escape(&limit.metric),
            bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ")
        )?;
    }
    let wall = words::seconds(sweep.wall.as_ref());
    let budget = sweep
        .wall_budget
        .as_ref()
        .map(|b| format!(" of {}", duration(words::seconds(Some(b)))))
        .unwrap_or_default();
    writeln!(out, " time     {}{budget}", duration(wall))?;
    if sweep.gpu_hours > 0.0 || sweep.gpu_hours_budget.is_some() {
        let budget = sweep.gpu_hours_budget.map(|b| format!(" of {}", number(b))).unwrap_or_default();
        writeln!(out, " cost     {} GPU h{budget}", number(sweep.gpu_hours))?;
    }
    if let Some(savings) = &sweep.savings {
        writeln!(out, " saved    {}", words::stopping(savings))?;
        writeln!(out, "          how often that was wrong: {}", words::audit(savings))?;
    }
    write_origin(sweep, now, out)?;
    for remark in &sweep.remarks {
        writeln!(out, " note     {}", escape(remark))?;
    }
    for trial in &sweep.running {
        write_running(trial, now, utf8, out)?;
    }
    sweep.model.as_ref().map_or(Ok(()), |model| model::write(sweep, model, out))
}

/// All of the front that there is, in a table.
fn write_front(sweep: &pb::Sweep, out: &mut dyn Write) -> io::Result<()> {
    const INDENT: &str = "         ";
    writeln!(out, " front    {}", front::sentence(sweep))?;
    if sweep.front.is_empty() {
        return Ok(());
    }
    let width = Stream::Stdout.size().map(|(columns, _)| columns.saturating_sub(INDENT.len()));
    for line in front::lines(sweep, usize::MAX, width) {
        writeln!(out, "{INDENT}{line}")?;
    }
    Ok(())
}

fn at_step(trial: &pb::Trial) -> String {
    trial.objectives.first().and_then(|o| o.step).map(|step| format!(" at step {step}")).unwrap_or_default()
}

fn write_origin(sweep: &pb::Sweep, now: i64, out: &mut dyn Write) -> io::Result<()> {
    if !sweep.tags.is_empty() {
        writeln!(out, " tags     {}", escape(&sweep.tags.join(", ")))?;
    }
    if !sweep.notes.is_empty() {
        writeln!(out, " notes    {}", escape(&sweep.notes))?;
    }
    if !sweep.from.is_empty() {
        writeln!(out, " learned  from {}", escape(&sweep.from.join(", ")))?;
    }
    if !sweep.file.is_empty() {
        writeln!(out, " file     {}", escape(&shell_quote(&sweep.file)))?;
    }
    let created =
        words::since(sweep.created.as_ref(), now).map_or_else(String::new, |d| format!("{} ago", age(d)));
    writeln!(
        out,
        " created  {created}{}",
        if sweep.owner.is_empty() { String::new() } else { format!(" by {}", escape(&sweep.owner)) }
    )?;
    let unfinished = matches!(sweep.state(), pb::sweep::State::Running | pb::sweep::State::Paused);
    if unfinished && !sweep.home_alive {
        writeln!(
            out,
            " waits    nobody works for it; go on with: swath run --resume {0}, or swath ask {0}",
            sweep.sweep
        )?;
    }
    Ok(())
}

fn write_running(trial: &pb::Trial, now: i64, utf8: bool, out: &mut dyn Write) -> io::Result<()> {
    let run = trial.runs.last();
    let age =
        run.and_then(|run| words::since(run.start.as_ref(), now)).map_or_else(|| "-".to_owned(), duration);
    let step = trial.last_step.map_or_else(|| "-".to_owned(), |step| step.to_string());
    let curve: Vec<f64> = trial.curve.iter().map(|point| point.value).collect();
    writeln!(
        out,
        " running  {}{}  step {step}  {}  {age}  {}",
        trial.trial,
        run.filter(|run| run.attempt > 1).map(|run| format!(".{}", run.attempt)).unwrap_or_default(),
        words::sparkline(&curve, 10, utf8),
        words::parameters(trial.params.as_ref())
    )?;
    match run.and_then(words::caller) {
        Some(caller) => writeln!(out, "          {caller}"),
        None => Ok(()),
    }
}
