//! `swath trial stop`.

use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::pb;

/// Stop a trial: it counts as stopped by a person, its value is kept
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// SWEEP/17, or 17 with --sweep
    trial: TrialRef,
    /// The sweep, where TRIAL does not say
    #[arg(long)]
    sweep: Option<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let sweep = args.trial.sweep(args.sweep.as_deref())?;
    let trial = match args.trial.number() {
        0 => {
            session
                .client
                .trials()
                .get(super::show::request(&args.trial, Some(&sweep))?)
                .await?
                .into_inner()
                .trial
        }
        number => number,
    };
    let request = pb::StopTrialRequest { request_id: request_id(), sweep, trial };
    let trial = session.client.trials().stop(request).await?.into_inner().trial.unwrap_or_default();
    if !session.print_data(&trial)? {
        writeln!(session.out, "{}/{}", trial.sweep, trial.trial)?;
    }
    Ok(())
}
