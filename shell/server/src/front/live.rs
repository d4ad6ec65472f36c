//! The TLS connections that are open.

use super::admit::Admission;
use crate::clock::now;
use crate::live::Counters;
use crate::source::Source;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::VerifiedSubject;
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
    user_name: Option<String>,
    pub(super) subject: Option<VerifiedSubject>,
    pub(super) source: IpAddr,
    since: Time,
    counters: Arc<Counters>,
    cut: Option<oneshot::Sender<EndReason>>,
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
}

#[derive(Default)]
struct Inner {
    connections: Vec<TlsConnection>,
    next: u64,
    /// Nobody comes in any more.
    closed: bool,
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
    /// Whose connection it is.
    pub(super) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("anyone")
    }
}

impl Drop for TlsPlace {
    fn drop(&mut self) {
        self.all.inner().connections.retain(|c| c.number != self.number);
    }
}

impl TlsConnections {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; nothing when the node stops, or there are as many as there may be, in all and from one
    /// source.
    pub(super) fn enter(
        &self,
        app: &AppName,
        admission: Admission,
        source: IpAddr,
        (most, most_of_source): (usize, usize),
    ) -> Option<TlsPlace> {
        let mut inner = self.inner();
        let of_source =
            || inner.connections.iter().filter(|c| Source::of(c.source) == Source::of(source)).count();
        if inner.closed || inner.connections.len() >= most || of_source() >= most_of_source {
            return None;
        }
        inner.next += 1;
        let (number, counters) = (inner.next, Arc::new(Counters::default()));
        let (cut, cut_received) = oneshot::channel();
        let user_name = admission.user_name().map(str::to_owned);
        inner.connections.push(TlsConnection {
            number,
            app: app.clone(),
            user: admission.user(),
            user_name: user_name.clone(),
            subject: admission.subject().cloned(),
            source,
            since: now(),
            counters: counters.clone(),
            cut: Some(cut),
        });
        drop(inner);
        Some(TlsPlace { all: self.clone(), number, user: user_name, counters, cut: cut_received })
    }

    /// Ends those for which `verdict` gives a reason.
    pub(super) fn review(&self, verdict: impl Fn(&TlsConnection) -> Option<EndReason>) {
        for connection in &mut self.inner().connections {
            if let Some(reason) = verdict(connection)
                && let Some(cut) = connection.cut.take()
            {
                let _ = cut.send(reason);
            }
        }
    }

    /// Ends one of them by its number; false when there is none.
    pub(crate) fn end(&self, number: u64, reason: EndReason) -> bool {
        let mut inner = self.inner();
        let found = inner.connections.iter_mut().find(|c| c.number == number);
        found.and_then(|c| c.cut.take()).is_some_and(|cut| cut.send(reason).is_ok())
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
        };
        self.inner().connections.iter().map(picture).collect()
    }
}
