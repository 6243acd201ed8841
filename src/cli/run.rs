//! `swath run`: store, search, agent and view in one process, for one sweep.
//!
//! It is a client and an agent like any other; whichever `swath run` holds the store is also the controller (see
//! [`crate::cli::connect`]). Killing it loses nothing: its runs go on, and the next start finds them.

use std::io::Write;
use std::path::PathBuf;

use crate::agent::gpus;
use crate::cli::connect::{self, Node};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::follow;
use crate::cli::format::escape;
use crate::cli::json;
use crate::cli::output;
use crate::cli::progress::{self, Choice};
use crate::cli::session::request_id;
use crate::cli::settings::Settings;
use crate::cli::sweep_file::{Overrides, SweepFile};
use crate::cli::talk;
use crate::cli::words;
use crate::pb;
use crate::spec::Code;
use crate::store;

/// Run a sweep here and print its best trial
///
/// The same file again goes on with its unfinished sweep: after Ctrl-C, a crash, a reboot. Ctrl-C pauses: running trials
/// are stopped in order, go back to the queue and cost no retry; a second one kills them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  swath run sweep.yaml\n  swath run sweep.yaml -n 20 --set method=random\n  swath run --resume @last -n 40"
)]
pub(super) struct Args {
    /// The sweep file
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Which GPUs may be used: all, none, or a list such as 0,2
    #[arg(long, value_name = "LIST", default_value = "all")]
    gpus: gpus::Choice,
    /// Show what would be done; start nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with a sweep that was paused, interrupted, or has ended below a larger -n or --budget
    #[arg(long, value_name = "SWEEP", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["file", "new"])]
    resume: Option<String>,
    /// Start afresh although an unfinished sweep of this file exists
    #[arg(long)]
    new: bool,
    /// Open a store that lost acknowledged entries, and go on without them; the loss is recorded
    #[arg(long)]
    accept_loss: bool,
    /// Do not pause when the first 3 trials to end fail alike
    #[arg(long)]
    keep_going: bool,
    /// Form of the progress [default: live on a terminal, lines elsewhere] [env: SWATH_PROGRESS]
    #[arg(long, value_enum, value_name = "FORM")]
    progress: Option<Choice>,
}

/// Runs the sweep to its end.
///
/// # Errors
///
/// A wrong file, a store that is held or damaged, a sweep that is at work elsewhere.
pub(super) fn run(args: Args, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Failure> {
    let file = args.file.as_deref().map(SweepFile::read).transpose()?;
    if args.dry_run {
        let Some(file) = file else { return Err(Failure::usage("--dry-run needs the sweep file")) };
        return super::check::dry_run(&file, &(&args.overrides.to_pb()).into(), settings, out);
    }
    let choice = progress::choose(args.progress, settings)?;
    let request = file.map(|file| file.check(&args.overrides, settings)).transpose()?;
    connect::runtime()?.block_on(async {
        let options =
            store::Options { accept_loss: args.accept_loss.then(rand::random), ..store::Options::default() };
        let node = Node::join_with(settings, options).await?;
        let done = work(&args, request, choice, settings, &node, out).await;
        node.leave(false).await;
        done
    })
}

/// Finds or makes the sweep, works for it until it ends or the person leaves, and prints the result.
async fn work(
    args: &Args,
    request: Option<pb::CreateSweepRequest>,
    choice: Choice,
    settings: &Settings,
    node: &Node,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let gpus = usable_gpus(&args.gpus)?;
    let id = connect::agent_id();
    let start = Start { args, settings, node, agent: &id };
    let (sweep, signal) = match start.sweep(request).await? {
        Begun::Ended(sweep) => (sweep, None),
        Begun::Running(sweep) => {
            let agent = node.work(id.clone(), gpus, &sweep.sweep)?;
            let followed = follow::follow(node, Some(&agent), sweep, choice, settings).await;
            agent.detach().await;
            followed?
        }
    };
    finish(&sweep, signal, settings, node, out).await
}

/// The GPUs that runs may get: those that swath's own `CUDA_VISIBLE_DEVICES` leaves, of them the chosen ones.
fn usable_gpus(choice: &gpus::Choice) -> Result<Vec<gpus::Gpu>, Failure> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let library = std::env::var_os(gpus::LIBRARY_VARIABLE);
    gpus::usable(choice, visible.as_deref(), library.as_deref())
        .map_err(|error| Failure::new(Exit::Failed, Code::NoGpu, error))
}

/// What the start found.
enum Begun {
    Running(pb::Sweep),
    /// Ended before, and no larger limit was given: its end is shown again.
    Ended(pb::Sweep),
}

/// Finding or making the sweep.
struct Start<'a> {
    args: &'a Args,
    settings: &'a Settings,
    node: &'a Node,
    agent: &'a str,
}

impl Start<'_> {
    async fn sweep(&self, request: Option<pb::CreateSweepRequest>) -> Result<Begun, Failure> {
        let Some(request) = request else {
            let name = self.args.resume.clone().unwrap_or_default();
            return self.resume(&name).await;
        };
        if !self.args.new
            && let Some(old) = self.unfinished(&request).await?
        {
            talk!(
                "going on with {} {}, which this file began (--new starts another)",
                old.sweep,
                escape(&old.name)
            );
            return self.resume(&old.sweep).await;
        }
        self.create(request).await
    }

    async fn create(&self, request: pb::CreateSweepRequest) -> Result<Begun, Failure> {
        let request = pb::CreateSweepRequest {
            request_id: request_id(),
            project: self.settings.project.value.clone(),
            home: self.agent.to_owned(),
            keep_going: self.args.keep_going,
            ..request
        };
        let response = self.node.client().sweeps().create(request).await?.into_inner();
        for note in &response.learned {
            talk!("{}", escape(note));
        }
        Ok(Begun::Running(response.sweep.unwrap_or_default()))
    }

    /// The unfinished sweep of this very file, if there is one. One of the file's earlier content is named, not taken.
    async fn unfinished(&self, request: &pb::CreateSweepRequest) -> Result<Option<pb::Sweep>, Failure> {
        let list = pb::ListSweepsRequest {
            origin_file: request.origin_file.clone(),
            origin_folder: request.origin_folder.clone(),
            unfinished: true,
            page_size: 20,
            ..Default::default()
        };
        let sweeps = self.node.client().sweeps().list(list).await?.into_inner().sweeps;
        let (same, changed): (Vec<_>, Vec<_>) =
            sweeps.into_iter().partition(|sweep| sweep.origin_hash == request.origin_hash);
        if let (true, Some(old)) = (same.is_empty(), changed.first()) {
            talk!(
                "the file or its options changed since the unfinished sweep {}, so this is a new one; that one goes on with: swath run --resume {}; to change its limits: swath sweep set {} run_cap=N",
                old.sweep,
                old.sweep,
                old.sweep
            );
        }
        Ok(same.into_iter().next())
    }

    async fn resume(&self, name: &str) -> Result<Begun, Failure> {
        let client = self.node.client();
        let sweep = if name.is_empty() { connect::only_unfinished(&client).await? } else { name.to_owned() };
        let request = pb::GetSweepRequest { sweep, model: false };
        let sweep = client.sweeps().get(request).await?.into_inner();
        self.go_on(sweep).await
    }

    async fn go_on(&self, sweep: pb::Sweep) -> Result<Begun, Failure> {
        use pb::sweep::State;
        if sweep.home_alive && sweep.home != self.agent {
            let what = format!("sweep {} is at work in another swath run{}", sweep.sweep, whose(&sweep.home));
            return Err(Failure::new(Exit::Refused, Code::AlreadyRunning, what)
                .help(format!("look at it: swath watch {}", sweep.sweep))
                .help("or start another sweep of the same file: swath run FILE --new"));
        }
        let raised = self.args.overrides.trials.is_some() || !self.args.overrides.budget.is_empty();
        let over = matches!(sweep.state(), State::Finished | State::Stopped);
        if over && !raised && sweep.counts.unwrap_or_default().queued == 0 {
            return Ok(Begun::Ended(sweep));
        }
        let request = pb::ResumeSweepRequest {
            request_id: request_id(),
            sweep: sweep.sweep,
            home: self.agent.to_owned(),
            trials: self.args.overrides.trials,
            budget: self.args.overrides.budget.clone(),
        };
        let sweep = self.node.client().sweeps().resume(request).await?.into_inner().sweep.unwrap_or_default();
        Ok(match sweep.state() {
            State::Finished | State::Stopped => Begun::Ended(sweep),
            State::Running | State::Paused | State::Damaged | State::Unspecified => Begun::Running(sweep),
        })
    }
}

/// ` (process 4711)`, where the agent's id says so.
fn whose(home: &str) -> String {
    connect::pid_of(home).map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Prints the result on stdout and says how it ended.
async fn finish(
    sweep: &pb::Sweep,
    signal: Option<Exit>,
    settings: &Settings,
    node: &Node,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    if settings.output.value.is_data() {
        output::document(settings.output.value, &json::of(sweep), out)?;
    } else if let Some(signal) = signal {
        progress::say_paused(sweep);
        return Ok(signal);
    } else if settings.quiet {
        for best in sweep.best.iter().chain(&sweep.front) {
            writeln!(out, "{}/{}", sweep.sweep, best.trial)?;
        }
    } else {
        progress::write_end(sweep, out)?;
    }
    if let Some(signal) = signal {
        return Ok(signal);
    }
    let exit = verdict(sweep);
    if exit == Exit::NoBest && sweep.state() == pb::sweep::State::Paused {
        return Err(progress::early_failure(sweep, &node.client()).await?);
    }
    Ok(exit)
}

/// The exit code that a sweep's end means.
pub(super) fn verdict(sweep: &pb::Sweep) -> Exit {
    match sweep.verdict {
        Some(0) => Exit::Done,
        Some(11) => Exit::Interrupted,
        Some(_) => Exit::NoBest,
        None if words::ended(&sweep.counts.unwrap_or_default()) == 0 => Exit::NoBest,
        None => Exit::Interrupted,
    }
}
