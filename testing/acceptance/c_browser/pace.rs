//! How fast a transfer may go on, so that it lasts for as long as a test wants.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two pieces.
const TICK: Duration = Duration::from_millis(5);

/// One transfer of a known length: at a rate, and not beyond three quarters before it is let go.
pub(crate) struct Pace {
    total: u64,
    /// How long the whole would take.
    lasts: Duration,
    done: AtomicU64,
    let_go: AtomicBool,
}

impl Pace {
    pub(crate) fn new(total: u64, lasts: Duration) -> Self {
        Self { total, lasts, done: AtomicU64::new(0), let_go: AtomicBool::new(false) }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Whether it has begun and is not over.
    pub(crate) fn under_way(&self) -> bool {
        (1..self.total).contains(&self.done.load(Ordering::SeqCst))
    }

    /// From now on as fast as it can.
    pub(crate) fn let_go(&self) {
        self.let_go.store(true, Ordering::SeqCst);
    }

    /// Counts a piece that was moved, and waits until the next may be.
    pub(crate) fn moved(&self, bytes: usize, since: Instant) {
        let done = self.done.fetch_add(bytes as u64, Ordering::SeqCst) + bytes as u64;
        let due = self.lasts.mul_f64(done as f64 / self.total as f64);
        while (since.elapsed() < due || done > self.total / 4 * 3) && !self.let_go.load(Ordering::SeqCst) {
            thread::sleep(TICK);
        }
    }
}
