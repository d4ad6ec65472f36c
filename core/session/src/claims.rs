//! Which stream numbers of a session have acted on this node.

use crate::{AuthenticStream, ClaimError, GrantError, NotClaimed, SessionId, StreamClaimed, StreamRange};

/// How many ranges a node remembers for a session; beyond them the oldest is given up, with the
/// numbers in it that were never used.
pub const MAX_GRANTS: usize = 4;

/// The node's memory of the numbers that it granted to one session. An idle session costs some
/// 250 bytes, one bit more for each number up to the highest used.
#[derive(Debug)]
pub struct StreamClaims {
    session: SessionId,
    granted_to: u64,
    grants: Vec<Grant>,
}

#[derive(Debug)]
struct Grant {
    range: StreamRange,
    /// A bit for each number from the first on; as long as the highest used number needs.
    used: Vec<u64>,
    /// How many bits are set.
    count: u64,
}

impl StreamClaims {
    /// Of a session to which this node has granted nothing yet. A node that carries the session on
    /// starts anew with a new range: numbers of the one before it are never granted again.
    #[must_use]
    pub const fn new(session: SessionId) -> Self {
        Self { session, granted_to: 0, grants: Vec::new() }
    }

    /// Notes a range that the store dealt to this node for this session.
    ///
    /// # Errors
    /// [`GrantError::DoesNotGrow`] when it does not lie after all earlier ones.
    pub fn grant(&mut self, range: StreamRange) -> Result<(), GrantError> {
        if range.first() < self.granted_to {
            return Err(GrantError::DoesNotGrow);
        }
        if self.grants.len() == MAX_GRANTS {
            self.grants.remove(0);
        }
        self.granted_to = range.end();
        self.grants.push(Grant { range, used: Vec::new(), count: 0 });
        Ok(())
    }

    /// Lets an authentic stream act, once.
    ///
    /// # Errors
    /// [`NotClaimed`] gives the stream back, so that the peer can be told.
    pub fn claim(&mut self, stream: AuthenticStream) -> Result<StreamClaimed, Box<NotClaimed>> {
        let claimed = if stream.session() == self.session {
            self.take(stream.number())
        } else {
            Err(ClaimError::OtherSession)
        };
        match claimed {
            Ok(()) => Ok(StreamClaimed::new(stream)),
            Err(why) => Err(Box::new(NotClaimed { why, stream })),
        }
    }

    /// How many granted numbers have not acted yet.
    #[must_use]
    pub fn unused(&self) -> u64 {
        self.grants.iter().map(|g| g.range.end() - g.range.first() - g.count).sum()
    }

    fn take(&mut self, number: u64) -> Result<(), ClaimError> {
        let Some(at) = self.grants.iter().position(|g| g.range.contains(number)) else {
            // a range that was used to its end is dropped, and so its numbers look ungranted;
            // both are refused
            return Err(ClaimError::NotGranted);
        };
        let grant = &mut self.grants[at];
        let offset = number - grant.range.first();
        let (word, bit) = ((offset / 64) as usize, 1u64 << (offset % 64));
        if grant.used.len() <= word {
            grant.used.resize(word + 1, 0);
        }
        if grant.used[word] & bit != 0 {
            return Err(ClaimError::AlreadyUsed);
        }
        grant.used[word] |= bit;
        grant.count += 1;
        if grant.count == grant.range.end() - grant.range.first() {
            self.grants.remove(at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn claims(ranges: &[(u64, u64)]) -> StreamClaims {
        let mut claims = StreamClaims::new(SessionId([1; 16]));
        for (first, end) in ranges {
            claims.grant(StreamRange::new(*first, *end).unwrap()).unwrap();
        }
        claims
    }

    #[test]
    fn a_number_acts_once_and_only_when_granted() {
        let mut claims = claims(&[(100, 200), (300, 301)]);
        assert_eq!(claims.unused(), 101);
        assert_eq!(claims.take(99), Err(ClaimError::NotGranted));
        assert_eq!(claims.take(200), Err(ClaimError::NotGranted));
        assert_eq!(claims.take(199), Ok(()));
        assert_eq!(claims.take(100), Ok(()));
        assert_eq!(claims.take(199), Err(ClaimError::AlreadyUsed));
        assert_eq!(claims.take(300), Ok(()));
        assert_eq!(
            claims.take(300),
            Err(ClaimError::NotGranted),
            "a used-up range is forgotten and stays refused"
        );
        assert_eq!(claims.unused(), 98);
    }

    #[test]
    fn memory_is_bounded_and_grants_only_grow() {
        let mut claims = claims(&[(0, 10), (10, 20), (20, 30), (30, 40)]);
        assert_eq!(claims.grant(StreamRange::new(39, 50).unwrap()), Err(GrantError::DoesNotGrow));
        claims.grant(StreamRange::new(40, 50).unwrap()).unwrap();
        assert_eq!(claims.grants.len(), MAX_GRANTS);
        assert_eq!(claims.take(5), Err(ClaimError::NotGranted), "the oldest range was given up");
        assert_eq!(claims.take(10), Ok(()));
    }

    #[test]
    fn an_idle_grant_keeps_no_bits() {
        let mut claims = claims(&[(0, 4096)]);
        assert_eq!(claims.grants[0].used.capacity(), 0);
        claims.take(3).unwrap();
        assert_eq!(claims.grants[0].used.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_no_number_acts_twice(
            asked in proptest::collection::vec(0u64..400, 0..800),
            grants in proptest::collection::vec((0u64..20, 1u64..80), 1..6),
        ) {
            let mut claims = StreamClaims::new(SessionId([1; 16]));
            let (mut granted, mut next) = (BTreeSet::new(), 0);
            for (gap, length) in grants {
                let first = next + gap;
                next = first + length;
                claims.grant(StreamRange::new(first, next).unwrap()).unwrap();
                granted.extend(first..next);
            }
            let mut acted = BTreeSet::new();
            for number in asked {
                if claims.take(number).is_ok() {
                    prop_assert!(granted.contains(&number));
                    prop_assert!(acted.insert(number));
                }
            }
        }
    }
}
