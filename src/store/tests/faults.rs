//! A disk whose fsync fails or is slow, under the real SQLite: a library preloaded into a second process.

use std::process::Command;
use std::time::Duration;

use super::*;

const LIBRARY: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fate(void) {
    const char *fail = getenv("SWATH_TEST_EIO"), *slow = getenv("SWATH_TEST_SLOW");
    if (fail && access(fail, F_OK) == 0) { errno = EIO; return -1; }
    if (slow && access(slow, F_OK) == 0) usleep(300000);
    return 0;
}
int fdatasync(int fd) { return fate() ? -1 : syscall(SYS_fdatasync, fd); }
int fsync(int fd) { return fate() ? -1 : syscall(SYS_fsync, fd); }
"#;

/// Runs one of the helpers below with the library; false without a C compiler.
fn run_with_library(scratch: &Scratch, helper: &str) -> bool {
    let (source, library) = (scratch.0.join("fault.c"), scratch.0.join("fault.so"));
    std::fs::write(&source, LIBRARY).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    if !built.is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler");
        return false;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::tests::faults::{helper}"), "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env("SWATH_TEST_FAULT", &scratch.0)
        .env("SWATH_TEST_EIO", scratch.0.join("eio"))
        .env("SWATH_TEST_SLOW", scratch.0.join("slow"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("the fault was met"), "{said}");
    true
}

fn helper_dir() -> Option<PathBuf> {
    std::env::var_os("SWATH_TEST_FAULT").map(PathBuf::from)
}

#[test]
fn f36_helper() {
    let Some(root) = helper_dir() else { return };
    let mut opened = open(&root.join("data"));
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..5).unwrap();
    std::fs::write(root.join("eio"), "").unwrap();
    let error = append_reports(&mut opened.store, key, 5..9).unwrap_err();
    assert!(matches!(error, AppendError::Broken(_)), "{error}");
    std::fs::remove_file(root.join("eio")).unwrap();
    assert!(matches!(append_reports(&mut opened.store, key, 5..9), Err(AppendError::Broken(_))));
    println!("the fault was met");
}

#[test]
fn f36_a_failed_fsync_is_never_tried_again() {
    let scratch = Scratch::new();
    if run_with_library(&scratch, "f36_helper") {
        let opened = open(&scratch.dir());
        assert_eq!(folded(&opened.store, Log::Sweep(sweep(7))).len(), 5);
    }
}

#[test]
fn f42_helper() {
    let Some(root) = helper_dir() else { return };
    let mut opened = open(&root.join("data"));
    let key = register(&mut opened.store, sweep(7));
    std::fs::write(root.join("slow"), "").unwrap();
    let appended = append_reports(&mut opened.store, key, 1..5).unwrap();
    assert!(appended.took >= Duration::from_millis(300));
    println!("the fault was met");
}

#[test]
fn f42_a_slow_fsync_is_waited_for_and_told() {
    run_with_library(&Scratch::new(), "f42_helper");
}
