//! Every rule against its plain definition, from all curves anew; and a fold by marks against one by reports.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::stopping::{Evidence, fine, rungs};

const TRIALS: u32 = 6;

/// A report, or (none) the trial's retry.
type Step = (u32, Option<(u32, i64, f64)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        12 => (0u8..9).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ];
    let report = prop_oneof![60 => (1u32..3, 0i64..30, value).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0..TRIALS, report), 1..250)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Asha,
    Percentile(f64),
    Threshold,
    Patience,
    Curve,
}

fn any_rule() -> impl Strategy<Value = (Kind, Measure)> {
    let kind = prop_oneof![
        Just(Kind::Asha),
        Just(Kind::Percentile(50.0)),
        Just(Kind::Percentile(30.0)),
        Just(Kind::Threshold),
        Just(Kind::Patience),
        Just(Kind::Curve),
    ];
    (kind, any::<bool>(), any::<bool>())
        .prop_map(|(kind, maximize, last_counts)| (kind, Measure { maximize, last_counts }))
}

fn rule(kind: Kind, measure: Measure) -> Rule {
    match kind {
        Kind::Asha => Rule::asha(2, None, 2.0, measure),
        Kind::Percentile(50.0) => Rule::median(1, 3, measure),
        Kind::Percentile(percent) => Rule::percentile(percent, 1, 3, measure),
        Kind::Threshold => Rule::threshold(Some(-7.5), Some(7.5), 3, measure),
        Kind::Patience => Rule::patience(4, 0.5, 3, measure),
        Kind::Curve => Rule::curve(30, None, measure),
    }
}

/// Everything that was reported, merged, and when each place was taken.
#[derive(Default)]
struct Past {
    curves: BTreeMap<u32, BTreeMap<i64, (u32, f64)>>,
    places: BTreeMap<u32, Vec<(i64, f64, u64)>>,
}

impl Past {
    fn take(&mut self, step: &Step, at: u64, kind: Kind, measure: Measure) {
        let (trial, report) = step;
        match report {
            None => {
                self.curves.remove(trial);
                self.places.remove(trial);
            }
            Some((attempt, step, value)) => {
                let there = self.curves.entry(*trial).or_default().entry(*step).or_insert((*attempt, *value));
                if there.0 <= *attempt {
                    *there = (*attempt, *value);
                }
                let old = self.places.remove(trial).unwrap_or_default();
                let when = |rung, value| {
                    old.iter().find(|p| (p.0, p.1) == (rung, value)).map_or(at, |place| place.2)
                };
                let now = places(&self.counted(*trial, measure), kind, measure);
                self.places.insert(*trial, now.into_iter().map(|(r, v)| (r, v, when(r, v))).collect());
            }
        }
    }

    /// What counts of a curve, to be minimised.
    fn counted(&self, trial: u32, measure: Measure) -> Vec<(i64, f64)> {
        let counts = |(step, (_, value)): (&i64, &(u32, f64))| {
            let value = if measure.maximize { -value } else { *value };
            (!value.is_nan()).then_some((*step, if value.is_finite() { value } else { f64::MAX }))
        };
        self.curves.get(&trial).into_iter().flatten().filter_map(counts).collect()
    }

    fn raw(&self, trial: u32) -> Vec<(i64, f64)> {
        self.curves.get(&trial).into_iter().flatten().map(|(step, (_, value))| (*step, *value)).collect()
    }

    fn value(&self, trial: u32, measure: Measure) -> Option<f64> {
        so_far(&self.counted(trial, measure), i64::MAX, measure)
    }

    fn leads(&self, trial: u32, measure: Measure) -> bool {
        let own = self.value(trial, measure);
        own.is_some()
            && (0..TRIALS).filter_map(|other| self.value(other, measure)).all(|value| Some(value) >= own)
    }

    /// Whether the trial should stop, as the text has it.
    fn verdict(&self, trial: u32, kind: Kind, measure: Measure) -> Option<bool> {
        match kind {
            Kind::Asha | Kind::Percentile(_) => {
                let (rung, value, at) = *self.places.get(&trial)?.last()?;
                let others = self.places.iter().filter(|(other, _)| **other != trial).flat_map(|(_, p)| p);
                let mut others: Vec<f64> = others.filter(|p| p.0 == rung && p.2 < at).map(|p| p.1).collect();
                others.sort_by(f64::total_cmp);
                let n = others.len();
                let is_worse = match kind {
                    Kind::Percentile(_) if n < 3 => false,
                    Kind::Percentile(percent) => {
                        let place = percent / 100.0 * (n - 1) as f64;
                        let (low, high) = (others[place as usize], others[(place as usize + 1).min(n - 1)]);
                        value > low + place.fract() * (high - low)
                    }
                    _ if n < 2 => false,
                    _ => others.iter().filter(|other| **other < value).count() >= n.div_ceil(2),
                };
                Some(is_worse && !self.leads(trial, measure))
            }
            Kind::Threshold => {
                let raw = self.raw(trial);
                Some(raw.iter().any(|(step, v)| *step >= 3 && !(-7.5..=7.5).contains(v)))
            }
            Kind::Patience => {
                let sign = if measure.maximize { -1.0 } else { 1.0 };
                let raw = self.raw(trial);
                let (mut best, mut reports) = (f64::INFINITY, 0);
                for (_, value) in &raw {
                    if (sign * value).is_finite() && (best.is_infinite() || sign * value < best - 0.5) {
                        (best, reports) = (sign * value, 0);
                    } else {
                        reports += 1;
                    }
                }
                Some(best.is_finite() && reports >= 4 && raw.last()?.0 >= 3)
            }
            // what a forecast says is tested beside it: here, whom it may judge
            Kind::Curve => {
                let finite: Vec<i64> =
                    self.raw(trial).iter().filter(|p| p.1.is_finite() && p.0 > 0).map(|p| p.0).collect();
                let others = (0..TRIALS).filter(|t| *t != trial && self.value(*t, measure).is_some()).count();
                let may = finite.len() >= 8 && *finite.last()? >= 6 && others >= 2;
                (!may || self.leads(trial, measure)).then_some(false)
            }
        }
    }
}

fn so_far(points: &[(i64, f64)], until: i64, measure: Measure) -> Option<f64> {
    let mut values = points.iter().filter(|(step, _)| *step <= until).map(|p| p.1);
    if measure.last_counts { values.next_back() } else { values.reduce(f64::min) }
}

/// The rungs that a curve reached, with its value there.
fn places(points: &[(i64, f64)], kind: Kind, measure: Measure) -> Vec<(i64, f64)> {
    let steps = match kind {
        Kind::Asha => rungs(2, None, 2.0),
        _ => fine(1),
    };
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let reached: Vec<i64> = steps.into_iter().filter(|rung| *rung <= last.0).collect();
    let jumped_to = reached.iter().copied().filter(|rung| *rung <= first.0).max();
    let is_taken = |rung: &i64| *rung >= first.0 || Some(*rung) == jumped_to;
    let value = |rung: i64| so_far(points, rung, measure).unwrap_or(first.1);
    reached.into_iter().filter(is_taken).map(|rung| (rung, value(rung))).collect()
}

fn verdicts(rule: &Rule) -> Vec<Option<Evidence>> {
    (0..TRIALS).map(|trial| rule.verdict(trial)).collect()
}

/// Compared by its words: NaN is equal to NaN there.
fn shown(evidence: &Option<Evidence>) -> String {
    format!("{evidence:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn incremental_is_naive((kind, measure) in any_rule(), steps in steps()) {
        let mut rule = rule(kind, measure);
        let mut past = Past::default();
        let mut before = verdicts(&rule);
        for (at, step) in (1..).zip(&steps) {
            past.take(step, at, kind, measure);
            let look = match *step {
                (trial, None) => {
                    before[trial as usize] = None;
                    rule.forget(trial)
                }
                (trial, Some((attempt, step, value))) => {
                    rule.observe(&Sample { at, trial, attempt, step, value })
                }
            };
            let now = verdicts(&rule);
            for trial in 0..TRIALS {
                let found = &now[trial as usize];
                if let Some(expected) = past.verdict(trial, kind, measure) {
                    prop_assert_eq!(found.is_some(), expected, "trial {} at {}: {:?}", trial, at, found);
                }
                let turned = found.is_some() != before[trial as usize].is_some();
                prop_assert!(!turned || look.contains(&trial), "trial {} turned unseen at {}", trial, at);
            }
            before = now;
        }
    }

    /// Some trials are final, and their reports are not read: the others are judged as before.
    #[test]
    fn marks_stand_for_reports((kind, measure) in any_rule(), steps in steps(), is_final in prop::collection::vec(any::<bool>(), 6)) {
        let mut whole = rule(kind, measure);
        let mut by_marks = rule(kind, measure);
        for (at, step) in (1..).zip(&steps) {
            if let (trial, Some((attempt, step, value))) = *step {
                let sample = Sample { at, trial, attempt, step, value };
                whole.observe(&sample);
                if !is_final[trial as usize] {
                    by_marks.observe(&sample);
                }
            }
        }
        for trial in (0..TRIALS).filter(|trial| is_final[*trial as usize]) {
            let before = verdicts(&whole);
            let marks = whole.settle(trial);
            let json = serde_json::to_string(&marks).unwrap();
            let look = by_marks.set(trial, serde_json::from_str(&json).unwrap());
            prop_assert!(!look.contains(&trial));
            for other in (0..TRIALS).filter(|other| *other != trial) {
                prop_assert_eq!(shown(&whole.verdict(other)), shown(&before[other as usize]));
            }
        }
        for trial in 0..TRIALS {
            let marks = |rule: &Rule| rule.marks(trial).cloned().unwrap_or_default();
            prop_assert_eq!(marks(&by_marks), marks(&whole));
            if !is_final[trial as usize] {
                prop_assert_eq!(shown(&by_marks.verdict(trial)), shown(&whole.verdict(trial)));
            }
        }
        // and they go on alike
        for trial in (0..TRIALS).filter(|trial| !is_final[*trial as usize]) {
            for step in 30..60 {
                let at = 1_000 + step as u64;
                let sample = Sample { at, trial, attempt: 3, step, value: (step * i64::from(trial) % 7) as f64 };
                by_marks.observe(&sample);
                whole.observe(&sample);
                prop_assert_eq!(shown(&by_marks.verdict(trial)), shown(&whole.verdict(trial)));
            }
        }
    }

    /// Rules that do not go by arrivals: whatever the order between trials, the same.
    #[test]
    fn reports_of_different_trials_commute((kind, measure) in any_rule(), steps in steps()) {
        prop_assume!(matches!(kind, Kind::Threshold | Kind::Patience | Kind::Curve));
        let samples: Vec<Sample> = (1..).zip(&steps).filter_map(|(at, (trial, report))| {
            report.map(|(attempt, step, value)| Sample { at, trial: *trial, attempt, step, value })
        }).collect();
        let (mut one, mut other) = (rule(kind, measure), rule(kind, measure));
        samples.iter().for_each(|sample| { one.observe(sample); });
        for trial in (0..TRIALS).rev() {
            samples.iter().filter(|sample| sample.trial == trial).for_each(|sample| { other.observe(sample); });
        }
        for trial in 0..TRIALS {
            prop_assert_eq!(shown(&one.verdict(trial)), shown(&other.verdict(trial)));
        }
    }
}
