//! `swath trial retry`: new attempts of the same assignments.

use super::State;
use crate::cli::failure::Failure;
use crate::cli::format::count;
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Try trials again: new attempts of the same assignments
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// SWEEP/17 .., or 17 .. with --sweep, or a sweep with --state
    #[arg(required = true, value_name = "TRIAL")]
    trials: Vec<String>,
    /// The sweep, where TRIAL does not say
    #[arg(long)]
    sweep: Option<String>,
    /// All trials of the sweep in this state
    #[arg(long)]
    state: Option<State>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = match args.state {
        Some(state) => {
            let [sweep] = args.trials.as_slice() else {
                return Err(Failure::usage("with --state exactly one sweep is named"));
            };
            pb::RetryTrialsRequest { sweep: sweep.clone(), state: state.word(), ..Default::default() }
        }
        None => named(&args)?,
    };
    let request = pb::RetryTrialsRequest { request_id: request_id(), ..request };
    let response = session.client.trials().retry(request).await?.into_inner();
    if session.print_data(&response)? {
        return Ok(());
    }
    let sweep = response.sweep.unwrap_or_default();
    for trial in &response.trials {
        writeln!(session.out, "{}/{trial}", sweep.sweep)?;
    }
    if response.trials.is_empty() {
        talk!("no trial is {}: nothing to retry", args.state.map(|state| state.word()).unwrap_or_default());
        return Ok(());
    }
    talk!("{} queued again", count(response.trials.len() as u64, "trial"));
    if !sweep.home_alive {
        talk!("nobody works for the sweep now; give it a place: swath run --resume {}", sweep.sweep);
    }
    Ok(())
}

fn named(args: &Args) -> Result<pb::RetryTrialsRequest, Failure> {
    let mut sweep: Option<String> = None;
    let mut trials = Vec::new();
    for text in &args.trials {
        let trial: TrialRef = text.parse().map_err(Failure::usage)?;
        let its = trial.sweep(args.sweep.as_deref())?;
        if sweep.as_ref().is_some_and(|sweep| *sweep != its) {
            return Err(Failure::usage("the trials belong to different sweeps").help("one sweep a command"));
        }
        if trial.number() == 0 {
            return Err(Failure::usage("the best trial has a result: there is nothing to retry")
                .help("to run its assignment once more: swath trial enqueue SWEEP --from TRIAL"));
        }
        trials.push(trial.number());
        sweep = Some(its);
    }
    Ok(pb::RetryTrialsRequest { sweep: sweep.unwrap_or_default(), trials, ..Default::default() })
}
