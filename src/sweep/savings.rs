//! What the stopping rule saved, and how often it was wrong.
//!
//! Saved: what the runs that it stopped would have taken at full length, the median of those that ended by themselves,
//! less what they took. Wrong: a run that it condemned, and that the audit let go on, came to its end as the best so far.
//! No decision depends on these.

use crate::stopping::Ranking;

/// Of the trials that are over.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    wall: Lengths,
    gpu: Lengths,
    pub(super) audit: Audit,
}

/// Runs that the audit let go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// How many were condemned, and let go on.
    pub spared: u32,
    /// Of these, how many came to their end by themselves.
    pub ended: u32,
    /// Of these, how many were the best so far then.
    pub wrong: u32,
}

/// What the rule saved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Savings {
    /// Trials that it stopped.
    pub stopped: u32,
    /// None: no trial has come to its end by itself, so nobody knows how long one takes.
    pub hours: Option<f64>,
    /// GPU hours; likewise.
    pub gpu_hours: Option<f64>,
    /// The saved part of the time that all would have taken; likewise.
    pub share: Option<f64>,
    #[allow(missing_docs)]
    pub audit: Audit,
}

/// How a trial that is over counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Full,
    Cut,
}

/// What a trial took, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Took {
    pub(super) wall_ms: u64,
    pub(super) gpu_ms: u64,
}

impl Tally {
    pub(super) fn add(&mut self, length: Length, took: Took) {
        self.wall.add(length, took.wall_ms);
        self.gpu.add(length, took.gpu_ms);
    }

    /// Takes back what was added.
    pub(super) fn remove(&mut self, length: Length, took: Took) {
        self.wall.remove(length, took.wall_ms);
        self.gpu.remove(length, took.gpu_ms);
    }

    pub(super) fn savings(&self) -> Savings {
        let hours = |ms: f64| ms / 3_600_000.0;
        let saved = self.wall.saved_ms();
        let whole = |saved: f64| saved + (self.wall.cut_ms + self.wall.full_ms) as f64;
        Savings {
            stopped: self.wall.cut,
            hours: saved.map(hours),
            gpu_hours: self.gpu.saved_ms().map(hours),
            share: saved.filter(|saved| whole(*saved) > 0.0).map(|saved| saved / whole(saved)),
            audit: self.audit,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Lengths {
    full: Ranking,
    full_ms: u64,
    cut: u32,
    cut_ms: u64,
}

impl Lengths {
    fn add(&mut self, length: Length, ms: u64) {
        match length {
            Length::Full => {
                self.full.insert(ms as f64);
                self.full.split(self.full.len() / 2);
                self.full_ms = self.full_ms.saturating_add(ms);
            }
            Length::Cut => {
                self.cut += 1;
                self.cut_ms = self.cut_ms.saturating_add(ms);
            }
        }
    }

    fn remove(&mut self, length: Length, ms: u64) {
        match length {
            Length::Full => {
                self.full.remove(ms as f64);
                self.full.split(self.full.len() / 2);
                self.full_ms = self.full_ms.saturating_sub(ms);
            }
            Length::Cut => {
                self.cut = self.cut.saturating_sub(1);
                self.cut_ms = self.cut_ms.saturating_sub(ms);
            }
        }
    }

    fn saved_ms(&self) -> Option<f64> {
        let above = self.full.above()?;
        let median = match self.full.below() {
            Some(below) if self.full.len().is_multiple_of(2) => (below + above) / 2.0,
            Some(_) | None => above,
        };
        Some((f64::from(self.cut) * median - self.cut_ms as f64).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full lengths 8, 10, 12 h: median 10. Two were cut after 1 and 3 h: 2 x 10 - 4 = 16 h of 16 + 4 + 30.
    #[test]
    fn saved_is_the_rest_of_a_full_length() {
        let hours = |h: u64| Took { wall_ms: h * 3_600_000, gpu_ms: 2 * h * 3_600_000 };
        let mut tally = Tally::default();
        tally.add(Length::Cut, hours(1));
        tally.add(Length::Cut, hours(3));
        assert_eq!((tally.savings().stopped, tally.savings().hours), (2, None));
        for h in [12, 8, 10, 50] {
            tally.add(Length::Full, hours(h));
        }
        assert_eq!(tally.savings().hours, Some(2.0 * 11.0 - 4.0), "the middle of an even number");
        tally.remove(Length::Full, hours(50));
        let savings = tally.savings();
        assert_eq!((savings.hours, savings.gpu_hours), (Some(16.0), Some(32.0)));
        assert_eq!(savings.share, Some(16.0 / 50.0));
        tally.add(Length::Cut, hours(40));
        assert_eq!(tally.savings().hours, Some(0.0), "never less than nothing");
    }
}
