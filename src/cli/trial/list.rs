//! `swath trial list`.

use super::State;
use crate::cli::failure::Failure;
use crate::cli::format::duration;
use crate::cli::front;
use crate::cli::output::{self, Format};
use crate::cli::session::Session;
use crate::cli::table::{Column, Table};
use crate::cli::{talk, words};
use crate::pb;

/// List the trials of a sweep
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, prefix of it, name, or @last [default: the only unfinished one]
    sweep: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// By number, by value (best first, of several objectives the first), or by duration; a leading - turns it round
    #[arg(long, value_name = "KEY", default_value = "trial", allow_hyphen_values = true)]
    sort: String,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    if !["trial", "value", "duration"].contains(&args.sort.trim_start_matches('-')) {
        return Err(
            Failure::usage(format!("there is no sort key '{}'", args.sort)).help("trial, value or duration")
        );
    }
    let sweep = session.sweep_or_only(args.sweep.as_deref()).await?;
    let request = pb::ListTrialsRequest {
        sweep,
        state: args.state.map(State::word).unwrap_or_default(),
        sort: args.sort,
        page_size: 1000,
        page_token: String::new(),
    };
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut trials = Vec::new();
    let mut token = String::new();
    while trials.len() < limit {
        let page = pb::ListTrialsRequest { page_token: token, ..request.clone() };
        let response = session.client.trials().list(page).await?.into_inner();
        trials.extend(response.trials);
        token = response.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    trials.truncate(limit);
    if session.settings.quiet {
        for trial in &trials {
            writeln!(session.out, "{}/{}", trial.sweep, trial.trial)?;
        }
        return Ok(());
    }
    let response = pb::ListTrialsResponse { trials, next_page_token: token };
    if session.print_data(&response)? {
        return Ok(());
    }
    if response.trials.is_empty() {
        talk!("no trials here yet");
        return Ok(());
    }
    let several = response.trials[0].objectives.len() > 1;
    let sweep = match several {
        true => {
            let sweep = response.trials[0].sweep.clone();
            session
                .client
                .sweeps()
                .get(pb::GetSweepRequest { sweep, ..Default::default() })
                .await?
                .into_inner()
        }
        false => pb::Sweep::default(),
    };
    let table = table(&response.trials, &sweep, session.settings.output.value == Format::Wide);
    output::table(session.settings, &table, session.out)
}

/// One column an objective; `sweep`, where there are several, says which trials are on the front.
fn table(trials: &[pb::Trial], sweep: &pb::Sweep, wide: bool) -> Table {
    let objectives: Vec<&str> =
        trials.first().map(|t| t.objectives.iter().map(|o| o.name.as_str()).collect()).unwrap_or_default();
    let several = objectives.len() > 1;
    let mut columns = vec![Column::number("TRIAL", 0), Column::text("STATE", 0)];
    if several {
        columns.extend(objectives.iter().map(|name| Column::metric(name)));
        columns.push(Column::text("FRONT", 1));
    } else {
        columns.push(Column::number("VALUE", 0));
    }
    columns.extend([
        Column::number("STEP", 2),
        Column::text("TIME", 3),
        Column::text("PARAMETERS", 0),
        Column::text("NOTE", 1),
    ]);
    if wide {
        columns.extend(["RANK", "RUNS", "SOURCE", "OBJECTIVE", "TAGS"].map(|head| Column::text(head, 0)));
    }
    let mut table = Table::new(columns);
    for trial in trials {
        let step = trial.objectives.first().and_then(|o| o.step).or(trial.last_step);
        let mut row = vec![trial.trial.to_string(), words::trial_state(trial).to_owned()];
        row.extend(front::values(trial));
        if several {
            row.push(if front::has(sweep, trial) { "yes".to_owned() } else { String::new() });
        } else if objectives.is_empty() {
            row.push(String::new());
        }
        row.extend([
            step.map(|step| step.to_string()).unwrap_or_default(),
            words::trial_duration(trial).map(duration).unwrap_or_default(),
            words::parameters(trial.params.as_ref()),
            note(trial),
        ]);
        if wide {
            row.extend([
                trial.rank.map(|rank| rank.to_string()).unwrap_or_default(),
                trial.runs.len().to_string(),
                trial.source.clone(),
                objectives.join(" "),
                trial.tags.join(","),
            ]);
        }
        table.row(row);
    }
    table
}

fn note(trial: &pb::Trial) -> String {
    let mut parts = Vec::new();
    if trial.excluded {
        parts.push("excluded".to_owned());
    }
    if trial.tags.iter().any(|tag| tag == "*") {
        parts.push("*".to_owned());
    }
    if !trial.reason.is_empty() {
        parts.push(trial.reason.clone());
    }
    let live = trial.runs.last().filter(|run| run.lease_end.is_some());
    parts.extend(live.and_then(words::caller));
    parts.join(" · ")
}
