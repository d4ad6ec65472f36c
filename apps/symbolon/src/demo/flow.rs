//! How bytes arrive: how many, how fast, and the longest time in which none did.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sample::bulk::TOTAL;

/// Over how long a rate is taken: longer than a pause.
const WINDOW: Duration = Duration::from_secs(1);

/// Nothing for so long is a stall, also while it goes on: the application does not say more often what arrives.
const NOTICED: Duration = Duration::from_millis(100);

/// Arrivals, measured where they happen.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    last: Option<Instant>,
    bytes: u64,
    pause: Duration,
}

impl Arrivals {
    /// Some bytes came.
    pub(super) fn came(&mut self, now: Instant, bytes: u64) {
        let last = self.last.replace(now).unwrap_or(now);
        self.pause = self.pause.max(now.saturating_duration_since(last));
        self.bytes += bytes;
    }

    /// How many came so far, and the longest pause since this was asked last.
    pub(super) fn tell(&mut self) -> (u64, Duration) {
        (self.bytes, std::mem::take(&mut self.pause))
    }
}

/// What is known of a transfer.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that arrived.
    pub(super) bytes: u64,
    longest: Duration,
    /// The longest pause since the last kill.
    last: Duration,
    /// When something arrived.
    at: Option<Instant>,
    samples: VecDeque<(Instant, u64)>,
}

impl Flow {
    /// So many bytes have arrived by now, and this was the longest pause since it was said last.
    pub(super) fn arrived(&mut self, now: Instant, (bytes, pause): (u64, Duration)) {
        self.bytes = bytes;
        self.longest = self.longest.max(pause);
        self.last = self.last.max(pause);
        self.at = Some(now);
        self.sample(now);
    }

    /// The longest stall since the last kill, and the longest of all, with the one that goes on.
    pub(super) fn stalls(&self, now: Instant) -> (Duration, Duration) {
        let since = self.at.filter(|_| self.bytes < TOTAL).map(|at| now.saturating_duration_since(at));
        let going_on = since.filter(|since| *since > NOTICED).unwrap_or_default();
        (self.last.max(going_on), self.longest.max(going_on))
    }

    /// A worker was killed.
    pub(super) fn killed(&mut self) {
        self.last = Duration::ZERO;
    }

    /// Bytes a second, over the last second.
    pub(super) fn rate(&mut self, now: Instant) -> u64 {
        self.sample(now);
        let Some(&(then, bytes)) = self.samples.front() else { return 0 };
        let micros = now.saturating_duration_since(then).as_micros().max(1);
        u64::try_from(u128::from(self.bytes - bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    fn sample(&mut self, now: Instant) {
        self.samples.push_back((now, self.bytes));
        while self.samples.front().is_some_and(|&(then, _)| then + WINDOW < now) {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_pause_is_told_once_and_the_longest_one_is_kept() {
        let (start, mut arrivals, mut flow) = (Instant::now(), Arrivals::default(), Flow::default());
        for (at, bytes) in [(1000, 1), (1010, 2), (1060, 3)] {
            arrivals.came(start + MS * at, bytes);
        }
        flow.arrived(start, arrivals.tell());
        assert_eq!(flow.bytes, 6);
        assert_eq!(flow.stalls(start), (MS * 50, MS * 50), "what was before the first is none");
        flow.killed();
        arrivals.came(start + MS * 1080, 1);
        flow.arrived(start, arrivals.tell());
        assert_eq!(flow.stalls(start + MS * 80), (MS * 20, MS * 50));
        assert_eq!(flow.stalls(start + MS * 800), (MS * 800, MS * 800), "one goes on");
        flow.arrived(start, (TOTAL, MS));
        assert_eq!(flow.stalls(start + MS * 800), (MS * 20, MS * 50), "nothing more is to come");
    }

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let (start, mut flow) = (Instant::now(), Flow::default());
        assert_eq!(flow.rate(start), 0);
        for second in 1..=3 {
            flow.arrived(start + MS * 1000 * second, (u64::from(second) * 500, MS));
        }
        assert_eq!(flow.rate(start + MS * 3000), 500);
        assert_eq!(flow.rate(start + MS * 9000), 0);
    }
}
