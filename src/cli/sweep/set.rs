//! `swath sweep set`: what may change while a sweep runs.

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Change a sweep while it runs
///
/// Keys: name, parallel, run_cap, budget.trials, budget.gpu_hours, budget.wall, retries, timeout, priority, tags, notes.
/// An empty value takes a limit away.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
    /// KEY=VALUE
    #[arg(required = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let seen = session
        .client
        .sweeps()
        .get(pb::GetSweepRequest { sweep: args.sweep, model: false })
        .await?
        .into_inner();
    let request =
        pb::SetSweepRequest { request_id: request_id(), sweep: seen.sweep, set: args.set, etag: seen.etag };
    let sweep = session.client.sweeps().set(request).await?.into_inner().sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
        talk!("changed; it is at version {} now", sweep.etag);
        if sweep.state() == pb::sweep::State::Running && !sweep.home_alive {
            talk!("nobody works for it now; give it a place: swath run --resume {}", sweep.sweep);
        }
    }
    Ok(())
}
