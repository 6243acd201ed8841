//! exp(x) for x <= 0, over and over: made of `+ - *` and bit patterns alone, so that a loop of it is vectorised and its
//! bits are the same everywhere.
//!
//! x = k ln 2 + r with |r| <= ln(2) / 2 (ln 2 in two parts, so that r keeps its digits), exp(r) by its series to r^13,
//! and 2^k by the exponent's bits. Accuracy is 1e-15 relative; below -708 it is 0.

const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding and taking away this rounds to the nearest integer, which stands in the lowest bits in between.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LEAST: f64 = -708.0;
/// 1 / k!, from 13 down to 2.
const SERIES: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// exp(x), x <= 0.
#[inline(always)]
pub(crate) fn exp_negative(x: f64) -> f64 {
    let inside = if x > LEAST { x } else { LEAST };
    let shifted = inside * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (inside - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut sum = SERIES[0];
    for c in &SERIES[1..] {
        sum = sum * r + c;
    }
    let of_r = (sum * r + 1.0) * r + 1.0;
    // the integer k in the lowest bits, moved to the exponent beside its bias
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x > LEAST { of_r * power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_exact_function() {
        for i in 0..70_000 {
            let x = -0.01 * f64::from(i) - 1e-3;
            let exact = libm::exp(x);
            assert!((exp_negative(x) - exact).abs() <= 2e-15 * exact, "{x}");
        }
        assert_eq!(exp_negative(0.0), 1.0);
        assert_eq!(exp_negative(-0.0), 1.0);
        assert_eq!(exp_negative(-1e300), 0.0);
        assert_eq!(exp_negative(f64::NEG_INFINITY), 0.0);
    }
}
