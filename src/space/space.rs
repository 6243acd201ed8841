//! The space: its leaves in the order of the search dimensions.

use serde::{Deserialize, Serialize};

use crate::space::Leaf;

/// The leaves, depth first, the names of each level sorted by code point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space {
    leaves: Vec<Leaf>,
}

impl Space {
    /// The leaves in the order of the search dimensions and of the grid.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }
}
