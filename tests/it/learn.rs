//! Sweeps whose method learns: they go on over kills as if nothing had happened, show what they believe, and learn from
//! earlier ones.

use serde_json::Value as Json;

use crate::support::{Home, QUICK, kill, sweep, wait_for};

/// A sweep of 14 trials by a method.
fn file(method: &str, more: &str) -> String {
    sweep("train.py", 14, more).replace("method: random", &format!("method: {method}"))
}

fn home(name: &str, text: &str) -> Home {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write(name, text);
    home
}

fn show(home: &Home, more: &[&str]) -> Json {
    home.swath(&[&["sweep", "show", "@last", "-o", "json"], more].concat()).expect(0).json()
}

/// Made again from the log, every proposal is the same.
fn proposals_hold(home: &Home, count: u64) {
    let found = home.swath(&["audit", "verify", "--proposals", "-o", "json"]).expect(0).json();
    assert_eq!(found["proposals"]["made"], count, "{found}");
    assert_eq!(found["proposals"]["differ"], Json::Array(Vec::new()));
}

#[test]
fn q9_a_learning_sweep_that_is_killed_again_and_again_makes_proposals_that_its_log_explains() {
    for method in ["bayes", "tpe", "cmaes", "sobol"] {
        let home = home("sweep.yaml", &file(method, "parallel: 2\n"));
        for ended in [3, 8] {
            let run = home.start(&["run", "sweep.yaml", "--progress", "lines"], "run");
            wait_for("some trials", || (run.said().matches("loss").count() > ended).then_some(()));
            kill(run.pid(), "KILL");
            run.end();
        }
        home.swath(&["run", "sweep.yaml", "--progress", "none"]).expect(0);
        proposals_hold(&home, 14);
    }
}

#[test]
fn a_seeded_sweep_with_one_slot_proposes_the_same_twice() {
    let list = |home: &Home| {
        home.swath(&["run", "sweep.yaml", "--parallel", "1", "--progress", "none"]).expect(0);
        let list = home.swath(&["trial", "list", "@last", "-o", "json"]).expect(0).json();
        let trials = list["trials"].as_array().unwrap().clone();
        trials.iter().map(|trial| trial["params"].to_string()).collect::<Vec<_>>()
    };
    for method in ["bayes", "tpe"] {
        let homes = [0, 1].map(|_| home("sweep.yaml", &file(method, "")));
        let [one, other] = [list(&homes[0]), list(&homes[1])];
        assert_eq!(one.len(), 14);
        assert_eq!(one, other, "{method}");
    }
}

#[test]
fn sweep_show_says_what_the_method_believes() {
    let home = home("sweep.yaml", &file("bayes", ""));
    home.swath(&["run", "sweep.yaml", "--progress", "none"]).expect(0);
    let shown = show(&home, &["--model"]);
    let model = &shown["model"];
    let part = &model["parts"][0];
    assert_eq!((part["of"].as_str(), part["fitted"].as_u64()), (Some("loss"), Some(14)), "{model}");
    let shares: f64 = ["noise", "signal", "linear", "quadratic", "categories"]
        .iter()
        .map(|share| part[share].as_f64().unwrap())
        .sum();
    assert!((shares - 1.0).abs() < 1e-9);
    assert_eq!(part["lengths"][0]["parameter"], "x");
    assert_eq!(model["next"]["trial"], 15);
    let best = shown["best"]["objectives"][0]["value"].as_f64().unwrap();
    let expected = model["recommended"]["expected"][0]["mean"].as_f64().unwrap();
    assert!((best - expected).abs() < 0.05, "{best} and {expected}");
    let said = home.swath(&["sweep", "show", "@last", "--model"]).expect(0).out;
    for word in ["model    loss, from 14 trials", "changes within", "next     trial 15: x=", "advice"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(show(&home, &[])["model"].is_null(), "only when it is asked for");
    let trial = home.swath(&["trial", "show", "@last/14"]).expect(0).out;
    assert!(trial.contains(" source      bayes: expected loss"), "{trial}");
}

#[test]
fn a_sweep_learns_from_an_earlier_one_and_says_so() {
    let home = home("first.yaml", &file("random", "name: first\n"));
    home.swath(&["run", "first.yaml", "--progress", "none"]).expect(0);
    let first = show(&home, &[])["sweep"].as_str().unwrap().to_owned();
    home.write("second.yaml", &file("bayes", "from: [first]\nname: second\n"));
    let done = home.swath(&["run", "second.yaml", "--progress", "none", "-n", "6"]).expect(0);
    let words = format!("learns from 14 trials of {first} (first)");
    assert!(done.err.contains(&words), "{}", done.err);
    let shown = home.swath(&["sweep", "show", "second"]).expect(0).out;
    assert!(shown.contains(&format!(" learned  from 14 trials of {first}")), "{shown}");
    let believed = home.swath(&["sweep", "show", "second", "--model"]).expect(0).out;
    assert!(believed.contains("of what earlier sweeps say"), "{believed}");
    let trial = home.swath(&["trial", "show", "second/1"]).expect(0).out;
    assert!(trial.contains("bayes: expected loss"), "its first trial needs no design: {trial}");
    proposals_hold(&home, 20);
    // What it learned is its own now: the earlier one may go.
    home.swath(&["sweep", "delete", &first]).expect(0);
    home.swath(&["run", "--resume", "second", "-n", "8", "--progress", "none"]).expect(0);
    proposals_hold(&home, 22);
}

#[test]
fn a_sweep_that_teaches_nothing_is_refused_with_its_reason() {
    let home = home("first.yaml", &file("random", "name: first\n").replace("loss", "accuracy"));
    home.write("train.py", &QUICK.replace("loss=", "accuracy="));
    home.swath(&["run", "first.yaml", "--progress", "none"]).expect(0);
    for (from, why) in [("first", "it has no objective 'loss'"), ("third", "there is no sweep 'third'")] {
        home.write("second.yaml", &file("bayes", &format!("from: [{from}]\n")));
        let done = home.swath(&["run", "second.yaml"]);
        assert!(done.code != Some(0) && done.err.contains(why), "{done:?}");
    }
}
