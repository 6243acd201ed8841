//! Names of things: sweeps, trials, runs, fences, positions, times. Newtypes, so that none is taken for another.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32 in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A sweep: 40 bits, shown as 8 characters of Crockford's base 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SweepId(u64);

impl SweepId {
    /// The id made of the lowest 40 bits of `bits`, which the caller draws.
    pub fn from_bits(bits: u64) -> Self {
        SweepId(bits & ((1 << 40) - 1))
    }

    /// The 40 bits.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SweepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for k in (0..8).rev() {
            let digit = (self.0 >> (5 * k)) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

/// Text that is no id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {wanted}")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// What would be right.
    pub wanted: &'static str,
}

impl FromStr for SweepId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.to_owned(), wanted: "a sweep id of 8 characters" };
        if text.len() != 8 {
            return Err(bad());
        }
        text.bytes()
            .try_fold(0, |bits, byte| {
                let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or_else(bad)?;
                Ok(bits << 5 | digit as u64)
            })
            .map(SweepId)
    }
}

impl Serialize for SweepId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SweepId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A trial within its sweep, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trial(pub u32);

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One execution of a trial: `17.2` is its second attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The trial.
    pub trial: Trial,
    /// From 1.
    pub attempt: u32,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.trial, self.attempt)
    }
}

/// 64 bits that grow past what JSON readers keep: a string in JSON.
macro_rules! wide {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map($name).map_err(serde::de::Error::custom)
            }
        }
    };
}

wide! {
    /// Position in the store: one counter for events and reports of all sweeps, from 1.
    Pos
}

wide! {
    /// A run's fencing number: `epoch * 2^40 + pos of RunAssigned`. Only the newest of a trial can change anything.
    Fence
}

impl Fence {
    /// The fence of a run assigned at `pos` in `epoch`.
    pub fn new(epoch: u32, pos: Pos) -> Self {
        Fence((u64::from(epoch) << 40) + pos.0)
    }
}

/// UTC, microseconds since 1970. A stamp only: no decision compares it with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// So much later.
    pub fn after(self, time: Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Who did it: a row of the store's table of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub u32);

/// Text that may have to be erased, referred to by what is kept for ever: the row's number, and
/// `blake3(salt, text)` in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRef {
    /// Row of the store's table of texts.
    pub id: u64,
    /// Commitment to salt and text.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_id_reads_back() {
        for bits in [0, 1, 0x12_3456_789a, (1 << 40) - 1] {
            let id = SweepId::from_bits(bits);
            assert_eq!(id.to_string().len(), 8);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("q7k2m9x".parse::<SweepId>().is_err());
        assert!("q7k2m9xu".parse::<SweepId>().is_err());
    }
}
