//! The command line: one file a command. Data goes to stdout, the talk to stderr.

mod ask;
mod audit;
mod backup;
mod check;
mod completions;
mod config;
mod connect;
mod doctor;
mod env_vars;
mod exit;
mod failure;
mod follow;
mod format;
mod front;
mod help;
mod json;
mod keys;
mod live;
mod local;
mod log;
mod man;
mod optimize;
mod output;
mod page;
mod progress;
mod reference;
mod restore;
mod run;
mod session;
mod settings;
mod sweep;
mod sweep_file;
mod table;
mod tell;
mod terminal;
mod trial;
mod watch;
mod words;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::settings::{Global, Settings};
use crate::cli::terminal::Stream;

/// Says something on stderr, where the talk goes. A closed stderr is no error.
macro_rules! talk {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = crate::cli::terminal::stderr().write_all(format!("{}\n", format_args!($($text)*)).as_bytes());
    }};
}
use talk;

pub use page::command_line_page;

/// Runs hyperparameter sweeps: proposes trials, runs them, loses nothing
#[derive(Debug, Parser)]
#[command(
    name = "swath",
    version,
    disable_help_subcommand = true,
    after_help = "Begin with: swath run SWEEP.yaml\nRead on: swath help files, swath help channels, swath help exit-codes",
    after_long_help = exit::TABLE
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Watch(watch::Args),
    #[command(visible_alias = "validate")]
    Check(check::Args),
    #[command(subcommand)]
    Sweep(sweep::Command),
    #[command(subcommand)]
    Trial(trial::Command),
    Ask(ask::Args),
    Tell(tell::Args),
    Optimize(optimize::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Config(config::Command),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Help(help::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// Plumbing: run one command under a runner of its own
    ///
    /// It passes the command's exit code through: 128+n for signal n, 125 when swath itself failed, 126 not executable,
    /// 127 not found.
    Exec {
        /// Keep the record of the run in this folder
        #[arg(long, value_name = "DIR")]
        spool: Option<std::path::PathBuf>,
        /// Time between SIGTERM and SIGKILL [default: 30s]
        #[arg(long, value_name = "TIME")]
        grace: Option<String>,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
}

/// The whole grammar, for help, completions and man pages.
fn grammar() -> clap::Command {
    Cli::command().max_term_width(100)
}

const FIRST_SCREEN: &str = "\
swath runs hyperparameter sweeps: it proposes trials, runs them, loses nothing.

  swath run SWEEP.yaml       run a sweep here and print its best trial
  swath check SWEEP.yaml     is this sweep file right, what will it do
  swath watch                live view of a running sweep
  swath sweep list           all sweeps; show, pause, stop, export one
  swath trial list SWEEP     its trials; show, logs, retry, enqueue

Read on: swath --help, swath run --help, swath help files";

/// Parses the command line, carries it out, and says how it ended.
pub fn main() -> ExitCode {
    let matches = match grammar().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return clap_exit(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return clap_exit(&error),
    };
    let mut out = terminal::stdout();
    let Some(command) = cli.command else {
        let _ = writeln!(out, "{FIRST_SCREEN}");
        return Exit::Done.into();
    };
    let settings = match settings::resolve(&cli.global) {
        Ok(settings) => settings,
        Err(failure) => {
            return report(&failure, false, Stream::Stderr.color(cli.global.color.unwrap_or_default()));
        }
    };
    for warning in &settings.warnings {
        talk!("warning: {warning}");
    }
    let color = Stream::Stderr.color(settings.color.value);
    match log::begin(&settings).and_then(|()| dispatch(command, &settings, &mut out)) {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure, settings.output.value == output::Format::Json, color),
    }
}

fn clap_exit(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// Says what failed, once, on stderr.
fn report(failure: &Failure, as_json: bool, color: bool) -> ExitCode {
    let mut err = terminal::stderr();
    let _ = if as_json { failure.write_json(&mut err) } else { failure.write(&mut err, color) };
    failure.exit.into()
}

fn dispatch(command: Command, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(*args, settings, out),
        Command::Watch(args) => watch::run(args, settings, out),
        Command::Check(args) => check::run(&args, settings, out),
        Command::Sweep(command) => {
            connected(settings, out, command.changes(), async |session| sweep::run(command, session).await)
        }
        Command::Trial(command) => {
            connected(settings, out, command.changes(), async |session| trial::run(command, session).await)
        }
        Command::Ask(args) => connected(settings, out, true, async |session| ask::run(args, session).await),
        Command::Tell(args) => connected(settings, out, true, async |session| tell::run(args, session).await),
        Command::Optimize(args) => optimize::run(&args, settings, out),
        Command::Audit(command) => audit::run(command, settings, out),
        Command::Config(command) => config::run(&command, settings, out),
        Command::Doctor(args) => doctor::run(&args, settings, out),
        Command::Backup(args) => {
            connected(settings, out, false, async |session| backup::run(args, session).await)
        }
        Command::Restore(args) => restore::run(&args, settings, out),
        Command::Help(args) => help::run(&args, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
        Command::Exec { .. } => {
            Err(Failure::usage("exec takes its command after --").help("swath exec -- CMD ARG .."))
        }
    }
}

/// Runs a command that talks to the controller. One that changes something, and finds nobody else holding the store,
/// stays until what it started is carried out.
fn connected(
    settings: &Settings,
    out: &mut dyn Write,
    settle: bool,
    command: impl AsyncFnOnce(&mut Session<'_>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    connect::runtime()?.block_on(async {
        let node = connect::Node::join(settings).await?;
        node.keep_runs().await?;
        let mut session = Session { settings, client: node.client(), node: &node, out };
        let done = command(&mut session).await;
        node.leave(settle).await;
        done.map(|()| Exit::Done)
    })
}
