//! `swath watch`: the live view of any sweep, or its log as JSON lines.

use std::io::Write;

use crate::cli::connect::{self, Node};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::{self, Choice};
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::cli::{follow, json, run};
use crate::pb;

/// Watch a sweep live; q leaves
///
/// With -o json: the log as JSON lines on stdout, from event --from on, without gap or repeat, also when the controller
/// changes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Id, prefix of it, name, or @last [default: the only unfinished one]
    sweep: Option<String>,
    /// End with the exit codes of `run` once this holds: finished, or best<0.2
    #[arg(long, value_name = "CONDITION")]
    until: Option<Until>,
    /// The first position wanted of -o json
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Form of the progress [default: live on a terminal, lines elsewhere] [env: SWATH_PROGRESS]
    #[arg(long, value_enum, value_name = "FORM")]
    progress: Option<Choice>,
}

/// When a watch ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Finished,
    /// The best value is below (or above) a number.
    Best {
        below: bool,
        bound: f64,
    },
}

impl std::str::FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no condition; write finished, best<0.2 or best>0.9");
        if text == "finished" {
            return Ok(Until::Finished);
        }
        let rest = text.strip_prefix("best").ok_or_else(wrong)?.trim_start();
        let (below, number) = match rest.split_at_checked(1) {
            Some(("<", number)) => (true, number),
            Some((">", number)) => (false, number),
            _ => return Err(wrong()),
        };
        let bound: f64 = number.trim().parse().map_err(|_| wrong())?;
        if bound.is_nan() { Err(wrong()) } else { Ok(Until::Best { below, bound }) }
    }
}

impl Until {
    fn holds(self, sweep: &pb::Sweep) -> bool {
        match self {
            Until::Finished => false,
            Until::Best { below, bound } => progress::best_value(sweep)
                .is_some_and(|best| if below { best < bound } else { best > bound }),
        }
    }
}

/// Watches.
///
/// # Errors
///
/// No such sweep; the controller is lost and nobody can take its place.
pub(super) fn run(args: Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let choice = progress::choose(args.progress, settings)?;
    connect::runtime()?.block_on(async {
        let node = Node::join(settings).await?;
        node.keep_runs().await?;
        let done = watch(&args, choice, &node, settings, out).await;
        node.leave(false).await;
        done
    })
}

async fn watch(
    args: &Args,
    choice: Choice,
    node: &Node,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let client = node.client();
    let sweep = {
        let session = Session { settings, client: client.clone(), node, out: &mut *out };
        session.sweep_or_only(args.sweep.as_deref()).await?
    };
    let sweep = client.sweeps().get(pb::GetSweepRequest { sweep, model: false }).await?.into_inner();
    if settings.output.value.is_data() {
        return entries(args, sweep, node, out).await;
    }
    if over(&sweep) || args.until.is_some_and(|until| until.holds(&sweep)) {
        super::sweep::write_summary(&sweep, out)?;
        return Ok(if args.until.is_some() { run::verdict(&sweep) } else { Exit::Done });
    }
    let until = args.until;
    let holds = |sweep: &pb::Sweep| until.is_some_and(|until| until.holds(sweep));
    let (sweep, signal) = follow::follow_until(node, None, sweep, choice, settings, Some(&holds)).await?;
    match signal {
        Some(exit) => Ok(exit),
        None if until.is_some_and(|until| until.holds(&sweep)) => Ok(Exit::Done),
        None => {
            progress::write_end(&sweep, out)?;
            Ok(if args.until.is_some() { run::verdict(&sweep) } else { Exit::Done })
        }
    }
}

fn over(sweep: &pb::Sweep) -> bool {
    use pb::sweep::State;
    matches!(sweep.state(), State::Finished | State::Stopped | State::Damaged)
}

/// The log as JSON lines, until the sweep is over or the reader has gone.
async fn entries(args: &Args, sweep: pb::Sweep, node: &Node, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = node.client();
    let mut from = args.from;
    let mut last = sweep;
    loop {
        let request = pb::WatchRequest {
            sweep: last.sweep.clone(),
            from,
            reports: pb::watch_request::ReportDetail::All.into(),
            kinds: Vec::new(),
        };
        let mut stream = client.sweeps().watch(request).await?.into_inner();
        while let Some(message) = connect::next(&mut stream).await? {
            for entry in &message.entries {
                writeln!(out, "{}", json::of(entry))?;
            }
            out.flush()?;
            from = from.max(message.pos + 1);
            last = client
                .sweeps()
                .get(pb::GetSweepRequest { sweep: last.sweep.clone(), model: false })
                .await?
                .into_inner();
            let done = over(&last) && from > last.pos;
            if done || args.until.is_some_and(|until| until.holds(&last)) {
                return Ok(if args.until.is_some() && done { run::verdict(&last) } else { Exit::Done });
            }
        }
        node.broke_off().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_parse() {
        assert_eq!("finished".parse(), Ok(Until::Finished));
        assert_eq!("best<0.2".parse(), Ok(Until::Best { below: true, bound: 0.2 }));
        assert_eq!("best > 9e-1".parse(), Ok(Until::Best { below: false, bound: 0.9 }));
        for bad in ["", "best", "best=1", "best<x", "best<nan", "bést<1"] {
            assert!(bad.parse::<Until>().is_err(), "{bad}");
        }
    }
}
