//! Special functions: the normal and the beta distribution and their quantiles.
//!
//! Everything is made of `+ - * /`, `sqrt` and `libm`, never of the machine's own mathematics, so that a proposal has
//! the same bits everywhere. Accuracy is about 1e-14 relative.
//!
//! - [W88] M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37
//!   (1988) 477-484: `z(u)`, with the coefficients of its PPND16.
//! - [L76] W. J. Lentz, "Generating Bessel functions in Mie scattering calculations using continued fractions", Applied
//!   Optics 15 (1976) 668-671, in the modified form of Thompson and Barnett (1986): the evaluation of a fraction.
//! - [DLMF] NIST Digital Library of Mathematical Functions, 8.17.22: the fraction of the incomplete beta function.

use libm::{erfc, exp, lgamma, log, log1p};

/// The standard normal's distribution function.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Horner's rule, the highest power's coefficient first.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// The standard normal's quantile [W88, PPND16]; 0 < u < 1.
pub fn normal_quantile(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * polynomial(&CENTRE.0, r) / polynomial(&CENTRE.1, r);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    let r = (-log(tail)).sqrt();
    let (coefficients, x) = if r <= 5.0 { (&MIDDLE, r - 1.6) } else { (&FAR, r - 5.0) };
    let z = polynomial(&coefficients.0, x) / polynomial(&coefficients.1, x);
    if q < 0.0 { -z } else { z }
}

/// Numerator and denominator, the highest power first.
type Rational = ([f64; 8], [f64; 8]);

/// [W88]: |u - 1/2| <= 0.425, in r = 0.180625 - (u - 1/2)^2.
#[expect(clippy::excessive_precision, reason = "as the paper prints them")]
const CENTRE: Rational = (
    [
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ],
    [
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ],
);

/// [W88]: r = sqrt(-ln tail) up to 5, in r - 1.6.
#[expect(clippy::excessive_precision, reason = "as the paper prints them")]
const MIDDLE: Rational = (
    [
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ],
    [
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ],
);

/// [W88]: further out, in r - 5.
#[expect(clippy::excessive_precision, reason = "as the paper prints them")]
const FAR: Rational = (
    [
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ],
    [
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ],
);

/// The distribution function of beta(a, b): the regularised incomplete beta function I_x(a, b); a, b >= 0. A parameter
/// of 0 is the limit: all mass at 0 (a = 0) or 1 (b = 0), half of it at each end when both are.
pub(super) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x >= 1.0 {
        return 1.0;
    }
    if x < 0.0 {
        return 0.0;
    }
    if a == 0.0 || b == 0.0 {
        return if a > 0.0 {
            0.0
        } else if b > 0.0 {
            1.0
        } else {
            0.5
        };
    }
    if x == 0.0 {
        return 0.0;
    }
    let front = exp(ln_beta_power(x, a, b));
    // I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * fraction [DLMF 8.17.22], which converges fast left of the mean; right of
    // it I_x(a, b) = 1 - I_{1-x}(b, a).
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

/// ln( x^a (1-x)^b / B(a, b) )
fn ln_beta_power(x: f64, a: f64, b: f64) -> f64 {
    a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)
}

/// The continued fraction of [DLMF 8.17.22] by [L76].
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const ENOUGH: f64 = 1e-16;
    const TERMS: u32 = 20_000;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..=TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= ENOUGH * fraction.abs() {
            break;
        }
    }
    fraction
}

/// The quantile of beta(a, b): Newton's steps inside a bracket; where one leaves it, or they take too long, the bracket
/// is halved by bit pattern, which ends after 62 halvings whatever the shape.
pub(super) fn beta_quantile(u: f64, a: f64, b: f64) -> f64 {
    const NEWTON: u32 = 24;
    const STEPS: u32 = 100;
    if a == 0.0 || b == 0.0 {
        return if a > 0.0 || (b == 0.0 && u > 0.5) { 1.0 } else { 0.0 };
    }
    let (mut low, mut high) = (0.0f64, 1.0f64);
    let mut x = a / (a + b);
    for step in 0..STEPS {
        let miss = beta_cdf(x, a, b) - u;
        if miss == 0.0 {
            return x;
        }
        if miss < 0.0 {
            low = x;
        } else {
            high = x;
        }
        if high.to_bits() - low.to_bits() <= 1 {
            break;
        }
        // the density: x^(a-1) (1-x)^(b-1) / B(a, b)
        let density = exp(ln_beta_power(x, a, b)) / (x * (1.0 - x));
        let newton = x - miss / density;
        if (newton - x).abs() <= f64::EPSILON * x {
            break;
        }
        x = if step < NEWTON && newton > low && newton < high {
            newton
        } else {
            f64::from_bits(low.to_bits() + (high.to_bits() - low.to_bits()) / 2)
        };
    }
    x
}
