#![forbid(unsafe_code)]
//! Key types, envelopes, key derivation and certificate paths: the vocabulary of secrets that the
//! five rooms share.
//!
//! Nothing here computes a primitive. [`Primitives`] names the few that Symbolon uses, and a shell
//! hands an implementation in as a [`Crypto`] (aws-lc on servers and agents). What stands here is
//! built of them by the book: HKDF (RFC 5869), the X-Wing and X25519 KEMs, HPKE base mode
//! (RFC 9180), and the check of a gateway's certificates (RFC 5280 through rustls-webpki).
//!
//! Where to look: [`Secret`] for everything that must be wiped, [`label`] for every key-derivation
//! label in the product, [`KeySet::verify`] for the check that must come before any secret leaves.

mod envelope;
mod hpke;
mod identity;
mod kdf;
mod kem;
mod keyset;
pub mod label;
mod primitives;
mod proof;
mod secret;
mod x509;

pub use envelope::{
    CLOCK_TOLERANCE_SECS, CheapCheck, CheapChecked, Cookie, CookieJar, Envelope, EnvelopeContent,
    OpenEnvelope, Purpose,
};
pub use hpke::{HpkeOpened, HpkeSealed, HpkeSender, open_base, seal_base};
pub use identity::GatewayIdentity;
pub use kdf::{Transcript, TranscriptHash};
pub use kem::{Encapsulated, KemPrivateKey, KemPublicKey, Suite};
pub use keyset::{
    CONTEXT_KEY_USAGE, ContextKeyId, GatewayName, KeySet, KeySetError, VerifiedKey, VerifiedKeySet,
};
pub use primitives::{Aead, Crypto, CryptoError, Entropy, MlKem768Key, Primitives, Signer, TAG, X25519Key};
pub use proof::{InitiatorToken, PresentedToken, TokenKind, TokenProof};
pub use secret::{Secret, SecretBytes, constant_time_eq};
pub use x509::{
    CertificateNumber, DEVICE_USAGE, ForeignAuthority, ForeignUsage, IssuerChange, IssuerChangeError,
    IssuerFingerprint, IssuerSet, LapsedSubject, NameRule, PERSON_USAGE, Revocation, RevocationList,
    RevocationLists, SignatureKey, SignatureKind, SubjectError, SubjectId, SubjectKey, SubjectName,
    SubjectProfile, SubjectTrust, TrustedIssuer, VerdictCache, VerifiedSubject, X509Error,
};
