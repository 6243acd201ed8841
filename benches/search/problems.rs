//! Functions to be minimised, cheap, in the unit cube, each with relatives to learn from.

use swath::space::{Condition, Coordinate, Distribution, Leaf, Point, Space, Value, stream, uniform};

/// What a function makes of a point.
type Of = Box<dyn Fn(&[f64]) -> f64>;

/// A function and the smallest value that counts as found.
pub(crate) struct Function {
    pub(crate) dimensions: usize,
    pub(crate) best: f64,
    pub(crate) of: Of,
}

impl Function {
    fn new(dimensions: usize, best: f64, of: impl Fn(&[f64]) -> f64 + 'static) -> Function {
        Function { dimensions, best, of: Box::new(of) }
    }

    /// The same with its optimum elsewhere.
    pub(crate) fn moved(self, by: f64) -> Function {
        let Function { dimensions, best, of } = self;
        // there and back by turns, so that no corner swallows it
        let at = move |(j, x): (usize, &f64)| if j % 2 == 0 { x + by } else { x - by };
        Function::new(dimensions, best, move |x| of(&x.iter().enumerate().map(at).collect::<Vec<_>>()))
    }

    /// On another scale.
    pub(crate) fn scaled(self, factor: f64, offset: f64) -> Function {
        let Function { dimensions, best, of } = self;
        Function::new(dimensions, factor * best + offset, move |x| factor * of(x) + offset)
    }

    /// Good where the other is bad.
    pub(crate) fn negated(self) -> Function {
        let Function { dimensions, of, .. } = self;
        Function::new(dimensions, f64::NEG_INFINITY, move |x| -of(x))
    }

    /// The parameters in another order, every one of them turned round.
    pub(crate) fn permuted(self) -> Function {
        let Function { dimensions, best, of } = self;
        Function::new(dimensions, best, move |x| {
            let mut turned: Vec<f64> = x.iter().map(|x| 1.0 - x).collect();
            turned.rotate_left(1);
            of(&turned)
        })
    }
}

/// Branin's function, 2-d.
pub(crate) fn branin() -> Function {
    Function::new(2, 0.397_887_357_729_738, |x| {
        let (a, b) = (15.0 * x[0] - 5.0, 15.0 * x[1]);
        let pi = std::f64::consts::PI;
        let parabola = b - 5.1 / (4.0 * pi * pi) * a * a + 5.0 / pi * a - 6.0;
        parabola * parabola + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * libm::cos(a) + 10.0
    })
}

/// Hartmann's function, 6-d.
pub(crate) fn hartmann() -> Function {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    Function::new(6, -3.322_368_011_415_51, |x| {
        let bump = |i: usize| {
            let r2: f64 = (0..6).map(|j| A[i][j] * (x[j] - P[i][j]) * (x[j] - P[i][j])).sum();
            ALPHA[i] * libm::exp(-r2)
        };
        -(0..4).map(bump).sum::<f64>()
    })
}

/// The loss of a training by learning rate, decay, width, dropout and momentum (all of them on their own scales), on one
/// of many data sets: a floor, a valley that bends, a cliff where it diverges. Data sets differ in all of it, by little.
pub(crate) fn training(set: u64) -> Function {
    let mut rng = stream(set, "bench data set", 0);
    let mut about = |middle: f64, reach: f64| middle + reach * (2.0 * uniform(&mut rng) - 1.0);
    let at = [about(0.55, 0.1), about(0.35, 0.1), about(0.7, 0.15), about(0.3, 0.15), about(0.8, 0.1)];
    let steep = [about(9.0, 3.0), about(2.0, 1.0), about(1.5, 0.7), about(0.7, 0.4), about(2.0, 1.0)];
    let (cross, cliff, floor) = (about(2.5, 1.0), about(0.85, 0.05), about(0.2, 0.1));
    Function::new(5, floor, move |x| {
        let from: Vec<f64> = x.iter().zip(at).map(|(x, at)| x - at).collect();
        // a higher momentum wants a lower rate
        let rate = from[0] + 0.4 * from[4];
        let bowl: f64 = steep[0] * rate * rate + (1..5).map(|j| steep[j] * from[j] * from[j]).sum::<f64>();
        let beyond = (x[0] + 0.3 * from[4] - cliff).max(0.0);
        floor + bowl + cross * (from[1] * from[3]).powi(2) + 30.0 * beyond
    })
}

/// The unit cube.
pub(crate) fn cube(dimensions: usize) -> Space {
    let unit = || Distribution::Uniform { min: 0.0, max: 1.0 };
    Space::new((0..dimensions).map(|i| leaf(&format!("x{i:02}"), unit())).collect())
        .expect("numbers of the unit interval are a space")
}

/// One parameter of each kind; `momentum` is there for `sgd` alone.
pub(crate) fn mixed() -> Space {
    let words = ["adam", "sgd", "lion"].map(|word| Value::Text(word.to_owned())).to_vec();
    let mut momentum = leaf("momentum", Distribution::Uniform { min: 0.0, max: 0.99 });
    momentum.when.push(Condition { parent: 0, values: vec![Value::Text("sgd".to_owned())] });
    let sizes = [16, 32, 64, 128].map(Value::Int).to_vec();
    Space::new(vec![
        leaf("opt", Distribution::Categorical { values: words }),
        momentum,
        leaf("lr", Distribution::LogUniformValues { min: 1e-5, max: 0.1 }),
        leaf("layers", Distribution::IntUniform { min: 1, max: 6 }),
        leaf("batch", Distribution::Categorical { values: sizes }),
    ])
    .expect("its parameters are named and have values")
}

pub(crate) fn leaf(name: &str, distribution: Distribution) -> Leaf {
    Leaf { path: vec![name.to_owned()], distribution, when: Vec::new() }
}

/// The numbers of a point: an index of a choice, -1 where absent.
pub(crate) fn units(point: &Point) -> Vec<f64> {
    let of = |at: &Coordinate| match at {
        Coordinate::Choice(index) => f64::from(*index),
        Coordinate::Absent => -1.0,
        other => other.number().unwrap_or(-1.0),
    };
    point.coordinates().iter().map(of).collect()
}
