//! `threshold`: a run stops with the first value beyond a bound, at or after a step. NaN is beyond every bound.
//!
//! Absolute: the leader is no exception, and nobody else is needed. It looks at each value as it was reported, whatever
//! `aggregate` says: a value beyond the bound is what it is there to catch.

use crate::stopping::alone::Own;
use crate::stopping::{Evidence, Measure};

/// The bounds; at least one is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// The first step that is looked at.
    pub(super) after: i64,
}

impl Own for Threshold {
    /// The first value beyond a bound, with its step.
    type Seen = Option<(i64, f64)>;
    const COMPARES: bool = false;

    fn see(&self, seen: &mut Self::Seen, step: i64, value: f64, _: Measure) {
        let is_beyond = value.is_nan()
            || self.max.is_some_and(|max| value > max)
            || self.min.is_some_and(|min| value < min);
        if seen.is_none() && step >= self.after && is_beyond {
            *seen = Some((step, value));
        }
    }

    fn judge(&self, seen: &Self::Seen, _: f64, measure: Measure) -> Option<Evidence> {
        let (step, value) = (*seen)?;
        let (worse, other) = if measure.maximize { (self.min, self.max) } else { (self.max, self.min) };
        let is_beyond_other =
            other.is_some_and(|bound| if measure.maximize { value > bound } else { value < bound });
        let threshold = if is_beyond_other { other } else { worse.or(other) }?;
        Some(Evidence { rung: step, value, threshold, count: 1, chance: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stopping::{Rule, Sample};

    fn stops_at(min: Option<f64>, max: Option<f64>, after: i64, values: &[f64]) -> Option<(i64, f64)> {
        let mut rule = Rule::threshold(min, max, after, Measure::default());
        for (step, value) in (0i64..).zip(values) {
            rule.observe(&Sample { at: step as u64, trial: 1, attempt: 1, step, value: *value });
            if let Some(evidence) = rule.verdict(1) {
                assert_eq!(evidence.rung, step, "at once");
                return Some((step, evidence.threshold));
            }
        }
        None
    }

    #[test]
    fn stops_at_the_first_value_beyond_the_bound() {
        let (nan, infinity) = (f64::NAN, f64::INFINITY);
        assert_eq!(
            stops_at(None, Some(2.0), 2, &[9.0, 9.0, 2.0, 2.1]),
            Some((3, 2.0)),
            "on the bound is within"
        );
        assert_eq!(stops_at(None, Some(2.0), 0, &[1.0, nan]), Some((1, 2.0)));
        assert_eq!(stops_at(None, Some(2.0), 0, &[1.0, infinity]), Some((1, 2.0)));
        assert_eq!(stops_at(Some(0.5), None, 0, &[1.0, nan]), Some((1, 0.5)));
        assert_eq!(stops_at(Some(0.5), Some(2.0), 0, &[1.0, 0.4]), Some((1, 0.5)));
        assert_eq!(stops_at(Some(0.5), Some(2.0), 0, &[1.0, 3.0]), Some((1, 2.0)));
        assert_eq!(
            stops_at(None, Some(2.0), 3, &[9.0, 9.0, nan]),
            None,
            "before its time nothing is looked at"
        );
    }
}
