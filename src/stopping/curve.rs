//! A trial's one curve of the judged metric: its attempts merged by step, the later attempt wins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values by step, each with the attempt that gave it. Values that are not finite take a step's place and count as none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    points: BTreeMap<i64, (u32, f64)>,
}

impl Curve {
    /// Takes a report in. True where the curve only grew at its end.
    pub fn insert(&mut self, attempt: u32, step: i64, value: f64) -> bool {
        let at_end = self.points.last_key_value().is_none_or(|(last, _)| *last < step);
        let entry = self.points.entry(step).or_insert((attempt, value));
        if entry.0 <= attempt {
            *entry = (attempt, value);
        }
        at_end
    }

    /// The finite values in the order of their steps.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.points.values().map(|(_, value)| *value).filter(|value| value.is_finite())
    }
}

/// What the rule keeps of a trial: enough to judge others by it once its reports are not read any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marks {
    /// Its values at the bands it reached, as many as those.
    pub rungs: Vec<f64>,
    /// How many finite values it has.
    pub count: u64,
    /// The best of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<f64>,
}

impl Marks {
    /// Of finite values in their order; `bands` ascend and differ.
    pub fn of(values: impl Iterator<Item = f64>, bands: &[u64], maximize: bool) -> Marks {
        let mut marks = Marks::default();
        values.for_each(|value| marks.push(value, bands, maximize));
        marks
    }

    pub(super) fn push(&mut self, value: f64, bands: &[u64], maximize: bool) {
        self.count += 1;
        if bands.get(self.rungs.len()) == Some(&self.count) {
            self.rungs.push(value);
        }
        if self.best.is_none_or(|best| if maximize { value > best } else { value < best }) {
            self.best = Some(value);
        }
        self.last = Some(value);
    }
}
