//! From a definition's `early_terminate` to the rule that carries it out.

use crate::spec::{Aggregate, Definition, Goal, Rule, Stopping};
use crate::stopping::{self, Measure};

impl Definition {
    /// The stopping rule, knowing no trial yet; none: no run is ever stopped by a rule.
    pub fn stopping_rule(&self) -> Option<stopping::Rule> {
        self.early_terminate.as_ref().map(|stopping| stopping.rule(self.judged_aggregate(stopping)))
    }

    /// Of the objective that is judged; another metric's best counts.
    fn judged_aggregate(&self, stopping: &Stopping) -> Aggregate {
        let objective = self.objectives.iter().find(|objective| objective.name == stopping.metric);
        objective.map(|objective| objective.aggregate).unwrap_or_default()
    }
}

impl Stopping {
    /// The rule, knowing no trial yet, for a metric of which `aggregate` says what counts.
    pub fn rule(&self, aggregate: Aggregate) -> stopping::Rule {
        let measure =
            Measure { maximize: self.goal == Goal::Maximize, last_counts: aggregate == Aggregate::Last };
        match &self.rule {
            Rule::Hyperband { bands, eta, strict } => {
                stopping::Rule::hyperband(bands, *eta, *strict, measure)
            }
            Rule::Asha { min_iter, max_iter, eta } => {
                stopping::Rule::asha(*min_iter, *max_iter, *eta, measure)
            }
            Rule::Median { min_iter, startup } => stopping::Rule::median(*min_iter, *startup, measure),
            Rule::Percentile { percentile, min_iter, startup } => {
                stopping::Rule::percentile(*percentile, *min_iter, *startup, measure)
            }
            Rule::Threshold { min, max, after } => stopping::Rule::threshold(*min, *max, *after, measure),
            Rule::Patience { patience, min_delta, min_iter } => {
                stopping::Rule::patience(*patience, *min_delta, *min_iter, measure)
            }
            Rule::Curve { max_iter, min_iter } => stopping::Rule::curve(*max_iter, *min_iter, measure),
        }
    }
}
