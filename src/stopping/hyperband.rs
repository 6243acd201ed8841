//! W&B's hyperband: at a band a run goes on while it is among the best 1/eta of all trials that came so far.
//!
//! The state is a function of the trials' curves: reports of different trials may be taken in any order. Of every trial
//! its [`Marks`] are kept; of a live one its curve too. Values are compared as if to be minimised. A trial that is in no
//! band yet, and one alone in its band, goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::spec::Goal;
use crate::stopping::ranking::Ranking;
use crate::stopping::{Curve, Marks};

/// The rule and what it knows of each trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyperband {
    /// Ascending, each once.
    bands: Vec<u64>,
    /// 1 / eta.
    share: f64,
    strict: bool,
    goal: Goal,
    trials: BTreeMap<u32, Known>,
    rankings: Vec<Ranking>,
    /// The live trials judged by each band.
    judged: Vec<BTreeSet<u32>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    marks: Marks,
    /// Of a live trial that is observed.
    curve: Option<Curve>,
    live: bool,
}

/// The numbers of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The iterations of the band.
    pub band: u64,
    /// What was compared: the value there, or the best where the rule is not strict.
    pub value: f64,
    /// What it had to reach.
    pub threshold: f64,
    /// How many trials reached the band.
    pub count: u64,
}

impl Hyperband {
    /// A rule that knows no trial yet. The numbers are those of a checked definition.
    pub fn new(bands: &[u64], eta: f64, strict: bool, goal: Goal) -> Hyperband {
        let mut bands = bands.to_vec();
        bands.dedup();
        let rankings = vec![Ranking::default(); bands.len()];
        let judged = vec![BTreeSet::new(); bands.len()];
        Hyperband { bands, share: 1.0 / eta, strict, goal, trials: BTreeMap::new(), rankings, judged }
    }

    /// Takes in a value that an attempt of a live trial reported. Gives the live trials to judge now, ascending: this
    /// one, and those of every band of which the threshold moved.
    pub fn observe(&mut self, trial: u32, attempt: u32, step: i64, value: f64) -> Vec<u32> {
        let known = self.trials.entry(trial).or_default();
        known.live = true;
        let curve = known.curve.get_or_insert_default();
        let marks = if curve.insert(attempt, step, value) {
            let mut marks = known.marks.clone();
            if value.is_finite() {
                marks.push(value, &self.bands, self.goal);
            }
            marks
        } else {
            Marks::of(curve.values(), &self.bands, self.goal)
        };
        let mut look = self.remark(trial, marks);
        look.insert(trial);
        look.into_iter().collect()
    }

    /// The trial is final: its marks stay, its curve is let go. Gives its marks, for the log.
    pub fn settle(&mut self, trial: u32) -> Marks {
        let Some(known) = self.trials.get_mut(&trial) else { return Marks::default() };
        known.curve = None;
        known.live = false;
        let marks = known.marks.clone();
        if let Some(band) = marks.rungs.len().checked_sub(1) {
            self.judged[band].remove(&trial);
        }
        marks
    }

    /// Puts marks that the caller made in the place of a trial's: of a final trial of which no more is read, or of a
    /// live one of which the caller merges the curve. Gives the live trials to judge again, this one among them.
    pub fn set(&mut self, trial: u32, mut marks: Marks, live: bool) -> Vec<u32> {
        marks.rungs.truncate(self.bands.len());
        self.trials.entry(trial).or_default().live |= live;
        let mut look = self.remark(trial, marks);
        if live {
            look.insert(trial);
        } else {
            self.settle(trial);
            look.remove(&trial);
        }
        look.into_iter().collect()
    }

    /// The trial's curve begins anew, or it is not to be compared with. Gives the live trials to judge again.
    pub fn forget(&mut self, trial: u32) -> Vec<u32> {
        let mut look = self.remark(trial, Marks::default());
        self.trials.remove(&trial);
        look.remove(&trial);
        look.into_iter().collect()
    }

    /// What is known of a trial.
    pub fn marks(&self, trial: u32) -> Option<&Marks> {
        self.trials.get(&trial).map(|known| &known.marks)
    }

    /// Why a trial's run should stop now; none: it goes on.
    pub fn verdict(&self, trial: u32) -> Option<Evidence> {
        let marks = self.marks(trial)?;
        let rung = marks.rungs.len().checked_sub(1)?;
        let value = if self.strict { marks.rungs[rung] } else { marks.best? };
        let ranking = &self.rankings[rung];
        let threshold = as_minimised(self.goal, ranking.threshold()?);
        let worse = self.goal.better(threshold, value);
        worse.then(|| Evidence { band: self.bands[rung], value, threshold, count: ranking.len() as u64 })
    }

    /// Puts new marks in the place of a trial's; gives the live trials of the bands whose thresholds moved.
    fn remark(&mut self, trial: u32, marks: Marks) -> BTreeSet<u32> {
        let known = self.trials.entry(trial).or_default();
        let live = known.live;
        let old = std::mem::replace(&mut known.marks, marks.clone());
        let mut look = BTreeSet::new();
        for rung in 0..old.rungs.len().max(marks.rungs.len()) {
            let (before, now) = (old.rungs.get(rung).copied(), marks.rungs.get(rung).copied());
            if before.map(f64::to_bits) == now.map(f64::to_bits) {
                continue;
            }
            let threshold = self.rankings[rung].threshold();
            if let Some(value) = before {
                self.rankings[rung].remove(as_minimised(self.goal, value), self.share);
            }
            if let Some(value) = now {
                self.rankings[rung].insert(as_minimised(self.goal, value), self.share);
            }
            if self.rankings[rung].threshold() != threshold {
                look.extend(&self.judged[rung]);
            }
        }
        if old.rungs.len() != marks.rungs.len() {
            if let Some(rung) = old.rungs.len().checked_sub(1) {
                self.judged[rung].remove(&trial);
            }
            if let (true, Some(rung)) = (live, marks.rungs.len().checked_sub(1)) {
                self.judged[rung].insert(trial);
            }
        }
        look
    }
}

/// The value as if to be minimised; also its own inverse.
fn as_minimised(goal: Goal, value: f64) -> f64 {
    match goal {
        Goal::Minimize => value,
        Goal::Maximize => -value,
    }
}
