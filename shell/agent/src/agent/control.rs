//! The control connection: kept, lost, made anew, renewed.

use crate::agent::Patience;
use crate::agent::account::{Account, Way};
use crate::agent::carry::{Over, carry, clause};
use crate::agent::pause::Pause;
use crate::agent::shared::Shared;
use crate::agent::term::Term;
use crate::connection::ANSWER;
use crate::sign_in::{Attach, Carried, SignedIn, attach};
use crate::{AgentError, ErrorKind, clock};
use std::sync::Arc;
use std::time::Duration;
use symbolon_session::{ClientSession, ControlMessage, EndReason, Line};
use symbolon_wire::Time;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

/// A connection that stood so long starts the pauses from the shortest again.
const STOOD: Duration = Duration::from_secs(30);

/// Runs until the user signs out or nothing helps any more.
pub(crate) async fn run(
    shared: Arc<Shared>,
    account: Account,
    first: Option<SignedIn>,
    patience: Patience,
) -> Result<(), AgentError> {
    let mut control = Control { shared: Arc::clone(&shared), account, patience, pause: Pause::default() };
    let result = control.run(first).await;
    shared.stopping();
    result
}

struct Control {
    shared: Arc<Shared>,
    account: Account,
    patience: Patience,
    pause: Pause,
}

/// What follows a session.
enum Next {
    Logout,
    /// A session that was opened, the first or another.
    Session(Box<SignedIn>),
    SignIn,
    /// The gateway will not have this user for now.
    Unwelcome(AgentError),
}

impl Control {
    async fn run(&mut self, first: Option<SignedIn>) -> Result<(), AgentError> {
        let mut next = first.map_or(Next::SignIn, |s| Next::Session(Box::new(s)));
        loop {
            next = match next {
                Next::Logout => {
                    self.account.forget_ticket();
                    return Ok(());
                }
                Next::Session(signed_in) => self.live(*signed_in).await,
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
                self.account.sign_in(Way::Resume).await
            };
            let error = tokio::select! {
                result = attempt => match result {
                    Ok(signed_in) => return Ok(Next::Session(Box::new(signed_in))),
                    Err(e) => e,
                },
                () = self.shared.logout.notified() => return Ok(Next::Logout),
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
        let mut term = Term::new(signed_in.opened, signed_in.lifetime_secs);
        let SignedIn { mut carried, mut session, verified, .. } = signed_in;
        tracing::info!(session = %session.id(), gateway = %self.shared.gateway, "signed in");
        loop {
            let since = Instant::now();
            let over =
                carry(&self.shared, &self.account, &mut carried, &mut session, &verified, &mut term).await;
            if since.elapsed() > STOOD {
                self.pause = Pause::default();
            }
            match over {
                Over::Logout => return Next::Logout,
                Over::Ended(reason, detail) => return self.ended(&session, reason, &detail),
                Over::Revoked(e) => {
                    self.shared.end_streams_soon(session.id(), None, e.clone());
                    self.account.forget();
                    self.account.forget_ticket();
                    return Next::Unwelcome(e);
                }
                Over::OtherKeys => {
                    self.shared.problem("the gateway's keys have changed; signing in anew");
                    self.account.forget();
                    return Next::SignIn;
                }
                Over::RenewalDue => match self.account.sign_in(Way::Afresh).await {
                    Ok(renewed) => {
                        self.leave(carried, &session).await;
                        return Next::Session(Box::new(renewed));
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
        let (sentence, last) = match reason {
            EndReason::UserLocked => (
                "your account was locked by an administrator".to_owned(),
                Some(("user-locked", "ask an administrator; when it is unlocked: symbolon login")),
            ),
            EndReason::TokenRevoked => (
                "your token was revoked by an administrator".to_owned(),
                Some((
                    "token-revoked",
                    "ask an administrator for an invitation, and enrol again with --replace",
                )),
            ),
            EndReason::EndedByAdministrator => (
                "your session was ended by an administrator".to_owned(),
                Some(("session-ended", "sign in again: symbolon login; or ask an administrator why")),
            ),
            other => (clause(other), None),
        };
        let why = AgentError::denied(match detail.as_str() {
            "" => sentence,
            detail => format!("{sentence} ({detail})"),
        });
        self.shared.end_streams_soon(session.id(), None, why.clone());
        if last.is_some() {
            // What was ended on purpose is not taken up again.
            self.account.forget_ticket();
        }
        match last {
            Some((code, fix)) => Next::Unwelcome(why.code(code).fix(fix)),
            None => {
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
                () = self.shared.logout.notified() => return Err(Next::Logout),
            };
            match result {
                Ok(Attach::Attached(carried)) => {
                    self.shared.attached(session.epoch(), carried.node());
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
}
