//! `swath trial enqueue`: what runs next.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::cli::talk;
use crate::pb;
use crate::space::Assignment;
use crate::spec::{Code, command};

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
    let request = match &args.from {
        None => pb::EnqueueRequest { sweep: args.sweep, params: args.params, ..Default::default() },
        Some(trial) => like(trial, args.sweep, session).await?,
    };
    let request = pb::EnqueueRequest { request_id: request_id(), repeat: args.repeat, ..request };
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

/// The assignment of a trial: by its number in the same sweep, by its values in another.
async fn like(trial: &TrialRef, sweep: String, session: &Session<'_>) -> Result<pb::EnqueueRequest, Failure> {
    let target =
        session.client.sweeps().get(pb::GetSweepRequest { sweep, model: false }).await?.into_inner().sweep;
    let wanted = super::show::request(trial, Some(&target))?;
    let trial = session.client.trials().get(wanted).await?.into_inner();
    if trial.sweep == target {
        return Ok(pb::EnqueueRequest { sweep: target, from: Some(trial.trial), ..Default::default() });
    }
    let assignment = Assignment::try_from(&trial.params.unwrap_or_default())
        .map_err(|error| Failure::new(Exit::Failed, Code::BadMessage, error))?;
    let params = vec![command::python_json_of(&assignment)];
    Ok(pb::EnqueueRequest { sweep: target, params, ..Default::default() })
}
