//! `curve`: a run stops when its learning curve, carried on to its full length, will hardly beat the best trial.
//!
//! ```text
//! value(t) = c + a t^-b     by least squares, b from a grid, a >= 0; t: the step; values to be minimised
//! P = Phi((best - value(T)) / sqrt(s^2 + drift^2))     T: the full length
//! s: root mean square of the residuals of the last half     drift: |value(T) - last value| / 2
//! ```
//!
//! The run stops where P is below [`CHANCE`]. Of a long curve at most [`MOST`] values are kept, evenly: a verdict takes
//! the same time however long it is.

use crate::stopping::alone::Own;
use crate::stopping::{Evidence, Measure};

/// A run with less chance than this to end as the best stops.
const CHANCE: f64 = 0.05;
/// Values that a forecast needs.
const FEWEST: u64 = 8;
/// Values that are kept of a curve.
const MOST: usize = 64;
/// Exponents that are tried: this many, from the first to the last, evenly in the logarithm.
const EXPONENTS: (usize, f64, f64) = (20, 0.05, 2.0);
/// The first step at which a run is judged where the file does not say: a fifth of its length.
pub fn first_forecast(max_iter: i64) -> i64 {
    max_iter / 5 + i64::from(max_iter % 5 > 0)
}

/// When to forecast, and for when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    /// The first step at which a run may be stopped.
    pub(super) after: i64,
    /// The step at which a run is at its end.
    pub(super) max_iter: i64,
}

/// A curve's finite values at steps above 0: every `stride`-th, and the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Points {
    count: u64,
    /// As a power of 2.
    stride: u32,
    /// (ln step, value to be minimised).
    kept: Vec<(f64, f64)>,
    last: Option<(i64, f64)>,
}

impl Own for Forecast {
    type Seen = Points;
    const COMPARES: bool = true;

    fn see(&self, seen: &mut Points, step: i64, value: f64, measure: Measure) {
        if !value.is_finite() || step < 1 {
            return;
        }
        let value = measure.minimised(value);
        if seen.count.is_multiple_of(1 << seen.stride) {
            seen.kept.push(((step as f64).ln(), value));
        }
        seen.count += 1;
        seen.last = Some((step, value));
        if seen.kept.len() > MOST {
            let mut nth = 0;
            seen.kept.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            seen.stride += 1;
        }
    }

    fn judge(&self, seen: &Points, best: f64, measure: Measure) -> Option<Evidence> {
        let (step, last) = seen.last?;
        if seen.count < FEWEST || step < self.after || step >= self.max_iter {
            return None;
        }
        let power = Power::fit(&seen.points());
        let end = power.at((self.max_iter as f64).ln());
        let chance = below(measure.minimised(best), end, power.spread.hypot((end - last) / 2.0));
        (chance < CHANCE).then(|| Evidence {
            rung: step,
            value: measure.minimised(end),
            threshold: best,
            count: seen.count,
            chance: Some(chance),
        })
    }
}

impl Points {
    fn points(&self) -> Vec<(f64, f64)> {
        let last = self.last.map(|(step, value)| ((step as f64).ln(), value));
        let mut points = self.kept.clone();
        points.extend(last.filter(|last| points.last() != Some(last)));
        points
    }
}

/// P(x < bound) of a normal x. Without spread: 1 unless `mean` is above the bound.
fn below(bound: f64, mean: f64, spread: f64) -> f64 {
    if spread > 0.0 {
        0.5 * libm::erfc((mean - bound) / spread * std::f64::consts::FRAC_1_SQRT_2)
    } else {
        f64::from(mean <= bound)
    }
}

/// c + a t^-b, and how far the last half of the values lies from it.
#[derive(Clone, Copy, Debug)]
struct Power {
    a: f64,
    b: f64,
    c: f64,
    spread: f64,
}

impl Power {
    fn at(&self, ln_t: f64) -> f64 {
        self.c + self.a * (-self.b * ln_t).exp()
    }

    /// The curve of least squares through (ln t, value); at least one point.
    fn fit(points: &[(f64, f64)]) -> Power {
        let (count, first, last) = EXPONENTS;
        let ratio = (last / first).ln() / (count - 1) as f64;
        let exponents = (0..count).map(|k| first * (ratio * k as f64).exp());
        let fits = exponents.map(|b| Power::with_exponent(points, b));
        let (_, best) = fits.min_by(|x, y| x.0.total_cmp(&y.0)).expect("some exponents are tried");
        let half = &points[points.len() / 2..];
        let squares: f64 = half.iter().map(|(ln_t, y)| (y - best.at(*ln_t)).powi(2)).sum();
        Power { spread: (squares / half.len() as f64).sqrt(), ..best }
    }

    /// a and c for one b: simple regression on x = t^-b. With the sum of squared residuals.
    fn with_exponent(points: &[(f64, f64)], b: f64) -> (f64, Power) {
        let n = points.len() as f64;
        let xs: Vec<f64> = points.iter().map(|(ln_t, _)| (-b * ln_t).exp()).collect();
        let x_mean = xs.iter().sum::<f64>() / n;
        let y_mean = points.iter().map(|(_, y)| y / n).sum::<f64>();
        let (mut xx, mut xy) = (0.0, 0.0);
        for (x, (_, y)) in xs.iter().zip(points) {
            xx += (x - x_mean).powi(2);
            xy += (x - x_mean) * (y - y_mean);
        }
        let a = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        let c = y_mean - a * x_mean;
        let residual = |(x, (_, y)): (&f64, &(f64, f64))| (y - c - a * x).powi(2);
        (xs.iter().zip(points).map(residual).sum(), Power { a, b, c, spread: 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stopping::{Rule, Sample};

    fn rule(curves: &[(&[f64], i64)], measure: Measure) -> Rule {
        let mut rule = Rule::curve(27, None, measure);
        for (trial, (values, stride)) in (1..).zip(curves) {
            for (k, value) in (1..).zip(*values) {
                let value = measure.minimised(*value);
                rule.observe(&Sample { at: 0, trial, attempt: 1, step: k * stride, value });
            }
        }
        rule
    }

    fn power(c: f64, a: f64, b: f64, n: i32) -> Vec<f64> {
        (1..=n).map(|t| c + a * f64::from(t).powf(-b)).collect()
    }

    #[test]
    fn fits_a_power_law_that_is_one() {
        let (count, first, last) = EXPONENTS;
        let b = first * ((last / first).ln() / (count - 1) as f64 * 9.0).exp();
        let points: Vec<(f64, f64)> =
            (1..=12).map(|t| (f64::from(t).ln(), 0.3 + 2.0 * f64::from(t).powf(-b))).collect();
        let fit = Power::fit(&points);
        assert!(
            (fit.a - 2.0).abs() < 1e-9 && (fit.b - b).abs() < 1e-12 && (fit.c - 0.3).abs() < 1e-9,
            "{fit:?}"
        );
        assert!(fit.spread < 1e-9);
        let rising: Vec<(f64, f64)> = (1..=9).map(|t| (f64::from(t).ln(), f64::from(t))).collect();
        let flat = Power::fit(&rising);
        assert_eq!((flat.a, flat.c), (0.0, 5.0), "a curve that gets worse is carried on at its mean");
    }

    /// Phi(-2) = 0.02275: the end 1.0, the best 0.8, no residuals, a drift of 0.1.
    #[test]
    fn the_chance_is_that_of_the_formula() {
        assert!((below(0.8, 1.0, 0.0f64.hypot(0.1)) - 0.022_750_131_948_179_21).abs() < 1e-15);
        assert_eq!([below(1.0, 1.0, 0.0), below(0.9, 1.0, 0.0), below(1.1, 1.0, 0.0)], [1.0, 0.0, 1.0]);
    }

    #[test]
    fn the_hopeless_stop_and_the_slow_go_on() {
        for maximize in [false, true] {
            let measure = Measure { maximize, last_counts: false };
            let (good, flat, slow) =
                (power(0.1, 1.0, 0.8, 9), power(0.9, 0.2, 1.0, 9), power(0.0, 1.2, 0.6, 9));
            let whole = rule(&[(&good, 1), (&flat, 1), (&slow, 1)], measure);
            assert_eq!(whole.verdict(1), None, "it leads");
            let evidence = whole.verdict(2).expect("0.9 is never near 0.27");
            let end = measure.minimised(evidence.value);
            assert!((0.89..0.92).contains(&end) && evidence.chance < Some(0.05), "{evidence:?}");
            assert_eq!((evidence.rung, evidence.count), (9, 9));
            assert_eq!(whole.verdict(3), None, "its end of 0.17 is better than 0.27");
        }
    }

    #[test]
    fn who_cannot_be_judged_goes_on() {
        let measure = Measure::default();
        let (good, flat) = (power(0.1, 1.0, 0.8, 9), power(0.9, 0.2, 1.0, 9));
        assert_eq!(rule(&[(&good, 1), (&flat, 1)], measure).verdict(2), None, "one other is nobody");
        let others =
            |last: &[f64], stride| rule(&[(&good, 1), (&flat, 1), (last, stride)], measure).verdict(3);
        assert_eq!(others(&flat[..7], 1), None, "7 values");
        assert!(others(&flat[..8], 1).is_some());
        assert_eq!(others(&flat, 3), None, "at the end there is nothing to save");
        assert_eq!(others(&[f64::NAN; 20], 1), None);
        assert_eq!(others(&[1e300; 20], 1).map(|evidence| evidence.value), Some(1e300));
    }

    #[test]
    fn a_long_curve_is_thinned_evenly() {
        let (mut seen, forecast) = (Points::default(), Forecast { after: 1, max_iter: 1_000_000 });
        (1..=10_000).for_each(|step| forecast.see(&mut seen, step, 1.0 / step as f64, Measure::default()));
        let points = seen.points();
        assert!(points.len() > MOST / 2 && points.len() <= MOST + 1, "{}", points.len());
        assert_eq!(points.last().map(|(ln_t, _)| ln_t.exp().round()), Some(10_000.0));
    }
}
