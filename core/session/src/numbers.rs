//! Stream numbers, each used once.

use crate::GrantError;
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// The most numbers in one range: what a browser opens in a minute, and half a kilobyte of memory
/// for the node that must remember them.
pub const MAX_RANGE: u64 = 4096;

/// How many ranges a client keeps at once: as many as a node remembers.
const MAX_RANGES: usize = 4;

/// The numbers from `first` up to, but without, `end`: at least one, at most [`MAX_RANGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRange {
    first: u64,
    end: u64,
}

impl StreamRange {
    /// A range as the store dealt it.
    ///
    /// # Errors
    /// [`WireError::BadValue`] when it is empty or too long.
    pub const fn new(first: u64, end: u64) -> Result<Self, WireError> {
        match end.checked_sub(first) {
            Some(1..=MAX_RANGE) => Ok(Self { first, end }),
            _ => Err(WireError::BadValue("range of stream numbers")),
        }
    }

    /// The first number.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.first
    }

    /// One more than the last number.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Whether `number` is one of them.
    #[must_use]
    pub const fn contains(self, number: u64) -> bool {
        self.first <= number && number < self.end
    }
}

impl Encode for StreamRange {
    fn encode(&self, w: &mut Writer) {
        w.u64(self.first);
        w.u64(self.end);
    }
}

impl Decode for StreamRange {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::new(r.u64()?, r.u64()?)
    }
}

/// A number that was drawn and not used yet; opening a stream uses it up.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamNumber(u64);

impl StreamNumber {
    /// The number.
    #[must_use]
    pub const fn get(&self) -> u64 {
        self.0
    }
}

/// The client's store of numbers.
#[derive(Debug, Default)]
pub struct StreamNumbers {
    ranges: std::collections::VecDeque<StreamRange>,
    granted_to: u64,
}

impl StreamNumbers {
    /// Without any numbers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a range that the node granted. Beyond four ranges the oldest is given up.
    ///
    /// # Errors
    /// [`GrantError::DoesNotGrow`] when it does not lie after all earlier ones.
    pub fn grant(&mut self, range: StreamRange) -> Result<(), GrantError> {
        if range.first < self.granted_to {
            return Err(GrantError::DoesNotGrow);
        }
        if self.ranges.len() == MAX_RANGES {
            self.ranges.pop_front();
        }
        self.granted_to = range.end;
        self.ranges.push_back(range);
        Ok(())
    }

    /// Draws the next number, or `None` when all are used up: ask the node for more
    /// ([`crate::ControlMessage::StreamsRequest`]).
    pub fn draw(&mut self) -> Option<StreamNumber> {
        let range = self.ranges.front_mut()?;
        let number = StreamNumber(range.first);
        range.first += 1;
        if range.first == range.end {
            self.ranges.pop_front();
        }
        Some(number)
    }

    /// How many are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.ranges.iter().map(|r| r.end - r.first).sum()
    }

    /// Gives up all numbers, because the session goes on at a node that does not know them: after
    /// an attach, a new range comes. Ranges must still grow.
    pub fn forget(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> StreamRange {
        StreamRange::new(first, end).unwrap()
    }

    #[test]
    fn numbers_come_in_order_and_run_out() {
        let mut numbers = StreamNumbers::new();
        assert_eq!(numbers.draw(), None);
        numbers.grant(range(5, 7)).unwrap();
        numbers.grant(range(9, 10)).unwrap();
        assert_eq!(numbers.remaining(), 3);
        let drawn: Vec<u64> = std::iter::from_fn(|| numbers.draw()).map(|n| n.get()).collect();
        assert_eq!(drawn, [5, 6, 9]);
        assert_eq!(numbers.remaining(), 0);
    }

    #[test]
    fn a_range_that_goes_back_is_refused_even_after_forgetting() {
        let mut numbers = StreamNumbers::new();
        numbers.grant(range(10, 20)).unwrap();
        assert_eq!(numbers.grant(range(19, 30)), Err(GrantError::DoesNotGrow));
        numbers.forget();
        assert_eq!(numbers.draw(), None);
        assert_eq!(numbers.grant(range(10, 20)), Err(GrantError::DoesNotGrow));
        assert_eq!(numbers.grant(range(20, 21)), Ok(()));
    }

    #[test]
    fn an_empty_reversed_or_endless_range_is_no_range() {
        for (first, end) in [(0, 0), (2, 1), (0, MAX_RANGE + 1), (0, u64::MAX)] {
            assert_eq!(StreamRange::new(first, end), Err(WireError::BadValue("range of stream numbers")));
        }
        assert!(StreamRange::new(u64::MAX - 1, u64::MAX).is_ok());
    }
}
