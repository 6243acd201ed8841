//! `swath sweep resume`.

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Let a paused sweep go on where it is
///
/// Its runs start where its `swath run` lives; where none does, `swath run --resume ID` gives it a place.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last [default: the only unfinished one]
    sweep: Option<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let sweep = session.sweep_or_only(args.sweep.as_deref()).await?;
    let request = pb::ResumeSweepRequest { request_id: request_id(), sweep, ..Default::default() };
    let sweep = session.client.sweeps().resume(request).await?.into_inner().sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
        if sweep.home_alive {
            talk!("going on");
        } else {
            talk!("nobody works for it now; give it a place: swath run --resume {}", sweep.sweep);
        }
    }
    Ok(())
}
