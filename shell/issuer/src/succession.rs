//! One issuer follows another (RFC 4210 §4.4).

use crate::certificate::{Template, p256_public_key};
use crate::{Issuer, IssuerError, Validity};
use symbolon_crypto::{IssuerChange, TrustedIssuer};
use symbolon_provider::crypto;
use symbolon_wire::Time;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

impl Issuer {
    /// States that `next` follows this issuer, which stays trusted beside it until `old_until`: a
    /// message that clients and nodes check for themselves, with a certificate for each key under the
    /// other, for programs that follow paths.
    ///
    /// # Errors
    /// [`IssuerError::OutsideValidity`] when one of the two has ended, [`IssuerError::OtherKey`] when
    /// both have one key.
    pub fn hand_over(&self, next: &Self, old_until: Time, now: Time) -> Result<IssuerChange, IssuerError> {
        if self.key().public_point() == next.key().public_point() {
            return Err(IssuerError::OtherKey);
        }
        let links = [self.link_to(next, now)?, next.link_to(self, now)?];
        let old = TrustedIssuer::from_certificate(crypto(), self.certificate())
            .map_err(|e| IssuerError::Malformed(e.to_string()))?;
        let old_until = old_until.min(self.validity().until());
        let signers: [&dyn symbolon_crypto::Signer; 2] = [self.key(), next.key()];
        Ok(IssuerChange::sign(old.fingerprint(), next.certificate().to_vec(), links, old_until, signers)?)
    }

    /// A certificate for the name and key of `other` in this issuer's name.
    fn link_to(&self, other: &Self, now: Time) -> Result<Vec<u8>, IssuerError> {
        let secs = other.validity().until().distance_secs(now);
        Template {
            subject: other.name().clone(),
            public_key: p256_public_key(other.key().public_point())?,
            validity: Validity::starting(now, secs).within(self.validity())?,
            extensions: Vec::new(),
        }
        .with(&BasicConstraints { ca: true, path_len_constraint: None })?
        .with(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?
        .sign(self.name(), self.key())
    }
}
