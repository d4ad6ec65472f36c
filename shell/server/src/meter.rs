use std::sync::atomic::{AtomicU64, Ordering};
use symbolon_wire::Time;

/// Counts events in the current second against a limit.
pub(crate) struct Meter {
    limit: u32,
    second_and_count: AtomicU64,
}

impl Meter {
    pub(crate) const fn new(limit: u32) -> Self {
        Self { limit, second_and_count: AtomicU64::new(0) }
    }

    /// Counts one event; whether there were more than the limit in this second.
    pub(crate) fn exceeds(&self, now: Time) -> bool {
        const LOW: u64 = 0xffff_ffff;
        let second = now.secs() & LOW;
        let mut count = 0;
        let _ = self.second_and_count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            count = if old >> 32 == second { (old & LOW) + 1 } else { 1 };
            Some(second << 32 | count.min(LOW))
        });
        count > u64::from(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_count() {
        let meter = Meter::new(2);
        let at = Time::from_secs;
        assert_eq!([meter.exceeds(at(1)), meter.exceeds(at(1)), meter.exceeds(at(1))], [false, false, true]);
        assert!(!meter.exceeds(at(2)));
    }
}
