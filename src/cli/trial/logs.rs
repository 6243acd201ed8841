//! `swath trial logs`: what a run printed.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::cli::connect;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::Session;
use crate::cli::talk;
use crate::cli::terminal::Stream;
use crate::pb;
use crate::spec::Code;

/// How long the agent that has a run's output is waited for, once some of it was printed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Print what a trial's run wrote
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// SWEEP/17, SWEEP/17.2, SWEEP/@best, or 17 with --sweep
    trial: TrialRef,
    /// The sweep, where TRIAL does not say
    #[arg(long)]
    sweep: Option<String>,
    /// Go on as it is written
    #[arg(short, long)]
    follow: bool,
    /// Which attempt [default: the last one]
    #[arg(long, value_name = "N")]
    run: Option<u32>,
    /// The last N lines alone
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    /// Standard error alone
    #[arg(long)]
    stderr: bool,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let wanted = super::show::request(&args.trial, args.sweep.as_deref())?;
    let trial = session.client.trials().get(wanted).await?.into_inner();
    if trial.runs.is_empty() {
        let what = format!("trial {}/{} has not run yet", trial.sweep, trial.trial);
        return Err(Failure::new(Exit::Refused, Code::RefusedNow, what));
    }
    let last = trial.runs.last().map_or(0, |run| run.attempt);
    let mut request = pb::LogsRequest {
        sweep: trial.sweep,
        trial: trial.trial,
        attempt: args.run.or(args.trial.attempt).unwrap_or(last),
        tail: args.tail.unwrap_or(0),
        follow: args.follow,
        stderr: args.stderr,
        from: 0,
    };
    session.node.is_kept().await;
    let (mut told, mut broken) = (String::new(), None);
    loop {
        let mut stream = session.client.trials().logs(request.clone()).await?.into_inner();
        while let Some(chunk) = connect::next(&mut stream).await? {
            // Stored lines were printed already: whoever has them all is given time to come.
            let is_stored = request.from > 0 && chunk.to == 0 && !chunk.data.is_empty();
            if is_stored && broken.is_none_or(|at: Instant| at.elapsed() < PATIENCE) {
                break;
            }
            if !chunk.note.is_empty() && chunk.note != told {
                talk!("{}", chunk.note);
                told = chunk.note;
            }
            write(&chunk.data, session.out)?;
            request.from = chunk.to.max(request.from);
            if chunk.end {
                return Ok(());
            }
            broken = None;
        }
        broken = broken.or_else(|| Some(Instant::now()));
        session.node.broke_off().await?;
    }
}

fn write(data: &[u8], out: &mut dyn Write) -> io::Result<()> {
    match Stream::Stdout.is_terminal() {
        true => out.write_all(safe(data).as_bytes())?,
        false => out.write_all(data)?,
    }
    out.flush()
}

/// Output of a stranger's program for a terminal: line ends and tabs stay, what paints is escaped.
fn safe(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        '\r' => "\n".to_owned(),
        other => crate::cli::format::escape(&other.to_string()),
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t12_output_cannot_paint_the_terminal() {
        assert_eq!(safe(b"a\x1b[2Jb\tc\r\nd\xff"), "a\\u{1b}[2Jb\tc\nd\u{fffd}");
    }
}
