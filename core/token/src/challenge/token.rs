//! As the authentication token of a context.

use super::{ExchangeKey, GatewayNumbers, Number, Parties, Response};
use crate::AuthenticationKey;
use symbolon_crypto::{
    Crypto, CryptoError, Entropy, InitiatorToken, PresentedToken, Secret, SecretBytes, TokenKind, TokenProof,
    TranscriptHash, constant_time_eq,
};
use symbolon_policy::UserCode;
use symbolon_wire::{Reader, Time, WireError};

/// The credential of a registered token in the initiator's hands.
pub struct ChallengeToken<'a> {
    crypto: Crypto,
    key: &'a dyn AuthenticationKey,
    claimed: Claimant<'a>,
    gateway: &'a str,
    gateway_number: Number,
    own_number: Number,
}

/// Who a token says it is.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The registration at the gateway: a user may have several tokens.
    pub registration_id: [u8; 16],
    /// The user identification code (B6).
    pub user: &'a UserCode,
}

impl<'a> ChallengeToken<'a> {
    /// Answers `gateway_number` in the name of `claimed`, at the gateway whose verified name is
    /// given.
    pub fn new(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        key: &'a dyn AuthenticationKey,
        claimed: Claimant<'a>,
        gateway: &'a str,
        gateway_number: Number,
    ) -> Self {
        Self { crypto, key, claimed, gateway, gateway_number, own_number: entropy.number() }
    }
}

impl std::fmt::Debug for ChallengeToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChallengeToken({})", self.claimed.user.as_str())
    }
}

impl InitiatorToken for ChallengeToken<'_> {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let parties = Parties { challenger: self.gateway, responder: self.claimed.user.as_str() };
        let key = ExchangeKey::new(self.crypto, self.key, parties, binding)?;
        let sealed_number = key.seal_number(self.crypto, &self.gateway_number, &self.own_number);
        let response = Response { sealed_number, number: self.own_number };
        let body = SecretBytes::written(512, |w| {
            w.fixed(&self.claimed.registration_id);
            w.text8(self.claimed.user.as_str());
            w.fixed(&response.sealed_number);
            w.fixed(&response.number);
        });
        Ok(PresentedToken {
            kind: TokenKind::Challenge,
            body,
            contribution: Some(key.session(self.crypto, &response, binding)),
        })
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        if constant_time_eq(reply, &self.own_number) { Ok(()) } else { Err(CryptoError::Forged) }
    }
}

/// A response as a gateway receives it: it claims to be somebody's.
pub struct ClaimedResponse {
    registration_id: [u8; 16],
    user: UserCode,
    response: Response,
}

impl std::fmt::Debug for ClaimedResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClaimedResponse({})", self.user.as_str())
    }
}

impl ClaimedResponse {
    /// Parses the body of a token of kind [`TokenKind::Challenge`].
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(token: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(token.expose());
        let registration_id = r.fixed()?;
        let user = UserCode::parse(r.text8("user code")?).map_err(|_| WireError::BadValue("user code"))?;
        let response = Response { sealed_number: r.fixed()?, number: r.fixed()? };
        r.finish()?;
        Ok(Self { registration_id, user, response })
    }

    /// Which registration it claims to be.
    #[must_use]
    pub const fn registration_id(&self) -> &[u8; 16] {
        &self.registration_id
    }

    /// Whose it claims to be.
    #[must_use]
    pub const fn user(&self) -> &UserCode {
        &self.user
    }

    /// Checks it against the key of that user. For a user that does not exist pass a random key: the
    /// cost and the error are the same.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] for a wrong key as for a number that is not (or no longer) ours.
    pub fn verify(
        &self,
        crypto: Crypto,
        key: &dyn AuthenticationKey,
        gateway: &str,
        numbers: &GatewayNumbers,
        binding: &TranscriptHash,
        now: Time,
    ) -> Result<ChallengeProved, CryptoError> {
        let parties = Parties { challenger: gateway, responder: self.user.as_str() };
        let key = ExchangeKey::new(crypto, key, parties, binding)?;
        let number = key.open_number(crypto, &self.response)?;
        if !numbers.is_ours(crypto, &number, now) {
            return Err(CryptoError::Forged);
        }
        Ok(ChallengeProved {
            binding: *binding,
            contribution: key.session(crypto, &self.response, binding),
            reply: self.response.number,
        })
    }
}

/// Proof that the initiator of one exchange holds the authentication key.
#[derive(Debug)]
pub struct ChallengeProved {
    binding: TranscriptHash,
    contribution: Secret<32>,
    reply: Number,
}

impl TokenProof for ChallengeProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn contribution(&self) -> Option<&Secret<32>> {
        Some(&self.contribution)
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}
