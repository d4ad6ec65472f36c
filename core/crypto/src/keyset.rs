//! A gateway's context keys, and the check that comes before any secret leaves (A1, B3).
//!
//! ```text
//! issuer ──signs──> identity certificate ──signs──> context-key certificate, one for each suite
//! (years)           (months, CA for its own        (a day or so; the KEM key that
//!                    name only)                      first messages are sealed to)
//! identity key ──signs──> the set of all these certificates
//! ```
//! The signature over the set stops an attacker from offering less than the gateway did; the hash
//! of the set enters every transcript.

use crate::identity::GatewayIdentity;
use crate::x509::{RevocationLists, unix_time};
use crate::{Crypto, KemPublicKey, Signer, Suite, TrustedIssuer, label};
use rustls_pki_types::{CertificateDer, DnsName, ServerName};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Extended key usage of a context key and of the identity that may certify one:
/// 1.3.6.1.4.1.32473.1.1 (an arc for documentation until we have our own).
pub const CONTEXT_KEY_USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x81, 0xfd, 0x59, 0x01, 0x01];

/// DER of a SubjectPublicKeyInfo up to its key: X25519 (RFC 8410).
const X25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
/// The same for X-Wing, 1.3.6.1.4.1.62253.25722 (draft-connolly-cfrg-xwing-kem §7).
const X_WING_SPKI: &[u8] = &[
    0x30, 0x82, 0x04, 0xd4, 0x30, 0x0d, 0x06, 0x0b, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xe6, 0x2d, 0x81,
    0xc8, 0x7a, 0x03, 0x82, 0x04, 0xc1, 0x00,
];

/// Most certificates in a set: two suites, each with its successor while keys rotate.
const MAX_KEYS: usize = 8;

/// The name of a gateway: a DNS name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayName(String);

impl GatewayName {
    /// Parses a DNS name (RFC 1035 syntax, at most 253 bytes); case is folded.
    ///
    /// # Errors
    /// [`WireError::BadValue`].
    pub fn parse(name: &str) -> Result<Self, WireError> {
        let name = name.to_ascii_lowercase();
        match DnsName::try_from(name.as_str()) {
            Ok(_) if name.len() <= 253 && !name.ends_with('.') => Ok(Self(name)),
            _ => Err(WireError::BadValue("gateway name")),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for GatewayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Encode for GatewayName {
    fn encode(&self, w: &mut Writer) {
        w.text8(&self.0);
    }
}

impl Decode for GatewayName {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let text = r.text8("gateway name")?;
        // One spelling, so one encoding.
        Self::parse(text).ok().filter(|n| n.0 == text).ok_or(WireError::BadValue("gateway name"))
    }
}

/// Names a context key within its gateway: the front of the hash of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextKeyId(pub [u8; 8]);

impl ContextKeyId {
    /// Of a context-key certificate, DER.
    #[must_use]
    pub fn of(crypto: Crypto, certificate: &[u8]) -> Self {
        let hash = crypto.sha256(&[certificate]);
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Self(id)
    }
}

/// Why a gateway's certificates were not accepted. The gateway, or somebody in its place, erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not certificates, or not in the form that we demand.
    #[error("malformed certificate: {0}")]
    Malformed(String),
    /// Signed by another issuer than the one that is trusted.
    #[error("the gateway's certificate is not from the trusted issuer")]
    OtherIssuer,
    /// For another name than the one that was asked for.
    #[error("the certificate is not for {0}")]
    OtherName(GatewayName),
    /// Outside its time.
    #[error("the certificate has expired or is not valid yet (check this machine's clock)")]
    OutsideValidity,
    /// Not a certificate for context keys.
    #[error("the certificate is not meant for this use")]
    WrongUsage,
    /// The context key, or the set of them, was not signed by the gateway's identity.
    #[error("the context key is not signed by the gateway's identity")]
    NotSignedByIdentity,
    /// The issuer has revoked the gateway's identity.
    #[error("the issuer has revoked the gateway's certificate")]
    Revoked,
    /// Another gateway than the one whose certificate is held here, or an older certificate of that.
    #[error("this is not the gateway {0} whose certificate is held here")]
    OtherGateway(GatewayName),
    /// No key of a suite that we accept.
    #[error("the gateway offers no suite that is accepted here")]
    NoAcceptableSuite,
}

/// The certificates that a gateway shows, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// The issuer's own certificate, DER; nothing is trusted because it stands here.
    pub issuer: Vec<u8>,
    /// The gateway's identity certificate, DER.
    pub identity: Vec<u8>,
    /// Context-key certificates, DER, best first.
    pub context_keys: Vec<Vec<u8>>,
    /// The identity's signature over all of the above.
    pub signature: Vec<u8>,
}

impl KeySet {
    /// Signs a set with the identity's key.
    ///
    /// # Errors
    /// What the signer gives.
    pub fn sign(
        issuer: Vec<u8>,
        identity: Vec<u8>,
        context_keys: Vec<Vec<u8>>,
        signer: &dyn Signer,
    ) -> Result<Self, crate::CryptoError> {
        let mut set = Self { issuer, identity, context_keys, signature: Vec::new() };
        set.signature = signer.sign(&set.signed_part())?;
        Ok(set)
    }

    fn signed_part(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.fixed(label::KEY_SET_SIGNATURE);
        self.encode_unsigned(&mut w);
        w.into_bytes()
    }

    fn encode_unsigned(&self, w: &mut Writer) {
        w.bytes16(&self.issuer);
        w.bytes16(&self.identity);
        w.list16(&self.context_keys, |w, c| w.bytes16(c));
    }

    /// SHA-256 of the whole set: enters every transcript.
    #[must_use]
    pub fn hash(&self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[&self.to_bytes()])
    }

    /// Checks that this set is the gateway's that was asked for: every path up to the trusted
    /// issuer, name, time and usage, the identity's signature over the set, and that none of `lists`, which must
    /// be of trusted issuers, has the identity. Nothing secret may be sent to a gateway before (A1, B3).
    ///
    /// # Errors
    /// [`KeySetError`], by what does not fit.
    pub fn verify(
        &self,
        crypto: Crypto,
        issuer: &TrustedIssuer,
        lists: &RevocationLists,
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, KeySetError> {
        let anchor = [issuer.anchor().map_err(|e| KeySetError::Malformed(e.to_string()))?];
        let identity_der = CertificateDer::from(self.identity.as_slice());
        let identity = parse(&identity_der)?;
        let server_name =
            ServerName::try_from(name.as_str()).map_err(|_| KeySetError::Malformed("gateway name".into()))?;
        identity
            .verify_is_valid_for_subject_name(&server_name)
            .map_err(|_| KeySetError::OtherName(name.clone()))?;

        let mut keys = Vec::new();
        for der in &self.context_keys {
            let certificate = CertificateDer::from(der.as_slice());
            let leaf = parse(&certificate)?;
            let intermediates = [identity_der.clone()];
            let path = leaf
                .verify_for_usage(
                    crypto.certificate_algorithms(),
                    &anchor,
                    &intermediates,
                    unix_time(now),
                    webpki::KeyUsage::required(CONTEXT_KEY_USAGE),
                    None,
                    None,
                )
                .map_err(|e| match path_error(e) {
                    KeySetError::OtherIssuer if !is_signed_by(crypto, &leaf, &identity_der, now) => {
                        KeySetError::NotSignedByIdentity
                    }
                    e => e,
                })?;
            if path.intermediate_certificates().count() != 1 {
                return Err(KeySetError::NotSignedByIdentity);
            }
            leaf.verify_is_valid_for_subject_name(&server_name)
                .map_err(|_| KeySetError::OtherName(name.clone()))?;
            if let Some(public) = kem_key(leaf.subject_public_key_info().as_ref()) {
                keys.push(VerifiedKey { id: ContextKeyId::of(crypto, der), public });
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoAcceptableSuite);
        }
        let signed = self.signed_part();
        let signed_by_identity = crypto
            .certificate_algorithms()
            .iter()
            .any(|algorithm| identity.verify_signature(*algorithm, &signed, &self.signature).is_ok());
        if !signed_by_identity {
            return Err(KeySetError::NotSignedByIdentity);
        }
        let identity = GatewayIdentity::read(crypto, &self.identity, issuer)?;
        identity.check_revocation(lists)?;
        Ok(VerifiedKeySet { name: name.clone(), hash: self.hash(crypto), keys, identity })
    }
}

fn parse<'a>(der: &'a CertificateDer<'a>) -> Result<webpki::EndEntityCert<'a>, KeySetError> {
    webpki::EndEntityCert::try_from(der).map_err(|e| KeySetError::Malformed(e.to_string()))
}

/// Whether `leaf` would be right under `identity` alone: tells which of the two links of a broken
/// path is the broken one.
fn is_signed_by(
    crypto: Crypto,
    leaf: &webpki::EndEntityCert<'_>,
    identity: &CertificateDer<'_>,
    now: Time,
) -> bool {
    let Ok(anchor) = webpki::anchor_from_trusted_cert(identity) else { return false };
    let usage = webpki::KeyUsage::required(CONTEXT_KEY_USAGE);
    leaf.verify_for_usage(crypto.certificate_algorithms(), &[anchor], &[], unix_time(now), usage, None, None)
        .is_ok()
}

fn path_error(e: webpki::Error) -> KeySetError {
    use webpki::Error as E;
    match e {
        E::CertExpired { .. } | E::CertNotValidYet { .. } => KeySetError::OutsideValidity,
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => KeySetError::OtherIssuer,
        E::RequiredEkuNotFoundContext(_) | E::CaUsedAsEndEntity | E::EmptyEkuExtension => {
            KeySetError::WrongUsage
        }
        E::EndEntityUsedAsCa | E::NameConstraintViolation | E::PathLenConstraintViolated => {
            KeySetError::NotSignedByIdentity
        }
        other => KeySetError::Malformed(other.to_string()),
    }
}

/// The KEM key of a SubjectPublicKeyInfo, or nothing for a suite that we do not know.
fn kem_key(spki: &[u8]) -> Option<KemPublicKey> {
    [(X_WING_SPKI, Suite::XWing), (X25519_SPKI, Suite::X25519)]
        .into_iter()
        .find_map(|(prefix, suite)| KemPublicKey::new(suite, spki.strip_prefix(prefix)?).ok())
}

impl Encode for KeySet {
    fn encode(&self, w: &mut Writer) {
        self.encode_unsigned(w);
        w.bytes16(&self.signature);
    }
}

impl Decode for KeySet {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            issuer: r.bytes16()?.to_vec(),
            identity: r.bytes16()?.to_vec(),
            context_keys: r.list16("context keys", MAX_KEYS, |r| Ok(r.bytes16()?.to_vec()))?,
            signature: r.bytes16()?.to_vec(),
        })
    }
}

/// A context key out of a verified set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedKey {
    /// Its name within the gateway.
    pub id: ContextKeyId,
    /// The key that first messages are sealed to.
    pub public: KemPublicKey,
}

/// Proof that a gateway's keys were checked; only [`KeySet::verify`] makes it, and nothing secret
/// is sealed without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedKeySet {
    name: GatewayName,
    hash: [u8; 32],
    keys: Vec<VerifiedKey>,
    identity: GatewayIdentity,
}

impl VerifiedKeySet {
    /// The gateway's verified name.
    #[must_use]
    pub const fn name(&self) -> &GatewayName {
        &self.name
    }

    /// The hash of the whole set.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The identity that signed it.
    #[must_use]
    pub const fn identity(&self) -> &GatewayIdentity {
        &self.identity
    }

    /// The key of the first of `suites` that the gateway has.
    ///
    /// # Errors
    /// [`KeySetError::NoAcceptableSuite`]: there is no silent step down.
    pub fn key(&self, suites: &[Suite]) -> Result<&VerifiedKey, KeySetError> {
        suites
            .iter()
            .find_map(|s| self.keys.iter().find(|k| k.public.suite() == *s))
            .ok_or(KeySetError::NoAcceptableSuite)
    }

    /// Checks the identity's signature over `message`, which begins with a [`label`].
    ///
    /// # Errors
    /// [`KeySetError::NotSignedByIdentity`].
    pub fn verify_identity_signature(
        &self,
        crypto: Crypto,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeySetError> {
        let der = CertificateDer::from(self.identity.certificate());
        let identity = parse(&der)?;
        crypto
            .certificate_algorithms()
            .iter()
            .any(|algorithm| identity.verify_signature(*algorithm, message, signature).is_ok())
            .then_some(())
            .ok_or(KeySetError::NotSignedByIdentity)
    }
}
