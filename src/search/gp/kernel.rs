//! The covariance of two rows: a Matern 5/2 kernel and, beside it, a linear model.
//!
//! k(x, x') = sf m(r2) + t1 p1(x)' p1(x') + t2 p2(x)' p2(x') + t3 share(x, x')
//!
//! - m(r2) = (1 + r + r^2 / 3) exp(-r), r = sqrt(5 r2) [RW06, eq. 4.17]
//! - r2 = sum_j w_j d_j, w_j = 1 / l_j^2; d_j is the squared difference of two numbers, 0 or 1 of two categories. An
//!   absent number lies at 1/2 and carries a flag f: d_j = (z - z')^2 + (f - f')^2 / 12, so that the distance from
//!   present to absent is on average 1/6, that of two random numbers. An absent category is one more category.
//! - p1, p2: Legendre's polynomials of degree 1 and 2 of the m numbers, orthonormal on [0, 1], divided by sqrt(m); 0
//!   where absent: sqrt(3) (2z - 1), sqrt(5) (6z^2 - 6z + 1).
//! - share: how many of the categories are equal, divided by how many there are.
//!
//! Losses are bowl-shaped or monotone in most parameters; these 2m + 1 shrunken directions are learnt from ten trials.
//! Derivatives are taken with respect to r2, which has no singularity at 0: dm/dr2 = -(5/6) (1 + r) exp(-r).
//!
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use libm::exp;

use crate::search::gp::coordinates::Embedding;
use crate::search::gp::linalg::{dot, squared_distance};

const SQRT_3: f64 = 1.732_050_807_568_877_2;
const SQRT_5: f64 = 2.236_067_977_499_79;
/// The weight of a difference of flags beside one of numbers.
const FLAG: f64 = 1.0 / 12.0;
/// Rows are padded to a multiple of this.
const LANES: usize = 4;

/// Which columns a row has: numbers, then flags of numbers that may be absent, then categories.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    /// The axis of each number.
    pub(crate) numbers: Vec<usize>,
    /// The place among the numbers of each that has a flag.
    flags: Vec<usize>,
    /// The axis of each category, and its value that stands for absent.
    pub(crate) categories: Vec<(usize, u32)>,
    axes: usize,
}

/// Rows of coordinates, as the kernel reads them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) layout: Layout,
    /// n x width: numbers and flags (scaled by sqrt(1/12)), padded with 0.
    x: Vec<f64>,
    /// n x categories.
    c: Vec<u32>,
    /// n x (padded m): p1 / sqrt(m).
    p1: Vec<f64>,
    /// n x (padded m): p2 / sqrt(m).
    p2: Vec<f64>,
    n: usize,
}

/// The kernel's hyperparameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hyper {
    /// w_j, one an axis.
    pub(crate) weights: Vec<f64>,
    /// sf.
    pub(crate) signal: f64,
    /// sn.
    pub(crate) noise: f64,
    /// t1, t2, t3.
    pub(crate) trend: [f64; 3],
}

impl Hyper {
    /// Of theta = (ln w_1 .. ln w_d, ln sf, ln sn, ln t1, ln t2, ln t3).
    pub(crate) fn of(theta: &[f64]) -> Hyper {
        let d = theta.len().saturating_sub(5);
        let at = |i: usize| theta.get(d + i).map_or(0.0, |t| exp(*t));
        Hyper {
            weights: theta[..d].iter().map(|t| exp(*t)).collect(),
            signal: at(0),
            noise: at(1),
            trend: [at(2), at(3), at(4)],
        }
    }
}

/// m(r2) and dm/dr2.
pub(crate) fn matern(r2: f64) -> (f64, f64) {
    let r = (5.0 * r2).sqrt();
    let e = exp(-r);
    ((1.0 + r + r * r / 3.0) * e, -(5.0 / 6.0) * (1.0 + r) * e)
}

fn padded(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

impl Layout {
    pub(crate) fn of(embedding: &Embedding) -> Layout {
        let (mut numbers, mut flags, mut categories) = (Vec::new(), Vec::new(), Vec::new());
        for (index, axis) in embedding.axes().iter().enumerate() {
            if axis.is_category() {
                categories.push((index, axis.categories() as u32));
            } else {
                if axis.optional {
                    flags.push(numbers.len());
                }
                numbers.push(index);
            }
        }
        Layout { numbers, flags, categories, axes: embedding.axes().len() }
    }

    fn width(&self) -> usize {
        padded(self.numbers.len() + self.flags.len())
    }

    fn trend_width(&self) -> usize {
        padded(self.numbers.len())
    }

    /// The axes there are.
    pub(crate) fn axes(&self) -> usize {
        self.axes
    }

    /// The square root of each column's weight, 0 in the padding.
    fn column_scales(&self, weights: &[f64]) -> Vec<f64> {
        let of_number = |number: usize| weights[self.numbers[number]].sqrt();
        let mut scales: Vec<f64> = (0..self.numbers.len()).map(of_number).collect();
        scales.extend(self.flags.iter().map(|number| of_number(*number)));
        scales.resize(self.width(), 0.0);
        scales
    }

    /// Sums what belongs to columns into what belongs to axes.
    pub(crate) fn sum_columns(&self, columns: &[f64], categories: &[f64]) -> Vec<f64> {
        let mut axes = vec![0.0; self.axes];
        for (number, axis) in self.numbers.iter().enumerate() {
            axes[*axis] += columns[number];
        }
        for (flag, number) in self.flags.iter().enumerate() {
            axes[self.numbers[*number]] += columns[self.numbers.len() + flag];
        }
        for ((axis, _), sum) in self.categories.iter().zip(categories) {
            axes[*axis] += sum;
        }
        axes
    }
}

impl Rows {
    pub(crate) fn new(layout: Layout) -> Rows {
        Rows { layout, x: Vec::new(), c: Vec::new(), p1: Vec::new(), p2: Vec::new(), n: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// One more row: one z an axis, NaN where it is absent.
    pub(crate) fn push(&mut self, z: &[f64]) {
        let Layout { numbers, flags, categories, .. } = &self.layout;
        let scale = 1.0 / (numbers.len().max(1) as f64).sqrt();
        for axis in numbers {
            let z = z[*axis];
            let there = !z.is_nan();
            self.x.push(if there { z } else { 0.5 });
            self.p1.push(if there { scale * SQRT_3 * (2.0 * z - 1.0) } else { 0.0 });
            self.p2.push(if there { scale * SQRT_5 * (6.0 * z * z - 6.0 * z + 1.0) } else { 0.0 });
        }
        for number in flags {
            self.x.push(if z[numbers[*number]].is_nan() { FLAG.sqrt() } else { 0.0 });
        }
        for (axis, absent) in categories {
            self.c.push(if z[*axis].is_nan() { *absent } else { z[*axis] as u32 });
        }
        self.n += 1;
        self.x.resize(self.n * self.layout.width(), 0.0);
        self.p1.resize(self.n * self.layout.trend_width(), 0.0);
        self.p2.resize(self.n * self.layout.trend_width(), 0.0);
    }

    /// Adds the rows of others.
    pub(crate) fn append(&mut self, others: &Rows) {
        self.x.extend_from_slice(&others.x);
        self.c.extend_from_slice(&others.c);
        self.p1.extend_from_slice(&others.p1);
        self.p2.extend_from_slice(&others.p2);
        self.n += others.n;
    }

    /// Whether the first rows are these.
    pub(crate) fn starts_with(&self, others: &Rows) -> bool {
        self.layout == others.layout && self.x.starts_with(&others.x) && self.c.starts_with(&others.c)
    }

    fn x(&self, i: usize) -> &[f64] {
        let width = self.layout.width();
        &self.x[i * width..(i + 1) * width]
    }

    fn c(&self, i: usize) -> &[u32] {
        let width = self.layout.categories.len();
        &self.c[i * width..(i + 1) * width]
    }

    fn p1(&self, i: usize) -> &[f64] {
        let width = self.layout.trend_width();
        &self.p1[i * width..(i + 1) * width]
    }

    fn p2(&self, i: usize) -> &[f64] {
        let width = self.layout.trend_width();
        &self.p2[i * width..(i + 1) * width]
    }

    /// p1'p1, p2'p2 and the share of equal categories of rows a and b.
    pub(crate) fn trend(&self, a: usize, b: usize) -> [f64; 3] {
        [dot(self.p1(a), self.p1(b)), dot(self.p2(a), self.p2(b)), self.share(a, b)]
    }

    fn share(&self, a: usize, b: usize) -> f64 {
        let categories = self.layout.categories.len();
        if categories == 0 {
            return 0.0;
        }
        let equal = self.c(a).iter().zip(self.c(b)).filter(|(a, b)| a == b).count();
        equal as f64 / categories as f64
    }

    /// Adds h times the squared difference of each column of rows a and b, and h where categories differ.
    pub(crate) fn add_differences(
        &self,
        a: usize,
        b: usize,
        h: f64,
        columns: &mut [f64],
        categories: &mut [f64],
    ) {
        for ((sum, p), q) in columns.iter_mut().zip(self.x(a)).zip(self.x(b)) {
            let gap = p - q;
            *sum += h * (gap * gap);
        }
        for ((sum, p), q) in categories.iter_mut().zip(self.c(a)).zip(self.c(b)) {
            *sum += if p == q { 0.0 } else { h };
        }
    }

    /// How many sums [`Rows::add_differences`] needs.
    pub(crate) fn widths(&self) -> (usize, usize) {
        (self.layout.width(), self.layout.categories.len())
    }
}

/// Rows scaled by hyperparameters, so that a covariance is a distance and a dot product.
#[derive(Clone, Debug)]
pub(crate) struct Scaled {
    hyper: Hyper,
    layout: Layout,
    /// sqrt(w) of each column.
    scales: Vec<f64>,
    /// w of each category.
    category_weights: Vec<f64>,
    /// n x width.
    x: Vec<f64>,
    /// n x (2 padded m): sqrt(t1) p1, sqrt(t2) p2.
    p: Vec<f64>,
    c: Vec<u32>,
    n: usize,
}

impl Scaled {
    pub(crate) fn new(layout: &Layout, hyper: &Hyper) -> Scaled {
        Scaled {
            scales: layout.column_scales(&hyper.weights),
            category_weights: layout.categories.iter().map(|(axis, _)| hyper.weights[*axis]).collect(),
            hyper: hyper.clone(),
            layout: layout.clone(),
            x: Vec::new(),
            p: Vec::new(),
            c: Vec::new(),
            n: 0,
        }
    }

    /// The rows from `from` on.
    pub(crate) fn extend(&mut self, rows: &Rows, from: usize) {
        for i in from..rows.len() {
            self.push(rows, i);
        }
    }

    /// Row i of others.
    pub(crate) fn push(&mut self, rows: &Rows, i: usize) {
        let roots = [self.hyper.trend[0].sqrt(), self.hyper.trend[1].sqrt()];
        self.x.extend(rows.x(i).iter().zip(&self.scales).map(|(x, s)| x * s));
        self.p.extend(rows.p1(i).iter().map(|p| p * roots[0]));
        self.p.extend(rows.p2(i).iter().map(|p| p * roots[1]));
        self.c.extend_from_slice(rows.c(i));
        self.n += 1;
    }

    pub(crate) fn truncate(&mut self, n: usize) {
        self.n = self.n.min(n);
        self.x.truncate(self.n * self.layout.width());
        self.p.truncate(self.n * 2 * self.layout.trend_width());
        self.c.truncate(self.n * self.layout.categories.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    fn x(&self, i: usize) -> &[f64] {
        let width = self.layout.width();
        &self.x[i * width..(i + 1) * width]
    }

    fn p(&self, i: usize) -> &[f64] {
        let width = 2 * self.layout.trend_width();
        &self.p[i * width..(i + 1) * width]
    }

    fn c(&self, i: usize) -> &[u32] {
        let width = self.layout.categories.len();
        &self.c[i * width..(i + 1) * width]
    }

    /// r2 of two of these rows.
    pub(crate) fn squared_distance(&self, a: usize, b: usize) -> f64 {
        let unequal = self.c(a).iter().zip(self.c(b)).zip(&self.category_weights);
        let categories: f64 = unequal.map(|((p, q), w)| if p == q { 0.0 } else { *w }).sum();
        squared_distance(self.x(a), self.x(b)) + categories
    }

    /// r2 and the trend's part of k between row i of these and row j of others.
    fn parts(&self, i: usize, other: &Scaled, j: usize) -> (f64, f64) {
        let mut r2 = squared_distance(self.x(i), other.x(j));
        let mut trend = dot(self.p(i), other.p(j));
        if !self.category_weights.is_empty() {
            let mut equal = 0usize;
            for ((w, p), q) in self.category_weights.iter().zip(self.c(i)).zip(other.c(j)) {
                if p == q {
                    equal += 1;
                } else {
                    r2 += w;
                }
            }
            trend += self.hyper.trend[2] * (equal as f64 / self.category_weights.len() as f64);
        }
        (r2, trend)
    }

    /// k(x_i, x'_j), without noise.
    pub(crate) fn covariance(&self, i: usize, other: &Scaled, j: usize) -> f64 {
        let (r2, trend) = self.parts(i, other, j);
        self.hyper.signal * matern(r2).0 + trend
    }

    /// k(x_i, x'_j) and sf dm/dr2.
    pub(crate) fn covariance_and_slope(&self, i: usize, other: &Scaled, j: usize) -> (f64, f64) {
        let (r2, trend) = self.parts(i, other, j);
        let (m, slope) = matern(r2);
        (self.hyper.signal * m + trend, self.hyper.signal * slope)
    }

    /// k(x_i, x_i), without noise.
    pub(crate) fn prior(&self, i: usize) -> f64 {
        let categories = if self.category_weights.is_empty() { 0.0 } else { self.hyper.trend[2] };
        self.hyper.signal + dot(self.p(i), self.p(i)) + categories
    }

    /// The gradient of sum_i a_i k(x_i, x'_0) in the numbers of x'_0, where `slopes` holds sf dm/dr2 of each pair, and
    /// that of k(x'_0, x'_0). `z` is the row of x'_0; the gradient of an absent number is 0.
    pub(crate) fn gradient(&self, at: &Scaled, z: &[f64], a: &[f64], slopes: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let m = self.layout.numbers.len();
        let width = self.layout.trend_width();
        // sum_i a_i 2 slope_i sqrt(w) (s' - s_i), s = sqrt(w) x
        let mut of_k = vec![0.0; m];
        let mut trend = vec![0.0; 2 * width];
        for i in 0..a.len() {
            let h = 2.0 * a[i] * slopes[i];
            for ((sum, p), q) in of_k.iter_mut().zip(at.x(0)).zip(self.x(i)) {
                *sum += h * (p - q);
            }
            for (sum, p) in trend.iter_mut().zip(self.p(i)) {
                *sum += a[i] * p;
            }
        }
        let mut of_prior = vec![0.0; m];
        let scale = 1.0 / (m.max(1) as f64).sqrt();
        let roots = [self.hyper.trend[0].sqrt(), self.hyper.trend[1].sqrt()];
        for (j, axis) in self.layout.numbers.iter().enumerate() {
            let z = z[*axis];
            if z.is_nan() {
                of_k[j] = 0.0;
                continue;
            }
            // d p1 / dz and d p2 / dz, scaled as the rows are
            let d1 = roots[0] * scale * SQRT_3 * 2.0;
            let d2 = roots[1] * scale * SQRT_5 * (12.0 * z - 6.0);
            of_k[j] = of_k[j] * self.scales[j] + trend[j] * d1 + trend[width + j] * d2;
            of_prior[j] = 2.0 * (at.p(0)[j] * d1 + at.p(0)[width + j] * d2);
        }
        (of_k, of_prior)
    }
}
