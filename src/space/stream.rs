//! Random streams: one for each purpose and number, none disturbs another.
//!
//! A stream is ChaCha8 keyed by blake3 of (seed, purpose, number), so a draw added in one place never moves a draw in
//! another, and what a trial is given depends on its number alone. The floats are made here, not by `rand`: what its
//! adaptors make of a word may change between releases. A test holds golden values.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The key's domain; changing it changes every proposal.
const DOMAIN: &str = "swath random stream v1";

/// The stream of `purpose` and `number` under `seed`.
pub fn stream(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(&number.to_le_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// The next uniform number of the open interval (0, 1): a multiple of 2^-53, never 0 and never 1.
pub fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    const ULP: f64 = 1.0 / (1u64 << 53) as f64;
    loop {
        let word = rng.next_u64() >> 11;
        if word != 0 {
            return word as f64 * ULP;
        }
    }
}
