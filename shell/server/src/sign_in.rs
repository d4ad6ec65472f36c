//! The acceptor's side of a context: from a first message to a session (A6, B8).

use crate::carry::STREAMS_AT_ONCE;
use crate::clock::now;
use crate::connection::Connection;
use crate::draw::draw;
use crate::gateway::Opening;
use crate::live::LiveSession;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use serde_json::json;
use std::sync::Arc;
use symbolon_context::{
    Authenticated, ContextSecrets, Fresh, Grant, Opened, PasswordCheck, PasswordVerifier,
};
use symbolon_crypto::{Entropy, Purpose, Secret, TokenKind, TokenProof};
use symbolon_policy::{Standing, TokenClass};
use symbolon_provider::SystemEntropy;
use symbolon_session::{Line, Report, SessionId, SessionSecret, SessionState};
use symbolon_store::{
    Actor, HotStore as _, KeyedRegistration, NewSession, RegistrationId, RegistrationState, StoreError, User,
    UserId,
};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::ClaimedResponse;
use symbolon_wire::{FrameKind, RefusalCode};

/// Who signed in, and with what.
#[derive(Clone)]
struct SignedIn {
    user: User,
    registration: Option<RegistrationId>,
    class: TokenClass,
}

/// What the check of a credential gave, and whom the directory has under it.
type Checked = (Box<dyn TokenProof>, SignedIn);

impl Shared {
    /// Opens a context for whoever sent `first`. The session lives from then on in the store, but
    /// nothing acts before its first wrapped message.
    pub(crate) async fn sign_in(
        &self,
        connection: &mut Connection,
        mut first: Vec<u8>,
    ) -> Result<(Arc<LiveSession>, ContextSecrets), Ended> {
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
        let fresh = opened.first_time(absent).map_err(Refused::from)?;
        if *fresh.channel_bindings() != [0; 32] {
            return Err(Refused::denied("bound to a channel, and there is none here").into());
        }
        let (proof, signed_in) = match fresh.token_kind() {
            TokenKind::Challenge => self.by_token(&fresh).await?,
            TokenKind::Password => self.by_password(&fresh, connection).await?,
            kind => {
                return Err(
                    Refused::new(RefusalCode::Credential, format!("{kind:?} is not taken here")).into()
                );
            }
        };
        if signed_in.user.subject.standing == Standing::Locked {
            return Err(Refused::denied(format!("user {} is locked", signed_in.user.subject.name)).into());
        }
        self.make_room(&signed_in.user).await?;
        let authenticated = fresh.authenticate(proof, signed_in).map_err(Refused::from)?;
        self.open_session(connection, authenticated).await
    }

    async fn open_session(
        &self,
        connection: &mut Connection,
        authenticated: Authenticated<SignedIn>,
    ) -> Result<(Arc<LiveSession>, ContextSecrets), Ended> {
        let SignedIn { user, registration, class } = authenticated.subject().clone();
        let now = now();
        let grant = Grant {
            session_id: draw(),
            lifetime_secs: self.config.session_lifetime_secs,
            subject: user.subject.name.to_string(),
        };
        let (secrets, second) = authenticated.accept(&mut SystemEntropy, &grant).map_err(Refused::from)?;
        let state = SessionState {
            id: SessionId(grant.session_id),
            user: symbolon_session::UserId(user.id.0),
            registration: registration.map(|r| symbolon_session::RegistrationId(r.0)),
            user_name: user.subject.name.clone(),
            token_class: class,
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
        // Another node may have made the user a moment ago.
        self.review().await.map_err(Refused::from)?;
        tracing::info!(user = %user.subject.name, session = %state.id, source = %connection.source(), with = %class,
            "signed in");
        let live = self.live.insert(LiveSession::new(self.gateway.crypto, state, epoch, connection.source()));
        connection.send(FrameKind::ContextSecond, second).await?;
        Ok((live, secrets))
    }

    /// With the authentication key of a registered token.
    async fn by_token(&self, fresh: &Fresh) -> Result<Checked, Refused> {
        let claimed = ClaimedResponse::parse(fresh.token())
            .map_err(|e| Refused::malformed(format!("malformed response: {e}")))?;
        let id = RegistrationId(*claimed.registration_id());
        let keyed = match self.store.registration(id).await {
            Ok(keyed) if keyed.user.code == *claimed.user() => Some(keyed),
            Ok(_) | Err(StoreError::NotFound { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        let usable = keyed.filter(|k| k.registration.state != RegistrationState::Revoked);
        let (key, known) = match usable {
            Some(KeyedRegistration { registration, ssk, user }) => {
                (SoftwareKey::new(ssk), Some((registration, user)))
            }
            // The same work for a token that does not exist.
            None => (SoftwareKey::new(random_key()), None),
        };
        let proof = claimed
            .verify(
                self.gateway.crypto,
                &key,
                self.gateway.name().as_str(),
                &self.gateway.numbers,
                fresh.binding(),
                now(),
            )
            .map_err(|_| {
                let why =
                    if known.is_some() { "no proof of the key of" } else { "unknown or revoked token of" };
                Refused::denied(format!("{why} {} ({id})", claimed.user()))
            })?;
        let (registration, mut user) =
            known.ok_or_else(|| Refused::denied(format!("unknown or revoked token {id}")))?;
        if registration.state == RegistrationState::Provisional {
            // The confirmation was lost on its way; the proof just given says the same.
            user =
                self.store.confirm_registration(&Actor::user(user.subject.name.as_str()), id, now()).await?;
        }
        Ok((Box::new(proof), SignedIn { user, registration: Some(id), class: registration.class }))
    }

    /// With a name and a password (A4).
    async fn by_password(&self, fresh: &Fresh, connection: &Connection) -> Result<Checked, Refused> {
        if !self.config.accept_passwords {
            return Err(Refused::new(RefusalCode::Credential, "passwords are not taken here"));
        }
        let claimed = PasswordCheck::claimed_name(fresh.token())
            .map_err(|e| Refused::malformed(format!("malformed password token: {e}")))?;
        let user = match &claimed {
            Ok(name) => match self.store.user_by_name(name).await {
                Ok(user) => Some(user),
                Err(StoreError::NotFound { .. }) => None,
                Err(e) => return Err(e.into()),
            },
            Err(()) => None,
        };
        // Asked for nobody too, so that nobody takes as long as somebody.
        let id = user.as_ref().map_or_else(|| UserId(draw()), |u| u.id);
        let verifier = self.store.password(id).await?.map(PasswordVerifier::from_phc);
        let claimed = claimed.map_or_else(|()| "an impossible name".to_owned(), |n| n.to_string());
        let token = fresh.token().duplicate();
        let proof = self
            .passwords
            .verify(&claimed, connection.source(), token, verifier, *fresh.binding(), now())
            .await?;
        let user = user.ok_or_else(|| Refused::denied(format!("unknown user {claimed}")))?;
        Ok((Box::new(proof), SignedIn { user, registration: None, class: TokenClass::Password }))
    }
}

fn random_key() -> Secret<32> {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    entropy.secret()
}
