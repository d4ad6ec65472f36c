//! The streams of a session: which may open, and their places.

use super::{Inner, LiveSession};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use symbolon_policy::{AppName, PathPermitted};
use symbolon_session::{
    AuthenticStream, ClaimedStream, ControlMessage, EndReason, GrantError, Line, NotClaimed, StreamClaimed,
    StreamError, StreamRange,
};
use symbolon_wire::Time;
use tokio::sync::oneshot;

/// A stream as its session knows it.
pub(super) struct LiveStream {
    pub(super) number: u64,
    pub(super) app: AppName,
    pub(super) since: Time,
    pub(super) counters: Arc<Counters>,
    pub(super) adopted: Option<Adoption>,
    pub(super) cut: Option<oneshot::Sender<EndReason>>,
}

/// That a connection was taken over from workers that died or handed it over.
#[derive(Clone, Copy)]
pub(crate) struct Adoption {
    /// How often, in all.
    pub(crate) times: u32,
    /// The last time.
    pub(crate) at: Time,
}

/// Bytes of a stream, as the application sees them.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

/// A stream's place in its session; leaving it is dropping it.
pub(crate) struct StreamPlace {
    session: Arc<LiveSession>,
    number: u64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cut: oneshot::Receiver<EndReason>,
}

/// A stream that another worker carried.
pub(crate) struct Returning {
    pub(crate) number: u64,
    pub(crate) app: AppName,
    pub(crate) since: Time,
    pub(crate) counters: Arc<Counters>,
    pub(crate) adopted: Adoption,
    pub(crate) cut: oneshot::Sender<EndReason>,
}

/// The place of a stream that another worker carried; leaving it is dropping it.
pub(crate) struct Returned {
    session: Arc<LiveSession>,
    number: u64,
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.session.inner().streams.retain(|s| s.number != self.number);
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.session.inner().streams.retain(|s| s.number != self.number);
    }
}

impl LiveSession {
    /// Notes a range of stream numbers that the store dealt to this node.
    pub(crate) fn grant(&self, range: StreamRange) -> Result<(), GrantError> {
        self.inner().claims.grant(range)
    }

    /// Authenticates a stream's opening.
    pub(crate) fn authenticate(
        &self,
        opening: ClaimedStream,
        now: Time,
    ) -> Result<AuthenticStream, StreamError> {
        let inner = self.inner();
        match &inner.root_before {
            Some((before, until)) if now < *until => {
                inner.root.authenticate(opening.clone()).or_else(|_| before.authenticate(opening))
            }
            _ => inner.root.authenticate(opening),
        }
    }

    pub(crate) fn claim(&self, stream: AuthenticStream) -> Result<StreamClaimed, Box<NotClaimed>> {
        self.inner().claims.claim(stream)
    }

    /// The proof that an application may be reached now, as the last decision gave it.
    pub(crate) fn permitted(&self, app: &AppName, now: Time) -> Option<PathPermitted> {
        let inner = self.inner();
        let live = inner.over.is_none() && now < inner.state.expires;
        let found =
            inner.permitted.iter().find(|p| p.app() == app && p.until().is_none_or(|until| now < until));
        found.filter(|_| live).cloned()
    }

    /// Takes a place for a stream; nothing when the session has as many as it may.
    pub(crate) fn enter(
        self: &Arc<Self>,
        number: u64,
        path: &PathPermitted,
        most: usize,
        now: Time,
    ) -> Option<StreamPlace> {
        let mut inner = self.inner();
        // Decided again under the same lock as the streams: a withdrawal may have come between.
        let permitted = inner.permitted.iter().any(|p| p.app() == path.app());
        if inner.streams.len() >= most || inner.over.is_some() || !permitted || now >= inner.state.expires {
            return None;
        }
        let counters = Arc::new(Counters::default());
        let (cut, cut_received) = oneshot::channel();
        inner.streams.push(LiveStream {
            number,
            app: path.app().clone(),
            since: now,
            counters: counters.clone(),
            adopted: None,
            cut: Some(cut),
        });
        Some(StreamPlace { session: self.clone(), number, counters, cut: cut_received })
    }

    /// Gives a stream its place again that another worker carried. What it had been let in for is decided anew: a
    /// stream that has no right any more is cut instead.
    pub(crate) fn readmit(
        self: &Arc<Self>,
        stream: Returning,
        path: Option<&PathPermitted>,
        now: Time,
    ) -> Option<Returned> {
        let Returning { number, app, since, counters, adopted, cut } = stream;
        let mut inner = self.inner();
        let permitted = path.is_some_and(|path| path.app() == &app)
            && inner.permitted.iter().any(|p| p.app() == &app)
            && now < inner.state.expires;
        let reason = match inner.over {
            Some(reason) => Some(reason),
            None => (!permitted).then_some(EndReason::EntitlementWithdrawn),
        };
        if let Some(reason) = reason {
            let _ = cut.send(reason);
            return None;
        }
        let (cut, adopted) = (Some(cut), Some(adopted));
        inner.streams.push(LiveStream { number, app, since, counters, adopted, cut });
        Some(Returned { session: self.clone(), number })
    }

    /// Ends all streams; the session goes on elsewhere.
    pub(super) fn cut_streams(&self, reason: EndReason) {
        let mut inner = self.inner();
        // A client that is slow to read the stream learns it here first.
        inner.cut(reason, |_| true);
        drop(inner);
        self.wake.notify_one();
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.inner().streams.len()
    }
}

impl Inner {
    /// Cuts the streams to the applications that `which` names, and has the client told.
    pub(super) fn cut(&mut self, reason: EndReason, which: impl Fn(&AppName) -> bool) {
        for stream in self.streams.iter_mut().filter(|s| which(&s.app)) {
            if let Some(cut) = stream.cut.take() {
                let _ = cut.send(reason);
                let (number, detail) = (stream.number, Line::default());
                self.outbox.push_back(ControlMessage::StreamEnded { number, reason, detail });
            }
        }
    }
}
