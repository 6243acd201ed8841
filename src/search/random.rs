//! `random`: every leaf drawn on its own.

use crate::space::{Point, Space, stream, uniform};

/// The point of a trial: it depends on the seed and the trial's number alone. One unit value is drawn for every leaf,
/// absent ones too, so that a condition moves no other parameter.
pub fn random(space: &Space, seed: u64, trial: u32) -> Point {
    let mut rng = stream(seed, "propose", u64::from(trial));
    let units: Vec<f64> = space.leaves().iter().map(|_| uniform(&mut rng)).collect();
    space.at(&units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Distribution, Leaf};

    #[test]
    fn a_trials_point_depends_on_its_number_alone() {
        let leaf = |name: &str| Leaf {
            path: vec![name.to_owned()],
            distribution: Distribution::Uniform { min: 0.0, max: 1.0 },
            when: Vec::new(),
        };
        let space = Space::new(vec![leaf("a"), leaf("b")]).unwrap();
        let backwards: Vec<Point> = (1..=20).rev().map(|trial| random(&space, 9, trial)).collect();
        let forwards: Vec<Point> = (1..=20).map(|trial| random(&space, 9, trial)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        assert!(forwards.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(forwards[0], random(&space, 10, 1));
    }
}
