//! `swath ask` and `swath tell` as a script or a person meets them: whoever holds the store, whatever is killed.

use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Home, Running, binary, kill, sweep, wait_for};

const SPACE: &str = "\
method: bayes
metric: {name: loss, goal: minimize}
run_cap: 6
parameters:
  z: {min: 0.0, max: 1.0}
  layers: {values: [1, 2, 3]}
  opt: {value: adam}
";

/// A home with a sweep that is only asked, and its id.
fn asked(file: &str) -> (Home, String) {
    let home = Home::new();
    home.write("space.yaml", file);
    let id = home.swath(&["sweep", "create", "space.yaml", "-q"]).expect(0).out.trim().to_owned();
    (home, id)
}

/// Another sweep, whose `swath run` holds the store and has one run that goes on for ever.
fn holder(home: &Home) -> (Running, String) {
    home.write("other.yaml", &sweep("sleep", 1, "command: [sleep, '600']\nname: other\n"));
    let run = home.start(&["run", "other.yaml", "--new"], "holder");
    let id = wait_for("the other sweep's run", || {
        let list = home.swath(&["trial", "list", "other", "-q"]);
        let row = home.swath(&["trial", "show", list.out.lines().next()?, "-o", "json"]);
        let row: Json = serde_json::from_str(&row.out).ok()?;
        (row["state"] == "RUNNING").then(|| row["sweep"].as_str().unwrap_or_default().to_owned())
    });
    (run, id)
}

/// The trials of an ask, a line each.
fn ask(home: &Home, words: &[&str]) -> Vec<Json> {
    let done = home.swath(&[&["ask"], words].concat()).expect(0);
    done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run_of(trial: &Json) -> &str {
    trial["run"].as_str().unwrap()
}

#[test]
fn asked_out_of_order_and_over_a_killed_holder() {
    let (home, id) = asked(SPACE);
    let (first_holder, _) = holder(&home);
    let given = ask(&home, &[&id, "-n", "3"]);
    let names: Vec<&str> = given.iter().map(run_of).collect();
    assert_eq!(names, [format!("{id}/1.1"), format!("{id}/2.1"), format!("{id}/3.1")]);
    for trial in &given {
        let params: Vec<&String> = trial["params"].as_object().unwrap().keys().collect();
        assert_eq!(params.len(), 3);
        assert!(trial["params"]["z"].is_f64() && trial["params"]["layers"].is_i64(), "{trial}");
    }
    assert_ne!(given[0]["params"], given[1]["params"], "each ask knows of those before it");
    home.swath(&["tell", names[2], "loss=0.3", "size=12"]).expect(0);
    let told = home.swath(&["tell", names[0], "--step", "4", "loss=0.5"]).expect(0).json();
    assert_eq!((&told["stop"], &told["state"]), (&Json::from(false), &Json::from("RUNNING")));
    let shown = home.swath(&["trial", "show", names[0]]).expect(0).out;
    assert!(shown.contains("asked by") && shown.contains("lease until"), "{shown}");
    kill(first_holder.pid(), "KILL");
    first_holder.end();
    let more = ask(&home, &[&id, "-n", "2"]);
    assert_eq!(more.iter().map(run_of).collect::<Vec<_>>(), [format!("{id}/4.1"), format!("{id}/5.1")]);
    home.swath(&["tell", names[0], "loss=0.25"]).expect(0);
    home.swath(&["tell", names[1], "loss=nan"]).expect(0);
    for trial in more.iter().chain(&ask(&home, &[&id, "-n", "9"])) {
        home.swath(&["tell", run_of(trial), "loss=0.9"]).expect(0);
    }
    let end = home.swath(&["ask", &id]).expect(0);
    assert_eq!(end.out, "");
    assert!(end.err.contains("the sweep is finished: all trials ran"), "{}", end.err);
    let show = home.swath(&["sweep", "show", &id, "-o", "json"]).expect(0).json();
    assert_eq!((&show["state"], &show["best"]["trial"]), (&Json::from("FINISHED"), &Json::from(1)));
    assert_eq!(show["counts"]["failed"], 1, "NaN is no value");
    home.swath(&["audit", "verify"]).expect(0);
    home.swath(&["audit", "verify", "--proposals"]).expect(0);
}

#[test]
fn f32_what_is_sent_twice_under_one_id_counts_once() {
    let (home, id) = asked(SPACE);
    let given = ask(&home, &[&id, "-n", "2", "--request-id", "a"]);
    assert_eq!(ask(&home, &[&id, "-n", "2", "--request-id", "a"]).len(), 2);
    let name = run_of(&given[0]);
    let report = ["tell", name, "loss=0.5", "--step", "1", "--request-id", "r"];
    let end = ["tell", name, "loss=0.5", "--request-id", "t"];
    for words in [report.as_slice(), &report, &end, &end] {
        home.swath(words).expect(0);
    }
    let row = home.swath(&["trial", "show", name, "-o", "json"]).expect(0).json();
    assert_eq!((&row["state"], &row["runs"][0]["reports"]), (&Json::from("SUCCEEDED"), &Json::from("2")));
    let again = home.swath(&["tell", name, "loss=0.5"]).expect(7);
    assert!(again.err.contains("SW5003") && again.err.contains("is succeeded"), "{}", again.err);
    let other = home.swath(&["tell", name, "loss=0.6", "--request-id", "t"]).expect(7);
    assert!(other.err.contains("request id 't' was used"), "{}", other.err);
}

#[test]
fn a_lease_that_ran_out_is_told_late() {
    let (home, id) = asked(SPACE);
    let (_holder, _) = holder(&home);
    let given = ask(&home, &[&id, "--lease", "1s"]);
    let row = |name: &str| home.swath(&["trial", "show", name, "-o", "json"]).expect(0).json();
    wait_for("the end of the lease", || (row(run_of(&given[0]))["state"] == "QUEUED").then_some(()));
    let late = home.swath(&["tell", run_of(&given[0]), "loss=0.1"]).expect(7).err;
    assert!(late.contains("attempt 1 of trial 1 is over") && late.contains("queued for attempt 2"), "{late}");
    let again = ask(&home, &[&id]);
    assert_eq!(run_of(&again[0]), format!("{id}/1.2"), "the next who asks has it");
    assert_eq!(again[0]["params"], given[0]["params"]);
    let late = home.swath(&["tell", run_of(&given[0]), "loss=0.1"]).expect(7).err;
    assert!(late.contains("attempt 1") && late.contains("current is attempt 2"), "{late}");
    home.swath(&["tell", run_of(&again[0]), "loss=0.2"]).expect(0);
}

#[test]
fn rules_stop_what_is_told_and_ends_have_their_words() {
    let (home, id) = asked(&format!("{SPACE}early_terminate: {{type: threshold, max: 5.0, after: 2}}\n"));
    let given = ask(&home, &[&id, "-n", "4"]);
    let names: Vec<&str> = given.iter().map(run_of).collect();
    let told = home.swath(&["tell", names[0], "loss=9", "--step", "3"]).expect(0).json();
    assert_eq!(told["stop"], true);
    assert_eq!(told["why"], "threshold: 9 above 5 at step 3");
    home.swath(&["tell", names[0], "--state", "stopped"]).expect(0);
    let missing = home.swath(&["tell", names[1], "other=1"]).expect(0);
    assert_eq!(missing.json()["state"], "FAILED");
    assert!(missing.err.contains("'loss' was never told"), "{}", missing.err);
    let failed = home.swath(&["tell", names[2], "loss=1", "--step", "0", "--state", "failed"]).expect(0);
    assert_eq!(failed.json()["state"], "FAILED");
    home.swath(&["tell", names[3], "loss=-inf", "loss2=1e300", "--step", "2"]).expect(0);
    home.swath(&["tell", names[3], "loss=1", "--state", "stopped"]).expect(0);
    let list = home.swath(&["trial", "list", &id]).expect(0).out;
    for words in ["threshold: 9 above 5", "its caller said that it failed", "stopped by its caller"] {
        assert!(list.contains(words), "{words} in\n{list}");
    }
}

#[test]
fn a_pause_leaves_callers_their_trials_and_a_stop_takes_them() {
    let (home, id) = asked(SPACE);
    let given = ask(&home, &[&id, "-n", "3"]);
    home.swath(&["sweep", "pause", &id, "--now"]).expect(0);
    let none = home.swath(&["ask", &id]).expect(0);
    assert!(none.out.is_empty() && none.err.contains("the sweep is paused"), "{}", none.err);
    home.swath(&["tell", run_of(&given[0]), "loss=0.4"]).expect(0);
    home.swath(&["sweep", "resume", &id]).expect(0);
    home.swath(&["tell", run_of(&given[1]), "loss=0.3", "--step", "1"]).expect(0);
    home.swath(&["trial", "stop", run_of(&given[1])]).expect(0);
    let told = home.swath(&["tell", run_of(&given[1]), "loss=0.3", "--step", "2"]).expect(0).json();
    assert_eq!((&told["stop"], &told["why"]), (&Json::from(true), &Json::from("stopped by a person")));
    home.swath(&["sweep", "stop", &id]).expect(0);
    let show = home.swath(&["sweep", "show", &id, "-o", "json"]).expect(0).json();
    assert_eq!((&show["state"], &show["counts"]["stopped"]), (&Json::from("STOPPED"), &Json::from(2)));
    let late = home.swath(&["tell", run_of(&given[2]), "loss=0.1"]).expect(7).err;
    assert!(late.contains("trial 3 is stopped"), "{late}");
    let none = home.swath(&["ask", &id]).expect(0);
    assert!(none.err.contains("the sweep is stopped: stopped by a person"), "{}", none.err);
}

#[test]
fn what_cannot_be_told_is_refused() {
    let (home, id) = asked(SPACE);
    let (_holder, other) = holder(&home);
    let given = ask(&home, &[&id]);
    let name = run_of(&given[0]);
    let agents = home.swath(&["tell", &format!("{other}/1"), "loss=1"]).expect(7);
    assert!(agents.err.contains("an agent on") && agents.err.contains("runs it"), "{}", agents.err);
    let long = format!("{}=1", "x".repeat(300));
    for (words, code) in [
        (vec!["tell", name], 2),
        (vec!["tell", name, "--step", "1"], 2),
        (vec!["tell", name, "loss"], 2),
        (vec!["tell", name, "loss=x"], 2),
        (vec!["tell", name, "loss=1", "loss=2"], 2),
        (vec!["tell", name, "loss=1", "--state", "odd"], 2),
        (vec!["tell", name, &long], 2),
        (vec!["tell", name, "\u{1b}[31m=1"], 2),
        (vec!["tell", "@best", "loss=1"], 2),
        (vec!["tell", "1", "loss=1"], 2),
        (vec!["tell", "absent/1", "loss=1"], 4),
        (vec!["tell", "1", "--sweep", &id, "loss=1", "--request-id", &long], 2),
        (vec!["ask", &id, "-n", "0"], 2),
        (vec!["ask", &id, "--lease", "0s"], 2),
        (vec!["ask", &id, "--lease", "soon"], 2),
        (vec!["ask", "absent"], 4),
    ] {
        let done = home.swath(&words).expect(code);
        assert!(done.out.is_empty() && done.err.contains("error"), "{words:?}: {}", done.err);
        assert!(!done.err.contains('\u{1b}'), "{words:?} paints: {}", done.err);
    }
    let unknown = home.swath(&["tell", &format!("{id}/9"), "loss=1", "-o", "json"]).expect(4);
    assert!(unknown.err.starts_with(r#"{"error":{"code":"SW"#), "{}", unknown.err);
    assert_eq!(home.swath(&["tell", name, "loss=1"]).expect(0).json()["state"], "SUCCEEDED");
}

#[test]
fn the_example_of_a_loop_that_asks_a_sweep_works() {
    let home = Home::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/own-loop/asked.py");
    assert!(std::fs::read_to_string(script).unwrap().lines().count() <= 30);
    let bin = std::path::Path::new(binary()).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let done = Command::new("python3")
        .arg(script)
        .current_dir(&home.dir)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", home.dir.to_str().unwrap())])
        .env("SWATH_DATA_DIR", home.data())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{out}{}", String::from_utf8_lossy(&done.stderr));
    let show = home.swath(&["sweep", "show", "@last", "-o", "json"]).expect(0).json();
    assert_eq!(show["state"], "FINISHED", "{out}");
    assert!(show["best"]["objectives"][0]["value"].as_f64().unwrap() < 0.1, "{show}");
    assert_eq!(
        show["counts"]["succeeded"].as_u64().unwrap() + show["counts"]["stopped"].as_u64().unwrap(),
        20
    );
}
