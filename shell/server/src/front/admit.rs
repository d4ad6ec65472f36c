//! Who a TLS client is, and whether it may reach what it asked for.

use super::live::TlsConnection;
use crate::clock::now;
use crate::desk::Snapshot;
use crate::node::Shared;
use crate::pipe::Owner;
use crate::refusal::Refused;
use crate::relay::{Failure, FailureKind};
use serde_json::json;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use symbolon_crypto::VerifiedSubject;
use symbolon_policy::{AccessRequest, AppName, PathPermitted, Standing, Subject, TokenClass};
use symbolon_session::EndReason;
use symbolon_store::{Actor, App, TlsClients, User, UserId};
use symbolon_tls::Accepted;
use symbolon_wire::RefusalCode;

/// Proof that a TLS client may go on; only [`Shared::admit`] makes it.
pub(super) enum Admission {
    /// It is somebody who is entitled.
    Entitled { path: PathPermitted, user: UserId, shown: Shown },
    /// The application is for everybody.
    Anyone(OpenToAll),
}

/// What a client showed, and what was seen in it last, if this process has looked at it.
#[derive(Clone)]
pub(super) struct Shown {
    chain: Arc<[Vec<u8>]>,
    seen: Option<Seen>,
}

/// Whose certificate it is, under a trust.
#[derive(Clone)]
pub(super) struct Seen {
    subject: VerifiedSubject,
    trust: [u8; 32],
}

impl Shown {
    /// To another process.
    pub(super) fn to_another(chain: &[Vec<u8>]) -> Self {
        Self { chain: chain.into(), seen: None }
    }
}

/// Proof that an application is for everybody; only [`Shared::admit`] makes it.
pub(crate) struct OpenToAll(AppName);

impl OpenToAll {
    pub(crate) const fn app(&self) -> &AppName {
        &self.0
    }
}

impl Admission {
    pub(super) const fn user(&self) -> Option<UserId> {
        match self {
            Self::Entitled { user, .. } => Some(*user),
            Self::Anyone(_) => None,
        }
    }

    pub(super) fn user_name(&self) -> Option<&str> {
        match self {
            Self::Entitled { path, .. } => Some(path.subject().as_str()),
            Self::Anyone(_) => None,
        }
    }

    /// Whose the connection is, for who carries it on.
    pub(super) fn owner(&self, number: u64) -> Owner {
        match self {
            Self::Entitled { user, shown, .. } => {
                Owner::Entitled { number, user: *user, chain: shown.chain.to_vec() }
            }
            Self::Anyone(_) => Owner::Anyone { number },
        }
    }

    pub(super) fn shown(&self) -> Option<Shown> {
        match self {
            Self::Entitled { shown, .. } => Some(shown.clone()),
            Self::Anyone(_) => None,
        }
    }
}

/// Why a client does not get what it asked for.
pub(super) struct Refusal {
    /// For the operator.
    pub(super) reason: String,
    /// For the person in front of a browser.
    pub(super) kind: RefusalKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalKind {
    NoCertificate,
    NotPermitted,
    Unreachable,
    /// The application's own certificate does not fit; the reason is for the person, too.
    Distrusted,
    Full,
    Failed,
}

impl Refusal {
    pub(super) fn not_permitted(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: RefusalKind::NotPermitted }
    }

    pub(super) fn full() -> Self {
        Self { reason: "there are too many connections".to_owned(), kind: RefusalKind::Full }
    }

    pub(super) fn unreachable(failure: &Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Unreachable => RefusalKind::Unreachable,
            FailureKind::Certificate => RefusalKind::Distrusted,
        };
        Self { reason: failure.to_string(), kind }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let kind = match refused.code {
            RefusalCode::Internal | RefusalCode::Busy => RefusalKind::Failed,
            _ => RefusalKind::NotPermitted,
        };
        Self { reason: refused.reason, kind }
    }
}

impl Shared {
    /// Decides about a client whose handshake is done. A certificate that is shown is a sign-in: it is written
    /// down before anything is dialled.
    pub(super) async fn admit<S>(
        &self,
        accepted: &Accepted<S>,
        app: &App,
        source: IpAddr,
    ) -> Result<Admission, Refusal> {
        if app.tls.as_ref().is_some_and(|tls| tls.clients == TlsClients::Anyone) {
            return Ok(Admission::Anyone(OpenToAll(app.name.clone())));
        }
        if accepted.certificates.is_empty() {
            let reason = format!("{}: a client without a certificate", app.name);
            return Err(Refusal { reason, kind: RefusalKind::NoCertificate });
        }
        if !self.config.credentials.certificates {
            return Err(Refusal::not_permitted("certificates are not taken here"));
        }
        let chain: Arc<[Vec<u8>]> = accepted.certificates.as_slice().into();
        let seen = self.look_at(&chain)?;
        let user = self.user_of(seen.subject.name()).await?;
        let name = &user.subject.name;
        if user.subject.standing == Standing::Locked {
            return Err(Refusal::not_permitted(format!("user {name} is locked")));
        }
        let snapshot = self.desk.present();
        let path = decide(&snapshot, &user.subject, &app.name, source)
            .ok_or_else(|| Refusal::not_permitted(format!("{name} may not reach {}", app.name)))?;
        let actor = Actor::user(name.as_str());
        self.certificate_in_use(&actor, &seen.subject).await?;
        let detail = json!({
            "app": app.name.as_str(), "source": source.to_string(),
            "serial": hex::encode(seen.subject.serial()),
        });
        // What is not written down does not happen.
        let written = self.store.record(&actor, "tls.open", app.name.as_str(), &detail, now()).await;
        written.map_err(Refused::from)?;
        let shown = Shown { chain, seen: Some(seen) };
        Ok(Admission::Entitled { path, user: user.id, shown })
    }

    /// Looks at certificates under the trust of now.
    fn look_at(&self, chain: &[Vec<u8>]) -> Result<Seen, Refusal> {
        let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
        let presented: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let subject = trust
            .verify(self.gateway.crypto, &presented, now())
            .map_err(|e| Refusal::not_permitted(format!("certificate: {e}")))?;
        Ok(Seen { subject, trust: *trust.state() })
    }

    /// Why a connection must end, if it must.
    pub(super) fn still_admitted(
        &self,
        connection: &mut TlsConnection,
        verdicts: &mut Verdicts<'_>,
    ) -> Option<EndReason> {
        let snapshot = verdicts.snapshot;
        let served = snapshot.apps.get(&connection.app).and_then(|app| app.tls.as_ref());
        let Some(served) = served else { return Some(EndReason::EntitlementWithdrawn) };
        let Some(user) = connection.user else {
            let open = served.clients == TlsClients::Anyone;
            return (!open).then_some(EndReason::EntitlementWithdrawn);
        };
        let Some(user) = snapshot.users.get(&user) else { return Some(EndReason::UserLocked) };
        if user.subject.standing == Standing::Locked {
            return Some(EndReason::UserLocked);
        }
        let untrusted = self.still_trusted(connection);
        connection.user_name = Some(user.subject.name.to_string());
        if untrusted.is_some() || verdicts.permit(user, &connection.app, connection.source) {
            return untrusted;
        }
        Some(EndReason::EntitlementWithdrawn)
    }

    /// The same, as far as its certificate is concerned.
    pub(super) fn still_trusted(&self, connection: &mut TlsConnection) -> Option<EndReason> {
        connection.user?;
        let Some(shown) = &mut connection.shown else { return Some(EndReason::TokenRevoked) };
        let as_before = {
            let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
            let is = |seen: &Seen| *trust.state() == seen.trust && now() <= seen.subject.validity().1;
            shown.seen.as_ref().is_some_and(is)
        };
        if !as_before {
            match self.look_at(&shown.chain) {
                Ok(seen) => shown.seen = Some(seen),
                Err(_) => return Some(EndReason::TokenRevoked),
            }
        }
        None
    }
}

/// What was decided in one review: many connections are of one user and come from one place.
pub(super) struct Verdicts<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<(UserId, AppName, IpAddr), bool>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn by(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, known: HashMap::new() }
    }

    fn permit(&mut self, user: &User, app: &AppName, source: IpAddr) -> bool {
        let permitted = || decide(self.snapshot, &user.subject, app, source).is_some();
        *self.known.entry((user.id, app.clone(), source)).or_insert_with(permitted)
    }
}

fn decide(snapshot: &Snapshot, subject: &Subject, app: &AppName, source: IpAddr) -> Option<PathPermitted> {
    let request = AccessRequest {
        subject,
        app,
        now: now(),
        source,
        token_class: TokenClass::Certificate,
        machine: "",
        place: "",
    };
    snapshot.policy.decide(&request).permitted().filter(|path| snapshot.apps.contains_key(path.app()))
}
