//! One line of input, and what it asks for.

use serde_json::{Map, Value as Json};

use crate::space::{Assignment, named_float};

/// Most trials of one `ask`.
const MOST_ASKED: u64 = 10_000;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// Trials to try.
    Ask { n: u32 },
    /// The end of a trial.
    Tell { id: u32, end: End },
    /// A value on the way.
    Report { id: u32, step: i64, value: f64 },
    /// A trial that nobody asked for, and its end.
    Add { params: Assignment, end: End },
}

/// How a trial ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct End {
    /// One value an objective; none where it failed, or the reports have them.
    pub(super) values: Option<Vec<f64>>,
    /// At most 0 where they are kept.
    pub(super) constraints: Vec<f64>,
    pub(super) state: State,
}

/// The word under `state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Succeeded,
    Stopped,
    Failed,
}

/// Why a line was not carried out; the reply shows it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum BadRequest {
    #[error("the line is longer than {most} bytes")]
    TooLong { most: u64 },
    #[error("the line is not UTF-8")]
    NotText,
    #[error("the line is no JSON object: {why}{}", if *names_nan { r#"; NaN and infinities are the strings "NaN", "Infinity" and "-Infinity""# } else { "" })]
    NotJson { why: String, names_nan: bool },
    #[error("'op' is ask, tell, report or add, here it is {given}")]
    Op { given: String },
    #[error("'{key}' is missing")]
    Missing { key: &'static str },
    #[error("'{op}' has no key '{key}'")]
    Unknown { op: String, key: String },
    #[error("'{key}' must be {what}, here it is {given}")]
    Wrong { key: &'static str, what: &'static str, given: String },
    #[error("'value' and 'values' say the same: give one of them")]
    Both,
}

impl Request {
    /// Reads a line.
    pub(super) fn read(line: &str) -> Result<Request, BadRequest> {
        let names_nan = line.contains("NaN") || line.contains("Infinity");
        let fields = serde_json::from_str(line)
            .map_err(|error: serde_json::Error| BadRequest::NotJson { why: error.to_string(), names_nan })?;
        Request::of(fields)
    }

    /// Reads an object.
    pub(super) fn of(fields: Map<String, Json>) -> Result<Request, BadRequest> {
        let mut fields = Fields(fields);
        let op = match fields.0.remove("op") {
            Some(Json::String(op)) => op,
            Some(other) => return Err(BadRequest::Op { given: shown(&other) }),
            None => return Err(BadRequest::Missing { key: "op" }),
        };
        let request = match op.as_str() {
            "ask" => Request::Ask { n: fields.asked()? },
            "tell" => Request::Tell { id: fields.id()?, end: fields.end()? },
            "report" => {
                let (id, step) = (fields.id()?, fields.step()?);
                let value = fields.number("value")?.ok_or(BadRequest::Missing { key: "value" })?;
                Request::Report { id, step, value }
            }
            "add" => Request::Add { params: fields.params()?, end: fields.end()? },
            _ => return Err(BadRequest::Op { given: shown(&Json::String(op)) }),
        };
        match fields.0.keys().next() {
            Some(key) => Err(BadRequest::Unknown { op, key: key.chars().take(80).collect() }),
            None => Ok(request),
        }
    }
}

/// What is left of the object.
struct Fields(Map<String, Json>);

impl Fields {
    fn asked(&mut self) -> Result<u32, BadRequest> {
        let Some(given) = self.0.remove("n") else { return Ok(1) };
        let n = given.as_u64().filter(|n| (1..=MOST_ASKED).contains(n)).and_then(|n| u32::try_from(n).ok());
        n.ok_or_else(|| wrong("n", "an integer from 1 to 10000", &given))
    }

    fn id(&mut self) -> Result<u32, BadRequest> {
        let given = self.0.remove("id").ok_or(BadRequest::Missing { key: "id" })?;
        let id = given.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| wrong("id", "the id of a trial", &given))
    }

    fn step(&mut self) -> Result<i64, BadRequest> {
        let given = self.0.remove("step").ok_or(BadRequest::Missing { key: "step" })?;
        given.as_i64().ok_or_else(|| wrong("step", "an integer", &given))
    }

    fn params(&mut self) -> Result<Assignment, BadRequest> {
        let given = self.0.remove("params").ok_or(BadRequest::Missing { key: "params" })?;
        let wrong = |given: &Json| wrong("params", "an object of parameters", given);
        if !given.is_object() {
            return Err(wrong(&given));
        }
        serde_json::from_value(given.clone()).map_err(|_| wrong(&given))
    }

    fn end(&mut self) -> Result<End, BadRequest> {
        let value = self.number("value")?;
        let values = self.numbers("values")?;
        if value.is_some() && values.is_some() {
            return Err(BadRequest::Both);
        }
        let constraints = self.numbers("constraints")?.unwrap_or_default();
        let state = match self.0.remove("state") {
            None => State::Succeeded,
            Some(Json::String(word)) if word == "succeeded" => State::Succeeded,
            Some(Json::String(word)) if word == "stopped" => State::Stopped,
            Some(Json::String(word)) if word == "failed" => State::Failed,
            Some(other) => return Err(wrong("state", "succeeded, stopped or failed", &other)),
        };
        let values = values.or(value.map(|value| vec![value]));
        if values.is_none() && state == State::Succeeded {
            return Err(BadRequest::Missing { key: "value" });
        }
        Ok(End { values, constraints, state })
    }

    fn number(&mut self, key: &'static str) -> Result<Option<f64>, BadRequest> {
        let Some(given) = self.0.remove(key) else { return Ok(None) };
        number(&given).map(Some).ok_or_else(|| wrong(key, "a number", &given))
    }

    fn numbers(&mut self, key: &'static str) -> Result<Option<Vec<f64>>, BadRequest> {
        let Some(given) = self.0.remove(key) else { return Ok(None) };
        let list = given.as_array().and_then(|list| list.iter().map(number).collect());
        list.map(Some).ok_or_else(|| wrong(key, "a list of numbers", &given))
    }
}

/// A number, or the name of one that JSON cannot carry.
fn number(given: &Json) -> Option<f64> {
    given.as_f64().or_else(|| given.as_str().and_then(named_float))
}

fn wrong(key: &'static str, what: &'static str, given: &Json) -> BadRequest {
    BadRequest::Wrong { key, what, given: shown(given) }
}

/// A value in a message, cut where it is long.
fn shown(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 { text.chars().take(80).chain("..".chars()).collect() } else { text }
}
