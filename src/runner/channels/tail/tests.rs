//! Files that grow, shrink, are replaced, or are no files at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Files, Sources};
use crate::runner::channels::reading::{Channel, Reading};
use crate::runner::channels::testing::fixture;

/// A folder of the test's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("swath-tail-{}-{n}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    fn files(&self) -> Files {
        Files::new(Sources { metrics: Some(self.metrics()), wandb_dir: Some(self.0.clone()) })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut f| f.write_all(bytes))
        .expect("written");
}

/// Waits for the notice, at most 10 s, and reads.
fn wait(files: &mut Files) -> Vec<Reading> {
    let mut found = Vec::new();
    let deadline = Timespec { tv_sec: 10, tv_nsec: 0 };
    while found.is_empty() {
        if files.timeout().is_none() {
            let fd = files.fd().expect("inotify");
            let count = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&deadline)).expect("poll");
            assert_eq!(count, 1, "no notice within 10 s");
        }
        files.ready(&mut |reading| found.push(reading));
    }
    found
}

fn steps(found: &[Reading]) -> Vec<(u32, i64)> {
    found.iter().map(|reading| (reading.section, reading.step)).collect()
}

#[test]
fn a_line_is_read_when_it_is_written() {
    let folder = Folder::new();
    File::create(folder.metrics()).expect("a file");
    let mut files = folder.files();
    files.ready(&mut |reading| panic!("{reading:?}"));
    append(&folder.metrics(), b"{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2,");
    assert_eq!(steps(&wait(&mut files)), [(0, 1)]);
    append(&folder.metrics(), b"\"loss\": 0.4}\n");
    assert_eq!(steps(&wait(&mut files)), [(0, 2)]);
    append(&folder.metrics(), b"{\"loss\": 0.3}");
    let mut last = Vec::new();
    files.finish(&mut |reading| last.push(reading));
    assert_eq!(steps(&last), [(0, 3)]);
}

#[test]
fn a_cut_or_replaced_file_is_a_new_section() {
    let folder = Folder::new();
    append(&folder.metrics(), b"{\"step\": 5, \"loss\": 0.5}\n{\"step\": 6, \"loss\": 0.5}\n");
    let mut files = folder.files();
    assert_eq!(steps(&wait(&mut files)), [(0, 5), (0, 6)]);
    fs::write(folder.metrics(), b"{\"loss\": 1}\n").expect("written");
    assert_eq!(steps(&wait(&mut files)), [(1, 0)]);
    append(&folder.0.join("new"), b"{\"loss\": 2}\n{\"loss\": 3}\n");
    fs::rename(folder.0.join("new"), folder.metrics()).expect("renamed");
    assert_eq!(steps(&wait(&mut files)), [(2, 0), (2, 1)]);
    append(&folder.metrics(), b"{\"loss\": 4}\n");
    assert_eq!(steps(&wait(&mut files)), [(2, 2)]);
}

#[test]
fn what_was_unread_of_a_replaced_file_comes_first() {
    let folder = Folder::new();
    File::create(folder.metrics()).expect("a file");
    let mut files = folder.files();
    files.ready(&mut |reading| panic!("{reading:?}"));
    append(&folder.metrics(), b"{\"step\": 1, \"loss\": 0.5}\n");
    append(&folder.0.join("new"), b"{\"step\": 0, \"loss\": 2}\n");
    fs::rename(folder.0.join("new"), folder.metrics()).expect("renamed");
    let mut last = Vec::new();
    files.finish(&mut |reading| last.push(reading));
    assert_eq!(steps(&last), [(0, 1), (1, 0)]);
}

#[test]
fn a_folder_made_anew_is_watched_again() {
    let folder = Folder::new();
    let wandb = folder.0.join("wandb");
    fs::create_dir(&wandb).expect("a folder");
    let mut files = folder.files();
    files.ready(&mut |reading| panic!("{reading:?}"));
    fs::remove_dir(&wandb).expect("removed");
    fs::create_dir(&wandb).expect("a folder");
    files.ready(&mut |reading| panic!("{reading:?}"));
    fs::create_dir(wandb.join("run-1")).expect("a folder");
    files.ready(&mut |reading| panic!("{reading:?}"));
    append(&wandb.join("run-1/run-a.wandb"), b"");
    files.ready(&mut |reading| panic!("{reading:?}"));
    assert_eq!(files.wandb().files, 1);
}

#[test]
fn logs_are_found_while_the_run_goes_on() {
    let Some(bytes) = fixture("wandb-offline/run-0.31.0.wandb") else { return };
    let folder = Folder::new();
    let mut files = folder.files();
    files.ready(&mut |reading| panic!("{reading:?}"));
    for n in 1..=2 {
        let run = folder.0.join(format!("wandb/offline-run-20260101_00000{n}-abc"));
        fs::create_dir_all(&run).expect("a folder");
        append(&run.join("run-abc.wandb"), &bytes[..40_000]);
        let live = wait(&mut files);
        assert!(live.iter().all(|r| r.source == Channel::Wandb), "{live:?}");
        assert_eq!(live.last().map(|r| r.section), Some(n - 1));
        append(&run.join("run-abc.wandb"), &bytes[40_000..]);
    }
    let mut last = Vec::new();
    files.finish(&mut |reading| last.push(reading));
    assert!(!last.is_empty());
    assert_eq!((files.wandb().files, files.wandb().exit_code), (2, Some(0)));
    assert_eq!(files.notes(), Vec::<String>::new());
}

#[test]
fn links_and_fifos_are_not_read() {
    let folder = Folder::new();
    let outside = Folder::new();
    append(&outside.metrics(), b"{\"loss\": 1}\n");
    symlink(outside.metrics(), folder.metrics()).expect("a link");
    let run = folder.0.join("wandb/run-1");
    fs::create_dir_all(&run).expect("a folder");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, run.join("run-a.wandb"), rustix::fs::FileType::Fifo, mode, 0)
        .expect("a FIFO");
    symlink(&run, folder.0.join("wandb/run-2")).expect("a link");
    let mut files = folder.files();
    files.ready(&mut |reading| panic!("{reading:?}"));
    files.finish(&mut |reading| panic!("{reading:?}"));
    assert_eq!(files.wandb().files, 1);
}

#[test]
fn an_old_wandb_is_named() {
    let Some(bytes) = fixture("wandb-offline/run-0.19.11.wandb") else { return };
    let folder = Folder::new();
    let run = folder.0.join("wandb/offline-run-1");
    fs::create_dir_all(&run).expect("a folder");
    append(&run.join("run-abc.wandb"), &bytes);
    let mut files = folder.files();
    files.finish(&mut |_| {});
    assert!(files.notes()[0].contains("wandb 0.19.11"));
}
