//! Several objectives and a limit, with real processes: the front is what the trials make it, wherever it is shown,
//! and the same after a kill.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::support::{Home, kill, sweep, wait_for};

/// Reports three steps; `error` is smallest where `speed` is small, and the limit on `gap` leaves out some of y.
const SCRIPT: &str = r#"
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--y", type=float)
args = parser.parse_args()
for step in (1, 2, 3):
    error, speed, gap = (args.x - 0.8) ** 2 + 0.1 / step, 1 - args.x + 0.1 * args.y, abs(args.y - 0.5)
    print(f"step={step} error={error:.6f} speed={speed:.6f} gap={gap:.6f}", flush=True)
with open("ended", "a") as file:
    print(os.environ["SWATH_TRIAL"], file=file)
"#;

const TRIALS: usize = 14;

fn file(method: &str) -> String {
    format!(
        "name: two\nprogram: train.py\nmethod: {method}\nseed: 7\nrun_cap: {TRIALS}\n\
         objectives:\n  - {{name: error}}\n  - {{name: speed, goal: maximize}}\n\
         constraints:\n  - {{metric: gap, max: 0.3}}\n\
         parameters:\n  x: {{min: 0.0, max: 1.0}}\n  y: {{min: 0.0, max: 1.0}}\n"
    )
}

fn home(method: &str) -> Home {
    let home = Home::new();
    home.write("train.py", SCRIPT);
    home.write("sweep.yaml", &file(method));
    home
}

fn trials(home: &Home) -> Vec<Json> {
    let list = home.swath(&["trial", "list", "two", "-o", "json"]).expect(0).json();
    list["trials"].as_array().unwrap().clone()
}

/// (trial, parameters, values) of the front, as `sweep show` has it.
fn front(home: &Home) -> Vec<(u64, String, Vec<f64>)> {
    let sweep = home.swath(&["sweep", "show", "two", "-o", "json"]).expect(0).json();
    assert_eq!(sweep["best"], Json::Null, "there is no single best");
    let front = sweep["front"].as_array().unwrap();
    assert_eq!(sweep["frontSize"], front.len());
    front.iter().map(|trial| (number(trial), trial["params"].to_string(), values(trial))).collect()
}

fn number(trial: &Json) -> u64 {
    trial["trial"].as_u64().unwrap()
}

fn values(trial: &Json) -> Vec<f64> {
    let objectives = trial["objectives"].as_array().unwrap();
    assert_eq!((&objectives[0]["name"], &objectives[1]["name"]), (&"error".into(), &"speed".into()));
    objectives.iter().map(|objective| objective["value"].as_f64().unwrap()).collect()
}

/// By comparing every pair.
fn by_hand(trials: &[Json]) -> BTreeSet<u64> {
    let beats = |a: &[f64], b: &[f64]| a[0] <= b[0] && a[1] >= b[1] && a != b;
    let feasible: Vec<&Json> = trials.iter().filter(|trial| trial["feasible"] == true).collect();
    let stays = |trial: &&&Json| !feasible.iter().any(|other| beats(&values(other), &values(trial)));
    feasible.iter().filter(stays).map(|trial| number(trial)).collect()
}

fn a_front_is_shown_everywhere(method: &str) {
    let home = home(method);
    let done = home.swath(&["run", "sweep.yaml"]).expect(0);
    let trials = trials(&home);
    let front = front(&home);
    let numbers: BTreeSet<u64> = front.iter().map(|(trial, ..)| *trial).collect();
    assert_eq!(numbers, by_hand(&trials), "{method}");
    assert!(numbers.len() > 1 && numbers.len() < TRIALS, "{method}: {numbers:?}");
    assert!(front.is_sorted_by(|a, b| a.2[0] <= b.2[0]), "{front:?}");
    for trial in &trials {
        let x = trial["params"]["x"].as_f64().unwrap();
        let error = values(trial)[0];
        assert!((error - ((x - 0.8).powi(2) + 0.1 / 3.0)).abs() < 1e-6, "its best: {trial}");
    }
    let infeasible = trials.iter().filter(|trial| trial["feasible"] == false).count();
    assert!(infeasible > 0, "{method}: the limit is never met");
    assert!(done.out.contains(&format!("{infeasible} infeasible")), "{}", done.out);
    assert!(done.out.contains(&format!("front: {} trials that no other beats", front.len())), "{}", done.out);
    assert!(done.err.contains("FRONT"), "{}", done.err);
    // every screen names the same trials
    let table = home.swath(&["trial", "list", "two"]).expect(0).out;
    let head = table.lines().next().unwrap();
    assert!(head.contains("error") && head.contains("speed") && head.contains("FRONT"), "{head}");
    for (line, trial) in table.lines().skip(1).zip(&trials) {
        let state = if trial["feasible"] == true { "succeeded" } else { "infeasible" };
        assert!(line.contains(state), "{line}");
        assert_eq!(line.contains(" yes "), numbers.contains(&number(trial)), "{line}");
    }
    let show = home.swath(&["sweep", "show", "two"]).expect(0).out;
    for (trial, ..) in &front {
        assert!(show.lines().any(|line| line.trim_start().starts_with(&format!("{trial} "))), "{show}");
    }
    let csv = home.swath(&["sweep", "export", "two"]).expect(0).out;
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("trial,state,feasible,attempts,seconds,front,error,speed,params.x,params.y")
    );
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[5] == "true", numbers.contains(&cells[0].parse().unwrap()), "{line}");
    }
    let first = front[0].0;
    assert!(home.swath(&["sweep", "list"]).expect(0).out.contains(&format!("◆{}", front.len())));
    assert!(home.swath(&["trial", "show", &format!("two/{first}")]).expect(0).out.contains("on the front"));
    for args in [&["trial", "show", "two/@best"][..], &["sweep", "export", "two", "--what", "best"]] {
        let refused = home.swath(args).expect(4);
        let names: Vec<String> = front.iter().take(10).map(|(trial, ..)| trial.to_string()).collect();
        assert!(refused.err.contains(&format!("its front: {}", names.join(", "))), "{}", refused.err);
    }
    let ids = home.swath(&["run", "--resume", "two", "-q"]).expect(0).out;
    assert_eq!(ids.lines().count(), front.len());
}

#[test]
fn the_front_of_a_bayes_sweep_is_shown_everywhere() {
    a_front_is_shown_everywhere("bayes");
}

#[test]
fn the_front_of_a_random_sweep_is_shown_everywhere() {
    a_front_is_shown_everywhere("random");
}

/// Whatever dies, the same trials come, and make the same front.
#[test]
fn f02_a_killed_bayes_sweep_comes_to_the_same_front() {
    let whole = home("bayes");
    whole.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    let cut = home("bayes");
    for least in [4, 9] {
        let mut run = cut.start(&["run", "sweep.yaml"], "err");
        wait_for("some trials", || (cut.read("ended").lines().count() >= least).then_some(()));
        kill(run.pid(), "KILL");
        run.child.wait().unwrap();
    }
    cut.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    let params = |home: &Home| trials(home).iter().map(|trial| trial["params"].clone()).collect::<Vec<_>>();
    assert_eq!(params(&cut), params(&whole));
    assert_eq!(front(&cut), front(&whole));
    cut.swath(&["audit", "verify"]).expect(0);
}

#[test]
fn a_trial_that_lacks_an_objective_failed_and_says_which() {
    let home = Home::new();
    home.write("train.py", "print('loss=0.5')\n");
    let two = "objectives: [{name: loss}, {name: size}]";
    home.write("sweep.yaml", &sweep("train.py", 3, "").replace("metric: {name: loss, goal: minimize}", two));
    let done = home.swath(&["run", "sweep.yaml"]).expect(10);
    assert!(done.err.contains("'size' was never reported"), "{}", done.err);
    assert!(done.err.contains("as size=0.31"), "{}", done.err);
}
