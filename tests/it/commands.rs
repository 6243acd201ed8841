//! Commands that look at a sweep and change it, against one that runs and one that has ended.

use serde_json::json;

use crate::support::{Done, Home, QUICK, Running, same_as_file, sweep, wait_for};

/// Reports a step, then waits to be stopped.
const SLOW: &str = "import time\nprint('step=0 loss=0.5', flush=True)\ntime.sleep(600)\n";

/// A home with an ended sweep of 3 trials.
fn ended() -> Home {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write("ended.yaml", &sweep("train.py", 3, "name: ended\n"));
    home.swath(&["run", "ended.yaml", "-q"]).expect(0);
    home
}

/// A home with a sweep whose first trial has reported and goes on.
fn live() -> (Home, Running) {
    let home = Home::new();
    home.write("slow.py", SLOW);
    home.write("live.yaml", &sweep("slow.py", 5, "name: live\ngrace: 1s\n"));
    let running = home.start(&["run", "live.yaml"], "live.err");
    running.says("live · random");
    wait_for("the first report", || (!exported(&home, "live", "reports").is_empty()).then_some(()));
    (home, running)
}

fn exported(home: &Home, sweep: &str, what: &str) -> Vec<serde_json::Value> {
    let done = home.swath(&["sweep", "export", sweep, "--what", what, "--format", "json"]);
    if done.code == Some(4) { Vec::new() } else { done.expect(0).json().as_array().unwrap().clone() }
}

fn shown(home: &Home, of: &str, which: &str) -> serde_json::Value {
    home.swath(&[of, "show", which, "-o", "json"]).expect(0).json()
}

fn says(done: &Done, parts: &[&str]) {
    for part in parts {
        assert!(done.out.contains(part) || done.err.contains(part), "{part}:\n{}\n{}", done.out, done.err);
    }
}

#[test]
fn a_sweep_takes_changes_that_keep_its_results_comparable() {
    let home = ended();
    let done = home.swath(&["sweep", "set", "ended", "run_cap=5", "tags=a,b", "notes=seen"]).expect(0);
    says(&done, &["version 2", "swath run --resume"]);
    let sweep = shown(&home, "sweep", "ended");
    assert_eq!(
        (&sweep["trials"], &sweep["tags"], &sweep["notes"]),
        (&json!("5"), &json!(["a", "b"]), &json!("seen"))
    );
    let refused = home.swath(&["sweep", "set", "ended", "parameters.x.max=2"]).expect(2);
    says(&refused, &["error SW2006", "'parameters.x.max' cannot change", "start a new sweep"]);
    says(&home.swath(&["sweep", "set", "ended", "parallel=0"]).expect(2), &["SW2006", "an integer from 1"]);
    says(&home.swath(&["sweep", "set", "ended", "parallel"]).expect(2), &["KEY=VALUE"]);
    assert_eq!(home.swath(&["run", "--resume", "ended", "-q"]).expect(0).out.lines().count(), 1);
    assert_eq!(shown(&home, "sweep", "ended")["counts"]["succeeded"], 5);
}

#[test]
fn a_sweep_is_exported_in_every_form_that_fits() {
    let home = ended();
    let export =
        |what: &str, form: &str| home.swath(&["sweep", "export", "ended", "--what", what, "--format", form]);
    let csv = export("trials", "csv").expect(0).out;
    assert_eq!(csv.lines().next(), Some("trial,state,feasible,attempts,seconds,loss,params.x"));
    assert_eq!(csv.lines().count(), 4);
    for (what, least) in [("trials", 3), ("reports", 3), ("events", 10)] {
        let list = export(what, "json").expect(0).json().as_array().unwrap().clone();
        let lines: Vec<serde_json::Value> = export(what, "jsonl")
            .expect(0)
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(list, lines, "{what}");
        assert!(list.len() >= least, "{what}: {}", list.len());
    }
    assert!(
        export("reports", "csv")
            .expect(0)
            .out
            .starts_with("trial,attempt,step,metric,value,time_us\n1,1,0,loss,")
    );
    assert_eq!(export("definition", "json").expect(0).json()["method"], "random");
    assert!(export("definition", "yaml").expect(0).out.contains("method: random\n"));
    let best = export("best", "json").expect(0).json()["x"].as_f64().unwrap();
    assert_eq!(export("best", "args").expect(0).out, format!("--x={best}\n"));
    assert_eq!(export("best", "env").expect(0).out, format!("X={best}\n"));
    says(&export("best", "csv").expect(0), &["params.x"]);
    for (what, form) in [("trials", "env"), ("reports", "yaml"), ("events", "csv"), ("definition", "args")] {
        let refused = export(what, form).expect(2);
        says(&refused, &["SW2001", "--format may be"]);
        assert_eq!(refused.out, "", "{what} {form}");
    }
}

#[test]
fn notes_stars_tags_and_exclusion_are_kept_and_shown() {
    let home = ended();
    home.swath(&["trial", "annotate", "ended/1", "looks \u{1b}[31mgood", "--star", "--tag", "t1"]).expect(0);
    home.swath(&["trial", "annotate", "ended/1", "--exclude"]).expect(0);
    home.swath(&["trial", "annotate", "ended", "of the sweep"]).expect(0);
    let trial = shown(&home, "trial", "ended/1");
    assert_eq!(
        (&trial["excluded"], trial["annotations"][0]["text"].as_str()),
        (&json!(true), Some("looks \u{1b}[31mgood"))
    );
    let table = home.swath(&["trial", "show", "ended/1"]).expect(0).out;
    assert!(table.contains("t1") && table.contains("good") && !table.contains('\u{1b}'), "{table}");
    home.swath(&["trial", "annotate", "ended/1", "--include", "--untag", "t1"]).expect(0);
    assert_eq!(shown(&home, "trial", "ended/1")["excluded"], false);
    says(&home.swath(&["trial", "annotate", "ended/1"]).expect(2), &["there is nothing to note"]);
    says(&home.swath(&["trial", "annotate", "ended/99", "x"]).expect(4), &["SW5004"]);
}

#[test]
fn what_is_enqueued_runs_next_also_where_the_sweep_had_ended() {
    let home = ended();
    home.swath(&["trial", "enqueue", "ended", "--params", r#"{"x": 0.25}"#]).expect(0);
    home.swath(&["trial", "enqueue", "ended", "--from", "ended/@best", "--repeat", "2"]).expect(0);
    home.swath(&["run", "--resume", "ended", "-q"]).expect(0);
    let best = shown(&home, "sweep", "ended")["best"]["params"]["x"].clone();
    let x = |n: u32| shown(&home, "trial", &format!("ended/{n}"))["params"]["x"].clone();
    assert_eq!(x(4), 0.25);
    assert_eq!(x(5), x(6));
    assert!([&x(4), &x(5)].contains(&&best), "{best}");
    says(&home.swath(&["trial", "enqueue", "ended", "--params", "x"]).expect(2), &["is not a JSON object"]);
    says(&home.swath(&["trial", "enqueue", "ended", "--params", r#"{"x": 7}"#]).expect(2), &["x"]);
}

#[test]
fn a_trial_of_another_sweep_is_enqueued_by_its_values() {
    let home = ended();
    home.write("other.yaml", &sweep("train.py", 2, "name: other\n").replace("seed: 7", "seed: 8"));
    home.swath(&["run", "other.yaml", "-q"]).expect(0);
    home.swath(&["trial", "enqueue", "other", "--from", "ended/2"]).expect(0);
    assert_eq!(shown(&home, "trial", "other/3")["params"], shown(&home, "trial", "ended/2")["params"]);
    assert_ne!(shown(&home, "trial", "other/3")["params"], shown(&home, "trial", "other/2")["params"]);
}

#[test]
fn a_live_trial_is_stopped_and_tried_again() {
    let (home, running) = live();
    home.swath(&["trial", "stop", "live/1"]).expect(0);
    running.says("stopped by a person");
    says(&home.swath(&["trial", "stop", "live/1"]).expect(7), &["SW5003", "trial 1 is stopped"]);
    says(&home.swath(&["trial", "retry", "live", "--state", "failed"]).expect(0), &["no trial is failed"]);
    says(&home.swath(&["trial", "retry", "live/1"]).expect(0), &["1 trial queued again"]);
    // The slot went to the next trial meanwhile.
    wait_for("the second trial", || home.swath(&["trial", "stop", "live/2"]).code.filter(|code| *code == 0));
    wait_for("its second run", || {
        (shown(&home, "trial", "live/1")["runs"].as_array()?.len() == 2).then_some(())
    });
    home.swath(&["sweep", "stop", "live"]).expect(0);
    running.end().expect(11);
    assert_eq!(shown(&home, "sweep", "live")["state"], "STOPPED");
    says(&home.swath(&["sweep", "resume", "live"]).expect(7), &["SW5003", "the sweep is stopped"]);
}

#[test]
fn a_live_sweep_is_paused_deleted_and_brought_back() {
    let (home, running) = live();
    says(&home.swath(&["sweep", "pause", "live"]).expect(0), &["swath run --resume"]);
    assert_eq!(shown(&home, "sweep", "live")["state"], "PAUSED");
    says(&home.swath(&["sweep", "resume", "live"]).expect(0), &["going on"]);
    assert_eq!(shown(&home, "sweep", "live")["state"], "RUNNING");
    let id = shown(&home, "sweep", "live")["sweep"].as_str().unwrap().to_owned();
    says(&home.swath(&["sweep", "delete", "live"]).expect(0), &["delete --undo", &id]);
    running.end().expect(11);
    assert_eq!(home.swath(&["sweep", "list", "-q"]).expect(0).out, "");
    assert_eq!(home.swath(&["sweep", "list", "--all", "-q"]).expect(0).out, format!("{id}\n"));
    says(&home.swath(&["sweep", "delete", "--undo", "live"]).expect(4), &["--all"]);
    home.swath(&["sweep", "delete", "--undo", &id]).expect(0);
    assert_eq!(home.swath(&["sweep", "list", "-q"]).expect(0).out, format!("{id}\n"));
}

#[test]
fn b30_the_same_request_id_gives_the_first_answer() {
    let home = ended();
    let create = |file: &str, id: &str| home.swath(&["sweep", "create", file, "--request-id", id, "-q"]);
    let first = create("ended.yaml", "one").expect(0).out;
    assert_eq!(create("ended.yaml", "one").expect(0).out, first);
    assert_ne!(create("ended.yaml", "two").expect(0).out, first);
    home.write("other.yaml", &sweep("train.py", 9, ""));
    says(&create("other.yaml", "one").expect(7), &["SW5008", "was used for another request"]);
    assert_eq!(home.swath(&["sweep", "list", "-q"]).expect(0).out.lines().count(), 3);
}

#[test]
fn b31_what_is_not_there_is_said_and_ends_with_code_4() {
    let home = ended();
    let absent: [&[&str]; 8] = [
        &["sweep", "show", "00000000"],
        &["sweep", "pause", "nosuch"],
        &["sweep", "export", "nosuch"],
        &["sweep", "delete", "nosuch"],
        &["trial", "list", "nosuch"],
        &["trial", "show", "ended/99"],
        &["trial", "logs", "ended/99"],
        &["run", "--resume", "nosuch"],
    ];
    for args in absent {
        let done = home.swath(args).expect(4);
        says(&done, &["error SW5004: ", "exit code 4"]);
        assert_eq!(done.out, "", "{args:?}");
        let json = home.swath(&[args, &["-o", "json"]].concat()).expect(4);
        let error: serde_json::Value = serde_json::from_str(json.err.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&error["error"]["code"], &error["error"]["status"]),
            (&json!("SW5004"), &json!("NOT_FOUND"))
        );
    }
}

#[test]
fn b51_flag_then_environment_then_file_then_default() {
    let home = Home::new();
    home.write(".config/swath/config.yaml", "timeout: 11s\nproject: of-the-file\n");
    let setting = |args: &[&str], timeout: Option<&str>| {
        let mut command = home.command(&[&["config", "show"], args].concat());
        if let Some(timeout) = timeout {
            command.env("SWATH_TIMEOUT", timeout);
        }
        let shown = Done::from(command.output().unwrap()).expect(0).out;
        shown.lines().find(|line| line.contains("timeout")).unwrap_or_default().to_owned()
    };
    for (args, env, value, from) in [
        (&["--timeout", "13s"][..], Some("12s"), "13s", "--timeout"),
        (&[], Some("12s"), "12s", "SWATH_TIMEOUT"),
        (&[], None, "11s", "config.yaml"),
    ] {
        let line = setting(args, env);
        assert!(line.contains(value) && line.contains(from), "{line}");
    }
    home.write(".config/swath/config.yaml", "");
    assert!(setting(&[], None).contains("default"), "{}", setting(&[], None));
    let wrong =
        Done::from(home.command(&["sweep", "list"]).env("SWATH_TIMEOUT", "soon").output().unwrap()).expect(2);
    says(&wrong, &["SW2002", "SWATH_TIMEOUT"]);
}

#[test]
fn help_explains_a_code_in_any_case() {
    let home = Home::new();
    for code in ["SW3101", "sw3101"] {
        let done = home.swath(&["help", code]).expect(0);
        says(&done, &["SW3101: the first 3 runs failed in the same way", "swath run --resume"]);
    }
    says(&home.swath(&["help", "SW9999"]).expect(2), &["there is no error code SW9999"]);
}

#[test]
fn the_page_on_recovery_lists_the_exit_codes() {
    let table = Home::new().swath(&["help", "exit-codes"]).expect(0).out;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recovery.md")).unwrap();
    let listed = table.trim_end().strip_prefix("Exit codes:\n").unwrap();
    assert!(page.contains(listed), "{listed}");
}

#[test]
fn the_page_of_commands_is_made_from_the_grammar() {
    same_as_file("docs/command-line.md", &swath::cli::command_line_page());
}
