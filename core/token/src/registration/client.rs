//! The side that registers its token.

use super::{
    FROM_CLIENT, FROM_GATEWAY, RegistrationError, RegistrationGrant, RegistrationRequest, Shared,
    confirmation,
};
use crate::SoftwareKey;
use symbolon_crypto::{
    Cookie, Crypto, Entropy, Envelope, KemPrivateKey, OpenEnvelope, Purpose, Secret, SecretBytes, Suite,
    Transcript, VerifiedKeySet, constant_time_eq, label,
};
use symbolon_wire::{Decode, Encode, Reader, Time};

/// A request's plaintext is a multiple of this many bytes, so that its length tells little about
/// the answers.
const PADDING_STEP: usize = 512;

/// What stands around the answers of a request, padding included, at most: half key, X-Wing key,
/// names and codes.
const MAX_AROUND_ANSWERS: usize = 3 * 1024;

/// The client's side, after its request.
#[derive(Debug)]
pub struct AwaitReply {
    crypto: Crypto,
    envelope: Envelope,
    transcript: Transcript,
    ephemeral: KemPrivateKey,
    ssk1: Secret<32>,
    exporter: Secret<32>,
}

impl AwaitReply {
    /// Draws the first half key and seals it with the answers to `gateway`, whose keys were checked
    /// (B5).
    ///
    /// # Errors
    /// [`RegistrationError::Gateway`] when no acceptable suite is offered.
    pub fn begin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        gateway: &VerifiedKeySet,
        suites: &[Suite],
        request: &RegistrationRequest,
        now: Time,
    ) -> Result<(Self, Vec<u8>), RegistrationError> {
        let envelope = OpenEnvelope::begin(crypto, entropy, gateway, suites, Purpose::Registration)?;
        let ephemeral = KemPrivateKey::generate(envelope.suite(), crypto, entropy);
        let ssk1: Secret<32> = entropy.secret();
        let content = SecretBytes::written(MAX_AROUND_ANSWERS + request.answers.len(), |w| {
            w.fixed(ssk1.expose());
            ephemeral.public().encode(w);
            now.encode(w);
            request.encode(w);
            w.padding(PADDING_STEP);
        });
        let transcript = envelope.transcript();
        let (envelope, exporter) = envelope.seal(&content);
        let bytes = envelope.to_bytes();
        let transcript = transcript.with(&envelope.digest(crypto));
        Ok((Self { crypto, envelope, transcript, ephemeral, ssk1, exporter }, bytes))
    }

    /// The request again, with the cookie that a busy gateway asked for.
    #[must_use]
    pub fn with_cookie(&self, cookie: Cookie) -> Vec<u8> {
        self.envelope.clone().with_cookie(cookie).to_bytes()
    }

    /// Reads the reply. The result goes into the token *before* the confirmation is sent, so that
    /// whatever the gateway keeps the client has.
    ///
    /// # Errors
    /// [`RegistrationError::Malformed`], [`RegistrationError::Forged`].
    pub fn finish(self, reply: &[u8]) -> Result<(Registered, AwaitDone, Vec<u8>), RegistrationError> {
        let mut r = Reader::new(reply);
        let enc = r.bytes16()?;
        let sealed = r.bytes16()?;
        r.finish()?;
        let crypto = self.crypto;
        let ephemeral = self.ephemeral.decapsulate(crypto, enc)?;
        let shared = Shared { ssk1: self.ssk1, exporter: self.exporter, ephemeral };
        let transcript = self.transcript.with(enc);
        let mut buffer = sealed.to_vec();
        let cipher = crypto.aes256_gcm(&shared.reply_key(crypto, transcript.hash()));
        let length = cipher.open(&[0; 12], label::REGISTRATION_REPLY, &mut buffer)?;
        buffer.truncate(length);
        let plaintext = SecretBytes::new(buffer);
        let mut r = Reader::new(plaintext.expose());
        let ssk2 = Secret::decode(&mut r)?;
        let grant = RegistrationGrant::decode(&mut r)?;
        r.finish()?;
        let transcript = transcript.with(sealed).hash();
        let key = shared.authentication_key(crypto, &ssk2, transcript);
        let confirm = confirmation(crypto, &key, FROM_CLIENT, transcript)?;
        let expected = confirmation(crypto, &key, FROM_GATEWAY, transcript)?;
        let bytes = confirm.expose().to_vec();
        Ok((Registered { key, grant }, AwaitDone { expected }, bytes))
    }
}

/// A registration in the client's hands.
#[derive(Debug)]
pub struct Registered {
    /// The authentication key (B7).
    pub key: SoftwareKey,
    /// What the gateway gave with it.
    pub grant: RegistrationGrant,
}

/// The client's side, after its confirmation.
#[derive(Debug)]
pub struct AwaitDone {
    expected: Secret<32>,
}

impl AwaitDone {
    /// Checks the gateway's own proof of the key: the registration is kept.
    ///
    /// # Errors
    /// [`RegistrationError::Forged`].
    pub fn finish(self, done: &[u8]) -> Result<(), RegistrationError> {
        if constant_time_eq(done, self.expected.expose()) { Ok(()) } else { Err(RegistrationError::Forged) }
    }
}
