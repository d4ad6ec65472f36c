//! The checksum of what stands in a ledger.

/// An odd number with well spread bits (the golden ratio of 2^64), so that multiplying permutes.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A checksum of `words`. Each step is a permutation of the sum for a given word, and of the word for
/// a given sum: any change inside one word changes the result for certain, any other but for one in
/// 2^64. It is against accidents; whoever can write the memory file on purpose needs no accident.
#[must_use]
pub fn of_words(words: &[u64]) -> u64 {
    let mut sum = FACTOR ^ words.len() as u64;
    for word in words {
        sum = (sum ^ word).wrapping_mul(FACTOR);
        sum ^= sum >> 29;
    }
    sum
}

/// The index of generation `generation`: its low half, and a permutation of that as a check.
pub(super) fn index(generation: u64) -> u64 {
    let low = generation as u32;
    u64::from(low) | u64::from(low.wrapping_mul(0x9E37_79B1) ^ 0x5359_4D4C) << 32
}
