//! `random`: every leaf drawn on its own.

use crate::space::{Point, Space, stream, uniform};

/// The point of a trial: it depends on the seed and the trial's number alone. One unit value is drawn for every leaf,
/// absent ones too, so that a condition moves no other parameter.
pub fn random(space: &Space, seed: u64, trial: u32) -> Point {
    let mut rng = stream(seed, "propose", u64::from(trial));
    let units: Vec<f64> = space.leaves().iter().map(|_| uniform(&mut rng)).collect();
    space.at(&units)
}
