//! The values of all trials at each band of the stopping rule: a function of the trials' own curves, whatever the order
//! in which they came.

use crate::spec::Goal;
use crate::sweep::curve::Moved;

/// Per band the values, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rungs {
    goal: Goal,
    bands: Vec<Vec<f64>>,
}

impl Rungs {
    pub(super) fn new(goal: Goal, bands: usize) -> Self {
        Rungs { goal, bands: vec![Vec::new(); bands] }
    }

    /// How many bands there are.
    pub(super) fn len(&self) -> usize {
        self.bands.len()
    }

    /// The values at a band, best first.
    pub(super) fn values(&self, band: usize) -> &[f64] {
        &self.bands[band]
    }

    pub(super) fn change(&mut self, moved: Moved) {
        if let Some(old) = moved.old {
            self.remove(moved.band, old);
        }
        if let Some(new) = moved.new {
            self.add(moved.band, new);
        }
    }

    /// A trial's values at the bands it passed are not there any more.
    pub(super) fn leave(&mut self, values: &[f64]) {
        for (band, value) in values.iter().enumerate() {
            self.remove(band, *value);
        }
    }

    pub(super) fn enter(&mut self, values: &[f64]) {
        for (band, value) in values.iter().enumerate() {
            self.add(band, *value);
        }
    }

    fn add(&mut self, band: usize, value: f64) {
        let goal = self.goal;
        if let Some(values) = self.bands.get_mut(band) {
            let place = values.partition_point(|there| goal.better(*there, value));
            values.insert(place, value);
        }
    }

    fn remove(&mut self, band: usize, value: f64) {
        let goal = self.goal;
        if let Some(values) = self.bands.get_mut(band) {
            let place = values.partition_point(|there| goal.better(*there, value));
            if values.get(place) == Some(&value) {
                values.remove(place);
            }
        }
    }
}
