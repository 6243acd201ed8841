//! Rules that rank a run among those that came to a rung before it: `asha`, `median`, `percentile`.
//!
//! A run is judged once a rung, when it arrives there: by its value so far and those of the trials that had arrived by
//! then, whatever became of them; where it passed several at once, at the highest. So the order of arrivals counts. It is
//! the order of the log, and part of the marks ([`Place::at`]): a fold that learns of a trial's arrivals late, from its
//! marks, comes to the same verdicts. Where a place that counted is taken back (a retried trial begins anew, a later
//! attempt reports another value), those who came after it are judged again without it.
//!
//! Never stopped: who ties with the limit, who leads the field, who has fewer than two to be compared with.

use std::collections::{BTreeMap, BTreeSet};

use crate::stopping::field::{Field, Moved};
use crate::stopping::ranking::Ranking;
use crate::stopping::{Evidence, Marks, Measure, Place, Sample};

/// Fewer others than these are nobody to be compared with.
pub(super) const FEWEST: usize = 2;

/// Where the limit lies among the values of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// The best 1/eta of all, the run itself included, and at least the best one, go on.
    Best { eta: f64 },
    /// The best `percent` of the others, interpolated, go on, once there are `startup` others.
    Percentile { percent: f64, startup: u64 },
}

/// One of the rules, and what it knows of each trial.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    cut: Cut,
    field: Field,
    /// One a rung, values to be minimised.
    rankings: Vec<Ranking>,
    /// Of the trials that are not final.
    live: BTreeMap<u32, Judged>,
}

/// What was found of a trial at its highest rung.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Judged {
    /// Not looked at since its rung changed: to be found from the places of all.
    Open,
    Passed,
    Condemned(Evidence),
}

impl Ranked {
    pub(super) fn new(cut: Cut, rungs: Vec<i64>, measure: Measure) -> Ranked {
        let rankings = vec![Ranking::default(); rungs.len()];
        Ranked { cut, field: Field::new(rungs, measure), rankings, live: BTreeMap::new() }
    }

    pub(super) fn field(&self) -> &Field {
        &self.field
    }

    pub(super) fn observe(&mut self, sample: &Sample) -> Vec<u32> {
        self.find(sample.trial);
        let best = self.field.best();
        let (_, moved) = self.field.observe(sample);
        let mut look = BTreeSet::from([sample.trial]);
        if moved.gone.is_empty() {
            for place in &moved.come {
                if self.is_highest(sample.trial, *place) {
                    let judged = self.judge(*place);
                    self.live.insert(sample.trial, judged);
                }
                self.rank(*place);
            }
        } else {
            self.live.insert(sample.trial, Judged::Open);
            look.extend(self.move_places(&moved));
        }
        self.live.entry(sample.trial).or_insert(Judged::Passed);
        look.extend(self.unprotected(best));
        look.into_iter().collect()
    }

    pub(super) fn settle(&mut self, trial: u32) -> Marks {
        self.live.remove(&trial);
        self.field.settle(trial)
    }

    pub(super) fn set(&mut self, trial: u32, marks: Marks) -> Vec<u32> {
        let best = self.field.best();
        let moved = self.field.remark(trial, marks);
        self.settle(trial);
        let mut look = self.move_places(&moved);
        look.extend(self.unprotected(best));
        look.into_iter().collect()
    }

    pub(super) fn forget(&mut self, trial: u32) -> Vec<u32> {
        let best = self.field.best();
        let moved = self.field.forget(trial);
        self.live.remove(&trial);
        let mut look = self.move_places(&moved);
        look.extend(self.unprotected(best));
        look.into_iter().collect()
    }

    pub(super) fn verdict(&self, trial: u32) -> Option<Evidence> {
        let evidence = match self.live.get(&trial) {
            Some(Judged::Passed) => None,
            Some(Judged::Condemned(evidence)) => Some(*evidence),
            Some(Judged::Open) | None => self.judge_from_all(trial),
        }?;
        (!self.field.leads(trial)).then_some(evidence)
    }

    /// Puts right what is known of a trial that is still to be looked at.
    fn find(&mut self, trial: u32) {
        if self.live.get(&trial) == Some(&Judged::Open) {
            let judged = self.judge_from_all(trial).map_or(Judged::Passed, Judged::Condemned);
            self.live.insert(trial, judged);
        }
    }

    fn judge_from_all(&self, trial: u32) -> Option<Evidence> {
        let place = *self.field.marks(trial)?.places.last()?;
        let mut others = Ranking::default();
        self.field.before(trial, place).for_each(|value| others.insert(self.field.measure.minimised(value)));
        self.cut.judge(place, &mut others, self.field.measure)
    }

    /// Judges who arrives last of all.
    fn judge(&mut self, place: Place) -> Judged {
        let Some(others) = self.rung(place) else { return Judged::Passed };
        let others = &mut self.rankings[others];
        self.cut.judge(place, others, self.field.measure).map_or(Judged::Passed, Judged::Condemned)
    }

    fn is_highest(&self, trial: u32, place: Place) -> bool {
        self.field.marks(trial).and_then(|marks| marks.places.last()) == Some(&place)
    }

    fn rank(&mut self, place: Place) {
        if let Some(rung) = self.rung(place) {
            self.rankings[rung].insert(self.field.measure.minimised(place.value));
        }
    }

    fn rung(&self, place: Place) -> Option<usize> {
        self.field.rungs().binary_search(&place.rung).ok()
    }

    /// Moves a trial's places in the rankings. Gives the others that came after one of them.
    fn move_places(&mut self, moved: &Moved) -> BTreeSet<u32> {
        for place in &moved.gone {
            if let Some(rung) = self.rung(*place) {
                self.rankings[rung].remove(self.field.measure.minimised(place.value));
            }
        }
        moved.come.iter().for_each(|place| self.rank(*place));
        let touches = |last: &Place| {
            moved.gone.iter().chain(&moved.come).any(|p| p.rung == last.rung && p.at < last.at)
        };
        let mut look = BTreeSet::new();
        for (trial, judged) in &mut self.live {
            let last = self.field.marks(*trial).and_then(|marks| marks.places.last());
            if last.is_some_and(touches) {
                *judged = Judged::Open;
                look.insert(*trial);
            }
        }
        look
    }

    /// Where another value leads than before: the condemned, of whom one may have led.
    fn unprotected(&self, best: Option<f64>) -> Vec<u32> {
        if self.field.best() == best {
            return Vec::new();
        }
        let protected = self.live.iter().filter(|(_, judged)| **judged != Judged::Passed);
        protected.map(|(trial, _)| *trial).collect()
    }
}

impl Cut {
    /// Why a run that arrives at its place goes no further. `others`: those there before it, to be minimised.
    fn judge(self, place: Place, others: &mut Ranking, measure: Measure) -> Option<Evidence> {
        let limit = self.limit(others)?;
        let count = match self {
            Cut::Best { .. } => others.len() + 1,
            Cut::Percentile { .. } => others.len(),
        };
        (measure.minimised(place.value) > limit).then(|| Evidence {
            rung: place.rung,
            value: place.value,
            threshold: measure.minimised(limit),
            count: count as u64,
            chance: None,
        })
    }

    fn limit(self, others: &mut Ranking) -> Option<f64> {
        let n = others.len();
        match self {
            _ if n < FEWEST => None,
            Cut::Best { eta } => {
                others.split((((n + 1) as f64 / eta) as usize).max(1));
                others.below()
            }
            Cut::Percentile { startup, .. } if (n as u64) < startup => None,
            Cut::Percentile { percent, .. } => {
                let at = percent / 100.0 * (n - 1) as f64;
                others.split(at as usize + 1);
                let (low, high) = (others.below()?, others.above());
                Some(high.map_or(low, |high| low + at.fract() * (high - low)))
            }
        }
    }
}
