//! `swath trial logs`: what a run printed.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::Session;
use crate::cli::talk;
use crate::cli::terminal::Stream;
use crate::pb;
use crate::spec::Code;

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
    let request = pb::LogsRequest {
        sweep: trial.sweep,
        trial: trial.trial,
        attempt: args.run.or(args.trial.attempt).unwrap_or(0),
        tail: args.tail.unwrap_or(0),
        follow: args.follow,
        stderr: args.stderr,
    };
    let raw = !Stream::Stdout.is_terminal();
    let mut stream = session.client.trials().logs(request).await?.into_inner();
    while let Some(chunk) = stream.message().await? {
        if !chunk.note.is_empty() {
            talk!("{}", chunk.note);
        }
        if raw {
            session.out.write_all(&chunk.data)?;
        } else {
            session.out.write_all(safe(&chunk.data).as_bytes())?;
        }
        session.out.flush()?;
    }
    Ok(())
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
