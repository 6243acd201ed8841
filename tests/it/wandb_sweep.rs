//! A sweep of an unmodified W&B script: `swath run`, the real package, no account and no network.
//!
//! `SWATH_TEST_WANDB_PYTHON` names a Python that has it; without it this is skipped.

use std::path::Path;
use std::process::Stdio;

use crate::support::{Done, Home, Running, wait_for};

/// Logs the learning rate that W&B's own config holds, and waits in the middle of its rows.
const SCRIPT: &str = r#"
import os, time
import wandb
with wandb.init(project="mine", config={"lr": 9.0, "epochs": 4}) as run:
    for epoch in range(run.config.epochs):
        run.log({"epoch": epoch, "loss": run.config.lr / (epoch + 1)})
        if epoch == 1:
            open("logged." + os.environ["SWATH_TRIAL"], "w").close()
            while not os.path.exists("go"):
                time.sleep(0.05)
"#;

const SWEEP: &str = "program: train.py\nmethod: grid\nmetric: {name: loss, goal: minimize}\nparameters:\n  lr: {values: [0.5, 0.25]}\nparallel: 1\n";

/// Starts the sweep with that Python first on PATH, and no way to any network but refused ports.
fn start(home: &Home, python: &str) -> Running {
    let bin = Path::new(python).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = home.command(&["run", "sweep.yaml"]);
    command.env("PATH", path).envs(["http_proxy", "https_proxy"].map(|name| (name, "http://127.0.0.1:9")));
    let err = std::fs::File::create(home.dir.join("err")).unwrap();
    let child = command.stdout(Stdio::piped()).stderr(err).spawn().unwrap();
    Running::of(child, home.dir.join("err"))
}

fn trial(home: &Home, number: u32) -> serde_json::Value {
    home.swath(&["trial", "show", &format!("@last/{number}"), "-o", "json"]).expect(0).json()
}

#[test]
fn a_wandb_sweep_runs_offline_and_reports() {
    let Ok(python) = std::env::var("SWATH_TEST_WANDB_PYTHON") else {
        println!("skipped: SWATH_TEST_WANDB_PYTHON names no Python with wandb");
        return;
    };
    let version = std::process::Command::new(&python)
        .args(["-c", "import wandb; print(wandb.__version__)"])
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap().trim().to_owned();
    let home = Home::new();
    home.write("train.py", SCRIPT);
    home.write("sweep.yaml", SWEEP);
    let run = start(&home, &python);
    wait_for("two rows", || home.dir.join("logged.1").exists().then_some(()));
    let minor = |text: &str| text.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap();
    let is_live = minor(&version) >= 20;
    if is_live {
        // A rule can stop it now: its values are there while it runs.
        wait_for("its values", || (trial(&home, 1)["last"]["loss"] == 0.25).then_some(()));
    }
    home.write("go", "");
    let done: Done = run.end().expect(0);
    assert!(done.out.starts_with("finished: 2 trials"), "{}", done.out);
    for (number, best) in [(1, 0.125), (2, 0.0625)] {
        let trial = trial(&home, number);
        assert_eq!(trial["state"], "SUCCEEDED");
        assert_eq!(trial["objectives"][0]["value"], best, "its config held the assignment: {trial}");
        let notes = trial["runs"][0]["notes"].to_string();
        println!("wandb {version}: live {is_live}, notes {notes}");
        assert_eq!(notes.contains(&version), !is_live, "{notes}");
    }
    // Its own files are the run's, not the working folder's.
    assert!(!home.dir.join("wandb").exists());
    home.is_left_alone();
}
