//! The key in a subject's certificate: one that opens envelopes, or one that signs.

use super::SubjectError;
use crate::{Crypto, CryptoError, KemPublicKey, Suite};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use rustls_pki_types::{AlgorithmIdentifier, SubjectPublicKeyInfoDer, alg_id};
use x509_cert::SubjectPublicKeyInfo;

/// RFC 8410 §3.
const ID_X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
/// RFC 8410 §3.
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// draft-connolly-cfrg-xwing-kem §7.
const ID_X_WING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.62253.25722");
/// RFC 5480 §2.1.1, with the two curves that are taken.
const ID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const CURVE_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// RFC 8017 appendix A.1.
const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// RSA moduli that are accepted, in bits: below is weak, above is work for nothing.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The key of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKey {
    /// Possession is proved by opening an envelope (A7).
    Kem(KemPublicKey),
    /// Possession is proved by a signature.
    Signature(SignatureKey),
}

impl SubjectKey {
    /// `der` is its encoding.
    ///
    /// # Errors
    /// [`SubjectError::WeakKey`] for a kind or size that is not taken.
    pub(crate) fn read(spki: &SubjectPublicKeyInfo, der: &[u8]) -> Result<Self, SubjectError> {
        let algorithm = &spki.algorithm;
        let bits = spki.subject_public_key.as_bytes().ok_or(SubjectError::WeakKey)?;
        let kem = |suite| KemPublicKey::new(suite, bits).map(Self::Kem).map_err(|_| SubjectError::WeakKey);
        let kind = match (algorithm.oid, &algorithm.parameters) {
            (ID_X25519, None) => return kem(Suite::X25519),
            (ID_X_WING, None) => return kem(Suite::XWing),
            (ID_ED25519, None) if bits.len() == 32 => SignatureKind::Ed25519,
            (ID_EC, Some(curve)) => match curve.decode_as::<ObjectIdentifier>() {
                Ok(CURVE_P256) if bits.len() == 65 && bits[0] == 4 => SignatureKind::P256,
                Ok(CURVE_P384) if bits.len() == 97 && bits[0] == 4 => SignatureKind::P384,
                _ => return Err(SubjectError::WeakKey),
            },
            (ID_RSA, Some(null)) if null.is_null() => SignatureKind::Rsa { bits: rsa_bits(bits)? },
            _ => return Err(SubjectError::WeakKey),
        };
        Ok(Self::Signature(SignatureKey { kind, public_key_info: der.to_vec() }))
    }

    /// From a SubjectPublicKeyInfo, DER, with nothing behind it.
    ///
    /// # Errors
    /// [`SubjectError::Malformed`], [`SubjectError::WeakKey`].
    pub fn from_public_key_info(der: &[u8]) -> Result<Self, SubjectError> {
        Self::read(&SubjectPublicKeyInfo::from_der(der)?, der)
    }

    /// The KEM key, if it is one.
    #[must_use]
    pub const fn kem(&self) -> Option<&KemPublicKey> {
        match self {
            Self::Kem(key) => Some(key),
            Self::Signature(_) => None,
        }
    }

    /// The signature key, if it is one.
    #[must_use]
    pub const fn signature(&self) -> Option<&SignatureKey> {
        match self {
            Self::Kem(_) => None,
            Self::Signature(key) => Some(key),
        }
    }
}

/// RFC 8017 appendix A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// The length of a modulus that is odd and long enough, with an exponent of at least 65,537.
fn rsa_bits(der: &[u8]) -> Result<usize, SubjectError> {
    let key = RsaPublicKey::from_der(der).map_err(|_| SubjectError::WeakKey)?;
    let (modulus, exponent) = (key.modulus.as_bytes(), key.exponent.as_bytes());
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |b| b.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|b| b & 1 == 1);
    let exponent_fits = odd(exponent) && (3..=8).contains(&exponent.len()) && exponent > &[1, 0, 0][..];
    if RSA_BITS.contains(&bits) && odd(modulus) && exponent_fits {
        Ok(bits)
    } else {
        Err(SubjectError::WeakKey)
    }
}

/// What kind of signature key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// RFC 8032, signs the message itself.
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// RSA with SHA-256: PSS (salt of 32 bytes) or, for tokens that have nothing else, PKCS #1 1.5.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
}

/// A key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureKey {
    kind: SignatureKind,
    public_key_info: Vec<u8>,
}

impl SignatureKey {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// Checks a signature over `message`, hashing included. Only the algorithms of the key's kind are
    /// tried; nobody chooses one by naming it.
    ///
    /// # Errors
    /// [`CryptoError::Forged`].
    pub fn verify(&self, crypto: Crypto, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let algorithms: &[AlgorithmIdentifier] = match self.kind {
            SignatureKind::Ed25519 => &[alg_id::ED25519],
            SignatureKind::P256 => &[alg_id::ECDSA_SHA256],
            SignatureKind::P384 => &[alg_id::ECDSA_SHA384],
            SignatureKind::Rsa { .. } => &[alg_id::RSA_PSS_SHA256, alg_id::RSA_PKCS1_SHA256],
        };
        let fits =
            algorithms.iter().any(|a| verify_with(crypto, &self.public_key_info, a, message, signature));
        if fits { Ok(()) } else { Err(CryptoError::Forged) }
    }
}

impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignatureKey({:?})", self.kind)
    }
}

/// Whether `signature` over `message` is by the key in `public_key_info` with `algorithm`, if the
/// provider accepts that one.
pub(crate) fn verify_signed(
    crypto: Crypto,
    public_key_info: &[u8],
    algorithm: &x509_cert::AlgorithmIdentifier,
    message: &[u8],
    signature: &[u8],
) -> bool {
    // the provider names algorithms by the content of the sequence
    let Ok(named) = algorithm.to_der() else { return false };
    let Ok(named) = AnyRef::from_der(&named) else { return false };
    verify_with(crypto, public_key_info, named.value(), message, signature)
}

fn verify_with(
    crypto: Crypto,
    public_key_info: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let der = SubjectPublicKeyInfoDer::from(public_key_info);
    let Ok(entity) = webpki::RawPublicKeyEntity::try_from(&der) else { return false };
    crypto
        .certificate_algorithms()
        .iter()
        .filter(|a| a.signature_alg_id().as_ref() == algorithm)
        .any(|a| entity.verify_signature(*a, message, signature).is_ok())
}
