//! The normal distribution's functions in the logarithm, stable far out in the tails.
//!
//! - [A23] S. Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023:
//!   log h(z), h(z) = phi(z) + z Phi(z), split at z = -1.
//! - [DLMF] NIST Digital Library of Mathematical Functions, 7.12.1: the asymptotic series of erfc.

use libm::{erfc, exp, log, log1p};

const SQRT_HALF_PI: f64 = 1.253_314_137_315_500_3;
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// From here on the asymptotic series is exact to the last digits.
const FAR: f64 = 25.0;

/// exp(x^2) erfc(x) for x >= 0.
fn scaled_erfc(x: f64) -> f64 {
    const INV_SQRT_PI: f64 = 0.564_189_583_547_756_3;
    const SERIES_FROM: f64 = 10.0;
    const TERMS: u32 = 12;
    if x < SERIES_FROM {
        return exp(x * x) * erfc(x);
    }
    // [DLMF 7.12.1]: 1 / (x sqrt pi) * sum_k (-1)^k (2k-1)!! / (2 x^2)^k
    let y = 0.5 / (x * x);
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..TERMS {
        term *= -f64::from(2 * k - 1) * y;
        sum += term;
    }
    INV_SQRT_PI / x * sum
}

/// ln Phi(z).
pub(crate) fn log_cdf(z: f64) -> f64 {
    if z > 0.0 {
        log1p(-0.5 * erfc(z * SQRT_HALF))
    } else if z > -1.0 {
        log(0.5 * erfc(-z * SQRT_HALF))
    } else {
        -0.5 * z * z + log(0.5 * scaled_erfc(-z * SQRT_HALF))
    }
}

/// ln h(z), h(z) = phi(z) + z Phi(z): the logarithm of the expected improvement of a unit normal [A23].
pub(crate) fn log_h(z: f64) -> f64 {
    if z > -1.0 {
        let density = exp(-0.5 * z * z - HALF_LN_TAU);
        return log(density + z * 0.5 * erfc(-z * SQRT_HALF));
    }
    let a = -z;
    let bracket = if a < FAR {
        log1p(-a * SQRT_HALF_PI * scaled_erfc(a * SQRT_HALF))
    } else {
        // 1 - a m(a), m Mills' ratio: sum_k>=1 (-1)^(k+1) (2k-1)!! / a^(2k) = 1/a^2 (1 - 3/a^2 + 15/a^4 - ..)
        let y = 1.0 / (a * a);
        log(y) + log1p(y * (-3.0 + y * (15.0 + y * (-105.0 + y * (945.0 - y * 10395.0)))))
    };
    -0.5 * z * z - HALF_LN_TAU + bracket
}

/// d ln h / dz = Phi(z) / h(z).
pub(crate) fn log_h_slope(z: f64) -> f64 {
    exp(log_cdf(z) - log_h(z))
}

/// d ln Phi / dz = phi(z) / Phi(z).
pub(crate) fn log_cdf_slope(z: f64) -> f64 {
    exp(-0.5 * z * z - HALF_LN_TAU - log_cdf(z))
}
