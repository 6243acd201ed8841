//! What arrives in the spool: values, output, and what a flood or a full disk leaves of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use swath::runner::{self, How, Record};

use super::{Live, Runs, python, run, shell, start_by};
use crate::support::binary;

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
    let runner = start_by(&wrapper, spool);
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
