//! Named points at which tests kill the process that reaches them: `SWATH_FAILPOINT=POINT[:N][@FILE]`.
//!
//! `:N`: the N-th time that the process comes there (else the first). `@FILE`: only who can make FILE dies, so that of
//! many processes one does, once, and the test sees that the point was reached.
//!
//! | point | process | what is on disk then |
//! |---|---|---|
//! | `before_commit` | controller | nothing of the batch |
//! | `after_commit` | controller | all of it; nobody has heard of it |
//! | `after_folder` | agent | the run's folder with its spec, its lock held by the agent |
//! | `after_spawn` | agent | the same, and a runner that holds the lock |
//! | `before_started` | runner | the command runs, no frame says so |
//! | `after_started` | runner | the command runs, and the spool says so |
//! | `before_end` | runner | the command has ended, the spool does not say so |
//! | `after_end` | runner | all of it; the lock is still held |

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that names a point.
pub const VARIABLE: &str = "SWATH_FAILPOINT";

/// What the environment asks for.
struct Armed {
    point: String,
    /// How often the process passes before it dies.
    passes: AtomicU64,
    /// Made by the one who dies.
    file: Option<PathBuf>,
}

impl Armed {
    fn from_environment() -> Option<Armed> {
        let text = std::env::var(VARIABLE).ok()?;
        let (point, file) = match text.split_once('@') {
            Some((point, file)) => (point, Some(PathBuf::from(file))),
            None => (text.as_str(), None),
        };
        let (point, nth) = point.split_once(':').unwrap_or((point, "1"));
        let nth: u64 = nth.parse().ok()?;
        Some(Armed { point: point.to_owned(), passes: AtomicU64::new(nth.saturating_sub(1)), file })
    }

    /// Whether this pass is the last.
    fn fires(&self) -> bool {
        let passes =
            self.passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let made = |path| OpenOptions::new().write(true).create_new(true).open(path).is_ok();
        passes.is_err() && self.file.as_ref().is_none_or(made)
    }
}

/// Ends the process here if the environment says so.
pub fn reach(point: &str) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    if let Some(armed) = ARMED.get_or_init(Armed::from_environment)
        && armed.point == point
        && armed.fires()
    {
        std::process::abort();
    }
}
