//! A session's control connection: reports in, configuration out.

use crate::admin::Certifying;
use crate::clock::now;
use crate::connection::{Connection, ConnectionError};
use crate::live::{LiveSession, Next};
use crate::meter::Meter;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use crate::renew::Renewal;
use serde_json::json;
use std::ops::Range;
use std::sync::Arc;
use symbolon_session::{
    ChannelError, ConfigurationBytes, ControlMessage, EndReason, Line, SessionChannel, StreamRange,
};
use symbolon_store::{Actor, HotStore as _, SessionId, StoreError};
use symbolon_wire::{FrameKind, RefusalCode};
use tokio::io::AsyncWriteExt;

/// Stream numbers that are dealt at once: a browser's worth of connections, many times.
pub(crate) const STREAMS_AT_ONCE: u32 = 256;

/// Control messages of one client in a second: far more than an agent has to say.
const MESSAGES_PER_SEC: u32 = 50;

/// A session on its connection.
pub(crate) struct Carried<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) session: Arc<LiveSession>,
    channel: SessionChannel,
    connection: u64,
    /// Under which this connection has the session: what it writes is fenced by it.
    pub(crate) epoch: u64,
    /// The stream numbers that came with the session.
    dealt: Range<u64>,
    messages: Meter,
    pub(crate) renewal: Renewal,
    pub(crate) certifying: Certifying,
}

impl<'a> Carried<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        session: Arc<LiveSession>,
        channel: SessionChannel,
        connection: u64,
        dealt: Range<u64>,
    ) -> Box<Self> {
        let epoch = channel.epoch().0;
        Box::new(Self {
            shared,
            session,
            channel,
            connection,
            epoch,
            dealt,
            messages: Meter::new(MESSAGES_PER_SEC),
            renewal: Renewal::None,
            certifying: Certifying::default(),
        })
    }

    /// Opens a wrapped message.
    pub(crate) fn open(&mut self, body: &mut [u8]) -> Result<ControlMessage, ChannelError> {
        self.channel.open(body)
    }

    /// Talks with the client until one of them ends it; `first` is what it has said already.
    pub(crate) async fn run(
        mut self: Box<Self>,
        connection: &mut Connection,
        first: Option<ControlMessage>,
    ) -> Result<(), Ended> {
        connection.enter_session();
        self.shared.review_session(&self.session);
        let outcome = self.converse(connection, first).await;
        self.session.disconnect(self.connection);
        match outcome {
            Ok(()) => Ok(()),
            // The network took the connection; the session waits for the client to come back.
            Err(Ended::Connection(e)) => {
                tracing::debug!(session = %self.session.id, "control connection: {e}");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Thousands of sessions wait here and do nothing, so whatever acts is boxed: its place is given
    /// back before the next wait.
    async fn converse(
        &mut self,
        connection: &mut Connection,
        first: Option<ControlMessage>,
    ) -> Result<(), Ended> {
        let dealt = self.dealt.clone();
        Box::pin(self.grant(connection, dealt)).await?;
        let number = self.shared.gateway.number(now());
        Box::pin(self.send(connection, &ControlMessage::NextNumber(number))).await?;
        if let Some(change) = self.shared.issuer_change_to_tell() {
            Box::pin(self.send(connection, &change)).await?;
        }
        if let Some(list) = self.shared.revocation_list_to_tell() {
            Box::pin(self.send(connection, &list)).await?;
        }
        if let Some(message) = first
            && !Box::pin(self.heard(connection, message)).await?
        {
            return Ok(());
        }
        loop {
            if !Box::pin(self.tell(connection)).await? {
                return Ok(());
            }
            let next_step = self.next_step();
            tokio::select! {
                frame = connection.next() => match frame? {
                    None => return Ok(()),
                    Some(_) if !self.session.has(self.connection) => {}
                    Some(_) if self.messages.exceeds(now()) => {
                        let greed = format!("session {}: too many messages", self.session.id);
                        return Err(Refused::new(RefusalCode::Busy, greed).into());
                    }
                    Some(mut frame) if frame.kind == FrameKind::Wrapped => {
                        let message = self.channel.open(&mut frame.body)
                            .map_err(|e| Refused::malformed(format!("wrapped message: {e}")))?;
                        if !Box::pin(self.heard(connection, message)).await? {
                            return Ok(());
                        }
                    }
                    Some(frame) => return Err(ConnectionError::Unexpected(frame.kind).into()),
                },
                () = self.session.wake.notified() => {}
                () = tokio::time::sleep(next_step) => Box::pin(self.time_has_come(connection)).await?,
            }
        }
    }

    /// Sends what waits. False when the session is over for this connection.
    async fn tell(&mut self, connection: &mut Connection) -> Result<bool, Ended> {
        loop {
            match self.session.next(self.connection, self.shared.gateway.name(), now()) {
                Next::Nothing => return Ok(true),
                Next::Send(message) => self.send(connection, &message).await?,
                Next::SendConfiguration(configuration) => {
                    let signed = self.shared.gateway.sign(&configuration);
                    let signed =
                        signed.map_err(|e| Refused::new(RefusalCode::Internal, format!("signing: {e}")))?;
                    match ConfigurationBytes::new(signed) {
                        Ok(bytes) => self.send(connection, &ControlMessage::Configuration(bytes)).await?,
                        Err(e) => tracing::error!(session = %self.session.id, "configuration: {e}"),
                    }
                }
                Next::Over(reason) => {
                    let message = ControlMessage::SessionEnded { reason, detail: Line::default() };
                    self.send(connection, &message).await?;
                    self.shared.live.remove(&self.session);
                    // Whatever ended it here ends it everywhere; it may be gone already.
                    let (id, ending) = (SessionId(self.session.id.0), self.shared.ending(reason));
                    let _ = self.shared.store.hot().end_session(id, Some(self.epoch), ending).await;
                    let _ = connection.stream.shutdown().await;
                    return Ok(false);
                }
                Next::Replaced => {
                    // The call may have been meant for the connection that has the session now.
                    self.session.wake.notify_one();
                    return Ok(false);
                }
            }
        }
    }

    pub(crate) async fn send(
        &mut self,
        connection: &mut Connection,
        message: &ControlMessage,
    ) -> Result<(), Ended> {
        let frame = self
            .channel
            .seal(message)
            .map_err(|e| Refused::new(RefusalCode::Internal, format!("wrapping: {e}")))?;
        Ok(connection.write(&frame).await?)
    }

    async fn deal_streams(&mut self, connection: &mut Connection) -> Result<(), Ended> {
        let id = SessionId(self.session.id.0);
        let dealt = self.shared.store.hot().deal_streams(id, Some(self.epoch), STREAMS_AT_ONCE).await?;
        self.grant(connection, dealt).await
    }

    /// Lets the client use numbers that the store dealt to this node.
    async fn grant(&mut self, connection: &mut Connection, range: Range<u64>) -> Result<(), Ended> {
        let range = StreamRange::new(range.start, range.end)
            .map_err(|e| Refused::new(RefusalCode::Internal, format!("stream numbers: {e}")))?;
        if let Err(e) = self.session.grant(range) {
            return Err(Refused::new(RefusalCode::Internal, format!("stream numbers: {e}")).into());
        }
        self.send(connection, &ControlMessage::StreamsGranted(range)).await
    }

    /// Acts on a message. False when the client said goodbye.
    async fn heard(&mut self, connection: &mut Connection, message: ControlMessage) -> Result<bool, Ended> {
        match message {
            ControlMessage::Report(report) => {
                tracing::debug!(session = %self.session.id, machine = %report.machine, place = %report.place, "report");
                self.session.reported(report);
                self.shared.review_session(&self.session);
                self.publish().await?;
            }
            ControlMessage::RequestConfiguration => self.session.repeat_configuration(now()),
            ControlMessage::ConfigurationApplied { version } => self.session.applied(version),
            ControlMessage::Ping(number) => self.send(connection, &ControlMessage::Pong(number)).await?,
            ControlMessage::NumberRequest => {
                let number = self.shared.gateway.number(now());
                self.send(connection, &ControlMessage::NextNumber(number)).await?;
            }
            ControlMessage::TicketRequest => {
                let ticket = self.session.with_state(|state| self.shared.session_ticket(state));
                if let Some(ticket) = ticket {
                    self.send(connection, &ControlMessage::Ticket(ticket)).await?;
                }
            }
            // What is unused may be forgotten on the other side, as after an attach.
            ControlMessage::StreamsRequest => self.deal_streams(connection).await?,
            ControlMessage::RenewFirst(first) => self.answer_renewal(connection, first.as_bytes()).await?,
            ControlMessage::RenewSecond(answer) => {
                self.conclude_renewal(connection, answer.as_bytes()).await?
            }
            ControlMessage::RenewThird(last) => self.finish_renewal(connection, last.as_bytes()).await?,
            ControlMessage::CertificateRequest(asked) => {
                self.certificate_asked(connection, asked.as_bytes()).await?;
            }
            ControlMessage::CertificateConfirm(confirmation) => {
                self.certificate_confirmed(connection, confirmation.as_bytes()).await?;
            }
            ControlMessage::Logout => {
                self.shared.log_out(&self.session).await?;
                return Ok(false);
            }
            other => {
                tracing::debug!(session = %self.session.id, "not taken here: {other:?}");
            }
        }
        Ok(true)
    }

    pub(crate) async fn publish(&self) -> Result<(), Ended> {
        let state = self.session.with_state(|s| s.to_secret_bytes());
        match self.shared.store.hot().publish_session(SessionId(self.session.id.0), self.epoch, &state).await
        {
            // Another node, or another connection, has it: this one ends by itself.
            Err(StoreError::Fenced | StoreError::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

impl Shared {
    async fn log_out(&self, session: &Arc<LiveSession>) -> Result<(), Refused> {
        let name = session.user_name();
        let actor = Actor::user(name.as_str());
        let detail = json!({ "session": session.id.to_string() });
        self.store.record(&actor, "sign-out", name.as_str(), &detail, now()).await?;
        let ending = self.ending(EndReason::Logout);
        self.store.hot().end_session(SessionId(session.id.0), None, ending).await?;
        session.end(EndReason::Logout);
        self.live.remove(session);
        tracing::info!(user = %name, session = %session.id, "signed out");
        Ok(())
    }

    pub(crate) async fn expire(&self, session: &LiveSession) {
        session.end(EndReason::Expired);
        let ending = self.ending(EndReason::Expired);
        let id = SessionId(session.id.0);
        // Only as we know it: another node may have renewed it since.
        if self.store.hot().end_session(id, Some(session.epoch()), ending).await.is_ok() {
            let detail = json!({ "user": session.user_name().as_str() });
            self.note(self.actor(), "session.expire", session.id.to_string(), detail);
        }
        tracing::info!(user = %session.user_name(), session = %session.id, "session expired");
    }
}
