//! `swath sweep delete`: hides it; `--undo` brings it back.

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Delete a sweep from the lists; live runs are stopped first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
    /// Bring a deleted one back
    #[arg(long)]
    undo: bool,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = pb::DeleteSweepRequest { request_id: request_id(), sweep: args.sweep, undo: args.undo };
    let sweep = session.client.sweeps().delete(request).await?.into_inner().sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
        if !args.undo {
            talk!("deleted; bring it back with: swath sweep delete --undo {}", sweep.sweep);
        }
    }
    Ok(())
}
