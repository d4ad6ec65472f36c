//! A certificate as authentication token (A3): its key signs the exchange, or, being a KEM key, opens
//! the envelope that the session key comes in (A7).
//!
//! ```text
//! kind 3   certificates | signature over label, binding, hash of the certificate
//! kind 4   certificates
//! ```
//! Whether a certificate counts is not asked here: the check of its path gives a [`VerifiedSubject`],
//! and [`ClaimedCertificate::prove`] takes nothing less.

use symbolon_crypto::{
    Crypto, CryptoError, InitiatorToken, KemPrivateKey, KemPublicKey, PresentedToken, Secret, SecretBytes,
    Signer, SubjectKey, TokenKind, TokenProof, TranscriptHash, VerifiedSubject, label,
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
}

impl<'a> CertificateToken<'a> {
    /// `chain` in DER, the subject's first, without the anchor.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for no certificate or more than [`MAX_CHAIN`].
    pub fn new(crypto: Crypto, chain: &'a [Vec<u8>], key: CertificateKey<'a>) -> Result<Self, CryptoError> {
        if (1..=MAX_CHAIN).contains(&chain.len()) {
            Ok(Self { crypto, chain, key })
        } else {
            Err(CryptoError::BadKey)
        }
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
                let message = signed_message(self.crypto, binding, &self.chain[0]);
                (TokenKind::Certificate, Some(signer.sign(&message)?))
            }
            CertificateKey::Opens(_) => (TokenKind::KemCertificate, None),
        };
        let mut w = Writer::new();
        w.u8(self.chain.len() as u8);
        self.chain.iter().for_each(|certificate| w.bytes16(certificate));
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
fn signed_message(crypto: Crypto, binding: &TranscriptHash, certificate: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.fixed(label::CERTIFICATE_SIGNATURE);
    w.u8(0);
    w.fixed(binding.as_ref());
    w.fixed(&crypto.sha256(&[certificate]));
    w.into_bytes()
}

/// Certificates as a gateway receives them: nothing of them is checked.
#[derive(Debug)]
pub struct ClaimedCertificate {
    chain: Vec<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl ClaimedCertificate {
    /// Parses the body of a token of kind [`TokenKind::Certificate`] or
    /// [`TokenKind::KemCertificate`].
    ///
    /// # Errors
    /// [`WireError`], also for another kind.
    pub fn parse(kind: TokenKind, token: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(token.expose());
        let count = usize::from(r.u8()?);
        if !(1..=MAX_CHAIN).contains(&count) {
            return Err(WireError::BadValue("number of certificates"));
        }
        let chain = (0..count).map(|_| r.bytes16().map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
        let signature = match kind {
            TokenKind::Certificate => Some(r.bytes16()?.to_vec()),
            TokenKind::KemCertificate => None,
            _ => return Err(WireError::BadValue("token kind")),
        };
        r.finish()?;
        Ok(Self { chain, signature })
    }

    /// The certificates in DER, the subject's first, then what it says leads to an anchor.
    #[must_use]
    pub fn chain(&self) -> Vec<&[u8]> {
        self.chain.iter().map(Vec::as_slice).collect()
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
        if *subject.certificate_hash() != crypto.sha256(&[&self.chain[0]]) {
            return Err(CryptoError::Forged);
        }
        let envelope_to = match (subject.key(), &self.signature) {
            (SubjectKey::Signature(key), Some(signature)) => {
                key.verify(crypto, &signed_message(crypto, binding, &self.chain[0]), signature)?;
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
