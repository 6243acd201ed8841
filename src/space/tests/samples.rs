//! Samples follow their distributions: Kolmogorov-Smirnov against closed forms (chi-square where values are discrete),
//! at the 1e-3 level with fixed seeds; and the streams' own golden values.

use rand::Rng;

use super::support::ints;
use crate::space::{Coordinate, Distribution, Step, Value, stream, uniform};

const SAMPLES: usize = 4000;

fn samples(distribution: &Distribution) -> Vec<Coordinate> {
    let mut rng = stream(20, "samples", 1);
    (0..SAMPLES).map(|_| distribution.ppf(uniform(&mut rng))).collect()
}

/// sup |F_n - F| stays below the Kolmogorov distribution's 0.999 quantile, 1.9495 / sqrt(n).
fn follows(distribution: &Distribution, cdf: impl Fn(f64) -> f64) {
    let mut xs: Vec<f64> = samples(distribution).iter().map(|at| at.number().unwrap()).collect();
    xs.sort_by(f64::total_cmp);
    let n = xs.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        let share = cdf(*x);
        (share - i as f64 / n).max((i as f64 + 1.0) / n - share)
    };
    let worst = xs.iter().enumerate().map(gap).fold(0.0, f64::max);
    assert!(worst < 1.9495 / n.sqrt(), "{distribution:?}: {worst}");
}

/// Chi-square over cells; `critical` is its 0.999 quantile for cells - 1.
fn counts(distribution: &Distribution, cells: &[(Coordinate, f64)], critical: f64) {
    let drawn = samples(distribution);
    let mut all = 0;
    let mut chi = 0.0;
    for (cell, share) in cells {
        let seen = drawn.iter().filter(|at| *at == cell).count();
        let expected = share * SAMPLES as f64;
        all += seen;
        if expected == 0.0 {
            assert_eq!(seen, 0, "{distribution:?}: {cell:?}");
            continue;
        }
        chi += (seen as f64 - expected).powi(2) / expected;
    }
    assert_eq!(all, SAMPLES, "{distribution:?}");
    assert!(chi < critical, "{distribution:?}: {chi}");
}

#[test]
fn continuous_samples_follow_their_distribution() {
    let phi = |z: f64| 0.5 * libm::erfc(-z / 2f64.sqrt());
    follows(&Distribution::Uniform { min: -1.0, max: 3.0 }, |x| (x + 1.0) / 4.0);
    follows(&Distribution::LogUniform { min: -5.0, max: 2.0 }, |x| (x.ln() + 5.0) / 7.0);
    follows(&Distribution::InvLogUniform { min: -2.0, max: 5.0 }, |x| (x.ln() + 5.0) / 7.0);
    let log = |x: f64| (x / 1e-4).ln() / 1e3f64.ln();
    follows(&Distribution::LogUniformValues { min: 1e-4, max: 0.1 }, log);
    follows(&Distribution::InvLogUniformValues { min: 1e-4, max: 0.1 }, log);
    follows(&Distribution::Normal { mu: 2.0, sigma: 3.0 }, |x| phi((x - 2.0) / 3.0));
    follows(&Distribution::LogNormal { mu: 1.0, sigma: 0.5 }, |x| phi((x.ln() - 1.0) / 0.5));
    // beta(2, 3) and the arcsine law have closed forms
    follows(&Distribution::Beta { a: 2.0, b: 3.0 }, |x| x * x * (6.0 - 8.0 * x + 3.0 * x * x));
    follows(&Distribution::Beta { a: 0.5, b: 0.5 }, |x| x.sqrt().asin() * 2.0 / std::f64::consts::PI);
}

#[test]
fn discrete_samples_have_their_shares() {
    let even = |n: u32| (0..n).map(move |i| (Coordinate::Choice(i), 1.0 / f64::from(n))).collect::<Vec<_>>();
    counts(&ints(&[1, 2, 3, 4, 5]), &even(5), 18.467);
    let shares = [0.2, 0.3, 0.5];
    let weighted = Distribution::CategoricalWithProbabilities {
        values: (0..3).map(Value::Int).collect(),
        probabilities: shares.to_vec(),
    };
    let cells: Vec<_> = (0..3).map(|i| (Coordinate::Choice(i), shares[i as usize])).collect();
    counts(&weighted, &cells, 13.816);
    let cells: Vec<_> = (-2..=2).map(|i| (Coordinate::Integer(i), 0.2)).collect();
    counts(&Distribution::IntUniform { min: -2, max: 2 }, &cells, 18.467);
}

/// A quantised value has the mass of the half steps around it.
#[test]
fn quantised_samples_have_the_mass_of_their_step() {
    let q = Step::Int(2);
    let phi = |z: f64| 0.5 * libm::erfc(-z / 2f64.sqrt());
    let check = |distribution: Distribution, last: i64, critical: f64, cdf: &dyn Fn(f64) -> f64| {
        let cells: Vec<_> = (0..=last / 2)
            .map(|i| {
                let x = 2.0 * i as f64;
                let above = if 2 * i == last { 1.0 } else { cdf(x + 1.0) };
                (Coordinate::Integer(2 * i), above - if i == 0 { 0.0 } else { cdf(x - 1.0) })
            })
            .collect();
        counts(&distribution, &cells, critical);
    };
    check(Distribution::QUniform { min: 0.0, max: 8.0, q, integral: true }, 8, 18.467, &|x| x / 8.0);
    let log = |x: f64| x.max(1.0).ln() / 9f64.ln();
    check(Distribution::QLogUniformValues { min: 1.0, max: 8.9999, q }, 8, 18.467, &log);
    check(Distribution::QLogUniform { min: 0.0, max: 8.9999f64.ln(), q }, 8, 18.467, &log);
    let wide = samples(&Distribution::QNormal { mu: 0.0, sigma: 1.0, q });
    let zero = wide.iter().filter(|at| **at == Coordinate::Integer(0)).count() as f64 / SAMPLES as f64;
    assert!((zero - (phi(1.0) - phi(-1.0))).abs() < 0.025, "{zero}");
    let logs = samples(&Distribution::QLogNormal { mu: 0.0, sigma: 1.0, q });
    let zero = logs.iter().filter(|at| **at == Coordinate::Integer(0)).count() as f64 / SAMPLES as f64;
    assert!((zero - phi(0.0)).abs() < 0.026, "{zero}");
    let ends = samples(&Distribution::QBeta { a: 1.0, b: 1.0, q: Step::Int(1) });
    let zero = ends.iter().filter(|at| **at == Coordinate::Integer(0)).count() as f64 / SAMPLES as f64;
    assert!((zero - 0.5).abs() < 0.026, "{zero}");
}

#[test]
fn streams_never_change() {
    let mut rng = stream(7, "propose", 3);
    let words = [rng.next_u64(), rng.next_u64()];
    assert_eq!(words, [13501094206955128458, 17782477427660357678]);
    let units: Vec<f64> = (0..2).map(|_| uniform(&mut rng)).collect();
    assert_eq!(units, [0.31064091687524964, 0.6440505872766321]);
}
