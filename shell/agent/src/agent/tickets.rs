//! When the gateway is asked for the ticket of the next session: at once, and again at half its life.

use crate::clock;
use std::time::Duration;
use symbolon_wire::Time;

/// A gateway that gives none is not asked again for so long, in seconds.
const PATIENCE_SECS: u64 = 3600;

/// The next request.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    due: Time,
}

impl Tickets {
    /// How long until it.
    pub(crate) fn until_next(&self) -> Duration {
        Duration::from_micros(self.due.0.saturating_sub(clock::now().0))
    }

    /// It was sent.
    pub(crate) fn asked(&mut self) {
        self.due = clock::now().plus_secs(PATIENCE_SECS);
    }

    /// A ticket came that ends at `expires`.
    pub(crate) fn got(&mut self, expires: Time) {
        let now = clock::now();
        // Not more often than each second, whatever the gateway gives.
        let half = (expires.0.saturating_sub(now.0) / 2).max(1_000_000);
        self.due = Time(now.0.saturating_add(half));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_asked_for_at_once_and_at_half_its_life() {
        let mut tickets = Tickets::default();
        assert_eq!(tickets.until_next(), Duration::ZERO);
        tickets.asked();
        assert!(tickets.until_next() > Duration::from_secs(PATIENCE_SECS - 10));
        tickets.got(clock::now().plus_secs(100));
        assert!((Duration::from_secs(40)..Duration::from_secs(51)).contains(&tickets.until_next()));
        tickets.got(Time(0));
        assert!(tickets.until_next() > Duration::ZERO, "an old one makes no storm");
    }
}
