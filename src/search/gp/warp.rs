//! What the model sees of a value: standardised, bent by Yeo and Johnson's power so that a few terrible values do not
//! hide the differences between good ones, and standardised again.
//!
//! Values far worse than most are tamed first. All of it is monotone: it never changes which of two values is better.
//!
//! - [YJ00] I.-K. Yeo and R. A. Johnson, "A new family of power transformations to improve normality or symmetry",
//!   Biometrika 87 (2000) 954-959: the transform, and its likelihood in lambda.

use libm::{exp, expm1, log, log1p};
use serde::{Deserialize, Serialize};

/// lambda is sought in [-BOUND, BOUND].
const BOUND: f64 = 4.0;
/// Steps of the golden section.
const STEPS: u32 = 60;
/// Fewer distinct values are only centred.
const DISTINCT: usize = 3;

/// y -> (yj((t - centre) / scale; lambda) - mean) / sd, t the tamed y
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warp {
    knee: f64,
    bend: f64,
    centre: f64,
    scale: f64,
    lambda: f64,
    mean: f64,
    sd: f64,
}

/// Mean and population standard deviation; values near the ends of the floats do not overflow.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|y| y / count).sum::<f64>();
    let widest = values.iter().map(|y| (y / 2.0 - mean / 2.0).abs()).fold(0.0, f64::max);
    if widest == 0.0 {
        return (mean, 0.0);
    }
    let squares = values.iter().map(|y| (y / 2.0 - mean / 2.0) / widest).map(|r| r * r / count).sum::<f64>();
    (mean, (2.0 * widest * squares.sqrt()).min(f64::MAX))
}

/// Yeo and Johnson's transform [YJ00, eq. 2.1].
pub(crate) fn yeo_johnson(x: f64, lambda: f64) -> f64 {
    // ((1 + a)^p - 1) / p, ln(1 + a) at p = 0
    let power = |a: f64, p: f64| if p == 0.0 { log1p(a) } else { expm1(p * log1p(a)) / p };
    if x >= 0.0 { power(x, lambda) } else { -power(-x, 2.0 - lambda) }
}

/// Its inverse; what lies beyond its range becomes infinite.
fn inverse_yeo_johnson(t: f64, lambda: f64) -> f64 {
    let root = |b: f64, p: f64| {
        if p == 0.0 {
            expm1(b)
        } else if 1.0 + p * b <= 0.0 {
            f64::INFINITY
        } else {
            expm1(log1p(p * b) / p)
        }
    };
    if t >= 0.0 { root(t, lambda) } else { -root(-t, 2.0 - lambda) }
}

/// The normal log likelihood of the transformed values, without constants [YJ00, eq. 3.1].
pub(crate) fn log_likelihood(standardised: &[f64], lambda: f64) -> f64 {
    let transformed: Vec<f64> = standardised.iter().map(|x| yeo_johnson(*x, lambda)).collect();
    let (_, sd) = moments(&transformed);
    let jacobian: f64 = standardised.iter().map(|x| x.signum() * log1p(x.abs())).sum();
    -(standardised.len() as f64) * log(sd) + (lambda - 1.0) * jacobian
}

/// The lambda of the largest likelihood, by golden section.
pub(crate) fn best_lambda(standardised: &[f64]) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_8;
    let score = |lambda: f64| {
        let value = log_likelihood(standardised, lambda);
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    };
    let (mut low, mut high) = (-BOUND, BOUND);
    let (mut a, mut b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_a, mut at_b) = (score(a), score(b));
    for _ in 0..STEPS {
        if at_a >= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - GOLDEN * (high - low);
            at_a = score(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + GOLDEN * (high - low);
            at_b = score(b);
        }
    }
    0.5 * (low + high)
}

impl Warp {
    /// The warp of some finite values.
    pub(crate) fn fit(values: &[f64]) -> Warp {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (knee, bend) = knee(&sorted);
        sorted.dedup();
        let values: Vec<f64> = values.iter().map(|y| tame(*y, knee, bend)).collect();
        let values = &values[..];
        let (centre, scale) = moments(values);
        let plain = Warp { knee, bend, centre, scale: 1.0, lambda: 1.0, mean: 0.0, sd: 1.0 };
        if scale == 0.0 || !scale.is_finite() {
            return plain;
        }
        let standard = Warp { scale, ..plain };
        if sorted.len() < DISTINCT {
            return standard;
        }
        let standardised: Vec<f64> = values.iter().map(|y| standard.of_tame(*y)).collect();
        let bent = Warp { lambda: best_lambda(&standardised), ..standard };
        let transformed: Vec<f64> = values.iter().map(|y| bent.of_tame(*y)).collect();
        let (mean, sd) = moments(&transformed);
        if sd > 0.0 && sd.is_finite() && mean.is_finite() { Warp { mean, sd, ..bent } } else { standard }
    }

    /// The warped value.
    pub(crate) fn of(&self, y: f64) -> f64 {
        self.of_tame(tame(y, self.knee, self.bend))
    }

    fn of_tame(&self, y: f64) -> f64 {
        let x = (y / 2.0 - self.centre / 2.0) / self.scale * 2.0;
        (yeo_johnson(x, self.lambda) - self.mean) / self.sd
    }

    /// The value of a warped one.
    pub(crate) fn inverse(&self, t: f64) -> f64 {
        let y = inverse_yeo_johnson(t * self.sd + self.mean, self.lambda) * self.scale + self.centre;
        if y > self.knee { self.knee + self.bend * expm1((y - self.knee) / self.bend) } else { y }
    }
}

/// Values are tamed from so many spreads above the third quartile on ..
const KNEE: f64 = 50.0;
/// .. and lie at most so many times 50 spreads beyond it.
const FURTHEST: f64 = 1.0;

/// Where values begin to be tamed, and by how much: the spread is from the best to the third quartile.
fn knee(sorted: &[f64]) -> (f64, f64) {
    let (Some(best), Some(quartile)) = (sorted.first(), sorted.get(sorted.len() * 3 / 4)) else {
        return (f64::MAX, 1.0);
    };
    let spread = quartile - best;
    let knee = quartile + KNEE * spread;
    if spread > 0.0 && knee.is_finite() { (knee, spread * KNEE) } else { (f64::MAX, 1.0) }
}

/// Beyond the knee a value grows as a logarithm, up to a point: a run that diverged to 1e300 leaves the others their
/// differences.
fn tame(y: f64, knee: f64, bend: f64) -> f64 {
    if y > knee { knee + bend * log1p((y - knee) / bend).min(FURTHEST) } else { y }
}

/// Of a constraint: divided by its standard deviation, beyond three of them bent by a logarithm; the sign stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bend {
    scale: f64,
}

impl Bend {
    /// Linear up to here.
    const KNEE: f64 = 3.0;

    /// The bend of some finite values.
    pub(crate) fn fit(values: &[f64]) -> Bend {
        let (_, sd) = moments(values);
        Bend { scale: if sd > 0.0 && sd.is_finite() { sd } else { 1.0 } }
    }

    /// The bent value.
    pub(crate) fn of(&self, c: f64) -> f64 {
        let x = c / self.scale;
        let beyond = x.abs() - Self::KNEE;
        if beyond > 0.0 { x.signum() * (Self::KNEE + log1p(beyond)) } else { x }
    }

    /// The value of a bent one.
    pub(crate) fn inverse(&self, t: f64) -> f64 {
        let beyond = t.abs() - Self::KNEE;
        let x = if beyond > 0.0 { t.signum() * (Self::KNEE + exp(beyond) - 1.0) } else { t };
        x * self.scale
    }
}
