//! A session on one connection: what is heard and said until the connection is over.

use crate::agent::account::Account;
use crate::agent::certificates::{Certificates, Order};
use crate::agent::renewal::Renewal;
use crate::agent::report::report;
use crate::agent::shared::Shared;
use crate::agent::term::Term;
use crate::agent::tickets::Tickets;
use crate::agent::watch::{Pings, Place};
use crate::connection::ANSWER;
use crate::directory::Directory;
use crate::proof::Proof;
use crate::sign_in::Carried;
use crate::{AgentError, clock};
use std::sync::Arc;
use std::time::Duration;
use symbolon_crypto::VerifiedKeySet;
use symbolon_provider::crypto;
use symbolon_session::{ClientSession, ControlMessage, EndReason, Line, SessionChannel};
use symbolon_token::{Configuration, ConfigurationError};
use symbolon_wire::{Frame, FrameKind};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How often the gateway is asked whether it is there; three times within a usual NAT's memory.
const PING: Duration = Duration::from_secs(20);

/// How long a gateway may take to end a session whose user signs out: many times what a busy store needs, and less than
/// whoever stops the agent waits for it.
const SIGN_OUT: Duration = Duration::from_secs(3);

/// Why the agent's connection with a session is over.
pub(crate) enum Over {
    /// The user signed out.
    Logout,
    /// The connection broke; the session may go on.
    Lost(String),
    /// The gateway ended the session.
    Ended(EndReason, Line),
    /// What the gateway signs does not fit what it showed: its keys have changed.
    OtherKeys,
    /// The gateway's certificate was revoked.
    Revoked(AgentError),
    /// The session's time is coming to its end, and it cannot be renewed within itself.
    RenewalDue,
}

/// One connection of a session.
struct Carrier<'a> {
    shared: &'a Arc<Shared>,
    account: &'a Account,
    session: &'a mut ClientSession,
    verified: &'a VerifiedKeySet,
    term: &'a mut Term,
    write: WriteHalf<'a>,
    channel: &'a mut SessionChannel,
    pings: Pings,
    renewal: Renewal,
    tickets: Tickets,
    certificates: Certificates,
}

/// Carries a session on over one connection until something ends that.
pub(crate) async fn carry(
    shared: &Arc<Shared>,
    account: &Account,
    carried: &mut Carried,
    session: &mut ClientSession,
    verified: &VerifiedKeySet,
    term: &mut Term,
) -> Over {
    let Carried { stream, reader, channel } = carried;
    let local = stream.local_addr().map(|a| a.ip()).ok();
    let mut place = Place { gateway: stream.peer_addr().ok(), local };
    let (mut read, write) = stream.split();
    let mut carrier = Carrier {
        shared,
        account,
        session,
        verified,
        term,
        write,
        channel,
        pings: Pings::default(),
        renewal: Renewal::None,
        tickets: Tickets::default(),
        certificates: Certificates::look(account.paths(), &account.gateway),
    };
    let mut ticks = interval(PING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = account.gateway.issuers.directory().map(Directory::look_every);
    let mut looks = interval(look.unwrap_or(PING));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looking = JoinSet::new();
    // The first message is the context's last confirmation: nothing acts before it (A6).
    let mut went = carrier.report().await;
    loop {
        if let Err(over) = went {
            return over;
        }
        // A sleeping machine's timers stand still, so the clock is asked at each tick too.
        let until_renewal = Duration::from_micros(carrier.term.renew_at.0.saturating_sub(clock::now().0));
        went = tokio::select! {
            frame = reader.next(&mut read) => carrier.hear(frame).await,
            () = shared.report_due.notified() => carrier.report().await,
            () = shared.numbers_wanted.notified() => carrier.want_numbers().await,
            _ = ticks.tick() => carrier.tick(&mut place).await,
            () = sleep(until_renewal) => carrier.renew().await,
            () = sleep(carrier.tickets.until_next()) => {
                carrier.tickets.asked();
                carrier.send(&ControlMessage::TicketRequest).await
            }
            // Apart: a server that does not answer holds nothing else up.
            _ = looks.tick(), if look.is_some() && looking.is_empty() => {
                let issuers = Arc::clone(&account.gateway.issuers);
                looking.spawn(async move { issuers.learn(Directory::deadline()).await });
                Ok(())
            }
            Some(learned) = looking.join_next() => carrier.learned(learned),
            order = shared.next_order() => carrier.order(order).await,
            () = sleep(carrier.certificates.until_renewal()) => carrier.renew_certificate().await,
            () = shared.logout.notified() => {
                let _ = carrier.send(&ControlMessage::Logout).await;
                let _ = carrier.write.shutdown().await;
                // The gateway closes when the session is over in its store, and not before.
                let closed = async { while let Ok(Some(_)) = reader.next(&mut read).await {} };
                let _ = timeout(SIGN_OUT, closed).await;
                Err(Over::Logout)
            }
        };
    }
}

impl Carrier<'_> {
    async fn send(&mut self, message: &ControlMessage) -> Result<(), Over> {
        let frame = self.channel.seal(message).map_err(|e| Over::Lost(e.to_string()))?;
        match timeout(ANSWER, self.write.write_all(&frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Over::Lost(e.to_string())),
            Err(_) => Err(Over::Lost("the gateway does not read".to_owned())),
        }
    }

    /// What the directory has was looked for: a gateway that is revoked will not send a list itself.
    fn learned(&self, learned: Result<Result<(), AgentError>, JoinError>) -> Result<(), Over> {
        match learned {
            Ok(Ok(())) => {}
            Ok(Err(e)) => self.shared.problem(&e.message),
            Err(e) => self.shared.problem(&format!("looking into the directory of key sets broke off: {e}")),
        }
        self.check_gateway()
    }

    /// Goes on only with a gateway that no list names.
    fn check_gateway(&self) -> Result<(), Over> {
        self.account.gateway.issuers.check_again(self.verified).map_err(Over::Revoked)
    }

    async fn report(&mut self) -> Result<(), Over> {
        let report = report(&self.shared.place());
        self.send(&ControlMessage::Report(report)).await
    }

    /// Asks for stream numbers, unless some have come since somebody wanted them, or are on their way.
    async fn want_numbers(&mut self) -> Result<(), Over> {
        if self.shared.ask_for_numbers() { self.send(&ControlMessage::StreamsRequest).await } else { Ok(()) }
    }

    /// Asks whether the gateway is there, and looks whether the machine was moved.
    async fn tick(&mut self, place: &mut Place) -> Result<(), Over> {
        let ping = self.pings.next().ok_or_else(|| Over::Lost("the gateway does not answer".to_owned()))?;
        self.send(&ping).await?;
        if place.moved().await { self.report().await } else { Ok(()) }
    }

    /// The time for a renewal has come: within the session, where a key can do that. The time comes
    /// again when that did not succeed, and then only a new session helps.
    async fn renew(&mut self) -> Result<(), Over> {
        if !matches!(self.account.proof, Some(Proof::Key { .. })) || self.renewal.is_under_way() {
            return Err(Over::RenewalDue);
        }
        let first = self.renewal.begin(self.session).map_err(|e| Over::Lost(e.message))?;
        self.term.try_later();
        self.send(&first).await
    }

    /// Asks for a certificate.
    async fn order(&mut self, order: Order) -> Result<(), Over> {
        match self.certificates.order(order, self.account.user_code().as_deref(), self.account.devices()) {
            Some(message) => self.send(&message).await,
            None => Ok(()),
        }
    }

    /// Half the life of the certificate is over.
    async fn renew_certificate(&mut self) -> Result<(), Over> {
        let message = self.certificates.renew(self.account.paths());
        self.say_of_certificate(message).await
    }

    async fn say_of_certificate(
        &mut self,
        message: Result<Option<ControlMessage>, AgentError>,
    ) -> Result<(), Over> {
        match message {
            Ok(Some(message)) => self.send(&message).await,
            Ok(None) => Ok(()),
            Err(e) => {
                self.shared.problem(&e.message);
                Ok(())
            }
        }
    }

    async fn hear(&mut self, frame: std::io::Result<Option<Frame>>) -> Result<(), Over> {
        match frame {
            Ok(Some(mut frame)) if frame.kind == FrameKind::Wrapped => {
                let message = self.channel.open(&mut frame.body).map_err(|e| Over::Lost(e.to_string()))?;
                self.act(message).await
            }
            Ok(Some(frame)) => Err(Over::Lost(format!("{:?} instead of a wrapped message", frame.kind))),
            Ok(None) => Err(Over::Lost("the gateway closed it".to_owned())),
            Err(e) => Err(Over::Lost(e.to_string())),
        }
    }

    async fn act(&mut self, message: ControlMessage) -> Result<(), Over> {
        match message {
            ControlMessage::Configuration(bytes) => {
                let applied = self.shared.configuration();
                let id = self.session.id().0;
                match Configuration::verify(crypto(), self.verified, &id, applied, bytes.as_bytes()) {
                    Ok(configuration) => {
                        let version = configuration.version;
                        tracing::info!(
                            version,
                            destinations = configuration.destinations.len(),
                            "configuration applied"
                        );
                        self.shared.configure(configuration);
                        self.send(&ControlMessage::ConfigurationApplied { version }).await
                    }
                    Err(ConfigurationError::Stale { applied }) => {
                        self.send(&ControlMessage::ConfigurationApplied { version: applied }).await
                    }
                    Err(ConfigurationError::Forged) => Err(Over::OtherKeys),
                    Err(e) => {
                        self.shared.problem(&e.to_string());
                        Ok(())
                    }
                }
            }
            ControlMessage::StreamsGranted(range) => {
                if let Err(e) = self.shared.granted(range) {
                    self.shared.problem(&e.to_string());
                }
                Ok(())
            }
            ControlMessage::StreamEnded { number, reason, detail } => {
                let why = ended_stream(reason, &detail);
                self.shared.end_streams_soon(self.session.id(), Some(number), why);
                Ok(())
            }
            ControlMessage::Ticket(issued) => {
                match self.session.keep(crypto(), issued) {
                    Ok(ticket) => {
                        self.tickets.got(ticket.expires());
                        self.account.keep_ticket(&ticket);
                    }
                    Err(e) => self.shared.problem(&format!("the gateway's session ticket: {e}")),
                }
                Ok(())
            }
            ControlMessage::Certificate(bytes) => {
                let Account { gateway, .. } = self.account;
                let (paths, devices) = (self.account.paths(), self.account.devices());
                let message = self.certificates.receive(paths, gateway, devices, bytes.as_bytes());
                self.say_of_certificate(message).await
            }
            ControlMessage::CertificateRefused { detail } => {
                let e = self.certificates.refused(detail.as_str());
                self.say_of_certificate(Err(e)).await
            }
            ControlMessage::IssuerChange(bytes) => {
                if let Err(e) = self.account.gateway.issuers.follow(bytes.as_bytes()) {
                    self.shared.problem(&e.message);
                }
                Ok(())
            }
            ControlMessage::RevocationList(bytes) => {
                if let Err(e) = self.account.gateway.issuers.admit_list(bytes.as_bytes()) {
                    self.shared.problem(&e.message);
                }
                self.check_gateway()
            }
            ControlMessage::SessionEnded { reason, detail } => Err(Over::Ended(reason, detail)),
            ControlMessage::NextNumber(number) => {
                if let Some(secret) = self.renewal.in_force() {
                    self.term.renew();
                    self.session.renewed(secret);
                    let root = self.session.stream_root(crypto());
                    self.shared.renewed(root, self.term.expires);
                    // The next ticket is as young as the proof.
                    self.tickets = Tickets::default();
                    tracing::info!(session = %self.session.id(), "session renewed");
                }
                self.account.keep_number(number).await;
                Ok(())
            }
            message @ (ControlMessage::RenewFirst(_)
            | ControlMessage::RenewSecond(_)
            | ControlMessage::RenewThird(_)) => {
                let gateway = &self.shared.gateway;
                match self.renewal.receive(gateway, self.account.proof.as_ref(), self.session, &message) {
                    Ok(Some(answer)) => self.send(&answer).await,
                    Ok(None) => Ok(()),
                    Err(e) => {
                        self.shared.problem(&e.message);
                        Ok(())
                    }
                }
            }
            ControlMessage::Pong(number) => {
                if let Some(latency) = self.pings.answered(number) {
                    self.shared.latency(latency);
                }
                Ok(())
            }
            ControlMessage::ReportRequest => self.report().await,
            ControlMessage::Stopping { detail } => {
                let detail = if detail.as_str().is_empty() { String::new() } else { format!(": {detail}") };
                self.shared.problem(&format!("the gateway stops soon{detail}"));
                Ok(())
            }
            other => {
                tracing::debug!(?other, "a control message that this agent has no use for");
                Ok(())
            }
        }
    }
}

/// A reason as a part of a longer sentence.
pub(crate) fn clause(reason: EndReason) -> String {
    let mut letters = reason.sentence().trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// What the gateway says about a stream's end, for people.
pub(crate) fn ended_stream(reason: EndReason, detail: &Line) -> AgentError {
    let plain = ["", reason.sentence()].contains(&detail.as_str());
    let sentence = if plain { clause(reason) } else { detail.to_string() };
    let sentence = sentence.trim_end_matches('.');
    match reason {
        EndReason::ApplicationUnreachable => AgentError::unreachable(sentence)
            .fix("ask whoever runs the application; symbolon status shows that the gateway itself answers"),
        EndReason::NodeStopping | EndReason::TooMany => AgentError::unreachable(sentence).fix("try again"),
        EndReason::ApplicationReset
        | EndReason::ProtocolError
        | EndReason::InternalError
        | EndReason::Idle => AgentError::failure(sentence),
        EndReason::NotPermitted => AgentError::denied(sentence)
            .fix("symbolon ls shows what you may reach; ask an administrator for more"),
        _ => AgentError::denied(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_becomes_a_sentence_without_a_full_stop() {
        for reason in EndReason::ALL {
            assert!(!ended_stream(reason, &Line::default()).message.ends_with('.'), "{reason:?}");
        }
    }
}
