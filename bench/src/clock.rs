//! CPU time, of the thread and of the process.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// CPU time of all threads of this process so far.
pub(crate) fn process_cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// How much CPU time of this thread `work` takes.
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = thread_cpu();
    let result = work();
    (thread_cpu() - before, result)
}

/// `spent`, shared among `operations`, in microseconds.
pub(crate) fn micros_each(spent: Duration, operations: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / operations as f64
}

fn duration(t: Timespec) -> Duration {
    // A CPU clock begins at zero and its nanoseconds are below 10^9.
    Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec.unsigned_abs() as u32)
}
