//! The streams and local ports of a running agent, as others see them and end them.

use crate::agent::shared::Shared;
use crate::status::ListenerStatus;
use crate::{AgentError, clock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use symbolon_policy::AppName;
use symbolon_session::SessionId;
use symbolon_wire::Time;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Ends of streams that are remembered for whoever asks how one ended.
const MAX_ENDS: usize = 64;

/// Streams at once: as many as a gateway lets one session have by default.
const MAX_STREAMS: usize = 1024;

/// How long streams may take to end by themselves.
const STREAM_END: Duration = Duration::from_secs(2);

/// A live stream, as others see it.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) id: u64,
    session: SessionId,
    pub(super) number: u64,
    pub(super) app: AppName,
    pub(super) since: Time,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    /// Why it shall end, once it shall.
    kill: watch::Sender<Option<AgentError>>,
}

impl StreamEntry {
    /// Waits until somebody ends the stream from outside.
    pub(crate) async fn killed(&self) -> AgentError {
        let mut kill = self.kill.subscribe();
        // The sender lives as long as `self`.
        match kill.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| AgentError::failure("the stream was ended"))
    }
}

impl Shared {
    /// Whether streams of that session are live.
    pub(crate) fn has_streams(&self, session: SessionId) -> bool {
        self.state().streams.values().any(|s| s.session == session)
    }

    /// Ends one stream of a session, or all, some time after the gateway said so: its own record
    /// with the same reason comes after all the data and is to be preferred.
    pub(crate) fn end_streams_soon(
        self: &Arc<Self>,
        session: SessionId,
        number: Option<u64>,
        why: AgentError,
    ) {
        let ending: Vec<_> = self
            .state()
            .streams
            .values()
            .filter(|s| s.session == session && number.is_none_or(|n| n == s.number))
            .cloned()
            .collect();
        if ending.is_empty() {
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(STREAM_END).await;
            for stream in ending {
                stream.kill.send_replace(Some(why.clone()));
            }
        });
    }

    /// Puts a stream on the list; it is taken off when the guard goes.
    pub(crate) fn enter_stream(
        self: &Arc<Self>,
        session: SessionId,
        number: u64,
        app: &AppName,
    ) -> Result<StreamGuard, AgentError> {
        let mut state = self.state();
        if state.streams.len() >= MAX_STREAMS {
            return Err(
                AgentError::failure(format!("{MAX_STREAMS} streams are open already")).fix("close some")
            );
        }
        let id = state.id();
        let entry = Arc::new(StreamEntry {
            id,
            session,
            number,
            app: app.clone(),
            since: clock::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            kill: watch::Sender::new(None),
        });
        state.streams.insert(id, Arc::clone(&entry));
        Ok(StreamGuard { shared: Arc::clone(self), entry })
    }

    /// How a stream ended, if that is known; waits, not for long, for one that is about to.
    pub(crate) async fn stream_end(&self, id: u64) -> Result<(), AgentError> {
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now() + STREAM_END;
        loop {
            {
                let state = self.state();
                match state.ends.iter().find(|(ended, _)| *ended == id) {
                    Some((_, Some(error))) => return Err(error.clone()),
                    Some((_, None)) => return Ok(()),
                    None if state.streams.contains_key(&id) => {}
                    None => {
                        return Err(AgentError::failure("it is not known (any more) how that stream ended"));
                    }
                }
            }
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return Err(AgentError::failure("that stream has not ended"));
            }
        }
    }

    /// Puts a local port on the list; it is taken off when the guard goes.
    pub(crate) fn enter_listener(self: &Arc<Self>, app: &AppName, address: SocketAddr) -> ListenerGuard {
        let mut state = self.state();
        let id = state.id();
        state.listeners.insert(id, ListenerStatus { app: app.to_string(), address });
        ListenerGuard { shared: Arc::clone(self), id }
    }

    /// Ends all streams at once.
    pub(crate) fn kill_streams(&self) {
        for stream in self.state().streams.values() {
            stream.kill.send_replace(Some(AgentError::failure("the agent stops")));
        }
    }

    /// Ends all streams and waits, not for long, until they have told the gateway.
    pub(crate) async fn end_streams(&self) {
        self.kill_streams();
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now() + STREAM_END;
        while !self.state().streams.is_empty() {
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// A stream that is on the list.
pub(crate) struct StreamGuard {
    shared: Arc<Shared>,
    pub(crate) entry: Arc<StreamEntry>,
}

impl StreamGuard {
    /// Tells that the stream was cut.
    pub(crate) fn problem(&self, why: &AgentError) {
        self.shared.problem(&format!("a stream to {} was cut: {}", self.entry.app, why.message));
    }

    /// Takes the stream off the list and remembers how it ended.
    pub(crate) fn ended(self, result: Result<(), AgentError>) {
        let mut state = self.shared.state();
        if state.ends.len() == MAX_ENDS {
            state.ends.pop_front();
        }
        state.ends.push_back((self.entry.id, result.err()));
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.shared.state().streams.remove(&self.entry.id);
        self.shared.tell();
    }
}

/// A local port that is on the list.
pub(crate) struct ListenerGuard {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        self.shared.state().listeners.remove(&self.id);
    }
}
