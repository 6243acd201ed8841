//! Supervises one command from its start until no process of it is left: one thread, one `poll`.
//!
//! Order of a run: files and environment, spawn, `Started`, then whatever comes first of output, files, signals,
//! children and deadlines; at the end what is left in pipes and files, and `Ended`. The command leads a process group
//! of its own; this process is a subreaper, so every orphan of the run becomes its child and the tree is empty when it
//! has no child left.
//!
//! The command's process is reaped here alone, so its pid and group are its own as long as `main` says that it runs;
//! afterwards signals go by pidfd (`processes`).

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use rustix::time::Timespec;

use super::collect::Collector;
use super::course::{Act, Course, Input};
use super::ended::{Counts, Ended, Fault, How, Lost, StopCause};
use super::folder::Folder;
use super::launch::{self, Launched};
use super::output::Logs;
use super::program::NoStart;
use super::record::{Process, Record, SignalSent, Started};
use super::recorder::{Recorder, now_us};
use super::signals::Signals;
use super::silence::SilenceWatch;
use super::spec::{Spec, StopSignal};
use super::spool::SpoolWriter;
use super::streams::Streams;
use super::{processes, recorder, terminal, usage};
use crate::failpoint;

/// The system refused what every run needs. Of the command nothing was started, or nothing is left.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct SuperviseError {
    what: &'static str,
    error: io::Error,
}

fn cannot(what: &'static str) -> impl FnOnce(io::Error) -> SuperviseError {
    move |error| SuperviseError { what, error }
}

/// How a run came out: its end, and the exit code that a shell would give it.
pub(crate) struct Outcome {
    pub(crate) how: How,
    pub(crate) code: u8,
}

/// Runs `spec`'s command to its end. `by_hand`: for a person or a pod, not an agent: output is passed on, stdin is not
/// taken away unless it is a terminal, and Ctrl-C stops the run.
pub(crate) fn supervise(
    spec: &Spec,
    folder: &Folder,
    spool: SpoolWriter,
    by_hand: bool,
) -> Result<Outcome, SuperviseError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| cannot("becoming a subreaper")(error.into()))?;
    let signals = Signals::catch(by_hand).map_err(cannot("catching signals"))?;
    if terminal::give_up() {
        signals.take_stop(); // the hang-up that this may have caused
    }
    let mut recorder = Recorder::new(spool, spec.wanted.clone());
    let logs = Logs::new(folder, spec.log_bytes);
    let (Launched { command, pipes, note }, collector) = match start(spec, folder, by_hand) {
        Ok(started) => started,
        Err(refused) => return never_started(refused, folder, &mut recorder),
    };
    let now = Instant::now();
    failpoint::reach("before_started");
    recorder.spool().write(Record::Started(started(spec, command, note)), now);
    failpoint::reach("after_started");
    let streams = Streams::new(pipes, logs, by_hand);
    let timeout = spec.timeout_ms.map(Duration::from_millis);
    let mut supervisor = Supervisor {
        spec,
        began: now,
        course: Course::new(Duration::from_millis(spec.grace_ms), timeout, now),
        silence: spec.silence.as_ref().map(|silence| SilenceWatch::new(silence, now)),
        main: Main::Runs(command),
        signalled: false,
        killed: false,
        debt: Duration::ZERO,
        signals,
        streams,
        collector,
        recorder,
    };
    supervisor.run();
    supervisor.finish(folder)
}

/// Channels are opened before the command starts, so that none of its first words is missed.
fn start(spec: &Spec, folder: &Folder, by_hand: bool) -> Result<(Launched, Collector), NoStart> {
    let prepared = launch::prepare(spec, folder)?;
    let collector = Collector::new(spec, folder, Instant::now()).map_err(|error| NoStart {
        fault: Fault::User,
        code: 125,
        message: error.to_string(),
    })?;
    Ok((prepared.start(by_hand)?, collector))
}

fn started(spec: &Spec, command: Process, note: Option<String>) -> Started {
    let own = std::process::id() as i32;
    Started {
        nonce: recorder::random(),
        runner: processes::identify(own).unwrap_or(Process { pid: own, start: 0 }),
        command,
        boot: spec.boot.clone(),
        at_us: now_us() as u64,
        notes: spec.notes.iter().cloned().chain(note).collect(),
    }
}

fn never_started(
    refused: NoStart,
    folder: &Folder,
    recorder: &mut Recorder,
) -> Result<Outcome, SuperviseError> {
    launch::clean_up(folder);
    let how = How::NeverStarted { fault: refused.fault, message: refused.message };
    failpoint::reach("before_end");
    recorder.end(Ended::of(how.clone())).map_err(cannot("writing the run's end"))?;
    failpoint::reach("after_end");
    Ok(Outcome { how, code: refused.code })
}

/// The command's own process.
#[derive(Debug, Clone, Copy)]
enum Main {
    /// Not reaped: its pid and its group's number are its own.
    Runs(Process),
    Ended(WaitStatus),
}

struct Supervisor<'a> {
    spec: &'a Spec,
    began: Instant,
    course: Course,
    silence: Option<SilenceWatch>,
    main: Main,
    signalled: bool,
    killed: bool,
    /// Time spent on looking at output that is not yet made up for by time spent on passing it on.
    debt: Duration,
    signals: Signals,
    streams: Streams,
    collector: Collector,
    recorder: Recorder,
}

/// What `poll` found.
#[derive(Debug, Default)]
struct Ready {
    signals: bool,
    files: bool,
    streams: [bool; 2],
}

impl Supervisor<'_> {
    fn run(&mut self) {
        while !self.course.is_done() {
            let ready = self.wait();
            let now = Instant::now();
            self.pass_on(&ready);
            self.collector.read_files(ready.files, now);
            for row in self.collector.rows(now) {
                self.recorder.row(row, now);
            }
            self.recorder.spool().retry(now);
            if ready.signals {
                self.signals.clear();
                if self.signals.take_stop_now() {
                    self.step(Input::StopNow(StopCause::Ordered), now);
                }
                if self.signals.take_stop() {
                    self.step(Input::Stop(StopCause::Ordered), now);
                }
                self.reap(now);
            }
            if self.silence.as_mut().is_some_and(|silence| silence.is_over(now)) {
                self.step(Input::Stop(StopCause::Silence), now);
            }
            self.step(Input::Tick, now);
        }
    }

    /// Waits until something is ready or due.
    fn wait(&mut self) -> Ready {
        let timeout = self.timeout();
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        let files = self.collector.fd().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let streams: Vec<_> = self.streams.open().collect();
        fds.extend(streams.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        fds.extend(files);
        let mut ready = Ready::default();
        if poll(&mut fds, timeout.as_ref()).is_ok() {
            let is_ready = |i: usize| fds.get(i).is_some_and(|fd| !fd.revents().is_empty());
            ready.signals = is_ready(0);
            for (i, (stream, _)) in streams.iter().enumerate() {
                ready.streams[*stream] = is_ready(1 + i);
            }
            ready.files = is_ready(1 + streams.len());
        }
        ready
    }

    fn timeout(&mut self) -> Option<Duration> {
        if self.collector.is_behind() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.course.deadline(),
            self.collector.deadline(),
            self.recorder.spool().deadline(),
            self.silence.as_ref().map(SilenceWatch::deadline),
        ];
        let now = Instant::now();
        deadlines.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    /// Passes output on, and looks at some of what waits: freely while nothing comes, else for as long as the passing
    /// on took, so that parsing costs a flooding script at most half of the speed.
    fn pass_on(&mut self, ready: &Ready) {
        let began = Instant::now();
        for stream in [0, 1].into_iter().filter(|stream| ready.streams[*stream]) {
            self.streams.pump(stream, &mut self.collector);
        }
        let passed = Instant::now();
        let floods = ready.streams.contains(&true);
        self.debt = if floods { self.debt.saturating_sub(passed - began) } else { Duration::ZERO };
        if self.debt.is_zero() && self.collector.is_behind() {
            self.collector.read_lines();
            self.debt = passed.elapsed();
        }
    }

    /// Takes a step of the course and does what it asks for.
    fn step(&mut self, input: Input, now: Instant) {
        match self.course.on(input, now) {
            Some(Act::Signal) => self.signal(now),
            Some(Act::Kill) => self.kill(now),
            None => {}
        }
    }

    /// Reaps whatever has ended.
    fn reap(&mut self, now: Instant) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if matches!(self.main, Main::Runs(main) if main.pid == pid.as_raw_nonzero().get()) {
                        self.main = Main::Ended(status);
                        self.step(Input::MainEnded, now);
                    }
                }
                Err(Errno::CHILD) => return self.step(Input::TreeEmpty, now),
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// The command's process group, if the command has not ended. Asked right before a signal: an exit that came first
    /// is the command's own (CORE's rule of `signalled`).
    fn living_group(&self) -> Option<Pid> {
        let Main::Runs(main) = self.main else { return None };
        let pid = Pid::from_raw(main.pid)?;
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let exit = rustix::process::waitid(WaitId::Pid(pid), peek);
        matches!(exit, Ok(None)).then_some(pid)
    }

    fn signal(&mut self, now: Instant) {
        let signal = match self.spec.stop_signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
        };
        if let Some(group) = self.living_group() {
            self.signalled = true;
            self.send(group, signal, now);
        }
    }

    fn kill(&mut self, now: Instant) {
        if let Some(group) = self.living_group() {
            self.signalled = true;
            if !self.killed {
                self.killed = true;
                self.send(group, Signal::KILL, now);
            }
        }
        processes::kill_descendants();
        processes::kill_marked(&self.spec.run);
        self.reap(now);
    }

    fn send(&mut self, group: Pid, signal: Signal, now: Instant) {
        // It lives, so the group is there; a signal that a member may not get is the next round's business.
        let _ = rustix::process::kill_process_group(group, signal);
        let after_ms = now.saturating_duration_since(self.began).as_millis() as u64;
        let sent = SignalSent { signal: signal.as_raw(), after_ms, cause: self.course.stop() };
        self.recorder.spool().write(Record::SignalSent(sent), now);
    }

    /// No process is left: reads what they left behind, and writes the end.
    fn finish(mut self, folder: &Folder) -> Result<Outcome, SuperviseError> {
        let now = Instant::now();
        self.streams.drain(&mut self.collector);
        for row in self.collector.finish() {
            self.recorder.row(row, now);
        }
        launch::clean_up(folder);
        let (how, code) = match self.main {
            Main::Ended(status) => judge(status),
            Main::Runs(_) => (How::Lost(Lost::Runner), 125),
        };
        let ended = Ended {
            signalled: self.signalled,
            killed: self.killed,
            stop: self.course.stop(),
            usage: usage::of_children(now - self.began),
            tail: self.streams.tail(),
            counts: self.counts(),
            notes: self.collector.notes(),
            ..Ended::of(how.clone())
        };
        failpoint::reach("before_end");
        self.recorder.end(ended).map_err(cannot("writing the run's end"))?;
        failpoint::reach("after_end");
        Ok(Outcome { how, code })
    }

    fn counts(&self) -> Counts {
        let dropped = self.collector.dropped();
        Counts {
            thinned_rows: dropped.thinned,
            refused_values: dropped.bad_names + dropped.too_many_names,
            not_owned_values: dropped.not_owned,
            unread_bytes: self.collector.unread(),
            unlogged_bytes: self.streams.unlogged(),
        }
    }
}

fn judge(status: WaitStatus) -> (How, u8) {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (How::Exited(code), code as u8),
        (None, Some(signal)) => (How::Signal(signal), (128 + signal) as u8),
        (None, None) => (How::Lost(Lost::Runner), 125),
    }
}
