//! Runners as an agent drives them: `swath exec` with a locked spool, real commands, kills and orphans.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod by_hand;
mod orphans;
mod reports;
mod starts;
mod stops;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use swath::runner::{
    self, Ended, Entry, FORMAT, Folder, LockedSpool, Nursery, Record, RunKey, Runner, Spec, SpoolReader,
    Started, StopCause,
};

use crate::support::binary;

static COUNT: AtomicU64 = AtomicU64::new(1);
const LONG: Duration = Duration::from_secs(60);

/// A folder of runs that goes away.
struct Runs(PathBuf);

impl Runs {
    fn new() -> Runs {
        let name = format!("swath-runner-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Runs(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A spec with defaults: no time limit, 10 s of grace.
fn a_run(argv: &[&str]) -> Spec {
    let fence = u64::from(std::process::id()) << 32 | COUNT.fetch_add(1, Ordering::Relaxed);
    Spec {
        format: FORMAT,
        store: "store".into(),
        machine: "machine".into(),
        boot: runner::boot_id(),
        run: RunKey { sweep: "q7k2m9xa".into(), trial: 17, attempt: 2, fence },
        name: "A sweep".into(),
        argv: argv.iter().map(OsString::from).collect(),
        env: BTreeMap::new(),
        unset: Vec::new(),
        workdir: None,
        checkpoint_dir: None,
        seed: 4711,
        grace_ms: 10_000,
        timeout_ms: None,
        stop_signal: Default::default(),
        params_json: r#"{"lr": 0.1}"#.into(),
        wandb_config: "wandb_version: 1\n\nlr:\n  value: 0.1\n".into(),
        wanted: vec!["loss".into()],
        collect: Default::default(),
        log_bytes: Spec::default_log_bytes(),
        silence: None,
        notes: Vec::new(),
    }
}

fn shell(script: &str) -> Spec {
    a_run(&["sh", "-c", script])
}

fn python(script: &str) -> Spec {
    a_run(&["python3", "-c", script])
}

/// A run under way.
struct Live {
    folder: Folder,
    run: RunKey,
    runner: Runner,
}

fn start(runs: &Runs, spec: &Spec) -> Live {
    let spool = runner::create_locked(&runs.0, spec).unwrap();
    let folder = spool.folder().clone();
    let runner = start_by(Path::new(binary()), spool);
    Live { folder, run: spec.run.clone(), runner }
}

/// A runner of a nursery that ends with this call: runners need it no more.
fn start_by(program: &Path, spool: LockedSpool) -> Runner {
    let nursery = Nursery::start(program, &spool.folder().runner_log()).unwrap();
    nursery.run(&spool).unwrap()
}

impl Live {
    fn send(&self, signal: Signal) {
        pidfd_send_signal(&self.runner.pidfd, signal).unwrap();
    }

    /// Waits for the runner and reads what it wrote.
    fn finish(self) -> Finished {
        self.runner.wait().unwrap();
        Finished { entries: read(&self.folder), folder: self.folder }
    }

    /// Waits until the spool holds the start.
    fn started(&self) -> Started {
        wait_for("a start", || {
            read(&self.folder).into_iter().find_map(|entry| match entry.record {
                Record::Started(started) => Some(started),
                _ => None,
            })
        })
    }

    /// Waits until the command has made a file in the run's folder.
    fn has_made(&self, name: &str) {
        let path = self.folder.path().join(name);
        wait_for(name, || path.exists().then_some(()));
    }

    /// Ends the runner as nothing in it can help against, and closes what it left.
    fn kill_runner_and_close(self) -> (Ended, Finished) {
        self.send(Signal::KILL);
        self.runner.wait().unwrap();
        let ended = runner::close_orphan(runner::wait_for_lock(&self.folder).unwrap(), &self.run).unwrap();
        (ended, Finished { entries: read(&self.folder), folder: self.folder })
    }
}

struct Finished {
    entries: Vec<Entry>,
    folder: Folder,
}

impl Finished {
    fn ended(&self) -> &Ended {
        match self.entries.last().map(|entry| &entry.record) {
            Some(Record::Ended(ended)) => ended,
            last => panic!(
                "the spool ends with {last:?}; runner.log: {:?}",
                std::fs::read_to_string(self.folder.runner_log())
            ),
        }
    }

    /// All values of one name, by step.
    fn values(&self, name: &str) -> Vec<(i64, f64)> {
        let mut id = None;
        let mut values = Vec::new();
        for entry in &self.entries {
            match &entry.record {
                Record::Names(names) => {
                    id = id.or(names.iter().find(|(_, own)| own == name).map(|(id, _)| *id));
                }
                Record::Report(report) => {
                    let own = report.values.iter().filter(|(own, _)| Some(*own) == id);
                    values.extend(own.map(|(_, value)| (report.step, *value)));
                }
                _ => {}
            }
        }
        values
    }

    fn signals(&self) -> Vec<(i32, Option<StopCause>)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::SignalSent(sent) => Some((sent.signal, sent.cause)),
                _ => None,
            })
            .collect()
    }

    fn file(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap_or_default()).into_owned()
    }
}

fn run(spec: &Spec) -> Finished {
    let runs = Runs::new();
    let finished = start(&runs, spec).finish();
    // The entries are read; the folder stays until the caller is done with it.
    std::mem::forget(Keep(runs));
    finished
}

/// Keeps a folder beyond its owner; removed with the finished run.
struct Keep(#[expect(dead_code, reason = "held, not read")] Runs);

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(runs) = self.folder.path().parent() {
            let _ = fs::remove_dir_all(runs);
        }
    }
}

fn read(folder: &Folder) -> Vec<Entry> {
    let mut reader = SpoolReader::open(folder).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Processes, zombies aside, that bear the run's mark.
fn marked(run: &RunKey) -> Vec<i32> {
    let mark = format!("SWATH_FENCE={}", run.fence);
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    })
    .collect()
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn pid_in(finished: &Finished, name: &str) -> i32 {
    finished.file(name).trim().parse().unwrap()
}

/// Two processes of their own session, one of them detached by a double fork, the other with an environment of its own.
const DETACHES: &str = r#"
import os, sys, time
def detach(name, environment):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(name + ".new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(name + ".new", name)
            os.execve("/bin/sleep", ["sleep", "1000"], environment)
        os._exit(0)
detach("plain", os.environ)
detach("bare", {"PATH": "/bin"})
while not (os.path.exists("plain") and os.path.exists("bare")):
    time.sleep(0.001)
open("ready", "w")
"#;
