//! With a ticket (A5): of Kerberos, of an OpenID provider, or of an earlier session of our own.

use super::{Checked, SignedIn, not_taken};
use crate::clock::now;
use crate::node::Shared;
use crate::refusal::Refused;
use symbolon_context::Fresh;
use symbolon_crypto::{Entropy, TokenKind};
use symbolon_policy::TokenClass;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ClaimedTicket, IssuedTicket, SessionState, TicketOwner};
use symbolon_store::{
    HotStore as _, RegistrationId, RegistrationState, SessionId, StoreError, TicketKey, UserId,
};
use symbolon_tickets::kerberos::KerberosError;
use symbolon_tickets::oidc::{OidcError, claimed_issuer};
use symbolon_wire::RefusalCode;

impl Shared {
    pub(super) async fn by_kerberos(&self, fresh: &Fresh) -> Result<Checked, Refused> {
        let acceptor = self.credentials.kerberos.clone().ok_or_else(|| not_taken(TokenKind::Kerberos))?;
        // The library serialises what matters anyway; a crowd must not take all the threads there are.
        let permit = self.credentials.kerberos_checks.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Refused::new(RefusalCode::Stopping, "the node is stopping"))?;
        let (token, binding) = (fresh.token().duplicate(), *fresh.binding());
        // It reads the keytab and writes the library's replay file.
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            acceptor.accept(token.expose(), &binding)
        })
        .await;
        let proof = checked
            .map_err(|e| Refused::new(RefusalCode::Internal, format!("Kerberos: {e}")))?
            .map_err(kerberos_refusal)?;
        let user = self.vouched_user(proof.user(), "Kerberos").await?;
        let until = Some(now().plus_secs(proof.lifetime_secs().into()));
        Ok((Box::new(proof), SignedIn { until, ..SignedIn::just_now(user, TokenClass::Kerberos) }))
    }

    pub(super) async fn by_jwt(&self, fresh: &Fresh) -> Result<Checked, Refused> {
        if self.credentials.oidc.is_empty() {
            return Err(not_taken(TokenKind::Jwt));
        }
        let issuer = claimed_issuer(fresh.token().expose())
            .ok_or_else(|| Refused::malformed("no ID token that says who issued it".to_owned()))?;
        let verifier = self.credentials.oidc.iter().find(|v| v.provider().issuer() == issuer);
        let verifier =
            verifier.ok_or_else(|| Refused::denied(format!("ID tokens of {issuer:?} are not taken here")))?;
        let proof = verifier
            .verify(fresh.token().expose(), fresh.binding(), now())
            .await
            .map_err(|e| oidc_refusal(&issuer, e))?;
        let user = self.vouched_user(proof.user(), proof.issuer()).await?;
        let groups = proof.groups().to_vec();
        Ok((Box::new(proof), SignedIn { groups, ..SignedIn::just_now(user, TokenClass::Oidc) }))
    }

    pub(super) async fn by_session_ticket(&self, fresh: &Fresh) -> Result<Checked, Refused> {
        if !self.config.credentials.tickets {
            return Err(not_taken(TokenKind::SessionTicket));
        }
        let crypto = self.gateway.crypto;
        let proved = ClaimedTicket::parse(fresh.token())
            .map_err(|e| Refused::malformed(format!("malformed session ticket: {e}")))?
            .verify(crypto, &self.credentials.tickets, fresh.binding(), now())
            .map_err(|_| Refused::denied("no session ticket of this domain, or its time is over"))?;
        let before = self.session_of_ticket(proved.owner()).await?;
        let key = TicketKey(proved.use_key(crypto));
        let absent = self.store.spend_ticket(key, proved.remember_until(), now()).await?;
        let (owner, redeemed) = proved
            .redeem(absent, now())
            .map_err(|_| Refused::denied("the session ticket was used before"))?;
        let lifetime = u64::from(self.config.session_lifetime_secs);
        let until = before.expires.min(owner.proved.plus_secs(lifetime));
        if until <= now() {
            return Err(Refused::denied("the credential behind the session ticket is too old"));
        }
        let user = match self.store.user(UserId(owner.user.0)).await {
            Ok(user) => user,
            Err(StoreError::NotFound { .. }) => {
                return Err(Refused::denied("a session ticket of a user who is gone"));
            }
            Err(e) => return Err(e.into()),
        };
        let registration = match owner.registration {
            Some(id) => Some(self.registration_of_ticket(RegistrationId(id.0), user.id).await?),
            None => None,
        };
        // Which certificate it was, a ticket does not say; its user shows it again.
        if owner.token_class == TokenClass::Certificate
            && self.store.certificate_revoked_since(&user.code, owner.proved).await?
        {
            return Err(Refused::denied(
                "a certificate was revoked since the one behind the session ticket was shown",
            ));
        }
        let signed_in = SignedIn {
            user,
            registration,
            class: owner.token_class,
            proved: owner.proved,
            until: Some(until),
            follows: Some(SessionId(owner.session.0)),
            certificate: None,
            rests_on: before.certificates,
            groups: before.groups,
        };
        Ok((Box::new(redeemed), signed_in))
    }

    /// The session that a ticket is from: whatever the ticket opens ends with it at the latest, and rests on the
    /// same. One that was ended, by its user, by an administrator or with the credential that opened
    /// it, takes its tickets along.
    async fn session_of_ticket(&self, owner: &TicketOwner) -> Result<SessionState, Refused> {
        match self.store.hot().look(SessionId(owner.session.0), now()).await {
            Ok(seen) if seen.session.user.0 == owner.user.0 => {
                let state = SessionState::from_secret_bytes(&seen.state)
                    .map_err(|e| Refused::new(RefusalCode::Internal, format!("state of a session: {e}")))?;
                // A renewal moves the end in the store first.
                Ok(SessionState { expires: seen.session.expires, ..state })
            }
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                Err(Refused::denied("the session of that ticket is over"))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The token may have been revoked since the ticket was given.
    async fn registration_of_ticket(
        &self,
        id: RegistrationId,
        user: UserId,
    ) -> Result<RegistrationId, Refused> {
        match self.store.registration(id).await {
            Ok(keyed) if keyed.user.id == user && keyed.registration.state != RegistrationState::Revoked => {
                Ok(id)
            }
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                Err(Refused::denied(format!("the token {id} behind the session ticket is revoked")))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// A ticket for the next session of who has this one; none where they are not taken.
    pub(crate) fn session_ticket(&self, state: &SessionState) -> Option<IssuedTicket> {
        let settings = &self.config.credentials;
        let owner = TicketOwner {
            user: state.user,
            registration: state.registration,
            token_class: state.token_class,
            session: state.id,
            proved: state.proved,
        };
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        settings.tickets.then(|| {
            let (keys, secs) = (&self.credentials.tickets, settings.ticket_secs);
            IssuedTicket::issue(self.gateway.crypto, entropy, keys, &state.secret, &owner, now(), secs)
        })
    }
}

fn kerberos_refusal(e: KerberosError) -> Refused {
    let code = match &e {
        KerberosError::NoLibrary(_) | KerberosError::NoKey(_) => RefusalCode::Internal,
        KerberosError::Malformed => RefusalCode::Malformed,
        _ => RefusalCode::Denied,
    };
    Refused::new(code, format!("Kerberos: {e}"))
}

fn oidc_refusal(issuer: &str, e: OidcError) -> Refused {
    let code = match &e {
        OidcError::Unavailable(_) => RefusalCode::Internal,
        _ => RefusalCode::Denied,
    };
    Refused::new(code, format!("ID token of {issuer}: {e}"))
}
