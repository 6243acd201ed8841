//! Leaves, their distributions and the conditions under which they exist.

use serde::{Deserialize, Serialize};

use crate::space::Value;

/// The grid of a quantised distribution: results are integers where it was written as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// `q: 4`, and the default, 1.
    Int(i64),
    /// `q: 0.5`
    Float(f64),
}

/// How one parameter is drawn. Bounds, `mu` and `sigma` are what the file says; the `*Values` forms take bounds of the
/// value, the others exponents of e where they are logarithmic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names and fields are those of the sweep file
pub enum Distribution {
    Constant {
        value: Value,
    },
    Categorical {
        values: Vec<Value>,
    },
    CategoricalWithProbabilities {
        values: Vec<Value>,
        probabilities: Vec<f64>,
    },
    IntUniform {
        min: i64,
        max: i64,
    },
    Uniform {
        min: f64,
        max: f64,
    },
    /// `integral`: all of min, max and q were written as integers (a grid then holds integers).
    QUniform {
        min: f64,
        max: f64,
        q: Step,
        integral: bool,
    },
    LogUniform {
        min: f64,
        max: f64,
    },
    QLogUniform {
        min: f64,
        max: f64,
        q: Step,
    },
    InvLogUniform {
        min: f64,
        max: f64,
    },
    LogUniformValues {
        min: f64,
        max: f64,
    },
    QLogUniformValues {
        min: f64,
        max: f64,
        q: Step,
    },
    InvLogUniformValues {
        min: f64,
        max: f64,
    },
    Normal {
        mu: f64,
        sigma: f64,
    },
    QNormal {
        mu: f64,
        sigma: f64,
        q: Step,
    },
    LogNormal {
        mu: f64,
        sigma: f64,
    },
    QLogNormal {
        mu: f64,
        sigma: f64,
        q: Step,
    },
    Beta {
        a: f64,
        b: f64,
    },
    QBeta {
        a: f64,
        b: f64,
        q: Step,
    },
}

/// `when`: the leaf exists only where the parent has one of these values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Index of the parent among [`crate::space::Space`]'s leaves.
    pub parent: usize,
    /// The parent's values for which the leaf exists.
    pub values: Vec<Value>,
}

/// One parameter that is not a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// Names of the groups around it, outermost first, and its own. A dot in a name is just a character.
    pub path: Vec<String>,
    /// How it is drawn.
    pub distribution: Distribution,
    /// All must hold for the leaf to exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}
