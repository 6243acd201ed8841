//! `swath optimize` as a loop of one's own meets it: the protocol, garbage, the history over kills.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use serde_json::{Value as Json, json};

use crate::support::{Done, Home, kill};

const SPACE: &str = "\
method: tpe
metric: {name: loss, goal: minimize}
parameters:
  x: {min: 0.0, max: 1.0}
  k: {min: 1, max: 9}
  opt: {values: [adam, sgd]}
  momentum: {min: 0.0, max: 0.99, when: {opt: sgd}}
";

/// A process that is asked and told.
struct Talk {
    child: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn start(home: &Home, space: &str, options: &[&str]) -> Talk {
        home.write("space.yaml", space);
        let mut command = home.command(&[&["optimize", "space.yaml"], options].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Talk { child, input, output: BufReader::new(output) }
    }

    /// Sends a line and gives the reply to it.
    fn line(&mut self, line: &[u8]) -> Json {
        self.input.write_all(line).unwrap();
        self.input.write_all(b"\n").unwrap();
        let mut reply = String::new();
        self.output.read_line(&mut reply).unwrap();
        assert!(reply.ends_with('\n'), "no reply to {}", String::from_utf8_lossy(line));
        serde_json::from_str(&reply).unwrap()
    }

    fn send(&mut self, request: Json) -> Json {
        self.line(request.to_string().as_bytes())
    }

    fn ask(&mut self) -> (u64, Json) {
        let reply = self.send(json!({"op": "ask"}));
        let trial = &reply["trials"][0];
        (trial["id"].as_u64().unwrap_or_else(|| panic!("{reply}")), trial["params"].clone())
    }

    /// Asks and tells `n` times.
    fn rounds(&mut self, n: usize, value: impl Fn(&Json) -> f64) -> Vec<Json> {
        (0..n)
            .map(|_| {
                let (id, params) = self.ask();
                let told = self.send(json!({"op": "tell", "id": id, "value": value(&params)}));
                assert_eq!(told, json!({"ok": true}));
                params
            })
            .collect()
    }

    fn error(&mut self, request: Json) -> String {
        let reply = self.send(request);
        reply["error"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    /// Ends the input and waits.
    fn end(self) -> Done {
        let Talk { child, input, output } = self;
        drop(input);
        drop(output);
        Done::from(child.wait_with_output().unwrap())
    }
}

fn loss(params: &Json) -> f64 {
    let momentum = params["momentum"].as_f64().map_or(1.0, |m| (m - 0.9).abs());
    (params["x"].as_f64().unwrap() - 0.3).abs() + momentum + params["k"].as_f64().unwrap() / 9.0
}

#[test]
fn t10_a_thousand_asks_between_garbage_get_one_reply_each() {
    let home = Home::new();
    let mut talk = Talk::start(&home, SPACE, &["--seed", "3"]);
    let garbage: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[1,2]",
        b"{\"op\":\"ask\",\"n\":-1}",
        b"{\"op\":\"ask\",\"n\":1e99}",
        b"{\"op\":\"tell\",\"id\":1,\"value\":NaN}",
        b"\xff\xfe\x00",
        b"{\"op\":{\"op\":\"ask\"}}",
        b"{\"op\":\"report\",\"id\":99999999999,\"step\":1,\"value\":1}",
        b"\x1b[31m{\"op\":\"ask\"}",
        &[b'['; 5000],
    ];
    for k in 0..1000usize {
        let reply = talk.line(garbage[k % garbage.len()]);
        assert!(reply["error"].is_string(), "{reply}");
        let (id, params) = talk.ask();
        assert_eq!(id, k as u64 + 1);
        // some are told, some fail, some stay pending
        match k % 3 {
            0 => drop(talk.send(json!({"op": "tell", "id": id, "value": loss(&params)}))),
            1 => drop(talk.send(json!({"op": "tell", "id": id, "state": "failed"}))),
            _ => {}
        }
    }
    let long = talk.line(&vec![b'a'; 3 << 20]);
    assert_eq!(long["error"], "the line is longer than 1048576 bytes");
    assert_eq!(talk.ask().0, 1001);
    talk.end().expect(0);
}

#[test]
fn a_seed_gives_the_same_trials_and_ten_asks_are_ten_in_a_row() {
    for method in ["random", "sobol", "tpe", "cmaes", "bayes"] {
        let home = Home::new();
        let space = SPACE.replace("method: tpe", &format!("method: {method}"));
        let run = |seed: &str| {
            let mut talk = Talk::start(&home, &space, &["--seed", seed]);
            let params = talk.rounds(15, loss);
            let ten = talk.send(json!({"op": "ask", "n": 10}))["trials"].clone();
            (params, ten)
        };
        let (params, ten) = run("1");
        assert_eq!(run("1"), (params.clone(), ten.clone()), "{method}");
        assert_ne!(run("2").0, params, "{method}");
        let mut talk = Talk::start(&home, &space, &["--seed", "1"]);
        talk.rounds(15, loss);
        let one_by_one: Vec<Json> =
            (0..10).map(|_| talk.send(json!({"op": "ask"}))["trials"][0].clone()).collect();
        assert_eq!(json!(one_by_one), ten, "{method}");
    }
}

#[test]
fn to_maximise_is_to_minimise_the_negative() {
    let home = Home::new();
    let up = SPACE.replace("minimize", "maximize");
    let down = Talk::start(&home, SPACE, &["--seed", "1"]).rounds(30, loss);
    assert_eq!(Talk::start(&home, &up, &["--seed", "1"]).rounds(30, |params| -loss(params)), down);
}

#[test]
fn a_history_goes_on_as_if_nobody_had_died() {
    for method in ["tpe", "cmaes", "bayes"] {
        let home = Home::new();
        let space = SPACE.replace("method: tpe", &format!("method: {method}"));
        let straight = Talk::start(&home, &space, &["--seed", "5"]).rounds(40, loss);
        let options = ["--seed", "5", "--history", "history.jsonl"];
        let mut params = Vec::new();
        for part in 0..4 {
            let mut talk = Talk::start(&home, &space, &options);
            params.extend(talk.rounds(10, loss));
            kill(talk.child.id(), "KILL");
            talk.child.wait().unwrap();
            if part == 1 {
                // what a kill may leave of a line
                let torn = home.read("history.jsonl") + "{\"op\":\"tell\",\"id\":20,\"val";
                home.write("history.jsonl", &torn);
            }
        }
        assert_eq!(params, straight, "{method}");
        assert_eq!(home.read("history.jsonl").lines().count(), 80);
    }
}

#[test]
fn what_was_pending_can_be_told_after_a_restart() {
    let home = Home::new();
    let options = ["--history", "h"];
    let mut talk = Talk::start(&home, SPACE, &options);
    let (id, _) = talk.ask();
    talk.send(json!({"op": "report", "id": id, "step": 1, "value": 0.5}));
    talk.end().expect(0);
    let mut talk = Talk::start(&home, SPACE, &options);
    assert_eq!(talk.send(json!({"op": "tell", "id": id, "state": "stopped"})), json!({"ok": true}));
    assert_eq!(talk.error(json!({"op": "tell", "id": id, "value": 1})), "trial 1 has ended already");
    assert_eq!(talk.ask().0, 2);
    talk.end().expect(0);
}

#[test]
fn a_history_that_cannot_be_used_is_refused() {
    let home = Home::new();
    let open = |expected: i32| {
        let talk = Talk::start(&home, SPACE, &["--history", "h"]);
        talk.end().expect(expected).err
    };
    let mut holder = Talk::start(&home, SPACE, &["--history", "h"]);
    holder.rounds(2, loss);
    assert!(open(7).contains("error SW4012: another process writes this history"));
    holder.end().expect(0);
    let whole = home.read("h");
    let lines: Vec<&str> = whole.lines().collect();
    for (damage, says) in [
        (whole.replacen("\"ask\"", "\"aks\"", 1), "line 1 of the history: 'op' is"),
        (whole.replacen("\"id\":2", "\"id\":5", 1), "line 3 of the history: trial 2 should stand here"),
        (format!("{whole}{}\n", lines[3]), "line 5 of the history: trial 2 has ended already"),
        (whole.replacen("\"k\":", "\"q\":", 1), "line 1 of the history: `k` has no value"),
        (format!("\0\0\0\n{whole}"), "line 1 of the history: expected value"),
    ] {
        home.write("h", &damage);
        let said = open(8);
        assert!(said.contains("error SW4012") && said.contains(says), "{says}: {said}");
        assert_eq!(home.read("h"), damage, "nothing of it is changed");
    }
    fs::remove_file(home.dir.join("h")).unwrap();
    fs::create_dir(home.dir.join("h")).unwrap();
    assert!(open(1).contains("SW4012"));
}

#[test]
fn a_line_that_cannot_be_written_is_not_acknowledged() {
    let home = Home::new();
    home.write("space.yaml", SPACE);
    // 512 bytes at most, in the shell's unit
    let script = format!(
        "ulimit -f 1; trap '' XFSZ; exec {} optimize space.yaml --history h",
        crate::support::binary()
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(&home.dir);
    let mut child =
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut talk = Talk { child, input, output: BufReader::new(output) };
    let mut given = 0;
    let refused = loop {
        let reply = talk.send(json!({"op": "ask"}));
        match reply["error"].as_str() {
            Some(error) => break error.to_owned(),
            None => given += 1,
        }
        assert!(given < 100, "the limit does not hold");
    };
    assert!(refused.starts_with("the history cannot be written: "), "{refused}");
    assert!(talk.error(json!({"op": "ask"})).starts_with("the history cannot be written"));
    talk.end().expect(0);
    assert_eq!(home.read("h").lines().count(), given);
    let mut again = Talk::start(&home, SPACE, &["--history", "h"]);
    assert_eq!(again.ask().0, given as u64 + 1);
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    let home = Home::new();
    let mut talk = Talk::start(&home, SPACE, &[]);
    let (id, params) = talk.ask();
    for (request, says) in [
        (json!({"op": "aks"}), "'op' is ask, tell, report or add, here it is \"aks\""),
        (json!({"id": 1}), "'op' is missing"),
        (json!({"op": "ask", "n": 0}), "'n' must be an integer from 1 to 10000, here it is 0"),
        (json!({"op": "tell", "value": 1}), "'id' is missing"),
        (json!({"op": "tell", "id": id}), "'value' is missing"),
        (json!({"op": "tell", "id": id, "value": null}), "'value' must be a number, here it is null"),
        (
            json!({"op": "tell", "id": id, "value": 1, "values": [1]}),
            "'value' and 'values' say the same: give one of them",
        ),
        (
            json!({"op": "tell", "id": id, "values": [1, 2]}),
            "1 values are needed, one an objective; here are 2",
        ),
        (
            json!({"op": "tell", "id": id, "value": 1, "constraints": [0]}),
            "there are 0 constraints; here are 1 values of them",
        ),
        (
            json!({"op": "tell", "id": id, "state": "dead"}),
            "'state' must be succeeded, stopped or failed, here it is \"dead\"",
        ),
        (json!({"op": "tell", "id": 7, "value": 1}), "there is no trial 7: the last one is 1"),
        (json!({"op": "tell", "id": id, "value": 1, "vlaue": 2}), "'tell' has no key 'vlaue'"),
        (
            json!({"op": "report", "id": id, "step": 1.5, "value": 1}),
            "'step' must be an integer, here it is 1.5",
        ),
        (
            json!({"op": "add", "params": {"x": 2, "k": 1, "opt": "adam"}, "value": 1}),
            "params: `x` cannot be 2: it is a number from 0.0 to 1.0",
        ),
        (
            json!({"op": "add", "params": [1], "value": 1}),
            "'params' must be an object of parameters, here it is [1]",
        ),
        (
            json!({"op": "add", "params": params, "state": "stopped"}),
            "a trial that was added succeeded, or failed: nothing stopped it",
        ),
    ] {
        assert_eq!(talk.error(request.clone()), says, "{request}");
    }
    let bare = talk.line(b"{\"op\":\"tell\",\"id\":1,\"value\":NaN}");
    assert!(bare["error"].as_str().unwrap().contains("the strings \"NaN\""), "{bare}");
    assert_eq!(talk.send(json!({"op": "tell", "id": id, "value": "NaN"})), json!({"ok": true}));
}

#[test]
fn the_files_rule_stops_the_worst_of_three() {
    let home = Home::new();
    // hyperband counts reports, asha reads steps
    let rules = ["{type: hyperband, min_iter: 2, eta: 3}", "{type: asha, min_iter: 1, max_iter: 9}"];
    let goals = [("minimize", 1.0), ("maximize", -1.0)];
    for (rule, (goal, sign)) in rules.into_iter().flat_map(|rule| goals.map(|goal| (rule, goal))) {
        let space = format!("{}early_terminate: {rule}\n", SPACE.replace("minimize", goal));
        let mut talk = Talk::start(&home, &space, &[]);
        let ids = [talk.ask().0, talk.ask().0, talk.ask().0];
        let mut stops = Vec::new();
        for step in 0..2 {
            for (id, value) in ids.iter().zip([0.6, 0.5, 0.9]) {
                let reply = talk.send(json!({"op": "report", "id": id, "step": step, "value": sign * value}));
                stops.push(reply["stop"].as_bool().unwrap());
            }
        }
        assert_eq!(stops, [false, false, false, false, false, true], "{rule} {goal}");
        assert_eq!(talk.send(json!({"op": "tell", "id": ids[2], "state": "stopped"})), json!({"ok": true}));
        assert_eq!(
            talk.error(json!({"op": "report", "id": ids[2], "step": 3, "value": 1})),
            "trial 3 has ended already"
        );
    }
}

#[test]
fn what_stopped_trials_reported_of_the_first_objective_is_learnt() {
    let home = Home::new();
    let objectives = "objectives: [{name: loss}, {name: size}]";
    let space = SPACE
        .replace("metric: {name: loss, goal: minimize}", objectives)
        .replace("method: tpe", "method: bayes");
    let after = |reported: fn(u64) -> f64| {
        let mut talk = Talk::start(&home, &space, &["--seed", "1"]);
        for n in 0..12 {
            let (id, _) = talk.ask();
            if n % 3 == 0 {
                talk.send(json!({"op": "tell", "id": id, "values": [5.0 + n as f64, 1.0]}));
            } else {
                talk.send(json!({"op": "report", "id": id, "step": 1, "value": reported(n)}));
                talk.send(json!({"op": "tell", "id": id, "state": "stopped"}));
            }
        }
        talk.ask().1
    };
    assert_ne!(after(|n| n as f64), after(|n| 40.0 - n as f64));
}

#[test]
fn several_objectives_and_constraints_are_taken() {
    let home = Home::new();
    let space = SPACE.replace(
        "metric: {name: loss, goal: minimize}",
        "objectives: [{name: loss}, {name: acc, goal: maximize}]\nconstraints: [{metric: memory, max: 8}]",
    );
    let mut talk = Talk::start(&home, &space, &["--seed", "1"]);
    for _ in 0..40 {
        let (id, params) = talk.ask();
        let (x, k) = (params["x"].as_f64().unwrap(), params["k"].as_f64().unwrap());
        let told = json!({"op": "tell", "id": id, "values": [x, x], "constraints": [k - 4.0]});
        assert_eq!(talk.send(told), json!({"ok": true}));
    }
    let feasible = (0..20).filter(|_| talk.ask().1["k"].as_f64().unwrap() <= 4.0).count();
    assert!(feasible > 13, "{feasible} of 20");
    assert_eq!(
        talk.error(json!({"op": "tell", "id": 41, "value": 1.0})),
        "2 values are needed, one an objective; here are 1"
    );
}

#[test]
fn a_space_that_is_used_up_says_so() {
    for method in ["grid", "sobol", "tpe", "cmaes", "bayes"] {
        let home = Home::new();
        let space = format!(
            "method: {method}\nmetric: {{name: loss}}\nparameters: {{a: {{values: [x, y]}}, b: {{values: [1, 2, 3]}}}}\n"
        );
        let mut talk = Talk::start(&home, &space, &[]);
        assert_eq!(
            talk.send(json!({"op": "add", "params": {"a": "x", "b": 2}, "value": 1})),
            json!({"ok": true})
        );
        let reply = talk.send(json!({"op": "ask", "n": 9}));
        assert_eq!(reply["trials"].as_array().unwrap().len(), 5, "{method}");
        assert_eq!(talk.error(json!({"op": "ask"})), "every point of the space was proposed", "{method}");
        let last = &reply["trials"][4]["id"];
        assert_eq!(talk.send(json!({"op": "tell", "id": last, "value": 1})), json!({"ok": true}), "{method}");
    }
}

#[test]
fn the_file_is_a_sweep_file() {
    let home = Home::new();
    // its own points first, numbers as they were written, no method
    let space = "\
metric: {name: loss}
parameters:
  lr: {distribution: log_uniform_values, min: 1.0e-5, max: 0.1}
  size: {values: [64, 64.5, .nan]}
  group: {parameters: {a: {value: 1}, b: {min: 0, max: 3}}}
enqueue: [{lr: 0.003, size: .nan, group: {a: 1, b: 2}}]
";
    let mut talk = Talk::start(&home, space, &["--history", "h"]);
    let first = json!({"lr": 0.003, "size": "NaN", "group": {"a": 1, "b": 2}});
    assert_eq!(talk.ask().1, first);
    talk.end().expect(0);
    let mut talk = Talk::start(&home, space, &["--history", "h"]);
    assert_eq!(talk.ask().0, 2);
    let wrong = Talk::start(&home, "parameters: {x: {min: 1, max: 0}}\n", &[]).end().expect(3);
    assert!(wrong.err.contains("SW1102") && wrong.err.contains("exit code 3"), "{}", wrong.err);
    let set = Talk::start(&home, SPACE, &["--set", "method=grid"]).end().expect(3);
    assert!(set.err.contains("SW1202"), "{}", set.err);
    home.swath(&["optimize", "absent.yaml"]).expect(3);
}
