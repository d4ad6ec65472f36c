//! Renewal: a certificate is made anew for who proves the key of the old one.
//!
//! ```text
//! client                                               office
//!   ── the old certificate ───────────────────────────────>  ours, not revoked, in its time or in grace
//!   <──────────── RenewalChallenge: nonce (32) | enc <16> ──  enc: to the old key, if it cannot sign
//!   ── RenewalAnswer: request <16> | proof <16> ──────────>  the same subject, a proven key
//! ```
//! The proof is the old key's: a signature over the statement, or what the envelope's secret makes of
//! it. Another certificate proves nothing, whoever it belongs to. A certificate that ended long ago is
//! still taken when policy gives it grace: its key was not revoked, and nobody else has it.

use crate::{CertificateRequest, RequestError, RequestedName};
use symbolon_crypto::{
    Crypto, CryptoError, Entropy, KemPrivateKey, LapsedSubject, Secret, Signer, SubjectError, SubjectId,
    SubjectKey, SubjectName, SubjectTrust, constant_time_eq, label,
};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// When certificates may be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalPolicy {
    /// For how many times its own life after its end a certificate is still taken; 0 for none.
    pub grace_lives: u32,
}

/// What policy says about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalTiming {
    /// Half its life is not over; it may be renewed from then on.
    Early(Time),
    /// In the second half of its life.
    Due,
    /// It has ended, and policy takes it still.
    Grace,
    /// It ended too long ago: an administrator enrols the device anew.
    Late,
}

impl RenewalPolicy {
    /// What this policy says about a certificate with these first and last moments.
    #[must_use]
    pub fn timing(self, (from, until): (Time, Time), now: Time) -> RenewalTiming {
        let life = until.distance_secs(from);
        let half = until.minus_secs(life / 2);
        let grace = until.plus_secs(life.saturating_mul(self.grace_lives.into()));
        match now {
            _ if now < half => RenewalTiming::Early(half),
            _ if now <= until => RenewalTiming::Due,
            _ if now <= grace => RenewalTiming::Grace,
            _ => RenewalTiming::Late,
        }
    }
}

/// Why a renewal was refused. Whoever asked erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// The old certificate does not count.
    #[error("the certificate cannot be renewed: {0}")]
    Certificate(#[from] SubjectError),
    /// It is too early or too late.
    #[error("the certificate cannot be renewed now")]
    Timing(RenewalTiming),
    /// The request does not count.
    #[error("the request for renewal does not count: {0}")]
    Request(#[from] RequestError),
    /// The request names another subject than the old certificate.
    #[error("the request is for another subject than the certificate")]
    OtherSubject,
    /// The proof is not by the old certificate's key.
    #[error("the renewal is not proved by the key of the certificate that is renewed")]
    NotProved,
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The office's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalChallenge {
    nonce: [u8; 32],
    enc: Vec<u8>,
}

/// The subject's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalAnswer {
    /// PKCS #10, DER, for the next certificate.
    pub request: Vec<u8>,
    proof: Vec<u8>,
}

/// A renewal that waits for its proof. It is for one answer.
#[derive(Debug)]
pub struct PendingRenewal {
    old: LapsedSubject,
    subject: SubjectId,
    challenge: RenewalChallenge,
    secret: Option<Secret<32>>,
}

/// Evidence that the holder of a certificate's key asked for the next one. Only
/// [`PendingRenewal::finish`] makes it.
#[derive(Debug)]
pub struct ProvenRenewal {
    old: LapsedSubject,
    subject: SubjectId,
    request: CertificateRequest,
}

impl PendingRenewal {
    /// Begins the renewal of `certificate` (DER).
    ///
    /// # Errors
    /// [`RenewalError::Certificate`], [`RenewalError::Timing`].
    pub fn begin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        trust: &SubjectTrust,
        policy: RenewalPolicy,
        certificate: &[u8],
        now: Time,
    ) -> Result<Self, RenewalError> {
        let old = trust.verify_for_renewal(crypto, certificate, now)?;
        let SubjectName::Ours(subject) = old.name().clone() else {
            return Err(RenewalError::Certificate(SubjectError::Untrusted));
        };
        match policy.timing(old.validity(), now) {
            RenewalTiming::Due | RenewalTiming::Grace => {}
            timing => return Err(RenewalError::Timing(timing)),
        }
        let (enc, secret) = match old.key() {
            SubjectKey::Kem(key) => {
                let encapsulated = key.encapsulate(crypto, entropy)?;
                (encapsulated.bytes, Some(encapsulated.secret))
            }
            SubjectKey::Signature(_) => (Vec::new(), None),
        };
        let challenge = RenewalChallenge { nonce: entropy.number(), enc };
        Ok(Self { old, subject, challenge, secret })
    }

    /// The question for the subject.
    #[must_use]
    pub const fn challenge(&self) -> &RenewalChallenge {
        &self.challenge
    }

    /// The old certificate, so that the register can be asked about it.
    #[must_use]
    pub const fn old(&self) -> &LapsedSubject {
        &self.old
    }

    /// Checks the answer.
    ///
    /// # Errors
    /// [`RenewalError::Request`], [`RenewalError::OtherSubject`], [`RenewalError::NotProved`].
    pub fn finish(self, crypto: Crypto, answer: &RenewalAnswer) -> Result<ProvenRenewal, RenewalError> {
        let request = CertificateRequest::read(crypto, &answer.request)?;
        if *request.name() != RequestedName::Subject(self.subject.clone()) {
            return Err(RenewalError::OtherSubject);
        }
        let statement = statement(crypto, &self.challenge, self.old.certificate_hash(), &answer.request);
        let proved = match (self.old.key(), &self.secret) {
            (SubjectKey::Signature(key), _) => key.verify(crypto, &statement, &answer.proof).is_ok(),
            (SubjectKey::Kem(_), Some(secret)) => {
                constant_time_eq(envelope_proof(crypto, secret, &statement).expose(), &answer.proof)
            }
            (SubjectKey::Kem(_), None) => false,
        };
        if !proved {
            return Err(RenewalError::NotProved);
        }
        Ok(ProvenRenewal { old: self.old, subject: self.subject, request })
    }
}

impl ProvenRenewal {
    /// The certificate that is renewed.
    #[must_use]
    pub const fn old(&self) -> &LapsedSubject {
        &self.old
    }

    /// Whom both are for.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// The request for the next one.
    #[must_use]
    pub const fn request(&self) -> &CertificateRequest {
        &self.request
    }
}

impl RenewalChallenge {
    /// Answers with a key that signs.
    ///
    /// # Errors
    /// What the signer gives.
    pub fn answer_signed(
        &self,
        crypto: Crypto,
        old_certificate: &[u8],
        request: Vec<u8>,
        key: &dyn Signer,
    ) -> Result<RenewalAnswer, CryptoError> {
        let statement = statement(crypto, self, &crypto.sha256(&[old_certificate]), &request);
        Ok(RenewalAnswer { proof: key.sign(&statement)?, request })
    }

    /// Answers with a key that opens envelopes.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the challenge is not for such a key.
    pub fn answer_opened(
        &self,
        crypto: Crypto,
        old_certificate: &[u8],
        request: Vec<u8>,
        key: &KemPrivateKey,
    ) -> Result<RenewalAnswer, CryptoError> {
        let statement = statement(crypto, self, &crypto.sha256(&[old_certificate]), &request);
        let secret = key.decapsulate(crypto, &self.enc)?;
        let proof = envelope_proof(crypto, &secret, &statement).expose().to_vec();
        Ok(RenewalAnswer { request, proof })
    }
}

fn statement(
    crypto: Crypto,
    challenge: &RenewalChallenge,
    old_certificate: &[u8; 32],
    request: &[u8],
) -> Vec<u8> {
    let mut w = Writer::new();
    w.fixed(label::CERTIFICATE_RENEWAL);
    w.fixed(&challenge.nonce);
    w.fixed(&crypto.sha256(&[&challenge.enc]));
    w.fixed(old_certificate);
    w.fixed(&crypto.sha256(&[request]));
    w.into_bytes()
}

fn envelope_proof(crypto: Crypto, secret: &Secret<32>, statement: &[u8]) -> Secret<32> {
    crypto.derive(secret, label::CERTIFICATE_RENEWAL, &[&crypto.sha256(&[statement])])
}

impl Encode for RenewalChallenge {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.nonce);
        w.bytes16(&self.enc);
    }
}

impl Decode for RenewalChallenge {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { nonce: r.fixed()?, enc: r.bytes16()?.to_vec() })
    }
}

impl Encode for RenewalAnswer {
    fn encode(&self, w: &mut Writer) {
        w.bytes16(&self.request);
        w.bytes16(&self.proof);
    }
}

impl Decode for RenewalAnswer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { request: r.bytes16()?.to_vec(), proof: r.bytes16()?.to_vec() })
    }
}
