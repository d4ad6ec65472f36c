//! With the authentication key of a registered token (B8).

use super::{Checked, SignedIn};
use crate::clock::now;
use crate::node::Shared;
use crate::refusal::Refused;
use symbolon_context::Fresh;
use symbolon_crypto::{Entropy, Secret};
use symbolon_provider::SystemEntropy;
use symbolon_store::{Actor, KeyedRegistration, RegistrationId, RegistrationState, StoreError};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::ClaimedResponse;

impl Shared {
    /// With the authentication key of a registered token.
    pub(super) async fn by_token(&self, fresh: &Fresh) -> Result<Checked, Refused> {
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
        let signed_in = SignedIn { registration: Some(id), ..SignedIn::just_now(user, registration.class) };
        Ok((Box::new(proof), signed_in))
    }
}

fn random_key() -> Secret<32> {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    entropy.secret()
}
