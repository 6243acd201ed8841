//! Named points at which tests kill a process: `SWATH_FAILPOINT=after_started` aborts whatever process reaches it.
//!
//! | point | process | what is on disk then |
//! |---|---|---|
//! | `after_folder` | agent | the run's folder with its spec, its lock held by the agent |
//! | `after_spawn` | agent | the same, and a runner that holds the lock |
//! | `before_started` | runner | the command runs, no frame says so |
//! | `after_started` | runner | the command runs, and the spool says so |
//! | `before_end` | runner | the command has ended, the spool does not say so |
//! | `after_end` | runner | all of it; the lock is still held |

/// The variable that names a point.
pub const VARIABLE: &str = "SWATH_FAILPOINT";

/// Ends the process here if the environment says so.
pub fn reach(point: &str) {
    if std::env::var_os(VARIABLE).is_some_and(|wanted| wanted == point) {
        std::process::abort();
    }
}
