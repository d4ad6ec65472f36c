//! Stream numbers at hand.

use std::collections::VecDeque;
use symbolon_session::{GrantError, MAX_GRANTS, StreamNumber, StreamNumbers, StreamRange};

/// When so few numbers are left, more are asked for: what a browser opens at once.
const FEW: u64 = 32;

/// Connections whose unused numbers are kept: of the ranges that a node remembers, one is of the present connection,
/// and one may be on its way.
const MAX_EARLIER: usize = MAX_GRANTS - 2;

/// The numbers of the present connection, and those that earlier ones of the same session left. The
/// latter serve at the same node, which counts them as unused, and are refused by any other.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    present: StreamNumbers,
    earlier: VecDeque<StreamNumbers>,
    granted_to: u64,
    /// Numbers below it are of earlier connections, or were given up.
    present_from: u64,
    /// Whether no range is on its way. The first of a connection comes unasked.
    heard: bool,
}

impl Numbers {
    /// Another connection follows, perhaps with another node.
    pub(crate) fn lost(&mut self) {
        (self.heard, self.present_from) = (false, self.granted_to);
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
        self.heard = true;
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
    pub(crate) fn are_wanted(&self) -> bool {
        self.heard && self.present.remaining() <= FEW
    }

    /// Whether the node is to be asked now; if so, it counts as asked. It is asked for one range at a time: for each
    /// that it deals it gives up its oldest, in the end the one that streams are just opened from.
    pub(crate) fn ask(&mut self) -> bool {
        let wanted = self.are_wanted();
        self.heard &= !wanted;
        wanted
    }

    /// The node refused a number: what it granted on earlier connections is worth nothing there, and if the number was
    /// of the present one, what it had granted by then neither.
    pub(crate) fn refused(&mut self, number: u64) {
        self.earlier.clear();
        // Not for each of many that were on their way together: what came since is good.
        if number >= self.present_from {
            self.present.forget();
            self.present_from = self.granted_to;
        }
    }
}

#[cfg(test)]
mod model;

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
        assert!(!numbers.ask(), "a connection begins with a range");
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
    fn more_are_asked_for_once_until_they_come() {
        let mut numbers = Numbers::default();
        assert!(!numbers.ask(), "the first come unasked");
        numbers.grant(range(0, FEW + 1)).unwrap();
        assert!(!numbers.ask());
        numbers.draw().unwrap();
        assert!(numbers.are_wanted() && numbers.ask());
        assert!(!numbers.are_wanted() && !numbers.ask());
        assert_eq!(numbers.grant(range(0, 1)), Err(GrantError::DoesNotGrow));
        assert!(numbers.ask(), "what came could not be taken");
        numbers.lost();
        assert!(!numbers.ask());
    }

    #[test]
    fn the_reserve_is_no_larger_than_what_the_node_remembers() {
        let (mut numbers, mut node) = (Numbers::default(), VecDeque::new());
        let deal = |node: &mut VecDeque<StreamRange>, n: u64| {
            if node.len() == MAX_GRANTS {
                node.pop_front();
            }
            node.push_back(range(2 * n, 2 * n + 2));
            range(2 * n, 2 * n + 2)
        };
        for n in 0..8 {
            numbers.lost();
            numbers.grant(deal(&mut node, n)).unwrap();
        }
        deal(&mut node, 8);
        let drawn = drawn(&mut numbers);
        assert_eq!(drawn.len(), 2 * (MAX_GRANTS - 1));
        assert!(drawn.iter().all(|number| node.iter().any(|range| range.contains(*number))));
    }

    #[test]
    fn what_another_node_refuses_is_given_up() {
        let mut numbers = Numbers::default();
        numbers.grant(range(0, 4)).unwrap();
        let drawn_before = [numbers.draw().unwrap().get(), numbers.draw().unwrap().get()];
        numbers.lost();
        numbers.grant(range(4, 6)).unwrap();
        for number in drawn_before {
            numbers.refused(number);
        }
        assert_eq!(drawn(&mut numbers), [4, 5]);
        numbers.grant(range(6, 8)).unwrap();
        numbers.refused(5);
        assert_eq!(numbers.draw(), None);
        numbers.grant(range(8, 9)).unwrap();
        numbers.refused(4);
        assert_eq!(drawn(&mut numbers), [8], "it was dealt after them");
    }
}
