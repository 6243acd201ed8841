//! The mean of a row before anything is observed, and the covariance of two: a Matern 5/2 kernel and, beside it, a linear
//! model.
//!
//! mu(x) = c sum_j p2(x_j)
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
//! And they are bowls far more often than hills: ranges are set so that the best lies inside. Hence the mean mu, a bowl
//! with its bottom in the middle, whose values over the whole space deviate by c. Where it is wrong, p2 p2' unlearns it.
//! Derivatives are taken with respect to r2, which has no singularity at 0: dm/dr2 = -(5/6) (1 + r) exp(-r).
//!
//! Rows are kept by column, and a covariance is computed of one row with all others at once, column after column: every
//! inner loop is elementwise over contiguous numbers, so that the bits do not depend on how it is vectorised.
//!
//! - [RW06] C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.

use crate::search::gp::coordinates::Embedding;
use crate::search::gp::exp::exp_negative;
use crate::search::gp::linalg::dot;
use crate::search::gp::wide::wide;

const SQRT_3: f64 = 1.732_050_807_568_877_2;
const SQRT_5: f64 = 2.236_067_977_499_79;
/// The weight of a difference of flags beside one of numbers.
const FLAG: f64 = 1.0 / 12.0;

/// Which columns a row has: numbers, flags of numbers that may be absent, categories.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    /// The axis of each number.
    pub(crate) numbers: Vec<usize>,
    /// The place among the numbers of each that has a flag.
    flags: Vec<usize>,
    /// The axis of each category, and its value that stands for absent.
    categories: Vec<(usize, u32)>,
    axes: usize,
}

/// Rows of coordinates, by column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) layout: Layout,
    /// Numbers: z, 1/2 where absent.
    z: Vec<Vec<f64>>,
    /// Flags: 1 where absent.
    flags: Vec<Vec<f64>>,
    categories: Vec<Vec<u32>>,
    /// p1 and p2 of each number.
    p1: Vec<Vec<f64>>,
    p2: Vec<Vec<f64>>,
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
    /// t4, of the hint; 0 where there is none.
    pub(crate) hint: f64,
    /// c, given and not learnt.
    pub(crate) bowl: f64,
}

/// The covariances of one row with n others, and what they are made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Covariances {
    /// k, without noise.
    pub(crate) k: Vec<f64>,
    /// dm/dr2.
    pub(crate) slopes: Vec<f64>,
    r2: Vec<f64>,
}

impl Hyper {
    /// Of theta = (ln w_1 .. ln w_d, ln sf, ln sn, ln t1, ln t2, ln t3), and ln t4 where there is a hint; d `axes`. Without
    /// a bowl.
    pub(crate) fn of(theta: &[f64], axes: usize) -> Hyper {
        let at = |i: usize| theta.get(axes + i).map_or(0.0, |t| libm::exp(*t));
        Hyper {
            weights: theta.iter().take(axes).map(|t| libm::exp(*t)).collect(),
            signal: at(0),
            noise: at(1),
            trend: [at(2), at(3), at(4)],
            hint: at(5),
            bowl: 0.0,
        }
    }
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

    /// How many axes there are.
    pub(crate) fn axes(&self) -> usize {
        self.axes
    }
}

impl Rows {
    pub(crate) fn new(layout: Layout) -> Rows {
        Rows {
            z: vec![Vec::new(); layout.numbers.len()],
            flags: vec![Vec::new(); layout.flags.len()],
            categories: vec![Vec::new(); layout.categories.len()],
            p1: vec![Vec::new(); layout.numbers.len()],
            p2: vec![Vec::new(); layout.numbers.len()],
            n: 0,
            layout,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// One more row: one z an axis, NaN where it is absent.
    pub(crate) fn push(&mut self, row: &[f64]) {
        let Layout { numbers, flags, categories, .. } = &self.layout;
        let scale = 1.0 / (numbers.len().max(1) as f64).sqrt();
        for (j, axis) in numbers.iter().enumerate() {
            let z = row[*axis];
            let there = !z.is_nan();
            self.z[j].push(if there { z } else { 0.5 });
            self.p1[j].push(if there { scale * SQRT_3 * (2.0 * z - 1.0) } else { 0.0 });
            self.p2[j].push(if there { scale * SQRT_5 * (6.0 * z * z - 6.0 * z + 1.0) } else { 0.0 });
        }
        for (column, number) in self.flags.iter_mut().zip(flags) {
            column.push(if row[numbers[*number]].is_nan() { 1.0 } else { 0.0 });
        }
        for (column, (axis, absent)) in self.categories.iter_mut().zip(categories) {
            column.push(if row[*axis].is_nan() { *absent } else { row[*axis] as u32 });
        }
        self.n += 1;
    }

    /// Adds the rows of others.
    pub(crate) fn append(&mut self, others: &Rows) {
        fn all<T: Copy>(to: &mut [Vec<T>], from: &[Vec<T>]) {
            to.iter_mut().zip(from).for_each(|(to, from)| to.extend_from_slice(from));
        }
        all(&mut self.z, &others.z);
        all(&mut self.flags, &others.flags);
        all(&mut self.categories, &others.categories);
        all(&mut self.p1, &others.p1);
        all(&mut self.p2, &others.p2);
        self.n += others.n;
    }

    /// Keeps the first `n` rows.
    pub(crate) fn truncate(&mut self, n: usize) {
        fn all<T>(columns: &mut [Vec<T>], n: usize) {
            columns.iter_mut().for_each(|column| column.truncate(n));
        }
        all(&mut self.z, n);
        all(&mut self.flags, n);
        all(&mut self.categories, n);
        all(&mut self.p1, n);
        all(&mut self.p2, n);
        self.n = self.n.min(n);
    }

    /// Whether the first rows are these.
    pub(crate) fn starts_with(&self, others: &Rows) -> bool {
        fn all<T: PartialEq>(of: &[Vec<T>], with: &[Vec<T>]) -> bool {
            of.iter().zip(with).all(|(of, with)| of.starts_with(with))
        }
        self.layout == others.layout
            && all(&self.z, &others.z)
            && all(&self.flags, &others.flags)
            && all(&self.categories, &others.categories)
    }

    /// r2 of row a of others with the first `n` of these.
    fn distances(&self, hyper: &Hyper, others: &Rows, a: usize, r2: &mut Vec<f64>, n: usize) {
        r2.clear();
        r2.resize(n, 0.0);
        let Layout { numbers, flags, categories, .. } = &self.layout;
        for ((column, other), axis) in self.z.iter().zip(&others.z).zip(numbers) {
            add_squares(r2, column, other[a], hyper.weights[*axis]);
        }
        for ((column, other), number) in self.flags.iter().zip(&others.flags).zip(flags) {
            add_squares(r2, column, other[a], hyper.weights[numbers[*number]] * FLAG);
        }
        for ((column, other), (axis, _)) in self.categories.iter().zip(&others.categories).zip(categories) {
            let (weight, at) = (hyper.weights[*axis], other[a]);
            r2.iter_mut().zip(column).for_each(|(r2, c)| *r2 += if *c == at { 0.0 } else { weight });
        }
    }

    /// Adds t1 p1'p1 + t2 p2'p2 + t3 share of row a of others with the first of these, as many as `k` has.
    fn add_trend(&self, trend: &[f64; 3], others: &Rows, a: usize, k: &mut [f64]) {
        let columns = self.p1.iter().zip(&self.p2).zip(others.p1.iter().zip(&others.p2));
        for ((p1, p2), (a1, a2)) in columns {
            let (a1, a2) = (trend[0] * a1[a], trend[1] * a2[a]);
            add_both(k, [a1, a2], p1, p2);
        }
        let each = trend[2] / self.categories.len().max(1) as f64;
        for (column, other) in self.categories.iter().zip(&others.categories) {
            let at = other[a];
            k.iter_mut().zip(column).for_each(|(k, c)| *k += if *c == at { each } else { 0.0 });
        }
    }

    /// The parts of the trend of row a with the rows up to it: p1'p1, p2'p2, share.
    pub(crate) fn trend_parts(&self, a: usize) -> [Vec<f64>; 3] {
        let part = |trend: [f64; 3]| {
            let mut k = vec![0.0; a + 1];
            self.add_trend(&trend, self, a, &mut k);
            k
        };
        [part([1.0, 0.0, 0.0]), part([0.0, 1.0, 0.0]), part([0.0, 0.0, 1.0])]
    }

    /// The covariances of row a of others with the first `n` of these.
    pub(crate) fn covariances(
        &self,
        hyper: &Hyper,
        others: &Rows,
        a: usize,
        n: usize,
        out: &mut Covariances,
    ) {
        self.matern(hyper, others, a, n, out);
        out.k.iter_mut().for_each(|k| *k *= hyper.signal);
        self.add_trend(&hyper.trend, others, a, &mut out.k);
    }

    /// m and dm/dr2 of row a of others with the first `n` of these.
    pub(crate) fn matern(&self, hyper: &Hyper, others: &Rows, a: usize, n: usize, out: &mut Covariances) {
        out.k.resize(n, 0.0);
        out.slopes.resize(n, 0.0);
        self.distances(hyper, others, a, &mut out.r2, n);
        matern(out);
    }

    /// k(x, x) of row a, without noise.
    pub(crate) fn prior(&self, hyper: &Hyper, a: usize) -> f64 {
        let mut k = hyper.signal + if self.categories.is_empty() { 0.0 } else { hyper.trend[2] };
        for (p1, p2) in self.p1.iter().zip(&self.p2) {
            k += hyper.trend[0] * (p1[a] * p1[a]) + hyper.trend[1] * (p2[a] * p2[a]);
        }
        k
    }

    /// Adds sum_b h_b d_j(a, b) to what belongs to each axis j, over the first rows b, as many as `h` has.
    pub(crate) fn add_differences(&self, a: usize, h: &[f64], axes: &mut [f64]) {
        let Layout { numbers, flags, categories, .. } = &self.layout;
        for (column, axis) in self.z.iter().zip(numbers) {
            axes[*axis] += sum_of_squares(h, column, column[a]);
        }
        for (column, number) in self.flags.iter().zip(flags) {
            axes[numbers[*number]] += FLAG * sum_of_squares(h, column, column[a]);
        }
        for (column, (axis, _)) in self.categories.iter().zip(categories) {
            let at = column[a];
            axes[*axis] += h.iter().zip(column).map(|(h, c)| if *c == at { 0.0 } else { *h }).sum::<f64>();
        }
    }

    /// The gradient of sum_i a_i k(x_i, x) in the numbers of x, row 0 of `at`, over the first rows, as many as `a` has;
    /// `slopes` holds dm/dr2 of each. 0 for an absent number.
    pub(crate) fn gradient(&self, hyper: &Hyper, at: &Rows, a: &[f64], slopes: &[f64]) -> Vec<f64> {
        let h: Vec<f64> = a.iter().zip(slopes).map(|(a, slope)| a * slope).collect();
        let sum: f64 = dot(&h, &vec![1.0; h.len()]);
        let of = |(j, axis): (usize, &usize)| {
            let Some([d1, d2]) = at.trend_slopes(j) else { return 0.0 };
            // dr2/dz = 2 w (z - z_i)
            let stationary = 2.0 * hyper.weights[*axis] * (at.z[j][0] * sum - dot(&h, &self.z[j]));
            let trend =
                [hyper.trend[0] * d1 * dot(a, &self.p1[j]), hyper.trend[1] * d2 * dot(a, &self.p2[j])];
            hyper.signal * stationary + trend[0] + trend[1]
        };
        self.layout.numbers.iter().enumerate().map(of).collect()
    }

    /// mu / c of row a: its values over the whole space have mean 0 and deviation 1.
    pub(crate) fn bowl(&self, a: usize) -> f64 {
        self.p2.iter().map(|p2| p2[a]).sum()
    }

    /// Its gradient in the numbers of row 0.
    pub(crate) fn bowl_gradient(&self) -> Vec<f64> {
        (0..self.z.len()).map(|j| self.trend_slopes(j).map_or(0.0, |[_, d2]| d2)).collect()
    }

    /// The gradient of k(x, x) in the numbers of row 0.
    pub(crate) fn prior_gradient(&self, hyper: &Hyper) -> Vec<f64> {
        let of = |j: usize| {
            let Some([d1, d2]) = self.trend_slopes(j) else { return 0.0 };
            2.0 * (hyper.trend[0] * self.p1[j][0] * d1 + hyper.trend[1] * self.p2[j][0] * d2)
        };
        (0..self.z.len()).map(of).collect()
    }

    /// dp1/dz and dp2/dz of number j of row 0; none where it is absent.
    fn trend_slopes(&self, j: usize) -> Option<[f64; 2]> {
        let flag = self.layout.flags.iter().position(|number| *number == j);
        if flag.is_some_and(|flag| self.flags[flag][0] == 1.0) {
            return None;
        }
        let scale = 1.0 / (self.z.len().max(1) as f64).sqrt();
        Some([scale * SQRT_3 * 2.0, scale * SQRT_5 * (12.0 * self.z[j][0] - 6.0)])
    }
}

wide! {
    /// m and dm/dr2 of r2.
    fn matern(of: &mut Covariances) {
        for ((k, slope), r2) in of.k.iter_mut().zip(&mut of.slopes).zip(&of.r2) {
            let r = (5.0 * r2).sqrt();
            let e = exp_negative(-r);
            *k = (1.0 + r + r * r * (1.0 / 3.0)) * e;
            *slope = -(5.0 / 6.0) * (1.0 + r) * e;
        }
    }
}

wide! {
    /// k_i += a_1 p1_i + a_2 p2_i
    fn add_both(k: &mut [f64], a: [f64; 2], p1: &[f64], p2: &[f64]) {
        for (k, (p1, p2)) in k.iter_mut().zip(p1.iter().zip(p2)) {
            *k += a[0] * p1 + a[1] * p2;
        }
    }
}

wide! {
    /// r2_i += w (x_i - at)^2
    fn add_squares(r2: &mut [f64], column: &[f64], at: f64, w: f64) {
        for (r2, x) in r2.iter_mut().zip(column) {
            let gap = x - at;
            *r2 += w * (gap * gap);
        }
    }
}

wide! {
    /// sum_i h_i (x_i - at)^2, in eight partial sums.
    fn sum_of_squares(h: &[f64], column: &[f64], at: f64) -> f64 {
        let column = &column[..h.len()];
        let mut sums = [0.0f64; 8];
        let (a, b) = (h.chunks_exact(8), column.chunks_exact(8));
        let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(h, x)| h * ((x - at) * (x - at))).sum();
        for (h, x) in a.zip(b) {
            for k in 0..8 {
                let gap = x[k] - at;
                sums[k] += h[k] * (gap * gap);
            }
        }
        sums.iter().sum::<f64>() + rest
    }
}
