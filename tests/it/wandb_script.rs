//! An unmodified W&B script: no account, no network, its values arrive and its `wandb.config` holds the assignment.
//!
//! Runs the real package: `SWATH_TEST_WANDB_PYTHON` names a Python that has it; without it this is skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use swath::runner::channels::{Files, Reading, Sources, WandbRun, wandb_environment, wandb_parameters_path};

/// Waits for a file after its rows, so that a test can tell values that came live from those at the end.
const SCRIPT: &str = r#"
import os, sys, time
import wandb
run = wandb.init(project="mine", config={"lr": 0.5, "epochs": 3})
for epoch in range(wandb.config.epochs):
    wandb.log({"loss": wandb.config.lr / (epoch + 1), "nested": {"acc": float("nan")}})
deadline = time.time() + 20
while not os.path.exists(sys.argv[1]) and time.time() < deadline:
    time.sleep(0.05)
run.summary["best"] = 0.25
"#;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(python: &str, run: &WandbRun<'_>, go_on: &Path) -> Child {
    let parameters = wandb_parameters_path(run.folder);
    std::fs::write(&parameters, "wandb_version: 1\n\nlr:\n  value: 0.001\n").expect("written");
    let changes = wandb_environment(run, std::iter::empty());
    Command::new(python)
        .args(["-c", SCRIPT])
        .arg(go_on)
        .current_dir(run.folder)
        .envs(changes.set)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("python starts")
}

/// Reads until `enough`, the process ends, or time is up.
fn read_until(files: &mut Files, found: &mut Vec<Reading>, child: &mut Child, enough: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while found.len() < enough && Instant::now() < deadline && child.try_wait().expect("a child").is_none() {
        let timeout = files.timeout().unwrap_or(Duration::from_millis(200));
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.as_nanos() as _ };
        match files.fd() {
            Some(fd) => poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)),
            None => poll(&mut [], Some(&timeout)),
        }
        .expect("poll");
        files.ready(&mut |reading| found.push(reading));
    }
}

#[test]
fn a_wandb_script_reports_and_sees_its_assignment() {
    let Ok(python) = std::env::var("SWATH_TEST_WANDB_PYTHON") else {
        println!("skipped: SWATH_TEST_WANDB_PYTHON names no Python with wandb");
        return;
    };
    let folder = Folder(std::env::temp_dir().join(format!("swath-wandb-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("made");
    let run = WandbRun { sweep: "q7k2m9xa", project: "demo", trial: 17, attempt: 2, folder: &folder.0 };
    let mut files = Files::new(Sources { metrics: None, wandb_dir: Some(folder.0.clone()) });
    let go_on = folder.0.join("go-on");
    let mut child = start(&python, &run, &go_on);
    let mut found = Vec::new();
    read_until(&mut files, &mut found, &mut child, 3);
    let live = found.len();
    std::fs::write(&go_on, "").expect("written");
    read_until(&mut files, &mut found, &mut child, usize::MAX);
    assert!(child.wait().expect("a child").success());
    files.finish(&mut |reading| found.push(reading));

    let loss: Vec<_> = found
        .iter()
        .flat_map(|r| r.metrics.iter().map(move |(name, value)| (r.step, name.as_str(), *value)))
        .filter(|(_, name, _)| *name == "loss")
        .collect();
    assert_eq!(loss, [(0, "loss", 0.001), (1, "loss", 0.0005), (2, "loss", 0.001 / 3.0)]);
    let last = found.last().expect("a reading");
    assert_eq!(last.metrics, [("best".to_owned(), 0.25)]);
    let seen = files.wandb();
    assert_eq!((seen.run_id.as_deref(), seen.exit_code), (Some("q7k2m9xa-17-2"), Some(0)));
    assert_eq!(seen.config.get("lr").map(String::as_str), Some("0.001"));
    let version = seen.version.clone().expect("a version");
    let notes = files.notes();
    println!("wandb {version}: {live} rows live; notes {notes:?}");
    match notes.as_slice() {
        [] => assert_eq!(live, 3, "wandb {version} gives its rows live"),
        [note] => assert!(note.contains(&version), "{note}"),
        more => panic!("{more:?}"),
    }
}
