//! Grids: W&B's order, equal values, counts, conditions, and a permutation that is one.

use std::collections::BTreeSet;

use super::support::{chain, ints, leaf, when};
use crate::space::{Count, Distribution, NotDiscrete, Space, Step, Value};

#[test]
fn the_last_leaf_changes_fastest() {
    let space = Space::new(vec![
        leaf("zeta", ints(&[1, 2])),
        leaf("model.width", ints(&[64, 128])),
        leaf(
            "model.head.dropout",
            Distribution::Categorical { values: vec![Value::Float(0.0), Value::Float(0.5)] },
        ),
    ])
    .unwrap();
    let grid = space.grid().unwrap();
    let shown = |i| serde_json::to_string(&space.assignment(&grid.point(i).unwrap())).unwrap();
    assert_eq!(shown(0), r#"{"zeta":1,"model":{"head":{"dropout":0.0},"width":64}}"#);
    assert_eq!(shown(1), r#"{"zeta":2,"model":{"head":{"dropout":0.0},"width":64}}"#);
    assert_eq!(shown(2), r#"{"zeta":1,"model":{"head":{"dropout":0.0},"width":128}}"#);
    assert_eq!(grid.point(8), None);
}

#[test]
fn equal_values_are_given_once_as_last_written() {
    let values = serde_json::from_str(r#"[1, 1.0, 1, "1", true, 2, 2.0]"#).unwrap();
    let space = Space::new(vec![leaf("x", Distribution::Categorical { values })]).unwrap();
    let grid = space.grid().unwrap();
    assert_eq!(grid.len(), Count::Exact(4));
    let all: Vec<_> = (0..4).map(|i| space.assignment(&grid.point(i).unwrap()).0.remove(0).1).collect();
    assert_eq!(serde_json::to_string(&all).unwrap(), r#"[1,"1",true,2.0]"#);
    assert_eq!(grid.index(&space.at(&[0.1])), Some(0));
}

#[test]
fn q_uniform_is_numpys_arange() {
    let all = |min, max, q, integral| {
        let space = Space::new(vec![leaf("x", Distribution::QUniform { min, max, q, integral })]).unwrap();
        let grid = space.grid().unwrap();
        let Count::Exact(n) = grid.len() else { panic!("countable") };
        for i in 0..n {
            let point = grid.point(i).unwrap();
            assert_eq!(grid.index(&point), Some(i));
            assert_eq!(space.point(&space.assignment(&point)), Ok(point));
        }
        let values: Vec<_> =
            (0..n).map(|i| space.assignment(&grid.point(i).unwrap()).0.remove(0).1).collect();
        serde_json::to_string(&values).unwrap()
    };
    assert_eq!(all(0.0, 1.0, Step::Float(0.25), false), "[0.0,0.25,0.5,0.75]");
    assert_eq!(all(0.0, 10.0, Step::Int(4), true), "[0,4,8]");
    assert_eq!(all(1.0, 10.0, Step::Int(4), true), "[1,5,9]");
}

#[test]
fn a_conditional_grid_gives_each_point_once() {
    let space = chain();
    let grid = space.grid().unwrap();
    // a: 0 and 2 alone, 1 with b: 10 alone, 20 and 30 with 4 of c each; all of it twice, by d
    assert_eq!(grid.len(), Count::Exact(22));
    let mut walked = Vec::new();
    let mut at = grid.next(0);
    while let Some(index) = at {
        walked.push(index);
        at = grid.next(index + 1);
    }
    let every: Vec<u128> = (0..3 * 3 * 2 * 4).filter(|i| grid.point(*i).is_some()).collect();
    assert_eq!(walked, every);
    let order = grid.shuffled(5).unwrap();
    let seen: BTreeSet<u128> =
        (0..22).map(|place| grid.index(&grid.shuffled_point(&order, place).unwrap()).unwrap()).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), every);
    assert_eq!(grid.shuffled_point(&order, 22), None);
}

/// The parent sorts after its child, and both are as long as the machine allows.
#[test]
fn idle_numbers_are_stepped_over() {
    let leaves = vec![
        when(leaf("child", Distribution::IntUniform { min: 0, max: i64::MAX }), 1, &[1]),
        leaf("parent", ints(&[0, 1, 2])),
    ];
    let space = Space::new(leaves).unwrap();
    let grid = space.grid().unwrap();
    let walked: Vec<u128> = std::iter::successors(grid.next(0), |at| grid.next(at + 1)).take(6).collect();
    assert_eq!(walked, [0, 1, 2, 4, 7, 10]);
    assert_eq!(grid.len(), Count::Exact((1 << 63) + 2));
}

#[test]
fn large_grids_need_no_memory() {
    let wide = |name: &str| leaf(name, Distribution::IntUniform { min: 1, max: 1_000_000 });
    let space = Space::new(["a", "b", "c", "d"].map(wide).to_vec()).unwrap();
    let grid = space.grid().unwrap();
    let count = 10u128.pow(24);
    assert_eq!(grid.len(), Count::Exact(count));
    let last = grid.point(count - 1).unwrap();
    assert_eq!(grid.index(&last), Some(count - 1));
    let order = grid.shuffled(1).unwrap();
    let places: BTreeSet<u128> =
        (0..500).map(|p| grid.index(&grid.shuffled_point(&order, p).unwrap()).unwrap()).collect();
    assert_eq!(places.len(), 500);
    let names: Vec<String> = (0..9).map(|i| format!("p{i}")).collect();
    let beyond = Space::new(names.iter().map(|name| wide(name)).collect()).unwrap().grid().unwrap();
    assert_eq!(beyond.len().to_string(), ">1.7e38");
    assert!(beyond.point(12).is_some() && beyond.shuffled(1).is_none());
}

#[test]
fn a_grid_refuses_what_it_cannot_count() {
    let normal = leaf("x", Distribution::Normal { mu: 0.0, sigma: 1.0 });
    assert!(matches!(Space::new(vec![normal]).unwrap().grid(), Err(NotDiscrete::Continuous { .. })));
    let parent = leaf("p", Distribution::IntUniform { min: 0, max: 1_000_000 });
    let wide = vec![parent, when(leaf("x", ints(&[1])), 0, &[1])];
    assert!(matches!(Space::new(wide).unwrap().grid(), Err(NotDiscrete::TooConnected { .. })));
}
