//! What the tests of the methods share: spaces, problems, histories, reference values.

use std::path::Path;

use crate::search::{Impute, Observation, Outcome, Pending, Problem, Reported};
use crate::space::{Condition, Distribution, Leaf, Point, Space, Value};

/// Reference values beside the checkout, or `None` (with a message) where they are absent.
pub(super) fn oracle(name: &str) -> Option<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/search").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: {} is absent", path.display());
            None
        }
    }
}

/// The numbers of a JSON list.
pub(super) fn numbers(list: &serde_json::Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(super) fn leaf(name: &str, distribution: Distribution) -> Leaf {
    Leaf { path: vec![name.to_owned()], distribution, when: Vec::new() }
}

pub(super) fn words(words: &[&str]) -> Distribution {
    Distribution::Categorical { values: words.iter().map(|word| Value::Text((*word).to_owned())).collect() }
}

pub(super) fn unit() -> Distribution {
    Distribution::Uniform { min: 0.0, max: 1.0 }
}

/// The unit cube.
pub(super) fn cube(dimensions: usize) -> Space {
    Space::new((0..dimensions).map(|i| leaf(&format!("x{i:03}"), unit())).collect()).unwrap()
}

/// One of each kind; `momentum` is there for `sgd` alone.
pub(super) fn mixed() -> Space {
    let mut momentum = leaf("momentum", Distribution::Uniform { min: 0.0, max: 0.99 });
    momentum.when.push(Condition { parent: 0, values: vec![Value::Text("sgd".to_owned())] });
    let sizes = [16, 32, 64, 128].map(Value::Int).to_vec();
    Space::new(vec![
        leaf("opt", words(&["adam", "sgd", "lion"])),
        momentum,
        leaf("lr", Distribution::LogUniformValues { min: 1e-5, max: 0.1 }),
        leaf("layers", Distribution::IntUniform { min: 1, max: 6 }),
        leaf("batch", Distribution::Categorical { values: sizes }),
        leaf("epochs", Distribution::Constant { value: Value::Int(3) }),
    ])
    .unwrap()
}

pub(super) fn problem(space: Space, seed: u64) -> Problem {
    Problem { space, objectives: 1, constraints: 0, seed, impute: Impute::Worst, impute_while_running: None }
}

pub(super) fn measured(trial: u32, point: Point, objectives: &[f64]) -> Observation {
    let outcome =
        Outcome::Measured { objectives: objectives.into(), constraints: Box::new([]), stopped: false };
    Observation { trial: Some(trial), point, outcome }
}

pub(super) fn failed(trial: u32, point: Point) -> Observation {
    Observation { trial: Some(trial), point, outcome: Outcome::Failed(Reported::default()) }
}

pub(super) fn pending(trial: u32, point: Point) -> Pending {
    Pending { trial, point, reported: Reported::default() }
}

/// The numbers of a point; 0 for what is none.
pub(super) fn coordinates(point: &Point) -> Vec<f64> {
    point.coordinates().iter().map(|at| at.number().unwrap_or(0.0)).collect()
}
