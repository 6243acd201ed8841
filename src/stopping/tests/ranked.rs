//! asha, median, percentile: the examples of their definition, and who is never stopped.

use super::*;
use crate::stopping::{Course, Gains};

/// Whether each of the values that arrive at step 1 one after the other stops.
fn arrivals(rule: Rule, values: &[f64]) -> Vec<bool> {
    let mut told = Told::new(rule);
    (1..).zip(values).map(|(trial, value)| told.report(trial, 1, *value)).collect()
}

#[test]
fn asha_decides_its_worked_example() {
    let values = [0.9, 0.5, 0.7, 0.4, 0.8, 0.45];
    let expected = [false, false, true, false, true, false];
    assert_eq!(arrivals(Rule::asha(1, None, 3.0, MINIMIZE), &values), expected);
    let maximize = Measure { maximize: true, ..MINIMIZE };
    let negated = values.map(|value| -value);
    assert_eq!(arrivals(Rule::asha(1, None, 3.0, maximize), &negated), expected);
}

#[test]
fn asha_says_what_it_decided_on() {
    let mut told = Told::new(Rule::asha(1, None, 3.0, MINIMIZE));
    for (trial, value) in (1..).zip([0.9, 0.5, 0.7]) {
        told.report(trial, 1, value);
    }
    let evidence = told.rule.verdict(3).expect("the best of three is 0.5");
    let expected = (1, 0.7, 0.5, 3);
    assert_eq!((evidence.rung, evidence.value, evidence.threshold, evidence.count), expected);
    assert_eq!(told.rule.verdict(1), None, "who passed has passed: 0.9 was the first");
    assert!(!told.report(1, 2, 0.95), "between two rungs nothing is decided");
}

#[test]
fn a_tie_goes_on() {
    assert_eq!(arrivals(Rule::asha(1, None, 3.0, MINIMIZE), &[0.5; 9]), [false; 9]);
    let mut told = Told::new(Rule::median(1, 5, MINIMIZE));
    assert!((1..20).all(|trial| !told.report(trial, 1, 0.5)));
}

#[test]
fn two_others_are_needed() {
    assert_eq!(arrivals(Rule::asha(1, None, 3.0, MINIMIZE), &[0.1, 0.9, 0.9]), [false, false, true]);
    assert_eq!(arrivals(Rule::median(1, 0, MINIMIZE), &[0.1, 0.9, 0.95]), [false, false, true]);
}

/// Five others with 0.5 0.4 0.9 0.7 0.6: median 0.6, the best quarter ends at 0.5.
#[test]
fn median_and_percentile_decide_their_worked_example() {
    let with = |rule: Rule, last: f64| {
        let mut told = Told::new(rule);
        for (trial, value) in (1..).zip([0.5, 0.4, 0.9, 0.7, 0.6]) {
            assert!(!told.report(trial, 3, value), "five others come first");
        }
        told.report(6, 1, last);
        told.report(6, 2, last);
        told.report(6, 3, last + 0.5).then(|| told.rule.verdict(6).map(|e| (e.value, e.threshold, e.count)))
    };
    let median = || Rule::median(3, 5, MINIMIZE);
    assert_eq!(with(median(), 0.62), Some(Some((0.62, 0.6, 5))), "its best so far, not its latest");
    assert_eq!(with(median(), 0.6), None);
    let percentile = || Rule::percentile(25.0, 3, 5, MINIMIZE);
    assert_eq!(with(percentile(), 0.51), Some(Some((0.51, 0.5, 5))));
    assert_eq!(with(percentile(), 0.5), None);
    assert_eq!(with(Rule::median(3, 6, MINIMIZE), 0.9), None, "startup wants six others");
    let between = with(Rule::percentile(30.0, 3, 5, MINIMIZE), 0.53).flatten();
    assert!(between.is_some_and(|(_, threshold, _)| (threshold - 0.52).abs() < 1e-12), "{between:?}");
}

#[test]
fn runs_that_report_at_other_steps_are_compared_at_equal_ones() {
    let mut told = Told::new(Rule::asha(100, None, 3.0, MINIMIZE));
    for trial in 1..=2 {
        assert!(!told.report(trial, 50, 0.6));
        assert!(!told.report(trial, 100, 0.4));
    }
    assert!(!told.report(3, 90, 0.5), "not there yet");
    assert!(told.report(3, 180, 0.45), "at 100 it had 0.5");
    assert!(!told.report(4, 90, 0.4));
    assert!(!told.report(4, 180, 9.0), "at 100 it had 0.4");
}

/// At 100 it had the worst value of all; the value that takes it past the rung is the best of all.
#[test]
fn who_leads_is_never_stopped() {
    let mut told = Told::new(Rule::asha(100, None, 3.0, MINIMIZE));
    for (trial, value) in (1..).zip([0.3, 0.2, 0.25]) {
        told.report(trial, 100, value);
    }
    told.report(4, 90, 0.9);
    assert!(!told.report(4, 110, 0.1));
    assert!(!told.report(5, 100, 0.15), "0.15 is the best that came to the rung");
    let look = told.rule.observe(&Sample { at: 99, trial: 5, attempt: 1, step: 101, value: 0.05 });
    assert!(look.contains(&4) && told.rule.verdict(4).is_some(), "now another leads");
}

#[test]
fn who_jumps_is_judged_at_the_highest_rung_it_passed() {
    let mut told = Told::new(Rule::asha(1, None, 3.0, MINIMIZE));
    for trial in 1..=3 {
        for step in [1, 3, 9] {
            told.report(trial, step, if step == 1 { 0.1 } else { 0.5 });
        }
    }
    assert!(!told.report(4, 10, 0.05));
    assert!(told.report(5, 10, 0.6));
    let course = told.rule.course(5, None);
    assert_eq!(course.rungs, [(2, 0.6)]);
}

#[test]
fn nothing_but_nan_reaches_nothing() {
    for rule in
        [Rule::asha(1, None, 3.0, MINIMIZE), Rule::median(1, 0, MINIMIZE), Rule::curve(9, Some(1), MINIMIZE)]
    {
        let mut told = Told::new(rule);
        for trial in 1..=3 {
            (1..9).for_each(|step| assert!(!told.report(trial, step, 0.5)));
        }
        assert!((1..40).all(|step| !told.report(9, step, f64::NAN)));
        assert!(!told.report(10, 1, f64::INFINITY) || told.rule.name() != "curve");
    }
    let mut told = Told::new(Rule::asha(1, None, 3.0, MINIMIZE));
    told.report(1, 1, 1e308);
    told.report(2, 1, 1e300);
    assert!(told.report(3, 1, f64::INFINITY), "infinite is the worst there is");
}

#[test]
fn a_retried_trial_begins_anew() {
    let mut told = Told::new(Rule::asha(1, None, 3.0, MINIMIZE));
    for (trial, value) in (1..).zip([0.9, 0.5, 0.7]) {
        told.report(trial, 1, value);
    }
    assert!(told.rule.verdict(3).is_some());
    let look = told.rule.forget(2);
    assert_eq!((look, told.rule.verdict(3)), (vec![3], None), "without 0.5 there are not enough others");
    assert!(told.report(2, 1, 0.95), "now it is the third to come");
}

/// What the model sees of runs that asha stopped, by hand: rungs 1 and 3 of 9.
#[test]
fn courses_of_the_rule_are_those_of_the_gain_rule() {
    for maximize in [false, true] {
        let measure = Measure { maximize, ..MINIMIZE };
        let mut rule = Rule::asha(1, Some(9), 3.0, measure);
        let mut at = 0;
        for (trial, values) in [(1u32, &[1.0, 0.8, 0.6, 0.5, 0.4][..]), (2, &[1.2, 1.1, 0.9]), (3, &[1.5])] {
            for (step, value) in (1..).zip(values) {
                at += 1;
                let value = if maximize { -value } else { *value };
                rule.observe(&Sample { at, trial, attempt: 1, step, value });
            }
        }
        let ends = [(1, Some(0.3)), (2, None), (3, None)];
        let courses: Vec<Course> = ends.iter().map(|(trial, end)| rule.course(*trial, *end)).collect();
        assert_eq!(courses[0].rungs, [(0, 1.0), (1, 0.6)]);
        let gains = Gains::of(&courses);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(gains.each()[0], -0.35) && close(gains.each()[1], -0.3), "{gains:?}");
        assert!(close(gains.full_length(&courses[1], 0.9, true), 0.6));
        assert!(close(gains.full_length(&courses[2], 1.5, true), 0.85));
    }
}
