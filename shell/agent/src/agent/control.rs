//! The control connection: kept, lost, made anew, renewed.

use crate::agent::Patience;
use crate::agent::account::Account;
use crate::agent::renewal::Renewal;
use crate::agent::report::report;
use crate::agent::shared::{Command, Shared};
use crate::connection::ANSWER;
use crate::sign_in::{Attach, Carried, Proof, SignedIn, attach};
use crate::{AgentError, ErrorKind, clock};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use symbolon_crypto::{Entropy, VerifiedKeySet};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{ClientSession, ControlMessage, EndReason, Line, SessionChannel, StreamRoot};
use symbolon_token::{Configuration, ConfigurationError};
use symbolon_wire::{FrameKind, Time};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// How often the gateway is asked whether it is there; three times within a usual NAT's memory.
const PING: Duration = Duration::from_secs(20);

/// How long an answer to that may take before the connection counts as lost.
const PONG: Duration = Duration::from_secs(15);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A connection that stood so long starts the pauses from the shortest again.
const STOOD: Duration = Duration::from_secs(30);

/// Why the agent's connection with a session is over.
enum Over {
    /// The user signed out.
    Logout,
    /// The connection broke; the session may go on.
    Lost(String),
    /// The gateway ended the session.
    Ended(EndReason, Line),
    /// What the gateway signs does not fit what it showed: its keys have changed.
    OtherKeys,
    /// The session's time is coming to its end, and it cannot be renewed within itself.
    RenewalDue,
}

/// Runs until the user signs out or nothing helps any more.
pub(crate) async fn run(
    shared: Arc<Shared>,
    account: Account,
    first: Option<SignedIn>,
    commands: mpsc::Receiver<Command>,
    patience: Patience,
) -> Result<(), AgentError> {
    let mut control =
        Control { shared: Arc::clone(&shared), account, commands, patience, pause: Pause::default() };
    let result = control.run(first).await;
    shared.stopping();
    result
}

struct Control {
    shared: Arc<Shared>,
    account: Account,
    commands: mpsc::Receiver<Command>,
    patience: Patience,
    pause: Pause,
}

/// What follows a session.
enum Next {
    Logout,
    /// A session that was opened beside the old one.
    Renewed(Box<SignedIn>),
    SignIn,
    /// The gateway will not have this user for now.
    Unwelcome(AgentError),
}

impl Control {
    async fn run(&mut self, first: Option<SignedIn>) -> Result<(), AgentError> {
        let mut next = first.map_or(Next::SignIn, |s| Next::Renewed(Box::new(s)));
        loop {
            next = match next {
                Next::Logout => return Ok(()),
                Next::Renewed(signed_in) => self.live(*signed_in).await,
                Next::SignIn => self.sign_in().await?,
                Next::Unwelcome(e) => {
                    self.shared.session_over();
                    self.shared.problem(&e.message);
                    if self.patience == Patience::FirstTry {
                        return Err(e);
                    }
                    self.pause.longest();
                    Next::SignIn
                }
            };
        }
    }

    /// Signs in, however often it takes.
    async fn sign_in(&mut self) -> Result<Next, AgentError> {
        loop {
            let attempt = async {
                sleep(self.pause.next()).await;
                self.account.sign_in().await
            };
            let error = tokio::select! {
                result = attempt => match result {
                    Ok(signed_in) => return Ok(Next::Renewed(Box::new(signed_in))),
                    Err(e) => e,
                },
                () = self.shared.logout_asked() => return Ok(Next::Logout),
            };
            self.shared.problem(&format!("signing in: {}", error.message));
            let hopeless = matches!(error.kind, ErrorKind::Denied | ErrorKind::Usage);
            if hopeless && self.patience == Patience::FirstTry {
                return Err(error);
            }
            if hopeless {
                self.pause.longest();
            }
        }
    }

    /// Keeps a session, over as many connections as it takes.
    async fn live(&mut self, signed_in: SignedIn) -> Next {
        self.shared.signed_in(&signed_in);
        let mut term = signed_in.term();
        let SignedIn { mut carried, mut session, verified, .. } = signed_in;
        tracing::info!(session = %session.id(), gateway = %self.shared.gateway, "signed in");
        loop {
            let since = Instant::now();
            let over = self.carry(&mut carried, &session, &verified, &mut term).await;
            if since.elapsed() > STOOD {
                self.pause = Pause::default();
            }
            match over {
                Over::Logout => return Next::Logout,
                Over::Ended(reason, detail) => return self.ended(&session, reason, &detail),
                Over::OtherKeys => {
                    self.shared.problem("the gateway's keys have changed; signing in anew");
                    return Next::SignIn;
                }
                Over::RenewalDue => match self.account.sign_in().await {
                    Ok(renewed) => {
                        self.leave(carried, &session).await;
                        return Next::Renewed(Box::new(renewed));
                    }
                    Err(e) => {
                        self.shared.problem(&format!("renewing the session: {}", e.message));
                        if clock::now() >= term.expires {
                            return Next::SignIn;
                        }
                        term.try_later();
                    }
                },
                Over::Lost(why) => {
                    self.shared.lost();
                    self.shared.problem(&format!("the connection to the gateway was lost: {why}"));
                    // What is left of the session after a renewal opens streams, but does not attach.
                    if term.renewed {
                        return Next::SignIn;
                    }
                    match self.attach(&mut session, term.expires).await {
                        Ok(again) => carried = again,
                        Err(next) => return next,
                    }
                }
            }
        }
    }

    /// The gateway ended the session: its streams end too, and some reasons are final.
    fn ended(&self, session: &ClientSession, reason: EndReason, detail: &Line) -> Next {
        let sentence = match detail.as_str() {
            "" => reason.sentence().to_owned(),
            detail => format!("{} ({detail})", reason.sentence()),
        };
        let why = AgentError::denied(sentence.trim_end_matches('.'));
        self.shared.end_streams_soon(session.id(), None, why.clone());
        match reason {
            EndReason::UserLocked | EndReason::TokenRevoked | EndReason::EndedByAdministrator => {
                Next::Unwelcome(why.fix("ask an administrator"))
            }
            _ => {
                self.shared.session_over();
                self.shared.problem(&format!("the session ended: {}", why.message));
                Next::SignIn
            }
        }
    }

    /// Leaves a session behind that another has replaced: over at once when no stream needs it,
    /// otherwise it ends at its time.
    async fn leave(&self, mut carried: Carried, session: &ClientSession) {
        if !self.shared.has_streams(session.id())
            && let Ok(frame) = carried.channel.seal(&ControlMessage::Logout)
        {
            let _ = timeout(ANSWER, carried.stream.write_all(&frame)).await;
        }
        let _ = carried.stream.shutdown().await;
    }

    /// Comes back to the session over a new connection.
    async fn attach(&mut self, session: &mut ClientSession, expires: Time) -> Result<Carried, Next> {
        loop {
            let attempt = async {
                sleep(self.pause.next()).await;
                attach(&self.account.gateway, session).await
            };
            let result = tokio::select! {
                result = attempt => result,
                () = self.shared.logout_asked() => return Err(Next::Logout),
            };
            match result {
                Ok(Attach::Attached(carried)) => {
                    self.shared.attached(session.epoch());
                    tracing::info!(session = %session.id(), epoch = session.epoch().0, "attached");
                    return Ok(*carried);
                }
                Ok(Attach::Over(e)) => {
                    self.shared.session_over();
                    self.shared.problem(&format!("the session cannot go on: {}", e.message));
                    return Err(Next::SignIn);
                }
                Err(_) if clock::now() >= expires => {
                    self.shared.session_over();
                    return Err(Next::SignIn);
                }
                Err(e) => self.shared.problem(&e.message),
            }
        }
    }

    /// Carries the session on over one connection until something ends that.
    async fn carry(
        &mut self,
        carried: &mut Carried,
        session: &ClientSession,
        verified: &VerifiedKeySet,
        term: &mut Term,
    ) -> Over {
        let Carried { stream, reader, channel } = carried;
        let local = stream.local_addr().map(|a| a.ip()).ok();
        let (mut read, write) = stream.split();
        let mut link = Sender { write, channel };
        let mut place = Place { gateway: self.account.gateway.address.clone(), local };
        let mut talk = Talk { session, verified, term, pings: Pings::default(), renewal: Renewal::None };
        let mut ticks = interval(PING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first message is the context's last confirmation: nothing acts before it (A6).
        let mut sent = link.send(&ControlMessage::Report(report(&self.shared.place()))).await;
        loop {
            if let Err(over) = sent {
                return over;
            }
            let renewal = Duration::from_micros(talk.term.renew_at.0.saturating_sub(clock::now().0));
            sent = tokio::select! {
                frame = reader.next(&mut read) => match frame {
                    Ok(Some(frame)) if frame.kind == FrameKind::Wrapped => {
                        match link.channel.open(&mut { frame.body }) {
                            Ok(message) => self.handle(&mut link, &mut talk, message).await,
                            Err(e) => Err(Over::Lost(e.to_string())),
                        }
                    }
                    Ok(Some(frame)) => Err(Over::Lost(format!("{:?} instead of a wrapped message", frame.kind))),
                    Ok(None) => Err(Over::Lost("the gateway closed it".to_owned())),
                    Err(e) => Err(Over::Lost(e.to_string())),
                },
                Some(command) = self.commands.recv() => match command {
                    Command::Report => {
                        link.send(&ControlMessage::Report(report(&self.shared.place()))).await
                    }
                    Command::RequestStreams => link.send(&ControlMessage::StreamsRequest).await,
                },
                _ = ticks.tick() => {
                    let moved = place.moved().await;
                    match talk.pings.next() {
                        None => Err(Over::Lost("the gateway does not answer".to_owned())),
                        Some(ping) => match link.send(&ping).await {
                            Ok(()) if moved => {
                                link.send(&ControlMessage::Report(report(&self.shared.place()))).await
                            }
                            sent => sent,
                        },
                    }
                }
                // A sleeping machine's timers stand still, so the clock is asked at each tick too.
                () = sleep(renewal) => self.renew(&mut link, &mut talk).await,
                () = self.shared.logout_asked() => {
                    let _ = link.send(&ControlMessage::Logout).await;
                    let _ = link.write.shutdown().await;
                    Err(Over::Logout)
                }
            };
        }
    }

    /// The time for a renewal has come: within the session, where a key can do that. The time comes
    /// again when that did not succeed, and then only a new session helps.
    async fn renew(&self, link: &mut Sender<'_, '_>, talk: &mut Talk<'_>) -> Result<(), Over> {
        if matches!(self.account.proof, Proof::Password { .. }) || talk.renewal.is_under_way() {
            return Err(Over::RenewalDue);
        }
        let first = talk.renewal.begin(talk.session).map_err(|e| Over::Lost(e.message))?;
        talk.term.try_later();
        link.send(&first).await
    }

    async fn handle(
        &self,
        link: &mut Sender<'_, '_>,
        talk: &mut Talk<'_>,
        message: ControlMessage,
    ) -> Result<(), Over> {
        let session = talk.session;
        match message {
            ControlMessage::Configuration(bytes) => {
                let applied = self.shared.configuration();
                let id = session.id().0;
                match Configuration::verify(crypto(), talk.verified, &id, applied, bytes.as_bytes()) {
                    Ok(configuration) => {
                        let version = configuration.version;
                        tracing::info!(
                            version,
                            destinations = configuration.destinations.len(),
                            "configuration applied"
                        );
                        self.shared.configure(configuration);
                        link.send(&ControlMessage::ConfigurationApplied { version }).await
                    }
                    Err(ConfigurationError::Stale { applied }) => {
                        link.send(&ControlMessage::ConfigurationApplied { version: applied }).await
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
                self.shared.end_streams_soon(session.id(), Some(number), why);
                Ok(())
            }
            ControlMessage::SessionEnded { reason, detail } => Err(Over::Ended(reason, detail)),
            ControlMessage::NextNumber(number) => {
                if let Some(secret) = talk.renewal.in_force() {
                    talk.term.renew();
                    self.shared.renewed(StreamRoot::new(crypto(), session.id(), &secret), talk.term.expires);
                    tracing::info!(session = %session.id(), "session renewed");
                }
                self.account.keep_number(number).await;
                Ok(())
            }
            message @ (ControlMessage::RenewFirst(_)
            | ControlMessage::RenewSecond(_)
            | ControlMessage::RenewThird(_)) => {
                let gateway = &self.shared.gateway;
                match talk.renewal.receive(gateway, &self.account.proof, session, &message) {
                    Ok(Some(answer)) => link.send(&answer).await,
                    Ok(None) => Ok(()),
                    Err(e) => {
                        self.shared.problem(&e.message);
                        Ok(())
                    }
                }
            }
            ControlMessage::Pong(number) => {
                if let Some(latency) = talk.pings.answered(number) {
                    self.shared.latency(latency);
                }
                Ok(())
            }
            ControlMessage::ReportRequest => {
                link.send(&ControlMessage::Report(report(&self.shared.place()))).await
            }
            ControlMessage::Stopping { detail } => {
                self.shared.problem(&format!("the gateway stops soon {detail}"));
                Ok(())
            }
            other => {
                tracing::debug!(?other, "a control message that this agent has no use for");
                Ok(())
            }
        }
    }
}

/// What the gateway says about a stream's end, for people.
pub(crate) fn ended_stream(reason: EndReason, detail: &Line) -> AgentError {
    let sentence = if detail.as_str().is_empty() { reason.sentence() } else { detail.as_str() };
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

impl SignedIn {
    pub(crate) fn expires(&self) -> Time {
        self.opened.plus_secs(self.lifetime_secs.into())
    }

    fn term(&self) -> Term {
        Term {
            lifetime_secs: self.lifetime_secs,
            expires: self.expires(),
            renew_at: four_fifths(self.opened, self.lifetime_secs),
            renewed: false,
        }
    }
}

/// How long a session lasts.
struct Term {
    lifetime_secs: u32,
    expires: Time,
    renew_at: Time,
    renewed: bool,
}

impl Term {
    /// A renewal gives as much time as the session had at first.
    fn renew(&mut self) {
        let now = clock::now();
        self.expires = now.plus_secs(self.lifetime_secs.into());
        self.renew_at = four_fifths(now, self.lifetime_secs);
        self.renewed = true;
    }

    /// The next try is often enough before the end, whatever the lifetime is.
    fn try_later(&mut self) {
        let now = clock::now();
        let left = self.expires.0.saturating_sub(now.0);
        self.renew_at = Time(now.0.saturating_add((left / 4).max(100_000)));
    }
}

fn four_fifths(since: Time, lifetime_secs: u32) -> Time {
    Time(since.0.saturating_add(u64::from(lifetime_secs) * 800_000))
}

/// What is being talked about on one connection.
struct Talk<'a> {
    session: &'a ClientSession,
    verified: &'a VerifiedKeySet,
    term: &'a mut Term,
    pings: Pings,
    renewal: Renewal,
}

/// The sending side of a session's connection.
struct Sender<'s, 'c> {
    write: WriteHalf<'s>,
    channel: &'c mut SessionChannel,
}

impl Sender<'_, '_> {
    async fn send(&mut self, message: &ControlMessage) -> Result<(), Over> {
        let frame = self.channel.seal(message).map_err(|e| Over::Lost(e.to_string()))?;
        match timeout(ANSWER, self.write.write_all(&frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Over::Lost(e.to_string())),
            Err(_) => Err(Over::Lost("the gateway does not read".to_owned())),
        }
    }
}

/// Pings and what came of them.
#[derive(Default)]
struct Pings {
    number: u64,
    waiting: Option<Instant>,
}

impl Pings {
    /// The next ping, or nothing when the last one was not answered in time.
    fn next(&mut self) -> Option<ControlMessage> {
        if self.waiting.is_some_and(|since| since.elapsed() > PONG) {
            return None;
        }
        self.number += 1;
        self.waiting = Some(Instant::now());
        Some(ControlMessage::Ping(self.number))
    }

    fn answered(&mut self, number: u64) -> Option<Duration> {
        let since = self.waiting.take_if(|_| number == self.number)?;
        Some(since.elapsed())
    }
}

/// Where the machine is in the network, as far as its address towards the gateway tells.
struct Place {
    gateway: String,
    local: Option<IpAddr>,
}

impl Place {
    /// Whether the address changed since the last look. No packet is sent for that.
    async fn moved(&mut self) -> bool {
        let look = async {
            let any = if self.local.is_some_and(|l| l.is_ipv6()) { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).await.ok()?;
            socket.connect(&self.gateway).await.ok()?;
            socket.local_addr().ok().map(|a| a.ip())
        };
        let Ok(Some(now)) = timeout(Duration::from_secs(2), look).await else { return false };
        self.local.replace(now).is_some_and(|before| before != now)
    }
}

/// Growing pauses with jitter, so that a restarted gateway's clients do not all come at once.
#[derive(Default)]
struct Pause {
    attempts: u32,
}

impl Pause {
    fn longest(&mut self) {
        self.attempts = 32;
    }

    /// Between half and all of 0.1 s, 0.2 s, 0.4 s … [`LONGEST_PAUSE`].
    fn next(&mut self) -> Duration {
        let full = Duration::from_millis(100).saturating_mul(1 << self.attempts.min(16)).min(LONGEST_PAUSE);
        self.attempts = self.attempts.saturating_add(1);
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let [random] = entropy.number::<1>();
        full / 2 + full.mul_f64(f64::from(random) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_jitter_up_to_a_minute() {
        let mut pause = Pause::default();
        let first = pause.next();
        assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&first), "{first:?}");
        for _ in 0..40 {
            assert!(pause.next() <= LONGEST_PAUSE);
        }
        assert!(pause.next() >= LONGEST_PAUSE / 2);
    }

    #[test]
    fn an_unanswered_ping_is_noticed_and_an_old_answer_is_not_taken() {
        let mut pings = Pings::default();
        assert_eq!(pings.next(), Some(ControlMessage::Ping(1)));
        assert_eq!(pings.answered(7), None);
        assert!(pings.answered(1).is_some());
        pings.waiting = Instant::now().checked_sub(PONG + Duration::from_secs(1));
        assert!(pings.waiting.is_none() || pings.next().is_none());
    }

    #[test]
    fn every_reason_becomes_a_sentence_without_a_full_stop() {
        for reason in EndReason::ALL {
            assert!(!ended_stream(reason, &Line::default()).message.ends_with('.'), "{reason:?}");
        }
    }
}
