//! The bytes of one spool frame: `len u32, crc32c u32, seq u64, kind u8, body`, little endian.
//!
//! `len` counts what follows the checksum. The checksum covers `len`, `seq`, `kind` and `body`, so that a frame
//! whose length was changed fails it too. A frame is written by one `write` in append mode; what a kill leaves is a
//! prefix of it, which reads as [`Parsed::Incomplete`].

/// Bytes before the body.
pub(crate) const HEADER: usize = 17;
/// Largest body: an event body's limit of 2 MiB and room for what stands around it.
pub(crate) const MAX_BODY: usize = 4 << 20;

const BEFORE_CHECKED: usize = 8;

/// What stands at the head of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A whole frame with a correct checksum.
    Frame(RawFrame<'a>),
    /// A frame that ends beyond these bytes: `needed` of them make it whole, as far as its head tells.
    Incomplete { needed: usize },
    /// No frame: an impossible length, or a wrong checksum.
    Damaged,
}

/// A checked frame whose body is not yet read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawFrame<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
}

impl RawFrame<'_> {
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// Appends a frame to `out`. `body` is at most [`MAX_BODY`] long.
pub(crate) fn encode(seq: u64, kind: u8, body: &[u8], out: &mut Vec<u8>) {
    debug_assert!(body.len() <= MAX_BODY, "a body of {} bytes", body.len());
    let start = out.len();
    let len = (HEADER - BEFORE_CHECKED + body.len()) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    let crc = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame at the head of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(len) = u32_at(bytes, 0) else { return Parsed::Incomplete { needed: HEADER } };
    let (len, least) = (len as usize, HEADER - BEFORE_CHECKED);
    if !(least..=least + MAX_BODY).contains(&len) {
        return Parsed::Damaged;
    }
    let needed = BEFORE_CHECKED + len;
    let Some(frame) = bytes.get(..needed) else { return Parsed::Incomplete { needed } };
    if u32_at(frame, 4) != Some(checksum(frame)) {
        return Parsed::Damaged;
    }
    let mut seq = [0; 8];
    seq.copy_from_slice(&frame[8..16]);
    Parsed::Frame(RawFrame { seq: u64::from_le_bytes(seq), kind: frame[16], body: &frame[HEADER..] })
}

/// Asks the processor what it can, which in a virtual machine costs as much as a dozen system calls.
pub(super) fn warm_up() {
    crc32c::crc32c(&[]);
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[BEFORE_CHECKED..])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(mut bytes: &[u8]) -> (Vec<(u64, u8, Vec<u8>)>, bool) {
        let mut frames = Vec::new();
        loop {
            match parse(bytes) {
                Parsed::Frame(frame) => {
                    frames.push((frame.seq, frame.kind, frame.body.to_vec()));
                    bytes = &bytes[frame.encoded_len()..];
                }
                Parsed::Incomplete { .. } => return (frames, false),
                Parsed::Damaged => return (frames, true),
            }
        }
    }

    fn frames() -> impl Strategy<Value = Vec<(u64, u8, Vec<u8>)>> {
        prop::collection::vec((any::<u64>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 1..6)
    }

    fn written(frames: &[(u64, u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (seq, kind, body) in frames {
            encode(*seq, *kind, body, &mut bytes);
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_cut_anywhere_leaves_the_whole_frames_before_it(frames in frames(), cut in any::<prop::sample::Index>()) {
            let bytes = written(&frames);
            let cut = cut.index(bytes.len() + 1);
            let (read, damaged) = read_all(&bytes[..cut]);
            prop_assert!(!damaged, "a cut is not damage");
            prop_assert_eq!(&frames[..read.len()], &read[..]);
            let whole = written(&frames[..read.len()]).len();
            let next = frames.get(read.len()).map_or(0, |(_, _, body)| HEADER + body.len());
            prop_assert!(whole <= cut && (next == 0 || cut < whole + next));
        }

        #[test]
        fn a_flipped_byte_is_never_read_as_a_frame(frames in frames(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = written(&frames);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let (read, _) = read_all(&bytes);
            prop_assert!(read.len() < frames.len());
            prop_assert_eq!(&frames[..read.len()], &read[..]);
            prop_assert!(written(&frames[..read.len() + 1]).len() > at, "frames before the flip are all read");
        }
    }
}
