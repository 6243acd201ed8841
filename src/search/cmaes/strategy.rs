//! The strategy parameters of a generation: weights and learning rates, all functions of two numbers.
//!
//! d: coordinates; lambda: trials of a generation; mu: those that pull the mean. [H16] N. Hansen, "The CMA evolution
//! strategy: a tutorial" (2016), table 1, with its active covariance update; [RH08] R. Ros and N. Hansen, "A simple
//! modification in CMA-ES achieving linear time and space complexity", PPSN 2008: the faster rates of a diagonal.

use libm::{log, sqrt};

/// The parameters, by the tutorial's names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strategy {
    pub(super) mu: usize,
    pub(super) mu_eff: f64,
    /// One for each of the lambda trials, best first: the first mu positive with the sum 1, the others not.
    pub(super) weights: Vec<f64>,
    pub(super) c_c: f64,
    pub(super) c_1: f64,
    pub(super) c_mu: f64,
    pub(super) c_sigma: f64,
    pub(super) d_sigma: f64,
    /// E |N(0, I)|
    pub(super) chi: f64,
}

/// How many trials a generation has before any restart.
pub(super) fn population(d: usize) -> usize {
    4 + (3.0 * log(d.max(1) as f64)).floor() as usize
}

impl Strategy {
    /// For `d` of at least 1 and `lambda` of at least 4.
    pub(super) fn new(d: usize, lambda: usize, is_diagonal: bool) -> Strategy {
        let (n, half) = (d as f64, log((lambda as f64 + 1.0) / 2.0));
        let mu = lambda / 2;
        let raw: Vec<f64> = (1..=lambda).map(|i| half - log(i as f64)).collect();
        let effective = |w: &[f64]| {
            let (sum, squares) = (w.iter().sum::<f64>(), w.iter().map(|w| w * w).sum::<f64>());
            sum * sum / squares
        };
        let (mu_eff, mu_eff_minus) = (effective(&raw[..mu]), effective(&raw[mu..]));
        // [RH08]: the rates may be larger by this where only the variances are learned
        let faster = if is_diagonal { (n + 2.0) / 3.0 } else { 1.0 };
        let c_1 = (faster * 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff)).min(0.5);
        let c_mu = (faster * 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) * (n + 2.0) + mu_eff))
            .min(1.0 - c_1 - 1e-8);
        let negative = (1.0 + c_1 / c_mu)
            .min(1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0))
            .min((1.0 - c_1 - c_mu) / (n * c_mu));
        let above: f64 = raw.iter().filter(|w| **w > 0.0).sum();
        let below: f64 = raw.iter().filter(|w| **w < 0.0).map(|w| -w).sum();
        let weights = raw.iter().map(|w| if *w >= 0.0 { w / above } else { negative * w / below }).collect();
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        Strategy {
            mu,
            mu_eff,
            weights,
            c_c: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_1,
            c_mu,
            c_sigma,
            d_sigma: 1.0 + 2.0 * (sqrt((mu_eff - 1.0) / (n + 1.0)) - 1.0).max(0.0) + c_sigma,
            chi: sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::testing::{numbers, oracle};

    #[test]
    fn parameters_are_those_of_the_reference() {
        let Some(known) = oracle("cmaes.json") else { return };
        for (d, theirs) in known["parameters"].as_object().unwrap() {
            let d: usize = d.parse().unwrap();
            let lambda = population(d);
            let own = Strategy::new(d, lambda, false);
            assert_eq!(
                (lambda as u64, own.mu as u64),
                (theirs["popsize"].as_u64().unwrap(), theirs["mu"].as_u64().unwrap())
            );
            let names = ["mu_eff", "cc", "c1", "cmu", "c_sigma", "d_sigma", "chi_n"];
            let ours = [own.mu_eff, own.c_c, own.c_1, own.c_mu, own.c_sigma, own.d_sigma, own.chi];
            for (name, own) in names.iter().zip(ours) {
                assert!((own - theirs[name].as_f64().unwrap()).abs() < 1e-12, "{name} at {d}: {own}");
            }
            for (own, theirs) in own.weights.iter().zip(numbers(&theirs["weights"])) {
                assert!((own - theirs).abs() < 1e-12, "weights at {d}");
            }
        }
    }

    #[test]
    fn every_size_gives_usable_rates() {
        for d in [1, 2, 3, 51, 200, 5000] {
            for lambda in [4, population(d), 4096] {
                for is_diagonal in [false, true] {
                    let own = Strategy::new(d, lambda, is_diagonal);
                    assert!(own.weights.iter().all(|w| w.is_finite()));
                    assert!(own.c_1 + own.c_mu < 1.0 && own.c_1 > 0.0 && own.c_mu >= 0.0, "{d} {lambda}");
                }
            }
        }
    }
}
