//! W&B's hyperband: at a band a run goes on while it is among the best 1/eta of all trials that came so far.
//!
//! The state is a function of the trials' curves: reports of different trials may be taken in any order. Of every trial
//! its [`Marks`] are kept; of a live one its curve too. Values are compared as if to be minimised. A trial that is in no
//! band yet, and one alone in its band, goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::stopping::curve::{Change, Curve};
use crate::stopping::{Evidence, Marks, Ranking, Sample};

/// The rule and what it knows of each trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hyperband {
    /// Ascending, each once.
    bands: Vec<u64>,
    /// 1 / eta.
    share: f64,
    strict: bool,
    maximize: bool,
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

impl Hyperband {
    /// A rule that knows no trial yet. The numbers are those of a checked definition.
    pub(super) fn new(bands: &[u64], eta: f64, strict: bool, maximize: bool) -> Hyperband {
        let mut bands = bands.to_vec();
        bands.dedup();
        let rankings = vec![Ranking::default(); bands.len()];
        let judged = vec![BTreeSet::new(); bands.len()];
        Hyperband { bands, share: 1.0 / eta, strict, maximize, trials: BTreeMap::new(), rankings, judged }
    }

    /// Gives the live trials to judge now, ascending: this one, and those of every band of which the threshold moved.
    pub(super) fn observe(&mut self, sample: &Sample) -> Vec<u32> {
        let known = self.trials.entry(sample.trial).or_default();
        known.live = true;
        let curve = known.curve.get_or_insert_default();
        let marks = match curve.insert(sample.attempt, sample.step, sample.value) {
            Change::Nothing => return vec![sample.trial],
            Change::Grown => {
                let mut marks = known.marks.clone();
                push(&mut marks, sample.value, &self.bands, self.maximize);
                marks
            }
            Change::Inside => {
                let mut marks = Marks::default();
                curve.points().for_each(|(_, value)| push(&mut marks, value, &self.bands, self.maximize));
                marks
            }
        };
        let mut look = self.remark(sample.trial, marks);
        look.insert(sample.trial);
        look.into_iter().collect()
    }

    pub(super) fn settle(&mut self, trial: u32) -> Marks {
        let Some(known) = self.trials.get_mut(&trial) else { return Marks::default() };
        known.curve = None;
        known.live = false;
        let marks = known.marks.clone();
        if let Some(band) = marks.rungs.len().checked_sub(1) {
            self.judged[band].remove(&trial);
        }
        marks
    }

    pub(super) fn set(&mut self, trial: u32, mut marks: Marks) -> Vec<u32> {
        marks.rungs.truncate(self.bands.len());
        let mut look = self.remark(trial, marks);
        self.settle(trial);
        look.remove(&trial);
        look.into_iter().collect()
    }

    pub(super) fn forget(&mut self, trial: u32) -> Vec<u32> {
        let mut look = self.remark(trial, Marks::default());
        self.trials.remove(&trial);
        look.remove(&trial);
        look.into_iter().collect()
    }

    pub(super) fn marks(&self, trial: u32) -> Option<&Marks> {
        self.trials.get(&trial).map(|known| &known.marks)
    }

    pub(super) fn verdict(&self, trial: u32) -> Option<Evidence> {
        let marks = self.marks(trial)?;
        let rung = marks.rungs.len().checked_sub(1)?;
        let value = if self.strict { marks.rungs[rung] } else { marks.best? };
        let ranking = &self.rankings[rung];
        let threshold = as_minimised(self.maximize, ranking.above()?);
        let worse = as_minimised(self.maximize, value) > as_minimised(self.maximize, threshold);
        worse.then(|| Evidence {
            rung: i64::try_from(self.bands[rung]).unwrap_or(i64::MAX),
            value,
            threshold,
            count: ranking.len() as u64,
            chance: None,
        })
    }

    /// The values at the bands it reached, to be minimised: each the best so far.
    pub(super) fn course(&self, trial: u32) -> Vec<(usize, f64)> {
        let rungs = self.marks(trial).map_or(&[][..], |marks| &marks.rungs);
        let best = |best: &mut f64, value: &f64| {
            *best = best.min(as_minimised(self.maximize, *value));
            Some(*best)
        };
        rungs.iter().scan(f64::INFINITY, best).enumerate().collect()
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
            let ranking = &mut self.rankings[rung];
            let threshold = ranking.above();
            if let Some(value) = before {
                ranking.remove(as_minimised(self.maximize, value));
            }
            if let Some(value) = now {
                ranking.insert(as_minimised(self.maximize, value));
            }
            let n = ranking.len();
            ranking.split(((self.share * n as f64) as usize).min(n.saturating_sub(1)));
            if ranking.above() != threshold {
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

/// Adds a value at the end; one that is not finite is none.
fn push(marks: &mut Marks, value: f64, bands: &[u64], maximize: bool) {
    if !value.is_finite() {
        return;
    }
    marks.count += 1;
    if bands.get(marks.rungs.len()) == Some(&marks.count) {
        marks.rungs.push(value);
    }
    if marks.best.is_none_or(|best| if maximize { value > best } else { value < best }) {
        marks.best = Some(value);
    }
    marks.last = Some(value);
}

/// The value as if to be minimised; also its own inverse.
fn as_minimised(maximize: bool, value: f64) -> f64 {
    if maximize { -value } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAN: f64 = f64::NAN;

    fn sample(trial: u32, attempt: u32, step: i64, value: f64) -> Sample {
        Sample { at: 0, trial, attempt, step, value }
    }

    fn bands(first: f64, eta: f64) -> Vec<u64> {
        std::iter::successors(Some(first), |band| Some(band * eta)).take(20).map(|band| band as u64).collect()
    }

    /// The worked example: A and F are final, the others live; 0 stands for A.
    fn example(eta: f64, strict: bool, maximize: bool) -> Vec<Option<(i64, f64, f64)>> {
        let curves: [&[f64]; 8] = [
            &[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0],
            &[10.0, 10.0, 10.0, 10.0],
            &[9.0, 8.0, 7.5, 7.0, 6.5, 6.4, 6.3, 6.2, 6.1],
            &[9.0, 7.0, 3.0],
            &[9.0, 9.0],
            &[12.0, 11.0, 11.0],
            &[5.0, 6.0, 9.5, 4.0],
            &[9.0, 8.0, NAN, 7.0],
        ];
        let mut rule = Hyperband::new(&bands(3.0, eta), eta, strict, maximize);
        for (trial, curve) in (0..).zip(curves) {
            for (step, value) in (0..).zip(curve) {
                rule.observe(&sample(trial, 1, step, as_minimised(maximize, *value)));
            }
        }
        let shown =
            |e: Evidence| (e.rung, as_minimised(maximize, e.value), as_minimised(maximize, e.threshold));
        [1, 2, 3, 4, 6, 7].map(|trial| rule.verdict(trial).map(shown)).to_vec()
    }

    #[test]
    fn decides_the_worked_example() {
        for maximize in [false, true] {
            let (b, c) = (Some((3, 10.0, 7.5)), Some((9, 6.1, 2.0)));
            assert_eq!(example(3.0, true, maximize), [b, c, None, None, Some((3, 9.5, 7.5)), None]);
            assert_eq!(example(3.0, false, maximize), [b, c, None, None, None, None]);
            let (b, g) = (Some((3, 10.0, 8.0)), Some((3, 9.5, 8.0)));
            assert_eq!(example(2.0, true, maximize), [b, None, None, None, g, None]);
        }
    }

    #[test]
    fn the_worse_of_two_stops_once_both_are_there() {
        let mut rule = Hyperband::new(&[2, 6], 3.0, true, false);
        for (step, value) in [1.0, 5.0, 9.0].into_iter().enumerate() {
            rule.observe(&sample(1, 1, step as i64, value));
        }
        assert_eq!(rule.verdict(1), None);
        assert_eq!(rule.observe(&sample(2, 1, 0, 1.0)), [2]);
        assert_eq!(rule.observe(&sample(2, 1, 1, 4.0)), [1, 2]);
        assert_eq!(
            rule.verdict(1),
            Some(Evidence { rung: 2, value: 5.0, threshold: 4.0, count: 2, chance: None })
        );
        assert_eq!(rule.verdict(2), None);
        assert_eq!(rule.forget(2), [1]);
        assert_eq!(rule.verdict(1), None);
    }

    #[test]
    fn the_later_attempt_wins() {
        let mut rule = Hyperband::new(&[2], 3.0, true, false);
        for (attempt, step, value) in
            [(1, 0, 5.0), (1, 1, 4.0), (2, 1, 3.0), (1, 1, 9.0), (2, 0, NAN), (2, 2, 7.0)]
        {
            rule.observe(&sample(1, attempt, step, value));
        }
        let marks = Marks { rungs: vec![7.0], count: 2, best: Some(3.0), last: Some(7.0), places: vec![] };
        assert_eq!(rule.marks(1), Some(&marks));
    }

    /// The verdict as the text has it, from all curves.
    fn naive(
        curves: &BTreeMap<u32, Vec<f64>>,
        trial: u32,
        bands: &[u64],
        eta: f64,
        strict: bool,
    ) -> Option<(i64, f64, f64)> {
        let own = curves.get(&trial)?;
        let band = *bands.iter().rfind(|band| **band <= own.len() as u64)?;
        let at = |curve: &Vec<f64>| curve.get(band as usize - 1).copied();
        let mut values: Vec<f64> = curves.values().filter_map(at).collect();
        values.sort_by(f64::total_cmp);
        let threshold = values[((1.0 / eta) * values.len() as f64) as usize];
        let c = if strict { at(own)? } else { own.iter().copied().fold(f64::INFINITY, f64::min) };
        (c > threshold).then_some((band as i64, c, threshold))
    }

    proptest! {
        /// Whatever the order of reports, retries and attempts: the same as from all curves anew.
        #[test]
        fn incremental_is_naive(
            steps in prop::collection::vec((0u32..6, 1u32..3, 0i64..12, 0u8..9, 0u8..40), 1..200),
            eta in prop_oneof![Just(1.5), Just(2.0), Just(3.0)],
            strict: bool,
        ) {
            let bands = bands(1.0, eta);
            let mut rule = Hyperband::new(&bands, eta, strict, false);
            let mut merged: BTreeMap<u32, BTreeMap<i64, (u32, f64)>> = BTreeMap::new();
            let mut condemned: BTreeSet<u32> = BTreeSet::new();
            for (trial, attempt, step, value, chance) in steps {
                let look: Vec<u32> = if chance == 0 {
                    merged.remove(&trial);
                    condemned.remove(&trial);
                    rule.forget(trial)
                } else {
                    let value = if value == 8 { NAN } else { f64::from(value) };
                    let at = merged.entry(trial).or_default().entry(step).or_insert((attempt, value));
                    if at.0 <= attempt {
                        *at = (attempt, value);
                    }
                    rule.observe(&sample(trial, attempt, step, value))
                };
                let finite = |curve: &BTreeMap<i64, (u32, f64)>| curve.values().map(|p| p.1).filter(|v| v.is_finite()).collect();
                let curves: BTreeMap<u32, Vec<f64>> = merged.iter().map(|(t, c)| (*t, finite(c))).collect();
                for trial in 0..6 {
                    let ours = rule.verdict(trial);
                    prop_assert_eq!(ours.map(|e| (e.rung, e.value, e.threshold)), naive(&curves, trial, &bands, eta, strict));
                    // nobody's verdict turns without being looked at
                    let changed = ours.is_some() != condemned.contains(&trial);
                    prop_assert!(!changed || look.contains(&trial));
                    if ours.is_some() { condemned.insert(trial) } else { condemned.remove(&trial) };
                }
            }
            // from marks alone, in another order
            let mut again = Hyperband::new(&bands, eta, strict, false);
            for trial in (0..6).rev() {
                if let Some(marks) = rule.marks(trial) {
                    let json = serde_json::to_string(marks).unwrap();
                    again.set(trial, serde_json::from_str(&json).unwrap());
                    rule.settle(trial);
                }
            }
            prop_assert_eq!(&again, &rule);
        }
    }
}
