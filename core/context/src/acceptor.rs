use crate::AcceptError;
use crate::messages::{FirstInner, SecondInner, SecondMessage, SentKey, bound_part};
use crate::secrets::{ContextSecrets, Ingredients, seal_session_key};
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, Crypto, Entropy, EnvelopeContent, Secret, SecretBytes, TAG, TokenKind, TokenProof,
    Transcript, TranscriptHash, label,
};
use symbolon_wire::{Encode, Time, WireError};

/// A first message that opened and is fresh by its time; it may still be a replay.
pub struct Opened {
    crypto: Crypto,
    binding: TranscriptHash,
    transcript: Transcript,
    digest: [u8; 32],
    envelope: Secret<32>,
    inner: FirstInner,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    /// Reads what an envelope for [`symbolon_crypto::Purpose::Context`] held.
    ///
    /// # Errors
    /// [`AcceptError::Malformed`], [`AcceptError::Clock`].
    pub fn read(crypto: Crypto, content: EnvelopeContent, now: Time) -> Result<Self, AcceptError> {
        let inner = FirstInner::parse(&content.plaintext)?;
        if inner.ephemeral.suite() != content.suite {
            return Err(WireError::BadValue("ephemeral key").into());
        }
        let seconds = inner.time.distance_secs(now);
        if seconds > CLOCK_TOLERANCE_SECS {
            return Err(AcceptError::Clock { seconds });
        }
        let binding = content.transcript.with(&bound_part(&inner.ephemeral, inner.time, &inner.bindings));
        Ok(Self {
            crypto,
            binding: binding.hash(),
            transcript: binding.with(&content.digest),
            digest: content.digest,
            envelope: content.exporter,
            inner,
        })
    }

    /// What must be put into the replay cache if it is absent. It is entered only now, after the
    /// message opened, so that strangers cannot fill the cache.
    #[must_use]
    pub const fn replay_key(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Until when the replay cache must remember it.
    #[must_use]
    pub const fn remember_until(&self) -> Time {
        self.inner.time.plus_secs(2 * CLOCK_TOLERANCE_SECS)
    }

    /// Goes on if the replay cache did not have the key. `now` is a time after the cache answered:
    /// if the answer took so long that it may have forgotten another like this, nothing goes on.
    ///
    /// # Errors
    /// [`AcceptError::Replayed`], [`AcceptError::Clock`].
    pub fn first_time(self, was_absent: bool, now: Time) -> Result<Fresh, AcceptError> {
        let seconds = self.inner.time.distance_secs(now);
        match (was_absent, seconds > CLOCK_TOLERANCE_SECS) {
            (false, _) => Err(AcceptError::Replayed),
            (true, true) => Err(AcceptError::Clock { seconds }),
            (true, false) => Ok(Fresh(self)),
        }
    }
}

/// What the acceptor grants.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Under which the session is kept.
    pub session_id: [u8; 16],
    /// How long the context may be used, in seconds.
    pub lifetime_secs: u32,
    /// The name of the subject, for the initiator to see; at most 255 bytes.
    pub subject: String,
}

/// A first message that was never seen before. Its authentication token is now to be checked.
#[derive(Debug)]
pub struct Fresh(Opened);

impl Fresh {
    /// The kind of the token.
    #[must_use]
    pub const fn token_kind(&self) -> TokenKind {
        self.0.inner.kind
    }

    /// The token, in the encoding of its room.
    #[must_use]
    pub const fn token(&self) -> &SecretBytes {
        &self.0.inner.token
    }

    /// What the token must be bound to.
    #[must_use]
    pub const fn binding(&self) -> &TranscriptHash {
        &self.0.binding
    }

    /// Channel bindings as the initiator sees them; zero when it has none.
    #[must_use]
    pub const fn channel_bindings(&self) -> &[u8; 32] {
        &self.0.inner.bindings
    }

    /// Goes on if `proof`, which the check of the token gave, was made for this exchange; `subject`
    /// is whom the caller found by what was checked.
    ///
    /// # Errors
    /// [`AcceptError::ForeignProof`].
    pub fn authenticate<S>(
        self,
        proof: Box<dyn TokenProof>,
        subject: S,
    ) -> Result<Authenticated<S>, AcceptError> {
        if *proof.binding() == self.0.binding {
            Ok(Authenticated { fresh: self, proof, subject })
        } else {
            Err(AcceptError::ForeignProof)
        }
    }
}

/// An exchange whose initiator is known. Whatever the token is, this is what its check comes to, and
/// nothing else can make one.
///
/// With a certificate of a KEM key it says who *will* be able to go on: the initiator's first
/// wrapped message shows it (A7).
pub struct Authenticated<S> {
    fresh: Fresh,
    proof: Box<dyn TokenProof>,
    subject: S,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Authenticated<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticated({:?} by {:?})", self.subject, self.method())
    }
}

impl<S> Authenticated<S> {
    /// By what.
    #[must_use]
    pub const fn method(&self) -> TokenKind {
        self.fresh.token_kind()
    }

    /// Who.
    #[must_use]
    pub const fn subject(&self) -> &S {
        &self.subject
    }

    /// Makes the second message (A6), with the session key in an envelope where the token has a key
    /// for one (A7).
    ///
    /// # Errors
    /// [`AcceptError::Forged`] when the initiator's ephemeral key, or its certificate's, is not one.
    pub fn accept(
        self,
        entropy: &mut dyn Entropy,
        grant: &Grant,
    ) -> Result<(ContextSecrets, Vec<u8>), AcceptError> {
        let Self { fresh: Fresh(Opened { crypto, transcript, envelope, inner, .. }), proof, .. } = self;
        let encapsulated = inner.ephemeral.encapsulate(crypto, entropy)?;
        let transcript = transcript.with(&encapsulated.bytes);
        let session_key = entropy.secret();
        let second = SecondInner {
            session_key: match proof.envelope_to() {
                None => SentKey::Plain(session_key.duplicate()),
                Some(key) => {
                    let to = key.encapsulate(crypto, entropy)?;
                    let sealed = seal_session_key(crypto, &to.secret, &transcript.hash(), &session_key);
                    SentKey::Envelope { enc: to.bytes, sealed }
                }
            },
            session_id: grant.session_id,
            lifetime_secs: grant.lifetime_secs,
            subject: grant.subject.clone(),
            token_reply: proof.reply().to_vec(),
        };
        let mut ingredients = Ingredients {
            transport_key: &inner.transport_key,
            envelope: &envelope,
            ephemeral: &encapsulated.secret,
            contribution: proof.contribution(),
            session_key: None,
        };
        let key = ingredients.second_message_key(crypto, transcript.hash());
        let plaintext = second.to_secret_bytes();
        let mut sealed = Vec::with_capacity(plaintext.expose().len() + TAG);
        sealed.extend_from_slice(plaintext.expose());
        let tag = crypto.aes256_gcm(&key).seal(&[0; 12], label::CONTEXT_SECOND, &mut sealed);
        sealed.extend_from_slice(&tag);
        ingredients.session_key = Some(&session_key);
        let secrets = ContextSecrets::derive(crypto, &ingredients, transcript.with(&sealed).hash());
        Ok((secrets, SecondMessage { enc: encapsulated.bytes, sealed }.to_bytes()))
    }
}
