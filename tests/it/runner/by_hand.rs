//! `swath exec -- CMD` as a person or a pod starts it.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use swath::runner::Folder;

use super::{Finished, Runs, read};
use crate::support::binary;

fn exec(arguments: &[&str]) -> Output {
    Command::new(binary()).arg("exec").args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn by_hand_the_exit_code_and_the_output_are_passed_through() {
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)]
    {
        assert_eq!(exec(&["--", "sh", "-c", script]).status.code(), Some(code), "{script}");
    }
    let output = exec(&["--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    let absent = exec(&["--", "no-such-program"]);
    assert_eq!(absent.status.code(), Some(127));
    assert!(
        String::from_utf8_lossy(&absent.stderr).starts_with("error: no program `no-such-program` on PATH")
    );
    assert_eq!(exec(&["--", "/etc/passwd"]).status.code(), Some(126));
    assert_eq!(exec(&["true"]).status.code(), Some(2));
}

#[test]
fn by_hand_stdin_is_the_commands_and_a_kept_spool_is_whole() {
    let runs = Runs::new();
    let kept = runs.path("kept");
    let mut child = Command::new(binary())
        .args(["exec", "--spool", kept.to_str().unwrap(), "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"loss=0.25\n").unwrap();
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(out, "loss=0.25\n");
    let finished = Finished { entries: read(&Folder::at(&kept)), folder: Folder::at(kept.join("none/none")) };
    assert_eq!(finished.values("loss"), [(0, 0.25)]);
    let again = exec(&["--spool", kept.to_str().unwrap(), "--", "true"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("the folder is not empty"));
}

#[test]
fn a_command_that_opens_the_terminal_is_refused_not_stopped() {
    let script = r#"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["swath", "exec", "--", "python3", "-c", "open('/dev/tty').read()"])
try:
    while os.read(fd, 1000):
        pass
except OSError:
    pass
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let output = Command::new("python3").args(["-c", script, binary()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{:?}", output.stderr);
}
