//! The covariance matrix C, its square root and the root's inverse; the whole matrix, or its diagonal alone.
//!
//! C = B diag(D)^2 B', B orthogonal: y = B diag(D) z is normal with covariance C where z is standard normal. The
//! eigenvalues are found by cyclic Jacobi rotations: G. Golub and C. Van Loan, "Matrix computations" (2013), 8.5.

use libm::sqrt;

/// The largest number of coordinates of which the whole matrix is kept.
const MOST_FULL: usize = 50;
/// An eigenvalue is at least this share of the largest.
const LEAST: f64 = 1e-20;
/// Sweeps over all pairs; five or six are usual.
const SWEEPS: usize = 30;

/// C and its root.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Covariance {
    /// d x d by rows, or d.
    c: Vec<f64>,
    /// d x d by rows, an eigenvector a column; empty for a diagonal.
    b: Vec<f64>,
    /// Roots of the eigenvalues.
    roots: Vec<f64>,
}

impl Covariance {
    /// The identity.
    pub(super) fn identity(d: usize) -> Covariance {
        let (mut c, mut b) = (vec![1.0; d], Vec::new());
        if !Covariance::is_diagonal(d) {
            b = (0..d * d).map(|at| f64::from(u8::from(at / d == at % d))).collect();
            c.clone_from(&b);
        }
        Covariance { c, b, roots: vec![1.0; d] }
    }

    /// Whether only the variances of so many coordinates are learned.
    pub(super) fn is_diagonal(d: usize) -> bool {
        d > MOST_FULL
    }

    fn d(&self) -> usize {
        self.roots.len()
    }

    /// The variance of a coordinate.
    pub(super) fn variance(&self, coordinate: usize) -> f64 {
        self.c[if self.b.is_empty() { coordinate } else { coordinate * self.d() + coordinate }]
    }

    /// The largest eigenvalue of C over the least.
    pub(super) fn condition(&self) -> f64 {
        let (low, high) =
            self.roots.iter().fold((f64::INFINITY, 0.0f64), |(l, h), root| (l.min(*root), h.max(*root)));
        (high / low) * (high / low)
    }

    /// B diag(D) z
    pub(super) fn root(&self, z: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = z.iter().zip(&self.roots).map(|(z, root)| z * root).collect();
        if self.b.is_empty() {
            scaled
        } else {
            self.b.chunks(self.d()).map(|row| dot(row, &scaled)).collect()
        }
    }

    /// C^(-1/2) y = B diag(1/D) B' y
    pub(super) fn whiten(&self, y: &[f64]) -> Vec<f64> {
        if self.b.is_empty() {
            return y.iter().zip(&self.roots).map(|(y, root)| y / root).collect();
        }
        let d = self.d();
        let mut turned = vec![0.0; d];
        for (row, y) in self.b.chunks(d).zip(y) {
            for (turned, b) in turned.iter_mut().zip(row) {
                *turned += b * y;
            }
        }
        for (turned, root) in turned.iter_mut().zip(&self.roots) {
            *turned /= root;
        }
        self.b.chunks(d).map(|row| dot(row, &turned)).collect()
    }

    /// C <- keep C + sum w y y', and its root anew.
    pub(super) fn learn(&mut self, keep: f64, steps: &[(f64, &[f64])]) {
        let d = self.d();
        self.c.iter_mut().for_each(|c| *c *= keep);
        for (w, y) in steps {
            if self.b.is_empty() {
                self.c.iter_mut().zip(*y).for_each(|(c, y)| *c += w * y * y);
            } else {
                for (row, left) in self.c.chunks_mut(d).zip(*y) {
                    row.iter_mut().zip(*y).for_each(|(c, right)| *c += w * (left * right));
                }
            }
        }
        let mut values = if self.b.is_empty() { self.c.clone() } else { eigen(&self.c, &mut self.b, d) };
        let largest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        values.iter_mut().for_each(|value| *value = value.max(LEAST * largest));
        self.roots = values.into_iter().map(sqrt).collect();
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The eigenvalues of a symmetric matrix; its eigenvectors become the columns of `b`.
fn eigen(c: &[f64], b: &mut [f64], d: usize) -> Vec<f64> {
    let mut a = c.to_vec();
    b.iter_mut().enumerate().for_each(|(at, b)| *b = f64::from(u8::from(at / d == at % d)));
    for _ in 0..SWEEPS {
        let off: f64 =
            (0..d).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p * d + q].abs()).sum();
        let trace: f64 = (0..d).map(|p| a[p * d + p].abs()).sum();
        if off <= f64::EPSILON * 1e-3 * trace {
            break;
        }
        for p in 0..d {
            for q in p + 1..d {
                rotate(&mut a, b, d, p, q);
            }
        }
    }
    (0..d).map(|p| a[p * d + p]).collect()
}

/// The rotation in the plane (p, q) that makes a_pq 0.
fn rotate(a: &mut [f64], b: &mut [f64], d: usize, p: usize, q: usize) {
    let apq = a[p * d + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * d + q] - a[p * d + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + sqrt(theta * theta + 1.0));
    let (cos, sin) = (1.0 / sqrt(t * t + 1.0), t / sqrt(t * t + 1.0));
    for k in 0..d {
        let (kp, kq) = (a[k * d + p], a[k * d + q]);
        a[k * d + p] = cos * kp - sin * kq;
        a[k * d + q] = sin * kp + cos * kq;
    }
    for k in 0..d {
        let (pk, qk) = (a[p * d + k], a[q * d + k]);
        a[p * d + k] = cos * pk - sin * qk;
        a[q * d + k] = sin * pk + cos * qk;
    }
    for k in 0..d {
        let (kp, kq) = (b[k * d + p], b[k * d + q]);
        b[k * d + p] = cos * kp - sin * kq;
        b[k * d + q] = sin * kp + cos * kq;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_root_is_one_and_whitening_undoes_it(
            steps in prop::collection::vec(prop::collection::vec(-3.0..3.0f64, 7), 7..12)
        ) {
            let mut covariance = Covariance::identity(7);
            let steps: Vec<(f64, &[f64])> = steps.iter().map(|y| (0.3, y.as_slice())).collect();
            covariance.learn(0.5, &steps);
            for p in 0..7 {
                let axis: Vec<f64> = (0..7).map(|k| f64::from(u8::from(k == p))).collect();
                // whitening leaves B' of it, which turns but does not stretch
                let there = covariance.whiten(&covariance.root(&axis));
                let length: f64 = there.iter().map(|x| x * x).sum();
                prop_assert!((length - 1.0).abs() < 1e-9, "{length}");
                for q in 0..7 {
                    let sum: f64 = (0..7)
                        .map(|k| {
                            let root = covariance.roots[k];
                            covariance.b[p * 7 + k] * root * root * covariance.b[q * 7 + k]
                        })
                        .sum();
                    prop_assert!((sum - covariance.c[p * 7 + q]).abs() < 1e-9 * covariance.c[p * 7 + p].max(1.0));
                }
            }
        }
    }

    #[test]
    fn many_coordinates_are_kept_apart() {
        let mut covariance = Covariance::identity(60);
        let y: Vec<f64> = (0..60).map(f64::from).collect();
        covariance.learn(0.5, &[(1.0, &y)]);
        assert_eq!(covariance.variance(3), 9.5);
        assert!((covariance.condition() / ((0.5 + 59.0 * 59.0) / 0.5) - 1.0).abs() < 1e-12);
        let root = covariance.root(&[1.0; 60]);
        assert!(covariance.whiten(&root).iter().all(|x| (x - 1.0).abs() < 1e-12));
    }
}
