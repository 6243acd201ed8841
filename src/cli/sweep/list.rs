//! `swath sweep list`: unfinished sweeps first, then the newest.

use crate::cli::failure::Failure;
use crate::cli::format::{age, count};
use crate::cli::output::{self, Format};
use crate::cli::session::Session;
use crate::cli::table::{Column, Table};
use crate::cli::terminal::{Stream, is_utf8};
use crate::cli::{completions, talk, words};
use crate::pb;

/// List sweeps: unfinished first, then the newest
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// running, paused, finished or stopped
    #[arg(long)]
    state: Option<State>,
    /// Only those with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only your own
    #[arg(long)]
    mine: bool,
    /// Deleted ones too
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Running,
    Paused,
    Finished,
    Stopped,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let request = pb::ListSweepsRequest {
        state: args.state.map(|state| format!("{state:?}").to_lowercase()).unwrap_or_default(),
        tag: args.tag.unwrap_or_default(),
        mine: args.mine,
        all: args.all,
        page_size: 1000,
        ..Default::default()
    };
    let mut sweeps = Vec::new();
    let mut token = String::new();
    loop {
        let page = pb::ListSweepsRequest { page_token: token, ..request.clone() };
        let response = session.client.sweeps().list(page).await?.into_inner();
        sweeps.extend(response.sweeps);
        token = response.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if let Err(error) = completions::note_listed(session.node.dir(), &sweeps) {
        tracing::debug!(%error, "the shell will not complete these sweeps");
    }
    if session.settings.quiet {
        for sweep in &sweeps {
            writeln!(session.out, "{}", sweep.sweep)?;
        }
        return Ok(());
    }
    let response = pb::ListSweepsResponse { sweeps, next_page_token: String::new() };
    if session.print_data(&response)? {
        return Ok(());
    }
    if response.sweeps.is_empty() {
        talk!("no sweeps yet; start one: swath run SWEEP.yaml");
        return Ok(());
    }
    let wide = session.settings.output.value == Format::Wide;
    let table = table(&response.sweeps, wide);
    output::table(session.settings, &table, session.out)?;
    if Stream::Stdout.is_terminal() {
        let running = response.sweeps.iter().filter(|s| s.state() == pb::sweep::State::Running).count();
        writeln!(session.out, "{} · {running} running", count(response.sweeps.len() as u64, "sweep"))?;
    }
    Ok(())
}

fn table(sweeps: &[pb::Sweep], wide: bool) -> Table {
    let mut columns = vec![
        Column::text("ID", 0),
        Column::text("NAME", 0),
        Column::text("STATE", 0),
        Column::text("TRIALS", 0),
        Column::text("BEST", 0),
        Column::text("TREND", 3),
        Column::text("COST", 4),
        Column::text("OWNER", 5),
        Column::text("AGE", 2),
    ];
    if wide {
        let more = ["METHOD", "SEED", "GOAL", "FAILED", "STOPPED", "PROJECT", "TAGS", "CREATED"];
        columns.extend(more.map(|head| Column::text(head, 0)));
    }
    let mut table = Table::new(columns);
    let (now, utf8) = (words::now_us(), is_utf8());
    for sweep in sweeps {
        let counts = sweep.counts.unwrap_or_default();
        let mut row = vec![
            sweep.sweep.clone(),
            sweep.name.clone(),
            if sweep.hidden { "deleted".to_owned() } else { words::sweep_state(sweep).to_owned() },
            words::progress(sweep),
            words::best(sweep),
            words::sparkline(&sweep.trend, 8, utf8),
            dash(words::cost(sweep.gpu_hours)),
            dash(sweep.owner.clone()),
            words::since(sweep.created.as_ref(), now).map_or_else(|| "-".to_owned(), age),
        ];
        if wide {
            let goal = sweep.objectives.iter().map(words::goal).collect::<Vec<_>>().join(" ");
            row.extend([
                sweep.method.clone(),
                sweep.seed.clone(),
                dash(goal),
                counts.failed.to_string(),
                counts.stopped.to_string(),
                sweep.project.clone(),
                dash(sweep.tags.join(",")),
                sweep.created.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]);
        }
        table.row(row);
    }
    table
}

fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
