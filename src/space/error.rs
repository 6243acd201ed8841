//! What can be wrong with a space, a distribution, or an assignment that somebody wrote.

use crate::space::Value;

/// Why some leaves are no space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum SpaceError {
    #[error("parameter `{name}` is there twice, or as a group too")]
    Twice { name: String },
    #[error("parameter `{name}`: {why}")]
    Distribution { name: String, why: BadDistribution },
    #[error("`when` of `{name}` names a parameter that does not exist")]
    NoParent { name: String },
    #[error(
        "`when` of `{name}` names `{parent}`, which is not discrete: use values, integers or q_uniform there"
    )]
    ParentNotDiscrete { name: String, parent: String },
    #[error("`when` of `{name}`: `{parent}` is never {}; it is {allowed}", shown(value))]
    CannotOccur { name: String, parent: String, value: Value, allowed: String },
    #[error("`when` goes in a circle: {}", names.join(" needs "))]
    Cycle { names: Vec<String> },
}

/// What is wrong with a distribution's numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum BadDistribution {
    #[error("min {min} is not less than max {max}")]
    Bounds { min: String, max: String },
    #[error("{field} must be a finite number")]
    NotFinite { field: &'static str },
    #[error("min must be above 0, where the logarithm is drawn")]
    NotPositive,
    #[error("{field} must not be negative")]
    Negative { field: &'static str },
    #[error("q must be above 0")]
    Step,
    #[error("values must hold at least one value and fewer than 2^32")]
    Values,
    #[error("probabilities must be as many as the values, none negative, their sum 1")]
    Probabilities,
}

/// Why an assignment is no point of the space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum OutsideSpace {
    #[error("`{name}` has no value")]
    Missing { name: String },
    #[error("`{name}` does not exist there, by its `when`")]
    Absent { name: String },
    #[error("`{name}` is no parameter of this sweep")]
    Unknown { name: String },
    #[error("`{name}` cannot be {}: it is {allowed}", shown(value))]
    Value { name: String, value: Value, allowed: String },
}

/// Why a space has no grid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum NotDiscrete {
    #[error("a grid cannot hold `{name}`: use values, integer bounds or q_uniform")]
    Continuous { name: String },
    #[error("a grid cannot use the probabilities of `{name}`")]
    Probabilities { name: String },
    #[error(
        "the parameters that `when` connects ({}) have more than {limit} combinations", names.join(", ")
    )]
    TooConnected { names: Vec<String>, limit: u64 },
}

/// A value in a message: JSON, cut where it is long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = serde_json::to_string(value).unwrap_or_else(|_| "that".to_owned());
    if text.chars().count() > LONGEST {
        text.chars().take(LONGEST).chain("..".chars()).collect()
    } else {
        text
    }
}

/// Several values in a message.
pub(super) fn listed(values: &[Value]) -> String {
    const MOST: usize = 8;
    let mut texts: Vec<String> = values.iter().take(MOST).map(shown).collect();
    if values.len() > MOST {
        texts.push(format!("or {} more", values.len() - MOST));
    }
    texts.join(", ")
}
