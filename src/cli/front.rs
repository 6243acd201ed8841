//! The Pareto front of a sweep with several objectives: its trials, none of which another beats in all of them.

use std::collections::BTreeSet;

use crate::cli::format::{count, number};
use crate::cli::table::{Column, Table};
use crate::cli::words;
use crate::pb;
use crate::search::pareto;

/// Whether a sweep has a front in place of a best trial.
pub(super) fn has_one(sweep: &pb::Sweep) -> bool {
    sweep.objectives.len() > 1
}

/// Whether a trial is on it, as far as the sweep says.
pub(super) fn has(sweep: &pb::Sweep, trial: &pb::Trial) -> bool {
    sweep.front.iter().any(|member| member.trial == trial.trial)
}

/// `4 trials that no other beats · 3 trials since it last changed`.
pub(super) fn sentence(sweep: &pb::Sweep) -> String {
    match sweep.front_size {
        0 => "no trial yet".to_owned(),
        n => format!(
            "{} that no other beats · {} since it last changed",
            count(n, "trial"),
            count(sweep.since_gain, "trial")
        ),
    }
}

/// The first trials of it, as lines of a table: number, each objective, parameters. The last line counts the rest.
pub(super) fn lines(sweep: &pb::Sweep, most: usize, width: Option<usize>) -> Vec<String> {
    let mut columns = vec![Column::number("TRIAL", 0)];
    columns.extend(sweep.objectives.iter().map(|objective| Column::metric(&objective.name)));
    columns.push(Column::text("PARAMETERS", 0));
    let mut table = Table::new(columns);
    for trial in sweep.front.iter().take(most) {
        let mut row = vec![trial.trial.to_string()];
        row.extend(values(trial));
        row.push(words::parameters(trial.params.as_ref()));
        table.row(row);
    }
    let mut lines: Vec<String> = table.render(width).lines().map(str::to_owned).collect();
    let shown = sweep.front.len().min(most);
    let more = (sweep.front_size as usize).saturating_sub(shown);
    if more > 0 {
        lines.push(format!(" and {more} more: swath sweep show {}", sweep.sweep));
    }
    lines
}

/// A trial's value of each objective, for the cells of a table.
pub(super) fn values(trial: &pb::Trial) -> impl Iterator<Item = String> {
    trial.objectives.iter().map(|objective| objective.value.map(number).unwrap_or_default())
}

/// The front of all trials of a sweep, by number.
pub(super) fn of(trials: &[pb::Trial]) -> BTreeSet<u32> {
    let counts = |trial: &&pb::Trial| {
        trial.feasible && matches!(trial.state(), pb::trial::State::Succeeded | pb::trial::State::Stopped)
    };
    let minimised = |objective: &pb::Objective| {
        let sign = if objective.goal() == pb::objective::Goal::Maximize { -1.0 } else { 1.0 };
        objective.value.map(|value| sign * value)
    };
    let counted: Vec<(u32, Vec<f64>)> = trials
        .iter()
        .filter(counts)
        .filter_map(|trial| {
            Some((trial.trial, trial.objectives.iter().map(minimised).collect::<Option<_>>()?))
        })
        .collect();
    let points: Vec<&[f64]> = counted.iter().map(|(_, values)| values.as_slice()).collect();
    pareto(&points).into_iter().map(|index| counted[index].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u32, loss: f64, accuracy: Option<f64>) -> pb::Trial {
        let objective = |name: &str, goal: pb::objective::Goal, value| pb::Objective {
            name: name.into(),
            goal: goal.into(),
            value,
            ..Default::default()
        };
        pb::Trial {
            trial: number,
            state: pb::trial::State::Succeeded.into(),
            feasible: true,
            objectives: vec![
                objective("loss", pb::objective::Goal::Minimize, Some(loss)),
                objective("accu\u{1b}racy", pb::objective::Goal::Maximize, accuracy),
            ],
            ..Default::default()
        }
    }

    #[test]
    fn the_front_is_that_of_the_feasible_trials_with_all_values() {
        let infeasible = pb::Trial { feasible: false, ..trial(6, 0.0, Some(1.0)) };
        let failed = pb::Trial { state: pb::trial::State::Failed.into(), ..trial(7, 0.0, Some(1.0)) };
        let trials = [
            trial(1, 3.0, Some(0.9)),
            trial(2, 1.0, Some(0.5)),
            trial(3, 2.0, Some(0.4)),
            trial(4, 1.0, Some(0.5)),
            trial(5, 0.0, None),
            infeasible,
            failed,
        ];
        assert_eq!(of(&trials), BTreeSet::from([1, 2]));
    }

    #[test]
    fn a_long_front_is_cut_and_counted_and_its_names_are_escaped() {
        let front = vec![trial(2, 1.0, Some(0.5)), trial(1, 3.0, Some(0.875))];
        let sweep = pb::Sweep {
            sweep: "q7k2m9xa".into(),
            objectives: front[0].objectives.clone(),
            front,
            front_size: 2,
            ..Default::default()
        };
        assert_eq!(
            lines(&sweep, 1, None),
            [
                " TRIAL   loss  accu\\u{1b}racy  PARAMETERS",
                "     2  1.000          0.5000",
                " and 1 more: swath sweep show q7k2m9xa"
            ]
        );
    }
}
