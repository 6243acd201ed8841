//! How a run ended: the body of the last frame, and what the controller judges a trial by.

use serde::{Deserialize, Serialize};

/// The end of a run. Written once, when no process of it is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// How the command ended.
    pub how: How,
    /// The command had not ended right before our first signal, so that its end may be our doing.
    #[serde(default)]
    pub signalled: bool,
    /// It outlived its grace (or was given none) and got SIGKILL.
    #[serde(default)]
    pub killed: bool,
    /// Why we stopped it, if we did.
    #[serde(default)]
    pub stop: Option<StopCause>,
    /// Number of the last record before this one.
    pub last_seq: u64,
    /// Reports among the records.
    pub reports: u64,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// Last lines of its output, at most 20 and 4 KiB.
    #[serde(default)]
    pub tail: String,
    /// What was seen and not passed on.
    #[serde(default)]
    pub counts: Counts,
    /// Sentences for the user about this run's channels and start.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Ended {
    /// An end of which nothing more is known.
    pub fn of(how: How) -> Ended {
        Ended {
            how,
            signalled: false,
            killed: false,
            stop: None,
            last_seq: 0,
            reports: 0,
            usage: Usage::default(),
            tail: String::new(),
            counts: Counts::default(),
            notes: Vec::new(),
        }
    }

    /// The run was ended because of its `timeout`.
    pub fn timed_out(&self) -> bool {
        self.stop == Some(StopCause::Timeout)
    }
}

/// How the command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It exited with this code.
    Exited(i32),
    /// A signal ended it, ours or a stranger's (`Ended::signalled` tells).
    Signal(i32),
    /// It could not be started.
    NeverStarted {
        /// Whose fault that is.
        fault: Fault,
        /// What, where, and how to mend it.
        message: String,
    },
    /// Nobody saw its end.
    Lost(Lost),
}

/// Whose fault a failed start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// No such program, not executable, no such folder: the same on every try.
    User,
    /// No memory, no process, no descriptor left: elsewhere or later it may start.
    Infrastructure,
}

/// Why nobody saw a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lost {
    /// Its runner was killed.
    Runner,
    /// Its folder was made, its command never seen to start.
    NeverStarted,
    /// The machine went down, or the spool's last frames with it.
    Machine,
}

/// Who asked for a run's stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// The agent, or who runs `swath exec` by hand.
    Ordered,
    /// Its `timeout`.
    Timeout,
    /// `on_silence.stop_after`.
    Silence,
}

/// What a run used, over all its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// From its start until no process was left, by the monotonic clock.
    pub wall_ms: u64,
    /// In user code.
    pub user_ms: u64,
    /// In the kernel.
    pub system_ms: u64,
    /// Largest resident set of any of its processes.
    pub peak_rss_bytes: u64,
}

/// What was seen and not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Rows of metrics of which only the best and last values were kept.
    pub thinned_rows: u64,
    /// Values whose name is too long, unprintable, or one too many.
    pub refused_values: u64,
    /// Values of a name that another channel owns.
    pub not_owned_values: u64,
    /// Bytes of output that were logged and not looked at.
    pub unread_bytes: u64,
    /// Bytes of output that the disk had no room for.
    pub unlogged_bytes: u64,
}
