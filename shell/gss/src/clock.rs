use std::time::{SystemTime, UNIX_EPOCH};
use symbolon_wire::Time;

/// The machine's wall clock: the one place where the mechanism reads it.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
