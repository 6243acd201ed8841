//! How a run ends when it is told to, when its time is over, and what of it must not stay.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use swath::runner::{How, Silence, StopCause};

use super::{DETACHES, Runs, is_alive, marked, pid_in, python, run, shell, start};

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
    assert!(ended.tail.lines().any(|line| line == "bye"), "{}", ended.tail);
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
fn f24_a_hang_is_ended_by_its_timeout_with_no_agent_there() {
    let mut spec = shell("sleep 1000");
    spec.timeout_ms = Some(200);
    let finished = run(&spec);
    let ended = finished.ended();
    assert!(ended.timed_out() && ended.signalled);
    assert_eq!(ended.how, How::Signal(15));
    assert_eq!(finished.signals(), [(15, Some(StopCause::Timeout))]);
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
