//! A permutation of 0..n made of a key alone: nothing is held, whatever n is.
//!
//! A balanced Feistel network permutes the least even number of bits that holds n; numbers that leave 0..n are sent
//! through again until they are back ("cycle walking", J. Black and P. Rogaway, "Ciphers with arbitrary finite domains",
//! CT-RSA 2002), fewer than four times on average.

use rand::Rng;

use crate::space::stream;

const ROUNDS: usize = 8;

/// A keyed permutation of 0..n.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Permutation {
    n: u128,
    /// Bits of one half, at least 1, at most 64.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub(super) fn new(n: u128, seed: u64) -> Permutation {
        let bits = u128::BITS - n.saturating_sub(1).leading_zeros();
        let mut words = stream(seed, "grid order", 0);
        Permutation { n, half: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| words.next_u64()) }
    }

    /// Where `place` (below n) is sent.
    pub(super) fn at(&self, place: u128) -> u128 {
        let mut x = place;
        loop {
            x = self.rounds(x);
            if x < self.n {
                return x;
            }
        }
    }

    fn rounds(&self, x: u128) -> u128 {
        let mask = u64::MAX >> (u64::BITS - self.half);
        let (mut left, mut right) = ((x >> self.half) as u64 & mask, x as u64 & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & mask));
        }
        (u128::from(left) << self.half) | u128::from(right)
    }
}

/// The finaliser of SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014).
fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
