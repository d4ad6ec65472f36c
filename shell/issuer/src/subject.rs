//! Certificates of persons and devices.

use crate::certificate::{self, Kind, Template};
use crate::lint::{LintProfile, lint_under};
use crate::request::{CertificateRequest, Possession, RequestedName};
use crate::{Issuer, IssuerError, Validity};
use der::Decode;
use der::asn1::Ia5String;
use symbolon_crypto::{Crypto, SubjectId, SubjectKey, SubjectProfile, Suite};
use symbolon_provider::crypto;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages, SubjectAltName};

/// How long a person's or a device's certificate lives unless the administrator says otherwise, in
/// seconds: a day. It is renewed from half its life, so a machine that is on once in twelve hours never
/// notices, and a lost one is shut out by the next day even where no list is read.
pub const DEFAULT_SUBJECT_SECS: u64 = 24 * 3600;

/// The longest that it may live, in seconds: 90 days.
pub const MAX_SUBJECT_SECS: u64 = 90 * 24 * 3600;

/// What an administrator, or a rule of theirs, approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectGrant {
    /// Whom the certificate is for.
    pub subject: SubjectId,
    /// What people read in it, 1 to 64 characters; nothing is decided by it.
    pub common_name: String,
    /// From when until when.
    pub validity: Validity,
}

/// A certificate that was made for a subject, for the register of the issuer. How it reaches the
/// subject is [`SubjectCertificate::deliver`]'s affair.
#[derive(Clone)]
pub struct SubjectCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) request: CertificateRequest,
    subject: SubjectId,
    serial: Vec<u8>,
    validity: Validity,
}

impl SubjectCertificate {
    /// A certificate (DER) that was made for `request` (DER) elsewhere and checked by
    /// [`SignedBundle::check`](crate::SignedBundle::check).
    ///
    /// # Errors
    /// [`IssuerError::OtherSubject`] when it is not for that request's subject and key,
    /// [`IssuerError::Malformed`].
    pub fn of(crypto: Crypto, request: &[u8], der: &[u8]) -> Result<Self, IssuerError> {
        let request =
            CertificateRequest::read(crypto, request).map_err(|e| IssuerError::Malformed(e.to_string()))?;
        let read = x509_cert::Certificate::from_der(der)?;
        let tbs = read.tbs_certificate();
        let RequestedName::Subject(subject) = request.name().clone() else {
            return Err(IssuerError::OtherSubject);
        };
        let uri = match tbs.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).as_deref() {
            Some([GeneralName::UniformResourceIdentifier(uri)]) => uri.as_str().to_owned(),
            _ => return Err(IssuerError::OtherSubject),
        };
        if uri != subject.uri() || *tbs.subject_public_key_info() != request.public_key {
            return Err(IssuerError::OtherSubject);
        }
        let serial = tbs.serial_number().as_bytes().to_vec();
        let validity = Validity::from_x509(tbs.validity());
        Ok(Self { der: der.to_vec(), request, subject, serial, validity })
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`CertificateRequest::key_hash`].
    pub fn key_hash(&self, crypto: Crypto) -> Result<[u8; 32], IssuerError> {
        self.request.key_hash(crypto)
    }

    /// The certificate, DER, for the register.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it is for.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// Its serial number, big-endian, 16 bytes.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// From when until when it is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// The request that it answers.
    #[must_use]
    pub const fn request(&self) -> &CertificateRequest {
        &self.request
    }

    /// Whether its key was proved by the request.
    #[must_use]
    pub const fn possession(&self) -> Possession {
        self.request.possession()
    }
}

impl std::fmt::Debug for SubjectCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectCertificate({})", self.subject)
    }
}

impl Issuer {
    /// Certifies the key in `request` for the subject that was granted, which must be the one that
    /// the request names: what nobody asked for is not signed. It ends with the issuer's own
    /// certificate at the latest.
    ///
    /// # Errors
    /// [`IssuerError::OtherSubject`], [`IssuerError::OutsideValidity`] also for more than
    /// [`MAX_SUBJECT_SECS`], [`IssuerError::BadName`] for a common name that cannot stand there.
    pub fn certify_subject(
        &self,
        request: &CertificateRequest,
        grant: &SubjectGrant,
    ) -> Result<SubjectCertificate, IssuerError> {
        let subject = match request.name() {
            RequestedName::Subject(subject) if *subject == grant.subject => subject.clone(),
            _ => return Err(IssuerError::OtherSubject),
        };
        let name = &grant.common_name;
        if name.is_empty()
            || name.chars().count() > certificate::MAX_COMMON_NAME
            || name.chars().any(char::is_control)
        {
            return Err(IssuerError::BadName);
        }
        let lifetime = grant.validity.until().distance_secs(grant.validity.from());
        if lifetime > MAX_SUBJECT_SECS + crate::CLOCK_LEEWAY_SECS {
            return Err(IssuerError::OutsideValidity);
        }
        let validity = grant.validity.within(self.validity())?;
        let kind = match subject.profile() {
            SubjectProfile::Person => Kind::Person,
            SubjectProfile::Device => Kind::Device,
        };
        let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&subject.uri())?);
        let der = Template {
            subject: kind.subject(name)?,
            public_key: request.public_key.clone(),
            validity,
            extensions: Vec::new(),
        }
        .with(&KeyUsage(key_usage(request.key()).into()))?
        .with(&certificate::extended_usage(subject.profile().usage())?)?
        .with(&SubjectAltName(vec![uri]))?
        .sign(self.name(), self.key())?;
        let findings =
            lint_under(&der, LintProfile::Subject(subject.profile()), self.certificate(), crypto());
        if let Some(finding) = findings.first() {
            return Err(IssuerError::Lint(finding.to_string()));
        }
        SubjectCertificate::of(crypto(), request.der(), &der)
    }
}

/// The serial number of a certificate (DER), big-endian.
///
/// # Errors
/// [`IssuerError::Malformed`].
pub fn serial_number(der: &[u8]) -> Result<Vec<u8>, IssuerError> {
    let read = x509_cert::Certificate::from_der(der)?;
    Ok(read.tbs_certificate().serial_number().as_bytes().to_vec())
}

/// RFC 8410 §5 wants keyAgreement for X25519, RFC 9935 §5 keyEncipherment for a KEM.
pub(crate) fn key_usage(key: &SubjectKey) -> KeyUsages {
    match key {
        SubjectKey::Kem(key) if key.suite() == Suite::X25519 => KeyUsages::KeyAgreement,
        SubjectKey::Kem(_) => KeyUsages::KeyEncipherment,
        SubjectKey::Signature(_) => KeyUsages::DigitalSignature,
    }
}
