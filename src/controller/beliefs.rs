//! What a sweep's method believes, made from the log alone: `sweep show --model`.

use crate::controller::reasons;
use crate::pb;
use crate::search::{Expected, History, Modelled, Outlook, Reason, Recommended};
use crate::spec::{Constraint, Definition, Objective};
use crate::sweep::{Question, State, engine, sign};

/// What the method believes after everything that has ended.
pub(super) fn of(state: &State) -> pb::Model {
    let definition = state.definition();
    let Question { trial, fit, observations, pending, .. } = state.question();
    let mut engine = match engine(definition, &state.problem()) {
        Ok(engine) => engine,
        Err(error) => return pb::Model { note: error.to_string(), ..pb::Model::default() },
    };
    if let Some(fit) = fit {
        engine.record(fit);
    }
    let history = History { observations: &observations, pending: &pending };
    let outlook = engine.outlook(&history);
    let next = engine.propose(trial.0, &history).ok().map(|proposed| {
        let expected = match &proposed.proposal.reason {
            Reason::Model { expected, .. } => expectations(expected, &definition.objectives),
            _ => Vec::new(),
        };
        pb::model::Next {
            trial: trial.0,
            params: Some((&definition.space.assignment(&proposed.proposal.point)).into()),
            why: reasons::of_reason(&proposed.proposal.reason, definition),
            expected,
        }
    });
    let note = note(definition, outlook.as_ref(), next.is_some());
    let (parts, recommended) = match outlook {
        Some(Outlook { models, recommended }) => (
            models.iter().map(|model| part(model, definition)).collect(),
            // of several objectives no one trial is to be recommended
            recommended
                .filter(|_| definition.objectives.len() == 1)
                .map(|recommended| advice(&recommended, state)),
        ),
        None => (Vec::new(), None),
    };
    pb::Model { note, parts, next, recommended }
}

fn note(definition: &Definition, outlook: Option<&Outlook>, goes_on: bool) -> String {
    let method = definition.method.word();
    match outlook {
        _ if !goes_on => "every point of the space was tried".to_owned(),
        Some(_) => String::new(),
        None if definition.method == crate::spec::Method::Bayes => {
            "too few trials have ended for a model".to_owned()
        }
        None => format!("{method} has no model to look at"),
    }
}

fn part(model: &crate::search::ModelOutlook, definition: &Definition) -> pb::model::Part {
    let [linear, quadratic, categories] = model.trend;
    let total = model.noise + model.signal + linear + quadratic + categories;
    let of = match model.of {
        Modelled::Objective(k) => definition.objectives.get(k).map(|objective| objective.name.clone()),
        Modelled::Constraint(k) => limits(definition).nth(k),
        Modelled::Failure => Some("failures".to_owned()),
    };
    let length = |(parameter, length): &(String, f64)| pb::model::Length {
        parameter: parameter.clone(),
        length: *length,
    };
    pb::model::Part {
        of: of.unwrap_or_default(),
        fitted: u32::try_from(model.fitted).unwrap_or(u32::MAX),
        lengths: model.lengths.iter().map(length).collect(),
        noise: model.noise / total,
        signal: model.signal / total,
        linear: linear / total,
        quadratic: quadratic / total,
        categories: categories / total,
        earlier: model.earlier,
    }
}

/// The bounds of all constraints, in the order in which the problem has them.
fn limits(definition: &Definition) -> impl Iterator<Item = String> {
    definition.constraints.iter().flat_map(|Constraint { metric, max, min, .. }| {
        let above = max.map(|max| format!("limit {metric} <= {max}"));
        above.into_iter().chain(min.map(|min| format!("limit {metric} >= {min}")))
    })
}

fn advice(recommended: &Recommended, state: &State) -> pb::model::Recommended {
    pb::model::Recommended {
        trial: recommended.trial,
        expected: expectations(&recommended.expected, &state.definition().objectives),
        best: state.best().is_some_and(|best| best.0 == recommended.trial),
    }
}

fn expectations(expected: &[Expected], objectives: &[Objective]) -> Vec<pb::model::Expectation> {
    let one = |(expected, objective): (&Expected, &Objective)| pb::model::Expectation {
        objective: objective.name.clone(),
        mean: sign(objective.goal) * expected.mean,
        sd: expected.sd,
    };
    expected.iter().zip(objectives).map(one).collect()
}
