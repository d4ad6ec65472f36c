//! Renewal: both sides of a session prove themselves anew with the authentication key, and the
//! session gets a new secret and a new lifetime (B8; either party may start).
//!
//! The client starts when four fifths of the lifetime are over; the node does so itself when nine
//! tenths are, for clients that forgot.

use crate::carry::Carried;
use crate::clock::now;
use crate::connection::Connection;
use crate::refusal::{Ended, Refused};
use serde_json::json;
use std::time::Duration;
use symbolon_crypto::{Secret, Transcript, TranscriptHash, label};
use symbolon_policy::UserCode;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ControlMessage, RenewalBytes, SessionSecret};
use symbolon_store::{Actor, HotStore as _, RegistrationId, RegistrationState, SessionId};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::{Challenger, Parties, Responder};
use symbolon_wire::{RefusalCode, Time};

/// How far a renewal has come.
pub(crate) enum Renewal {
    /// None is under way.
    None,
    /// We gave the first number.
    Challenged(Challenger),
    /// We answered the client's number.
    Answered(Responder),
    /// We asked in this lifetime and got no answer that would do.
    Asked,
}

impl Carried<'_> {
    /// How long until the next step that time alone brings: asking for a renewal, or the end.
    pub(crate) fn next_step(&self) -> Duration {
        let expires = self.session.expires();
        let tenth = u64::from(self.shared.config.session_lifetime_secs) * 100_000;
        let due = match &self.renewal {
            Renewal::None if self.session.registration().is_some() => Time(expires.0.saturating_sub(tenth)),
            _ => expires,
        };
        Duration::from_micros(due.0.saturating_sub(now().0))
    }

    /// Ends the session when its time is up, or asks for its renewal.
    pub(crate) async fn time_has_come(&mut self, connection: &mut Connection) -> Result<(), Ended> {
        if now() >= self.session.expires() {
            self.shared.expire(&self.session).await;
            return Ok(());
        }
        if matches!(self.renewal, Renewal::None) && self.session.registration().is_some() {
            let crypto = self.shared.gateway.crypto;
            let (challenger, first) = Challenger::begin(crypto, &mut SystemEntropy, self.binding());
            self.renewal = Renewal::Challenged(challenger);
            self.send(connection, &ControlMessage::RenewFirst(bytes(first)?)).await?;
        }
        Ok(())
    }

    /// The client starts: answer its number.
    pub(crate) async fn answer_renewal(
        &mut self,
        connection: &mut Connection,
        first: &[u8],
    ) -> Result<(), Ended> {
        let (key, code) = self.key().await?;
        let gateway = self.shared.gateway.name().as_str();
        let parties = Parties { challenger: code.as_str(), responder: gateway };
        let crypto = self.shared.gateway.crypto;
        let (responder, answer) =
            Responder::answer(crypto, &mut SystemEntropy, &key, parties, first, self.binding())
                .map_err(forged)?;
        self.renewal = Renewal::Answered(responder);
        self.send(connection, &ControlMessage::RenewSecond(bytes(answer)?)).await
    }

    /// We started: check the client's answer.
    pub(crate) async fn conclude_renewal(
        &mut self,
        connection: &mut Connection,
        answer: &[u8],
    ) -> Result<(), Ended> {
        let Renewal::Challenged(challenger) = std::mem::replace(&mut self.renewal, Renewal::Asked) else {
            return Err(Refused::malformed("an answer to no challenge".into()).into());
        };
        let (key, code) = self.key().await?;
        let gateway = self.shared.gateway.name().as_str();
        let parties = Parties { challenger: gateway, responder: code.as_str() };
        let (secret, last) =
            challenger.conclude(&mut SystemEntropy, &key, parties, answer).map_err(forged)?;
        self.send(connection, &ControlMessage::RenewThird(bytes(last)?)).await?;
        self.renewed(connection, secret).await
    }

    /// The client started and has confirmed.
    pub(crate) async fn finish_renewal(
        &mut self,
        connection: &mut Connection,
        last: &[u8],
    ) -> Result<(), Ended> {
        let Renewal::Answered(responder) = std::mem::replace(&mut self.renewal, Renewal::Asked) else {
            return Err(Refused::malformed("a confirmation of no renewal".into()).into());
        };
        let secret = responder.finish(last).map_err(forged)?;
        self.renewed(connection, secret).await
    }

    /// Puts the new secret in force. The number for the next sign-in tells the client so.
    async fn renewed(&mut self, connection: &mut Connection, secret: Secret<32>) -> Result<(), Ended> {
        let expires = now().plus_secs(self.shared.config.session_lifetime_secs.into());
        let name = self.session.user_name();
        let detail = json!({ "session": self.session.id.to_string() });
        self.shared
            .store
            .record(&Actor::user(name.as_str()), "session.renew", name.as_str(), &detail, now())
            .await?;
        self.session.renew(self.shared.gateway.crypto, SessionSecret::new(secret), expires, now());
        let id = SessionId(self.session.id.0);
        self.shared.store.hot().renew_session(id, self.epoch, expires).await?;
        self.publish().await?;
        self.renewal = Renewal::None;
        let number = self.shared.gateway.number(now());
        self.send(connection, &ControlMessage::NextNumber(number)).await
    }

    /// The key of the token that opened the session, while it is in force.
    async fn key(&self) -> Result<(SoftwareKey, UserCode), Refused> {
        let id = self.session.registration().map(|r| RegistrationId(r.0));
        let id = id.ok_or_else(|| Refused::new(RefusalCode::Credential, "no token opened this session"))?;
        let keyed = self.shared.store.registration(id).await?;
        if keyed.registration.state != RegistrationState::Active {
            return Err(Refused::denied(format!("token {id} is not active")));
        }
        Ok((SoftwareKey::new(keyed.ssk), keyed.user.code))
    }

    /// What a renewal is bound to: this session, in this epoch.
    fn binding(&self) -> TranscriptHash {
        Transcript::new(self.shared.gateway.crypto, label::SESSION_RENEWAL)
            .with(&self.session.id.0)
            .with(&self.session.epoch().to_be_bytes())
            .hash()
    }
}

fn forged(_: symbolon_crypto::CryptoError) -> Refused {
    Refused::denied("a renewal did not prove the authentication key")
}

fn bytes(message: Vec<u8>) -> Result<RenewalBytes, Refused> {
    RenewalBytes::new(message).map_err(|e| Refused::new(RefusalCode::Internal, format!("renewal: {e}")))
}
