//! How much is done: little where everybody waits for it, much where it is asked for.

use std::time::Duration;

/// The counts of a run.
pub(crate) struct Counts {
    /// Kills of the leading worker that the large transfers outlive.
    pub(crate) kills: usize,
    /// Kills of the leading worker that everything else outlives.
    pub(crate) few_kills: usize,
    /// The longest pause between two kills.
    pub(crate) pause: Duration,
    /// Bytes of a large file.
    pub(crate) film: u64,
    /// Bytes a second of a client that takes its time over a large file.
    pub(crate) rate: u64,
    /// TLS connections at once, and lines a second that they say: what two cores pass on besides all else.
    pub(crate) connections: usize,
    pub(crate) lines: usize,
    /// Upgrades, and the streams that go on meanwhile.
    pub(crate) upgrades: usize,
    pub(crate) streams: usize,
}

impl Counts {
    /// Those of this run.
    pub(crate) fn of_this_run() -> Self {
        let full = std::env::var("SYMBOLON_ACCEPTANCE_FULL").is_ok_and(|v| v == "1");
        if full {
            // The film lasts for about as long as the kills.
            Self {
                kills: 1000,
                few_kills: 50,
                pause: Duration::from_millis(400),
                film: 1_000_000_000,
                rate: 3_500_000,
                connections: 4000,
                lines: 1000,
                upgrades: 20,
                streams: 500,
            }
        } else {
            Self {
                kills: 15,
                few_kills: 4,
                pause: Duration::from_millis(400),
                film: 60_000_000,
                rate: 12_000_000,
                connections: 200,
                lines: 300,
                upgrades: 2,
                streams: 20,
            }
        }
    }

    /// How long a client may take that reads a large file at the rate.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.film / self.rate) * 3 + Duration::from_secs(60)
    }
}
