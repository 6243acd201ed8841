//! From an assignment to a runner: builds the command in this agent's environment, makes the folder, starts.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::core::from_wire;
use super::machine::Machine;
use super::uplink;
use crate::pb;
use crate::pb::BadMessage;
use crate::pb::placement::GpuGrant;
use crate::runner::{self, Folder, LockedSpool, Nursery, RunKey, Runner, Silence, Spec, StopSignal};
use crate::space::Assignment;
use crate::spec::Collect;
use crate::spec::command::{self, CommandError};

/// swath's own settings and tokens begin with this; no run sees them.
const OWN_PREFIX: &str = "SWATH_";
const VISIBLE_GPUS: &str = "CUDA_VISIBLE_DEVICES";

/// Why an assignment is refused: nothing was started, and nothing lies on the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the assignment says no {0}")]
    Missing(&'static str),
    #[error("the assignment's {0}")]
    Message(#[from] BadMessage),
    #[error("collect: {0}")]
    Collect(serde_json::Error),
    #[error("a stop signal {0} is unknown to this swath")]
    StopSignal(String),
    /// The user's fault: the same anywhere.
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: io::Error },
}

/// Where runs are started, and what of the machine they need to know.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) store: String,
    pub(crate) machine: Machine,
    /// Where the agent was started: a relative `workdir` begins here.
    pub(crate) start_dir: PathBuf,
    pub(crate) starter: Arc<Starter>,
    pub(crate) runs: PathBuf,
    pub(crate) checkpoints: PathBuf,
    pub(crate) lock: PathBuf,
}

/// Starts the agent's runners, one after another.
#[derive(Debug)]
pub(crate) struct Starter {
    /// swath itself.
    program: PathBuf,
    nursery: Mutex<Option<Nursery>>,
}

impl Starter {
    pub(crate) fn new(program: PathBuf) -> Starter {
        Starter { program, nursery: Mutex::new(None) }
    }

    /// Hands the spool's lock to a new runner.
    fn start(&self, spool: &LockedSpool) -> io::Result<Runner> {
        let mut nursery = self.nursery.lock().unwrap_or_else(PoisonError::into_inner);
        if nursery.is_none() {
            *nursery = Some(Nursery::start(&self.program, &spool.folder().runner_log())?);
        }
        let started = nursery.as_ref().map(|nursery| nursery.run(spool));
        // One that failed once is not asked again: it may be gone.
        started.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into())).inspect_err(|_| *nursery = None)
    }
}

/// All that a run's start needs, made before anything is on the disk.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spec: Spec,
    json_file: Option<(PathBuf, String)>,
}

/// Builds what the runner is told.
pub(crate) fn plan(assign: pb::Assign, ground: &Ground) -> Result<Plan, Unfit> {
    let run = from_wire(assign.run).ok_or(Unfit::Missing("run"))?;
    let order = assign.spec.ok_or(Unfit::Missing("spec"))?;
    let assignment = Assignment::try_from(&order.assignment.unwrap_or_default())?;
    let mut env = gpu_environment(&assign.placement.unwrap_or_default());
    env.extend(order.env.into_iter().map(|variable| (variable.name, variable.value)));
    let folder = Folder::of(&ground.runs, &run);
    let json_file = folder.path().join("args.json");
    let look_up = |name: &str| env.get(name).cloned().or_else(|| inherited(name));
    let program = Some(order.program.as_str()).filter(|program| !program.is_empty());
    let built =
        command::build_of(&order.command, program, &assignment, &look_up, &json_file.to_string_lossy())?;
    let silence =
        order.stop_after.map(|after| Silence { agent_lock: ground.lock.clone(), stop_after_ms: ms(after) });
    let spec = Spec {
        format: runner::FORMAT,
        store: ground.store.clone(),
        machine: ground.machine.id.clone(),
        boot: ground.machine.boot.clone(),
        name: if order.sweep_name.is_empty() { run.sweep.clone() } else { order.sweep_name },
        run,
        argv: built.argv.into_iter().map(Into::into).collect(),
        env,
        unset: own_variables(),
        workdir: Some(ground.start_dir.join(order.workdir)),
        checkpoint_dir: Some(ground.checkpoints.clone()),
        seed: order.seed,
        grace_ms: order.grace.map_or(0, ms),
        timeout_ms: order.timeout.map(ms),
        stop_signal: stop_signal(&order.stop_signal)?,
        params_json: command::python_json_of(&assignment),
        wandb_config: command::wandb_config_yaml(&assignment),
        wanted: order.wanted,
        collect: collect(&order.collect)?,
        log_bytes: Spec::default_log_bytes(),
        silence,
        notes: built.unset.iter().map(|name| unset_note(name)).collect(),
    };
    Ok(Plan { spec, json_file: built.json_file.map(|content| (json_file, content)) })
}

/// Makes the claimed folder and starts the runner in it. Where the runner does not start, the folder holds the end
/// that says so.
pub(crate) fn start(plan: &Plan, ground: &Ground) -> Result<Option<Runner>, Unfit> {
    make_sure_no_older_one_lives(ground, &plan.spec.run);
    let spool = runner::create_locked(&ground.runs, &plan.spec)
        .map_err(|error| Unfit::Io { what: "making the run's folder", error })?;
    let folder = spool.folder().clone();
    let started = write_json_file(plan).and_then(|()| ground.starter.start(&spool));
    drop(spool); // it would hold the lock beside the runner
    match started {
        Ok(runner) => Ok(Some(runner)),
        Err(error) => {
            tracing::warn!(run = plan.spec.run.display(), %error, "the runner could not be started");
            let spool = runner::wait_for_lock(&folder)
                .map_err(|error| Unfit::Io { what: "closing the run", error })?;
            if let Err(error) = runner::close_orphan(spool, &plan.spec.run) {
                tracing::error!(run = plan.spec.run.display(), %error, "the run could not be closed");
            }
            Ok(None)
        }
    }
}

fn write_json_file(plan: &Plan) -> io::Result<()> {
    match &plan.json_file {
        Some((path, content)) => super::files::write_new(path, content.as_bytes()),
        None => Ok(()),
    }
}

/// Attempts of a trial share a folder for checkpoints, so an older one that lives here, whoever's it is, ends first.
fn make_sure_no_older_one_lives(ground: &Ground, run: &RunKey) {
    let older = Folder::list(&ground.runs).unwrap_or_default().into_iter().filter(|(other, _)| {
        (&other.sweep, other.trial) == (&run.sweep, run.trial) && other.fence < run.fence
    });
    for (other, folder) in older {
        while let Ok(None) = runner::try_lock(&folder) {
            let Some(runner) = uplink::started(&folder).and_then(|started| runner::hold_runner(&started))
            else {
                // About to say that it has started, or gone just now.
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            tracing::info!(run = other.display(), "ending an older attempt of the same trial");
            // One that is gone already is what is wanted.
            let _ = rustix::process::pidfd_send_signal(&runner, rustix::process::Signal::QUIT);
            let _ = rustix::event::poll(
                &mut [rustix::event::PollFd::new(&runner, rustix::event::PollFlags::IN)],
                None,
            );
        }
    }
}

fn unset_note(name: &str) -> String {
    format!("the variable {name} is not set here, so the command has its name in place of ${{envvar:{name}}}")
}

/// The agent's own environment without swath's settings.
fn inherited(name: &str) -> Option<String> {
    if name.starts_with(OWN_PREFIX) { None } else { std::env::var(name).ok() }
}

fn own_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with(OWN_PREFIX)).collect()
}

/// The sweep's own `env` comes after this and wins.
fn gpu_environment(placement: &pb::Placement) -> BTreeMap<String, String> {
    let visible = match placement.gpus() {
        GpuGrant::Unspecified | GpuGrant::Untouched => return BTreeMap::new(),
        GpuGrant::Hidden => String::new(),
        GpuGrant::Devices => {
            placement.devices.iter().map(|device| device.uuid.as_str()).collect::<Vec<_>>().join(",")
        }
    };
    BTreeMap::from([(VISIBLE_GPUS.to_owned(), visible)])
}

fn stop_signal(name: &str) -> Result<StopSignal, Unfit> {
    match name {
        "" | "TERM" => Ok(StopSignal::Term),
        "INT" => Ok(StopSignal::Int),
        other => Err(Unfit::StopSignal(other.to_owned())),
    }
}

fn collect(json: &str) -> Result<Collect, Unfit> {
    if json.is_empty() { Ok(Collect::default()) } else { serde_json::from_str(json).map_err(Unfit::Collect) }
}

fn ms(duration: prost_types::Duration) -> u64 {
    Duration::try_from(duration).map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
