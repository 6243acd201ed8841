//! Thinned reports: of each metric the best values and the last one, however many came.
//!
//! Which end is "best" is the sweep's business, so both the least and the greatest finite value stay. Used where
//! reports outgrow the memory that stands in for a full disk: nothing is lost for the objective's value.

use std::collections::BTreeMap;

use super::record::Report;

/// The best and the last values of each metric.
#[derive(Debug, Default)]
pub(crate) struct Thinner {
    kept: BTreeMap<u32, Kept>,
}

#[derive(Debug)]
struct Kept {
    last: Point,
    least: Option<Point>,
    greatest: Option<Point>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    order: u64,
    step: i64,
    time_us: i64,
    source: u8,
    value: f64,
}

impl Thinner {
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes a report in; `order` rises with each.
    pub(crate) fn take(&mut self, report: &Report, order: u64) {
        for (id, value) in &report.values {
            let (step, time_us, source) = (report.step, report.time_us, report.source);
            let point = Point { order, step, time_us, source, value: *value };
            let kept = self.kept.entry(*id).or_insert(Kept { last: point, least: None, greatest: None });
            kept.last = point;
            if value.is_finite() {
                keep(&mut kept.least, point, |new, old| new < old);
                keep(&mut kept.greatest, point, |new, old| new > old);
            }
        }
    }

    /// Hands over what was kept, as reports in the order they came in.
    pub(crate) fn drain(&mut self) -> Vec<Report> {
        let mut rows: BTreeMap<u64, Report> = BTreeMap::new();
        for (id, kept) in std::mem::take(&mut self.kept) {
            for point in [kept.least, kept.greatest, Some(kept.last)].into_iter().flatten() {
                let Point { order, step, time_us, source, value } = point;
                let row = rows.entry(order).or_insert(Report { step, time_us, source, values: Vec::new() });
                if row.values.last().is_none_or(|(last, _)| *last != id) {
                    row.values.push((id, value));
                }
            }
        }
        rows.into_values().collect()
    }
}

fn keep(slot: &mut Option<Point>, point: Point, is_better: impl Fn(f64, f64) -> bool) {
    if slot.is_none_or(|old| is_better(point.value, old.value)) {
        *slot = Some(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_the_greatest_and_the_last_stay() {
        let mut thinner = Thinner::default();
        for (order, value) in [3.0, 1.0, f64::NAN, 9.0, 2.0].into_iter().enumerate() {
            let step = order as i64;
            thinner.take(
                &Report { step, time_us: 0, source: 0, values: vec![(0, value), (1, -1.0)] },
                order as u64,
            );
        }
        let rows: Vec<_> = thinner.drain().into_iter().map(|row| (row.step, row.values)).collect();
        assert_eq!(
            rows,
            [(0, vec![(1, -1.0)]), (1, vec![(0, 1.0)]), (3, vec![(0, 9.0)]), (4, vec![(0, 2.0), (1, -1.0)])]
        );
        assert!(thinner.is_empty());
    }
}
