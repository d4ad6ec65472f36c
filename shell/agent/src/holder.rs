//! Who showed a credential, so that what a session leaves is used for the same one alone.

use crate::proof::Proof;
use crate::{AgentError, kerberos};
use symbolon_crypto::Entropy;
use symbolon_provider::SystemEntropy;
use symbolon_tickets::kerberos::{CredentialCache, KerberosToken};
use symbolon_wire::WireError;

/// The longest, in bytes: a principal of Kerberos has no bound of its own.
const MAX: usize = 1024;

/// Somebody, by the kind of credential and the name in it: `kerberos alice@EXAMPLE.ORG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder(String);

impl Holder {
    /// Whoever has the token with that id.
    pub(crate) fn of_token(token_id: &[u8; 16]) -> Self {
        Self(format!("token {}", hex::encode(token_id)))
    }

    /// Who shows `proof` now, where that is known before the gateway says it; blocks.
    pub(crate) fn of(proof: &Proof) -> Result<Option<Self>, AgentError> {
        Ok(match proof {
            Proof::Password { user, .. } => Some(Self(format!("password {user}"))),
            Proof::Kerberos(service) => {
                let holder = KerberosToken::holder(&CredentialCache::Default);
                Some(Self(format!("kerberos {}", holder.map_err(|e| kerberos::told(&e, service))?)))
            }
            // Whom the provider names, it says when it is asked.
            Proof::Key { .. } | Proof::Certificate(_) | Proof::Oidc(_) | Proof::Ticket(..) => None,
        })
    }

    /// Somebody whom this process alone knows.
    pub(crate) fn of_this_agent() -> Self {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        Self(format!("agent {}", hex::encode(entropy.number::<16>())))
    }

    /// As a file has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From a file.
    pub(crate) fn parse(text: &str) -> Result<Self, WireError> {
        if (1..=MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WireError::BadValue("holder"))
        }
    }
}
