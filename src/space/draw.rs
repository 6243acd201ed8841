//! From a number u of the unit interval to a value and back, for every distribution.
//!
//! `ppf` is W&B's own mapping, so that a sweep file means here what it means there. u never is 0 or 1 (it is clamped
//! to [2^-53, 1-2^-53]), results never leave the bounds by rounding, and no result is infinite. `cdf` is the mapping
//! that models use; right of a quantised value's own step it is not the inverse of `ppf`, as in W&B's library.

use crate::space::special::{beta_cdf, beta_quantile, normal_cdf, normal_quantile};
use crate::space::value::same_key;
use crate::space::{Coordinate, Distribution, Step, Value};
use libm::{exp, log};

/// u is kept within [EDGE, 1 - EDGE].
const EDGE: f64 = 1.0 / (1u64 << 53) as f64;
/// How far, in steps, a written number may lie beside a multiple of the step.
pub(super) const STEP_TOLERANCE: f64 = 1e-9;

impl Distribution {
    /// The value at `u`.
    pub fn ppf(&self, u: f64) -> Coordinate {
        let u = if u.is_nan() { 0.5 } else { u.clamp(EDGE, 1.0 - EDGE) };
        match self {
            Distribution::Constant { .. } => Coordinate::Choice(0),
            Distribution::Categorical { values } => {
                Coordinate::Choice(u32::try_from(kth(u, values.len() as u128)).unwrap_or(u32::MAX))
            }
            Distribution::CategoricalWithProbabilities { probabilities, .. } => {
                Coordinate::Choice(weighted(u, probabilities))
            }
            Distribution::IntUniform { min, max } => {
                let k = kth(u, int_count(*min, *max));
                Coordinate::Integer(i64::try_from(i128::from(*min) + k as i128).unwrap_or(*max))
            }
            _ => quantise(self.quantile(u), self.step()),
        }
    }

    /// Where a value lies in the unit interval, for a model: the table's `cdf`. 0.5 for what is absent.
    pub fn cdf(&self, at: Coordinate) -> f64 {
        match (self, at) {
            (Distribution::Categorical { values }, Coordinate::Choice(i)) => {
                (f64::from(i) + 1.0) / values.len() as f64
            }
            (Distribution::CategoricalWithProbabilities { probabilities, .. }, Coordinate::Choice(i)) => {
                probabilities.iter().take(i as usize + 1).sum::<f64>().min(1.0)
            }
            (Distribution::IntUniform { min, max }, Coordinate::Integer(x)) => {
                let above = (i128::from(x) - i128::from(*min) + 1) as f64;
                (above / int_count(*min, *max) as f64).clamp(0.0, 1.0)
            }
            _ => at.number().map_or(0.5, |x| self.unit(x)),
        }
    }

    /// Whether it can be a parent in `when`: its values can be told apart one by one.
    pub fn is_discrete(&self) -> bool {
        matches!(
            self,
            Distribution::Constant { .. }
                | Distribution::Categorical { .. }
                | Distribution::CategoricalWithProbabilities { .. }
                | Distribution::IntUniform { .. }
                | Distribution::QUniform { .. }
        )
    }

    /// Whether it has one value only.
    pub fn is_constant(&self) -> bool {
        matches!(self, Distribution::Constant { .. })
    }

    /// The value that a coordinate stands for; none for an absent one or a choice there is not.
    pub fn value(&self, at: Coordinate) -> Option<Value> {
        match at {
            Coordinate::Absent => None,
            Coordinate::Integer(i) => Some(Value::Int(i)),
            Coordinate::Number(x) => Some(Value::Float(x)),
            Coordinate::Choice(i) => self.choices().get(i as usize).cloned(),
        }
    }

    /// The coordinate of a written value, if it can occur: one of `values` (the last one equal to it), a number inside
    /// the bounds, and on a step where there are steps.
    pub fn coordinate(&self, value: &Value) -> Option<Coordinate> {
        match self {
            Distribution::Constant { .. }
            | Distribution::Categorical { .. }
            | Distribution::CategoricalWithProbabilities { .. } => {
                let key = same_key(value);
                let found = self.choices().iter().rposition(|choice| same_key(choice) == key)?;
                Some(Coordinate::Choice(u32::try_from(found).ok()?))
            }
            Distribution::IntUniform { min, max } => {
                let i = integer(value)?;
                (*min <= i && i <= *max).then_some(Coordinate::Integer(i))
            }
            _ => self.quantity(value),
        }
    }

    /// Whether a coordinate can occur.
    pub fn contains(&self, at: Coordinate) -> bool {
        self.value(at).is_some_and(|value| self.coordinate(&value).is_some())
    }

    /// The values of a choice; none for numbers.
    pub(super) fn choices(&self) -> &[Value] {
        match self {
            Distribution::Constant { value } => std::slice::from_ref(value),
            Distribution::Categorical { values }
            | Distribution::CategoricalWithProbabilities { values, .. } => values,
            _ => &[],
        }
    }

    /// The step of a quantised distribution.
    pub fn step(&self) -> Option<Step> {
        match self {
            Distribution::QUniform { q, .. }
            | Distribution::QLogUniform { q, .. }
            | Distribution::QLogUniformValues { q, .. }
            | Distribution::QNormal { q, .. }
            | Distribution::QLogNormal { q, .. }
            | Distribution::QBeta { q, .. } => Some(*q),
            _ => None,
        }
    }

    fn quantity(&self, value: &Value) -> Option<Coordinate> {
        let x = value.number().filter(|x| x.is_finite())?;
        let (low, high) = self.support();
        let Some(step) = self.step() else {
            return (low <= x && x <= high).then_some(Coordinate::Number(x));
        };
        if let Some(at) = self.arange_element(x) {
            return Some(at);
        }
        let q = step.size();
        let nearest = (x / q).round_ties_even() * q;
        let (first, last) = (multiple(low, q).min(low), multiple(high, q).max(high));
        let slack = STEP_TOLERANCE * q;
        if (x - nearest).abs() > slack || x < first - slack || x > last + slack {
            return None;
        }
        match step {
            Step::Int(_) => Some(Coordinate::Integer(nearest as i64)),
            Step::Float(_) => Some(Coordinate::Number(x)),
        }
    }

    /// Of `q_uniform`: a grid's elements count from `min`, not in multiples of q.
    fn arange_element(&self, x: f64) -> Option<Coordinate> {
        let Distribution::QUniform { min, max, q, integral } = self else { return None };
        let steps = ((x - min) / q.size()).round_ties_even();
        let near = (min + steps * q.size() - x).abs() <= STEP_TOLERANCE * q.size();
        if !near || x < *min || x >= *max {
            return None;
        }
        let lies_on_multiple = (multiple(x, q.size()) - x).abs() <= STEP_TOLERANCE * q.size();
        match q {
            Step::Int(_) if *integral || lies_on_multiple => {
                Some(Coordinate::Integer(x.round_ties_even() as i64))
            }
            _ => Some(Coordinate::Number(x)),
        }
    }

    /// The least and the greatest value before quantising.
    fn support(&self) -> (f64, f64) {
        match *self {
            Distribution::Uniform { min, max }
            | Distribution::QUniform { min, max, .. }
            | Distribution::LogUniformValues { min, max }
            | Distribution::QLogUniformValues { min, max, .. }
            | Distribution::InvLogUniformValues { min, max } => (min, max),
            Distribution::LogUniform { min, max } | Distribution::QLogUniform { min, max, .. } => {
                (finite(exp(min)), finite(exp(max)))
            }
            Distribution::InvLogUniform { min, max } => (finite(exp(-max)), finite(exp(-min))),
            Distribution::LogNormal { .. } | Distribution::QLogNormal { .. } => (0.0, f64::MAX),
            Distribution::Beta { .. } | Distribution::QBeta { .. } => (0.0, 1.0),
            _ => (f64::MIN, f64::MAX),
        }
    }

    /// The quantile of a number's distribution, before quantising.
    fn quantile(&self, u: f64) -> f64 {
        let x = match *self {
            Distribution::Uniform { min, max } | Distribution::QUniform { min, max, .. } => {
                between(min, max, u)
            }
            Distribution::LogUniform { min, max } | Distribution::QLogUniform { min, max, .. } => {
                exp(between(min, max, u))
            }
            Distribution::LogUniformValues { min, max }
            | Distribution::QLogUniformValues { min, max, .. } => exp(between(log(min), log(max), u)),
            Distribution::InvLogUniform { min, max } => exp(-between(min, max, 1.0 - u)),
            Distribution::InvLogUniformValues { min, max } => exp(-between(-log(max), -log(min), 1.0 - u)),
            Distribution::Normal { mu, sigma } | Distribution::QNormal { mu, sigma, .. } => {
                mu + sigma * normal_quantile(u)
            }
            Distribution::LogNormal { mu, sigma } | Distribution::QLogNormal { mu, sigma, .. } => {
                exp(mu + sigma * normal_quantile(u))
            }
            Distribution::Beta { a, b } | Distribution::QBeta { a, b, .. } => beta_quantile(u, a, b),
            Distribution::Constant { .. }
            | Distribution::Categorical { .. }
            | Distribution::CategoricalWithProbabilities { .. }
            | Distribution::IntUniform { .. } => u,
        };
        let (low, high) = self.support();
        x.max(low).min(high)
    }

    /// The distribution function of a number's distribution, before quantising.
    fn unit(&self, x: f64) -> f64 {
        let share = match *self {
            Distribution::Uniform { min, max } | Distribution::QUniform { min, max, .. } => {
                within(min, max, x)
            }
            Distribution::LogUniform { min, max } | Distribution::QLogUniform { min, max, .. } => {
                within(min, max, log(x.max(0.0)))
            }
            Distribution::LogUniformValues { min, max }
            | Distribution::QLogUniformValues { min, max, .. } => within(log(min), log(max), log(x.max(0.0))),
            Distribution::InvLogUniform { min, max } => 1.0 - within(min, max, -log(x.max(0.0))),
            Distribution::InvLogUniformValues { min, max } => {
                1.0 - within(-log(max), -log(min), -log(x.max(0.0)))
            }
            Distribution::Normal { mu, sigma } | Distribution::QNormal { mu, sigma, .. } => {
                normal_share(x, mu, sigma)
            }
            Distribution::LogNormal { mu, sigma } | Distribution::QLogNormal { mu, sigma, .. } => {
                normal_share(log(x.max(0.0)), mu, sigma)
            }
            Distribution::Beta { a, b } | Distribution::QBeta { a, b, .. } => beta_cdf(x, a, b),
            Distribution::Constant { .. }
            | Distribution::Categorical { .. }
            | Distribution::CategoricalWithProbabilities { .. }
            | Distribution::IntUniform { .. } => 0.5,
        };
        share.clamp(0.0, 1.0)
    }
}

impl Step {
    /// Its size.
    pub fn size(self) -> f64 {
        match self {
            Step::Int(q) => q as f64,
            Step::Float(q) => q,
        }
    }
}

/// How many integers lie in [min, max].
pub(super) fn int_count(min: i64, max: i64) -> u128 {
    (i128::from(max) - i128::from(min) + 1).max(1) as u128
}

/// The integer a value is, `3.0` too.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) => Some(*i),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 9.2e18 => Some(*x as i64),
        _ => None,
    }
}

/// ceil(u n) - 1, one less where rounding made it too large, inside 0..n.
fn kth(u: f64, n: u128) -> u128 {
    let count = n as f64;
    let mut k = (u * count).ceil() - 1.0;
    if k / count >= u {
        k -= 1.0;
    }
    (k.max(0.0) as u128).min(n.saturating_sub(1))
}

/// The first index whose cumulated probability exceeds u; the last with any probability where rounding leaves none.
fn weighted(u: f64, probabilities: &[f64]) -> u32 {
    let mut sum = 0.0;
    let mut last = 0;
    for (i, p) in (0u32..).zip(probabilities) {
        sum += p;
        if *p > 0.0 {
            last = i;
        }
        if u < sum {
            return i;
        }
    }
    last
}

/// min + u (max - min), for widths beyond the largest float too.
fn between(min: f64, max: f64, u: f64) -> f64 {
    let width = max - min;
    if width.is_finite() { min + u * width } else { min * (1.0 - u) + max * u }
}

/// (x - min) / (max - min)
fn within(min: f64, max: f64, x: f64) -> f64 {
    if (max - min).is_finite() {
        (x - min) / (max - min)
    } else {
        (x / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0)
    }
}

fn normal_share(x: f64, mu: f64, sigma: f64) -> f64 {
    if sigma > 0.0 { normal_cdf((x - mu) / sigma) } else { f64::from(u8::from(x >= mu)) }
}

fn multiple(x: f64, q: f64) -> f64 {
    finite((x / q).round_ties_even() * q)
}

fn finite(x: f64) -> f64 {
    x.clamp(f64::MIN, f64::MAX)
}

/// Q(x): an integer where the step is one (at the ends of i64 where it lies beyond).
fn quantise(x: f64, step: Option<Step>) -> Coordinate {
    match step {
        None => Coordinate::Number(x),
        Some(Step::Int(q)) => Coordinate::Integer(multiple(x, q as f64) as i64),
        Some(Step::Float(q)) => Coordinate::Number(multiple(x, q) + 0.0),
    }
}
