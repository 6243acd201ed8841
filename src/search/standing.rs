//! How trials compare, for the methods that need an order alone.
//!
//! First the trials that finished, by their value (several objectives: by front, and in the front that is cut by what
//! they add to it); then those that a rule stopped, likewise; then infeasible ones, by how far they break their
//! constraints; last those that failed. Equal ones stay as they were told.

use crate::search::front::{ranks, spanning};
use crate::search::{Impute, Outcome, Pending, Problem, Reported};

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing<'a> {
    /// Its values.
    Finished(&'a [f64]),
    /// What it would have reached.
    Stopped(&'a [f64]),
    /// The sum by which constraints are broken; infinite where one was not measured, or it was stopped before all
    /// objectives were.
    Infeasible(f64),
    /// Nothing to go by.
    Failed,
}

impl<'a> Standing<'a> {
    /// Of a trial that ended.
    pub(super) fn ended(problem: &Problem, outcome: &'a Outcome) -> Standing<'a> {
        match outcome {
            Outcome::Measured { objectives, constraints, stopped } => {
                let broken = |c: &f64| if c.is_nan() { f64::INFINITY } else { c.max(0.0) };
                let broken: f64 = constraints.iter().map(broken).sum();
                if !objectives.iter().all(|value| value.is_finite()) {
                    if *stopped { Standing::Infeasible(f64::INFINITY) } else { Standing::Failed }
                } else if broken > 0.0 {
                    Standing::Infeasible(broken)
                } else if *stopped {
                    Standing::Stopped(objectives)
                } else {
                    Standing::Finished(objectives)
                }
            }
            Outcome::Failed(reported) => Standing::imputed(problem, problem.impute, reported),
        }
    }

    /// Of a running trial, where the problem gives it one.
    pub(super) fn running(problem: &Problem, pending: &'a Pending) -> Option<Standing<'a>> {
        let standing = Standing::imputed(problem, problem.impute_while_running?, &pending.reported);
        (standing != Standing::Failed).then_some(standing)
    }

    fn imputed(problem: &Problem, impute: Impute, reported: &'a Reported) -> Standing<'a> {
        let value = match impute {
            Impute::Worst => &None,
            Impute::Best => &reported.best,
            Impute::Latest => &reported.last,
        };
        match value {
            Some(value) if value.is_finite() && problem.objectives == 1 => {
                Standing::Finished(std::slice::from_ref(value))
            }
            _ => Standing::Failed,
        }
    }

    /// The first of its values.
    pub(super) fn value(&self) -> Option<f64> {
        self.values().first().copied()
    }

    fn class(&self) -> u8 {
        match self {
            Standing::Finished(_) => 0,
            Standing::Stopped(_) => 1,
            Standing::Infeasible(_) => 2,
            Standing::Failed => 3,
        }
    }

    fn values(&self) -> &'a [f64] {
        match self {
            Standing::Finished(values) | Standing::Stopped(values) => values,
            Standing::Infeasible(_) | Standing::Failed => &[],
        }
    }
}

/// Indexes of the best `count` of all, best first.
pub(super) fn best(standings: &[Standing<'_>], count: usize) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(count.min(standings.len()));
    for class in 0..4 {
        let room = count - chosen.len();
        if room == 0 {
            break;
        }
        let members: Vec<usize> = (0..standings.len()).filter(|k| standings[*k].class() == class).collect();
        let several = members.first().is_some_and(|first| standings[*first].values().len() > 1);
        chosen.extend(if several {
            best_of_several(standings, members, room)
        } else {
            best_by_value(standings, members, room)
        });
    }
    chosen
}

fn best_by_value(standings: &[Standing<'_>], mut members: Vec<usize>, room: usize) -> Vec<usize> {
    let value = |k: usize| match standings[k] {
        Standing::Infeasible(broken) => broken,
        other => other.value().unwrap_or(0.0),
    };
    members.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    members.truncate(room);
    members
}

fn best_of_several(standings: &[Standing<'_>], members: Vec<usize>, room: usize) -> Vec<usize> {
    let points: Vec<&[f64]> = members.iter().map(|k| standings[*k].values()).collect();
    let rank = ranks(&points);
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|k| rank[*k]);
    let mut chosen = Vec::new();
    for front in order.chunk_by(|a, b| rank[*a] == rank[*b]) {
        let values: Vec<&[f64]> = front.iter().map(|k| points[*k]).collect();
        let spanning = spanning(&values, room - chosen.len());
        chosen.extend(spanning.into_iter().map(|k| members[front[k]]));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::{cube, problem};

    fn outcome(objectives: &[f64], constraints: &[f64], stopped: bool) -> Outcome {
        Outcome::Measured { objectives: objectives.into(), constraints: constraints.into(), stopped }
    }

    #[test]
    fn finished_come_before_stopped_before_infeasible_before_failed() {
        let mut one = problem(cube(1), 0);
        let told = [
            Outcome::Failed(Reported { best: Some(-9.0), last: Some(5.0) }),
            outcome(&[3.0], &[], true),
            outcome(&[-5.0], &[2.0, -1.0], false),
            outcome(&[-5.0], &[f64::NAN], false),
            outcome(&[7.0], &[0.0], false),
            outcome(&[f64::NAN], &[], false),
            outcome(&[7.0], &[], false),
            outcome(&[1e300], &[], true),
        ];
        let order = |one: &Problem| {
            best(&told.iter().map(|outcome| Standing::ended(one, outcome)).collect::<Vec<_>>(), 99)
        };
        assert_eq!(order(&one), [4, 6, 1, 7, 2, 3, 0, 5]);
        one.impute = Impute::Best;
        assert_eq!(order(&one), [0, 4, 6, 1, 7, 2, 3, 5]);
        one.impute = Impute::Latest;
        assert_eq!(order(&one)[..2], [0, 4]);
    }

    #[test]
    fn fronts_come_one_after_another() {
        let told = [[2.0, 2.0], [3.0, 3.0], [0.0, 4.0], [4.0, 0.0], [1.0, 1.0]];
        let standings: Vec<Standing<'_>> = told.iter().map(|values| Standing::Finished(values)).collect();
        let order = best(&standings, 99);
        assert_eq!(order[0], 4);
        assert_eq!(order[3..], [0, 1]);
        assert_eq!(best(&standings, 2).len(), 2);
    }
}
