use crate::certificate::{self, Held, Kind, MAX_COMMON_NAME, Template};
use crate::{Identity, IssuerError, Validity};
use symbolon_crypto::GatewayName;
use symbolon_provider::P256SigningKey;
use symbolon_wire::Time;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, NameConstraints, SubjectAltName};
use x509_cert::name::Name;

/// A year of the Gregorian calendar on average, in seconds.
const YEAR_SECS: u64 = 31_556_952;

/// The root of trust: every token and every link names its key.
pub struct Issuer(Held);

impl Issuer {
    /// A new issuer with a key of its own (P-256) and a self-signed certificate, valid for `years`.
    ///
    /// # Errors
    /// [`IssuerError::BadName`], [`IssuerError::OutsideValidity`] beyond the year 9999.
    pub fn create(name: &str, now: Time, years: u32) -> Result<Self, IssuerError> {
        let characters = name.chars().count();
        if characters == 0 || characters > MAX_COMMON_NAME || name.chars().any(char::is_control) {
            return Err(IssuerError::BadName);
        }
        let key = P256SigningKey::generate();
        let subject = Kind::Issuer.subject(name)?;
        let der = Template {
            subject: subject.clone(),
            public_key: certificate::p256_public_key(key.public_point())?,
            validity: Validity::starting(now, u64::from(years) * YEAR_SECS),
            extensions: Vec::new(),
        }
        .with(&BasicConstraints { ca: true, path_len_constraint: None })?
        .with(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?
        .sign(&subject, &key)?;
        Self::load(der, key)
    }

    /// An issuer that was made before, from its certificate (DER) and its key.
    ///
    /// # Errors
    /// [`IssuerError::Malformed`], [`IssuerError::OtherKey`].
    pub fn load(certificate: Vec<u8>, key: P256SigningKey) -> Result<Self, IssuerError> {
        Held::load(certificate, key).map(Self)
    }

    /// The self-signed certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.0.der
    }

    /// The issuer's key.
    #[must_use]
    pub const fn key(&self) -> &P256SigningKey {
        &self.0.key
    }

    /// The name under which it signs.
    pub(crate) const fn name(&self) -> &Name {
        &self.0.subject
    }

    /// From when until when the issuer's certificate is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.0.validity
    }

    /// A new key and its certificate as the gateway `name`, for an issuer that stands on the
    /// gateway itself.
    ///
    /// # Errors
    /// As [`Issuer::certify_identity`].
    pub fn gateway_identity(&self, name: &GatewayName, validity: Validity) -> Result<Identity, IssuerError> {
        let key = P256SigningKey::generate();
        let certificate = self.certify_identity(name, key.public_point(), validity)?;
        Identity::load(certificate, key)
    }

    /// Certifies that the holder of a key is the gateway `name`; the certificate, DER.
    ///
    /// `public_point` is [`P256SigningKey::public_point`] of a key that need not be here. The
    /// certificate may sign context keys of that name and nothing else: it is an authority without
    /// authorities below it, constrained to the name, for one extended key usage. It ends with the
    /// issuer's own at the latest.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`] when this is no point of P-256, uncompressed;
    /// [`IssuerError::OutsideValidity`] when the issuer's own certificate has ended.
    pub fn certify_identity(
        &self,
        name: &GatewayName,
        public_point: &[u8],
        validity: Validity,
    ) -> Result<Vec<u8>, IssuerError> {
        let permitted = GeneralSubtree { base: certificate::dns_name(name)?, minimum: 0, maximum: None };
        Template {
            subject: Kind::Identity.subject(name.as_str())?,
            public_key: certificate::p256_public_key(public_point)?,
            validity: validity.within(self.0.validity)?,
            extensions: Vec::new(),
        }
        .with(&BasicConstraints { ca: true, path_len_constraint: Some(0) })?
        .with(&KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign))?
        .with(&certificate::context_key_usage()?)?
        .with(&NameConstraints { permitted_subtrees: Some(vec![permitted]), excluded_subtrees: None })?
        .with(&SubjectAltName(vec![certificate::dns_name(name)?]))?
        .sign(&self.0.subject, &self.0.key)
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.0.subject)
    }
}
