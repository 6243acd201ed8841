//! The gain rule: the value that a stopped run would have had at its full length, as far as the others tell.
//!
//! ```text
//! g_k = median, over the runs that reached rung k + 1, of (value there - value at rung k); 0 while there is none
//! a run stopped at rung k counts as its value at k + sum of g_j over j >= k
//! ```
//!
//! A run that came to its end by itself is one rung further with its end than with its last rung. All values are to be
//! minimised. What counts is for a model alone: what people see of a stopped run is its own value. To be made anew at
//! every fit, since every run that goes on tells more.

/// What a run showed on its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Its value so far at the rungs it reached, (number of the rung from 0, value), ascending.
    pub rungs: Vec<(usize, f64)>,
    /// The value of a run that came to its end by itself.
    pub end: Option<f64>,
}

/// What runs gain from one rung to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gains(Vec<f64>);

impl Gains {
    /// The gains that all runs so far show: stopped, failed and running ones too.
    pub fn of<'a>(courses: impl IntoIterator<Item = &'a Course>) -> Gains {
        let mut steps: Vec<Vec<f64>> = Vec::new();
        let mut gained = |rung: usize, gain: f64| {
            if steps.len() <= rung {
                steps.resize_with(rung + 1, Vec::new);
            }
            steps[rung].extend(Some(gain).filter(|gain| gain.is_finite()));
        };
        for course in courses {
            for pair in course.rungs.windows(2) {
                if let [(rung, before), (next, after)] = pair
                    && rung + 1 == *next
                {
                    gained(*rung, after - before);
                }
            }
            if let (Some((rung, before)), Some(end)) = (course.rungs.last(), course.end) {
                gained(*rung, end - before);
            }
        }
        Gains(steps.into_iter().map(|mut gains| median(&mut gains)).collect())
    }

    /// The gain from rung k to the next, by k.
    pub fn each(&self) -> &[f64] {
        &self.0
    }

    /// What a stopped run counts as. `shown`: its own value; `best_counts`: it is its best, and so stays its at least.
    ///
    /// A run that was stopped before its first rung starts from `shown` there.
    pub fn full_length(&self, course: &Course, shown: f64, best_counts: bool) -> f64 {
        let (rung, value) = course.rungs.last().copied().unwrap_or((0, shown));
        let full = value + self.0.get(rung..).unwrap_or_default().iter().sum::<f64>();
        if best_counts { full.min(shown) } else { full }
    }
}

/// 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values {
        [] => 0.0,
        _ if values.len() % 2 == 1 => values[half],
        _ => values[half - 1] + (values[half] - values[half - 1]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(values: &[f64], end: Option<f64>) -> Course {
        Course { rungs: values.iter().copied().enumerate().collect(), end }
    }

    /// Rungs 1, 3, 9 of 27. Gains 0 -> 1: -0.5, -0.25, -0.125, -0.25, the middle ones -0.25; 1 -> 2: -0.25, -0.125, the
    /// middle -0.1875; 2 -> end: -0.0625.
    #[test]
    fn gains_are_medians_from_rung_to_rung() {
        let whole = course(&[1.0, 0.5, 0.25], Some(0.1875));
        let second = course(&[1.0, 0.75], None);
        let third = course(&[0.875, 0.75, 0.625], None);
        let fourth = course(&[2.0, 1.75], None);
        let first = course(&[2.0], None);
        let gains = Gains::of([&whole, &second, &third, &fourth, &first]);
        assert_eq!(gains.each(), [-0.25, -0.1875, -0.0625]);
        assert_eq!(gains.full_length(&first, 2.0, true), 2.0 - 0.5);
        assert_eq!(gains.full_length(&second, 0.75, true), 0.75 - 0.25);
        assert_eq!(gains.full_length(&third, 0.625, true), 0.5625);
        assert_eq!(gains.full_length(&third, 0.5, true), 0.5, "it had more already when its stop came");
        assert_eq!(gains.full_length(&Course::default(), 3.0, true), 2.5, "stopped before any rung");
    }

    #[test]
    fn what_nobody_showed_is_no_gain() {
        let alone = course(&[0.7], None);
        assert_eq!(Gains::of([&alone]).each(), [] as [f64; 0]);
        assert_eq!(Gains::default().full_length(&alone, 0.7, true), 0.7);
        // who jumped over a rung tells nothing of it
        let jumped = Course { rungs: vec![(0, 1.0), (2, 0.5)], end: Some(0.25) };
        let gains = Gains::of([&jumped, &alone]);
        assert_eq!(gains.each(), [0.0, 0.0, -0.25]);
        assert_eq!(gains.full_length(&alone, 0.7, true), 0.7 - 0.25);
        let odd = course(&[f64::MAX, -f64::MAX], None);
        assert_eq!(Gains::of([&odd]).each(), [0.0], "an infinite gain is none");
    }

    #[test]
    fn curves_that_rise_count_where_the_last_value_does() {
        let gains = Gains::of([&course(&[0.5, 0.75], Some(0.75))]);
        let stopped = course(&[0.5], None);
        assert_eq!(gains.full_length(&stopped, 0.5, false), 0.75);
        assert_eq!(gains.full_length(&stopped, 0.5, true), 0.5);
    }
}
