//! `sobol`: a scrambled Sobol sequence. Any point of it costs O(dimensions log index) and needs nothing but its index.
//!
//! - [JK08] S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM Journal
//!   on Scientific Computing 30 (2008) 2635-2654: the direction numbers, in Gray-code order.
//! - [LK11] S. Laine and T. Karras, "Stratified sampling for stochastic transparency", Computer Graphics Forum 30 (2011)
//!   1197-1204: a hash of which each bit depends on the bits below it alone.
//! - [B20] B. Burley, "Practical hash-based Owen scrambling", Journal of Computer Graphics Techniques 9 (4) (2020) 1-20:
//!   Owen's nested uniform scrambling by that hash of the reversed bits, with its constants; shuffled copies of the
//!   sequence where there are more dimensions than direction numbers.
//!
//! A coordinate has 32 bits of the sequence; below them stand bits of a hash, as the scrambling of digits that the
//! sequence leaves at 0 would give them. It is never 0 and never 1.

mod directions;

use rand::Rng;

use crate::search::axis::Axis;
use crate::search::taken::Taken;
use crate::search::{History, Problem, Proposal, Reason, UsedUp};
use crate::space::{Space, stream};
use directions::DIRECTIONS;

/// Bits of the sequence.
const BITS: usize = 32;
/// How many points in a row may be taken before another is sought elsewhere.
const TRIES: u32 = 64;

/// The method.
#[derive(Clone, Debug)]
pub struct SobolSearch {
    space: Space,
    axes: Vec<Axis>,
    seed: u64,
    sequence: Sobol,
}

impl SobolSearch {
    /// The sequence over the leaves of a space, scrambled by the seed.
    pub fn new(problem: &Problem) -> SobolSearch {
        let axes = Axis::of(&problem.space);
        let searched = axes.iter().filter(|axis| axis.is_searched()).count();
        let sequence = Sobol::new(searched, problem.seed, "sobol");
        SobolSearch { space: problem.space.clone(), axes, seed: problem.seed, sequence }
    }

    /// What becomes `trial` (from 1): the point of its number, or the next that was not proposed yet.
    pub fn propose(&self, trial: u32, history: &History<'_>) -> Result<Proposal, UsedUp> {
        let taken = Taken { space: &self.space, axes: &self.axes, history };
        let first = trial.saturating_sub(1);
        for index in (0..TRIES).map(|further| first.wrapping_add(further)) {
            let mut units = self.sequence.point(index);
            // leaves of one value have no dimension
            let units: Vec<f64> = self
                .axes
                .iter()
                .map(|axis| if axis.is_searched() { units.next().unwrap_or(0.5) } else { 0.5 })
                .collect();
            let point = self.space.at(&units);
            if !taken.has(&point) {
                return Ok(Proposal { point, reason: Reason::Sobol { index } });
            }
        }
        let point = taken.other(&mut stream(self.seed, "sobol", u64::from(trial)))?;
        Ok(Proposal { point, reason: Reason::Unused })
    }
}

/// The sequence in the unit cube.
#[derive(Clone, Debug)]
pub struct Sobol {
    /// Direction numbers: for every dimension, what each bit of the Gray code adds.
    directions: Vec<[u32; BITS]>,
    /// Seeds of the scrambling, one a dimension.
    scrambles: Vec<u32>,
    /// Seeds of the shuffled indexes: one for each further time the table is gone through.
    shuffles: Vec<u32>,
}

impl Sobol {
    /// The sequence of a seed and a purpose.
    pub fn new(dimensions: usize, seed: u64, purpose: &str) -> Sobol {
        let table = DIRECTIONS.len() + 1;
        let mut words = stream(seed, purpose, 0);
        let scrambles = (0..dimensions).map(|_| words.next_u32()).collect();
        let shuffles = (table..dimensions).step_by(table).map(|_| words.next_u32()).collect();
        let directions = (0..dimensions.min(table)).map(directions_of).collect();
        Sobol { directions, scrambles, shuffles }
    }

    /// The coordinates of a point, each inside (0, 1).
    pub fn point(&self, index: u32) -> impl Iterator<Item = f64> + '_ {
        let mut shuffled = index;
        self.scrambles.iter().enumerate().map(move |(dimension, seed)| {
            let table = self.directions.len();
            if dimension > 0 && dimension % table == 0 {
                shuffled = scrambled(index, self.shuffles[dimension / table - 1]);
            }
            let x = scrambled(raw(&self.directions[dimension % table], shuffled), *seed);
            let below = f64::from(hash(x ^ seed.rotate_left(16), *seed)) + 0.5;
            const ULP: f64 = 1.0 / (1u64 << BITS) as f64;
            // the sum may round to 1
            ((f64::from(x) + below * ULP) * ULP).min(1.0 - f64::EPSILON / 2.0)
        })
    }
}

/// The direction numbers of a dimension [JK08, 2]: v_k = m_k 2^(32-k), and from k = s + 1 on, with the polynomial
/// x^s + a_1 x^(s-1) + .. + a_(s-1) x + 1, v_k = a_1 v_(k-1) ^ .. ^ a_(s-1) v_(k-s+1) ^ v_(k-s) ^ (v_(k-s) >> s).
fn directions_of(dimension: usize) -> [u32; BITS] {
    let mut v = [0; BITS];
    let Some((polynomial, initial)) = dimension.checked_sub(1).map(|row| DIRECTIONS[row]) else {
        return std::array::from_fn(|k| 1 << (BITS - 1 - k));
    };
    let s = initial.len();
    for k in 0..BITS {
        v[k] = match initial.get(k) {
            Some(m) => m << (BITS - 1 - k),
            None => {
                let taps = (1..s).filter(|i| polynomial >> (s - i) & 1 == 1);
                taps.fold(v[k - s] ^ (v[k - s] >> s), |sum, i| sum ^ v[k - i])
            }
        };
    }
    v
}

/// The point of an index in Gray-code order, before scrambling.
fn raw(directions: &[u32; BITS], index: u32) -> u32 {
    let mut gray = index ^ (index >> 1);
    let mut x = 0;
    while gray != 0 {
        x ^= directions[gray.trailing_zeros() as usize];
        gray &= gray - 1;
    }
    x
}

/// Owen's scrambling: every bit is flipped by a hash of the bits above it [B20].
fn scrambled(x: u32, seed: u32) -> u32 {
    hash(x.reverse_bits(), seed).reverse_bits()
}

/// A permutation in which every bit depends on the bits below it alone [LK11], with the constants of [B20].
fn hash(x: u32, seed: u32) -> u32 {
    const ROUNDS: [u32; 4] = [0x6c50_b47c, 0xb82f_1e52, 0xc7af_e638, 0x8d22_f6e6];
    ROUNDS.iter().fold(x.wrapping_add(seed), |x, even| x ^ x.wrapping_mul(*even))
}

#[cfg(test)]
mod tests;
