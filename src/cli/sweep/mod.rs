//! `swath sweep ..`: create, look at, change and end sweeps.

mod create;
mod delete;
mod export;
mod list;
mod model;
mod pause;
mod resume;
mod set;
mod show;
mod stop;

pub(super) use show::write_summary;

use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Create, look at, change and end sweeps
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(create::Args),
    List(list::Args),
    Show(show::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Stop(stop::Args),
    Set(set::Args),
    Export(export::Args),
    Delete(delete::Args),
}

impl Command {
    /// Whether it changes anything.
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Command::List(_) | Command::Show(_) | Command::Export(_))
    }
}

/// Carries it out.
///
/// # Errors
///
/// What the controller refused, or the connection lost.
pub(super) async fn run(command: Command, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::Show(args) => show::run(args, session).await,
        Command::Pause(args) => pause::run(args, session).await,
        Command::Resume(args) => resume::run(args, session).await,
        Command::Stop(args) => stop::run(args, session).await,
        Command::Set(args) => set::run(args, session).await,
        Command::Export(args) => export::run(args, session).await,
        Command::Delete(args) => delete::run(args, session).await,
    }
}
