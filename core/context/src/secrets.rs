use symbolon_crypto::{Crypto, Secret, TranscriptHash, label};
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
