//! `patience`: a run stops when so many reports in a row brought no improvement over its own best.
//!
//! Reports are counted, not steps; one that is not finite brings none. Absolute: the leader is no exception, and nobody
//! else is needed. A run that stops keeps its best value.

use crate::stopping::alone::Own;
use crate::stopping::{Evidence, Measure};

/// How long a run is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Patience {
    /// Reports.
    pub(super) patience: u64,
    /// An improvement is larger than this.
    pub(super) min_delta: f64,
    /// The first step at which a run may be stopped.
    pub(super) after: i64,
}

/// A curve's best value, and what came since.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Since {
    /// With its step.
    best: Option<(i64, f64)>,
    reports: u64,
    step: i64,
}

impl Own for Patience {
    type Seen = Since;
    const COMPARES: bool = false;

    fn see(&self, seen: &mut Since, step: i64, value: f64, measure: Measure) {
        let value = measure.minimised(value);
        let improves = |(_, best): (i64, f64)| value < best - self.min_delta;
        if value.is_finite() && seen.best.is_none_or(improves) {
            *seen = Since { best: Some((step, value)), reports: 0, step };
        } else {
            *seen = Since { reports: seen.reports + 1, step, ..*seen };
        }
    }

    fn judge(&self, seen: &Since, _: f64, measure: Measure) -> Option<Evidence> {
        let (rung, best) = seen.best?;
        let best = measure.minimised(best);
        let is_over = seen.reports >= self.patience && seen.step >= self.after;
        is_over.then_some(Evidence {
            rung,
            value: best,
            threshold: self.min_delta,
            count: seen.reports,
            chance: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stopping::{Rule, Sample};

    fn stops_at(patience: u64, min_delta: f64, values: &[f64]) -> Option<(i64, i64)> {
        let mut found = Vec::new();
        for maximize in [false, true] {
            let measure = Measure { maximize, last_counts: false };
            let mut rule = Rule::patience(patience, min_delta, 0, measure);
            found.push((0i64..).zip(values).find_map(|(step, value)| {
                let value = measure.minimised(*value);
                rule.observe(&Sample { at: 0, trial: 1, attempt: 1, step: 10 * step, value });
                rule.verdict(1).map(|evidence| (10 * step, evidence.rung))
            }));
        }
        assert_eq!(found[0], found[1]);
        found[0]
    }

    #[test]
    fn stops_after_so_many_reports_without_a_gain() {
        assert_eq!(stops_at(2, 0.0, &[5.0, 4.0, 4.0, 3.9, 3.9, 4.0]), Some((50, 30)));
        assert_eq!(
            stops_at(2, 0.5, &[5.0, 4.0, 4.0, 3.9, 3.9, 4.0]),
            Some((30, 10)),
            "a gain of 0.1 is none"
        );
        assert_eq!(stops_at(3, 0.0, &[5.0, f64::NAN, f64::INFINITY, 6.0]), Some((30, 0)));
        assert_eq!(stops_at(3, 0.0, &[5.0, 5.1, 5.2, 4.9, 5.0, 5.0]), None);
        assert_eq!(stops_at(2, 1.0, &[5.0, 4.0, 4.0]), Some((20, 0)), "as large as min_delta is not larger");
        assert_eq!(stops_at(2, 0.0, &[f64::NAN; 9]), None, "no value at all: the run diverges, no rule asks");
    }
}
