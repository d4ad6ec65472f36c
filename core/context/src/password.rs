//! User name and password as authentication token (A4), checked against Argon2id verifiers.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier as _};
use symbolon_crypto::{
    CryptoError, Entropy, InitiatorToken, PresentedToken, Secret, SecretBytes, TokenKind, TokenProof,
    TranscriptHash, VerifiedKeySet,
};
use symbolon_policy::{CanonName, PasswordPermitted};
use symbolon_wire::{Reader, WireError};

/// Longest password, in bytes of UTF-8.
pub const MAX_PASSWORD: usize = 256;

/// A name and a password in the initiator's hands.
#[derive(Debug)]
pub struct PasswordToken {
    user: CanonName,
    password: SecretBytes,
}

impl PasswordToken {
    /// For `gateway` alone; `permitted` is the policy's word that it may be told passwords: a
    /// gateway of the same issuer that only forwards streams must not collect them.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the permission is for another gateway or the password is longer
    /// than [`MAX_PASSWORD`] bytes.
    pub fn new(
        user: CanonName,
        password: SecretBytes,
        gateway: &VerifiedKeySet,
        permitted: &PasswordPermitted,
    ) -> Result<Self, CryptoError> {
        if permitted.gateway() != gateway.name().as_str() || password.expose().len() > MAX_PASSWORD {
            return Err(CryptoError::BadKey);
        }
        Ok(Self { user, password })
    }
}

impl InitiatorToken for PasswordToken {
    fn present(&mut self, _binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let bound = 4 + self.user.as_str().len() + self.password.expose().len();
        let body = SecretBytes::written(bound, |w| {
            w.text16(self.user.as_str());
            w.bytes16(self.password.expose());
        });
        Ok(PresentedToken { kind: TokenKind::Password, body, contribution: None })
    }
}

/// A verifier could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("password verifier: {0}")]
pub struct VerifierError(String);

/// What a directory keeps of a password: an Argon2id hash in the PHC string format (RFC 9106;
/// 19 MiB, 2 passes, 1 lane).
pub struct PasswordVerifier(SecretBytes);

impl PasswordVerifier {
    /// Hashes a new password.
    ///
    /// # Errors
    /// [`VerifierError`] for an empty or overlong password.
    pub fn new(password: &SecretBytes, entropy: &mut dyn Entropy) -> Result<Self, VerifierError> {
        if password.expose().is_empty() || password.expose().len() > MAX_PASSWORD {
            return Err(VerifierError(format!("a password has 1 to {MAX_PASSWORD} bytes")));
        }
        let salt: [u8; 16] = entropy.number();
        let hash = Argon2::default()
            .hash_password_with_salt(password.expose(), &salt)
            .map_err(|e| VerifierError(e.to_string()))?;
        Ok(Self(SecretBytes::from(hash.to_string())))
    }

    /// From the PHC string that a store kept.
    #[must_use]
    pub const fn from_phc(phc: SecretBytes) -> Self {
        Self(phc)
    }

    /// The PHC string, for a store to seal.
    #[must_use]
    pub const fn phc(&self) -> &SecretBytes {
        &self.0
    }

    fn fits(&self, password: &[u8]) -> bool {
        std::str::from_utf8(self.0.expose())
            .is_ok_and(|phc| Argon2::default().verify_password(password, phc).is_ok())
    }
}

impl std::fmt::Debug for PasswordVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordVerifier")
    }
}

/// Checks passwords so that an unknown user and a wrong password cost and look the same.
#[derive(Debug)]
pub struct PasswordCheck {
    nobody: PasswordVerifier,
}

impl PasswordCheck {
    /// Makes a verifier that no password fits, for names that do not exist.
    ///
    /// # Errors
    /// [`VerifierError`] when hashing fails for want of memory.
    pub fn new(entropy: &mut dyn Entropy) -> Result<Self, VerifierError> {
        let unguessable: Secret<32> = entropy.secret();
        let nobody = PasswordVerifier::new(&SecretBytes::new(unguessable.expose().to_vec()), entropy)?;
        Ok(Self { nobody })
    }

    /// What a password is checked against when there is no such user; for tests of the cost.
    #[must_use]
    pub const fn nobody(&self) -> &PasswordVerifier {
        &self.nobody
    }

    /// The name that a password token claims, to look its verifier up.
    ///
    /// # Errors
    /// [`WireError`] when it is no password token.
    pub fn claimed_name(token: &SecretBytes) -> Result<Result<CanonName, ()>, WireError> {
        let (name, _) = parse(token)?;
        Ok(CanonName::parse(name).map_err(|_| ()))
    }

    /// The password in a token, for another place that knows it.
    ///
    /// # Errors
    /// [`WireError`] when it is no password token.
    pub fn claimed_password(token: &SecretBytes) -> Result<SecretBytes, WireError> {
        let (_, password) = parse(token)?;
        Ok(SecretBytes::new(password.to_vec()))
    }

    /// Checks the password of a token. One Argon2id computation, whether `verifier` exists or not.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] for an unknown user as for a wrong password.
    pub fn verify(
        &self,
        token: &SecretBytes,
        verifier: Option<&PasswordVerifier>,
        binding: &TranscriptHash,
    ) -> Result<PasswordProved, CryptoError> {
        let (_, password) = parse(token).map_err(|_| CryptoError::Forged)?;
        let fits = verifier.unwrap_or(&self.nobody).fits(password);
        if fits && verifier.is_some() {
            Ok(PasswordProved { binding: *binding })
        } else {
            Err(CryptoError::Forged)
        }
    }
}

fn parse(token: &SecretBytes) -> Result<(&str, &[u8]), WireError> {
    let mut r = Reader::new(token.expose());
    let name = r.text16("user name")?;
    let password = r.bytes16()?;
    r.finish()?;
    if password.len() > MAX_PASSWORD {
        return Err(WireError::TooLong("password"));
    }
    Ok((name, password))
}

/// Proof that a password was right in one exchange.
#[derive(Debug)]
pub struct PasswordProved {
    binding: TranscriptHash,
}

impl TokenProof for PasswordProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }
}
