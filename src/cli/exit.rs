//! Exit codes. They never change meaning; `swath --help` lists them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `run`: the sweep ended by its own limits and has a best trial.
    Done,
    /// Failed, any other reason.
    Failed,
    /// Wrong use: option, argument, configuration.
    Usage,
    /// A sweep file is wrong; every error was printed.
    BadFile,
    /// No such sweep, trial, agent.
    NotFound,
    /// Not logged in or not allowed.
    Denied,
    /// The controller was not reached or lost; nothing is known to have changed.
    Unreachable,
    /// Refused in this state.
    Refused,
    /// The audit chain, a backup or the store is damaged.
    Damaged,
    /// The sweep ended, or paused itself, without a best trial.
    NoBest,
    /// The sweep was stopped or paused by somebody else before its end.
    Interrupted,
    /// Ended by Ctrl-C, after the orderly steps.
    CtrlC,
    /// Ended by SIGTERM, after the orderly steps.
    Terminated,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::BadFile => 3,
            Exit::NotFound => 4,
            Exit::Denied => 5,
            Exit::Unreachable => 6,
            Exit::Refused => 7,
            Exit::Damaged => 8,
            Exit::NoBest => 10,
            Exit::Interrupted => 11,
            Exit::CtrlC => 130,
            Exit::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The list for `--help` and `swath help exit-codes`.
pub(super) const TABLE: &str = "\
Exit codes:
    0  done; for run and watch --until: the sweep ended by its own limits and has a best trial
    1  failed, any other reason; doctor found a failure
    2  wrong use: option, argument, configuration
    3  a sweep file is wrong; every error was printed
    4  no such sweep or trial
    5  not allowed
    6  controller not reached or lost; nothing is known to have changed
    7  refused in this state: the store or the sweep is held by another process
    8  integrity: audit chain, backup or store is damaged
   10  the sweep ended, or paused itself, without a best trial
   11  the sweep was stopped or paused by somebody else before its end
  130, 143  ended by Ctrl-C, SIGTERM, after the orderly steps
  exec: the command's own code; 128+n for signal n; 125, 126, 127 as in a shell";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code() {
        use Exit::*;
        let all = [
            Done,
            Failed,
            Usage,
            BadFile,
            NotFound,
            Denied,
            Unreachable,
            Refused,
            Damaged,
            NoBest,
            Interrupted,
            CtrlC,
            Terminated,
        ];
        for exit in all {
            assert!(TABLE.contains(&exit.code().to_string()), "{exit:?} is missing");
        }
    }
}
