//! The command line as a user meets it: help, lists, errors and their exit codes, settings, backup, damage, a full disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value as Json;

use crate::support::{Home, QUICK, kill, sweep, wait_for};

/// Every command, as its words.
fn commands(home: &Home) -> Vec<Vec<String>> {
    fn walk(home: &Home, path: &[String], out: &mut Vec<Vec<String>>) {
        out.push(path.to_vec());
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let help = home.swath(&words).expect(0).out;
        let list = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        for line in list.lines().take_while(|line| line.starts_with(' ')) {
            // A command stands two spaces in; what goes on from the line before stands deeper.
            let name = line
                .strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))
                .and_then(|rest| rest.split(' ').next());
            if let Some(name) = name {
                walk(home, &[path, &[name.to_owned()]].concat(), out);
            }
        }
    }
    let mut out = Vec::new();
    walk(home, &[], &mut out);
    out
}

/// A home with one finished sweep of 3 trials.
fn finished(more: &str) -> Home {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write("sweep.yaml", &sweep("train.py", 3, more));
    home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    home
}

#[test]
fn t1_no_argument_gives_one_screen() {
    let home = Home::new();
    let done = home.swath(&[]).expect(0);
    assert!(done.out.lines().count() <= 24 && done.out.lines().all(|line| line.len() <= 80), "{}", done.out);
    assert_eq!(done.out.lines().filter(|line| line.starts_with("  swath ")).count(), 5, "{}", done.out);
    assert!(done.out.contains("Read on:"), "{}", done.out);
    assert!(!home.data().exists(), "nothing was made");
}

#[test]
fn t2_every_help_fits_80_columns() {
    let home = Home::new();
    let all = commands(&home);
    assert!(all.len() > 25, "{all:?}");
    for path in &all {
        for flag in ["-h", "--help"] {
            let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
            words.push(flag);
            let done = home.command(&words).env("COLUMNS", "80").output().unwrap();
            let text = String::from_utf8(done.stdout).unwrap();
            assert!(done.status.success() && !text.is_empty(), "{path:?} {flag}");
            let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{path:?} {flag}: {wide:#?}");
        }
    }
    assert!(!home.data().exists(), "help makes nothing");
}

/// Lines that a reader would type: `swath ..` in examples of help texts and of the documents.
fn examples(home: &Home) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = commands(home)
        .iter()
        .map(|path| {
            let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
            words.push("--help");
            (format!("swath {} --help", path.join(" ")), home.swath(&words).expect(0).out)
        })
        .collect();
    for name in ["README.md", "CONTRIBUTING.md", "examples/README.md", "docs/sweep-file.md", "docs/usage.md"]
    {
        if let Ok(text) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)) {
            // What stands in a block.
            let blocks: Vec<&str> = text.split("\n```").skip(1).step_by(2).collect();
            let indented: Vec<&str> = text.lines().filter(|line| line.starts_with("    ")).collect();
            texts.push((name.to_owned(), [blocks, indented].concat().join("\n")));
        }
    }
    let typed = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line
            .strip_prefix("cargo run --release -- ")
            .map_or(line.to_owned(), |rest| format!("swath {rest}"));
        let line = line
            .split(" #")
            .next()
            .unwrap_or_default()
            .split("   ")
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned();
        line.starts_with("swath ").then_some(line)
    };
    texts
        .iter()
        .flat_map(|(place, text)| {
            text.lines().filter_map(typed).map(|line| (place.clone(), line)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn t2_every_example_parses() {
    let home = Home::new();
    let examples = examples(&home);
    assert!(examples.len() >= 3, "{examples:?}");
    for (place, line) in examples {
        // Words in capitals stand for a value.
        let words: Vec<String> = line
            .replace("SWEEP/TRIAL", "abcdefgh/1")
            .replace("@last/", "abcdefgh/")
            .split_whitespace()
            .skip(1)
            .take_while(|word| !["|", "&&", ">", "·"].contains(word))
            .map(|word| word.trim_matches(['\'', '"', '`']).to_owned())
            .collect();
        let mut words: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !word.starts_with('[')).collect();
        // What is asked for help alone is parsed up to the end, and nothing is done.
        let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        words.insert(end, "--help");
        let done = home.swath(&words);
        assert_eq!(done.code, Some(0), "{place}: {line}\n{}", done.err);
    }
}

#[test]
fn t6_a_broken_file_ends_with_3_and_every_error_at_once() {
    let home = Home::new();
    home.write("sweep.yaml", "program: x.py\nmethod: random\nmetric: {name: loss}\nparamters: {a: {value: 1}}\nparameters:\n  lr: {min: 0.1, max: 0.01}\n");
    for command in ["run", "check"] {
        let done = home.swath(&[command, "sweep.yaml"]).expect(3);
        let said = format!("{}{}", done.out, done.err);
        assert!(said.contains("error SW1003") && said.contains("sweep.yaml:4:1"), "{said}");
        assert!(said.contains("error SW1102") && said.contains("sweep.yaml:6:"), "{said}");
    }
    assert!(!home.data().join("store.db").exists() || lists(&home).is_empty());
}

fn lists(home: &Home) -> Vec<Json> {
    home.swath(&["sweep", "list", "-o", "json"]).expect(0).json()["sweeps"].as_array().unwrap().clone()
}

#[test]
fn t7_an_empty_list_is_empty_in_every_form() {
    let home = Home::new();
    let done = home.swath(&["sweep", "list"]).expect(0);
    assert_eq!((done.out.as_str(), done.err.trim()), ("", "no sweeps yet; start one: swath run SWEEP.yaml"));
    let done = home.swath(&["sweep", "list", "-o", "json"]).expect(0);
    assert_eq!(done.out, "{\"sweeps\":[],\"nextPageToken\":\"\"}\n");
    assert_eq!(home.swath(&["sweep", "list", "-q"]).expect(0).out, "");
}

#[test]
fn t7_lists_say_the_same_in_every_form() {
    let home = finished("tags: [a, b]\n");
    let json = &lists(&home)[0];
    let id = json["sweep"].as_str().unwrap();
    let table = home.swath(&["sweep", "list"]).expect(0).out;
    println!("{table}");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].trim_start().starts_with("ID        NAME") && rows.len() == 2, "{table}");
    let best = json["best"]["objectives"][0]["value"].as_f64().unwrap();
    for fact in [id, "sweep", "finished", "3/3", &format!("loss {best:.4}"), json["owner"].as_str().unwrap()]
    {
        assert!(rows[1].contains(fact), "{fact} in {table}");
    }
    let wide = home.swath(&["sweep", "list", "-o", "wide"]).expect(0).out;
    println!("{wide}");
    for fact in ["METHOD", "random", "SEED", " 7 ", "minimize", "default", "a,b"] {
        assert!(wide.contains(fact), "{fact} in {wide}");
    }
    let yaml = home.swath(&["sweep", "list", "-o", "yaml"]).expect(0).out;
    let yaml: Json = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(yaml["sweeps"][0], *json);
    assert_eq!(home.swath(&["sweep", "list", "-q"]).expect(0).out.trim(), id);
    let trials = home.swath(&["trial", "list", id, "-o", "json"]).expect(0).json();
    let table = home.swath(&["trial", "list", id]).expect(0).out;
    println!("{table}");
    for (row, trial) in table.lines().skip(1).zip(trials["trials"].as_array().unwrap()) {
        let value = trial["objectives"][0]["value"].as_f64().unwrap();
        for fact in [trial["trial"].to_string(), "succeeded".into(), format!("{value:.4}")] {
            assert!(row.contains(&fact), "{fact} in {row}");
        }
        // Numbers with all their digits; whole ones beyond 53 bits as texts.
        let x = trial["params"]["x"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&x) && trial["pos"].is_string(), "{trial}");
    }
    println!("{}", home.swath(&["sweep", "show", id]).expect(0).out);
    println!("{}", home.swath(&["trial", "show", &format!("{id}/1")]).expect(0).out);
}

#[test]
fn t8_an_unknown_id_ends_with_4_in_both_forms() {
    let home = finished("");
    for arguments in [
        vec!["sweep", "show", "zzzzzzzz"],
        vec!["trial", "list", "nosuch"],
        vec!["trial", "show", "@last/99"],
        vec!["sweep", "stop", "zzzzzzzz"],
        vec!["watch", "zzzzzzzz"],
        vec!["run", "--resume", "zzzzzzzz"],
    ] {
        let done = home.swath(&arguments).expect(4);
        assert!(done.out.is_empty() && done.err.starts_with("error SW"), "{arguments:?}: {done:?}");
        assert!(done.err.ends_with("exit code 4\n"), "{done:?}");
        let done = home.swath(&[&arguments[..], &["-o", "json"]].concat()).expect(4);
        let error: Json =
            serde_json::from_str(&done.err).unwrap_or_else(|_| panic!("{arguments:?}: {done:?}"));
        assert_eq!(error["error"]["status"], "NOT_FOUND", "{error}");
        assert!(done.out.is_empty(), "{done:?}");
    }
}

#[test]
fn t8_a_name_that_two_sweeps_bear_lists_both() {
    let home = finished("");
    home.swath(&["run", "sweep.yaml", "--new", "-q"]).expect(0);
    let ids: Vec<String> =
        lists(&home).iter().map(|sweep| sweep["sweep"].as_str().unwrap().to_owned()).collect();
    let done = home.swath(&["sweep", "show", "sweep"]).expect(4);
    assert!(ids.len() == 2 && ids.iter().all(|id| done.err.contains(id)), "{ids:?} in {}", done.err);
    // A unique prefix names one.
    let shown = home.swath(&["sweep", "show", &ids[0][..7], "-o", "json"]).expect(0).json();
    assert_eq!(shown["sweep"], ids[0].as_str());
}

#[test]
fn t8_a_store_that_a_stopped_process_holds_ends_with_7_and_names_it() {
    let home = Home::new();
    home.write("sweep.yaml", &sweep("x", 1, "command: [sleep, \"1000\"]\n"));
    let run = home.start(&["run", "sweep.yaml"], "err");
    run.says("swath: ");
    kill(run.pid(), "STOP");
    let done = home.swath(&["sweep", "list"]);
    kill(run.pid(), "CONT");
    let done = done.expect(7);
    assert!(done.err.contains(&format!("process {}", run.pid())), "{}", done.err);
}

#[test]
fn t12_names_are_shown_escaped() {
    let home = Home::new();
    home.write("train.py", "print('lo\\u202ess=0.5 <script>=1')\nprint('loss=0.5')\nimport sys\nprint('\\x1b[31mred\\x1b[0m')\nsys.exit(0)\n");
    home.write(
        "sweep.yaml",
        "name: \"<script>x \\u202e y\"\nprogram: train.py\nmethod: grid\nmetric: {name: loss}\nparameters:\n  v: {values: [\"\\e[31mred\", \"\\u202eback\"]}\n",
    );
    let run = home.swath(&["run", "sweep.yaml"]).expect(0);
    let mut seen = format!("{}{}", run.out, run.err);
    for arguments in [
        &["sweep", "list"][..],
        &["sweep", "list", "-o", "wide"],
        &["sweep", "show", "@last"],
        &["trial", "list", "@last"],
        &["trial", "show", "@last/1"],
        &["watch", "@last"],
    ] {
        seen.push_str(&home.swath(arguments).expect(0).out);
    }
    println!("{seen}");
    for raw in ['\u{1b}', '\u{202e}', '\r', '\u{7}'] {
        assert!(!seen.contains(raw), "{raw:?} in {seen}");
    }
    assert!(
        seen.contains("\\u{202e}") && seen.contains("\\u{1b}[31mred") && seen.contains("<script>"),
        "{seen}"
    );
    // Programs get them as they are.
    let trial = home.swath(&["trial", "show", "@last/1", "-o", "json"]).expect(0).json();
    assert_eq!(trial["params"]["v"], "\u{1b}[31mred");
}

#[test]
fn completions_and_man_pages_are_made_of_the_same_grammar() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = home.swath(&["completions", shell]).expect(0).out;
        assert!(script.contains("swath") && script.contains("annotate"), "{shell}");
    }
    let bash = home.swath(&["completions", "bash"]).expect(0).out;
    home.write("swath.bash", &bash);
    if Path::new("/bin/bash").exists() {
        let check =
            Command::new("/bin/bash").args(["-n", "swath.bash"]).current_dir(&home.dir).output().unwrap();
        assert!(check.status.success(), "{check:?}");
    }
    home.write("sweep.yaml", &sweep("train.py", 1, "name: mnist-lr\n"));
    let id = home.swath(&["sweep", "create", "sweep.yaml", "-q"]).expect(0).out;
    home.write("hostile.yaml", &sweep("train.py", 1, "name: \"$(touch pwned)\"\n"));
    home.swath(&["sweep", "create", "hostile.yaml"]).expect(0);
    home.swath(&["sweep", "list"]).expect(0);
    let typed = |words: &str| {
        let script = format!(
            "source swath.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _swath_with_sweeps swath \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", &script]).current_dir(&home.dir).env("SWATH_DATA_DIR", home.data());
        String::from_utf8(bash.output().unwrap().stdout).unwrap()
    };
    if Path::new("/bin/bash").exists() {
        assert_eq!(typed("swath sweep sh"), "show\n");
        assert_eq!(typed(&format!("swath sweep show {}", &id[..4])), id);
        assert_eq!(typed("swath trial show mni"), "mnist-lr\n");
        assert_eq!(typed("swath watch mni"), "mnist-lr\n");
        assert_eq!(typed("swath run --resume mni"), "mnist-lr\n");
        assert!(typed("swath sweep show ''").contains("mnist-lr"));
        assert!(!typed("swath run ''").contains("mnist-lr") && !home.dir.join("pwned").exists());
    }
    let pages = home.swath(&["man", "man"]).expect(0).out;
    for path in commands(&home).iter().filter(|path| path.first().is_none_or(|word| word != "help")) {
        let name = [&["swath".to_owned()], &path[..]].concat().join("-");
        let page = home.read(&format!("man/{name}.1"));
        assert!(page.contains(".SH NAME") && pages.contains(&name), "{name}");
    }
}

#[test]
fn b51_config_show_says_where_each_setting_comes_from() {
    let home = Home::new();
    let shown = |arguments: &[&str], set: &[(&str, &str)]| -> Json {
        let mut command = home.command(&[&["config", "show", "-o", "json"], arguments].concat());
        let output = command.envs(set.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let json: Json = serde_json::from_slice(&output.stdout).unwrap();
        json["settings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|setting| setting["key"] == "project")
            .unwrap()
            .clone()
    };
    let value = |setting: &Json| {
        (setting["value"].as_str().unwrap().to_owned(), setting["from"].as_str().unwrap().to_owned())
    };
    assert_eq!(value(&shown(&[], &[])), ("default".into(), "default".into()));
    let file = home.write(".config/swath/config.yaml", "project: of-file\n");
    assert_eq!(value(&shown(&[], &[])), ("of-file".into(), file.display().to_string()));
    let set = [("SWATH_PROJECT", "of-env")];
    assert_eq!(value(&shown(&[], &set)).0, "of-env");
    assert!(value(&shown(&[], &set)).1.starts_with("SWATH_PROJECT"));
    assert_eq!(value(&shown(&["--project", "of-flag"], &set)), ("of-flag".into(), "--project".into()));
    println!("{}", home.swath(&["config", "show"]).expect(0).out);
    // An unknown key is said; a file that cannot be read ends with 2.
    home.write(".config/swath/config.yaml", "projekt: x\n");
    assert!(home.swath(&["config", "show"]).expect(0).err.contains("projekt"));
    home.write(".config/swath/config.yaml", "project: [\n");
    home.swath(&["config", "show"]).expect(2);
    home.write(".config/swath/config.yaml", "timeout: 10\n");
    assert!(home.swath(&["config", "show"]).expect(2).err.contains("config.yaml"));
}

#[test]
fn doctor_says_one_line_a_check() {
    let home = Home::new();
    let done = home.swath(&["doctor"]);
    println!("{}", done.out);
    assert!(matches!(done.code, Some(0 | 1)), "{done:?}");
    for check in ["store", "disk", "python", "gpu", "limits", "clock"] {
        assert!(
            done.out.lines().any(|line| line.split_whitespace().nth(1) == Some(check)),
            "{check}: {}",
            done.out
        );
    }
    let home = finished("");
    let before = home.swath(&["doctor"]).out;
    assert!(before.contains("chain whole to position"), "{before}");
    damage(&home);
    let done = home.swath(&["doctor"]).expect(1);
    assert!(done.out.contains("FAIL  store"), "{}", done.out);
}

/// Changes one digit of each event that has a basis, wherever its bytes lie.
fn damage(home: &Home) {
    let mut changed = 0;
    for path in ["store.db", "store.db-wal"].map(|name| home.data().join(name)) {
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let found: Vec<usize> =
            bytes.windows(7).enumerate().filter(|(_, w)| *w == b"\"basis\"").map(|(at, _)| at).collect();
        for at in found {
            let digit = (at..bytes.len()).find(|k| bytes[*k].is_ascii_digit()).unwrap();
            bytes[digit] = if bytes[digit] == b'9' { b'8' } else { bytes[digit] + 1 };
            changed += 1;
        }
        fs::write(path, bytes).unwrap();
    }
    assert!(changed > 0, "no event was found");
}

#[test]
fn f39_an_edited_byte_ends_with_8() {
    let home = finished("");
    let whole = home.swath(&["audit", "verify"]).expect(0).out;
    assert!(whole.starts_with("chain whole to position "), "{whole}");
    damage(&home);
    let done = home.swath(&["audit", "verify"]).expect(8);
    println!("{}", done.err);
    assert!(done.err.contains("store.db") && done.err.contains("restore"), "{}", done.err);
    let done = home.swath(&["audit", "verify", "-o", "json"]).expect(8);
    assert!(!done.out.is_empty() || done.err.contains("DATA_LOSS"), "{done:?}");
}

#[test]
fn f41_a_backup_taken_while_a_sweep_runs_is_restored() {
    let home = Home::new();
    home.write(
        "train.py",
        "import os, time\nprint('step=0 loss=0.9', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('step=1 loss=0.1')\n",
    );
    home.write("sweep.yaml", &sweep("train.py", 3, ""));
    let run = home.start(&["run", "sweep.yaml"], "err");
    wait_for("the first report", || {
        let list = home.swath(&["trial", "show", "@last/1", "-o", "json"]);
        list.out.contains("\"lastStep\":\"0\"").then_some(())
    });
    let backup = home.swath(&["backup", "copy.db"]).expect(0);
    println!("{}{}", backup.out, backup.err);
    home.swath(&["audit", "verify", "copy.db"]).expect(0);
    let done = home.swath(&["backup", "copy.db"]).expect(7);
    assert!(done.err.contains("already"), "{}", done.err);
    home.write("go", "");
    run.end().expect(0);
    let params = |data: &str| -> Vec<String> {
        let list = home.swath(&["trial", "list", "@last", "-o", "json", "--data-dir", data]).expect(0).json();
        list["trials"].as_array().unwrap().iter().map(|trial| trial["params"].to_string()).collect()
    };
    let first = params("data");
    assert_eq!(first.len(), 3);
    home.swath(&["restore", "copy.db", "--data-dir", "data"]).expect(7);
    home.swath(&["restore", "copy.db", "--data-dir", "new"]).expect(0);
    let sweeps = home.swath(&["sweep", "list", "-o", "json", "--data-dir", "new"]).expect(0).json();
    assert_eq!(sweeps["sweeps"][0]["state"], "RUNNING", "{sweeps}");
    assert_eq!(params("new")[..], first[..1], "what was there then");
    // Its run lay with an agent of the old directory, which never comes to this one: nobody waits for it.
    let run = home.swath(&["run", "--resume", "--data-dir", "new"]).expect(0);
    assert!(run.out.starts_with("finished: 3 trials"), "{run:?}");
    assert_eq!(params("new"), first);
    let trial = home.swath(&["trial", "show", "@last/1", "-o", "json", "--data-dir", "new"]).expect(0).json();
    assert_eq!(trial["runs"].as_array().unwrap().len(), 2, "{trial}");
    // So it is stopped, too.
    home.swath(&["restore", "copy.db", "--data-dir", "stopped"]).expect(0);
    home.swath(&["sweep", "stop", "@last", "--data-dir", "stopped"]).expect(0);
    let sweeps = home.swath(&["sweep", "list", "-o", "json", "--data-dir", "stopped"]).expect(0).json();
    assert_eq!(sweeps["sweeps"][0]["state"], "STOPPED", "{sweeps}");
    home.swath(&["audit", "verify", "--data-dir", "new"]).expect(0);
    home.write("half.db", "SQLite format 3\0 and no more");
    home.swath(&["restore", "half.db", "--data-dir", "other"]).expect(7);
    assert!(!home.dir.join("other").join("store.db").exists(), "nothing was made");
}

#[test]
fn b56_what_is_no_file_is_refused_at_once() {
    let home = Home::new();
    fs::create_dir(home.dir.join("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.dir.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for file in ["folder", "pipe", "/dev/zero", "/dev/null"] {
        for command in ["run", "check"] {
            let done = home.swath(&[command, file]).expect(3);
            assert!(format!("{}{}", done.out, done.err).contains("not a regular file"), "{file}: {done:?}");
        }
    }
}

#[test]
fn t14_a_list_of_200_sweeps() {
    let home = Home::new();
    home.write("sweep.yaml", "command: [\"true\"]\nmethod: grid\nparameters: {x: {values: [1]}}\n");
    // A run holds the store, so that each creation is one request.
    home.write("hold.yaml", "command: [sleep, \"1000\"]\nmethod: grid\nparameters: {x: {values: [1]}}\n");
    let hold = home.start(&["run", "hold.yaml"], "err");
    hold.says("swath: ");
    let began = Instant::now();
    for _ in 0..20 {
        let mut children: Vec<_> = (0..10)
            .map(|_| {
                let mut command = home.command(&["sweep", "create", "sweep.yaml", "--paused", "-q"]);
                command.stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
    }
    println!("200 creations: {:?}", began.elapsed());
    let began = Instant::now();
    let ids = home.swath(&["sweep", "list", "-q"]).expect(0).out;
    println!("a list of {}: {:?}", ids.lines().count(), began.elapsed());
    assert_eq!(ids.lines().count(), 201);
}

#[test]
fn run_into_a_pipe_that_closes_ends_in_order() {
    let home = Home::new();
    home.write("train.py", QUICK);
    home.write("sweep.yaml", &sweep("train.py", 3, ""));
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        let environment = home.command(&[]);
        command.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
            .env("SWATH", crate::support::binary())
            .current_dir(&home.dir)
            .args(["-c", script])
            .output()
            .unwrap()
    };
    let output = shell("\"$SWATH\" run sweep.yaml 2>&1 | tee log");
    assert!(output.stdout.starts_with(b"swath: "), "{output:?}");
    assert_eq!(home.read("log").as_bytes(), output.stdout);
    assert!(home.read("log").contains("finished: 3 trials"), "{}", home.read("log"));
    // Nobody reads: no panic, no trace.
    let output = shell("\"$SWATH\" sweep export @last --what events | head -n 1");
    assert!(output.stderr.is_empty() && output.stdout.starts_with(b"{"), "{output:?}");
}

#[test]
fn the_log_of_one_slot_is_the_same_but_for_times_and_ids() {
    let log = || {
        let home = Home::new();
        home.write("train.py", QUICK);
        home.write("sweep.yaml", &sweep("train.py", 4, ""));
        home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
        let text = home.swath(&["sweep", "export", "@last", "--what", "events"]).expect(0).out;
        let events: Vec<Json> = text
            .lines()
            .map(|line| {
                let entry: Json = serde_json::from_str(line).unwrap();
                let mut body: Json = serde_json::from_str(entry["bodyJson"].as_str().unwrap()).unwrap();
                forget(&mut body);
                serde_json::json!({"n": entry["n"], "kind": entry["kind"], "body": body})
            })
            .collect();
        events
    };
    let (first, second) = (log(), log());
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a, b);
    }
}

/// Takes out what differs from run to run on purpose: times, ids, positions, hashes, usage, facts of the machine.
fn forget(body: &mut Json) {
    const DIFFERS: [&str; 22] = [
        "wallMs",
        "cpuMs",
        "peakMemory",
        "gpuMs",
        "at",
        "basis",
        "fence",
        "placements",
        "nonce",
        "runnerPid",
        "commandPid",
        "boot",
        "usage",
        "digest",
        "origin",
        "home",
        "file",
        "env",
        "notes",
        "request",
        "argv",
        "tail",
    ];
    match body {
        Json::Object(map) => {
            map.retain(|key, _| !DIFFERS.contains(&key.as_str()));
            map.values_mut().for_each(forget);
        }
        Json::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// A file system of `mib` MiB that goes away again; none where it may not be mounted.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(home: &Home, mib: u32) -> Option<Small> {
        let dir = home.dir.join("small");
        fs::create_dir(&dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "swath-test"])
            .arg(&dir)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Small(dir)),
            other => {
                println!("SKIPPED: no small file system can be mounted here: {other:?}");
                None
            }
        }
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn f35_f64_a_disk_that_fills_up_costs_nothing_that_was_reported() {
    let home = Home::new();
    let Some(small) = Small::mount(&home, 160) else { return };
    home.write(
        "train.py",
        "import os, time\nprint('step=0 loss=0.9', flush=True)\nopen('began', 'w').close()\nwhile not os.path.exists('go'): time.sleep(0.01)\nfor step in range(1, 50): print(f'step={step} loss={1 / step}')\n",
    );
    home.write("sweep.yaml", &sweep("train.py", 2, ""));
    let run = home.start(&["run", "sweep.yaml", "--data-dir", "small/data"], "err");
    wait_for("began", || home.dir.join("began").exists().then_some(()));
    small.fill();
    // Lists still work; a new sweep is refused, and says how much is missing.
    let at = ["--data-dir", "small/data"];
    home.swath(&[&["sweep", "list"], &at[..]].concat()).expect(0);
    let done = home.swath(&[&["sweep", "create", "sweep.yaml"], &at[..]].concat()).expect(1);
    println!("{}", done.err);
    assert!(done.err.contains("free"), "{}", done.err);
    home.write("go", "");
    wait_for("the first run's end, without a place for it", || {
        let scripts = home.processes().into_iter().filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .unwrap_or_default()
                .windows(8)
                .any(|window| window == b"train.py")
        });
        (scripts.count() == 0).then_some(())
    });
    fs::remove_file(small.0.join("filler")).unwrap();
    let done = run.end().expect(0);
    println!("{}{}", done.err, done.out);
    assert!(done.out.starts_with("finished: 2 trials"), "{done:?}");
    let reports =
        home.swath(&[&["sweep", "export", "@last", "--what", "reports"], &at[..]].concat()).expect(0).out;
    assert_eq!(reports.lines().count(), 1 + 2 * 50, "all of both trials' reports");
    home.swath(&[&["audit", "verify"], &at[..]].concat()).expect(0);
}

#[test]
fn f65_a_start_on_a_full_disk_can_still_stop_a_sweep() {
    let home = Home::new();
    let Some(small) = Small::mount(&home, 160) else { return };
    let at = ["--data-dir", "small/data"];
    home.write("sweep.yaml", &sweep("x", 1, "command: [sleep, \"1000\"]\ngrace: 1s\n"));
    let mut run = home.start(&[&["run", "sweep.yaml"], &at[..]].concat(), "err");
    wait_for("its script", || {
        home.processes()
            .iter()
            .any(|pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().starts_with(b"sleep"))
            .then_some(())
    });
    run.child.kill().unwrap();
    run.end();
    small.fill();
    let done = home.swath(&[&["sweep", "stop", "@last"], &at[..]].concat()).expect(0);
    println!("{done:?}");
    let show = home.swath(&[&["sweep", "show", "@last", "-o", "json"], &at[..]].concat()).expect(0).json();
    assert_eq!(show["state"], "STOPPED", "{show}");
    home.is_left_alone();
    drop(small);
}
