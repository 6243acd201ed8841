//! The numerics against reference values, finite differences and what must hold of any model.

use std::sync::Arc;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use crate::search::gp::acquisition::{Acquisition, Belief, Gain, Slope, log_improvement, log_kept};
use crate::search::gp::chebyshev::Chebyshev;
use crate::search::gp::coordinates::Embedding;
use crate::search::gp::ehvi::{Hypervolume, front};
use crate::search::gp::evidence::Evidence;
use crate::search::gp::fit::fit;
use crate::search::gp::kernel::{Hyper, Layout, Rows};
use crate::search::gp::linalg::Factor;
use crate::search::gp::normal::{log_cdf, log_cdf_slope, log_h, log_h_slope};
use crate::search::gp::posterior::{Hint, Posterior};
use crate::search::gp::projected::minimise;
use crate::search::gp::warp::{Bend, Warp, best_lambda, log_likelihood, yeo_johnson};
use crate::search::testing::{cube, leaf, mixed, numbers, oracle, unit, words};
use crate::space::{Space, normal_quantile, stream, uniform};

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b}");
}

fn matrix(json: &serde_json::Value) -> Vec<Vec<f64>> {
    json.as_array().unwrap().iter().map(numbers).collect()
}

fn rng(number: u64) -> ChaCha8Rng {
    stream(7, "gp tests", number)
}

fn rows_of(embedding: &Embedding, z: &[Vec<f64>]) -> Rows {
    let mut rows = Rows::new(Layout::of(embedding));
    z.iter().for_each(|z| rows.push(z));
    rows
}

/// Random rows of a space, absent where its leaves are.
fn random_rows(embedding: &Embedding, n: usize, number: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(number);
    let leaves = embedding.space().leaves().len();
    let one = |_| {
        let units: Vec<f64> = (0..leaves).map(|_| uniform(&mut rng)).collect();
        embedding.row(&embedding.space().at(&units))
    };
    (0..n).map(one).collect()
}

fn theta(d: usize, number: u64) -> Vec<f64> {
    let mut rng = rng(number);
    let mut theta: Vec<f64> = (0..d).map(|_| 2.0 * uniform(&mut rng)).collect();
    theta.extend([0.3, -3.0, -1.0, -1.5, -0.7]);
    theta
}

/// A posterior of random rows and values.
fn posterior(embedding: &Embedding, n: usize, number: u64) -> Posterior {
    hinted(embedding, n, number, None)
}

fn hinted(embedding: &Embedding, n: usize, number: u64, hint: Option<&Hint>) -> Posterior {
    let z = random_rows(embedding, n, number);
    let mut rng = rng(number + 1000);
    let y: Vec<f64> = (0..n).map(|_| normal_quantile(uniform(&mut rng))).collect();
    let rows = rows_of(embedding, &z);
    let axes = embedding.axes().len();
    let mut theta = theta(axes, number);
    theta.extend(hint.map(|_| -0.4));
    let hyper = Hyper { bowl: 0.3, ..Hyper::of(&theta, axes) };
    let mut posterior = Posterior::new(&rows, hint, &hyper).unwrap();
    posterior.tell(&y);
    posterior
}

#[test]
fn agrees_with_the_reference_model() {
    let Some(known) = oracle("gp.json") else { return };
    for case in ["numeric", "mixed", "mixed_trend"] {
        let case = &known[case];
        let x = matrix(&case["X"]);
        let categorical = case["categorical"].as_array().unwrap();
        let leaves = categorical.iter().enumerate().map(|(j, is)| {
            let distribution = if is.as_bool().unwrap() { words(&["a", "b", "c"]) } else { unit() };
            leaf(&format!("x{j}"), distribution)
        });
        let embedding = Embedding::new(&Space::new(leaves.collect()).unwrap());
        let trend = case.get("trend").map_or(vec![0.0; 3], numbers);
        let hyper = Hyper {
            weights: numbers(&case["weights"]),
            signal: case["signal_variance"].as_f64().unwrap(),
            noise: case["noise_variance"].as_f64().unwrap(),
            trend: [trend[0], trend[1], trend[2]],
            hint: 0.0,
            bowl: 0.0,
        };
        let rows = rows_of(&embedding, &x);
        let y = numbers(&case["y"]);
        let mut posterior = Posterior::new(&rows, None, &hyper).unwrap();
        posterior.tell(&y);

        let at = posterior.predict(&rows_of(&embedding, &matrix(&case["queries"])));
        for (seen, known) in [(at.mean, &case["mean"]), (at.variance, &case["variance"])] {
            for (seen, known) in seen.iter().zip(numbers(known)) {
                close(*seen, known, 1e-9);
            }
        }
        let mut theta: Vec<f64> = hyper.weights.iter().map(|w| w.ln()).collect();
        theta.extend([hyper.signal.ln(), hyper.noise.ln()]);
        theta.extend(hyper.trend.iter().map(|t| t.ln()));
        let (f, gradient) = Evidence::new(&rows, &y, None).likelihood(&theta).unwrap();
        close(-f, case["lml"].as_f64().unwrap(), 1e-10);
        if let Some(known) = case.get("grad_lml_wrt_log_weights_signal_noise") {
            for (seen, known) in gradient.iter().zip(numbers(known)) {
                close(-seen, known, 1e-7);
            }
        }
        if let Some(mean) = case.get("loo_mean").map(numbers) {
            for (i, variance) in numbers(&case["loo_variance"]).iter().enumerate() {
                close(posterior.left_out(i), (y[i] - mean[i]) / variance.sqrt(), 1e-9);
            }
        }
        if let Some(cholesky) = case.get("cholesky").map(matrix) {
            let k = matrix(&case["K"]);
            let mut factor = Factor::default();
            k.iter().enumerate().for_each(|(i, row)| factor.push(&row[..=i]).unwrap());
            for (i, row) in cholesky.iter().enumerate() {
                for (j, known) in row[..=i].iter().enumerate() {
                    close(factor.row(i)[j], *known, 1e-12);
                }
            }
        }
    }
}

#[test]
fn tails_agree_with_the_reference_values() {
    let Some(known) = oracle("acquisition.json") else { return };
    for row in known["table"].as_array().unwrap() {
        let z = row["z"].as_f64().unwrap();
        close(log_h(z), row["log_h"].as_f64().unwrap(), 1e-12);
        let cdf = row["log_cdf"].as_f64().unwrap();
        assert!((log_cdf(z) - cdf).abs() <= 1e-12 * cdf.abs().max(1e-12), "{z}");
    }
    for row in known["ei"].as_array().unwrap() {
        let of = |key: &str| row[key].as_f64().unwrap();
        let at = Belief { mean: of("mean"), sd: of("sd") };
        let value = log_improvement(at, of("best"), &mut Slope::default());
        close(value, of("log_ei"), 1e-12);
        if of("ei") > 0.0 {
            close(value.exp(), of("ei"), 1e-12);
        }
    }
}

#[test]
fn slopes_of_the_tails_are_differences() {
    for z in [-300.0, -40.0, -26.0, -24.0, -9.0, -1.5, -0.5, 0.7, 3.0] {
        let h = 1e-5 * f64::max(1.0, f64::abs(z));
        close(log_h_slope(z), (log_h(z + h) - log_h(z - h)) / (2.0 * h), 1e-6);
        close(log_cdf_slope(z), (log_cdf(z + h) - log_cdf(z - h)) / (2.0 * h), 1e-6);
    }
}

#[test]
fn log_improvement_is_finite_and_grows() {
    for exponent in -12..=3 {
        let sd = 10f64.powi(exponent);
        for mean in [-1e3, -1.0, 0.0, 0.3, 5.0, 1e3] {
            let of = |mean: f64, sd: f64| log_improvement(Belief { mean, sd }, 0.0, &mut Slope::default());
            let here = of(mean, sd);
            assert!(here.is_finite(), "{mean} {sd}");
            assert!(of(mean - 0.1 * f64::abs(mean).max(1e-3), sd) >= here, "{mean} {sd}");
            if mean > 0.0 {
                assert!(of(mean, 1.5 * sd) > here, "{mean} {sd}");
            }
        }
    }
}

#[test]
fn the_warp_agrees_with_the_reference() {
    let Some(known) = oracle("warps.json") else { return };
    let standardised = numbers(&known["standardised"]);
    for (lambda, row) in known["yeo_johnson"].as_object().unwrap() {
        let lambda: f64 = lambda.parse().unwrap();
        for (x, known) in standardised.iter().zip(numbers(row)) {
            close(yeo_johnson(*x, lambda), known, 1e-12);
        }
    }
    close(best_lambda(&standardised), known["lambda_ml"].as_f64().unwrap(), 1e-6);
    for (lambda, known) in known["llf"].as_object().unwrap() {
        close(log_likelihood(&standardised, lambda.parse().unwrap()), known.as_f64().unwrap(), 1e-10);
    }
    let warp = Warp::fit(&numbers(&known["y"]));
    let warped: Vec<f64> = numbers(&known["y"]).iter().map(|y| warp.of(*y)).collect();
    let bent = numbers(&known["yeo_johnson_ml"]);
    let mean = bent.iter().sum::<f64>() / bent.len() as f64;
    let sd = (bent.iter().map(|b| (b - mean) * (b - mean)).sum::<f64>() / bent.len() as f64).sqrt();
    for (seen, known) in warped.iter().zip(&bent) {
        close(*seen, (known - mean) / sd, 1e-5);
    }
}

#[test]
fn one_huge_value_leaves_the_others_their_differences() {
    let values: Vec<f64> = (0..20).map(|i| if i == 7 { 1e300 } else { f64::from(i) }).collect();
    let warp = Warp::fit(&values);
    assert!(warp.of(19.0) - warp.of(0.0) > 0.3, "{warp:?}");
    assert!(warp.of(1e300) > warp.of(19.0));
}

#[test]
fn the_gradient_of_the_evidence_is_that_of_differences() {
    let embedding = Embedding::new(&mixed());
    let rows = rows_of(&embedding, &random_rows(&embedding, 14, 1));
    let mut draws = rng(2);
    let y: Vec<f64> = (0..14).map(|_| normal_quantile(uniform(&mut draws))).collect();
    let hints: Vec<f64> = (0..14).map(|_| normal_quantile(uniform(&mut draws))).collect();
    let evidence = Evidence::new(&rows, &y, Some(&hints));
    let mut inside = theta(embedding.axes().len(), 3);
    inside.push(0.4);
    let mut outside = inside.clone();
    outside[0] = 11.0;
    outside[1] = -15.0;
    for at in [evidence.default_start(), inside, outside] {
        let (_, gradient) = evidence.at(&at).unwrap();
        for i in 0..at.len() {
            let h = 1e-5;
            let moved = |by: f64| {
                let mut theta = at.clone();
                theta[i] += by;
                evidence.at(&theta).unwrap().0
            };
            close(gradient[i], (moved(h) - moved(-h)) / (2.0 * h), 1e-5);
        }
    }
    let found = fit(&evidence, &[evidence.default_start()]).unwrap();
    assert!(found.f < evidence.at(&evidence.default_start()).unwrap().0);
    let steepest = evidence.at(&found.theta).unwrap().1.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    assert!(steepest < 0.05, "{steepest}");
}

/// Every kind of gain, at the scale of standardised values.
fn gains() -> Vec<(usize, Gain)> {
    let draws =
        (0..16).map(|i| (0..3).map(|j| normal_quantile((f64::from(i * 3 + j) + 0.5) / 48.0)).collect());
    let chebyshev = Chebyshev {
        weights: vec![0.2, 0.5, 0.3],
        ideal: vec![-1.0, -2.0, -0.5],
        range: vec![2.0, 1.0, 1.5],
        best: 0.1,
        draws: draws.collect(),
    };
    let hypervolume = Hypervolume::new(&[[-1.0, 0.5], [0.0, -0.2], [0.7, -1.0], [0.8, 2.0]], [1.0, 1.2]);
    vec![
        (1, Gain::Improvement { best: -0.4 }),
        (1, Gain::Knowledge { target: -0.3 }),
        (2, Gain::Hypervolume(hypervolume)),
        (3, Gain::Scalarised(chebyshev)),
        (0, Gain::Nothing),
    ]
}

#[test]
fn gradients_of_the_acquisition_are_those_of_differences() {
    let embedding = Embedding::new(&mixed());
    let hint = Hint { from: Arc::new(posterior(&embedding, 9, 70)), offset: 0.3, factor: 0.8 };
    // every second one starts from a hint
    let model = |i: u64| hinted(&embedding, 12, 10 + i, Some(&hint).filter(|_| i.is_multiple_of(2)));
    let models: Vec<Posterior> = (0..4).map(model).collect();
    let layout = Layout::of(&embedding);
    for (objectives, gain) in gains() {
        let acquisition = Acquisition {
            gain,
            objectives: models[..objectives].iter().collect(),
            limits: models[3..].iter().collect(),
        };
        for z in random_rows(&embedding, 6, 20) {
            let (value, gradient) = acquisition.local(&z);
            close(value, acquisition.values(&rows_of(&embedding, std::slice::from_ref(&z)))[0], 1e-9);
            for (number, axis) in layout.numbers.iter().enumerate() {
                if z[*axis].is_nan() {
                    assert_eq!(gradient[number], 0.0);
                    continue;
                }
                let moved = |by: f64| {
                    let mut z = z.clone();
                    z[*axis] += by;
                    acquisition.local(&z).0
                };
                let h = 1e-6;
                close(gradient[number], (moved(h) - moved(-h)) / (2.0 * h), 2e-4);
            }
        }
    }
}

#[test]
fn expected_hypervolume_is_the_average_of_draws() {
    let points = [[-1.0, 0.5], [0.0, -0.2], [0.7, -1.0]];
    let reference = [1.5, 1.2];
    let volume = Hypervolume::new(&points, reference);
    let mut draws = rng(5);
    for at in [[(0.2, 0.5), (0.1, 0.7)], [(-2.0, 0.1), (-1.5, 0.2)], [(0.9, 0.4), (0.9, 0.3)]] {
        let at = at.map(|(mean, sd)| Belief { mean, sd });
        let mut slopes = [Slope::default(); 2];
        let expected = volume.log_improvement(&at, &mut slopes).exp();
        let count = 20_000;
        let mut sum = 0.0;
        for _ in 0..count {
            let f = at.map(|at| at.mean + at.sd * normal_quantile(uniform(&mut draws)));
            let mut more = points.to_vec();
            more.push(f);
            sum += Hypervolume::new(&more, reference).volume() - volume.volume();
        }
        close(expected, sum / f64::from(count), 0.03);
    }
}

#[test]
fn fronts_and_volumes_of_two_objectives() {
    let points = [[1.0, 5.0], [2.0, 3.0], [4.0, 2.0], [3.0, 4.0], [5.0, 1.0], [6.0, 6.0]];
    assert_eq!(front(&points), [[1.0, 5.0], [2.0, 3.0], [4.0, 2.0], [5.0, 1.0]]);
    assert_eq!(Hypervolume::new(&points, [6.0, 6.0]).volume(), 16.0);
    assert_eq!(Hypervolume::new(&[[7.0, 0.0]], [6.0, 6.0]).volume(), 0.0);
}

#[test]
fn far_from_everything_there_is_still_a_slope() {
    let volume = Hypervolume::new(&[[0.0, 0.0]], [0.1, 0.1]);
    let at = [Belief { mean: 3.0, sd: 0.01 }, Belief { mean: 2.0, sd: 0.01 }];
    let mut slopes = [Slope::default(); 2];
    let value = volume.log_improvement(&at, &mut slopes);
    assert!(value.is_finite() && slopes[0].mean < 0.0 && slopes[1].mean < 0.0);
    let kept = log_kept(Belief { mean: 30.0, sd: 0.1 }, &mut slopes[0]);
    assert!(kept.is_finite() && slopes[0].mean < 0.0);
}

#[test]
fn a_posterior_without_noise_goes_through_its_values() {
    let embedding = Embedding::new(&mixed());
    let z = random_rows(&embedding, 15, 30);
    let rows = rows_of(&embedding, &z);
    let y: Vec<f64> = (0..15).map(|i| f64::from(i).sin()).collect();
    let hyper = Hyper {
        noise: 1e-8,
        bowl: 0.3,
        ..Hyper::of(&theta(embedding.axes().len(), 31), embedding.axes().len())
    };
    let mut posterior = Posterior::new(&rows, None, &hyper).unwrap();
    posterior.tell(&y);
    let at = posterior.predict(&rows);
    let means = posterior.means_at_rows();
    let bounds = posterior.bounds(&rows);
    for i in 0..15 {
        close(at.mean[i], y[i], 1e-3);
        close(means[i], at.mean[i], 1e-9);
        assert!(at.variance[i] < 1e-6 && at.variance[i] <= bounds.variance[i] + 1e-12);
    }
}

#[test]
fn the_bowl_is_lowest_in_the_middle_and_deviates_by_one() {
    let embedding = Embedding::new(&cube(4));
    let n = 20_000;
    let rows = rows_of(&embedding, &random_rows(&embedding, n, 33));
    let values: Vec<f64> = (0..n).map(|i| rows.bowl(i)).collect();
    let mean = values.iter().sum::<f64>() / n as f64;
    close(mean, 0.0, 0.03);
    close(values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64, 1.0, 0.03);
    let middle = rows_of(&embedding, &[vec![0.5; 4]]);
    assert!(values.iter().all(|value| *value > middle.bowl(0)));
    assert_eq!(middle.bowl_gradient(), [0.0; 4]);
}

#[test]
fn a_believed_point_takes_variance_and_leaves_the_mean() {
    let embedding = Embedding::new(&cube(2));
    let before = posterior(&embedding, 9, 40);
    let at = rows_of(&embedding, &[vec![0.4, 0.6], vec![0.9, 0.1]]);
    let mut after = before.clone();
    after.believe(&rows_of(&embedding, &[vec![0.4, 0.6]]));
    let (was, is) = (before.predict(&at), after.predict(&at));
    assert_eq!(was.mean, is.mean);
    let noise = (-3.0f64).exp();
    close(is.variance[0], was.variance[0] * noise / (was.variance[0] + noise), 1e-9);
    assert!(is.variance[1] <= was.variance[1]);
    close(after.local(&[0.4, 0.6]).variance, is.variance[0], 1e-9);
}

#[test]
fn a_grown_factor_has_the_bits_of_a_fresh_one() {
    let embedding = Embedding::new(&mixed());
    let z = random_rows(&embedding, 30, 50);
    let axes = embedding.axes().len();
    let mut theta = theta(axes, 51);
    theta.push(-0.2);
    let hyper = Hyper::of(&theta, axes);
    let hint = Hint { from: Arc::new(posterior(&embedding, 9, 53)), offset: -0.1, factor: 1.2 };
    let hint = Some(&hint);
    let mut grown = Posterior::new(&rows_of(&embedding, &z[..10]), hint, &hyper).unwrap();
    for n in 11..=30 {
        let rows = rows_of(&embedding, &z[..n]);
        assert!(grown.begins(&rows, hint, &hyper) && !grown.begins(&rows, None, &hyper));
        grown = grown.extend(&rows).unwrap();
        let mut believing = grown.clone();
        believing.believe(&rows_of(&embedding, &random_rows(&embedding, 3, 52)));
        assert_eq!(believing.len(), n + 3);
    }
    let fresh = Posterior::new(&rows_of(&embedding, &z), hint, &hyper).unwrap();
    assert_eq!(grown.factor(), fresh.factor());
    assert!(!grown.begins(&rows_of(&embedding, &z[..29]), hint, &hyper));
}

#[test]
fn a_hint_is_followed_turned_or_left_as_the_values_tell() {
    let embedding = Embedding::new(&cube(2));
    let from = Arc::new(posterior(&embedding, 20, 80));
    let hint = Hint { from, offset: 0.0, factor: 1.0 };
    let rows = rows_of(&embedding, &random_rows(&embedding, 25, 81));
    let says = hint.at(&rows);
    for factor in [1.0, 0.0, -1.0] {
        let y: Vec<f64> = says.iter().map(|h| factor * h).collect();
        let left: Vec<f64> = y.iter().zip(&says).map(|(y, h)| y - h).collect();
        let evidence = Evidence::new(&rows, &left, Some(&says));
        let found = fit(&evidence, &[evidence.default_start()]).unwrap();
        let mut posterior = Posterior::new(&rows, Some(&hint), &Hyper::of(&found.theta, 2)).unwrap();
        assert_eq!(posterior.trust(), Some(1.0));
        posterior.tell(&y);
        close(posterior.trust().unwrap(), factor, 0.1);
        posterior.means_at_rows().iter().zip(&y).for_each(|(mean, y)| close(*mean, *y, 0.02));
    }
}

#[test]
fn equal_rows_have_a_factor() {
    let embedding = Embedding::new(&cube(3));
    let rows = rows_of(&embedding, &vec![vec![0.3, 0.3, 0.9]; 100]);
    let hyper =
        Hyper { weights: vec![1e-6; 3], signal: 50.0, noise: 1e-6, trend: [1e-6; 3], hint: 0.0, bowl: 0.0 };
    let mut posterior = Posterior::new(&rows, None, &hyper).unwrap();
    posterior.tell(&[1.0; 100]);
    close(posterior.predict(&rows).mean[0], 1.0, 1e-3);
}

#[test]
fn the_inverse_is_one() {
    let embedding = Embedding::new(&cube(2));
    let posterior = posterior(&embedding, 21, 60);
    let inverse = posterior.factor().inverse();
    for i in 0..21 {
        let mut e = vec![0.0; 21];
        e[i] = 1.0;
        posterior.factor().solve_lower(&mut e);
        posterior.factor().solve_upper(&mut e);
        for j in 0..=i {
            close(inverse[i * (i + 1) / 2 + j], e[j], 1e-9);
        }
        close(posterior.factor().inverse_diagonal(i), e[i], 1e-9);
    }
}

#[test]
fn minimises_in_the_cube() {
    // a bowl whose centre lies outside in one variable
    let bowl = |x: &[f64]| {
        let gaps = [x[0] - 0.3, 10.0 * (x[1] - 1.4), x[2] - 0.5 + 0.5 * (x[0] - 0.3)];
        let f = gaps.iter().map(|g| g * g).sum();
        (f, vec![2.0 * gaps[0] + gaps[2], 20.0 * gaps[1], 2.0 * gaps[2]])
    };
    let (x, _) = minimise(&[0.9, 0.1, 0.1], 50, bowl);
    for (x, best) in x.iter().zip([0.3, 1.0, 0.5]) {
        close(*x, best, 1e-3);
    }
    let rosenbrock = |x: &[f64]| {
        let (a, b) = (4.0 * x[0] - 2.0, 4.0 * x[1] - 2.0);
        let f = 100.0 * (b - a * a).powi(2) + (1.0 - a).powi(2);
        (f, vec![4.0 * (-400.0 * a * (b - a * a) - 2.0 * (1.0 - a)), 4.0 * 200.0 * (b - a * a)])
    };
    let (x, f) = minimise(&[0.1, 0.9], 200, rosenbrock);
    assert!(f < 1e-6, "{x:?} {f}");
}

#[test]
fn a_bend_keeps_the_sign() {
    let bend = Bend::fit(&[-1.0, 2.0, 400.0, 0.5]);
    for c in [-1e9, -3.0, -1e-9, 0.0, 1e-9, 5.0, 1e12] {
        assert_eq!(bend.of(c) <= 0.0, c <= 0.0);
        close(bend.inverse(bend.of(c)), c, 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn covariances_of_conditional_spaces_are_positive_definite(number in 0u64..1000, n in 2usize..24) {
        let embedding = Embedding::new(&mixed());
        let rows = rows_of(&embedding, &random_rows(&embedding, n, number));
        let mut hyper = Hyper::of(&theta(embedding.axes().len(), number), embedding.axes().len());
        hyper.noise = 1e-8;
        let posterior = Posterior::new(&rows, None, &hyper);
        prop_assert!(posterior.is_ok_and(|posterior| posterior.jitter() == 0.0));
    }

    #[test]
    fn warps_are_monotone_and_indifferent_to_scale(
        values in prop::collection::vec(-1e3..1e3f64, 2..30), a in 1e-3..1e3f64, b in -1e3..1e3f64
    ) {
        let warp = Warp::fit(&values);
        let moved: Vec<f64> = values.iter().map(|y| a * y + b).collect();
        let other = Warp::fit(&moved);
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
        for pair in order.windows(2) {
            prop_assert!(warp.of(values[pair[0]]) <= warp.of(values[pair[1]]));
        }
        for (y, m) in values.iter().zip(&moved) {
            prop_assert!((warp.of(*y) - other.of(*m)).abs() < 1e-4);
            prop_assert!((warp.inverse(warp.of(*y)) - y).abs() < 1e-6 * y.abs().max(1.0));
        }
    }

    #[test]
    fn rows_and_points_are_the_same(units in prop::collection::vec(0.0..1.0f64, 6)) {
        let embedding = Embedding::new(&mixed());
        let point = embedding.space().at(&units);
        let row = embedding.row(&point);
        let full = embedding.filled(&row);
        let again = embedding.point(&full);
        prop_assert_eq!(embedding.key(&again).len(), embedding.axes().len());
        for (a, b) in embedding.row(&again).iter().zip(&row) {
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12);
        }
        let mut snapped = full.clone();
        embedding.snap(&mut snapped);
        for (a, b) in snapped.iter().zip(&full) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }
}
