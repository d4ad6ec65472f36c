//! Registration (B3–B7): half keys in, authentication key out.

use crate::{AuthenticationKey as _, InvitationCode, MAX_ANSWERS, SoftwareKey};
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, Cookie, Crypto, CryptoError, Entropy, Envelope, EnvelopeContent, KemPrivateKey,
    KemPublicKey, KeySetError, OpenEnvelope, Purpose, Secret, SecretBytes, Suite, TAG, Transcript,
    TranscriptHash, VerifiedKeySet, constant_time_eq, label,
};
use symbolon_policy::{AccessPath, CanonName, TemplateName, TokenClass, UserCode};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Why a registration failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The gateway's keys cannot be used.
    #[error(transparent)]
    Gateway(#[from] KeySetError),
    /// The peer sent something that is no such message.
    #[error("malformed registration message: {0}")]
    Malformed(#[from] WireError),
    /// A message was not made by the other side of this exchange, or was altered.
    #[error("the registration message does not open: it was not made for this exchange")]
    Forged,
    /// The client's clock is out of tolerance.
    #[error("the client's clock differs by {seconds} s")]
    Clock {
        /// How far it is off, in seconds.
        seconds: u64,
    },
    /// Seen before.
    #[error("registration request was seen before")]
    Replayed,
}

impl From<CryptoError> for RegistrationError {
    fn from(_: CryptoError) -> Self {
        Self::Forged
    }
}

/// What a client asks for. The answers are in the canonical encoding of valid answers to the
/// template; the gateway checks them again.
#[derive(Debug)]
pub struct RegistrationRequest {
    /// The template that was filled in.
    pub template: TemplateName,
    /// The answers.
    pub answers: Vec<u8>,
    /// The code of an invitation; without one the registration waits for approval.
    pub invitation: Option<InvitationCode>,
    /// What keeps the authentication key.
    pub class: TokenClass,
    /// What the user calls this token, at most 64 bytes: `work laptop`.
    pub label: String,
}

impl RegistrationRequest {
    fn encode(&self, w: &mut Writer) {
        w.text8(self.template.as_str());
        w.bytes16(&self.answers);
        w.bytes8(self.invitation.as_ref().map_or(&[], |c| c.secret().expose().as_slice()));
        w.text8(&self.class.to_string());
        w.text8(&self.label);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let template =
            TemplateName::parse(r.text8("template")?).map_err(|_| WireError::BadValue("template"))?;
        let answers = r.bytes16()?;
        if answers.len() > MAX_ANSWERS {
            return Err(WireError::TooLong("answers"));
        }
        let invitation = match r.bytes8()? {
            [] => None,
            code => {
                Some(InvitationCode::new(Secret::from_slice(code).ok_or(WireError::BadValue("invitation"))?))
            }
        };
        let class = r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?;
        let label = r.text8("label")?;
        if label.len() > 64 || label.chars().any(char::is_control) {
            return Err(WireError::BadValue("label"));
        }
        Ok(Self { template, answers: answers.to_vec(), invitation, class, label: label.to_owned() })
    }
}

/// A request's plaintext is a multiple of this many bytes, so that its length tells little about
/// the answers.
const PADDING_STEP: usize = 512;

/// What stands around the answers of a request, padding included, at most: half key, X-Wing key,
/// names and codes.
const MAX_AROUND_ANSWERS: usize = 3 * 1024;

/// A half key with a grant, at most: an access path, 16 segments of 256 bytes, is the longest field.
const MAX_GRANT: usize = 6 * 1024;

/// What goes into the keys besides the half keys.
struct Shared {
    ssk1: Secret<32>,
    exporter: Secret<32>,
    ephemeral: Secret<32>,
}

impl Shared {
    fn reply_key(&self, crypto: Crypto, transcript: TranscriptHash) -> Secret<32> {
        let root = crypto.extract(
            transcript.as_ref(),
            &[self.ssk1.expose(), self.ephemeral.expose(), self.exporter.expose()],
        );
        crypto.derive(&root, label::REGISTRATION_REPLY, &[transcript.as_ref()])
    }

    /// B7, mended: HKDF over both halves, the KEM secrets and the transcript; never XOR, under which
    /// the reply on the wire would be the key itself.
    fn authentication_key(
        &self,
        crypto: Crypto,
        ssk2: &Secret<32>,
        transcript: TranscriptHash,
    ) -> SoftwareKey {
        let halves: [&[u8]; 4] =
            [self.ssk1.expose(), ssk2.expose(), self.ephemeral.expose(), self.exporter.expose()];
        let root = crypto.extract(transcript.as_ref(), &halves);
        SoftwareKey::new(crypto.derive(&root, label::AUTHENTICATION_KEY, &[transcript.as_ref()]))
    }
}

fn confirmation(
    crypto: Crypto,
    key: &SoftwareKey,
    from: &[u8],
    transcript: TranscriptHash,
) -> Result<Secret<32>, CryptoError> {
    key.hmac(crypto, &[label::REGISTRATION_CONFIRM, &[0], from, &[0], transcript.as_ref()])
}

const FROM_CLIENT: &[u8] = b"client";
const FROM_GATEWAY: &[u8] = b"gateway";

/// What a gateway gives to a registered token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationGrant {
    /// Names the registration at the gateway.
    pub registration_id: [u8; 16],
    /// The user identification code, made from the name (B6).
    pub user_code: UserCode,
    /// The canonical name that the code was made from.
    pub user: CanonName,
    /// The access control path: where the subject's entitlements hang (B6).
    pub access_path: AccessPath,
    /// Whether somebody must approve it before it is granted anything.
    pub awaits_approval: bool,
    /// The gateway's number for the first sign-in.
    pub next_number: [u8; 32],
}

impl Encode for RegistrationGrant {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.registration_id);
        w.text8(self.user_code.as_str());
        w.text16(self.user.as_str());
        w.text16(self.access_path.as_str());
        w.flag(self.awaits_approval);
        w.fixed(&self.next_number);
    }
}

impl Decode for RegistrationGrant {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            registration_id: r.fixed()?,
            user_code: UserCode::parse(r.text8("user code")?)
                .map_err(|_| WireError::BadValue("user code"))?,
            user: CanonName::parse(r.text16("user name")?).map_err(|_| WireError::BadValue("user name"))?,
            access_path: AccessPath::parse(r.text16("access path")?)
                .map_err(|_| WireError::BadValue("access path"))?,
            awaits_approval: r.flag()?,
            next_number: r.fixed()?,
        })
    }
}

// --- client ------------------------------------------------------------------------------------

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

// --- gateway -----------------------------------------------------------------------------------

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
    /// Reads what an envelope for [`Purpose::Registration`] held.
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

    /// Goes on if the replay cache did not have the key.
    ///
    /// # Errors
    /// [`RegistrationError::Replayed`].
    pub fn first_time(self, was_absent: bool) -> Result<FreshRequest, RegistrationError> {
        if was_absent { Ok(FreshRequest(self)) } else { Err(RegistrationError::Replayed) }
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
