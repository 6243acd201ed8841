//! Which of two values is better, and which of a trial's values counts.

/// How the judged metric is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Larger is better.
    pub maximize: bool,
    /// The last value counts, not the best: `aggregate: last`.
    pub last_counts: bool,
}

impl Measure {
    /// The value as if to be minimised; also its own inverse.
    pub(super) fn minimised(self, value: f64) -> f64 {
        if self.maximize { -value } else { value }
    }

    /// Whether `a` is strictly worse than `b`.
    pub(super) fn is_worse(self, a: f64, b: f64) -> bool {
        self.minimised(a) > self.minimised(b)
    }

    /// What a reported value counts as: an infinite one is the worst number there is, NaN none.
    pub(super) fn counted(self, value: f64) -> Option<f64> {
        let worst = if self.maximize { f64::MIN } else { f64::MAX };
        (!value.is_nan()).then_some(if value.is_finite() { value } else { worst })
    }

    /// The one of two values that counts; `new` came later.
    pub(super) fn so_far(self, old: Option<f64>, new: f64) -> f64 {
        match old {
            Some(old) if !self.last_counts && !self.is_worse(old, new) => old,
            Some(_) | None => new,
        }
    }
}
