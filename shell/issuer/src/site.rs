//! Certificates of names that are served to TLS clients which know nothing of ours.

use crate::certificate::{self, Kind, SERVER_AUTH, Template};
use crate::{Issuer, IssuerError, Validity};
use symbolon_crypto::GatewayName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

/// The longest life of such a certificate, in seconds: 90 days, since it is renewed by itself.
pub const MAX_SITE_SECS: u64 = 90 * 24 * 3600;

impl Issuer {
    /// Certifies that the holder of a key serves `name`; the certificate, DER. `public_point` is
    /// [`symbolon_provider::P256SigningKey::public_point`]. It vouches for nothing of ours: neither a gateway's
    /// identity nor a context key has its usage.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`] when this is no point of P-256, uncompressed;
    /// [`IssuerError::OutsideValidity`] beyond [`MAX_SITE_SECS`], and when the issuer's own certificate has
    /// ended.
    pub fn certify_site(
        &self,
        name: &GatewayName,
        public_point: &[u8],
        validity: Validity,
    ) -> Result<Vec<u8>, IssuerError> {
        let lifetime = validity.until().distance_secs(validity.from());
        if lifetime > MAX_SITE_SECS + crate::CLOCK_LEEWAY_SECS {
            return Err(IssuerError::OutsideValidity);
        }
        Template {
            subject: Kind::Site.subject(name.as_str())?,
            public_key: certificate::p256_public_key(public_point)?,
            validity: validity.within(self.validity())?,
            extensions: Vec::new(),
        }
        .with(&KeyUsage(KeyUsages::DigitalSignature.into()))?
        .with(&ExtendedKeyUsage(vec![SERVER_AUTH]))?
        .with(&SubjectAltName(vec![certificate::dns_name(name)?]))?
        .sign(self.name(), self.key())
    }
}
