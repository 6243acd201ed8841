//! Hyperband's bands: the numbers of iterations at which runs are compared.

/// How many bands are kept where they are endless.
const ENDLESS: usize = 100;
/// Most bands counted down from `max_iter`.
const MOST: u64 = 10_000;

/// Why there are no bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBands {
    /// `s` is 0, or `max_iter` is below eta.
    #[error("these numbers give no band: max_iter must be at least eta, and s at least 1")]
    None,
    /// Neither key is there.
    #[error("give min_iter, or max_iter and s")]
    Missing,
    /// `min_iter` is 0.
    #[error("min_iter must be at least 1")]
    Zero,
    /// Bands do not grow.
    #[error("eta must be a finite number above 1")]
    Eta,
    /// So many that it can only be a mistake.
    #[error("these numbers give more than {MOST} bands")]
    TooMany,
}

/// The bands, ascending. `max_iter` wins over `min_iter` where both are there; `s` counts with `max_iter` alone.
pub fn bands(
    min_iter: Option<u64>,
    max_iter: Option<u64>,
    s: Option<u64>,
    eta: f64,
) -> Result<Vec<u64>, BadBands> {
    if !(eta.is_finite() && eta > 1.0) {
        return Err(BadBands::Eta);
    }
    match (min_iter, max_iter, s) {
        (_, Some(max_iter), Some(s)) => down_from(max_iter, s, eta),
        (Some(0), _, _) => Err(BadBands::Zero),
        (Some(min_iter), None, _) => Ok(up_from(min_iter, eta)),
        _ => Err(BadBands::Missing),
    }
}

fn down_from(max_iter: u64, s: u64, eta: f64) -> Result<Vec<u64>, BadBands> {
    let mut bands = Vec::new();
    let mut b = max_iter as f64;
    for round in 0..s {
        b /= eta;
        if b < 1.0 {
            break;
        }
        if round == MOST {
            return Err(BadBands::TooMany);
        }
        bands.push(b as u64);
    }
    bands.reverse();
    if bands.is_empty() { Err(BadBands::None) } else { Ok(bands) }
}

fn up_from(min_iter: u64, eta: f64) -> Vec<u64> {
    let reals = std::iter::successors(Some(min_iter as f64), |b| Some(b * eta));
    reals.take(ENDLESS).take_while(|b| *b < u64::MAX as f64).map(|b| b as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_wandb_counts_them() {
        let up = |min_iter, eta| bands(Some(min_iter), None, None, eta).unwrap();
        assert_eq!(up(3, 3.0)[..5], [3, 9, 27, 81, 243]);
        assert_eq!(up(3, 2.0)[..4], [3, 6, 12, 24]);
        assert_eq!(up(1, 1.5)[..8], [1, 1, 2, 3, 5, 7, 11, 17]);
        assert_eq!(up(1, 1.1).len(), 100);
        let down = |max_iter, s, eta| bands(None, Some(max_iter), Some(s), eta);
        assert_eq!(down(27, 2, 3.0), Ok(vec![3, 9]));
        assert_eq!(down(81, 4, 3.0), Ok(vec![1, 3, 9, 27]));
        assert_eq!(down(10, 3, 2.0), Ok(vec![1, 2, 5]));
        assert_eq!(down(5, 10, 2.0), Ok(vec![1, 2]));
        assert_eq!(bands(Some(7), Some(19), Some(2), 3.0), Ok(vec![2, 6]));
        assert_eq!(down(27, 0, 3.0), Err(BadBands::None));
        assert_eq!(down(2, 2, 3.0), Err(BadBands::None));
        assert_eq!(down(u64::MAX, u64::MAX, 1.000_000_1), Err(BadBands::TooMany));
    }
}
