use crate::InitiateError;
use crate::messages::{FirstInner, SecondInner, SecondMessage, SentKey, bound_part};
use crate::secrets::{ContextSecrets, Ingredients, open_session_key};
use symbolon_crypto::{
    Cookie, Crypto, Entropy, Envelope, InitiatorToken, KemPrivateKey, OpenEnvelope, Purpose, Secret, Suite,
    TokenKind, Transcript, VerifiedKeySet, label,
};
use symbolon_wire::{Decode, Encode, Time};

/// How an initiator wants its context.
#[derive(Clone, Debug)]
pub struct InitiatorOptions {
    /// Acceptable suites, best first. There is no silent step down: what is not named is not used.
    pub suites: Vec<Suite>,
    /// Hash of the channel that this context is bound to (RFC 5056), zero when there is none.
    pub channel_bindings: [u8; 32],
}

impl Default for InitiatorOptions {
    fn default() -> Self {
        Self { suites: vec![Suite::XWing], channel_bindings: [0; 32] }
    }
}

/// The side that opens a context.
#[derive(Debug)]
pub struct Initiator;

impl Initiator {
    /// Makes the first message (A2). `gateway` is the proof that its keys were checked.
    ///
    /// # Errors
    /// [`InitiateError::Gateway`] when no acceptable suite is offered,
    /// [`InitiateError::Credential`] when `token` cannot answer.
    pub fn begin<T: InitiatorToken>(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        gateway: &VerifiedKeySet,
        options: &InitiatorOptions,
        mut token: T,
        now: Time,
    ) -> Result<(AwaitSecond<T>, Vec<u8>), InitiateError> {
        let envelope = OpenEnvelope::begin(crypto, entropy, gateway, &options.suites, Purpose::Context)?;
        let ephemeral = KemPrivateKey::generate(envelope.suite(), crypto, entropy);
        let transport_key = entropy.secret();
        let bound = bound_part(ephemeral.public(), now, &options.channel_bindings);
        let binding = envelope.transcript().with(&bound);
        let presented = token.present(&binding.hash()).map_err(InitiateError::Credential)?;
        let (envelope, exporter) = envelope.seal(&FirstInner::seal_bytes(&transport_key, &bound, &presented));
        let bytes = envelope.to_bytes();
        let transcript = binding.with(&envelope.digest(crypto));
        let waiting = AwaitSecond {
            crypto,
            envelope,
            transcript,
            ephemeral,
            transport_key,
            exporter,
            kind: presented.kind,
            contribution: presented.contribution,
            token,
        };
        Ok((waiting, bytes))
    }
}

/// Waiting for the acceptor's message.
pub struct AwaitSecond<T> {
    crypto: Crypto,
    envelope: Envelope,
    transcript: Transcript,
    ephemeral: KemPrivateKey,
    transport_key: Secret<32>,
    exporter: Secret<32>,
    kind: TokenKind,
    contribution: Option<Secret<32>>,
    token: T,
}

impl<T> std::fmt::Debug for AwaitSecond<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwaitSecond")
    }
}

/// An open context, on the initiator's side.
#[derive(Debug)]
pub struct Established {
    /// Keys for what follows.
    pub secrets: ContextSecrets,
    /// Under which name the acceptor keeps the session.
    pub session_id: [u8; 16],
    /// How long the context may be used, in seconds.
    pub lifetime_secs: u32,
    /// Whom the acceptor took the initiator for.
    pub subject: String,
}

impl<T: InitiatorToken> AwaitSecond<T> {
    /// The first message again, with the cookie that a busy gateway asked for.
    #[must_use]
    pub fn with_cookie(&self, cookie: Cookie) -> Vec<u8> {
        self.envelope.clone().with_cookie(cookie).to_bytes()
    }

    /// Reads the second message; from then on wrapped messages can be sent.
    ///
    /// # Errors
    /// [`InitiateError::Malformed`] and [`InitiateError::Forged`]; the exchange is over then.
    pub fn finish(mut self, second: &[u8]) -> Result<Established, InitiateError> {
        let message = SecondMessage::from_bytes(second)?;
        let ephemeral =
            self.ephemeral.decapsulate(self.crypto, &message.enc).map_err(|_| InitiateError::Forged)?;
        let mut ingredients = Ingredients {
            transport_key: &self.transport_key,
            envelope: &self.exporter,
            ephemeral: &ephemeral,
            contribution: self.contribution.as_ref(),
            session_key: None,
        };
        let transcript = self.transcript.with(&message.enc);
        let key = ingredients.second_message_key(self.crypto, transcript.hash());
        let mut buffer = message.sealed.clone();
        let length = self
            .crypto
            .aes256_gcm(&key)
            .open(&[0; 12], label::CONTEXT_SECOND, &mut buffer)
            .map_err(|_| InitiateError::Forged)?;
        buffer.truncate(length);
        let plaintext = symbolon_crypto::SecretBytes::new(buffer);
        let inner = SecondInner::parse(plaintext.expose())?;
        self.token.confirm(&inner.token_reply).map_err(|_| InitiateError::Forged)?;
        let session_key = match (inner.session_key, self.kind == TokenKind::KemCertificate) {
            (SentKey::Plain(key), false) => key,
            (SentKey::Envelope { enc, sealed }, true) => {
                let secret = self.token.open_envelope(self.crypto, &enc);
                let secret = secret.map_err(InitiateError::Credential)?;
                open_session_key(self.crypto, &secret, &transcript.hash(), sealed)
                    .map_err(|_| InitiateError::Forged)?
            }
            // A gateway that skips the envelope would not learn whether we can open it.
            _ => return Err(InitiateError::Forged),
        };
        ingredients.session_key = Some(&session_key);
        let secrets =
            ContextSecrets::derive(self.crypto, &ingredients, transcript.with(&message.sealed).hash());
        Ok(Established {
            secrets,
            session_id: inner.session_id,
            lifetime_secs: inner.lifetime_secs,
            subject: inner.subject,
        })
    }
}
