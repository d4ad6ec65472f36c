//! A certificate as authentication token (A3): its key signs the exchange, or, being a KEM key, opens
//! the envelope that the session key comes in (A7).
//!
//! ```text
//! kind 3   certificates | signature over label, binding, hash of the certificate
//! kind 4   certificates
//! ```
//! A gateway that has seen the certificates before, or has them in its register, needs their hash only (in
//! spirit RFC 7924); one that has not says so, and is sent them.
//!
//! Whether a certificate counts is not asked here: the check of its path gives a [`VerifiedSubject`],
//! and [`ClaimedCertificate::prove`] takes nothing less.

use symbolon_crypto::{
    Crypto, CryptoError, InitiatorToken, KemPrivateKey, KemPublicKey, LapsedSubject, PresentedToken, Secret,
    SecretBytes, Signer, SubjectKey, TokenKind, TokenProof, TranscriptHash, VerifiedSubject, label,
};
use symbolon_wire::{Reader, WireError, Writer};

/// Most certificates that are presented: the subject's, and what lies between it and an anchor.
pub const MAX_CHAIN: usize = 5;

/// The private half of a certificate in the initiator's hands.
#[derive(Clone, Copy)]
pub enum CertificateKey<'a> {
    /// It signs the exchange.
    Signs(&'a dyn Signer),
    /// It opens the envelope.
    Opens(&'a KemPrivateKey),
}

/// A certificate and its key, for one exchange.
pub struct CertificateToken<'a> {
    crypto: Crypto,
    chain: &'a [Vec<u8>],
    key: CertificateKey<'a>,
    by_hash: bool,
}

impl<'a> CertificateToken<'a> {
    /// `chain` in DER, the subject's first, without the anchor.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for no certificate, more than [`MAX_CHAIN`], or one of 64 KiB.
    pub fn new(crypto: Crypto, chain: &'a [Vec<u8>], key: CertificateKey<'a>) -> Result<Self, CryptoError> {
        let fits = chain.iter().all(|certificate| u16::try_from(certificate.len()).is_ok());
        if (1..=MAX_CHAIN).contains(&chain.len()) && fits {
            Ok(Self { crypto, chain, key, by_hash: false })
        } else {
            Err(CryptoError::BadKey)
        }
    }

    /// Sends the hash of the certificate instead of it, to a gateway that should know it.
    #[must_use]
    pub const fn by_hash(mut self) -> Self {
        self.by_hash = true;
        self
    }
}

impl std::fmt::Debug for CertificateToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CertificateToken")
    }
}

impl InitiatorToken for CertificateToken<'_> {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let (kind, signature) = match self.key {
            CertificateKey::Signs(signer) => {
                let certificate = self.crypto.sha256(&[&self.chain[0]]);
                let message = signed_message(binding, &certificate);
                (TokenKind::Certificate, Some(signer.sign(&message)?))
            }
            CertificateKey::Opens(_) => (TokenKind::KemCertificate, None),
        };
        let mut w = Writer::new();
        if self.by_hash {
            w.u8(0);
            w.fixed(&self.crypto.sha256(&[&self.chain[0]]));
        } else {
            w.u8(self.chain.len() as u8);
            self.chain.iter().for_each(|certificate| w.bytes16(certificate));
        }
        if let Some(signature) = signature {
            w.bytes16(&signature);
        }
        Ok(PresentedToken { kind, body: SecretBytes::new(w.into_bytes()), contribution: None })
    }

    fn open_envelope(&mut self, crypto: Crypto, enc: &[u8]) -> Result<Secret<32>, CryptoError> {
        match self.key {
            CertificateKey::Opens(key) => key.decapsulate(crypto, enc),
            CertificateKey::Signs(_) => Err(CryptoError::BadKey),
        }
    }
}

/// The certificate is in it, since some keys let another be made under which a signature fits too.
fn signed_message(binding: &TranscriptHash, certificate: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::new();
    w.fixed(label::CERTIFICATE_SIGNATURE);
    w.u8(0);
    w.fixed(binding.as_ref());
    w.fixed(certificate);
    w.into_bytes()
}

/// A certificate as a gateway receives it: nothing of it is checked.
#[derive(Debug)]
pub struct ClaimedCertificate {
    named: Named,
    signature: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Named {
    /// The subject's first.
    Chain(Vec<Vec<u8>>),
    Hash([u8; 32]),
}

impl ClaimedCertificate {
    /// Parses the body of a token of kind [`TokenKind::Certificate`] or
    /// [`TokenKind::KemCertificate`].
    ///
    /// # Errors
    /// [`WireError`], also for another kind.
    pub fn parse(kind: TokenKind, token: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(token.expose());
        let named = match usize::from(r.u8()?) {
            0 => Named::Hash(r.fixed()?),
            count @ 1..=MAX_CHAIN => {
                let chain = (0..count).map(|_| r.bytes16().map(<[u8]>::to_vec));
                Named::Chain(chain.collect::<Result<_, _>>()?)
            }
            _ => return Err(WireError::BadValue("number of certificates")),
        };
        let signature = match kind {
            TokenKind::Certificate => Some(r.bytes16()?.to_vec()),
            TokenKind::KemCertificate => None,
            _ => return Err(WireError::BadValue("token kind")),
        };
        r.finish()?;
        Ok(Self { named, signature })
    }

    /// The certificates in DER, the subject's first, then what it says leads to an anchor. `None`
    /// when only the hash was sent.
    #[must_use]
    pub fn chain(&self) -> Option<Vec<&[u8]>> {
        match &self.named {
            Named::Chain(chain) => Some(chain.iter().map(Vec::as_slice).collect()),
            Named::Hash(_) => None,
        }
    }

    /// SHA-256 of the subject's certificate.
    #[must_use]
    pub fn hash(&self, crypto: Crypto) -> [u8; 32] {
        match &self.named {
            Named::Chain(chain) => crypto.sha256(&[&chain[0]]),
            Named::Hash(hash) => *hash,
        }
    }

    /// Goes on with the subject that the check of the path gave: a signature is checked here, and a
    /// KEM key gets its envelope.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] for a signature that does not fit and for a `subject` of another
    /// certificate, [`CryptoError::BadKey`] for a key that cannot prove itself in this way.
    pub fn prove(
        &self,
        crypto: Crypto,
        subject: &VerifiedSubject,
        binding: &TranscriptHash,
    ) -> Result<CertificateProved, CryptoError> {
        self.prove_key(crypto, subject.certificate_hash(), subject.key(), binding)
    }

    /// The same with a certificate whose time is over, for whoever is let renew it.
    ///
    /// # Errors
    /// As [`ClaimedCertificate::prove`].
    pub fn prove_lapsed(
        &self,
        crypto: Crypto,
        subject: &LapsedSubject,
        binding: &TranscriptHash,
    ) -> Result<CertificateProved, CryptoError> {
        self.prove_key(crypto, subject.certificate_hash(), subject.key(), binding)
    }

    fn prove_key(
        &self,
        crypto: Crypto,
        certificate: &[u8; 32],
        key: &SubjectKey,
        binding: &TranscriptHash,
    ) -> Result<CertificateProved, CryptoError> {
        let hash = self.hash(crypto);
        if *certificate != hash {
            return Err(CryptoError::Forged);
        }
        let envelope_to = match (key, &self.signature) {
            (SubjectKey::Signature(key), Some(signature)) => {
                key.verify(crypto, &signed_message(binding, &hash), signature)?;
                None
            }
            (SubjectKey::Kem(key), None) => Some(key.clone()),
            _ => return Err(CryptoError::BadKey),
        };
        Ok(CertificateProved { binding: *binding, envelope_to })
    }
}

/// Proof that the initiator of one exchange holds a certificate's key, or that only who holds it
/// can go on.
#[derive(Debug)]
pub struct CertificateProved {
    binding: TranscriptHash,
    envelope_to: Option<KemPublicKey>,
}

impl TokenProof for CertificateProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn envelope_to(&self) -> Option<&KemPublicKey> {
        self.envelope_to.as_ref()
    }
}
