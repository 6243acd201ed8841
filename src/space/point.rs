//! A point of the space: one coordinate a leaf, 16 bytes each, so that a finished trial costs little memory.
//!
//! A coordinate means something only together with the leaf it belongs to: `Choice` is an index into its values.

use serde::{Deserialize, Serialize};

/// The value of one leaf at a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Coordinate {
    /// The leaf does not exist here.
    #[serde(rename = "-")]
    Absent,
    /// An integer.
    #[serde(rename = "i")]
    Integer(i64),
    /// A finite float.
    #[serde(rename = "n")]
    Number(f64),
    /// The index of one of the values; 0 for a constant.
    #[serde(rename = "c")]
    Choice(u32),
}

impl Coordinate {
    /// The number it is; none for an absent leaf and for a choice.
    pub fn number(self) -> Option<f64> {
        match self {
            Coordinate::Integer(i) => Some(i as f64),
            Coordinate::Number(x) => Some(x),
            Coordinate::Absent | Coordinate::Choice(_) => None,
        }
    }
}

/// One coordinate a leaf, in the order of [`crate::space::Space::leaves`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(Box<[Coordinate]>);

impl Point {
    pub(super) fn new(coordinates: Vec<Coordinate>) -> Point {
        Point(coordinates.into())
    }

    /// The coordinates, one a leaf.
    pub fn coordinates(&self) -> &[Coordinate] {
        &self.0
    }
}
