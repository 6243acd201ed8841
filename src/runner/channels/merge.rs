//! Merge.

use std::time::Duration;

use super::reading::{Channel, Reading};

/// One line of the run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Not negative; sections follow one another.
    pub step: i64,
    /// Seconds since 1970, where the script said it.
    pub time: Option<f64>,
    /// Where it came from.
    pub source: Channel,
    /// Each name once.
    pub metrics: Vec<(String, f64)>,
}

/// How much was left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Values of a name that an earlier channel owns.
    pub not_owned: u64,
    /// Values whose name is too long, empty, or has control characters.
    pub bad_names: u64,
    /// Values of names above the limits.
    pub too_many_names: u64,
    /// Rows thinned out above the rate limit.
    pub thinned: u64,
}

/// Makes one series a name of what the channels give.
pub struct Merge;

impl Merge {
    /// `wanted`: names that must not be thinned or crowded out (objective, constraints, stopping).
    pub fn new(_wanted: &[String]) -> Merge {
        Merge
    }
    /// Takes in one reading.
    pub fn add(&mut self, _reading: Reading) {}
    /// Rows that may go on now. `now`: any monotonic time.
    pub fn rows(&mut self, _now: Duration) -> Vec<Row> {
        Vec::new()
    }
    /// When held rows may go on, on the clock of `rows`; none held: `None`.
    pub fn due(&self) -> Option<Duration> {
        None
    }
    /// The last rows, without the rate limit.
    pub fn finish(&mut self) -> Vec<Row> {
        Vec::new()
    }
    /// What was left out so far.
    pub fn dropped(&self) -> Dropped {
        Dropped::default()
    }
    /// Every name that was seen, in order.
    pub fn names(&self) -> Vec<&str> {
        Vec::new()
    }
    /// What the user should hear, each thing once.
    pub fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}
