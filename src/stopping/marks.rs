//! What a rule keeps of a trial: enough to judge others by it once its reports are not read any more. Stored in the log.

use serde::{Deserialize, Serialize};

/// A trial's marks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marks {
    /// Hyperband's: its values at the bands it reached, as many as those.
    pub rungs: Vec<f64>,
    /// How many values count: the finite ones; for the rules that go by steps infinite ones too, as the worst there is.
    pub count: u64,
    /// The best of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<f64>,
    /// Of the rules that go by steps: its value so far at the rungs it reached, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// A trial's place at a rung.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(i64, f64, u64)", into = "(i64, f64, u64)")]
pub struct Place {
    /// The rung's step.
    pub rung: i64,
    /// The trial's value so far, there.
    pub value: f64,
    /// When it arrived: [`crate::stopping::Sample::at`] of the report that took it there.
    pub at: u64,
}

impl From<(i64, f64, u64)> for Place {
    fn from((rung, value, at): (i64, f64, u64)) -> Place {
        Place { rung, value, at }
    }
}

impl From<Place> for (i64, f64, u64) {
    fn from(place: Place) -> (i64, f64, u64) {
        (place.rung, place.value, place.at)
    }
}
