//! The TLS connections that are open.

use super::admit::{Admission, Shown};
use crate::clock::now;
use crate::live::{Adoption, Counters};
use crate::source::Source;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_policy::AppName;
use symbolon_session::EndReason;
use symbolon_store::UserId;
use symbolon_wire::Time;
use tokio::sync::oneshot;

/// One of them, as the node decides about it.
pub(crate) struct TlsConnection {
    number: u64,
    pub(super) app: AppName,
    pub(super) user: Option<UserId>,
    pub(super) user_name: Option<String>,
    pub(super) shown: Option<Shown>,
    pub(super) source: IpAddr,
    since: Time,
    counters: Arc<Counters>,
    adopted: Option<Adoption>,
    cut: Option<oneshot::Sender<EndReason>>,
}

impl TlsConnection {
    fn review(&mut self, verdict: &mut impl FnMut(&mut Self) -> Option<EndReason>) {
        if let Some(reason) = verdict(self)
            && let Some(cut) = self.cut.take()
        {
            let _ = cut.send(reason);
        }
    }
}

/// A connection that another worker carried.
pub(super) struct Returning {
    pub(super) number: u64,
    pub(super) app: AppName,
    pub(super) source: IpAddr,
    pub(super) since: Time,
    /// The user, with the name if it is known, and what was shown.
    pub(super) who: Option<(UserId, Option<String>, Shown)>,
    pub(super) adopted: Adoption,
}

/// How many there may be.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) all: usize,
    pub(super) of_source: usize,
}

/// One of them, as administrators see it.
pub(crate) struct TlsPicture {
    pub(crate) number: u64,
    pub(crate) app: AppName,
    pub(crate) user: Option<String>,
    pub(crate) source: IpAddr,
    pub(crate) since: Time,
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) adopted: Option<Adoption>,
}

#[derive(Default)]
struct Inner {
    /// By number, which is by age.
    connections: BTreeMap<u64, TlsConnection>,
    /// How many come from each source, and how many of all are nobody's.
    sources: HashMap<Source, usize>,
    unknown: usize,
    next: u64,
    /// Nobody comes in any more.
    closed: bool,
}

impl Inner {
    fn insert(&mut self, connection: TlsConnection) {
        *self.sources.entry(Source::of(connection.source)).or_default() += 1;
        self.unknown += usize::from(connection.user.is_none());
        self.next = self.next.max(connection.number);
        self.connections.insert(connection.number, connection);
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        self.unknown -= usize::from(connection.user.is_none());
        let source = Source::of(connection.source);
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct TlsConnections(Arc<Mutex<Inner>>);

/// A connection's place; leaving it is dropping it.
pub(crate) struct TlsPlace {
    all: TlsConnections,
    number: u64,
    user: Option<String>,
    pub(super) counters: Arc<Counters>,
    pub(super) cut: oneshot::Receiver<EndReason>,
}

impl TlsPlace {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Whose connection it is, if that is known.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl Drop for TlsPlace {
    fn drop(&mut self) {
        self.all.inner().remove(self.number);
    }
}

impl TlsConnections {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; nothing when the node stops, or there are as many as there may be. Those whom nobody
    /// knows have half of the places at most.
    pub(super) fn enter(
        &self,
        app: &AppName,
        admission: &Admission,
        source: IpAddr,
        most: Most,
    ) -> Option<TlsPlace> {
        let mut inner = self.inner();
        let of_source = inner.sources.get(&Source::of(source)).copied().unwrap_or_default();
        let crowded = admission.user().is_none() && inner.unknown >= most.all / 2;
        if inner.closed || inner.connections.len() >= most.all || of_source >= most.of_source || crowded {
            return None;
        }
        let (number, counters) = (inner.next + 1, Arc::new(Counters::default()));
        let (cut, cut_received) = oneshot::channel();
        let user_name = admission.user_name().map(str::to_owned);
        inner.insert(TlsConnection {
            number,
            app: app.clone(),
            user: admission.user(),
            user_name: user_name.clone(),
            shown: admission.shown(),
            source,
            since: now(),
            counters: counters.clone(),
            adopted: None,
            cut: Some(cut),
        });
        drop(inner);
        Some(TlsPlace { all: self.clone(), number, user: user_name, counters, cut: cut_received })
    }

    /// Gives a connection its place again that another worker carried, whatever the limits say: it had one. Its number
    /// stays, unless somebody has it.
    pub(super) fn readmit(&self, returning: Returning) -> TlsPlace {
        let Returning { number, app, source, since, who, adopted } = returning;
        let mut inner = self.inner();
        let number = if inner.connections.contains_key(&number) { inner.next + 1 } else { number };
        let counters = Arc::new(Counters::default());
        let (cut, cut_received) = oneshot::channel();
        let (user, shown) = who.map_or((None, None), |(user, name, shown)| (Some((user, name)), Some(shown)));
        let (user, user_name) = user.unzip();
        let user_name = user_name.flatten();
        inner.insert(TlsConnection {
            number,
            app,
            user,
            user_name: user_name.clone(),
            shown,
            source,
            since,
            counters: counters.clone(),
            adopted: Some(adopted),
            cut: Some(cut),
        });
        drop(inner);
        TlsPlace { all: self.clone(), number, user: user_name, counters, cut: cut_received }
    }

    /// Ends those for which `verdict` gives a reason, one after the other: who comes or goes meanwhile does not wait
    /// for all of them.
    pub(super) fn review(&self, mut verdict: impl FnMut(&mut TlsConnection) -> Option<EndReason>) {
        let numbers: Vec<u64> = self.inner().connections.keys().copied().collect();
        for number in numbers {
            self.review_one(number, &mut verdict);
        }
    }

    /// The same with one of them.
    pub(super) fn review_one(
        &self,
        number: u64,
        mut verdict: impl FnMut(&mut TlsConnection) -> Option<EndReason>,
    ) {
        if let Some(connection) = self.inner().connections.get_mut(&number) {
            connection.review(&mut verdict);
        }
    }

    /// Ends one of them by its number; false when there is none.
    pub(crate) fn end(&self, number: u64, reason: EndReason) -> bool {
        let mut inner = self.inner();
        let cut = inner.connections.get_mut(&number).and_then(|c| c.cut.take());
        cut.is_some_and(|cut| cut.send(reason).is_ok())
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
    }

    pub(crate) fn count(&self) -> usize {
        self.inner().connections.len()
    }

    /// What administrators see, the oldest first.
    pub(crate) fn pictures(&self) -> Vec<TlsPicture> {
        let picture = |c: &TlsConnection| TlsPicture {
            number: c.number,
            app: c.app.clone(),
            user: c.user_name.clone(),
            source: c.source,
            since: c.since,
            up: c.counters.up.load(Ordering::Relaxed),
            down: c.counters.down.load(Ordering::Relaxed),
            adopted: c.adopted,
        };
        self.inner().connections.values().map(picture).collect()
    }
}
