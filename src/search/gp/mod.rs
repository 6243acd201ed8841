//! Gaussian processes over the points of a space: what `bayes` believes, and where it looks next.
//!
//! Read in this order: [`coordinates`] makes rows of points, [`warp`] makes values fit for a normal model, [`kernel`] is
//! the covariance of two rows, [`evidence`] and [`fit`] find its hyperparameters, [`posterior`] predicts, [`acquisition`]
//! (with [`ehvi`] and [`chebyshev`] for several objectives) says what a trial is worth, [`optimise`] finds the best one.
//! [`linalg`], [`normal`], [`exp`] and [`projected`] are the numerics below. `f64` throughout, every sum in a fixed order, every
//! transcendental function from `libm` or made of elementary steps: equal inputs give equal bits on every machine.

pub(crate) mod acquisition;
pub(crate) mod chebyshev;
pub(crate) mod coordinates;
pub(crate) mod ehvi;
pub(crate) mod evidence;
mod exp;
pub(crate) mod fit;
pub(crate) mod kernel;
mod linalg;
mod normal;
pub(crate) mod optimise;
pub(crate) mod posterior;
mod projected;
pub(crate) mod warp;
mod wide;

#[cfg(test)]
mod tests;
