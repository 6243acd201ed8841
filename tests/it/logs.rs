//! `swath trial logs` and what `trial show` says of a run's start: what a run printed, while it runs and afterwards.

use std::fs;

use crate::support::{Home, sweep, wait_for};

/// Says something on both streams, fails its first attempt, and waits in its second.
const TALKS: &str = r#"
import os, sys, time
attempt = os.environ["SWATH_ATTEMPT"]
for line in range(1, 6):
    print(f"out {attempt}.{line}", flush=True)
print(f"err {attempt}", file=sys.stderr, flush=True)
if attempt == "1":
    sys.exit(9)
open("began", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
print("loss=0.5")
"#;

#[test]
fn output_is_followed_while_it_runs_and_kept_afterwards() {
    let home = Home::new();
    home.write("train.py", TALKS);
    home.write("sweep.yaml", &sweep("train.py", 1, "retries: 1\n"));
    let run = home.start(&["run", "sweep.yaml"], "err");
    wait_for("the second attempt", || home.dir.join("began").exists().then_some(()));
    let mut follows = home.command(&["trial", "logs", "@last/1", "-f", "--tail", "2"]);
    let mut follows = follows.stdout(fs::File::create(home.dir.join("followed")).unwrap()).spawn().unwrap();
    wait_for("the follower", || home.read("followed").contains("err 2").then_some(()));
    let first = home.swath(&["trial", "logs", "@last/1.1", "--tail", "2"]).expect(0);
    assert_eq!(first.out, "out 1.5\nerr 1\n", "an earlier attempt, while the next one runs");
    home.write("go", "");
    run.end().expect(0);
    follows.wait().unwrap();
    let followed = home.read("followed");
    assert_eq!(followed, "out 2.5\nerr 2\nloss=0.5\n", "to the last moment of the `swath run`");
    let logs = |args: &[&str]| home.swath(&[&["trial", "logs", "@last/1"], args].concat()).expect(0).out;
    assert_eq!(logs(&["--stderr"]), "err 2\n");
    assert_eq!(logs(&["--run", "1", "--stderr"]), "err 1\n");
    assert_eq!(logs(&["--tail", "1"]), "loss=0.5\n");
    assert_eq!(logs(&["--run", "1"]), "out 1.1\nout 1.2\nout 1.3\nout 1.4\nout 1.5\nerr 1\n");
}

#[test]
fn output_is_followed_on_when_the_holder_of_the_store_is_killed() {
    let home = Home::new();
    home.write("train.py", TALKS);
    home.write("sweep.yaml", &sweep("train.py", 1, "retries: 1\n"));
    let mut run = home.start(&["run", "sweep.yaml"], "err");
    wait_for("the second attempt", || home.dir.join("began").exists().then_some(()));
    let mut follows = home.command(&["trial", "logs", "@last/1", "-f"]);
    let mut follows = follows.stdout(fs::File::create(home.dir.join("followed")).unwrap()).spawn().unwrap();
    wait_for("the follower", || home.read("followed").contains("err 2").then_some(()));
    run.child.kill().unwrap();
    run.end();
    home.write("go", "");
    assert!(follows.wait().unwrap().success());
    assert_eq!(home.read("followed"), "out 2.1\nout 2.2\nout 2.3\nout 2.4\nout 2.5\nerr 2\nloss=0.5\n");
}

#[test]
fn an_export_goes_on_when_the_holder_of_the_store_is_killed() {
    let home = Home::new();
    home.write("train.py", "for step in range(6000):\n    print(f'step={step} loss={step} acc={step}')\n");
    home.write("many.yaml", &sweep("train.py", 2, "name: many\n"));
    home.swath(&["run", "many.yaml", "-q"]).expect(0);
    let whole = home.swath(&["sweep", "export", "many", "--what", "reports"]).expect(0).out;
    assert!(whole.lines().count() > 20_000, "{}", whole.lines().count());
    home.write("wait.py", "import time\nopen('began', 'w').close()\ntime.sleep(1000)\n");
    home.write("wait.yaml", &sweep("wait.py", 1, "grace: 1s\n"));
    let mut holder = home.start(&["run", "wait.yaml"], "err");
    wait_for("its script", || home.dir.join("began").exists().then_some(()));
    let mut export = home.command(&["sweep", "export", "many", "--what", "reports"]);
    let mut export = export.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = export.stdout.take().unwrap();
    // Its reader stands still, so most of it has not been sent when the holder dies.
    let mut head = [0; 1000];
    std::io::Read::read_exact(&mut out, &mut head).unwrap();
    holder.child.kill().unwrap();
    holder.end();
    let mut text = String::from_utf8(head.to_vec()).unwrap();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert!(export.wait().unwrap().success());
    assert!(text == whole, "{} bytes of {}", text.len(), whole.len());
}

#[test]
fn an_unset_variable_of_the_command_is_noted() {
    let home = Home::new();
    home.write(
        "sweep.yaml",
        "command: [sh, -c, \"echo $0\", \"${envvar:NOT_SET_ANYWHERE}\"]\nmethod: grid\nparameters:\n  x: {values: [1]}\n",
    );
    home.swath(&["run", "sweep.yaml", "-q"]).expect(0);
    let shown = home.swath(&["trial", "show", "@last/1"]).expect(0).out;
    assert!(shown.contains("note: the variable NOT_SET_ANYWHERE is not set here"), "{shown}");
    assert_eq!(home.swath(&["trial", "logs", "@last/1"]).expect(0).out, "NOT_SET_ANYWHERE\n");
}

#[test]
fn python3_taken_for_python_is_noted() {
    let home = Home::new();
    let python =
        ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| fs::exists(path).unwrap());
    let python = python.expect("a Python");
    fs::create_dir(home.dir.join("bin")).unwrap();
    std::os::unix::fs::symlink(python, home.dir.join("bin/python3")).unwrap();
    home.write("train.py", "print('loss=1')\n");
    home.write("sweep.yaml", &sweep("train.py", 1, ""));
    let done = home.command(&["run", "sweep.yaml", "-q"]).env("PATH", home.dir.join("bin")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let shown = home.swath(&["trial", "show", "@last/1"]).expect(0).out;
    assert!(shown.contains("note: there is no `python` on PATH: `python3` was taken"), "{shown}");
}
