//! Spaces: their order, their conditions, points and assignments.

use super::support::{chain, ints, leaf, when};
use crate::space::{Coordinate, Distribution, Grid, OutsideSpace, Point, Space, SpaceError, stream, uniform};

#[test]
fn an_assignment_has_plain_parameters_before_groups() {
    let names = ["zeta", "model.width", "alpha", "B", "model.head.dropout", "a.b"];
    let mut leaves: Vec<_> = names.iter().map(|name| leaf(name, ints(&[1, 2]))).collect();
    leaves[5].path = vec!["a.b".to_owned()];
    let space = Space::new(leaves).unwrap();
    let json = serde_json::to_string(&space.assignment(&space.midpoint())).unwrap();
    assert_eq!(json, r#"{"B":1,"a.b":1,"alpha":1,"zeta":1,"model":{"head":{"dropout":1},"width":1}}"#);
    assert_eq!(space.leaves()[3].path, ["model", "head", "dropout"]);
}

#[test]
fn wrong_conditions_say_what_is_wrong() {
    let circle = vec![when(leaf("x", ints(&[1])), 1, &[1]), when(leaf("y", ints(&[1])), 0, &[1])];
    let names = ["x", "y", "x"].map(str::to_owned).to_vec();
    assert_eq!(Space::new(circle), Err(SpaceError::Cycle { names }));
    let own = vec![when(leaf("x", ints(&[1])), 0, &[1])];
    assert!(matches!(Space::new(own), Err(SpaceError::Cycle { .. })));
    let never = vec![leaf("x", ints(&[1])), when(leaf("y", ints(&[1])), 0, &[3])];
    let said = Space::new(never).unwrap_err().to_string();
    assert_eq!(said, "`when` of `y`: `x` is never 3; it is one of 1");
    let wide = Distribution::Uniform { min: 0.0, max: 1.0 };
    let continuous = vec![leaf("x", wide), when(leaf("y", ints(&[1])), 0, &[0])];
    assert!(matches!(Space::new(continuous), Err(SpaceError::ParentNotDiscrete { .. })));
    let twice = vec![leaf("x", ints(&[1])), leaf("x.y", ints(&[1]))];
    assert!(matches!(Space::new(twice), Err(SpaceError::Twice { .. })));
}

#[test]
fn points_and_assignments_go_round() {
    let space = chain();
    let mut rng = stream(1, "points", 0);
    let mut absent = 0;
    for _ in 0..300 {
        let units: Vec<f64> = space.leaves().iter().map(|_| uniform(&mut rng)).collect();
        let point = space.at(&units);
        absent += point.coordinates().iter().filter(|at| **at == Coordinate::Absent).count();
        assert_eq!(space.point(&space.assignment(&point)).as_ref(), Ok(&point));
        assert!(space.contains(&point));
        let json = serde_json::to_string(&point).unwrap();
        assert_eq!(serde_json::from_str::<Point>(&json).unwrap(), point);
        let grid: Grid = space.grid().unwrap();
        let index = grid.index(&point).unwrap();
        assert_eq!(grid.point(index), Some(point));
    }
    assert!(absent > 100);
    assert_eq!(size_of::<Coordinate>(), 16);
    let again: Space = serde_json::from_str(&serde_json::to_string(&space).unwrap()).unwrap();
    assert_eq!(again, space);
}

#[test]
fn written_assignments_are_checked() {
    let space = chain();
    let point = |json: &str| space.point(&serde_json::from_str(json).unwrap());
    assert!(point(r#"{"a": 1.0, "b": 20, "d": 5, "z": {"c": 4}}"#).is_ok());
    assert!(matches!(point(r#"{"a": 0, "b": 20, "d": 5}"#), Err(OutsideSpace::Absent { .. })));
    assert!(matches!(point(r#"{"a": 1, "d": 5}"#), Err(OutsideSpace::Missing { .. })));
    assert!(matches!(point(r#"{"a": 0, "d": 5, "e": 1}"#), Err(OutsideSpace::Unknown { .. })));
    let said = point(r#"{"a": 1, "b": 20, "d": 5, "z": {"c": 9}}"#).unwrap_err().to_string();
    assert_eq!(said, "`z.c` cannot be 9: it is an integer from 1 to 4");
}
