//! `swath run` from file to best trial, with real processes: what ends it, what pauses it, what it says.

use std::fs;

use crate::support::{Home, QUICK, kill, sweep, wait_for};

#[test]
fn a_sweep_ends_with_its_best_trial() {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write("sweep.yaml", &sweep("train.py", 6, "parallel: 2\n"));
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    assert!(done.out.starts_with("finished: 6 trials in "), "{}", done.out);
    assert!(done.out.contains("best loss 0.3"), "{}", done.out);
    assert!(done.out.contains("  --x=0."), "{}", done.out);
    let lines: Vec<&str> = done.err.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lines.len(), 6, "{}", done.err);
    assert!(!done.err.contains('\u{1b}') && !done.out.contains('\u{1b}'), "no escape byte off a terminal");
    home.is_left_alone();
    let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
    let states: Vec<&str> =
        list["trials"].as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["SUCCEEDED"; 6]);
}

#[test]
fn a_sweep_without_a_metric_succeeds_by_exit_codes() {
    let home = Home::new();
    home.write("sweep.yaml", "command: [\"true\"]\nmethod: grid\nparameters:\n  x: {values: [1, 2, 3]}\n");
    let done = home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    assert_eq!(done.out, "");
    let sweep = home.swath(&["sweep", "show", "@last", "-o", "json"]).expect(0).json();
    assert_eq!(sweep["counts"]["succeeded"], 3);
    assert_eq!(sweep["state"], "FINISHED");
}

#[test]
fn f18_a_run_without_its_objective_failed() {
    let home = Home::new();
    home.write("sweep.yaml", &sweep("train.py", 2, "").replace("seed: 7", "seed: 7\ncommand: [\"true\"]"));
    let done = home.swath(&["run", "sweep.yaml"]).expect(10);
    assert!(done.err.contains("'loss' was never reported"), "{}", done.err);
}

#[test]
fn t9_runs_that_all_fail_alike_pause_the_sweep_and_are_tried_again() {
    let home = Home::new();
    home.write("train.py", "import sys\nprint('boom', file=sys.stderr)\nsys.exit(3)\n");
    home.write("sweep.yaml", &sweep("train.py", 5, ""));
    let done = home.swath(&["run", "sweep.yaml"]).expect(10);
    assert!(done.err.contains("error SW3101"), "{}", done.err);
    assert!(done.err.contains("| boom"), "{}", done.err);
    assert!(done.err.contains("exit code 3"), "{}", done.err);
    assert!(done.err.contains("swath run --resume"), "{}", done.err);
    home.write("train.py", QUICK);
    let done = home.swath(&["run", "--resume"]).expect(0);
    assert!(done.out.starts_with("finished: 5 trials"), "{}", done.out);
    assert!(done.out.contains("5 done"), "{}", done.out);
}

#[test]
fn a_crash_is_retried_while_retries_last() {
    let home = Home::new();
    home.write(
        "train.py",
        "import os, sys\nif os.environ['SWATH_ATTEMPT'] == '1': sys.exit(9)\nprint('loss=0.5')\n",
    );
    home.write("sweep.yaml", &sweep("train.py", 3, "retries: 1\n"));
    home.swath(&["run", "sweep.yaml"]).expect(0);
    let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
    for trial in list["trials"].as_array().unwrap() {
        assert_eq!(trial["state"], "SUCCEEDED");
        assert_eq!(trial["runs"].as_array().unwrap().len(), 2, "{trial}");
    }
}

/// A script that waits for a file before it ends, and says that it began.
const WAITS: &str = r#"
import os, sys, time
open("began." + os.environ["SWATH_TRIAL"] + "." + os.environ["SWATH_ATTEMPT"], "w").close()
print("step=0 loss=0.9", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print("step=1 loss=0.1", flush=True)
"#;

fn began(home: &Home, trial: u32, attempt: u32) {
    let name = format!("began.{trial}.{attempt}");
    wait_for(&name, || home.dir.join(&name).exists().then_some(()));
}

#[test]
fn t4_ctrl_c_pauses_and_resume_goes_on_with_the_same_trials() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 4, "parallel: 2\n"));
    let run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    began(&home, 2, 1);
    kill(run.pid(), "INT");
    let done = run.end().expect(130);
    assert!(done.err.contains("paused after 0 trials"), "{}", done.err);
    home.is_left_alone();
    home.write("go", "");
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    assert!(done.err.contains("going on with"), "{}", done.err);
    assert!(done.out.starts_with("finished: 4 trials"), "{}", done.out);
    let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
    assert_eq!(list["trials"].as_array().unwrap().len(), 4);
    assert_eq!(list["trials"][0]["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn t4_a_second_ctrl_c_kills_at_once() {
    let home = Home::new();
    home.write(
        "train.py",
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('began.1.1', 'w').close()\ntime.sleep(3600)\n",
    );
    home.write("sweep.yaml", &sweep("train.py", 4, "grace: 1h\n"));
    let run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    kill(run.pid(), "INT");
    run.says("pausing");
    kill(run.pid(), "INT");
    run.end().expect(130);
    home.is_left_alone();
}

#[test]
fn f12_a_killed_run_is_adopted_by_the_next() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 3, "parallel: 2\n"));
    let mut run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    began(&home, 2, 1);
    run.child.kill().unwrap();
    run.end();
    // The runs live on without it.
    assert!(!home.processes().is_empty());
    let run = home.start(&["run", "sweep.yaml"], "err2");
    run.says("going on with");
    home.write("go", "");
    let done = run.end().expect(0);
    assert!(done.out.starts_with("finished: 3 trials"), "{}", done.out);
    let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
    for trial in list["trials"].as_array().unwrap() {
        assert_eq!(trial["runs"].as_array().unwrap().len(), 1, "nothing ran twice: {trial}");
    }
    home.is_left_alone();
}

#[test]
fn f58_a_stop_without_a_holder_adopts_the_runs_and_ends_them() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 3, "parallel: 2\ngrace: 5s\n"));
    let mut run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    began(&home, 2, 1);
    run.child.kill().unwrap();
    run.end();
    home.swath(&["sweep", "stop", "@last"]).expect(0);
    home.is_left_alone();
    let sweep = home.swath(&["sweep", "show", "@last", "-o", "json"]).expect(0).json();
    assert_eq!(sweep["state"], "STOPPED");
    assert_eq!(sweep["counts"]["stopped"], 2, "the third was never proposed: {sweep}");
    let trial = home.swath(&["trial", "show", "@last/1", "-o", "json"]).expect(0).json();
    assert_eq!(trial["objectives"][0]["value"], 0.9, "its report was taken in: {trial}");
}

#[test]
fn f69_a_pipe_sees_its_end_when_the_run_is_killed() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 2, ""));
    let mut run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    run.child.kill().unwrap();
    // `end` reads stdout to its end: it would hang if the run's processes held it.
    run.end();
    assert!(!home.processes().is_empty(), "the run itself lives on");
}

#[test]
fn a_second_run_of_the_same_file_is_refused_while_the_first_lives() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 1, ""));
    let first = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    let second = home.swath(&["run", "sweep.yaml"]).expect(7);
    assert!(second.err.contains(&format!("process {}", first.pid())), "{}", second.err);
    assert!(second.err.contains("--new") && second.err.contains("swath watch"), "{}", second.err);
    home.write("go", "");
    first.end().expect(0);
}

#[test]
fn f57_another_run_takes_over_the_store_of_a_killed_holder() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("a.yaml", &sweep("train.py", 2, "name: a\n"));
    home.write("b.yaml", &sweep("train.py", 2, "name: b\n"));
    let mut holder = home.start(&["run", "a.yaml"], "err-a");
    began(&home, 1, 1);
    fs::remove_file(home.dir.join("began.1.1")).unwrap();
    let other = home.start(&["run", "b.yaml"], "err-b");
    began(&home, 1, 1);
    holder.child.kill().unwrap();
    holder.end();
    home.write("go", "");
    let done = other.end().expect(0);
    assert!(done.out.starts_with("finished: 2 trials"), "{}", done.out);
    // The other's agent spoke for the dead one: its run ended and was taken in.
    let trial = home.swath(&["trial", "show", "a/1", "-o", "json"]).expect(0).json();
    assert_eq!(trial["state"], "SUCCEEDED", "{trial}");
    home.swath(&["run", "a.yaml"]).expect(0);
}

#[test]
fn twenty_more_trials_for_a_sweep_that_has_ended() {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write("sweep.yaml", &sweep("train.py", 2, "parallel: 4\n"));
    home.swath(&["run", "sweep.yaml"]).expect(0);
    let again = home.swath(&["run", "--resume", "@last"]).expect(0);
    assert!(again.out.starts_with("finished: 2 trials"), "{}", again.out);
    let done = home.swath(&["run", "--resume", "@last", "-n", "22"]).expect(0);
    assert!(done.out.starts_with("finished: 22 trials"), "{}", done.out);
    home.swath(&["trial", "enqueue", "@last", "--params", "{\"x\": 0.3}", "--repeat", "2"]).expect(0);
    let done = home.swath(&["run", "--resume", "@last"]).expect(0);
    assert!(done.out.starts_with("finished: 24 trials"), "{}", done.out);
    assert!(done.out.contains("--x=0.3"), "{}", done.out);
}

#[test]
fn two_runs_of_one_seed_propose_the_same() {
    let proposals = |slots: &str| {
        let home = Home::new();
        home.write("train.py", QUICK);
        home.write("sweep.yaml", &sweep("train.py", 5, ""));
        home.swath(&["run", "sweep.yaml", "-q", "-p", slots]).expect(0);
        let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
        let params: Vec<String> =
            list["trials"].as_array().unwrap().iter().map(|trial| trial["params"].to_string()).collect();
        params
    };
    assert_eq!(proposals("1"), proposals("3"));
}

#[test]
fn with_one_slot_the_same_events_come_in_the_same_order() {
    let events = || {
        let home = Home::new();
        home.write("train.py", QUICK);
        home.write("sweep.yaml", &sweep("train.py", 4, ""));
        home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
        let text = home.swath(&["sweep", "export", "@last", "--what", "events"]).expect(0).out;
        let kinds: Vec<String> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
            })
            .collect();
        kinds
    };
    let first = events();
    assert!(first.len() > 12, "{first:?}");
    assert_eq!(first, events());
}

#[test]
fn a_watcher_sees_every_entry_and_the_end() {
    let home = Home::new();
    home.write("train.py", WAITS);
    home.write("sweep.yaml", &sweep("train.py", 2, ""));
    let run = home.start(&["run", "sweep.yaml"], "err");
    began(&home, 1, 1);
    let watch = home.start(&["watch", "-o", "json", "--until", "finished"], "watch-err");
    home.write("go", "");
    run.end().expect(0);
    let done = watch.end().expect(0);
    let kinds: Vec<String> = done
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("SweepCreated"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "Report"), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("SweepEnded"), "{kinds:?}");
}

#[test]
fn hyperband_stops_a_run_and_says_why() {
    let home = Home::new();
    home.write(
        "train.py",
        r#"
import sys, time
x = float(next(a for a in sys.argv if a.startswith("--x=")).split("=")[1])
for step in range(400):
    print(f"step={step} loss={x + 1 / (step + 1)}", flush=True)
    time.sleep(0.02 if step > 3 else 0)
    if step > 6 and x < 0.35: break
"#,
    );
    home.write(
        "sweep.yaml",
        &sweep("train.py", 8, "parallel: 2\nearly_terminate: {type: hyperband, min_iter: 2}\n"),
    );
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    assert!(done.out.contains("stopped early"), "{}\n{}", done.out, done.err);
    assert!(done.err.contains("hyperband"), "{}", done.err);
    let list = home.swath(&["trial", "list", "@last", "--state", "stopped", "-o", "json"]).expect(0).json();
    let reason = list["trials"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("hyperband") && reason.contains("above"), "{reason}");
}

/// A run goes on only after the one before it has passed the rung, so arrivals come in the order of the trials; who is
/// to be stopped waits for it.
#[test]
fn asha_stops_a_run_and_says_why() {
    let home = Home::new();
    home.write(
        "train.py",
        r#"
import os, signal, sys
x = float(next(a for a in sys.argv if a.startswith("--x=")).split("=")[1])
for step in range(1, 4):
    print(f"step={step} loss={x}", flush=True)
if x > 5:
    signal.pause()
"#,
    );
    home.write(
        "sweep.yaml",
        "program: train.py\nmethod: grid\nmetric: {name: loss, goal: minimize}\nparallel: 1\ngrace: 5s\n\
         parameters:\n  x: {values: [2.0, 1.0, 9.0, 0.5]}\n\
         early_terminate: {type: asha, min_iter: 3, max_iter: 10, eta: 3}\n",
    );
    let check = home.swath(&["check", "sweep.yaml"]).expect(0);
    assert!(check.out.contains("asha may stop a run at step 3, 9 of loss"), "{}", check.out);
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    assert!(done.out.contains("3 done · 1 stopped early"), "{}\n{}", done.out, done.err);
    let why = "asha: 9 above 1 at step 3, of 3 runs that came there";
    assert!(done.err.contains(why), "{}", done.err);
    let shown = home.swath(&["trial", "show", "@last/3"]).expect(0).out;
    assert!(shown.contains(why), "{shown}");
    let sweep = home.swath(&["sweep", "show", "@last"]).expect(0).out;
    assert!(sweep.contains("asha stopped 1 trial"), "{sweep}");
    assert!(sweep.contains("how often that was wrong: not measured"), "{sweep}");
    let savings = &home.swath(&["sweep", "show", "@last", "-o", "json"]).expect(0).json()["savings"];
    assert_eq!((&savings["rule"], &savings["stopped"]), (&"asha".into(), &1.into()), "{savings}");
}

/// The third run is condemned, and ends when the test has seen that it was let go on.
#[test]
fn the_audit_lets_condemned_runs_go_on() {
    let home = Home::new();
    home.write(
        "train.py",
        r#"
import os, sys
x = float(next(a for a in sys.argv if a.startswith("--x=")).split("=")[1])
if x > 5:
    os.mkfifo("go")
print(f"step=1 loss={x}", flush=True)
if x > 5:
    open("go").read()
    print("step=2 loss=0.5", flush=True)
"#,
    );
    home.write(
        "sweep.yaml",
        "program: train.py\nmethod: grid\nmetric: {name: loss, goal: minimize}\nparallel: 1\n\
         parameters:\n  x: {values: [2.0, 1.0, 9.0]}\n\
         early_terminate: {type: asha, min_iter: 1, audit: 1}\n",
    );
    let run = home.start(&["run", "sweep.yaml"], "err");
    let spared = || {
        let shown = home.swath(&["sweep", "show", "@last", "-o", "json"]);
        (shown.json()["savings"]["spared"] == 1).then_some(())
    };
    wait_for("the third run", || home.dir.join("go").exists().then_some(()));
    wait_for("a run that is let go on", spared);
    home.write("go", "");
    let done = run.end().expect(0);
    assert!(done.out.contains("3 done") && !done.out.contains("stopped"), "{}\n{}", done.out, done.err);
    let sweep = home.swath(&["sweep", "show", "@last"]).expect(0).out;
    assert!(sweep.contains("1 of 1 run let go on ended as the best so far"), "{sweep}");
    let shown = home.swath(&["trial", "show", "@last/3"]).expect(0).out;
    assert!(shown.contains("let go on by early_terminate.audit: asha: 9 above 1 at step 1"), "{shown}");
}

#[test]
fn b25_values_reach_the_program_byte_for_byte() {
    let values = ["; rm -rf ~", "$(id)", "`id`", "' OR 1=1 --", "a\\nb", "-x", "--flag", "é中\u{1f600}", " "];
    let home = Home::new();
    home.write("echo.py", "import os, sys\nopen('argv.' + os.environ['SWATH_TRIAL'], 'w').write(sys.argv[1])\nprint('loss=1')\n");
    let list: Vec<String> = values.iter().map(|v| serde_json::to_string(v).unwrap()).collect();
    home.write(
        "sweep.yaml",
        &format!(
            "program: echo.py\nmethod: grid\nmetric: {{name: loss}}\nparameters:\n  v: {{values: [{}]}}\n",
            list.join(", ")
        ),
    );
    home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    for (k, value) in values.iter().enumerate() {
        assert_eq!(home.read(&format!("argv.{}", k + 1)), format!("--v={value}"));
    }
}
