//! Several objectives, all minimised: who dominates whom, fronts, the volume they dominate, and the points that span it.
//!
//! A point dominates another when it is nowhere worse and somewhere better, so equal points share a front.
//!
//! - [FPL06] C. Fonseca, L. Paquete and M. Lopez-Ibanez, "An improved dimension-sweep algorithm for the hypervolume
//!   indicator", CEC 2006: planes by a sweep, space by slices.
//! - [WBB12] L. While, L. Bradstreet and L. Barone, "A fast way of calculating exact hypervolumes", IEEE Transactions on
//!   Evolutionary Computation 16 (2012) 86-95: more objectives, by what each point adds to those after it.
//! - [ZTL15] X. Zhang, Y. Tian, R. Cheng and Y. Jin, "An efficient approach to nondominated sorting for evolutionary
//!   multiobjective optimization", IEEE Transactions on Evolutionary Computation 19 (2015) 201-213: points in
//!   lexicographic order need only be compared with the fronts so far.

use std::cmp::Ordering;

/// Above so many objectives points are spread by their distances rather than by the volume they add, which takes a time
/// that grows exponentially with the objectives.
const BY_VOLUME: usize = 3;

/// Whether `a` is nowhere worse than `b`, and somewhere better.
fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// The front of each of n points, from 0. O(n log n) for two objectives, else O(n^2) at worst.
pub fn ranks(points: &[&[f64]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| lexicographic(points[*a], points[*b]));
    let mut rank = vec![0; points.len()];
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for point in order {
        let dominated = |front: &Vec<usize>| is_dominated(front, points, point);
        // who is dominated by a front is dominated by those before it
        let first = fronts.partition_point(dominated);
        if first == fronts.len() {
            fronts.push(Vec::new());
        }
        fronts[first].push(point);
        rank[point] = first;
    }
    rank
}

/// Whether a member of a front dominates a point that comes after all of them in lexicographic order.
fn is_dominated(front: &[usize], points: &[&[f64]], point: usize) -> bool {
    if points[point].len() <= 2 {
        // the latest of a plane's front has the least second objective
        return front.last().is_some_and(|last| dominates(points[*last], points[point]));
    }
    front.iter().rev().any(|member| dominates(points[*member], points[point]))
}

/// Indexes of the points that none dominates, of equal ones the first, ascending.
pub fn pareto(points: &[&[f64]]) -> Vec<usize> {
    let rank = ranks(points);
    let mut front: Vec<usize> = (0..points.len()).filter(|point| rank[*point] == 0).collect();
    front.sort_by(|a, b| lexicographic(points[*a], points[*b]).then(a.cmp(b)));
    front.dedup_by(|later, first| points[*later] == points[*first]);
    front.sort_unstable();
    front
}

/// The volume that n points of m objectives dominate below `reference`; a point that is not below it adds nothing.
/// O(n log n) for two objectives, O(n^2) for three, exponential in m beyond.
pub fn hypervolume(points: &[&[f64]], reference: &[f64]) -> f64 {
    let inside: Vec<Vec<f64>> = points
        .iter()
        .filter(|point| point.iter().zip(reference).all(|(x, r)| x < r))
        .map(|point| point.to_vec())
        .collect();
    volume(non_dominated(inside), reference)
}

/// The best `count` of points that do not dominate each other, best first: those that add most volume one after another
/// (of up to three objectives), else those farthest from their neighbours.
pub(super) fn spanning(points: &[&[f64]], count: usize) -> Vec<usize> {
    let unit = normalised(points);
    if points.first().is_some_and(|point| point.len() > BY_VOLUME) {
        by_distance(&unit, count)
    } else {
        by_volume(&unit, count)
    }
}

fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn non_dominated(points: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let views: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
    pareto(&views).into_iter().map(|point| points[point].clone()).collect()
}

/// Of points that do not dominate each other, all below the reference.
fn volume(mut front: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    match reference.len() {
        0 => 0.0,
        1 => front.first().map_or(0.0, |point| reference[0] - point[0]),
        2 => {
            front.sort_by(|a, b| lexicographic(a, b));
            area(&front, reference)
        }
        3 => slices(front, reference),
        _ => by_additions(front, reference),
    }
}

/// Of a plane's front in lexicographic order: columns from each point to the next.
fn area(front: &[Vec<f64>], reference: &[f64]) -> f64 {
    let mut top = reference[1];
    let mut sum = 0.0;
    for point in front {
        sum += (reference[0] - point[0]) * (top - point[1]).max(0.0);
        top = top.min(point[1]);
    }
    sum
}

/// From one point to the next along the third objective the section is the area of the points so far [FPL06].
fn slices(mut front: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    front.sort_by(|a, b| a[2].total_cmp(&b[2]));
    let mut section: Vec<Vec<f64>> = Vec::new();
    let mut sum = 0.0;
    for (place, point) in front.iter().enumerate() {
        let flat = vec![point[0], point[1]];
        let at = section.partition_point(|other| lexicographic(other, &flat).is_lt());
        section.insert(at, flat);
        let next = front.get(place + 1).map_or(reference[2], |next| next[2]);
        if next > point[2] {
            sum += area(&section, reference) * (next - point[2]);
        }
    }
    sum
}

/// Each point's own box, less what the points after it dominate of it [WBB12].
fn by_additions(mut front: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    front.sort_by(|a, b| lexicographic(b, a));
    let mut sum = 0.0;
    for (place, point) in front.iter().enumerate() {
        let own: f64 = point.iter().zip(reference).map(|(x, r)| r - x).product();
        let limited = front[place + 1..]
            .iter()
            .map(|other| other.iter().zip(point).map(|(a, b)| a.max(*b)).collect())
            .collect();
        sum += own - volume(non_dominated(limited), reference);
    }
    sum
}

/// Every objective from 0, its least value, to 1; all 0 where there is no difference.
fn normalised(points: &[&[f64]]) -> Vec<Vec<f64>> {
    let objectives = points.first().map_or(0, |point| point.len());
    let mut unit = vec![Vec::with_capacity(objectives); points.len()];
    for objective in 0..objectives {
        // halves, so that the range of the largest floats is finite
        let column = || points.iter().map(|point| 0.5 * point[objective]);
        let (low, high) = column().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        let range = if high > low { high - low } else { 1.0 };
        for (point, x) in unit.iter_mut().zip(column()) {
            point.push((x - low) / range);
        }
    }
    unit
}

/// What a point adds only shrinks as others are chosen: a bound from an earlier round is looked at anew only when it
/// comes first.
fn by_volume(unit: &[Vec<f64>], count: usize) -> Vec<usize> {
    let reference = vec![1.1; unit.first().map_or(0, Vec::len)];
    let mut chosen: Vec<usize> = Vec::new();
    // with how many were chosen when it was found
    let mut bounds: Vec<(f64, usize)> = unit.iter().map(|_| (f64::INFINITY, usize::MAX)).collect();
    let mut left: Vec<usize> = (0..unit.len()).collect();
    while chosen.len() < count.min(unit.len()) {
        let first = left.iter().copied().reduce(|a, b| if bounds[b].0 > bounds[a].0 { b } else { a });
        let Some(first) = first else { break };
        if bounds[first].1 == chosen.len() {
            chosen.push(first);
            left.retain(|point| *point != first);
        } else {
            bounds[first] = (addition(unit, &chosen, first, &reference), chosen.len());
        }
    }
    chosen
}

/// The volume that a point adds to those chosen.
fn addition(unit: &[Vec<f64>], chosen: &[usize], point: usize, reference: &[f64]) -> f64 {
    let own: f64 = unit[point].iter().zip(reference).map(|(x, r)| r - x).product();
    let limited = chosen
        .iter()
        .map(|other| unit[*other].iter().zip(&unit[point]).map(|(a, b)| a.max(*b)).collect())
        .collect();
    own - volume(non_dominated(limited), reference)
}

/// The one with the least sum first, then always the one that is farthest from those chosen.
fn by_distance(unit: &[Vec<f64>], count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let sum = |point: usize| unit[point].iter().sum::<f64>();
    let Some(first) = (0..unit.len()).reduce(|a, b| if sum(b) < sum(a) { b } else { a }) else {
        return Vec::new();
    };
    let between =
        |a: usize, b: usize| unit[a].iter().zip(&unit[b]).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let mut chosen = vec![first];
    let mut left: Vec<usize> = (0..unit.len()).filter(|point| *point != first).collect();
    let mut near: Vec<f64> = (0..unit.len()).map(|point| between(point, first)).collect();
    while chosen.len() < count.min(unit.len()) {
        let next = left.iter().copied().reduce(|a, b| if near[b] > near[a] { b } else { a });
        let Some(next) = next else { break };
        chosen.push(next);
        left.retain(|point| *point != next);
        for (point, distance) in near.iter_mut().enumerate() {
            *distance = distance.min(between(point, next));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::testing::{numbers, oracle};

    fn views(points: &[Vec<f64>]) -> Vec<&[f64]> {
        points.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn fronts_and_volumes_are_those_worked_by_hand() {
        let Some(known) = oracle("multi.json") else { return };
        for set in known["sets"].as_array().unwrap() {
            let list = |key: &str| set[key].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
            let points = list("points");
            let front: Vec<Vec<f64>> =
                pareto(&views(&points)).into_iter().map(|point| points[point].clone()).collect();
            assert_eq!(front, list("front"));
            let volume = hypervolume(&views(&points), &numbers(&set["ref"]));
            assert_eq!(volume, set["hypervolume"].as_f64().unwrap());
        }
    }

    #[test]
    fn equal_points_are_one_of_the_front() {
        let points = [vec![1.0, 2.0], vec![2.0, 1.0], vec![1.0, 2.0], vec![2.0, 2.0]];
        assert_eq!(ranks(&views(&points)), [0, 0, 0, 1]);
        assert_eq!(pareto(&views(&points)), [0, 1]);
        assert_eq!(hypervolume(&[], &[1.0, 1.0]), 0.0);
        assert!(pareto(&[]).is_empty());
    }

    #[test]
    fn the_ends_and_the_knee_span_a_front() {
        let points = [vec![0.0, 10.0], vec![0.1, 9.9], vec![1.0, 1.0], vec![1.1, 0.99], vec![10.0, 0.0]];
        let mut three = spanning(&views(&points), 3);
        assert_eq!(three[0], 2);
        three.sort_unstable();
        assert_eq!(three, [0, 2, 4]);
        let four: Vec<Vec<f64>> = points.iter().map(|p| vec![p[0], p[1], 0.0, 0.0]).collect();
        let mut far = spanning(&views(&four), 3);
        far.sort_unstable();
        assert_eq!((far[0], far[2]), (0, 4));
        assert_eq!(spanning(&views(&points), 9).len(), 5);
        let same = [vec![1.0, 1.0], vec![1.0, 1.0]];
        assert_eq!(spanning(&views(&same), 2).len(), 2);
        let huge = [vec![-1e308, 1e308], vec![1e308, -1e308], vec![0.0, 0.0]];
        assert_eq!(spanning(&views(&huge), 1), [2]);
    }

    /// Of whole numbers from 0 to `side`: the cells that some point dominates.
    fn counted(points: &[Vec<f64>], objectives: usize, side: usize) -> f64 {
        let cells = side.pow(objectives as u32);
        let is_below = |cell: usize| {
            points
                .iter()
                .any(|point| (0..objectives).all(|k| point[k] <= (cell / side.pow(k as u32) % side) as f64))
        };
        (0..cells).filter(|cell| is_below(*cell)).count() as f64
    }

    proptest! {
        #[test]
        fn ranks_are_those_of_peeling(
            points in prop::collection::vec(prop::collection::vec(0u8..5, 1..5), 0..40)
        ) {
            let least = points.iter().map(Vec::len).min().unwrap_or(1);
            let points: Vec<Vec<f64>> =
                points.iter().map(|p| p[..least].iter().map(|x| f64::from(*x)).collect()).collect();
            let ranks = ranks(&views(&points));
            let mut left: Vec<usize> = (0..points.len()).collect();
            for rank in 0.. {
                let free = |p: &usize| !left.iter().any(|q| dominates(&points[*q], &points[*p]));
                let front: Vec<usize> = left.iter().copied().filter(free).collect();
                if front.is_empty() {
                    break;
                }
                for point in &front {
                    prop_assert_eq!(ranks[*point], rank);
                }
                left.retain(|point| !front.contains(point));
            }
        }

        #[test]
        fn volumes_are_those_of_counted_cells(
            points in prop::collection::vec(prop::collection::vec(0u8..6, 5), 0..9), objectives in 1usize..6
        ) {
            let points: Vec<Vec<f64>> =
                points.iter().map(|p| p[..objectives].iter().map(|x| f64::from(*x)).collect()).collect();
            let volume = hypervolume(&views(&points), &vec![5.0; objectives]);
            let inside: Vec<Vec<f64>> =
                points.into_iter().filter(|p| p.iter().all(|x| *x < 5.0)).collect();
            prop_assert!((volume - counted(&inside, objectives, 5)).abs() < 1e-9);
        }
    }
}
