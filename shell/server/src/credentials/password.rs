//! With a name and a password (A4): our own verifier if the user has one, else whoever is configured
//! to know passwords.

use super::{Checked, SignedIn, not_taken};
use crate::clock::now;
use crate::connection::Connection;
use crate::draw::draw;
use crate::node::Shared;
use crate::refusal::Refused;
use symbolon_context::{Fresh, PasswordCheck, PasswordVerifier};
use symbolon_crypto::{TokenKind, TokenProof};
use symbolon_policy::{CanonName, TokenClass};
use symbolon_store::{StoreError, UserId};

impl Shared {
    pub(super) async fn by_password(
        &self,
        fresh: &Fresh,
        connection: &Connection,
    ) -> Result<Checked, Refused> {
        if !self.config.accept_passwords {
            return Err(not_taken(TokenKind::Password));
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
        let shown = claimed.as_ref().map_or_else(|()| "an impossible name".to_owned(), CanonName::to_string);
        let token = fresh.token().duplicate();
        let mut groups = Vec::new();
        let proof: Box<dyn TokenProof> = match (&self.credentials.backend, verifier, &claimed) {
            (Some(backend), None, Ok(name)) => {
                let asked = symbolon_directory::prove(&**backend, name, fresh.token(), *fresh.binding());
                let proved = self.passwords.ask(&shown, connection.source(), asked, now()).await?;
                groups = proved.groups().to_vec();
                Box::new(proved)
            }
            (_, verifier, _) => {
                let source = connection.source();
                let checked = self.passwords.verify(&shown, source, token, verifier, *fresh.binding(), now());
                Box::new(checked.await?)
            }
        };
        let user = user.ok_or_else(|| Refused::denied(format!("unknown user {shown}")))?;
        Ok((proof, SignedIn { groups, ..SignedIn::just_now(user, TokenClass::Password) }))
    }
}
