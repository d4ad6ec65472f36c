use crate::certificate::{self, Held, Kind, Template};
use crate::{IssuerError, Validity};
use symbolon_crypto::{ContextKeyId, GatewayName, KemPrivateKey, KeySet, Suite};
use symbolon_provider::{P256SigningKey, SystemEntropy, crypto};
use x509_cert::ext::pkix::{KeyUsage, KeyUsages, SubjectAltName};

/// A gateway as its issuer knows it: a name, a key, and the right to certify its own context keys.
pub struct Identity {
    held: Held,
    name: GatewayName,
}

impl Identity {
    /// From the certificate (DER) that the issuer made and the key that it is about.
    ///
    /// # Errors
    /// [`IssuerError::Malformed`] also for a certificate without a DNS name,
    /// [`IssuerError::OtherKey`].
    pub fn load(certificate: Vec<u8>, key: P256SigningKey) -> Result<Self, IssuerError> {
        let held = Held::load(certificate, key)?;
        let name = held.dns_name.clone().ok_or_else(|| IssuerError::Malformed("no DNS name".into()))?;
        Ok(Self { held, name })
    }

    /// The identity certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.held.der
    }

    /// The identity's key.
    #[must_use]
    pub const fn key(&self) -> &P256SigningKey {
        &self.held.key
    }

    /// The gateway's name.
    #[must_use]
    pub const fn name(&self) -> &GatewayName {
        &self.name
    }

    /// From when until when the identity certificate is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.held.validity
    }

    /// A fresh context key, certified for the gateway's name. Its certificate ends with the
    /// identity's own at the latest.
    ///
    /// # Errors
    /// [`IssuerError::OutsideValidity`] when the identity's own certificate has ended.
    pub fn context_key(&self, suite: Suite, validity: Validity) -> Result<ContextKey, IssuerError> {
        let key = KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
        self.certify_context_key(key, validity)
    }

    /// The same for a key that the caller made.
    ///
    /// # Errors
    /// As [`Identity::context_key`].
    pub fn certify_context_key(
        &self,
        key: KemPrivateKey,
        validity: Validity,
    ) -> Result<ContextKey, IssuerError> {
        let suite = key.public().suite();
        // RFC 8410 §5 wants keyAgreement for X25519, RFC 9935 §5 keyEncipherment for a KEM.
        let usage = if suite == Suite::X25519 { KeyUsages::KeyAgreement } else { KeyUsages::KeyEncipherment };
        let validity = validity.within(self.held.validity)?;
        let certificate = Template {
            subject: Kind::ContextKey.subject(self.name.as_str())?,
            public_key: certificate::kem_public_key(key.public())?,
            validity,
            extensions: Vec::new(),
        }
        .with(&KeyUsage(usage.into()))?
        .with(&certificate::context_key_usage()?)?
        .with(&SubjectAltName(vec![certificate::dns_name(&self.name)?]))?
        .sign(&self.held.subject, &self.held.key)?;
        Ok(ContextKey { id: ContextKeyId::of(crypto(), &certificate), certificate, validity, key })
    }

    /// Signs the set that the gateway shows: its issuer's certificate, its own, and those of
    /// `context_keys`, best first.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`] when the key cannot sign.
    pub fn key_set(&self, issuer: &[u8], context_keys: &[ContextKey]) -> Result<KeySet, IssuerError> {
        let certificates = context_keys.iter().map(|k| k.certificate.clone()).collect();
        Ok(KeySet::sign(issuer.to_vec(), self.held.der.clone(), certificates, &self.held.key)?)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.name)
    }
}

/// A private key to which first messages are sealed, and its certificate.
#[derive(Debug)]
pub struct ContextKey {
    /// Its name within the gateway.
    pub id: ContextKeyId,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// When its certificate is valid.
    pub validity: Validity,
    /// The private key; wiped when dropped.
    pub key: KemPrivateKey,
}
