//! `swath ask`: trials for a script, a robot or a person who runs them.

use crate::cli::completions;
use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::{json, talk};
use crate::pb;
use crate::spec::duration;

/// Take trials from a sweep, to run them yourself
///
/// Prints one JSON object a line, the trial's values under "params" and its name under "run":
///
/// {"run":"q7k2m9xa/17.1","params":{"lr":0.003,"opt":"adam"},..}
///
/// Say what came of it with swath tell RUN. Nothing has to run the sweep's command: a sweep that is only asked is made by
/// swath sweep create. A trial of which nothing was told for as long as its lease is given to the next who asks. When the
/// sweep has no trial to give, nothing is printed, and stderr says why.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Id, prefix of it, name, or @last
    sweep: String,
    /// Trials at most, one after the other: each knows of those before it
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: u32,
    /// How long nothing may be told of a trial before it is given away
    #[arg(long, value_name = "TIME", default_value = "1h")]
    lease: String,
    /// The same id twice is one ask: the same trials are printed again
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Asks and prints.
///
/// # Errors
///
/// What the controller refused, or the connection lost.
pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let lease = duration::parse(&args.lease).map_err(|bad| Failure::usage(format!("--lease: {bad}")))?;
    let request = pb::AskRequest {
        request_id: args.request_id.unwrap_or_else(request_id),
        sweep: args.sweep,
        n: args.trials,
        lease: Some(pb::duration(lease)),
    };
    // As many asks in a row, each with the time of a request.
    let patience = session.settings.timeout.value.saturating_mul(args.trials);
    let client = session.client.clone().with_deadline(patience);
    let response = client.trials().ask(request).await?.into_inner();
    // The shell's convenience alone.
    let _ = completions::note_asked(session.node.dir(), &response.trials);
    if session.settings.quiet {
        for trial in &response.trials {
            writeln!(session.out, "{}", trial.run)?;
        }
    } else if !session.print_data(&response)? {
        for trial in &response.trials {
            writeln!(session.out, "{}", json::of(trial))?;
        }
    }
    if !response.why.is_empty() {
        talk!("{}", crate::cli::format::escape(&response.why));
    }
    Ok(())
}
