//! The course of a run: when its command is signalled, when killed, when it is over. Pure: time comes in.
//!
//! ```text
//! Running --stop--> Stopping --grace over--> Killing --tree empty--> Done
//!    |                 |                        ^
//!    +---main ended----+--> Draining --5 s over-+        (an empty tree ends every phase)
//! ```

use std::time::{Duration, Instant};

use super::ended::StopCause;

/// Time for what outlives the command, such as W&B's uploader.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two rounds of SIGKILL, growing to a second: what forks while it is killed is found by a later round.
const FIRST_AGAIN: Duration = Duration::from_millis(10);
const LAST_AGAIN: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Stop, with the run's grace.
    Stop(StopCause),
    /// Stop without grace.
    StopNow(StopCause),
    /// The command's own process has ended.
    MainEnded,
    /// No process of the run is left.
    TreeEmpty,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Send the stop signal to the command's process group.
    Signal,
    /// Send SIGKILL to every process of the run.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { kill_at: Instant },
    Draining { until: Instant },
    Killing { again_at: Instant, pause: Duration },
    Done,
}

/// Where a run stands on its course.
#[derive(Debug)]
pub(crate) struct Course {
    grace: Duration,
    timeout_at: Option<Instant>,
    phase: Phase,
    stop: Option<StopCause>,
}

impl Course {
    pub(crate) fn new(grace: Duration, timeout: Option<Duration>, now: Instant) -> Course {
        let timeout_at = timeout.and_then(|timeout| now.checked_add(timeout));
        Course { grace, timeout_at, phase: Phase::Running, stop: None }
    }

    /// Why the run was stopped before its command had ended, if it was.
    pub(crate) fn stop(&self) -> Option<StopCause> {
        self.stop
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// When `Tick` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => self.timeout_at,
            Phase::Stopping { kill_at } => Some(kill_at),
            Phase::Draining { until } => Some(until),
            Phase::Killing { again_at, .. } => Some(again_at),
            Phase::Done => None,
        }
    }

    /// Takes one step.
    pub(crate) fn on(&mut self, input: Input, now: Instant) -> Option<Act> {
        match (input, self.phase) {
            (_, Phase::Done) => None,
            (Input::TreeEmpty, _) => {
                self.phase = Phase::Done;
                None
            }
            (Input::Stop(cause), Phase::Running) => self.begin_stop(cause, now),
            (Input::StopNow(cause), Phase::Running | Phase::Stopping { .. }) => {
                self.stop.get_or_insert(cause);
                self.kill(FIRST_AGAIN, now)
            }
            (Input::StopNow(_), Phase::Draining { .. }) => self.kill(FIRST_AGAIN, now),
            (Input::MainEnded, Phase::Running | Phase::Stopping { .. }) => {
                self.phase = Phase::Draining { until: now + DRAIN };
                None
            }
            (Input::Tick, _) => self.tick(now),
            (Input::Stop(_) | Input::StopNow(_) | Input::MainEnded, _) => None,
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Act> {
        match self.phase {
            Phase::Running if self.timeout_at.is_some_and(|at| at <= now) => {
                self.begin_stop(StopCause::Timeout, now)
            }
            Phase::Stopping { kill_at } if kill_at <= now => self.kill(FIRST_AGAIN, now),
            Phase::Draining { until } if until <= now => self.kill(FIRST_AGAIN, now),
            Phase::Killing { again_at, pause } if again_at <= now => {
                self.kill((pause * 2).min(LAST_AGAIN), now)
            }
            _ => None,
        }
    }

    fn begin_stop(&mut self, cause: StopCause, now: Instant) -> Option<Act> {
        self.stop = Some(cause);
        match now.checked_add(self.grace) {
            _ if self.grace.is_zero() => return self.kill(FIRST_AGAIN, now),
            Some(kill_at) => self.phase = Phase::Stopping { kill_at },
            // A grace beyond all time: the signal is all there is.
            None => self.phase = Phase::Stopping { kill_at: now + Duration::from_secs(u64::from(u32::MAX)) },
        }
        Some(Act::Signal)
    }

    fn kill(&mut self, pause: Duration, now: Instant) -> Option<Act> {
        self.phase = Phase::Killing { again_at: now + pause, pause };
        Some(Act::Kill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn course(timeout: Option<Duration>) -> (Course, Instant) {
        let now = Instant::now();
        (Course::new(GRACE, timeout, now), now)
    }

    #[test]
    fn a_stop_signals_and_kills_when_grace_is_over() {
        let (mut course, now) = course(None);
        assert_eq!(course.on(Input::Stop(StopCause::Ordered), now), Some(Act::Signal));
        assert_eq!(course.on(Input::Stop(StopCause::Ordered), now), None, "a second stop changes nothing");
        assert_eq!(course.deadline(), Some(now + GRACE));
        assert_eq!(course.on(Input::Tick, now + GRACE - Duration::from_millis(1)), None);
        assert_eq!(course.on(Input::Tick, now + GRACE), Some(Act::Kill));
        assert_eq!(
            course.on(Input::Tick, now + GRACE + FIRST_AGAIN),
            Some(Act::Kill),
            "until nothing is left"
        );
        assert_eq!(course.on(Input::MainEnded, now + GRACE + FIRST_AGAIN), None);
        assert!(!course.is_done());
        assert_eq!(course.on(Input::TreeEmpty, now + GRACE + FIRST_AGAIN), None);
        assert!(course.is_done());
    }

    #[test]
    fn what_outlives_the_command_has_five_seconds() {
        let (mut course, now) = course(Some(GRACE));
        assert_eq!(course.on(Input::MainEnded, now), None);
        assert_eq!(course.on(Input::Stop(StopCause::Ordered), now), None, "it has ended by itself");
        assert_eq!(course.on(Input::Tick, now + DRAIN), Some(Act::Kill));
        assert_eq!(course.stop(), None);
    }

    #[test]
    fn a_timeout_is_a_stop_with_its_own_cause() {
        let (mut course, now) = course(Some(Duration::from_secs(9)));
        assert_eq!(course.deadline(), Some(now + Duration::from_secs(9)));
        assert_eq!(course.on(Input::Tick, now + Duration::from_secs(9)), Some(Act::Signal));
        assert_eq!(
            course.on(Input::StopNow(StopCause::Ordered), now + Duration::from_secs(10)),
            Some(Act::Kill)
        );
        assert_eq!(course.stop(), Some(StopCause::Timeout));
    }
}
