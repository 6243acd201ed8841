//! Runners that die: who notices, what is killed, which end is written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Signal, pidfd_send_signal};
use swath::runner::{self, How, Lost, Record};

use super::{DETACHES, Runs, is_alive, marked, pid_in, python, read, shell, start, start_by, wait_for};
use crate::support::binary;

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
        let status = start_by(&wrapper, spool).wait().unwrap();
        assert!(status.is_some_and(|status| status.killed()), "{point} was not reached: {status:?}");
        let ended = runner::close_orphan(runner::wait_for_lock(&folder).unwrap(), &spec.run).unwrap();
        assert_eq!(ended.how, how, "{point}");
        assert_eq!(marked(&spec.run), [0; 0], "{point}");
    }
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
        .args(["--exact", "runner::orphans::in_a_namespace_a_stranger_survives", "--ignored", "--nocapture"])
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
    let runner = live.runner;
    pidfd_send_signal(&runner.pidfd, Signal::KILL).unwrap();
    runner.wait().unwrap();
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
