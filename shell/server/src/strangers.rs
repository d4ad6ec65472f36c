//! Places for connections that have not proved anything: bounded in all, and for each source.
//!
//! Who comes is let in rather than who has stood there for long: where a bound is reached, the oldest gives
//! way. So a source that fills its places with connections that say nothing keeps nobody out, not even
//! those who come from the same address.

use crate::source::Source;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All places.
pub(crate) struct Strangers {
    most: usize,
    most_per_source: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    count: usize,
    arrivals: u64,
    /// By source, the oldest first; a sender that is dropped asks its connection to leave.
    by_source: HashMap<Source, BTreeMap<u64, oneshot::Sender<()>>>,
}

/// One place, to be [left](Strangers::leave).
pub(crate) struct Place {
    source: Source,
    arrival: u64,
    /// Comes when the place is needed for somebody else.
    pub(crate) give_way: oneshot::Receiver<()>,
}

impl Strangers {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source: most_per_source.max(1), inside: Mutex::default() }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // No step leaves it half changed, so a panic elsewhere does not spoil it.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.inside().count
    }

    /// Whether there are so many that each should have less time.
    pub(crate) fn crowded(&self) -> bool {
        self.count() > self.most / 2
    }

    /// A place for who comes from `source`. Where that source has as many as it may, its oldest gives way;
    /// where all places are taken, the oldest of the source with the most does. Nothing when each source
    /// has but one.
    pub(crate) fn enter(&self, source: Source) -> Option<Place> {
        let mut inside = self.inside();
        let own = inside.by_source.get(&source).map_or(0, BTreeMap::len);
        if own >= self.most_per_source {
            inside.oldest_of(source);
        } else if inside.count >= self.most {
            let (fullest, count) = inside.fullest()?;
            if own.max(count) < 2 {
                return None;
            }
            inside.oldest_of(if own == count { source } else { fullest });
        }
        inside.count += 1;
        inside.arrivals += 1;
        let arrival = inside.arrivals;
        let (stay, give_way) = oneshot::channel();
        inside.by_source.entry(source).or_default().insert(arrival, stay);
        Some(Place { source, arrival, give_way })
    }

    /// Gives a place back; one that was given to somebody else is gone already.
    pub(crate) fn leave(&self, place: &Place) {
        self.inside().remove(place.source, place.arrival);
    }
}

impl Inside {
    fn remove(&mut self, source: Source, arrival: u64) {
        let Some(places) = self.by_source.get_mut(&source) else { return };
        if places.remove(&arrival).is_some() {
            self.count -= 1;
        }
        if places.is_empty() {
            self.by_source.remove(&source);
        }
    }

    fn oldest_of(&mut self, source: Source) {
        let oldest = self.by_source.get(&source).and_then(|places| places.keys().next().copied());
        if let Some(arrival) = oldest {
            self.remove(source, arrival);
        }
    }

    fn fullest(&self) -> Option<(Source, usize)> {
        self.by_source.iter().map(|(source, places)| (*source, places.len())).max_by_key(|(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    fn from(n: u8) -> Source {
        Source::of(std::net::IpAddr::from([192, 0, 2, n]))
    }

    fn must_leave(place: &mut Place) -> bool {
        place.give_way.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_of_a_source_gives_way_to_its_newest() {
        let strangers = Strangers::new(10, 2);
        let [mut one, mut two, mut three] = [(); 3].map(|()| strangers.enter(from(1)).unwrap());
        assert!(must_leave(&mut one));
        assert!(!must_leave(&mut two) && !must_leave(&mut three));
        assert_eq!(strangers.count(), 2);
        // what was given away is not given back once more
        strangers.leave(&one);
        assert_eq!(strangers.count(), 2);
        strangers.leave(&two);
        strangers.leave(&three);
        assert_eq!(strangers.count(), 0);
        assert!(strangers.inside().by_source.is_empty());
    }

    #[test]
    fn when_all_places_are_taken_who_has_the_most_makes_room() {
        let strangers = Strangers::new(4, 3);
        let mut many = [(); 3].map(|()| strangers.enter(from(1)).unwrap());
        let mut few = strangers.enter(from(2)).unwrap();
        let _third = strangers.enter(from(3)).unwrap();
        assert!(must_leave(&mut many[0]));
        let mut again = strangers.enter(from(2)).unwrap();
        assert!(!must_leave(&mut few) && must_leave(&mut many[1]) && !must_leave(&mut again));
        assert_eq!(strangers.count(), 4);
        // two of source 2, one each of 1 and 3: a second of 1 takes a place of 2
        let _second = strangers.enter(from(1)).unwrap();
        assert!(must_leave(&mut few));
    }

    #[test]
    fn who_has_one_place_keeps_it() {
        let strangers = Strangers::new(2, 2);
        let mut places = [strangers.enter(from(1)).unwrap(), strangers.enter(from(2)).unwrap()];
        assert!(strangers.enter(from(3)).is_none());
        assert!(places.iter_mut().all(|p| !must_leave(p)));
    }
}
