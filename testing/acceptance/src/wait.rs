//! Waiting for the world, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take that is not known to take longer: twenty times what it takes on an idle machine, since
/// two CPUs may be busy compiling beside us.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks at a condition until it gives a value.
///
/// # Errors
/// When it gave none within `limit`; `what` says what was waited for.
pub fn until<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain for {what}");
        }
        std::thread::sleep(INTERVAL);
    }
}
