//! Sentences for people: who proposed a trial, and why this one.

use crate::search::{Expected, Reason};
use crate::spec::{Definition, Method, Objective};
use crate::sweep::{Source, sign};

use super::words::short;

/// Who proposed a trial, and why.
pub(super) fn of_source(source: Source, reason: Option<&Reason>, definition: &Definition) -> String {
    match (source, reason) {
        (Source::Start, _) => "the file's enqueue".to_owned(),
        (Source::Random, _) => "random".to_owned(),
        (Source::Grid { index }, _) => format!("grid point {index}"),
        (Source::Model, Some(reason)) => of_reason(reason, definition),
        (Source::Model, None) => definition.method.word().to_owned(),
        (Source::Enqueued, _) => "enqueued".to_owned(),
        (Source::Repeat { of }, _) => format!("repeat of {of}"),
    }
}

/// Why a method proposed what it did.
pub(super) fn of_reason(reason: &Reason, definition: &Definition) -> String {
    let method = definition.method.word();
    match reason {
        Reason::Random => "random".to_owned(),
        Reason::Grid { index } => format!("grid point {index}"),
        Reason::Sobol { index } if definition.method == Method::Sobol => format!("Sobol point {index}"),
        Reason::Sobol { index } => format!("{method}: one of the first, spread evenly (Sobol point {index})"),
        Reason::Centre => format!("{method}: the first, at the centre of the space"),
        Reason::Tpe { log_ratio } => {
            let times = short(log_ratio.exp());
            format!("{method}: good trials lie {times} times as dense here as others")
        }
        Reason::Cmaes { generation } => format!("{method}: drawn after {generation} generations"),
        Reason::Model { expected, exploring, .. } => {
            let expected = expectation(expected, &definition.objectives);
            let sought = if *exploring { ", tried to learn while others run" } else { "" };
            format!("{method}: expected {expected}{sought}")
        }
        Reason::Fallback { why } => format!("random instead of {method}: {why}"),
        Reason::Unused => format!("{method}: one of the few points that were left"),
    }
}

/// What is expected of each objective, by its own goal.
pub(super) fn expectation(expected: &[Expected], objectives: &[Objective]) -> String {
    let one = |(expected, objective): (&Expected, &Objective)| {
        let mean = short(sign(objective.goal) * expected.mean);
        format!("{} {mean} ± {}", objective.name, short(expected.sd))
    };
    expected.iter().zip(objectives).map(one).collect::<Vec<_>>().join(", ")
}
