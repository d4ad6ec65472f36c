use symbolon_crypto::{Aead, Crypto, CryptoError, Secret, SecretBytes, TAG, TranscriptHash, label};
use symbolon_record::WrapSecrets;

/// What both sides have at the end, each key for one purpose.
#[derive(Debug)]
pub struct ContextSecrets {
    /// Protect wrapped messages, each direction by its own (A8).
    pub wrap: WrapSecrets,
    /// Root of what the session derives later: attaching, streams.
    pub session: Secret<32>,
    pub(crate) exporter: Secret<32>,
}

impl ContextSecrets {
    pub(crate) fn derive(crypto: Crypto, ingredients: &Ingredients<'_>, transcript: TranscriptHash) -> Self {
        let root = ingredients.extract(crypto, transcript.as_ref());
        let derive = |label: &[u8]| crypto.derive(&root, label, &[]);
        Self {
            wrap: WrapSecrets::derive(crypto, &root, &[]),
            session: derive(label::SESSION_ROOT),
            exporter: derive(label::EXPORTER),
        }
    }

    /// A key for a use of the caller's own, the same on both sides (RFC 5705 in spirit).
    #[must_use]
    pub fn export(&self, crypto: Crypto, purpose: &[u8]) -> Secret<32> {
        crypto.derive(&self.exporter, label::EXPORTER, &[purpose])
    }
}

/// All that goes into a key; a missing contribution counts as 32 zero bytes.
pub(crate) struct Ingredients<'a> {
    pub(crate) transport_key: &'a Secret<32>,
    pub(crate) envelope: &'a Secret<32>,
    pub(crate) ephemeral: &'a Secret<32>,
    pub(crate) contribution: Option<&'a Secret<32>>,
    pub(crate) session_key: Option<&'a Secret<32>>,
}

impl Ingredients<'_> {
    /// The root of a schedule; the transcript, being its salt, is in everything derived from it.
    fn extract(&self, crypto: Crypto, salt: &[u8]) -> Secret<32> {
        let none = Secret::new([0; 32]);
        crypto.extract(
            salt,
            &[
                self.transport_key.expose(),
                self.envelope.expose(),
                self.ephemeral.expose(),
                self.contribution.unwrap_or(&none).expose(),
                self.session_key.unwrap_or(&none).expose(),
            ],
        )
    }

    /// The key of the second message.
    pub(crate) fn second_message_key(&self, crypto: Crypto, transcript: TranscriptHash) -> Secret<32> {
        let root = self.extract(crypto, transcript.as_ref());
        crypto.derive(&root, label::CONTEXT_SECOND, &[])
    }
}

/// Key of the envelope around a session key; `secret` is what was encapsulated to the certificate.
fn envelope_key(crypto: Crypto, secret: &Secret<32>, transcript: &TranscriptHash) -> Box<dyn Aead> {
    let root = crypto.extract(transcript.as_ref(), &[secret.expose()]);
    crypto.aes256_gcm(&crypto.derive(&root, label::SESSION_KEY_ENVELOPE, &[]))
}

/// Puts a session key into an envelope (A7).
pub(crate) fn seal_session_key(
    crypto: Crypto,
    secret: &Secret<32>,
    transcript: &TranscriptHash,
    key: &Secret<32>,
) -> [u8; 32 + TAG] {
    let mut out = [0; 32 + TAG];
    out[..32].copy_from_slice(key.expose());
    let aead = envelope_key(crypto, secret, transcript);
    let tag = aead.seal(&[0; 12], label::SESSION_KEY_ENVELOPE, &mut out[..32]);
    out[32..].copy_from_slice(&tag);
    out
}

/// Takes it out again.
///
/// # Errors
/// [`CryptoError::Forged`].
pub(crate) fn open_session_key(
    crypto: Crypto,
    secret: &Secret<32>,
    transcript: &TranscriptHash,
    sealed: [u8; 32 + TAG],
) -> Result<Secret<32>, CryptoError> {
    let mut buffer = sealed.to_vec();
    let aead = envelope_key(crypto, secret, transcript);
    let opened = aead.open(&[0; 12], label::SESSION_KEY_ENVELOPE, &mut buffer);
    let buffer = SecretBytes::new(buffer);
    Secret::from_slice(&buffer.expose()[..opened?]).ok_or(CryptoError::Forged)
}
