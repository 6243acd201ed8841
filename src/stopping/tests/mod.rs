//! Tests of the rules as a whole: worked examples of those that rank, and all of them against their plain definition.

mod naive;
mod ranked;

use crate::stopping::{Measure, Rule, Sample};

const MINIMIZE: Measure = Measure { maximize: false, last_counts: false };

/// Reports in their order, and what the rule says of each trial right after its own.
struct Told {
    rule: Rule,
    at: u64,
}

impl Told {
    fn new(rule: Rule) -> Told {
        Told { rule, at: 0 }
    }

    /// Whether the trial should stop now.
    fn report(&mut self, trial: u32, step: i64, value: f64) -> bool {
        self.at += 1;
        let look = self.rule.observe(&Sample { at: self.at, trial, attempt: 1, step, value });
        assert!(look.contains(&trial));
        self.rule.verdict(trial).is_some()
    }
}
