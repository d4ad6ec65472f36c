//! The breaker: ends the connection that keeps killing its workers, so that the others live.

use std::collections::VecDeque;
use std::time::Duration;

/// When a connection is ended rather than carried on once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many crashes of its workers while it was in their hands …
    pub crashes: u32,
    /// … within this time. Long enough for the slowest restart of a worker (5 s) so many times.
    pub within: Duration,
    /// So many workers killed in a row (by somebody, or for want of memory) with it in their hands and
    /// not one commit between two of them. Kills from outside hit the busiest connection by chance, and
    /// say nothing of it as long as it goes forward.
    pub fruitless_kills: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { crashes: 3, within: Duration::from_secs(60), fruitless_kills: 16 }
    }
}

/// How a worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It ended by itself without a fault, or because it was told to stop.
    Ended,
    /// It was killed by somebody, or by the kernel for want of memory (SIGKILL, SIGTERM and the like).
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// It failed: a panic, an abort, a fault.
    Crashed {
        /// Its exit status, if it had one.
        status: Option<i32>,
        /// The signal's number, if it was one.
        signal: Option<i32>,
    },
}

/// What is remembered of one connection's dead workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blame {
    /// When workers crashed, since the holder began.
    crashes: VecDeque<Duration>,
    kills: u32,
    /// The ledger's stamp at the last kill.
    stamp: u64,
}

impl Blame {
    /// A worker died with the connection in its hands, whose ledger then had this stamp. Whether that
    /// was once too often.
    pub(super) fn died(&mut self, rules: &BreakerRules, now: Duration, death: Death, stamp: u64) -> bool {
        match death {
            Death::Ended => false,
            Death::Crashed { .. } => {
                self.crashes.push_back(now);
                while self.crashes.front().is_some_and(|&then| then + rules.within < now) {
                    self.crashes.pop_front();
                }
                self.crashes.len() as u32 >= rules.crashes
            }
            Death::Killed { .. } => {
                self.kills = if self.kills > 0 && stamp == self.stamp { self.kills + 1 } else { 1 };
                self.stamp = stamp;
                self.kills >= rules.fruitless_kills
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blame, BreakerRules, Death};
    use std::time::Duration;

    const RULES: BreakerRules =
        BreakerRules { crashes: 3, within: Duration::from_secs(60), fruitless_kills: 4 };
    const CRASH: Death = Death::Crashed { status: Some(101), signal: None };
    const KILL: Death = Death::Killed { signal: 9 };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn three_crashes_within_a_minute_end_a_connection() {
        let mut blame = Blame::default();
        assert!(!blame.died(&RULES, seconds(0), CRASH, 1));
        assert!(!blame.died(&RULES, seconds(61), CRASH, 2), "the first is forgotten");
        assert!(!blame.died(&RULES, seconds(62), CRASH, 3));
        assert!(blame.died(&RULES, seconds(63), CRASH, 4));
    }

    #[test]
    fn kills_count_only_while_nothing_goes_forward() {
        let mut blame = Blame::default();
        for stamp in 0..1_000 {
            assert!(!blame.died(&RULES, seconds(0), KILL, stamp));
        }
        assert!(!blame.died(&RULES, seconds(0), KILL, 999));
        assert!(!blame.died(&RULES, seconds(0), Death::Ended, 999));
        assert!(!blame.died(&RULES, seconds(0), KILL, 999));
        assert!(blame.died(&RULES, seconds(0), KILL, 999));
    }
}
