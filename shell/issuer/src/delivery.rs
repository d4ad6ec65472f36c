//! How a certificate reaches its subject: openly when the request proved its key, otherwise inside an
//! envelope to that key, so that only who holds it ever has the certificate.

use crate::request::Possession;
use crate::subject::SubjectCertificate;
use crate::{CertificateRequest, IssuerError};
use symbolon_crypto::{
    Crypto, CryptoError, Entropy, KemPrivateKey, Secret, SecretBytes, label, open_base, seal_base,
};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// What shows that the envelope of a certificate was opened: derived from the envelope's secret.
#[derive(PartialEq, Eq, Debug)]
pub struct Confirmation(Secret<32>);

impl Confirmation {
    fn new(crypto: Crypto, exporter: &Secret<32>, certificate: &[u8]) -> Self {
        Self(crypto.derive(exporter, label::CERTIFICATE_CONFIRM, &[&crypto.sha256(&[certificate])]))
    }

    /// From what a subject returned; comparing takes the same time wherever they differ.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Secret::from_slice(bytes).map(Self)
    }

    /// To be returned to the office. It opens nothing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// A certificate on its way.
#[derive(Debug)]
pub enum Delivery {
    /// The certificate, DER: its request was signed.
    Open(Vec<u8>),
    /// For a key that cannot sign.
    Sealed {
        /// For the subject.
        envelope: SealedCertificate,
        /// What the subject returns once it opened it; until then the certificate is not in force.
        expected: Confirmation,
    },
}

/// A certificate inside an envelope to the key that it certifies (HPKE base mode, RFC 9180).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCertificate {
    enc: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl SubjectCertificate {
    /// Makes the certificate ready for its subject.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`] when the key in the request is none.
    pub fn deliver(&self, crypto: Crypto, entropy: &mut dyn Entropy) -> Result<Delivery, IssuerError> {
        match (self.possession(), self.request.key().kem()) {
            (Possession::ByEnvelope, Some(key)) => {
                let content = SecretBytes::new(self.der.clone());
                let info = info(crypto, &self.request);
                let sealed = seal_base(crypto, entropy, key, &info, &[], &content)?;
                let expected = Confirmation::new(crypto, &sealed.exporter, &self.der);
                let envelope = SealedCertificate { enc: sealed.enc, ciphertext: sealed.ciphertext };
                Ok(Delivery::Sealed { envelope, expected })
            }
            _ => Ok(Delivery::Open(self.der.clone())),
        }
    }
}

impl SealedCertificate {
    /// Opens the envelope with the key for which `request` asked: the certificate, DER, and what is to
    /// be returned to the office. The certificate is still to be checked like any other.
    ///
    /// # Errors
    /// [`CryptoError`] when it is for another key or another request.
    pub fn open(
        &self,
        crypto: Crypto,
        key: &KemPrivateKey,
        request: &CertificateRequest,
    ) -> Result<(Vec<u8>, Confirmation), CryptoError> {
        let opened = open_base(crypto, key, &self.enc, &info(crypto, request), &[], &self.ciphertext)?;
        let certificate = opened.plaintext.expose().to_vec();
        let confirmation = Confirmation::new(crypto, &opened.exporter, &certificate);
        Ok((certificate, confirmation))
    }
}

fn info(crypto: Crypto, request: &CertificateRequest) -> Vec<u8> {
    let mut w = Writer::new();
    w.bytes8(label::CERTIFICATE_DELIVERY);
    w.fixed(&request.hash(crypto));
    w.into_bytes()
}

impl Encode for SealedCertificate {
    fn encode(&self, w: &mut Writer) {
        w.bytes16(&self.enc);
        w.bytes16(&self.ciphertext);
    }
}

impl Decode for SealedCertificate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { enc: r.bytes16()?.to_vec(), ciphertext: r.bytes16()?.to_vec() })
    }
}
