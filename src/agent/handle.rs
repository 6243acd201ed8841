//! Starting an agent, and what its owner may do with it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::core::{Identity, Status};
use super::gpus::Gpu;
use super::machine::Machine;
use super::shell::Shell;
use crate::api::client::Client;
use crate::pb;

/// How an agent is to be.
#[derive(Debug)]
pub struct Options {
    /// Holds `STORE/MACHINE/`, the agents' place on this machine.
    pub work_dir: PathBuf,
    /// Which machine this is.
    pub machine: Machine,
    /// Where a relative `workdir` of a sweep begins.
    pub start_dir: PathBuf,
    /// swath's own binary, which is the runner too: [`crate::runner::OWN_BINARY`], but for tests.
    pub program: PathBuf,
    /// Runs at once; 0: adopts what is there, and starts nothing.
    pub slots: u32,
    /// GPUs that runs may get.
    pub gpus: Vec<Gpu>,
    /// Its name, kept over restarts; none: it draws one.
    pub agent: Option<String>,
    /// Only runs of this sweep are wanted.
    pub sweep: Option<String>,
    /// Replaces another process of the same name that still lives.
    pub take_over: bool,
    /// How it reaches the controller.
    pub client: Client,
}

/// A running agent. Dropping it leaves its runs to the next one, as [`AgentHandle::detach`] does, without waiting.
#[derive(Debug)]
pub struct AgentHandle {
    id: String,
    status: watch::Receiver<Status>,
    kill: Arc<Notify>,
    leave: DropGuard,
    task: JoinHandle<()>,
}

/// Starts an agent on the current runtime.
pub fn start(options: Options) -> AgentHandle {
    let id = options.agent.clone().unwrap_or_else(|| format!("a{:015x}", rand::random::<u64>() >> 4));
    let identity = Identity {
        agent: id.clone(),
        incarnation: rand::random::<[u8; 16]>().to_vec(),
        machine: options.machine.id.clone(),
        boot: options.machine.boot.clone(),
        host: options.machine.host.clone(),
        sweep: options.sweep.clone().unwrap_or_default(),
        take_over: options.take_over,
        inventory: inventory(&options),
    };
    let (show, status) = watch::channel(Status::default());
    let leave = CancellationToken::new();
    let kill = Arc::new(Notify::new());
    let shell = Shell::new(options, identity, show, leave.clone(), Arc::clone(&kill));
    AgentHandle { id, status, kill, leave: leave.drop_guard(), task: tokio::spawn(shell.live()) }
}

impl AgentHandle {
    /// The agent's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Its state as it changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the controller has answered and no run is held any more: all ended, and all of it acknowledged.
    pub async fn idle(&self) {
        // An agent that has ended holds nothing either.
        let _ = self.status.clone().wait_for(|status| status.connected && status.runs == 0).await;
    }

    /// SIGKILL to every run that is held, at once: a person's second Ctrl-C.
    pub fn kill_runs(&self) {
        self.kill.notify_one();
    }

    /// Leaves: the runs go on, and the next agent adopts them. An agent that holds none leaves no trace.
    pub async fn detach(self) {
        drop(self.leave);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the agent's task failed");
        }
    }
}

fn inventory(options: &Options) -> pb::Inventory {
    let devices = options.gpus.iter().map(|gpu| pb::Device {
        uuid: gpu.uuid.clone(),
        index: gpu.index,
        name: gpu.name.clone(),
    });
    pb::Inventory {
        slots: options.slots,
        devices: devices.collect(),
        cpus: options.machine.cpus,
        memory_bytes: options.machine.memory_bytes,
    }
}
