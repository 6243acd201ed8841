//! The stopping rules: whether a run is worth going on. Pure.

mod bands;
mod curve;
mod hyperband;
mod ranking;

pub use bands::{BadBands, bands};
pub use curve::{Curve, Marks};
pub use hyperband::{Evidence, Hyperband};
