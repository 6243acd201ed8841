//! The way to a controller: the local store, of which this process may become the holder.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;

use crate::agent::{self, AgentHandle, Machine, gpus};
use crate::api::client::{self, Client};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::local::{Error, Local};
use crate::cli::settings::{Origin, Settings};
use crate::cli::{talk, terminal};
use crate::controller::Ended;
use crate::pb;
use crate::runner::OWN_BINARY;
use crate::spec::Code;
use crate::store;

/// Runs at once that a `swath run` offers: the sweep's `parallel` and the GPUs are what bounds it.
const SLOTS: u32 = 1024;
/// Before a stream that broke is opened again.
const MOMENT: Duration = Duration::from_millis(20);
/// How long a command waits for its own keeper.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime of a command that talks to a controller.
///
/// # Errors
///
/// The system gives no threads.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// This process's place in the store, and its client.
pub(super) struct Node {
    local: Local,
    client: Client,
    /// Adopts what runs here while this process holds the store; starts nothing.
    keeper: OnceCell<AgentHandle>,
}

impl Node {
    /// Joins the local store; where nobody holds it, this process does from now on.
    ///
    /// # Errors
    ///
    /// The store is held by a process that does not answer, is damaged, or cannot be made.
    pub(super) async fn join(settings: &Settings) -> Result<Self, Failure> {
        Self::join_with(settings, store::Options::default()).await
    }

    /// [`Node::join`] with the store's own options.
    ///
    /// # Errors
    ///
    /// As [`Node::join`].
    pub(super) async fn join_with(settings: &Settings, options: store::Options) -> Result<Self, Failure> {
        let chosen = settings.data_dir.origin != Origin::Default;
        let (local, note) = Local::prepare(&settings.data_dir.value, chosen, options, Arc::new(end_at_once))?;
        if let Some(note) = note {
            talk!("note: {note}");
        }
        let client = local.client().await?.with_deadline(settings.timeout.value);
        Ok(Node { local, client, keeper: OnceCell::new() })
    }

    /// The client.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where the store is.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.local.dir()
    }

    /// Takes care of the runs that live here while this process holds the store and is no `swath run`: they report to
    /// nobody else.
    ///
    /// # Errors
    ///
    /// The machine cannot be told.
    pub(super) async fn keep_runs(&self) -> Result<(), Failure> {
        if self.keeper.get().is_none() && self.local.is_holder().await {
            let options = self.agent(format!("keeper-{}-{}", std::process::id(), salt()), 0, Vec::new())?;
            self.keeper.get_or_init(async || agent::start(options)).await;
        }
        Ok(())
    }

    /// A stream of the controller broke: the next one answers, or this process has taken its place. Waits a moment, so
    /// that who asks again and again is no burden.
    ///
    /// # Errors
    ///
    /// As [`Node::keep_runs`].
    pub(super) async fn broke_off(&self) -> Result<(), Failure> {
        tokio::time::sleep(MOMENT).await;
        // Who is there now, this process perhaps, shows with a connection; the stream's own next call says what is wrong.
        let _ = self.client.admin().status(pb::StatusRequest {}).await;
        self.keep_runs().await?;
        self.is_kept().await;
        Ok(())
    }

    /// Waits a moment until the keeper, if there is one, is known to the controller: then it can be asked.
    pub(super) async fn is_kept(&self) {
        if let Some(keeper) = self.keeper.get() {
            let mut status = keeper.watch();
            let known = status.wait_for(|status| status.connected);
            // Without it the controller answers with what it has itself.
            let _ = tokio::time::timeout(PATIENCE, known).await;
        }
    }

    /// Starts the agent of a `swath run`.
    ///
    /// # Errors
    ///
    /// The GPUs or the machine cannot be told.
    pub(super) fn work(&self, id: String, gpus: Vec<gpus::Gpu>, sweep: &str) -> Result<AgentHandle, Failure> {
        let options = self.agent(id, SLOTS, gpus)?;
        Ok(agent::start(agent::Options { sweep: Some(sweep.to_owned()), ..options }))
    }

    fn agent(&self, id: String, slots: u32, gpus: Vec<gpus::Gpu>) -> Result<agent::Options, Failure> {
        Ok(agent::Options {
            work_dir: self.dir().join("work"),
            machine: Machine::here(self.dir())?,
            start_dir: std::env::current_dir()?,
            program: OWN_BINARY.into(),
            slots,
            gpus,
            agent: Some(id),
            sweep: None,
            take_over: false,
            client: self.client.clone(),
        })
    }

    /// Leaves the store: another process that is there takes over. With `settle`, first waits until stops that were
    /// given are carried out and what lies in spools is handed over.
    pub(super) async fn leave(self, settle: bool) {
        if let Some(keeper) = self.keeper.into_inner() {
            if settle {
                settled(&keeper).await;
            }
            keeper.detach().await;
        }
        self.local.leave().await;
    }
}

/// Waits until no run of the agent is on its way out.
async fn settled(keeper: &AgentHandle) {
    let _ = keeper
        .watch()
        .wait_for(|status| status.connected && status.runs == status.live && status.stopping == 0)
        .await;
}

/// An agent's id that names this process: `run-4711-9f86d081`.
pub(super) fn agent_id() -> String {
    format!("run-{}-{}", std::process::id(), salt())
}

fn salt() -> String {
    format!("{:08x}", rand::random::<u32>())
}

/// The process that an agent's id names.
pub(super) fn pid_of(agent: &str) -> Option<u32> {
    agent.strip_prefix("run-")?.split('-').next()?.parse().ok()
}

/// The only unfinished sweep.
///
/// # Errors
///
/// There is none, or there are several.
pub(super) async fn only_unfinished(client: &Client) -> Result<String, Failure> {
    let request = pb::ListSweepsRequest { unfinished: true, page_size: 20, ..Default::default() };
    let sweeps = client.sweeps().list(request).await?.into_inner().sweeps;
    match sweeps.as_slice() {
        [only] => Ok(only.sweep.clone()),
        [] => Err(Failure::new(
            Exit::NotFound,
            Code::NotFound,
            "no sweep is unfinished, so one has to be named",
        )
        .help("swath sweep list shows all of them; @last is the newest")),
        several => {
            let start = Failure::new(
                Exit::Usage,
                Code::Ambiguous,
                "several sweeps are unfinished, so one has to be named",
            );
            Err(several.iter().fold(start, |failure, sweep| {
                failure.context(format!("{}  {}", sweep.sweep, crate::cli::format::escape(&sweep.name)))
            }))
        }
    }
}

/// The store was fenced off or broke under the controller: nothing that was not stored may be answered, so the process
/// ends at once.
fn end_at_once(ended: &Ended) {
    let exit = match ended {
        Ended::Shutdown => return,
        Ended::Fenced(_) => Exit::Refused,
        Ended::Broken(_) => Exit::Damaged,
    };
    terminal::hold_back(false); // no live view will show it any more
    talk!("error {}: {ended}\nexit code {}", Code::StoreLost, exit.code());
    std::process::exit(i32::from(exit.code()));
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Held(held) => Failure::new(Exit::Refused, Code::Held, held),
            Error::Dir(error) => Failure::new(Exit::Failed, Code::BadDataDir, error),
            Error::Open(store::OpenError::Dir(error)) => Failure::new(Exit::Refused, Code::BadDataDir, error),
            Error::Open(error @ (store::OpenError::Lost { .. } | store::OpenError::Mark { .. })) => {
                Failure::new(Exit::Damaged, Code::StoreDamaged, error)
                    .help("restore the last backup: swath restore BACKUP --data-dir NEW")
                    .help("or go on without what is gone, which is recorded: swath run --accept-loss FILE")
            }
            Error::Open(error) if error.is_integrity() => {
                Failure::new(Exit::Damaged, Code::StoreDamaged, error)
                    .help("restore the last backup: swath restore BACKUP --data-dir NEW")
            }
            Error::Open(error) => Failure::new(Exit::Refused, Code::CannotOpen, error),
            Error::Start(error) => Failure::new(Exit::Damaged, Code::NotServed, error),
            Error::Socket { .. } | Error::Ended(_) => Failure::new(Exit::Failed, Code::NotServed, error),
            Error::Channel(error) => error.into(),
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        use client::Kind;
        let exit = match error.kind {
            Kind::Invalid => Exit::Usage,
            Kind::NotFound => Exit::NotFound,
            Kind::Denied => Exit::Denied,
            Kind::Exists | Kind::Conflict | Kind::State => Exit::Refused,
            Kind::Unavailable | Kind::Deadline => Exit::Unreachable,
            Kind::Exhausted | Kind::Unsupported | Kind::Internal => Exit::Failed,
        };
        let default = if exit == Exit::Unreachable { Code::NoAnswer } else { Code::BadMessage };
        let mut failure = Failure::new(exit, error.code.unwrap_or(default), error.message);
        failure.help.extend(error.help);
        failure.field = error.field.unwrap_or_default();
        failure
    }
}

/// The next message of a stream; none: it broke off, and goes on with whoever holds the store then.
///
/// # Errors
///
/// What the controller refused.
pub(super) async fn next<T>(stream: &mut tonic::Streaming<T>) -> Result<Option<T>, Failure> {
    use tonic::Code::{Aborted, Cancelled, Internal, Unavailable, Unknown};
    match stream.message().await {
        Ok(message) => Ok(message),
        // A connection that is cut has many names; a refusal bears a code of its own.
        Err(status) => match (status.code(), client::Error::from(status)) {
            (Unavailable, _) => Ok(None),
            (Aborted | Cancelled | Internal | Unknown, error) if error.code.is_none() => Ok(None),
            (_, error) => Err(error.into()),
        },
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        client::Error::from(status).into()
    }
}
