use crate::clock;
use symbolon_wire::Time;

/// How long a session lasts.
#[derive(Debug)]
pub(crate) struct Term {
    lifetime_secs: u32,
    /// When it ends by itself.
    pub(crate) expires: Time,
    /// When to renew it, or to try again.
    pub(crate) renew_at: Time,
}

impl Term {
    /// Of a session that was opened at `opened`.
    pub(crate) fn new(opened: Time, lifetime_secs: u32) -> Self {
        let expires = opened.plus_secs(lifetime_secs.into());
        Self { lifetime_secs, expires, renew_at: four_fifths(opened, lifetime_secs) }
    }

    /// A renewal gives as much time as the session had at first.
    pub(crate) fn renew(&mut self) {
        let now = clock::now();
        self.expires = now.plus_secs(self.lifetime_secs.into());
        self.renew_at = four_fifths(now, self.lifetime_secs);
    }

    /// The next try comes when half of what is left is over: often enough before the end, whatever
    /// the lifetime is.
    pub(crate) fn try_later(&mut self) {
        let now = clock::now();
        let left = self.expires.0.saturating_sub(now.0);
        self.renew_at = Time(now.0.saturating_add((left / 2).max(100_000)));
    }
}

fn four_fifths(since: Time, lifetime_secs: u32) -> Time {
    Time(since.0.saturating_add(u64::from(lifetime_secs) * 800_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_renewed_at_four_fifths_and_tried_again_before_its_end() {
        let now = clock::now();
        let mut term = Term::new(now.minus_secs(90), 100);
        assert_eq!((term.expires, term.renew_at), (now.plus_secs(10), now.minus_secs(10)));
        term.try_later();
        assert!(now < term.renew_at && term.renew_at < term.expires);
        term.renew();
        assert!(term.renew_at >= now.plus_secs(80) && term.expires >= now.plus_secs(100));
    }
}
