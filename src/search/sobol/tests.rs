//! The sequence against reference values, its nets after scrambling, and what it proposes in small spaces.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::search::Pending;
use crate::search::testing::{cube, leaf, mixed, numbers, oracle, pending, problem, words};
use crate::space::{Condition, Distribution, Leaf, Point, Value};

/// The first points before scrambling, as multiples of 2^-32.
fn unscrambled(dimensions: usize, index: u32) -> Vec<f64> {
    (0..dimensions)
        .map(|dimension| f64::from(raw(&directions_of(dimension), index)) / 2f64.powi(32))
        .collect()
}

#[test]
fn the_first_points_are_those_of_joe_and_kuo() {
    let Some(known) = oracle("sobol.json") else { return };
    for (dimensions, points) in known["first16"].as_object().unwrap() {
        for (index, point) in (0u32..).zip(points.as_array().unwrap()) {
            assert_eq!(unscrambled(dimensions.parse().unwrap(), index), numbers(point));
        }
    }
    for (index, point) in (0u32..).zip(known["d50_first8"].as_array().unwrap()) {
        assert_eq!(unscrambled(50, index), numbers(point));
    }
    for (dimension, sum) in numbers(&known["sum_1024_d20"]).into_iter().enumerate() {
        assert_eq!((0..1024).map(|index| unscrambled(20, index)[dimension]).sum::<f64>(), sum);
    }
}

/// Whether each of the 2^m boxes that split the first dimension 2^a times and the second 2^(m-a) times holds one point.
fn is_net(points: &[(f64, f64)], a: u32, m: u32) -> bool {
    let (columns, rows) = (f64::from(1 << a), f64::from(1 << (m - a)));
    let boxes: BTreeSet<(u32, u32)> =
        points.iter().map(|(x, y)| ((x * columns) as u32, (y * rows) as u32)).collect();
    boxes.len() == 1 << m
}

proptest! {
    #[test]
    fn scrambling_keeps_every_net(seed: u64, m in 0u32..9, dimensions in 2usize..40) {
        let sequence = Sobol::new(dimensions, seed, "test");
        let points: Vec<Vec<f64>> = (0..1 << m).map(|index| sequence.point(index).collect()).collect();
        for dimension in 0..dimensions {
            let column: Vec<(f64, f64)> = points.iter().map(|p| (p[dimension], 0.0)).collect();
            prop_assert!(is_net(&column, m, m), "dimension {dimension}");
        }
        let plane: Vec<(f64, f64)> = points.iter().map(|p| (p[0], p[1])).collect();
        for a in 0..=m {
            prop_assert!(is_net(&plane, a, m), "2^{a} columns");
        }
    }

    #[test]
    fn coordinates_lie_inside_the_cube(seed: u64, index: u32) {
        for x in Sobol::new(300, seed, "test").point(index) {
            prop_assert!(x > 0.0 && x < 1.0);
        }
    }
}

#[test]
fn more_dimensions_than_the_table_holds_differ_from_those_before() {
    let sequence = Sobol::new(600, 1, "test");
    let points: Vec<Vec<f64>> = (0..64).map(|index| sequence.point(index).collect()).collect();
    for dimension in 256..600 {
        let column: Vec<(f64, f64)> = points.iter().map(|p| (p[dimension], 0.0)).collect();
        assert!(is_net(&column, 6, 6), "dimension {dimension}");
        // independent of the dimension that uses the same numbers
        let mean = |d: usize| points.iter().map(|p| p[d]).sum::<f64>() / 64.0;
        let (here, there) = (mean(dimension), mean(dimension - 256));
        let product: f64 = points.iter().map(|p| (p[dimension] - here) * (p[dimension - 256] - there)).sum();
        assert!(product.abs() / 64.0 < 0.05, "dimension {dimension}: {product}");
    }
}

/// Hickernell's centred L2 discrepancy.
fn centred_discrepancy(points: &[Vec<f64>]) -> f64 {
    let (n, d) = (points.len() as f64, points[0].len());
    let off = |x: f64| (x - 0.5).abs();
    let one = |p: &Vec<f64>| p.iter().map(|x| 1.0 + 0.5 * off(*x) - 0.5 * off(*x) * off(*x)).product::<f64>();
    let two = |p: &Vec<f64>, q: &Vec<f64>| {
        let factor = |(x, y): (&f64, &f64)| 1.0 + 0.5 * off(*x) + 0.5 * off(*y) - 0.5 * (x - y).abs();
        p.iter().zip(q).map(factor).product::<f64>()
    };
    let singles: f64 = points.iter().map(one).sum();
    let pairs: f64 = points.iter().map(|p| points.iter().map(|q| two(p, q)).sum::<f64>()).sum();
    (13.0f64 / 12.0).powi(d as i32) - 2.0 / n * singles + pairs / (n * n)
}

#[test]
fn a_scrambled_set_is_as_even_as_it_should_be() {
    let Some(known) = oracle("sobol.json") else { return };
    let usual = known["scrambled_centred_discrepancy_d5_n128"]["median"].as_f64().unwrap();
    let mut all: Vec<f64> = (0..21)
        .map(|seed| {
            let sequence = Sobol::new(5, seed, "test");
            centred_discrepancy(
                &(0..128).map(|index| sequence.point(index).collect()).collect::<Vec<Vec<f64>>>(),
            )
        })
        .collect();
    all.sort_by(f64::total_cmp);
    assert!((all[10] / usual - 1.0).abs() < 0.1, "{} against {usual}", all[10]);
    assert!(all[20] < 1.5 * usual, "{}", all[20]);
}

#[test]
fn a_trials_point_depends_on_its_number_alone() {
    let search = SobolSearch::new(&problem(mixed(), 4));
    let none = History { observations: &[], pending: &[] };
    let forwards: Vec<Point> = (1..=50).map(|trial| search.propose(trial, &none).unwrap().point).collect();
    let backwards: Vec<Point> = (1..=50)
        .rev()
        .map(|trial| SobolSearch::new(&problem(mixed(), 4)).propose(trial, &none).unwrap().point)
        .collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    let other = SobolSearch::new(&problem(cube(3), 5)).propose(1, &none).unwrap();
    assert_ne!(other, SobolSearch::new(&problem(cube(3), 4)).propose(1, &none).unwrap());
}

#[test]
fn a_leaf_of_one_value_moves_no_other() {
    let with = |extra: bool| {
        let mut leaves: Vec<Leaf> = cube(3).into();
        if extra {
            let fixed = Distribution::Constant { value: Value::Int(7) };
            leaves.push(leaf("a", fixed));
        }
        let search = SobolSearch::new(&problem(Space::new(leaves).unwrap(), 1));
        let point = search.propose(5, &History { observations: &[], pending: &[] }).unwrap().point;
        point.coordinates().iter().filter_map(|at| at.number()).collect::<Vec<f64>>()
    };
    assert_eq!(with(false), with(true));
}

#[test]
fn a_small_space_is_used_up_without_a_repeat() {
    let mut inner = leaf("inner", Distribution::IntUniform { min: 1, max: 3 });
    inner.when.push(Condition { parent: 0, values: vec![Value::Text("a".to_owned())] });
    let rare = Distribution::CategoricalWithProbabilities {
        values: vec![Value::Int(0), Value::Int(1), Value::Int(2)],
        probabilities: vec![1.0 - 1e-12, 1e-12, 0.0],
    };
    let space = Space::new(vec![leaf("outer", words(&["a", "b", "c"])), inner, leaf("rare", rare)]).unwrap();
    let search = SobolSearch::new(&problem(space, 2));
    let mut given = Vec::new();
    for trial in 1..=10 {
        let history = History { observations: &[], pending: &given };
        let point = search.propose(trial, &history).unwrap().point;
        assert!(given.iter().all(|known: &Pending| known.point != point), "{point:?} again");
        given.push(pending(trial, point));
    }
    assert_eq!(search.propose(11, &History { observations: &[], pending: &given }), Err(UsedUp));
}
