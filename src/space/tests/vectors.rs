//! The mapping from the unit interval agrees with W&B's library, row by row, and has its own corners.

use std::path::Path;

use proptest::prelude::*;

use super::support::ints;
use crate::space::special::{beta_cdf, beta_quantile, normal_cdf, normal_quantile};
use crate::space::{Coordinate, Distribution, Step, Value};

/// A distribution of a JSON parameter, as a sweep file would have it.
fn parsed(json: &serde_json::Value, kind: &str) -> Distribution {
    let number = |key: &str, default: f64| json.get(key).map_or(default, |v| v.as_f64().unwrap());
    let (min, max) = (number("min", 0.0), number("max", 0.0));
    let (mu, sigma) = (number("mu", 0.0), number("sigma", 1.0));
    let (a, b) = (number("a", 1.0), number("b", 1.0));
    let q = json
        .get("q")
        .map_or(Step::Int(1), |q| q.as_i64().map_or(Step::Float(q.as_f64().unwrap()), Step::Int));
    let values =
        || json["values"].as_array().unwrap().iter().map(|v| serde_json::from_value(v.clone()).unwrap());
    match kind {
        "single_value" => {
            Distribution::Constant { value: serde_json::from_value(json["value"].clone()).unwrap() }
        }
        "categorical" => Distribution::Categorical { values: values().collect() },
        "categorical_w_probabilities" => Distribution::CategoricalWithProbabilities {
            values: values().collect(),
            probabilities: serde_json::from_value(json["probabilities"].clone()).unwrap(),
        },
        "int_uniform" => Distribution::IntUniform { min: min as i64, max: max as i64 },
        "uniform" => Distribution::Uniform { min, max },
        "quniform" => Distribution::QUniform { min, max, q, integral: false },
        "loguniform" => Distribution::LogUniform { min, max },
        "qloguniform" => Distribution::QLogUniform { min, max, q },
        "inv_loguniform" => Distribution::InvLogUniform { min, max },
        "loguniform_v2" => Distribution::LogUniformValues { min, max },
        "qloguniform_v2" => Distribution::QLogUniformValues { min, max, q },
        "inv_loguniform_v2" => Distribution::InvLogUniformValues { min, max },
        "normal" => Distribution::Normal { mu, sigma },
        "qnormal" => Distribution::QNormal { mu, sigma, q },
        "lognormal" => Distribution::LogNormal { mu, sigma },
        "qlognormal" => Distribution::QLogNormal { mu, sigma, q },
        "beta" => Distribution::Beta { a, b },
        "qbeta" => Distribution::QBeta { a, b, q },
        other => panic!("a form unknown here: {other}"),
    }
}

#[test]
fn every_row_of_the_library_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/wandb/VECTORS.tsv");
    let Ok(rows) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let mut checked = 0;
    for row in rows.lines().skip(1) {
        let [json, kind, u, value] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let u: f64 = u.parse().unwrap();
        if u <= 0.0 || u >= 1.0 {
            continue;
        }
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let distribution = parsed(&json, kind);
        let ours = distribution.value(distribution.ppf(u)).unwrap();
        let theirs: Value = serde_json::from_str(value).unwrap();
        match (&ours, &theirs) {
            (Value::Float(x), Value::Float(y)) => assert!((x - y).abs() <= 1e-12 * y.abs(), "{row}: {x}"),
            (Value::Int(i), Value::Float(y)) => {
                assert!(json.get("q").is_none() && *i as f64 == *y, "{row}: {i}")
            }
            _ => assert_eq!(ours, theirs, "{row}"),
        }
        checked += 1;
    }
    assert_eq!(checked, 480);
}

#[test]
fn corners_stay_inside() {
    let int = Distribution::IntUniform { min: 1, max: 10 };
    assert_eq!((int.ppf(0.0), int.ppf(1.0)), (Coordinate::Integer(1), Coordinate::Integer(10)));
    let all = Distribution::IntUniform { min: i64::MIN, max: i64::MAX };
    assert!(all.ppf(0.0).number().unwrap() < -9.2e18 && all.ppf(1.0).number().unwrap() > 9.2e18);
    assert_eq!(ints(&[7, 8]).ppf(0.0), Coordinate::Choice(0));
    let weighted = |probabilities: Vec<f64>| Distribution::CategoricalWithProbabilities {
        values: vec![Value::Int(1), Value::Int(2)],
        probabilities,
    };
    assert_eq!(weighted(vec![0.5, 0.4999999]).ppf(1.0), Coordinate::Choice(1));
    let log = Distribution::LogUniformValues { min: 1e-4, max: 0.1 };
    assert!(log.ppf(1.0).number().unwrap() <= 0.1 && log.ppf(0.0).number().unwrap() >= 1e-4);
    assert!(Distribution::Normal { mu: 0.0, sigma: 1.0 }.ppf(1.0).number().unwrap().is_finite());
    let huge = Distribution::LogUniform { min: 0.0, max: 1e6 };
    assert_eq!(huge.ppf(0.9), Coordinate::Number(f64::MAX));
}

#[test]
fn quantiles_invert_their_functions() {
    for i in 1..200 {
        let u = f64::from(i) / 200.0;
        assert!((normal_cdf(normal_quantile(u)) - u).abs() < 1e-15, "{u}");
        for (a, b) in [(0.01, 3.0), (0.5, 0.5), (1.0, 1.0), (2.0, 5.0), (40.0, 0.3), (2e4, 3e4)] {
            // where the density is steep one bit of x is much of u: the neighbours of x must enclose u
            let x = beta_quantile(u, a, b);
            let (below, above) = (beta_cdf(x * (1.0 - 1e-15), a, b), beta_cdf(x * (1.0 + 1e-15), a, b));
            assert!(below - 1e-9 <= u && u <= above + 1e-9, "{u} {a} {b}: {x}");
        }
    }
    assert!((normal_quantile(1e-12) + 7.034483825301131).abs() < 1e-13);
}

fn numeric() -> impl Strategy<Value = Distribution> {
    let bounds = || (-50.0..50.0f64, 0.01..60.0f64).prop_map(|(min, width)| (min, min + width));
    let positive = || (1e-6..50.0f64, 0.01..60.0f64).prop_map(|(min, width)| (min, min + width));
    prop_oneof![
        bounds().prop_map(|(min, max)| Distribution::Uniform { min, max }),
        bounds().prop_map(|(min, max)| Distribution::LogUniform { min, max }),
        bounds().prop_map(|(min, max)| Distribution::InvLogUniform { min, max }),
        positive().prop_map(|(min, max)| Distribution::LogUniformValues { min, max }),
        positive().prop_map(|(min, max)| Distribution::InvLogUniformValues { min, max }),
        positive().prop_map(|(mu, sigma)| Distribution::Normal { mu, sigma }),
        (-3.0..3.0f64, 0.1..3.0f64).prop_map(|(mu, sigma)| Distribution::LogNormal { mu, sigma }),
        (0.3..20.0f64, 0.3..20.0f64).prop_map(|(a, b)| Distribution::Beta { a, b }),
        positive().prop_map(|(min, max)| Distribution::QUniform {
            min,
            max,
            q: Step::Float(0.25),
            integral: false
        }),
        positive().prop_map(|(min, max)| Distribution::QLogUniformValues { min, max, q: Step::Int(3) }),
        positive().prop_map(|(mu, sigma)| Distribution::QNormal { mu, sigma, q: Step::Int(2) }),
        (-40i64..40, 1i64..90).prop_map(|(min, width)| Distribution::IntUniform { min, max: min + width }),
    ]
}

proptest! {
    #[test]
    fn ppf_is_monotone_and_can_be_written_again(d in numeric(), u in 0.001..0.999f64, v in 0.001..0.999f64) {
        let (low, high) = (d.ppf(u.min(v)), d.ppf(u.max(v)));
        prop_assert!(low.number().unwrap() <= high.number().unwrap());
        prop_assert!(d.contains(low), "{d:?} {low:?}");
        prop_assert_eq!(d.coordinate(&d.value(low).unwrap()), Some(low));
    }

    #[test]
    fn cdf_inverts_ppf(d in numeric(), u in 0.001..0.999f64) {
        let back = d.cdf(d.ppf(u));
        match d.step() {
            None if !matches!(d, Distribution::IntUniform { .. }) => prop_assert!((back - u).abs() < 1e-9, "{d:?} {back}"),
            _ => prop_assert!((0.0..=1.0).contains(&back)),
        }
        if matches!(d, Distribution::IntUniform { .. }) {
            prop_assert_eq!(d.ppf(back), d.ppf(u));
        }
    }
}
