//! GPUs from the driver to a run's environment, on a box whose GPUs are played by a library: who gets which, who waits,
//! what is counted.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::fake_nvml;
use crate::support::{Done, Home, Running, kill, sweep, wait_for};

/// Writes what it sees, then waits for `go` where there is one to wait for. Two on one GPU at once are an error.
const SEES: &str = r#"
import os, sys, time
seen = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
held = []
if seen.startswith("GPU-"):
    for gpu in seen.split(","):
        os.close(os.open(gpu, os.O_CREAT | os.O_EXCL))
        held.append(gpu)
with open("seen." + os.environ["SWATH_TRIAL"] + ".part", "w") as f:
    f.write(seen)
os.rename("seen." + os.environ["SWATH_TRIAL"] + ".part", "seen." + os.environ["SWATH_TRIAL"])
while os.path.exists("wait"):
    time.sleep(0.01)
for gpu in held:
    os.remove(gpu)
print("loss=0.5")
"#;

fn uuid(index: u32) -> String {
    format!("GPU-00000000-0000-0000-0000-{index:012}")
}

/// A home on a box of GPUs.
struct GpuBox {
    home: Home,
    library: PathBuf,
    gpus: u32,
}

impl GpuBox {
    fn new(gpus: u32) -> Option<GpuBox> {
        let home = Home::new();
        let library = fake_nvml::library(&home.dir)?;
        home.write("train.py", SEES);
        Some(GpuBox { home, library, gpus })
    }

    fn command(&self, args: &[&str], own: Option<&str>) -> Command {
        let mut command = self.home.command(args);
        command.env("SWATH_NVML_LIBRARY", &self.library).env("FAKE_NVML_GPUS", self.gpus.to_string());
        command.envs(own.map(|list| ("CUDA_VISIBLE_DEVICES", list)));
        command
    }

    /// Runs a sweep of `trials` to its end; `own` is swath's own `CUDA_VISIBLE_DEVICES`.
    fn run(&self, trials: u32, more: &str, args: &[&str], own: Option<&str>) -> Done {
        self.home.write("sweep.yaml", &sweep("train.py", trials, more));
        let args = [&["run", "sweep.yaml", "--new"], args].concat();
        Done::from(self.command(&args, own).output().unwrap())
    }

    fn start(&self, file: &str, stderr: &str) -> Running {
        let err = fs::File::create(self.home.dir.join(stderr)).unwrap();
        let mut command = self.command(&["run", file], None);
        Running::of(command.stdout(Stdio::piped()).stderr(err).spawn().unwrap(), self.home.dir.join(stderr))
    }

    /// What the trials saw as `CUDA_VISIBLE_DEVICES`, sorted.
    fn seen(&self, trials: u32) -> Vec<String> {
        let mut seen: Vec<_> = (1..=trials).map(|trial| self.home.read(&format!("seen.{trial}"))).collect();
        seen.sort();
        seen
    }

    fn show(&self) -> serde_json::Value {
        self.home.swath(&["sweep", "show", "@last", "-o", "json"]).expect(0).json()
    }
}

#[test]
fn each_run_gets_a_gpu_of_its_own_and_as_many_go_at_once() {
    let Some(gpus) = GpuBox::new(8) else { return };
    gpus.home.write("wait", "");
    gpus.home.write("sweep.yaml", &sweep("train.py", 9, ""));
    let run = gpus.start("sweep.yaml", "err");
    wait_for("eight runs", || {
        (1..=8).all(|n| gpus.home.dir.join(format!("seen.{n}")).exists()).then_some(())
    });
    assert_eq!(gpus.seen(8), (0..8).map(uuid).collect::<Vec<_>>());
    assert!(!gpus.home.dir.join("seen.9").exists(), "the ninth waits");
    let shown = gpus.show();
    assert_eq!((&shown["counts"]["running"], &shown["remarks"]), (&8.into(), &serde_json::json!([])));
    fs::remove_file(gpus.home.dir.join("wait")).unwrap();
    run.end().expect(0);
    let trial = gpus.home.swath(&["trial", "show", "@last/9"]).expect(0);
    assert!(trial.out.contains(":gpu"), "{}", trial.out);
    assert!(gpus.show()["gpuHours"].as_f64().unwrap() > 0.0);
}

#[test]
fn more_at_once_than_gpus_leave_the_variable_as_it_was() {
    let Some(gpus) = GpuBox::new(2) else { return };
    let done = gpus.run(3, "parallel: 3\n", &[], None).expect(0);
    assert_eq!(gpus.seen(3), ["unset", "unset", "unset"]);
    assert!(done.err.contains("no GPU is reserved: parallel is 3, and"), "{}", done.err);
    gpus.run(3, "parallel: 3\n", &[], Some("1,0")).expect(0);
    assert_eq!(gpus.seen(3), ["1,0", "1,0", "1,0"]);
    assert_eq!(gpus.show()["gpuHours"].as_f64().unwrap_or_default(), 0.0);
}

#[test]
fn resources_say_how_many_gpus_a_run_gets() {
    let Some(gpus) = GpuBox::new(8) else { return };
    gpus.run(2, "resources: {gpus: 2}\nparallel: 1\n", &[], None).expect(0);
    let two = format!("{},{}", uuid(0), uuid(1));
    assert_eq!(gpus.seen(2), [two.clone(), two]);
    gpus.run(2, "resources: {gpus: 0}\n", &[], Some("3")).expect(0);
    assert_eq!(gpus.seen(2), ["", ""]);
}

#[test]
fn swaths_own_variable_and_the_option_bound_what_runs_get() {
    let Some(gpus) = GpuBox::new(8) else { return };
    for (own, option, seen) in [
        (Some("5"), "all", uuid(5)),
        (Some("GPU-00000000-0000-0000-0000-000000000003"), "all", uuid(3)),
        (Some("6,2"), "2", uuid(2)),
        (None, "4", uuid(4)),
        (None, "none", "unset".to_owned()),
        (Some(""), "all", String::new()),
        (Some("-1"), "all", "-1".to_owned()),
    ] {
        gpus.run(1, "", &["--gpus", option], own).expect(0);
        assert_eq!(gpus.seen(1), [seen], "{own:?} {option}");
    }
    let refused = gpus.run(1, "", &["--gpus", "0"], Some("6,2")).expect(1);
    assert!(refused.err.contains("--gpus names GPU 0, and the usable ones are 6, 2"), "{}", refused.err);
    // The sweep's own `env` has the last word.
    gpus.run(1, "env: {CUDA_VISIBLE_DEVICES: mine}\n", &[], None).expect(0);
    assert_eq!(gpus.seen(1), ["mine"]);
}

#[test]
fn b45_more_gpus_than_there_are_wait_and_say_why() {
    let Some(gpus) = GpuBox::new(2) else { return };
    gpus.home.write("sweep.yaml", &sweep("train.py", 1, "resources: {gpus: 3}\n"));
    let run = gpus.start("sweep.yaml", "err");
    run.says("cannot be placed: a run wants 3 GPUs, and");
    run.says("has 2 usable ones");
    let remarks = gpus.show()["remarks"].to_string();
    assert!(remarks.contains("cannot be placed"), "{remarks}");
    kill(run.pid(), "INT");
    run.end().expect(130);
    // With enough of them it goes on.
    let Some(larger) = GpuBox::new(3) else { return };
    let mut command = larger.command(&["run", "--resume", "@last"], None);
    command.env("SWATH_DATA_DIR", gpus.home.data()).current_dir(&gpus.home.dir);
    Done::from(command.output().unwrap()).expect(0);
    assert_eq!(gpus.seen(1), [format!("{},{},{}", uuid(0), uuid(1), uuid(2))]);
}

#[test]
fn t5_two_runs_share_one_gpu_and_the_second_outlives_the_first() {
    let Some(gpus) = GpuBox::new(1) else { return };
    let home = &gpus.home;
    home.write("wait", "");
    home.write("a.yaml", &sweep("train.py", 3, "name: a\n"));
    home.write("b.yaml", &sweep("train.py", 3, "name: b\n"));
    let mut first = gpus.start("a.yaml", "err-a");
    wait_for("a run", || home.dir.join("seen.1").exists().then_some(()));
    let second = gpus.start("b.yaml", "err-b");
    second.says("swath: ");
    first.child.kill().unwrap();
    first.end();
    // The first one's run still holds the GPU: nothing of the second's starts before it has ended.
    fs::remove_file(home.dir.join("wait")).unwrap();
    let done = second.end().expect(0);
    assert!(done.out.starts_with("finished: 3 trials"), "{}", done.out);
    let done = Done::from(gpus.command(&["run", "a.yaml"], None).output().unwrap()).expect(0);
    assert!(done.out.starts_with("finished: 3 trials"), "{}", done.out);
    for name in ["a", "b"] {
        let list = home.swath(&["trial", "list", name, "-o", "json"]).expect(0).json();
        let trials = list["trials"].as_array().unwrap();
        assert_eq!(trials.len(), 3);
        for trial in trials {
            // A second one on the GPU at once would have failed.
            assert_eq!(trial["state"], "SUCCEEDED", "{trial}");
            assert_eq!(trial["runs"].as_array().unwrap().len(), 1, "{trial}");
        }
    }
}

#[test]
fn two_living_runs_take_turns_on_one_gpu() {
    let Some(gpus) = GpuBox::new(1) else { return };
    gpus.home.write("a.yaml", &sweep("train.py", 5, "name: a\n"));
    gpus.home.write("b.yaml", &sweep("train.py", 5, "name: b\n"));
    let runs = [gpus.start("a.yaml", "err-a"), gpus.start("b.yaml", "err-b")];
    for run in runs {
        let done = run.end().expect(0);
        assert!(done.out.contains("5 done") || done.out.starts_with("finished: 5 trials"), "{}", done.out);
        assert!(!done.out.contains("failed"), "{}", done.out);
    }
}

#[test]
fn gpu_hours_end_a_sweep() {
    let Some(gpus) = GpuBox::new(2) else { return };
    gpus.home.write("wait", "");
    // 0.0001 GPU hours are 0.36 s of one GPU.
    let done = gpus.run(50, "budget: {gpu_hours: 0.0001}\ngrace: 1s\n", &[], None);
    let shown = gpus.show();
    assert_eq!(shown["state"], "FINISHED", "{shown}\n{}", done.err);
    assert_eq!(shown["reason"], "budget.gpu_hours is used up");
    let used = shown["gpuHours"].as_f64().unwrap();
    assert!((0.0001..0.01).contains(&used), "{used}");
    gpus.home.is_left_alone();
}
