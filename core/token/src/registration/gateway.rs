//! The side that it registers with.

use super::{
    FROM_CLIENT, FROM_GATEWAY, RegistrationError, RegistrationGrant, RegistrationRequest, Shared,
    confirmation,
};
use crate::SoftwareKey;
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, Crypto, Entropy, EnvelopeContent, KemPublicKey, Secret, TAG, Transcript,
    constant_time_eq, label,
};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// A half key with a grant, at most: an access path, 16 segments of 256 bytes, is the longest field.
const MAX_GRANT: usize = 6 * 1024;

/// A registration request that opened and is fresh by its time; it may still be a replay.
pub struct RegistrationOpened {
    crypto: Crypto,
    transcript: Transcript,
    digest: [u8; 32],
    exporter: Secret<32>,
    ssk1: Secret<32>,
    ephemeral: KemPublicKey,
    time: Time,
    request: RegistrationRequest,
}

impl std::fmt::Debug for RegistrationOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistrationOpened")
    }
}

impl RegistrationOpened {
    /// Reads what an envelope for [`symbolon_crypto::Purpose::Registration`] held.
    ///
    /// # Errors
    /// [`RegistrationError::Malformed`], [`RegistrationError::Clock`].
    pub fn read(crypto: Crypto, content: EnvelopeContent, now: Time) -> Result<Self, RegistrationError> {
        let mut r = Reader::new(content.plaintext.expose());
        let ssk1 = Secret::decode(&mut r)?;
        let ephemeral = KemPublicKey::decode(&mut r)?;
        let time = Time::decode(&mut r)?;
        let request = RegistrationRequest::decode(&mut r)?;
        r.padding()?;
        r.finish()?;
        if ephemeral.suite() != content.suite {
            return Err(WireError::BadValue("ephemeral key").into());
        }
        let seconds = time.distance_secs(now);
        if seconds > CLOCK_TOLERANCE_SECS {
            return Err(RegistrationError::Clock { seconds });
        }
        Ok(Self {
            crypto,
            transcript: content.transcript.with(&content.digest),
            digest: content.digest,
            exporter: content.exporter,
            ssk1,
            ephemeral,
            time,
            request,
        })
    }

    /// What must be put into the replay cache if it is absent.
    #[must_use]
    pub const fn replay_key(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Until when the replay cache must remember it.
    #[must_use]
    pub const fn remember_until(&self) -> Time {
        self.time.plus_secs(2 * CLOCK_TOLERANCE_SECS)
    }

    /// Goes on if the replay cache did not have the key. `now` is a time after the cache answered:
    /// if the answer took so long that it may have forgotten another like this, nothing goes on.
    ///
    /// # Errors
    /// [`RegistrationError::Replayed`], [`RegistrationError::Clock`].
    pub fn first_time(self, was_absent: bool, now: Time) -> Result<FreshRequest, RegistrationError> {
        let seconds = self.time.distance_secs(now);
        match (was_absent, seconds > CLOCK_TOLERANCE_SECS) {
            (false, _) => Err(RegistrationError::Replayed),
            (true, true) => Err(RegistrationError::Clock { seconds }),
            (true, false) => Ok(FreshRequest(self)),
        }
    }
}

/// A registration request that was never seen before.
#[derive(Debug)]
pub struct FreshRequest(RegistrationOpened);

impl FreshRequest {
    /// What the client asks for.
    #[must_use]
    pub const fn request(&self) -> &RegistrationRequest {
        &self.0.request
    }

    /// Draws the second half key and makes the reply and the authentication key (B6, B7). The key
    /// must be stored before the reply is sent.
    ///
    /// # Errors
    /// [`RegistrationError::Forged`] when the client's ephemeral key is not a key.
    pub fn accept(
        self,
        entropy: &mut dyn Entropy,
        grant: &RegistrationGrant,
    ) -> Result<(SoftwareKey, Vec<u8>, AwaitConfirm), RegistrationError> {
        let RegistrationOpened { crypto, transcript, exporter, ssk1, ephemeral, .. } = self.0;
        let encapsulated = ephemeral.encapsulate(crypto, entropy)?;
        let shared = Shared { ssk1, exporter, ephemeral: encapsulated.secret };
        let transcript = transcript.with(&encapsulated.bytes);
        let ssk2: Secret<32> = entropy.secret();
        // Encrypted where it lies: no second copy of the half key is made.
        let mut w = Writer::with_capacity(MAX_GRANT + TAG);
        w.fixed(ssk2.expose());
        grant.encode(&mut w);
        let mut sealed = w.into_bytes();
        let cipher = crypto.aes256_gcm(&shared.reply_key(crypto, transcript.hash()));
        let tag: [u8; TAG] = cipher.seal(&[0; 12], label::REGISTRATION_REPLY, &mut sealed);
        sealed.extend_from_slice(&tag);
        let transcript = transcript.with(&sealed).hash();
        let key = shared.authentication_key(crypto, &ssk2, transcript);
        let expected = confirmation(crypto, &key, FROM_CLIENT, transcript)?;
        let done = confirmation(crypto, &key, FROM_GATEWAY, transcript)?;
        let mut w = Writer::new();
        w.bytes16(&encapsulated.bytes);
        w.bytes16(&sealed);
        let waiting = AwaitConfirm { registration_id: grant.registration_id, expected, done };
        Ok((key, w.into_bytes(), waiting))
    }
}

/// The gateway's side, waiting for the client's proof of the key.
#[derive(Debug)]
pub struct AwaitConfirm {
    registration_id: [u8; 16],
    expected: Secret<32>,
    done: Secret<32>,
}

impl AwaitConfirm {
    /// The registration that waits.
    #[must_use]
    pub const fn registration_id(&self) -> &[u8; 16] {
        &self.registration_id
    }

    /// Checks the confirmation; the result is to be sent once the registration is kept for good.
    ///
    /// # Errors
    /// [`RegistrationError::Forged`].
    pub fn confirm(self, confirmation: &[u8]) -> Result<Vec<u8>, RegistrationError> {
        if constant_time_eq(confirmation, self.expected.expose()) {
            Ok(self.done.expose().to_vec())
        } else {
            Err(RegistrationError::Forged)
        }
    }
}
