//! Logs that earlier releases wrote: every later one folds them to the same state (CORE 5, evolution).
//!
//! A file of `tests/logs` is JSON lines: first the sweep's id and the state's hash, then one entry a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::space::Value;
use crate::sweep::testing::{Entry, World};
use crate::sweep::{
    Command, Enqueued, Event, LostWhy, Patch, PauseHow, PauseWhy, Pos, Report, Run, State, SweepId,
    Timestamp, Trial,
};

#[derive(Serialize, Deserialize)]
struct First {
    sweep: SweepId,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Event(Box<Event>),
    Report {
        pos: Pos,
        run: Run,
        seq: u64,
        step: Option<i64>,
        at: Timestamp,
        values: Vec<(u32, Value)>,
        source: u32,
    },
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Line {
        match entry {
            Entry::Event(event) => Line::Event(event.clone()),
            Entry::Report(report) => Line::Report {
                pos: report.pos,
                run: report.run,
                seq: report.seq,
                step: report.step,
                at: report.at,
                values: report.values.iter().map(|(id, value)| (*id, Value::Float(*value))).collect(),
                source: report.source,
            },
        }
    }
}

fn apply(state: &mut State, line: Line) {
    match line {
        Line::Event(event) => state.apply(&event).expect("the log folds"),
        Line::Report { pos, run, seq, step, at, values, source } => {
            let values =
                values.into_iter().map(|(id, value)| (id, value.number().expect("a number"))).collect();
            let report = Report { pos, run, seq, step, at, values, source };
            state.apply_report(&report).expect("the log folds");
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

#[test]
fn the_logs_of_all_releases_fold_to_their_hashes() {
    let mut folded = 0;
    for file in std::fs::read_dir(folder()).expect("tests/logs is there") {
        let path = file.expect("it can be listed").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let mut lines = text.lines();
        let first: First = serde_json::from_str(lines.next().expect("a first line")).expect("id and hash");
        let mut entries = lines.map(|line| serde_json::from_str::<Line>(line).expect("an entry"));
        let Some(Line::Event(created)) = entries.next() else { panic!("{}: no creation", path.display()) };
        let mut state = State::begin(first.sweep, &created).expect("the log begins");
        for entry in entries {
            if let Line::Event(event) = &entry {
                let stored = serde_json::to_value(&event.body).expect("it can be written");
                assert_eq!(stored["kind"], event.body.kind());
            }
            apply(&mut state, entry);
        }
        state.check().expect("the invariants hold");
        assert_eq!(state.hash(), first.hash, "{}", path.display());
        folded += 1;
    }
    assert!(folded > 0, "no log in {}", folder().display());
}

/// A short life with something of everything.
fn a_life() -> World {
    let stopping = json!({"metric": "loss", "goal": "minimize",
        "rule": {"type": "hyperband", "bands": [2, 4], "eta": 3.0, "strict": true}});
    let mut world =
        World::new(json!({"method": "grid", "order": "shuffled", "parallel": 2, "runCap": 6, "retries": 1,
        "earlyTerminate": stopping, "constraints": [{"metric": "size", "max": 1.0}], "gpuHours": 2.0,
        "enqueue": [{"lr": 0.2, "width": 3}]}));
    let (a, b) = (world.running(), world.running());
    for (step, loss) in [5.0, 4.0, f64::NAN, 2.0].into_iter().enumerate() {
        world.report(a, step as i64, &[("loss", loss), ("size", 0.5)]);
    }
    world.report(b, 0, &[("loss", f64::INFINITY)]);
    world.exit(a, 0);
    let lost = Command::Lost { run: b, fence: world.fence(b), why: LostWhy::Runner };
    world.ok(lost);
    let again = world.running();
    world.losses(again, &[9.0, 8.0]);
    world.end_signalled(again);
    let c = world.running();
    world.exit(c, 1);
    world.ok(Command::Pause { how: PauseHow::Requeue, why: PauseWhy::Person });
    world.ok(Command::Resume { home: Some("home".into()), keep_going: true });
    world.ok(Command::Change {
        patch: vec![Patch::Parallel(Some(3)), Patch::Wall(Some(60.0))],
        version: Some(1),
    });
    world.ok(Command::Enqueue { what: Enqueued::From(Trial(1)), repeat: 2 });
    world.ok(Command::StopTrial { trial: Trial(5) });
    world.ok(Command::Tag { trial: Some(Trial(1)), add: vec!["*".into()], remove: Vec::new() });
    let d = world.running();
    world.exit(d, 1);
    world.ok(Command::Retry { trials: vec![d.trial] });
    let e = world.running();
    world.report(e, 3, &[("loss", 0.5), ("size", 0.25)]);
    world
}

/// Each release records one: `cargo test --lib golden -- --ignored`.
#[test]
#[ignore = "writes tests/logs"]
fn record_the_log_of_this_release() {
    let world = a_life();
    let first = First { sweep: world.state.id(), hash: world.state.hash() };
    let mut text = serde_json::to_string(&first).expect("it is JSON");
    for entry in &world.log {
        text.push('\n');
        text.push_str(&serde_json::to_string(&Line::from(entry)).expect("it is JSON"));
    }
    text.push('\n');
    let path = folder().join(concat!(env!("CARGO_PKG_VERSION"), ".jsonl"));
    std::fs::write(path, text).expect("it can be written");
}
