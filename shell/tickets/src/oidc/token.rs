use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_crypto::{CryptoError, InitiatorToken, PresentedToken, SecretBytes, TokenKind, TranscriptHash};

use super::SourceError;
use super::jws::Jws;
use crate::Complaint;

/// What an ID token must have as its `nonce` to be good for one exchange: 43 characters.
#[must_use]
pub fn nonce(binding: &TranscriptHash) -> String {
    URL_SAFE_NO_PAD.encode(binding)
}

/// Where an initiator gets ID tokens: by a browser, by a device code, by a program of the provider.
pub trait IdTokenSource {
    /// A fresh ID token with that nonce, in compact form.
    ///
    /// May take as long as a person needs to sign in: call it where waiting is allowed, and mind
    /// that a first message is good for two minutes after it was begun.
    ///
    /// # Errors
    /// [`SourceError`].
    fn fetch(&mut self, nonce: &str) -> Result<SecretBytes, SourceError>;
}

/// ID tokens in the initiator's hands: one is got for each exchange.
pub struct JwtToken {
    source: Box<dyn IdTokenSource + Send>,
    complaint: Complaint<SourceError>,
}

impl std::fmt::Debug for JwtToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtToken")
    }
}

impl JwtToken {
    /// From `source`.
    #[must_use]
    pub fn new(source: Box<dyn IdTokenSource + Send>) -> Self {
        Self { source, complaint: Complaint::default() }
    }

    /// What it last failed for.
    #[must_use]
    pub fn complaint(&self) -> Complaint<SourceError> {
        self.complaint.clone()
    }

    fn fetch(&mut self, nonce: &str) -> Result<SecretBytes, SourceError> {
        let token = self.source.fetch(nonce)?;
        let jws = Jws::parse(token.expose()).map_err(|_| SourceError::Malformed)?;
        // A token for anything else is of no use there, and might be of use to somebody else.
        match jws.payload.text("nonce") {
            Ok(Some(found)) if found == nonce => {}
            _ => return Err(SourceError::NoNonce),
        }
        Ok(token)
    }
}

impl InitiatorToken for JwtToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        match self.fetch(&nonce(binding)) {
            Ok(body) => Ok(PresentedToken { kind: TokenKind::Jwt, body, contribution: None }),
            Err(error) => {
                self.complaint.set(error);
                Err(CryptoError::BadKey)
            }
        }
    }
}
