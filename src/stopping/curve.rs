//! A trial's one curve of the judged metric: its attempts merged by step, the later attempt wins.

use std::collections::BTreeMap;

/// Values by step, each with the attempt that gave it. Values that are not finite take a step's place too.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    points: BTreeMap<i64, (u32, f64)>,
}

/// What a report made of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: the value was there, or a later attempt's is.
    Nothing,
    /// It only grew at its end.
    Grown,
    /// A value before its end is new or another one.
    Inside,
}

impl Curve {
    pub(super) fn insert(&mut self, attempt: u32, step: i64, value: f64) -> Change {
        let Some(there) = self.points.get_mut(&step) else {
            let at_end = self.points.last_key_value().is_none_or(|(last, _)| *last < step);
            self.points.insert(step, (attempt, value));
            return if at_end { Change::Grown } else { Change::Inside };
        };
        if there.0 > attempt {
            return Change::Nothing;
        }
        let is_same = there.1.to_bits() == value.to_bits();
        *there = (attempt, value);
        if is_same { Change::Nothing } else { Change::Inside }
    }

    /// All values in the order of their steps.
    pub(super) fn points(&self) -> impl Iterator<Item = (i64, f64)> {
        self.points.iter().map(|(step, (_, value))| (*step, *value))
    }
}
