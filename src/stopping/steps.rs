//! Rungs: the steps at which trials are compared.

/// The ratio of rungs where a rule has none of its own.
pub(super) const ETA: f64 = 3.0;
/// Steps beyond this are out of any run's reach, and not all whole numbers are floats there.
const OUT_OF_REACH: f64 = 9e15;
/// The ratio of the steps that `median` and `percentile` look at, once they lie more than one apart.
const FINE: f64 = 1.25;

/// min, min eta, min eta^2 .. below `max_iter`, truncated, each once: a run at `max_iter` is at its end anyway.
pub fn rungs(min_iter: i64, max_iter: Option<i64>, eta: f64) -> Vec<i64> {
    let reals = std::iter::successors(Some(min_iter as f64), |rung| Some(rung * eta));
    let limit = max_iter.map_or(OUT_OF_REACH, |max| max as f64);
    let mut rungs: Vec<i64> =
        reals.take_while(|rung| *rung < limit).take(10_000).map(|rung| rung as i64).collect();
    rungs.dedup();
    rungs
}

/// Every step from `min_iter` on while that is one after the other, then a quarter further each time; and the rungs that
/// [`crate::stopping::Gains`] goes by.
pub fn fine(min_iter: i64) -> Vec<i64> {
    let next = |step: &i64| Some((step + 1).max((*step as f64 * FINE) as i64));
    let mut steps: Vec<i64> = std::iter::successors(Some(min_iter), next)
        .take_while(|step| (*step as f64) < OUT_OF_REACH)
        .collect();
    steps.extend(rungs(min_iter, None, ETA));
    steps.sort_unstable();
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_lie_below_the_end() {
        assert_eq!(rungs(1, Some(27), 3.0), [1, 3, 9]);
        assert_eq!(rungs(9, Some(27), 3.0), [9]);
        assert_eq!(rungs(3, Some(27), 2.0), [3, 6, 12, 24]);
        assert_eq!(rungs(27, Some(27), 3.0), [] as [i64; 0]);
        assert_eq!(rungs(1, Some(10), 1.5), [1, 2, 3, 5, 7]);
        assert_eq!(rungs(3, None, 3.0)[..4], [3, 9, 27, 81]);
        assert_eq!(rungs(1, None, 1.000_001).len(), 1, "rungs that never grow are one");
    }

    #[test]
    fn fine_steps_begin_one_by_one() {
        assert_eq!(fine(1)[..14], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 22]);
        assert_eq!(fine(5)[..6], [5, 6, 7, 8, 10, 12]);
        assert!([27, 81, 243].iter().all(|rung| fine(1).contains(rung)));
        assert!(fine(1).len() < 220);
    }
}
