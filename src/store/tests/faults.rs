//! A disk whose fsync fails or is slow, or that is watched, under the real SQLite: a library preloaded into a second
//! process.

use std::process::Command;
use std::time::Duration;

use super::*;

const LIBRARY: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static void note(const char *what, const char *path) {
    const char *list = getenv("SWATH_TEST_LIST");
    int fd = list ? open(list, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0) return;
    dprintf(fd, "%s %s\n", what, path);
    close(fd);
}
static int fate(void) {
    const char *fail = getenv("SWATH_TEST_EIO"), *slow = getenv("SWATH_TEST_SLOW");
    if (fail && access(fail, F_OK) == 0) { errno = EIO; return -1; }
    if (slow && access(slow, F_OK) == 0) usleep(300000);
    return 0;
}
int fdatasync(int fd) { return fate() ? -1 : syscall(SYS_fdatasync, fd); }
int fsync(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    note("synced", path);
    return fate() ? -1 : syscall(SYS_fsync, fd);
}
int rename(const char *from, const char *to) { note("named", to); return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
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
        .env("SWATH_TEST_LIST", scratch.0.join("list"))
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

#[test]
fn f37_helper() {
    let Some(root) = helper_dir() else { return };
    register(&mut open(&root.join("data")).store, sweep(7));
    println!("the fault was met");
}

#[test]
fn f37_what_was_made_or_renamed_is_synced_with_its_directory() {
    let scratch = Scratch::new();
    if !run_with_library(&scratch, "f37_helper") {
        return;
    }
    let list = std::fs::read_to_string(scratch.0.join("list")).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    let after = |at: usize, wanted: &Path| {
        let wanted = format!("synced {}", wanted.display());
        assert!(lines[at..].contains(&wanted.as_str()), "{wanted} after line {at} of {list}");
    };
    after(0, &scratch.0); // the directory itself was made in it
    let named = |name: &str| {
        let wanted = format!("named {}", scratch.dir().join(name).display());
        lines.iter().position(|line| *line == wanted).unwrap_or_else(|| panic!("{wanted} is not in {list}"))
    };
    for name in ["store.db", "secret"] {
        after(named(name), &scratch.dir());
    }
}
