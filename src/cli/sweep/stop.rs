//! `swath sweep stop`: final.

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Stop a sweep for good: running runs are ended, it never runs again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = pb::StopSweepRequest { request_id: request_id(), sweep: args.sweep };
    let sweep = session.client.sweeps().stop(request).await?.into_inner().sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
        talk!("stopped; its trials stay: swath sweep show {}", sweep.sweep);
    }
    Ok(())
}
