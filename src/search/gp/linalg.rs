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
    dots(&x[..n], [&y[..n]])[0]
}

/// The dot products of x with several, each of which is at least as long.
///
/// Several at once keep the adders busy, which wait four cycles for a sum; each has the bits that it has alone.
#[inline(always)]
fn dots<const N: usize>(x: &[f64], with: [&[f64]; N]) -> [f64; N] {
    let mut sums = [[0.0f64; 8]; N];
    let with = with.map(|y| &y[..x.len()]);
    let whole = x.len() / 8 * 8;
    for (at, p) in x[..whole].chunks_exact(8).enumerate() {
        for (sums, y) in sums.iter_mut().zip(&with) {
            let q = &y[8 * at..8 * at + 8];
            for k in 0..8 {
                sums[k] += p[k] * q[k];
            }
        }
    }
    let mut out = [0.0; N];
    for ((out, sums), y) in out.iter_mut().zip(&sums).zip(&with) {
        let rest: f64 = x[whole..].iter().zip(&y[whole..]).map(|(p, q)| p * q).sum();
        *out = total(sums) + rest;
    }
    out
}

/// The sum, in order. Kept apart, or the compiler would lay the partial sums of several products across each other.
#[inline(never)]
fn total(sums: &[f64; 8]) -> f64 {
    sums.iter().sum()
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
        self.packed.extend_from_slice(&k[..i]);
        let (above, own) = self.packed.split_at_mut(at);
        forward(above, 0, own);
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
        forward(&self.packed, 0, v);
    }

    /// v <- L^-T v, for the first rows, as many as v has.
    pub(crate) fn solve_upper(&self, v: &mut [f64]) {
        solve_upper(self, v);
    }

    /// V <- L^-1 V for eight right hand sides at once: row i of V holds theirs (n x 8).
    pub(crate) fn solve_lower_eight(&self, v: &mut [[f64; 8]]) {
        solve_lower_eight(self, v);
    }

    /// The diagonal entry i of K^-1: |L^-1 e_i|^2.
    pub(crate) fn inverse_diagonal(&self, i: usize) -> f64 {
        let mut v = vec![0.0; self.rows - i];
        v[0] = 1.0;
        forward(&self.packed, i, &mut v);
        dot(&v, &v)
    }

    /// K^-1, the lower triangle packed: n^3 / 3 in two passes of dot products.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        inverse(self)
    }
}

wide! {
    fn forward(packed: &[f64], first: usize, v: &mut [f64]) {
        forward_inlined(packed, first, v);
    }
}

/// v <- L^-1 v for the part of L from row and column `first` on: v_i <- (v_i - sum_k<i l_ik v_k) / l_ii.
///
/// Eight rows at a time: what the numbers before them contribute first, four rows at once, then what they owe each other.
#[inline(always)]
fn forward_inlined(packed: &[f64], first: usize, v: &mut [f64]) {
    let row = |i: usize| &packed[start(first + i) + first..start(first + i + 1)];
    for block in (0..v.len()).step_by(8) {
        let end = v.len().min(block + 8);
        let (known, own) = v.split_at_mut(block);
        let mut sums = [0.0f64; 8];
        let mut i = block;
        while i + 4 <= end {
            sums[i - block..i - block + 4]
                .copy_from_slice(&dots(known, [row(i), row(i + 1), row(i + 2), row(i + 3)]));
            i += 4;
        }
        for i in i..end {
            sums[i - block] = dot(known, row(i));
        }
        for i in 0..end - block {
            let row = row(block + i);
            let rest: f64 = row[block..block + i].iter().zip(&own[..i]).map(|(l, v)| l * v).sum();
            own[i] = (own[i] - (sums[i] + rest)) / row[block + i];
        }
    }
}

wide! {
    fn solve_upper(factor: &Factor, v: &mut [f64]) {
        for i in (0..v.len()).rev() {
            let row = factor.row(i);
            v[i] /= row[i];
            let (before, at) = v.split_at_mut(i);
            add_scaled(before, -at[0], &row[..i]);
        }
    }
}

wide! {
    fn solve_lower_eight(factor: &Factor, v: &mut [[f64; 8]]) {
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
}

wide! {
    /// K^-1 = M M', M = L^-T.
    fn inverse(factor: &Factor) -> Vec<f64> {
        let n = factor.rows;
        // row j of M holds its entries j..n
        let mut upper: Vec<Vec<f64>> = Vec::with_capacity(n);
        for j in 0..n {
            let mut m = vec![0.0; n - j];
            m[0] = 1.0;
            forward_inlined(&factor.packed, j, &mut m);
            upper.push(m);
        }
        // (K^-1)_ij = sum_k>=i m_ik m_jk for j <= i
        let mut inverse = Vec::with_capacity(start(n));
        for i in 0..n {
            let other = |j: usize| &upper[j][i - j..];
            let mut j = 0;
            while j + 4 <= i + 1 {
                inverse.extend(dots(&upper[i], [other(j), other(j + 1), other(j + 2), other(j + 3)]));
                j += 4;
            }
            inverse.extend((j..=i).map(|j| dot(&upper[i], other(j))));
        }
        inverse
    }
}
