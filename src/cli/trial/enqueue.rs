//! `swath trial enqueue`: what runs next.

use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;

/// Queue assignments of your own: they run next
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
    /// The assignment as JSON, nested as in the file: '{"lr": 0.001}'
    #[arg(long, value_name = "JSON", required_unless_present = "from")]
    params: Vec<String>,
    /// So many times each, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,
    /// The assignment of this trial
    #[arg(long, value_name = "TRIAL", conflicts_with = "params")]
    from: Option<TrialRef>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let from = match &args.from {
        None => None,
        Some(trial) => {
            let wanted = super::show::request(trial, Some(&args.sweep))?;
            Some(session.client.trials().get(wanted).await?.into_inner().trial)
        }
    };
    let request = pb::EnqueueRequest {
        request_id: request_id(),
        sweep: args.sweep,
        params: args.params,
        repeat: args.repeat,
        from,
    };
    let response = session.client.trials().enqueue(request).await?.into_inner();
    if session.print_data(&response)? {
        return Ok(());
    }
    let sweep = response.sweep.unwrap_or_default();
    for trial in &response.trials {
        writeln!(session.out, "{}/{trial}", sweep.sweep)?;
    }
    if !response.note.is_empty() {
        talk!("{}", response.note);
    }
    if !sweep.home_alive {
        talk!("nobody works for the sweep now; give it a place: swath run --resume {}", sweep.sweep);
    }
    Ok(())
}
