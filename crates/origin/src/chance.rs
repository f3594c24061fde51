//! Chance that is a pure function of its inputs: which attempt fails, and the
//! bytes of `/bytes/{n}`. Not for secrets. Called by the faults and streams.

use std::ops::Range;

use bytes::Bytes;

/// The bytes that `/bytes/{len}?seed={seed}` sends, for a test to compare with.
pub fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(len);
    for piece in pieces(seed, 0..len as u64) {
        all.extend_from_slice(&piece);
    }
    all
}

/// These of the same bytes in pieces of at most 16 KiB, made as they are asked for.
pub(crate) fn pieces(seed: u64, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send + 'static {
    // Words are made whole: what stands before the first byte in its word is cut off.
    let mut before = range.start % WORD;
    let mut left = range.end - range.start + before;
    let mut state = mix(seed).wrapping_add(GOLDEN.wrapping_mul(range.start / WORD));
    std::iter::from_fn(move || {
        if left == before {
            return None;
        }
        let size = left.min(PIECE);
        left -= size;
        let mut piece = Vec::with_capacity(PIECE as usize);
        while (piece.len() as u64) < size {
            state = state.wrapping_add(GOLDEN);
            piece.extend_from_slice(&mix(state).to_le_bytes());
        }
        piece.truncate(size as usize);
        Some(Bytes::from(piece).split_off(std::mem::take(&mut before) as usize))
    })
}

/// A hash of the parts in order: FNV-1a over their bytes, then [`mix`].
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in *part {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // A mark between parts, so that ("ab", "c") and ("a", "bc") differ.
        state = (state ^ part.len() as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(state)
}

/// The hash as a number in 0..1, of 53 bits.
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// The output function of splitmix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// A multiple of eight, so that a piece ends where a word ends.
pub(crate) const PIECE: u64 = 16 * 1024;
const WORD: u64 = 8;
