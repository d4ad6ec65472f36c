//! Stream numbers at hand.

use std::collections::VecDeque;
use symbolon_session::{GrantError, StreamNumber, StreamNumbers, StreamRange};

/// When so few numbers are left, more are asked for: what a browser opens at once.
const FEW: u64 = 32;

/// Connections whose unused numbers are kept.
const MAX_EARLIER: usize = 4;

/// The numbers of the present connection, and those that earlier ones of the same session left. The
/// latter serve at the same node, which counts them as unused, and are refused by any other.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    present: StreamNumbers,
    earlier: VecDeque<StreamNumbers>,
    granted_to: u64,
}

impl Numbers {
    /// Another connection follows, perhaps with another node.
    pub(crate) fn lost(&mut self) {
        let present = std::mem::take(&mut self.present);
        if present.remaining() > 0 {
            self.earlier.push_back(present);
        }
        if self.earlier.len() > MAX_EARLIER {
            self.earlier.pop_front();
        }
    }

    /// Takes a range that the node granted.
    ///
    /// # Errors
    /// [`GrantError::DoesNotGrow`], also when an earlier connection had it: under one secret no
    /// number is used twice.
    pub(crate) fn grant(&mut self, range: StreamRange) -> Result<(), GrantError> {
        if range.first() < self.granted_to {
            return Err(GrantError::DoesNotGrow);
        }
        self.present.grant(range)?;
        self.granted_to = range.end();
        Ok(())
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> Option<StreamNumber> {
        if let Some(number) = self.present.draw() {
            return Some(number);
        }
        let number = self.earlier.back_mut()?.draw();
        if self.earlier.back().is_some_and(|e| e.remaining() == 0) {
            self.earlier.pop_back();
        }
        number
    }

    /// Whether the node should be asked for more.
    pub(crate) fn are_few(&self) -> bool {
        self.present.remaining() <= FEW
    }

    /// The node refused a number: those of earlier connections are worth nothing there, or, when
    /// there are none, all.
    pub(crate) fn refused(&mut self) {
        if self.earlier.is_empty() {
            self.present.forget();
        }
        self.earlier.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> StreamRange {
        StreamRange::new(first, end).unwrap()
    }

    fn drawn(numbers: &mut Numbers) -> Vec<u64> {
        std::iter::from_fn(|| numbers.draw()).map(|n| n.get()).collect()
    }

    #[test]
    fn numbers_of_earlier_connections_are_a_reserve() {
        let mut numbers = Numbers::default();
        numbers.grant(range(0, 3)).unwrap();
        assert_eq!(numbers.draw().unwrap().get(), 0);
        numbers.lost();
        assert!(numbers.are_few());
        numbers.grant(range(3, 5)).unwrap();
        assert_eq!(drawn(&mut numbers), [3, 4, 1, 2]);
    }

    #[test]
    fn a_number_is_granted_once_over_all_connections() {
        let mut numbers = Numbers::default();
        numbers.grant(range(0, 3)).unwrap();
        numbers.lost();
        assert_eq!(numbers.grant(range(2, 4)), Err(GrantError::DoesNotGrow));
        numbers.grant(range(3, 4)).unwrap();
    }

    #[test]
    fn what_another_node_refuses_is_given_up() {
        let mut numbers = Numbers::default();
        numbers.grant(range(0, 3)).unwrap();
        numbers.lost();
        numbers.grant(range(3, 5)).unwrap();
        numbers.refused();
        assert_eq!(drawn(&mut numbers), [3, 4]);
        numbers.grant(range(5, 7)).unwrap();
        numbers.refused();
        assert_eq!(numbers.draw(), None);
    }
}
