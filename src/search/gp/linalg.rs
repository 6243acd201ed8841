//! Lower triangular factors of symmetric positive definite matrices, grown row by row.
//!
//! Storage is packed by rows: row i holds i + 1 numbers and starts at i (i + 1) / 2, so that every inner loop is a dot
//! product of two contiguous slices and a factor is grown by pushing. Row i depends on the rows before it alone: a factor
//! grown row by row has the bits of a fresh one.
//! Sums are taken in a fixed order (eight partial sums), so that the bits are the same on every machine.

use crate::search::gp::wide::wide;

/// A pivot below this is refused: the matrix is not positive definite in floating point.
const SMALLEST_PIVOT: f64 = 1e-12;

/// A matrix has a pivot that is not positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPositive;

/// sum_i x_i y_i over the shorter of the two.
#[inline(always)]
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &y[..n]);
    let mut sums = [0.0f64; 8];
    let (a, b) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(p, q)| p * q).sum();
    for (p, q) in a.zip(b) {
        for k in 0..8 {
            sums[k] += p[k] * q[k];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// y += a x
#[inline(always)]
fn add_scaled(y: &mut [f64], a: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Where row i starts.
#[inline(always)]
fn start(i: usize) -> usize {
    i * (i + 1) / 2
}

/// L of K = L L', lower triangular (n x n), packed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Factor {
    rows: usize,
    packed: Vec<f64>,
}

impl Factor {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// One more row of K: k(x_i, x_0..=i), i + 1 numbers. On refusal nothing changes.
    pub(crate) fn push(&mut self, k: &[f64]) -> Result<(), NotPositive> {
        let i = self.rows;
        let at = self.packed.len();
        self.packed.resize(at + i, 0.0);
        let (above, own) = self.packed.split_at_mut(at);
        wide(row_of_factor, (above, own, k));
        // l_ii^2 = k_ii - sum_m l_im^2
        let own = &self.packed[at..];
        let pivot = k[i] - dot(own, own);
        if pivot.is_nan() || pivot < SMALLEST_PIVOT || pivot == f64::INFINITY {
            self.packed.truncate(at);
            return Err(NotPositive);
        }
        self.packed.push(pivot.sqrt());
        self.rows += 1;
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.packed[start(i)..start(i + 1)]
    }

    /// sum_i ln l_ii, half the logarithm of the determinant of K.
    pub(crate) fn half_log_determinant(&self) -> f64 {
        (0..self.rows).map(|i| libm::log(self.row(i)[i])).sum()
    }

    /// v <- L^-1 v, for as many rows as v has.
    pub(crate) fn solve_lower(&self, v: &mut [f64]) {
        wide(solve_lower, (self, v));
    }

    /// v <- L^-T v, for the first rows, as many as v has.
    pub(crate) fn solve_upper(&self, v: &mut [f64]) {
        wide(solve_upper, (self, v));
    }

    /// V <- L^-1 V for eight right hand sides at once: row i of V holds theirs (n x 8).
    pub(crate) fn solve_lower_eight(&self, v: &mut [[f64; 8]]) {
        wide(solve_lower_eight, (self, v));
    }

    /// The diagonal entry i of K^-1: |L^-1 e_i|^2.
    pub(crate) fn inverse_diagonal(&self, i: usize) -> f64 {
        let n = self.rows;
        let mut v = vec![0.0; n - i];
        v[0] = 1.0 / self.row(i)[i];
        for r in i + 1..n {
            let row = self.row(r);
            v[r - i] = -dot(&row[i..r], &v[..r - i]) / row[r];
        }
        dot(&v, &v)
    }

    /// K^-1, the lower triangle packed: n^3 / 3 in two passes of dot products.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        wide(inverse, self)
    }
}

/// l_ij = (k_ij - sum_m<j l_im l_jm) / l_jj for j < i, given the rows above.
#[inline(always)]
fn row_of_factor((above, own, k): (&[f64], &mut [f64], &[f64])) {
    for j in 0..own.len() {
        let row = &above[start(j)..start(j + 1)];
        own[j] = (k[j] - dot(&own[..j], &row[..j])) / row[j];
    }
}

#[inline(always)]
fn solve_lower((factor, v): (&Factor, &mut [f64])) {
    for i in 0..v.len() {
        let row = factor.row(i);
        v[i] = (v[i] - dot(&row[..i], &v[..i])) / row[i];
    }
}

#[inline(always)]
fn solve_upper((factor, v): (&Factor, &mut [f64])) {
    for i in (0..v.len()).rev() {
        let row = factor.row(i);
        v[i] /= row[i];
        let (before, at) = v.split_at_mut(i);
        add_scaled(before, -at[0], &row[..i]);
    }
}

#[inline(always)]
fn solve_lower_eight((factor, v): (&Factor, &mut [[f64; 8]])) {
    for i in 0..v.len() {
        let row = factor.row(i);
        let (before, at) = v.split_at_mut(i);
        let mut sums = [0.0f64; 8];
        for (l, v) in row[..i].iter().zip(before.iter()) {
            for k in 0..8 {
                sums[k] += l * v[k];
            }
        }
        for k in 0..8 {
            at[0][k] = (at[0][k] - sums[k]) / row[i];
        }
    }
}

#[inline(always)]
fn inverse(factor: &Factor) -> Vec<f64> {
    let n = factor.rows;
    // Row j of M = L^-T holds its entries i = j..n: m_ji = -(sum_j<=k<i l_ik m_jk) / l_ii, m_jj = 1 / l_jj.
    let mut upper: Vec<Vec<f64>> = Vec::with_capacity(n);
    for j in 0..n {
        let mut m = Vec::with_capacity(n - j);
        m.push(1.0 / factor.row(j)[j]);
        for i in j + 1..n {
            let row = factor.row(i);
            let value = -dot(&row[j..i], &m) / row[i];
            m.push(value);
        }
        upper.push(m);
    }
    // (K^-1)_ij = sum_k>=i m_ik m_jk for j <= i
    let mut inverse = Vec::with_capacity(start(n));
    for i in 0..n {
        for j in 0..=i {
            inverse.push(dot(&upper[i], &upper[j][i - j..]));
        }
    }
    inverse
}
