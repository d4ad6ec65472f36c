//! The acceptor's side of a context: from a first message to a session (A6, B8).

use crate::carry::STREAMS_AT_ONCE;
use crate::clock::now;
use crate::connection::Connection;
use crate::credentials::{Admitted, SignedIn};
use crate::draw::draw;
use crate::gateway::Opening;
use crate::live::LiveSession;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use serde_json::json;
use std::sync::Arc;
use symbolon_context::{Authenticated, Grant, Opened};
use symbolon_crypto::{CertificateNumber, Purpose, TokenKind, VerifiedSubject};
use symbolon_policy::Standing;
use symbolon_provider::SystemEntropy;
use symbolon_record::Role;
use symbolon_session::{
    ControlMessage, EndReason, Epoch, Line, Report, SessionChannel, SessionId, SessionSecret, SessionState,
};
use symbolon_store::{Actor, HotStore as _, NewSession, StoreError, User};
use symbolon_wire::FrameKind;

/// A session that was just opened, and its first wrapped message if that was said already.
pub(crate) struct Confirming {
    pub(crate) session: Arc<LiveSession>,
    pub(crate) channel: SessionChannel,
    pub(crate) first: Option<ControlMessage>,
}

impl Shared {
    /// Opens a context for whoever sent `first`. The session lives from then on in the store, but
    /// nothing acts before its first wrapped message. There is none for a certificate that has lapsed: it
    /// is renewed meanwhile.
    pub(crate) async fn sign_in(
        &self,
        connection: &mut Connection,
        mut first: Vec<u8>,
    ) -> Result<Option<Confirming>, Ended> {
        let content = loop {
            match self.gateway.open(&first, Purpose::Context, connection.source(), now())? {
                Opening::Content(content) => break content,
                Opening::Retry(cookie) => {
                    connection.send(FrameKind::Retry, cookie.to_vec()).await?;
                    first = connection.expect(FrameKind::ContextFirst).await?;
                }
            }
        };
        let opened = Opened::read(self.gateway.crypto, content, now()).map_err(Refused::from)?;
        let absent = self.remember(opened.replay_key(), opened.remember_until()).await?;
        let fresh = opened.first_time(absent, now()).map_err(Refused::from)?;
        if *fresh.channel_bindings() != [0; 32] {
            return Err(Refused::denied("bound to a channel, and there is none here").into());
        }
        let not_locked = |user: &User| match user.subject.standing {
            Standing::Locked => Err(Refused::denied(format!("user {} is locked", user.subject.name))),
            _ => Ok(()),
        };
        match self.check(&fresh, connection).await? {
            Admitted::SignedIn(proof, signed_in) => {
                not_locked(&signed_in.user)?;
                let authenticated = fresh.authenticate(proof, *signed_in).map_err(Refused::from)?;
                self.open_session(connection, authenticated).await.map(Some)
            }
            Admitted::CameBack(proof, came_back) => {
                not_locked(&came_back.user)?;
                let authenticated = fresh.authenticate(proof, *came_back).map_err(Refused::from)?;
                self.renew_lapsed(connection, authenticated).await.map(|()| None)
            }
        }
    }

    async fn open_session(
        &self,
        connection: &mut Connection,
        authenticated: Authenticated<SignedIn>,
    ) -> Result<Confirming, Ended> {
        let (method, signed_in) = (authenticated.method(), authenticated.subject().clone());
        let SignedIn { user, registration, class, proved, until, follows, certificate, rests_on, groups } =
            signed_in;
        // A certificate by itself proves nothing (A7): nobody's session gives way to it.
        let bare = method == TokenKind::KemCertificate;
        // What follows a session takes its place.
        if !bare && follows.is_none() {
            self.make_room(&user).await?;
        }
        let now = now();
        let lifetime = self.config.session_lifetime_secs;
        let grant = Grant {
            session_id: draw(),
            // 0 would say that there is no session.
            lifetime_secs: until
                .and_then(|u| u32::try_from(u.0.saturating_sub(now.0) / 1_000_000).ok())
                .map_or(lifetime, |secs| secs.clamp(1, lifetime)),
            subject: user.subject.name.to_string(),
        };
        let (secrets, second) = authenticated.accept(&mut SystemEntropy, &grant).map_err(Refused::from)?;
        let mut channel =
            SessionChannel::from_secrets(self.gateway.crypto, Role::Acceptor, Epoch::FIRST, secrets.wrap);
        let mut second = Some(second);
        let mut first = None;
        if bare {
            // Its owner alone can say the next word, and until then there is no session of theirs, nor
            // anything about one in the audit.
            connection.send(FrameKind::ContextSecond, second.take().unwrap_or_default()).await?;
            let mut word = connection.expect(FrameKind::Wrapped).await?;
            let said = channel.open(&mut word).map_err(|e| {
                Refused::denied(format!("no proof of the key of {}'s certificate: {e}", user.subject.name))
            })?;
            first = Some(said);
            self.make_room(&user).await?;
        }
        let state = SessionState {
            id: SessionId(grant.session_id),
            user: symbolon_session::UserId(user.id.0),
            registration: registration.map(|r| symbolon_session::RegistrationId(r.0)),
            user_name: user.subject.name.clone(),
            token_class: class,
            method,
            certificates: rests_on.clone(),
            groups,
            proved,
            gateway: self.gateway.name().clone(),
            opened: now,
            expires: now.plus_secs(grant.lifetime_secs.into()),
            source: Line::lossy(&connection.source().to_string()),
            report: Report::default(),
            configuration_applied: 0,
            last_attach: 0,
            secret: SessionSecret::new(secrets.session.duplicate()),
        };
        let detail = json!({
            "session": state.id.to_string(),
            "source": connection.source().to_string(),
            "with": class.to_string(),
            "by": method.to_string(),
            "groups": state.groups.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        });
        let actor = Actor::user(user.subject.name.as_str());
        // Audited first: what is not written down does not happen.
        match registration {
            Some(id) => self.store.record_sign_in(&actor, id, &detail, now).await?,
            None => self.store.record(&actor, "sign-in", user.subject.name.as_str(), &detail, now).await?,
        }
        let new = NewSession {
            id: symbolon_store::SessionId(grant.session_id),
            user: user.id,
            registration,
            owner: self.node_id,
            expires: state.expires,
            state: state.to_secret_bytes(),
            streams: STREAMS_AT_ONCE,
        };
        let epoch = self.store.hot().open_session(&new, now).await?;
        if let Err(refused) = self.take_effect(&actor, follows, certificate.as_ref(), &rests_on).await {
            let ending = self.ending(EndReason::ProtocolError);
            let _ = self.store.hot().end_session(new.id, None, ending).await;
            return Err(refused.into());
        }
        tracing::info!(user = %user.subject.name, session = %state.id, source = %connection.source(), with = %class, by = %method,
            "signed in");
        self.metrics.signed_in(&method.to_string());
        let live = self.live.insert(LiveSession::new(self.gateway.crypto, state, epoch, connection.source()));
        if let Some(second) = second {
            connection.send(FrameKind::ContextSecond, second).await?;
        }
        Ok(Confirming { session: live, channel, first })
    }

    /// Lets a session that stands in the store take effect, unless what opened it was withdrawn since it was
    /// looked at: whoever withdraws it from now on finds the session and ends it.
    async fn take_effect(
        &self,
        actor: &Actor,
        follows: Option<symbolon_store::SessionId>,
        certificate: Option<&VerifiedSubject>,
        rests_on: &[CertificateNumber],
    ) -> Result<(), Refused> {
        if let Some(follows) = follows {
            let ended = self.store.hot().end_session(follows, None, self.ending(EndReason::Replaced)).await;
            ended.map_err(|e| match e {
                StoreError::NotFound { .. } => Refused::denied("the session of that ticket was just ended"),
                e => e.into(),
            })?;
            self.live.end(SessionId(follows.0), EndReason::Replaced);
        }
        // Another node may have made the user a moment ago, or revoked the certificate.
        self.review().await?;
        self.still_unlisted(rests_on)?;
        let Some(subject) = certificate else { return Ok(()) };
        self.still_counts(subject)?;
        self.certificate_in_use(actor, subject).await
    }
}
