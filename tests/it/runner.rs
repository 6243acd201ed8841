//! Runners as an agent drives them: `swath exec` with a locked spool, real commands, kills and orphans.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use swath::runner::{
    self, Ended, Entry, FORMAT, Fault, Folder, How, Lost, Record, RunKey, Runner, Silence, Spec, SpoolReader,
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
    let runner = runner::spawn_runner(spool, Path::new(binary())).unwrap();
    Live { folder, run: spec.run.clone(), runner }
}

impl Live {
    fn send(&self, signal: Signal) {
        pidfd_send_signal(&self.runner.pidfd, signal).unwrap();
    }

    /// Waits for the runner and reads what it wrote.
    fn finish(mut self) -> Finished {
        self.runner.child.wait().unwrap();
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
    fn kill_runner_and_close(mut self) -> (Ended, Finished) {
        self.runner.child.kill().unwrap();
        self.runner.child.wait().unwrap();
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
            last => panic!("the spool ends with {last:?}; runner.log: {:?}", self.file("runner.log")),
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
        std::thread::yield_now();
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

#[test]
fn values_from_lines_and_files_arrive_in_order() {
    let finished = run(&python(
        r#"
import json, os
print("epoch 1 loss=0.5")
with open(os.environ["SWATH_METRICS"], "a") as file:
    for step in range(3):
        file.write(json.dumps({"step": step, "score": step / 2}) + "\n")
print("epoch 2 loss=0.25", flush=True)
os.write(1, b"epoch 3 loss=0.125")
"#,
    ));
    assert_eq!(finished.values("loss"), [(1, 0.5), (2, 0.25), (3, 0.125)]);
    assert_eq!(finished.values("score"), [(0, 0.0), (1, 0.5), (2, 1.0)]);
    let ended = finished.ended();
    assert_eq!(
        (&ended.how, ended.signalled, ended.killed, ended.stop),
        (&How::Exited(0), false, false, None)
    );
    assert_eq!(ended.tail, "epoch 1 loss=0.5\nepoch 2 loss=0.25\nepoch 3 loss=0.125");
    assert!(ended.usage.peak_rss_bytes > 1 << 20 && ended.usage.user_ms < 60_000, "{:?}", ended.usage);
    let numbered: Vec<u64> = finished.entries.iter().map(|entry| entry.seq).filter(|seq| *seq > 0).collect();
    assert_eq!(numbered, (1..=ended.last_seq + 1).collect::<Vec<_>>());
}

#[test]
fn the_command_sees_what_a_run_should_see() {
    let mut spec = python("import os, json; print(json.dumps(dict(os.environ)))");
    spec.env.insert("MINE".into(), "a=b\nc".into());
    spec.env.insert("SWATH_FENCE".into(), "stolen".into());
    spec.unset.push("HOME".into());
    let finished = run(&spec);
    let seen: BTreeMap<String, String> = serde_json::from_str(&finished.file("out.log")).unwrap();
    let folder = finished.folder.path().to_str().unwrap();
    for (name, value) in [
        ("SWATH_SWEEP", "q7k2m9xa"),
        ("SWATH_TRIAL", "17"),
        ("SWATH_RUN", "q7k2m9xa/17.2"),
        ("SWATH_ATTEMPT", "2"),
        ("SWATH_SEED", "4711"),
        ("SWATH_FENCE", &spec.run.fence.to_string()),
        ("SWATH_PARAMS", &format!("{folder}/params.json")),
        ("PYTHONUNBUFFERED", "1"),
        ("MINE", "a=b\nc"),
        ("WANDB_MODE", "offline"),
        ("WANDB_DIR", folder),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!seen.contains_key("HOME"));
    assert_eq!(finished.file("params.json"), spec.params_json);
    let wandb = fs::read_to_string(&seen["WANDB_SWEEP_PARAM_PATH"]).unwrap();
    assert_eq!(wandb, spec.wandb_config);
}

#[test]
fn a_wandb_log_is_read_also_when_the_script_died_over_it() {
    let Some(log) = crate::support::shared("corpus/channels/wandb-offline/run-0.31.0-died.wandb") else {
        return;
    };
    let finished = run(&shell(&format!(
        "d=$WANDB_DIR/wandb/offline-run-20260101_000000-x; mkdir -p $d; cp {} $d/run-x.wandb; exit 3",
        log.display()
    )));
    assert_eq!(finished.ended().how, How::Exited(3));
    let names = finished
        .entries
        .iter()
        .any(|entry| matches!(&entry.record, Record::Names(names) if !names.is_empty()));
    assert!(names && finished.ended().reports > 0, "{:?}", finished.ended());
}

#[test]
fn f18_an_end_without_the_objective_is_an_exit_without_reports() {
    let finished = run(&shell("echo done"));
    assert_eq!((&finished.ended().how, finished.ended().reports), (&How::Exited(0), 0));
}

#[test]
fn f19_the_ways_to_fail_are_told_apart() {
    assert_eq!(run(&shell("echo why >&2; exit 3")).ended().how, How::Exited(3));
    let crashed = run(&shell("kill -SEGV $$"));
    assert_eq!((&crashed.ended().how, crashed.ended().signalled), (&How::Signal(11), false));
    let killed = run(&shell("kill -KILL $$"));
    assert_eq!(
        (&killed.ended().how, killed.ended().signalled, killed.ended().stop),
        (&How::Signal(9), false, None)
    );
    assert_eq!(run(&shell("echo why >&2; exit 3")).ended().tail, "why");
}

#[test]
fn f20_sigterm_ignored_is_killed_after_its_grace() {
    let runs = Runs::new();
    let mut spec = shell("trap '' TERM; touch ready; while :; do sleep 1000; done");
    spec.grace_ms = 300;
    let live = start(&runs, &spec);
    live.has_made("ready");
    let asked = Instant::now();
    live.send(Signal::TERM);
    let finished = live.finish();
    let took = asked.elapsed();
    let ended = finished.ended();
    assert_eq!((&ended.how, ended.signalled, ended.killed), (&How::Signal(9), true, true));
    assert_eq!(ended.stop, Some(StopCause::Ordered));
    assert_eq!(finished.signals(), [(15, Some(StopCause::Ordered)), (9, Some(StopCause::Ordered))]);
    assert!(took >= Duration::from_millis(300), "{took:?}");
    println!("grace of 300 ms, gone after {took:?}");
    assert_eq!(marked(&spec.run), [0; 0]);
}

#[test]
fn a_stop_that_is_obeyed_kills_nobody() {
    let runs = Runs::new();
    let spec = shell("trap 'echo bye; exit 7' TERM; touch ready; while :; do sleep 0.01; done");
    let live = start(&runs, &spec);
    live.has_made("ready");
    live.send(Signal::TERM);
    let finished = live.finish();
    let ended = finished.ended();
    assert_eq!((&ended.how, ended.signalled, ended.killed), (&How::Exited(7), true, false));
    assert!(ended.tail.starts_with("bye"), "{}", ended.tail);
}

#[test]
fn quit_kills_at_once_and_other_signals_do_nothing() {
    let runs = Runs::new();
    let spec = shell("trap '' TERM; touch ready; while :; do sleep 1000; done");
    let live = start(&runs, &spec);
    live.has_made("ready");
    for signal in [Signal::HUP, Signal::INT, Signal::TTIN, Signal::TTOU, Signal::USR1, Signal::USR2] {
        live.send(signal);
    }
    live.send(Signal::QUIT);
    let finished = live.finish();
    assert_eq!((&finished.ended().how, finished.ended().killed), (&How::Signal(9), true));
    assert_eq!(finished.signals(), [(9, Some(StopCause::Ordered))]);
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

#[test]
fn f21_what_detaches_dies_with_the_run() {
    let runs = Runs::new();
    let mut spec = python(&format!("{DETACHES}\ntime.sleep(1000)"));
    spec.grace_ms = 100;
    let live = start(&runs, &spec);
    live.has_made("ready");
    live.send(Signal::TERM);
    let finished = live.finish();
    assert_eq!(finished.ended().how, How::Signal(15));
    assert!(!is_alive(pid_in(&finished, "plain")) && !is_alive(pid_in(&finished, "bare")));
}

#[test]
fn f22_children_that_hold_stdout_open_do_not_hold_the_run() {
    let began = Instant::now();
    let finished = run(&shell("(trap '' TERM; sleep 1000) & echo $! > child; echo out; exit 0"));
    assert_eq!((&finished.ended().how, finished.ended().killed), (&How::Exited(0), false));
    assert_eq!(finished.ended().tail, "out");
    assert!(!is_alive(pid_in(&finished, "child")));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn f23_a_flood_is_capped_and_reports_come_through() {
    let mut spec = python(
        r#"
import os, re
chunk = b"x" * (1 << 20)
for _ in range(96):
    os.write(1, chunk)
print("\nloss=0.5")
for _ in range(400_000):
    pass
with open(os.environ["SWATH_METRICS"], "a") as file:
    file.write('{"step": 1, "score": 2}\n')
status = open(f"/proc/{os.getppid()}/status").read()
print("peak", re.search(r"VmHWM:\s*(\d+)", status)[1])
"#,
    );
    spec.log_bytes = 1 << 20;
    let finished = run(&spec);
    assert_eq!(finished.values("score"), [(1, 2.0)]);
    let peak: u64 = finished.ended().tail.rsplit("peak ").next().unwrap().trim().parse().unwrap();
    assert!(peak < 64 << 10, "the runner's peak was {peak} KiB");
    let logged: u64 = fs::read_dir(finished.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("out.log"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!((512 << 10..=1 << 20).contains(&logged), "{logged} bytes of log");
    assert!(finished.ended().tail.starts_with("[cut] x"), "the line without end is cut, with a mark");
}

#[test]
fn f24_a_hang_is_ended_by_its_timeout_with_no_agent_there() {
    let mut spec = shell("sleep 1000");
    spec.timeout_ms = Some(200);
    let finished = run(&spec);
    let ended = finished.ended();
    assert!(ended.timed_out() && ended.signalled);
    assert_eq!(ended.how, How::Signal(15));
    assert_eq!(finished.signals(), [(15, Some(StopCause::Timeout))]);
}

/// The first process of a pid namespace makes a pid be used again: a sleeper gets the pid of a command whose runner
/// died. Prints whether the sleeper lives after the orphan was closed, which `exec --spool` at the next line does not.
const REUSES_A_PID: &str = r#"
import os, signal, subprocess, sys, time
def spawn_with_pid(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.pause()
    return child
first = spawn_with_pid(4000)
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
second = spawn_with_pid(4000)
print("REUSED" if second == first == 4000 else "NOT REUSED", flush=True)
time.sleep(0.01)
os.kill(second, signal.SIGKILL)
"#;

#[test]
fn f25_a_pid_that_is_used_again_is_not_hit() {
    let can = Command::new("unshare").args(["-Urpf", "--mount-proc", "python3", "-c", REUSES_A_PID]).output();
    match can {
        Ok(output) if output.stdout.starts_with(b"REUSED") => {}
        other => {
            println!("SKIPPED: no pid namespace where the next pid can be set: {other:?}");
            return;
        }
    }
    // Inside: a run whose runner is killed; its command's pid is given to a stranger; the orphan is closed.
    let test = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-Urpf", "--mount-proc"])
        .arg(test)
        .args(["--exact", "runner::in_a_namespace_a_stranger_survives", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "run by f25 in a pid namespace of its own"]
fn in_a_namespace_a_stranger_survives() {
    let runs = Runs::new();
    let live = start(&runs, &shell("touch ready; exec sleep 1000"));
    live.has_made("ready");
    let command = live.started().command;
    let mut runner = live.runner;
    runner.child.kill().unwrap();
    runner.child.wait().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(command.pid).unwrap(), Signal::KILL)
        .unwrap();
    // This process is the namespace's first one, so the orphan is its to reap.
    let pid = rustix::process::Pid::from_raw(command.pid);
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    let mut stranger = wait_for("the pid again", || {
        fs::write("/proc/sys/kernel/ns_last_pid", (command.pid - 1).to_string()).unwrap();
        let mut child = Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
        if child.id() as i32 == command.pid {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    });
    let spool = runner::wait_for_lock(&live.folder).unwrap();
    let ended = runner::close_orphan(spool, &live.run).unwrap();
    assert_eq!(ended.how, How::Lost(Lost::Runner));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger with the same pid was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn f26_ten_thousand_orphans_are_reaped() {
    let finished = run(&python(
        r#"
import os, time
for _ in range(100):
    if os.fork() == 0:
        for _ in range(100):
            if os.fork() == 0:
                os._exit(0)
        os._exit(0)
    os.wait()
made = time.monotonic()
runner = str(os.getppid())
def zombies():
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            rest = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        count += rest[0] == "Z" and rest[1] == runner
    return count
while zombies():
    pass
print("reaped within", time.monotonic() - made)
"#,
    ));
    assert_eq!(finished.ended().how, How::Exited(0));
    let seconds: f64 = finished.ended().tail.rsplit(' ').next().unwrap().parse().unwrap();
    println!("10 000 orphans reaped {seconds} s after the last");
    assert!(seconds < 20.0, "{seconds}");
}

#[test]
fn f27_a_command_that_cannot_start_says_whose_fault_it_is() {
    let runs = Runs::new();
    let file = |name: &str, text: &str, mode: u32| {
        fs::write(runs.path(name), text).unwrap();
        fs::set_permissions(runs.path(name), fs::Permissions::from_mode(mode)).unwrap();
        runs.path(name).display().to_string()
    };
    let plain = file("plain", "x", 0o644);
    let interpreter = file("interpreter", "#!/no/such/thing -x\n", 0o755);
    let text = file("text", "just text", 0o755);
    for (argv, words) in [
        (&["no-such-program-anywhere"][..], "no program `no-such-program-anywhere` on PATH"),
        (&[&plain], "is not executable"),
        (&[&interpreter], "bad interpreter `/no/such/thing -x`"),
        (&[&text], "neither a binary of this machine nor a script"),
        (&["true", &"x".repeat(3 << 20)], "too long for this system"),
    ] {
        let finished = run(&a_run(argv));
        let How::NeverStarted { fault, message } = &finished.ended().how else {
            panic!("{:?}", finished.ended())
        };
        assert_eq!(*fault, Fault::User, "{message}");
        assert!(message.contains(words), "{message}");
        assert_eq!((finished.ended().last_seq, finished.entries.len()), (0, 2), "no start is told");
    }
    let mut spec = a_run(&["true"]);
    spec.workdir = Some(runs.path("nowhere"));
    let finished = run(&spec);
    assert!(
        matches!(&finished.ended().how, How::NeverStarted { message, .. } if message.contains("nowhere"))
    );
}

#[test]
fn f12_a_killed_runner_is_noticed_and_its_processes_end() {
    let runs = Runs::new();
    let spec = python(&format!("print('loss=0.5')\n{DETACHES}\ntime.sleep(1000)"));
    let live = start(&runs, &spec);
    live.has_made("ready");
    let started = live.started();
    assert!(runner::hold_runner(&started).is_some());
    assert!(runner::try_lock(&live.folder).unwrap().is_none(), "the runner has the lock");
    wait_for("a report", || {
        read(&live.folder).iter().any(|entry| matches!(entry.record, Record::Report(_))).then_some(())
    });
    let (ended, finished) = live.kill_runner_and_close();
    assert_eq!((&ended.how, ended.reports), (&How::Lost(Lost::Runner), 1));
    assert_eq!(finished.ended(), &ended);
    assert_eq!(finished.values("loss"), [(0, 0.5)]);
    assert_eq!(marked(&spec.run), [0; 0]);
    assert!(!is_alive(started.command.pid));
    assert!(runner::hold_runner(&started).is_none());
    // A process that threw its mark away and left the group is beyond this net: the cgroup's business.
    let bare = rustix::process::Pid::from_raw(pid_in(&finished, "bare")).unwrap();
    let _ = rustix::process::kill_process(bare, Signal::KILL);
}

#[test]
fn f12_a_runner_killed_at_each_of_its_points_leaves_an_end_and_no_process() {
    for (point, how) in [
        ("before_started", How::Lost(Lost::NeverStarted)),
        ("after_started", How::Lost(Lost::Runner)),
        ("before_end", How::Lost(Lost::Runner)),
        ("after_end", How::Exited(0)),
    ] {
        let runs = Runs::new();
        let spec = shell(if point.ends_with("started") { "sleep 1000" } else { "true" });
        let spool = runner::create_locked(&runs.0, &spec).unwrap();
        let folder = spool.folder().clone();
        let wrapper = runs.path("swath");
        fs::write(&wrapper, format!("#!/bin/sh\nSWATH_FAILPOINT={point} exec {} \"$@\"\n", binary()))
            .unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let mut runner = runner::spawn_runner(spool, &wrapper).unwrap();
        let status = runner.child.wait().unwrap();
        assert!(!status.success() && status.code().is_none(), "{point} was not reached: {status:?}");
        let ended = runner::close_orphan(runner::wait_for_lock(&folder).unwrap(), &spec.run).unwrap();
        assert_eq!(ended.how, how, "{point}");
        assert_eq!(marked(&spec.run), [0; 0], "{point}");
    }
}

#[test]
fn f54_a_spool_of_another_boot_is_the_machines_loss() {
    let runs = Runs::new();
    let mut spec = shell("true");
    spec.boot = "another boot".into();
    let folder = runner::create_locked(&runs.0, &spec).unwrap().folder().clone();
    let spool = runner::try_lock(&folder).unwrap().expect("free");
    assert_eq!(runner::close_orphan(spool, &spec.run).unwrap().how, How::Lost(Lost::Machine));
}

#[test]
fn f54_an_empty_spool_is_closed_too() {
    let runs = Runs::new();
    let spec = shell("true");
    let folder = runner::create_locked(&runs.0, &spec).unwrap().folder().clone();
    fs::write(folder.spool(), "").unwrap();
    fs::remove_file(folder.reserve()).unwrap();
    let spool = runner::try_lock(&folder).unwrap().expect("free");
    assert_eq!(runner::close_orphan(spool, &spec.run).unwrap().how, How::Lost(Lost::NeverStarted));
    assert_eq!(read(&folder).len(), 1);
}

#[test]
fn f64_a_full_disk_costs_neither_the_end_nor_the_best_value() {
    let runs = Runs::new();
    // EFBIG in place of ENOSPC: no file may grow beyond 96 KiB (the shell counts in half KiB).
    let spec = python(
        r#"
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for step in range(4000):
    print(f"step {step} loss={abs(step - 3000)} padding={'x' * 40}")
"#,
    );
    let spool = runner::create_locked(&runs.0, &spec).unwrap();
    let folder = spool.folder().clone();
    let wrapper = runs.path("swath");
    fs::write(&wrapper, format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 192\nexec {} \"$@\"\n", binary()))
        .unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let runner = runner::spawn_runner(spool, &wrapper).unwrap();
    let finished = Live { folder, run: spec.run.clone(), runner }.finish();
    let ended = finished.ended();
    assert_eq!(ended.how, How::Exited(0), "{}", ended.tail);
    assert!(ended.counts.unlogged_bytes > 0, "{:?}", ended.counts);
    assert!(fs::metadata(finished.folder.spool()).unwrap().len() <= 96 << 10);
    let values = finished.values("loss");
    assert!(values.contains(&(3000, 0.0)), "the best value is there");
    assert_eq!(values.last().map(|(step, _)| *step), Some(3999));
    assert!(ended.tail.contains("step 3999"), "{}", ended.tail);
}

#[test]
fn f68_a_runner_goes_on_when_its_binary_is_replaced() {
    let runs = Runs::new();
    let copy = runs.path("swath");
    fs::copy(binary(), &copy).unwrap();
    let spec = shell("touch ready; while [ ! -e go ]; do sleep 0.01; done; echo loss=0.5");
    let spool = runner::create_locked(&runs.0, &spec).unwrap();
    let folder = spool.folder().clone();
    let runner = runner::spawn_runner(spool, &copy).unwrap();
    let live = Live { folder, run: spec.run.clone(), runner };
    live.has_made("ready");
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, "something else").unwrap();
    fs::write(live.folder.path().join("go"), "").unwrap();
    let finished = live.finish();
    assert_eq!((&finished.ended().how, finished.values("loss")), (&How::Exited(0), vec![(0, 0.5)]));
}

#[test]
fn f69_neither_runner_nor_command_holds_a_descriptor_of_ours() {
    let mine = fs::File::open("/proc/self/exe").unwrap();
    let finished = run(&shell("ls -l /proc/self/fd /proc/$PPID/fd"));
    drop(mine);
    let targets: Vec<&str> =
        finished.ended().tail.lines().filter_map(|line| line.split_once(" -> ").map(|(_, to)| to)).collect();
    assert!(targets.len() >= 8, "{:?}", finished.ended().tail);
    let folder = finished.folder.path().to_str().unwrap();
    for target in targets {
        let own = ["pipe:", "socket:", "anon_inode:", "/dev/null", "/proc/", folder];
        assert!(own.iter().any(|own| target.starts_with(own)), "{target}");
    }
    let stdout = fs::read_link("/proc/self/fd/1").unwrap();
    assert!(stdout == Path::new("/dev/null") || !finished.ended().tail.contains(stdout.to_str().unwrap()));
}

#[test]
fn without_an_agent_a_run_stops_after_its_silence() {
    let runs = Runs::new();
    let lock = fs::File::create(runs.path("agent.lock")).unwrap();
    lock.lock().unwrap();
    let mut spec = shell("touch ready; sleep 1000");
    spec.silence = Some(Silence { agent_lock: runs.path("agent.lock"), stop_after_ms: 100 });
    let live = start(&runs, &spec);
    live.has_made("ready");
    drop(lock);
    let finished = live.finish();
    assert_eq!(finished.ended().stop, Some(StopCause::Silence));
}

/// Random values of every awkward kind, none with a NUL.
fn awkward_values(count: usize) -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 16] = [
        b" ",
        b"; rm -rf ~",
        b"$(id)",
        b"`id`",
        b"' OR 1=1 --",
        b"\n",
        b"-",
        b"--x=y",
        b"$HOME",
        b"\"",
        b"\\",
        b"*",
        "\u{1f600}é\u{202e}".as_bytes(),
        b"\xff\xfe\x80",
        b"\r\t",
        b"${args}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|_| {
            let mut value = Vec::new();
            for _ in 0..next() % 5 {
                match next() % 2 {
                    0 => value.extend_from_slice(pieces[next() as usize % pieces.len()]),
                    _ => value.push((next() % 255 + 1) as u8),
                }
            }
            value
        })
        .collect()
}

#[test]
fn s07_b25_ten_thousand_values_arrive_byte_for_byte() {
    let echo =
        "import os, sys\nopen('argv', 'wb').write(b''.join(os.fsencode(a) + b'\\0' for a in sys.argv[1:]))";
    let values = awkward_values(10_000);
    for values in values.chunks(2_500) {
        let mut spec = python(echo);
        spec.argv.extend(values.iter().map(|value| OsString::from_vec(value.clone())));
        let finished = run(&spec);
        assert_eq!(finished.ended().how, How::Exited(0));
        let seen = fs::read(finished.folder.path().join("argv")).unwrap();
        let seen: Vec<&[u8]> = seen.split(|byte| *byte == 0).collect();
        assert_eq!(seen.len(), values.len() + 1);
        for (seen, value) in seen.iter().zip(values) {
            assert_eq!(*seen, &value[..], "{:?}", OsString::from_vec(value.clone()).as_os_str().as_bytes());
        }
    }
}

fn exec(arguments: &[&str]) -> Output {
    Command::new(binary()).arg("exec").args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn by_hand_the_exit_code_and_the_output_are_passed_through() {
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)]
    {
        assert_eq!(exec(&["--", "sh", "-c", script]).status.code(), Some(code), "{script}");
    }
    let output = exec(&["--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    let absent = exec(&["--", "no-such-program"]);
    assert_eq!(absent.status.code(), Some(127));
    assert!(
        String::from_utf8_lossy(&absent.stderr).starts_with("error: no program `no-such-program` on PATH")
    );
    assert_eq!(exec(&["--", "/etc/passwd"]).status.code(), Some(126));
    assert_eq!(exec(&["true"]).status.code(), Some(2));
}

#[test]
fn by_hand_stdin_is_the_commands_and_a_kept_spool_is_whole() {
    let runs = Runs::new();
    let kept = runs.path("kept");
    let mut child = Command::new(binary())
        .args(["exec", "--spool", kept.to_str().unwrap(), "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"loss=0.25\n").unwrap();
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(out, "loss=0.25\n");
    let finished = Finished { entries: read(&Folder::at(&kept)), folder: Folder::at(kept.join("none/none")) };
    assert_eq!(finished.values("loss"), [(0, 0.25)]);
    let again = exec(&["--spool", kept.to_str().unwrap(), "--", "true"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("the folder is not empty"));
}

#[test]
fn a_command_that_opens_the_terminal_is_refused_not_stopped() {
    let script = r#"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["swath", "exec", "--", "python3", "-c", "open('/dev/tty').read()"])
try:
    while os.read(fd, 1000):
        pass
except OSError:
    pass
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let output = Command::new("python3").args(["-c", script, binary()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{:?}", output.stderr);
}
