use std::time::Duration;
use symbolon_crypto::Entropy;
use symbolon_provider::SystemEntropy;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Growing pauses with jitter, so that a restarted gateway's clients do not all come at once.
#[derive(Default)]
pub(crate) struct Pause {
    attempts: u32,
}

impl Pause {
    /// The next pause is the longest.
    pub(crate) fn longest(&mut self) {
        self.attempts = 32;
    }

    /// Between half and all of 0.1 s, 0.2 s, 0.4 s … [`LONGEST_PAUSE`].
    pub(crate) fn next(&mut self) -> Duration {
        let full = Duration::from_millis(100).saturating_mul(1 << self.attempts.min(16)).min(LONGEST_PAUSE);
        self.attempts = self.attempts.saturating_add(1);
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let [random] = entropy.number::<1>();
        full / 2 + full.mul_f64(f64::from(random) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_jitter_up_to_a_minute() {
        let mut pause = Pause::default();
        let first = pause.next();
        assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&first), "{first:?}");
        for _ in 0..40 {
            assert!(pause.next() <= LONGEST_PAUSE);
        }
        assert!(pause.next() >= LONGEST_PAUSE / 2);
    }
}
