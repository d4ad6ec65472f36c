//! A gateway's identity certificate: whom the issuer says that it is, and since when (A1, B1).

use crate::keyset::{CONTEXT_KEY_USAGE, GatewayName, KeySetError};
use crate::x509::{RevocationLists, StrictCertificate, SubjectError};
use crate::{Crypto, IssuerFingerprint, TrustedIssuer};
use symbolon_wire::Time;
use x509_cert::ext::pkix::name::GeneralName;

impl From<SubjectError> for KeySetError {
    fn from(e: SubjectError) -> Self {
        match e {
            SubjectError::Untrusted => Self::OtherIssuer,
            SubjectError::OutsideValidity => Self::OutsideValidity,
            SubjectError::WrongUsage | SubjectError::NotAnAuthority => Self::WrongUsage,
            SubjectError::Revoked => Self::Revoked,
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// A gateway's identity certificate that its issuer signed. Whether it is in its time, and whether it is
/// revoked, is another question, which [`KeySet::verify`](crate::KeySet::verify) answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayIdentity {
    certificate: Vec<u8>,
    issuer: IssuerFingerprint,
    name: GatewayName,
    serial: Vec<u8>,
    from: Time,
    until: Time,
}

impl GatewayIdentity {
    /// Reads a certificate (DER) and checks that `issuer` signed it for a gateway.
    ///
    /// # Errors
    /// [`KeySetError::Malformed`], [`KeySetError::OtherIssuer`], [`KeySetError::WrongUsage`].
    pub fn read(crypto: Crypto, certificate: &[u8], issuer: &TrustedIssuer) -> Result<Self, KeySetError> {
        let read = StrictCertificate::parse(certificate)?;
        let signer = StrictCertificate::parse(issuer.certificate())?;
        if read.issuer() != signer.subject() || !read.is_signed_by(crypto, signer.public_key_info())? {
            return Err(KeySetError::OtherIssuer);
        }
        let [usage] = read.extended.as_slice() else { return Err(KeySetError::WrongUsage) };
        if usage.as_bytes() != CONTEXT_KEY_USAGE || !read.is_authority() {
            return Err(KeySetError::WrongUsage);
        }
        let [GeneralName::DnsName(name)] = read.names.as_slice() else {
            return Err(KeySetError::Malformed("an identity has one DNS name".into()));
        };
        let name = GatewayName::parse(name.as_str())
            .map_err(|_| KeySetError::Malformed("an identity has a gateway's name".into()))?;
        Ok(Self {
            certificate: certificate.to_vec(),
            issuer: issuer.fingerprint(),
            name,
            serial: read.serial().to_vec(),
            from: read.from,
            until: read.until,
        })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Who signed it.
    #[must_use]
    pub const fn issuer(&self) -> IssuerFingerprint {
        self.issuer
    }

    /// The gateway's name.
    #[must_use]
    pub const fn name(&self) -> &GatewayName {
        &self.name
    }

    /// Its serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Its first moment.
    #[must_use]
    pub const fn from(&self) -> Time {
        self.from
    }

    /// Its last moment.
    #[must_use]
    pub const fn until(&self) -> Time {
        self.until
    }

    /// Whether a gateway that shows `other` is the one that is meant by this certificate: it shows the same, or
    /// one that was certified for the same name and is not older. An identity is renewed every few months,
    /// mostly for another key, and the issuer who vouches for both is the root of trust anyway; an older one may
    /// have been given up because its key was lost.
    #[must_use]
    pub fn is_followed_by(&self, other: &Self) -> bool {
        self.name == other.name && (self.certificate == other.certificate || other.from >= self.from)
    }

    /// Refuses an identity that stands on one of `lists`, whichever of the trusted issuers made it: once another
    /// issuer has followed, its lists name those of the one before too. Numbers are 127 random bits, so none
    /// is met twice.
    ///
    /// # Errors
    /// [`KeySetError::Revoked`].
    pub fn check_revocation(&self, lists: &RevocationLists) -> Result<(), KeySetError> {
        // None at all, or one that is out of date: what is known counts, and what is not refuses nobody.
        if lists.iter().any(|list| list.is_revoked(&self.serial)) {
            Err(KeySetError::Revoked)
        } else {
            Ok(())
        }
    }
}
