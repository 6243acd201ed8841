//! `swath sweep pause`.

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Pause a sweep: no new trials; running ones end
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last [default: the only unfinished one]
    sweep: Option<String>,
    /// Stop running runs too: they go back to the queue and cost no retry
    #[arg(long)]
    now: bool,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let sweep = session.sweep_or_only(args.sweep.as_deref()).await?;
    let request = pb::PauseSweepRequest { request_id: request_id(), sweep, now: args.now };
    let sweep = session.client.sweeps().pause(request).await?.into_inner().sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
        talk!("paused; go on with: swath run --resume {}", sweep.sweep);
    }
    Ok(())
}
