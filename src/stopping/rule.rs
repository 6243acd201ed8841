//! The rules behind one face.
//!
//! [`Rule::observe`] takes in each value of the judged metric, [`Rule::verdict`] says why a run should stop. A rule of a
//! sweep lives in its state, which a fold of the log makes again: of a trial that is final its [`Marks`] are enough
//! ([`Rule::settle`], [`Rule::set`]), so that its reports need not be read. Every change gives the trials whose verdict
//! may be another one now. Outside of a sweep observe and verdict alone do.

use crate::stopping::alone::Alone;
use crate::stopping::field::Field;
use crate::stopping::forecast::{self, Forecast};
use crate::stopping::hyperband::Hyperband;
use crate::stopping::patience::Patience;
use crate::stopping::ranked::{Cut, Ranked};
use crate::stopping::threshold::Threshold;
use crate::stopping::{Course, Marks, Measure, steps};

/// A value of the judged metric as a run reported it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Its place in the log, or any number that ascends with every sample.
    pub at: u64,
    #[allow(missing_docs)]
    pub trial: u32,
    /// 1.. within the trial; steps that a later one gives again are its own.
    pub attempt: u32,
    #[allow(missing_docs)]
    pub step: i64,
    /// NaN and infinities too.
    pub value: f64,
}

/// The numbers of a stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The step at which the run was judged; hyperband: how many values it had; patience: the step of its best value.
    pub rung: i64,
    /// What was judged; curve: what the run would come to; patience: its best.
    pub value: f64,
    /// What it had to keep to; patience: the least gain that counts.
    pub threshold: f64,
    /// How many values were compared, the run's own included; median, percentile: those of the others; patience: reports
    /// without a gain; curve: values of the run.
    pub count: u64,
    /// curve: of ending as the best.
    pub chance: Option<f64>,
}

/// A stopping rule and what it knows of each trial.
#[derive(Clone, Debug)]
pub struct Rule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Hyperband(Hyperband),
    Asha(Ranked),
    Median(Ranked),
    Percentile(Ranked),
    Threshold(Alone<Threshold>),
    Patience(Alone<Patience>),
    Curve(Alone<Forecast>),
}

/// The same call on whichever rule it is.
macro_rules! each {
    ($rule:expr, $inner:ident => $call:expr) => {
        match $rule {
            Kind::Hyperband($inner) => $call,
            Kind::Asha($inner) | Kind::Median($inner) | Kind::Percentile($inner) => $call,
            Kind::Threshold($inner) => $call,
            Kind::Patience($inner) => $call,
            Kind::Curve($inner) => $call,
        }
    };
}

impl Rule {
    /// W&B's hyperband. `bands`: numbers of values, ascending; 1/eta of the trials pass each.
    pub fn hyperband(bands: &[u64], eta: f64, strict: bool, measure: Measure) -> Rule {
        Rule(Kind::Hyperband(Hyperband::new(bands, eta, strict, measure.maximize)))
    }

    /// At the steps min, min eta, min eta^2 .. below `max_iter` the best 1/eta go on.
    pub fn asha(min_iter: i64, max_iter: Option<i64>, eta: f64, measure: Measure) -> Rule {
        Rule(Kind::Asha(Ranked::new(Cut::Best { eta }, steps::rungs(min_iter, max_iter, eta), measure)))
    }

    /// From `min_iter` on the better half of those that came as far go on, once `startup` others have.
    pub fn median(min_iter: i64, startup: u64, measure: Measure) -> Rule {
        let cut = Cut::Percentile { percent: 50.0, startup };
        Rule(Kind::Median(Ranked::new(cut, steps::fine(min_iter), measure)))
    }

    /// As [`Rule::median`], the best `percent` of a hundred.
    pub fn percentile(percent: f64, min_iter: i64, startup: u64, measure: Measure) -> Rule {
        let cut = Cut::Percentile { percent, startup };
        Rule(Kind::Percentile(Ranked::new(cut, steps::fine(min_iter), measure)))
    }

    /// From the step `after` on no value may be beyond a bound, or NaN.
    pub fn threshold(min: Option<f64>, max: Option<f64>, after: i64, measure: Measure) -> Rule {
        Rule(Kind::Threshold(Alone::new(Threshold { min, max, after }, gain_rungs(after), measure)))
    }

    /// `patience` reports in a row without a gain above `min_delta`, the last at the step `after` or later, are too many.
    pub fn patience(patience: u64, min_delta: f64, after: i64, measure: Measure) -> Rule {
        Rule(Kind::Patience(Alone::new(Patience { patience, min_delta, after }, gain_rungs(after), measure)))
    }

    /// From `min_iter` (none: [`first_forecast`](crate::stopping::first_forecast)) on runs that will hardly end as the best at `max_iter` stop.
    pub fn curve(max_iter: i64, min_iter: Option<i64>, measure: Measure) -> Rule {
        let after = min_iter.unwrap_or(forecast::first_forecast(max_iter));
        Rule(Kind::Curve(Alone::new(
            Forecast { after, max_iter },
            steps::rungs(1, Some(max_iter), steps::ETA),
            measure,
        )))
    }

    /// As the file names it.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Hyperband(_) => "hyperband",
            Kind::Asha(_) => "asha",
            Kind::Median(_) => "median",
            Kind::Percentile(_) => "percentile",
            Kind::Threshold(_) => "threshold",
            Kind::Patience(_) => "patience",
            Kind::Curve(_) => "curve",
        }
    }

    /// Takes in a value of a trial that is not final. Gives the trials to judge now, this one among them.
    pub fn observe(&mut self, sample: &Sample) -> Vec<u32> {
        each!(&mut self.0, rule => rule.observe(sample))
    }

    /// The trial is final: its marks stay, its curve is let go. Gives its marks, for the log.
    pub fn settle(&mut self, trial: u32) -> Marks {
        each!(&mut self.0, rule => rule.settle(trial))
    }

    /// The trial is final, with these marks. Gives the trials to judge again.
    pub fn set(&mut self, trial: u32, marks: Marks) -> Vec<u32> {
        each!(&mut self.0, rule => rule.set(trial, marks))
    }

    /// The trial's curve begins anew, or it is not to be compared with. Gives the trials to judge again.
    pub fn forget(&mut self, trial: u32) -> Vec<u32> {
        each!(&mut self.0, rule => rule.forget(trial))
    }

    /// What is known of a trial.
    pub fn marks(&self, trial: u32) -> Option<&Marks> {
        match &self.0 {
            Kind::Hyperband(rule) => rule.marks(trial),
            _ => self.field()?.marks(trial),
        }
    }

    /// Why a trial's run should stop now; none: it goes on.
    pub fn verdict(&self, trial: u32) -> Option<Evidence> {
        each!(&self.0, rule => rule.verdict(trial))
    }

    /// What a trial showed on its way, to be minimised, for [`crate::stopping::Gains`]; `end`: its value, if it came to
    /// its end by itself.
    pub fn course(&self, trial: u32, end: Option<f64>) -> Course {
        let rungs = match &self.0 {
            Kind::Hyperband(rule) => rule.course(trial),
            _ => self.field().map(|field| self.places(field, trial)).unwrap_or_default(),
        };
        Course { rungs, end }
    }

    fn field(&self) -> Option<&Field> {
        match &self.0 {
            Kind::Hyperband(_) => None,
            Kind::Asha(rule) | Kind::Median(rule) | Kind::Percentile(rule) => Some(rule.field()),
            Kind::Threshold(rule) => Some(rule.field()),
            Kind::Patience(rule) => Some(rule.field()),
            Kind::Curve(rule) => Some(rule.field()),
        }
    }

    /// A trial's values at the rungs of the gain rule; of the fine steps only those.
    fn places(&self, field: &Field, trial: u32) -> Vec<(usize, f64)> {
        let coarse = match &self.0 {
            Kind::Median(_) | Kind::Percentile(_) => {
                field.rungs().first().map(|first| steps::rungs(*first, None, steps::ETA))
            }
            _ => None,
        };
        let rungs = coarse.as_deref().unwrap_or(field.rungs());
        let places = field.marks(trial).into_iter().flat_map(|marks| &marks.places);
        places
            .filter_map(|place| {
                Some((rungs.binary_search(&place.rung).ok()?, field.measure.minimised(place.value)))
            })
            .collect()
    }
}

/// Where values are kept by a rule that has no rungs of its own.
fn gain_rungs(after: i64) -> Vec<i64> {
    steps::rungs(after.max(1), None, steps::ETA)
}
