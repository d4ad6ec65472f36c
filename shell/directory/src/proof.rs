//! A password that a back end found right, as evidence for one exchange.

use crate::{BackendError, Checked, PasswordBackend};
use symbolon_context::PasswordCheck;
use symbolon_crypto::{SecretBytes, TokenProof, TranscriptHash};
use symbolon_policy::{CanonName, GroupName};

/// Proof that a back end knew the password of one exchange. Only [`prove`] makes it.
#[derive(Debug)]
pub struct DirectoryProved {
    binding: TranscriptHash,
    user: CanonName,
    groups: Vec<GroupName>,
}

impl DirectoryProved {
    /// Whose password it was.
    #[must_use]
    pub const fn user(&self) -> &CanonName {
        &self.user
    }

    /// In which groups of ours the back end says that the user is.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }
}

/// Asks `backend` about the password in `token`, which claims to be `user`'s. `None` when it is wrong,
/// or when the token claims to be somebody else's.
///
/// # Errors
/// [`BackendError`] when that cannot be said.
pub async fn prove(
    backend: &dyn PasswordBackend,
    user: &CanonName,
    token: &SecretBytes,
    binding: TranscriptHash,
) -> Result<Option<DirectoryProved>, BackendError> {
    if !matches!(PasswordCheck::claimed_name(token), Ok(Ok(name)) if name == *user) {
        return Ok(None);
    }
    let Ok(password) = PasswordCheck::claimed_password(token) else { return Ok(None) };
    match backend.check(user, &password).await? {
        Checked::Right { groups } => Ok(Some(DirectoryProved { binding, user: user.clone(), groups })),
        Checked::Wrong => Ok(None),
    }
}

impl TokenProof for DirectoryProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }
}
