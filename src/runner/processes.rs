//! Finds and kills the processes of a run.
//!
//! A pid is used again some day, so nothing here signals by pid alone: a process is held by a pidfd first, then looked
//! at again (its start time, or its mark), and only then signalled through the pidfd. A stranger that took over the pid
//! in between is never hit.
//!
//! Three nets, since each has holes: the command's process group (a `setsid` leaves it), the descendants of the runner
//! (complete while the runner lives: as a subreaper it inherits every orphan), and the mark `SWATH_RUN` + `SWATH_FENCE`
//! in the environment (for what a dead runner left; a program that overwrites its environment escapes this one).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;

use super::record::Process;
use super::spec::RunKey;

/// Older than this a process shows its environment, if it has one.
const YOUNG: Duration = Duration::from_secs(2);
/// Of the flags in `/proc/PID/stat`: a thread of the kernel's own.
const PF_KTHREAD: u64 = 0x0020_0000;

/// Fields of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: u8,
    parent: i32,
    group: i32,
    is_kernel: bool,
    start: u64,
}

/// This machine's boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// The process with its start time; `None` when there is none of this pid.
pub(crate) fn identify(pid: i32) -> Option<Process> {
    stat(pid).map(|stat| Process { pid, start: stat.start })
}

/// Holds a process that was recorded in this boot; `None` when it is gone, whoever has its pid now.
pub(crate) fn hold(process: Process) -> Option<OwnedFd> {
    let fd = pidfd(process.pid)?;
    let stat = stat(process.pid)?;
    (stat.start == process.start && stat.state != b'Z').then_some(fd)
}

/// Sends SIGKILL to every descendant of this process; returns how many there were.
pub(crate) fn kill_descendants() -> usize {
    let own = std::process::id() as i32;
    let all = snapshot();
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for (pid, stat) in &all {
        children.entry(stat.parent).or_default().push(Process { pid: *pid, start: stat.start });
    }
    let (mut killed, mut parents) = (0, vec![own]);
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            killed += usize::from(hold(child).is_some_and(|fd| kill(&fd)));
        }
    }
    killed
}

/// Sends SIGKILL to every process that bears the run's mark; returns what it hit.
pub(crate) fn kill_marked(run: &RunKey) -> Vec<OwnedFd> {
    let mark = Mark::of(run);
    let own = std::process::id() as i32;
    pids()
        .filter(|pid| *pid != own)
        .filter_map(|pid| held_if(pid, |pid| mark.is_on(pid)))
        .filter(kill)
        .collect()
}

/// Waits for processes that only just began and show no environment yet: whose they are cannot be told before, since a
/// start returns to its caller earlier than that.
pub(crate) fn await_newborn(at_most: Duration) {
    let deadline = Instant::now() + at_most;
    let mut newborn: Vec<i32> = pids().filter(|pid| is_newborn(*pid)).collect();
    while !newborn.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
        newborn.retain(|pid| is_newborn(*pid));
    }
}

/// A process that cleared its environment looks the same while it is young.
fn is_newborn(pid: i32) -> bool {
    let has_none = fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| environment.is_empty());
    has_none && stat(pid).is_some_and(|stat| stat.state != b'Z' && !stat.is_kernel && age(stat) < YOUNG)
}

fn age(stat: Stat) -> Duration {
    let began = Duration::from_secs_f64(stat.start as f64 / rustix::param::clock_ticks_per_second() as f64);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32).saturating_sub(began)
}

/// Sends SIGKILL to what is left of a dead runner's command: its process group, whose leader it was.
pub(crate) fn kill_group_of(command: Process) -> Vec<OwnedFd> {
    // A living leader with another start is a stranger that got the pid when the group had gone.
    if stat(command.pid).is_some_and(|leader| leader.start != command.start) {
        return Vec::new();
    }
    let is_member =
        |pid| stat(pid).is_some_and(|stat| stat.group == command.pid && stat.start >= command.start);
    pids().filter_map(|pid| held_if(pid, is_member)).filter(kill).collect()
}

/// Waits until all of these processes have ended, or the time is over.
pub(crate) fn wait_for_all(processes: &[OwnedFd], at_most: Duration) {
    let deadline = Instant::now() + at_most;
    for process in processes {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        // A signal may cut the wait short; the caller looks again for what is left.
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout));
    }
}

fn kill(process: &OwnedFd) -> bool {
    pidfd_send_signal(process, Signal::KILL).is_ok()
}

/// Holds the process, if it is what is looked for and lives.
fn held_if(pid: i32, is_it: impl Fn(i32) -> bool) -> Option<OwnedFd> {
    if !is_it(pid) {
        return None;
    }
    let fd = pidfd(pid)?;
    (is_it(pid) && stat(pid).is_some_and(|stat| stat.state != b'Z')).then_some(fd)
}

fn pidfd(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn snapshot() -> Vec<(i32, Stat)> {
    pids().filter_map(|pid| stat(pid).map(|stat| (pid, stat))).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn stat(pid: i32) -> Option<Stat> {
    // One read has all of it: some 50 numbers and a name of at most 64 bytes.
    let mut text = [0; 1536];
    let n = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut text).ok()?;
    parse_stat(&text[..n])
}

/// The name may hold anything, so fields count from the last `)`.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        is_kernel: fields.get(6)?.parse::<u64>().ok()? & PF_KTHREAD != 0,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// The two entries of the environment that all processes of a run have.
struct Mark {
    run: String,
    fence: String,
}

impl Mark {
    fn of(run: &RunKey) -> Mark {
        Mark { run: format!("SWATH_RUN={}", run.display()), fence: format!("SWATH_FENCE={}", run.fence) }
    }

    fn is_on(&self, pid: i32) -> bool {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let has = |entry: &str| environment.split(|byte| *byte == 0).any(|own| own == entry.as_bytes());
        has(&self.run) && has(&self.fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_from_the_last_parenthesis() {
        let line = b"12 (a) b (c) S 7 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(
            parse_stat(line),
            Some(Stat { state: b'S', parent: 7, group: 12, is_kernel: false, start: 4711 })
        );
        assert_eq!(parse_stat(b"12 (a"), None);
    }

    #[test]
    fn a_recorded_process_whose_pid_somebody_else_has_is_not_held() {
        let own = identify(std::process::id() as i32).unwrap();
        assert!(hold(own).is_some());
        assert!(hold(Process { start: own.start + 1, ..own }).is_none());
        assert!(kill_group_of(Process { start: own.start + 1, ..own }).is_empty());
    }
}
