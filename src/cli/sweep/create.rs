//! `swath sweep create`: hand a sweep file to the controller; `swath run --resume` on it gives it a home.

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::cli::session::{Session, request_id};
use crate::cli::sweep_file::SweepFile;
use crate::pb;

/// Create a sweep without running it here; prints its id
///
/// It waits until a `swath run --resume ID` works for it, or somebody takes its trials with `swath ask ID`: for that it needs
/// neither program nor command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sweep file
    file: PathBuf,
    /// Begin paused
    #[arg(long)]
    paused: bool,
    /// The same id twice creates one sweep
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    overrides: crate::cli::sweep_file::Overrides,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let file = SweepFile::read(&args.file)?;
    let checked = file.check(&args.overrides, session.settings)?;
    let request = pb::CreateSweepRequest {
        request_id: args.request_id.unwrap_or_else(request_id),
        project: session.settings.project.value.clone(),
        paused: args.paused,
        ..checked
    };
    let response = session.client.sweeps().create(request).await?.into_inner();
    for note in &response.learned {
        crate::cli::talk!("{}", crate::cli::format::escape(note));
    }
    let sweep = response.sweep.unwrap_or_default();
    if !session.print_data(&sweep)? {
        writeln!(session.out, "{}", sweep.sweep)?;
    }
    Ok(())
}
