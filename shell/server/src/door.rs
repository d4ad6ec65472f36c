//! The door: who comes in, how long a stranger may stand there, and to whom it leads.

use crate::clock::now;
use crate::connection::{Connection, ConnectionError};
use crate::entrance::Stranger;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use crate::sign_in::Confirming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use symbolon_store::Actor;
use symbolon_token::Hello;
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode};
use tokio::net::{TcpListener, TcpStream};

/// Frames in which a stranger must come to the point: hello, a message for an old key, hello, a
/// message for a new one, and as many again.
const GREETINGS: usize = 8;

/// What a peer has shown so far.
enum Proved {
    Nothing,
    Context(Box<Confirming>),
    Attach(Vec<u8>),
    Stream(Vec<u8>),
}

impl Shared {
    /// Lets peers in until the node stops.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener) {
        self.let_in(listener, Self::welcome).await;
    }

    /// Gives a stranger a little time to prove something, and then carries what it proved.
    async fn welcome(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(mut stranger) = Stranger::enter(&self, peer) else {
            return tracing::debug!(%peer, "too many strangers: closed");
        };
        let mut connection = Connection::new(stream, peer);
        // What is only needed for a while lies apart: a guest's task lasts as long as the session.
        let greeting = match stranger.within(Box::pin(self.greet(&mut connection))).await {
            Ok(greeting) => greeting,
            Err(left) => return tracing::debug!(%peer, "nothing proved, {left}: closed"),
        };
        let outcome = match greeting {
            Err(e) => Err(e),
            Ok(Proved::Stream(body)) => {
                match Box::pin(self.open_stream(&mut connection, body, stranger)).await {
                    Ok(Some(stream)) => {
                        return Box::pin(stream.run(
                            &self,
                            connection.into_stream(),
                            peer.ip().to_canonical(),
                        ))
                        .await;
                    }
                    Ok(None) => Ok(()),
                    Err(e) => Err(e),
                }
            }
            Ok(Proved::Context(confirming)) => {
                drop(stranger);
                let confirm = Box::pin(self.confirm(&mut connection, confirming));
                match confirm.await {
                    Ok((carried, first)) => Box::pin(carried.run(&mut connection, Some(first))).await,
                    Err(e) => Err(e),
                }
            }
            Ok(Proved::Attach(body)) => {
                let attach = Box::pin(self.attach(&mut connection, &body));
                let attached = tokio::time::timeout_at(stranger.deadline(), attach).await;
                drop(stranger);
                match attached {
                    Ok(Ok(carried)) => Box::pin(carried.run(&mut connection, None)).await,
                    Ok(Err(e)) => Err(e),
                    Err(_) => return,
                }
            }
            Ok(Proved::Nothing) => Ok(()),
        };
        match outcome {
            Ok(()) => {}
            Err(Ended::Refused(refused)) => {
                let Refused { code, told, reason } = refused;
                tracing::warn!(%peer, ?code, "refused: {reason}");
                Box::pin(self.note_refusal(&connection, code, &reason)).await;
                connection.refuse(code, &told).await;
            }
            Err(Ended::Connection(ConnectionError::Malformed(e))) => {
                tracing::debug!(%peer, "no frame of ours: {e}");
            }
            Err(Ended::Connection(e)) => tracing::debug!(%peer, "{e}"),
        }
    }

    /// Refused sign-ins and registrations are written down; noise is not, and of a flood only so many
    /// a second with the number of the others, lest strangers fill the audit.
    async fn note_refusal(&self, connection: &Connection, code: RefusalCode, reason: &str) {
        if !matches!(code, RefusalCode::Denied | RefusalCode::Invitation | RefusalCode::NameTaken) {
            return;
        }
        self.audit_refusal(&connection.source().to_string(), reason).await;
    }

    /// Writes down that somebody at `source` was refused; of a flood only so many a second.
    pub(crate) async fn audit_refusal(&self, source: &str, reason: &str) {
        self.metrics.refusals.inc();
        if self.refusals.exceeds(now()) {
            self.refusals_unwritten.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unwritten = self.refusals_unwritten.swap(0, Ordering::Relaxed);
        let detail = serde_json::json!({ "reason": reason, "unwritten before": unwritten });
        let actor = Actor::user("a stranger");
        if let Err(e) = self.store.record(&actor, "refused", source, &detail, now()).await {
            tracing::error!("a refusal was not audited: {e}");
        }
    }

    /// Everything up to the point where a peer has proved something.
    async fn greet(&self, connection: &mut Connection) -> Result<Proved, Ended> {
        for _ in 0..GREETINGS {
            let Some(frame) = connection.next().await? else { return Ok(Proved::Nothing) };
            if *self.stopping.borrow() {
                return Err(Refused::new(RefusalCode::Stopping, "stopping").into());
            }
            match frame.kind {
                FrameKind::Hello => {
                    let hello = Hello::from_bytes(&frame.body)
                        .map_err(|e| Refused::malformed(format!("malformed hello: {e}")))?;
                    let offer = self.offer(&hello).await?;
                    connection.send(FrameKind::Offer, offer.to_bytes()).await?;
                }
                FrameKind::ContextFirst => {
                    let confirming = match self.sign_in(connection, frame.body).await {
                        Ok(Some(opened)) => opened,
                        Ok(None) => return Ok(Proved::Nothing),
                        // The client holds an old key: it may ask for the present ones at once.
                        Err(Ended::Refused(refused)) if refused.code == RefusalCode::UnknownKey => {
                            self.tell_refusal(connection, refused).await?;
                            continue;
                        }
                        Err(e) => return Err(e),
                    };
                    return Ok(Proved::Context(Box::new(confirming)));
                }
                FrameKind::RegistrationRequest => {
                    self.register(connection, frame.body).await?;
                    return Ok(Proved::Nothing);
                }
                FrameKind::Attach => return Ok(Proved::Attach(frame.body)),
                FrameKind::StreamOpen => return Ok(Proved::Stream(frame.body)),
                kind => return Err(ConnectionError::Unexpected(kind).into()),
            }
        }
        Err(Refused::malformed("more greetings than any client needs".into()).into())
    }

    async fn tell_refusal(
        &self,
        connection: &mut Connection,
        refused: Refused,
    ) -> Result<(), ConnectionError> {
        let Refused { code, told, reason } = refused;
        tracing::debug!(peer = %connection.peer(), ?code, "refused: {reason}");
        let refusal = symbolon_wire::Refusal { code, time: now(), text: told };
        connection.send(FrameKind::Refusal, refusal.to_bytes()).await
    }
}
