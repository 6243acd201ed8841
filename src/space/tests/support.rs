//! What the tests of the room share.

use crate::space::{Condition, Distribution, Leaf, Space, Value};

/// A leaf of a dotted path.
pub(super) fn leaf(path: &str, distribution: Distribution) -> Leaf {
    Leaf { path: path.split('.').map(str::to_owned).collect(), distribution, when: Vec::new() }
}

pub(super) fn ints(values: &[i64]) -> Distribution {
    Distribution::Categorical { values: values.iter().map(|i| Value::Int(*i)).collect() }
}

pub(super) fn when(mut leaf: Leaf, parent: usize, values: &[i64]) -> Leaf {
    leaf.when.push(Condition { parent, values: values.iter().map(|i| Value::Int(*i)).collect() });
    leaf
}

/// `a` admits `b` (by 1), `b` admits `z.c` (by 20 and 30).
pub(super) fn chain() -> Space {
    let leaves = vec![
        leaf("a", ints(&[0, 1, 2])),
        when(leaf("b", ints(&[10, 20, 30])), 0, &[1]),
        when(leaf("z.c", Distribution::IntUniform { min: 1, max: 4 }), 1, &[20, 30]),
        leaf("d", ints(&[5, 6])),
    ];
    Space::new(leaves).unwrap()
}
