//! `swath trial ..`: look at trials, stop, retry, enqueue and annotate them.

mod annotate;
mod enqueue;
mod list;
mod logs;
mod retry;
mod show;
mod stop;

use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Look at trials, stop, retry, enqueue and annotate them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::Args),
    Show(show::Args),
    Logs(logs::Args),
    Stop(stop::Args),
    Retry(retry::Args),
    Enqueue(enqueue::Args),
    Annotate(annotate::Args),
}

impl Command {
    /// Whether it changes anything.
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Command::List(_) | Command::Show(_) | Command::Logs(_))
    }
}

/// Carries it out.
///
/// # Errors
///
/// What the controller refused, or the connection lost.
pub(super) async fn run(command: Command, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        Command::List(args) => list::run(args, session).await,
        Command::Show(args) => show::run(args, session).await,
        Command::Logs(args) => logs::run(args, session).await,
        Command::Stop(args) => stop::run(args, session).await,
        Command::Retry(args) => retry::run(args, session).await,
        Command::Enqueue(args) => enqueue::run(args, session).await,
        Command::Annotate(args) => annotate::run(args, session).await,
    }
}

/// A trial's shown state, for `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Queued,
    Running,
    Succeeded,
    Stopped,
    Failed,
}

impl State {
    fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}
