//! Which of the latest messages came already (RFC 6479).
//!
//! A ring of words: the word of the highest number and the 16 before it. Going forward clears the
//! words in between instead of shifting all of them.

use crate::WrapError;
use symbolon_wire::{Reader, WireError, Writer};

/// How far behind the highest number a message may still arrive: as many as a 10 Gbit/s link has in
/// flight in a millisecond.
pub const WINDOW: u64 = 1024;

const WORD_BITS: u64 = 64;
/// One more than the window needs, because its edge lies within a word.
const WORDS: usize = (WINDOW / WORD_BITS) as usize + 1;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// One more than the highest number that was marked.
    next: u64,
    words: [u64; WORDS],
}

impl Window {
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether `sequence` may be accepted.
    #[inline]
    pub(crate) fn check(&self, sequence: u64) -> Result<(), WrapError> {
        if sequence >= self.next {
            return Ok(());
        }
        if self.next - sequence > WINDOW {
            return Err(WrapError::TooOld);
        }
        let (word, bit) = place(sequence);
        if self.words[word] & bit == 0 { Ok(()) } else { Err(WrapError::Replayed) }
    }

    /// Notes an authenticated `sequence`, below 2^64 - 1, that [`Window::check`] let through.
    #[inline]
    pub(crate) fn mark(&mut self, sequence: u64) {
        if sequence >= self.next {
            // The word of the highest number before; with none, all words are zero anyway.
            let old = self.next.saturating_sub(1) / WORD_BITS;
            let new = sequence / WORD_BITS;
            for word in (old + 1..=new).take(WORDS) {
                self.words[(word % WORDS as u64) as usize] = 0;
            }
            self.next = sequence + 1;
        }
        let (word, bit) = place(sequence);
        self.words[word] |= bit;
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.u64(self.next);
        for word in self.words {
            w.u64(word);
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut window = Self { next: r.u64()?, words: [0; WORDS] };
        for word in &mut window.words {
            *word = r.u64()?;
        }
        Ok(window)
    }
}

#[inline]
fn place(sequence: u64) -> (usize, u64) {
    (((sequence / WORD_BITS) % WORDS as u64) as usize, 1 << (sequence % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn offer(window: &mut Window, sequence: u64) -> Result<(), WrapError> {
        window.check(sequence)?;
        window.mark(sequence);
        Ok(())
    }

    #[test]
    fn a_window_is_1024_wide_to_the_very_message() {
        for highest in [1023, 1024, 1025, 4095, 4096, 70_001] {
            let mut window = Window::default();
            assert_eq!(offer(&mut window, highest), Ok(()));
            assert_eq!(offer(&mut window, highest), Err(WrapError::Replayed));
            assert_eq!(offer(&mut window, highest - 1023), Ok(()));
            assert_eq!(offer(&mut window, highest - 1023), Err(WrapError::Replayed));
            if highest >= 1024 {
                assert_eq!(offer(&mut window, highest - 1024), Err(WrapError::TooOld));
            }
        }
    }

    proptest! {
        /// Against a set that remembers everything.
        #[test]
        fn a_window_agrees_with_perfect_memory(jumps in proptest::collection::vec((-1500i64..1500, 0..8u8), 1..600)) {
            let (mut window, mut seen, mut at) = (Window::default(), BTreeSet::new(), 0i64);
            for (jump, scale) in jumps {
                at = (at + jump / (1 << scale)).max(0);
                let sequence = at as u64;
                let highest = seen.last().copied();
                let expected = if seen.contains(&sequence) && highest.is_some_and(|h| h - sequence < WINDOW) {
                    Err(WrapError::Replayed)
                } else if highest.is_some_and(|h| h >= sequence && h - sequence >= WINDOW) {
                    Err(WrapError::TooOld)
                } else {
                    Ok(())
                };
                prop_assert_eq!(offer(&mut window, sequence), expected);
                if expected.is_ok() {
                    seen.insert(sequence);
                }
            }
        }
    }
}
