//! Who a TLS client is, and whether it may reach what it asked for.

use super::live::TlsConnection;
use crate::clock::now;
use crate::desk::Snapshot;
use crate::node::Shared;
use std::net::IpAddr;
use std::sync::PoisonError;
use symbolon_crypto::VerifiedSubject;
use symbolon_policy::{AccessRequest, AppName, PathPermitted, Standing, Subject, TokenClass};
use symbolon_session::EndReason;
use symbolon_store::{App, TlsClients, UserId};
use symbolon_tls::Accepted;

/// Proof that a TLS client may go on; only [`Shared::admit`] makes it.
pub(super) enum Admission {
    /// It is somebody who is entitled.
    Entitled { path: PathPermitted, user: UserId, subject: VerifiedSubject },
    /// The application is for everybody.
    Anyone(OpenToAll),
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

    pub(super) const fn subject(&self) -> Option<&VerifiedSubject> {
        match self {
            Self::Entitled { subject, .. } => Some(subject),
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
    Full,
}

impl Refusal {
    pub(super) fn not_permitted(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: RefusalKind::NotPermitted }
    }

    pub(super) fn full() -> Self {
        Self { reason: "there are too many connections".to_owned(), kind: RefusalKind::Full }
    }

    pub(super) fn unreachable() -> Self {
        Self { reason: "the application does not answer".to_owned(), kind: RefusalKind::Unreachable }
    }
}

impl Shared {
    /// Decides about a client whose handshake is done. Its certificate is looked at here, also when its
    /// session was resumed.
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
        let chain: Vec<&[u8]> = accepted.certificates.iter().map(Vec::as_slice).collect();
        let subject = {
            let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
            trust
                .verify(self.gateway.crypto, &chain, now())
                .map_err(|e| Refusal::not_permitted(format!("certificate: {e}")))?
        };
        let user = self.user_of(subject.name()).await;
        let user = user.map_err(|refused| Refusal::not_permitted(refused.reason))?;
        if user.subject.standing == Standing::Locked {
            return Err(Refusal::not_permitted(format!("user {} is locked", user.subject.name)));
        }
        let snapshot = self.desk.present();
        let path = decide(&snapshot, &user.subject, &app.name, source).ok_or_else(|| {
            Refusal::not_permitted(format!("{} may not reach {}", user.subject.name, app.name))
        })?;
        Ok(Admission::Entitled { path, user: user.id, subject })
    }

    /// Why a connection must end, if it must.
    pub(super) fn still_admitted(
        &self,
        connection: &TlsConnection,
        snapshot: &Snapshot,
    ) -> Option<EndReason> {
        let served = snapshot.apps.get(&connection.app).and_then(|app| app.tls.as_ref());
        let Some(served) = served else { return Some(EndReason::EntitlementWithdrawn) };
        let (Some(user), Some(subject)) = (connection.user, &connection.subject) else {
            let open = served.clients == TlsClients::Anyone;
            return (!open).then_some(EndReason::EntitlementWithdrawn);
        };
        let Some(user) = snapshot.users.get(&user) else { return Some(EndReason::UserLocked) };
        if user.subject.standing == Standing::Locked {
            return Some(EndReason::UserLocked);
        }
        let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
        if trust.blocks(subject) || trust.revokes(subject.path()) || now() > subject.validity().1 {
            return Some(EndReason::TokenRevoked);
        }
        let permitted = decide(snapshot, &user.subject, &connection.app, connection.source);
        permitted.is_none().then_some(EndReason::EntitlementWithdrawn)
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
