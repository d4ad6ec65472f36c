//! What the two ports have in common: letting peers in, and the place and the time of a stranger.

use crate::node::Shared;
use crate::source::Source;
use crate::strangers::Place;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One place among the strangers, given back when dropped.
pub(crate) struct Stranger {
    shared: Arc<Shared>,
    place: Place,
    deadline: Instant,
}

/// Why a stranger came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Left {
    #[error("its time was over")]
    TooLate,
    #[error("others wait")]
    GaveWay,
}

impl Stranger {
    /// A little time for who comes from `peer`, and less when there are many; nothing when no place is left.
    pub(crate) fn enter(shared: &Arc<Shared>, peer: SocketAddr) -> Option<Self> {
        let place = shared.strangers.enter(Source::of(peer.ip()))?;
        let secs = shared.config.limits.stranger_secs;
        let secs = if shared.strangers.crowded() { secs.div_ceil(5) } else { secs };
        let deadline = Instant::now() + Duration::from_secs(secs);
        Some(Self { shared: shared.clone(), place, deadline })
    }

    /// Until when it must have proved something.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Does `work` unless its time is over before, or somebody else needs the place.
    ///
    /// # Errors
    /// [`Left`].
    pub(crate) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Left> {
        tokio::select! {
            done = tokio::time::timeout_at(self.deadline, work) => done.map_err(|_| Left::TooLate),
            _ = &mut self.place.give_way => Err(Left::GaveWay),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.shared.strangers.leave(&self.place);
    }
}

impl Shared {
    /// Lets peers in until the node stops, each with a task of its own, which `welcome` gives. The tasks end
    /// with this one.
    pub(crate) async fn let_in<F>(
        self: Arc<Self>,
        listener: TcpListener,
        welcome: impl Fn(Arc<Self>, TcpStream, SocketAddr) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stopping = self.stopping.subscribe();
        let mut guests = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(left) = guests.join_next() => {
                    if let Err(e) = left {
                        tracing::error!("a connection's task: {e}");
                    }
                    continue;
                }
                _ = stopping.wait_for(|s| *s) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    guests.spawn(welcome(self.clone(), stream, peer));
                }
                Err(e) => {
                    // Out of descriptors, or the peer was faster than we: neither stops the node.
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(listener);
        while guests.join_next().await.is_some() {}
    }
}
