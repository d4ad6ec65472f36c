//! Why a subject's certificate was not accepted.

/// Why a person's or a device's certificate was not accepted. Whoever presented it erred, or its
/// issuer did; [`SubjectError::Untrusted`] and what follows tell our own configuration's part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not a certificate in the one encoding that DER has, or longer than certificates may be here.
    #[error("malformed certificate: {0}")]
    Malformed(String),
    /// RFC 5280 §4.1.2.2: a positive number of at most 20 bytes.
    #[error("the certificate's serial number is not one")]
    BadSerial,
    /// A critical extension that is not understood here (RFC 5280 §4.2).
    #[error("the certificate has a critical extension that is not understood")]
    CriticalExtension,
    /// No path to an issuer that is trusted: none of that name, or the signature is by another key.
    #[error("the certificate is not from an issuer that is trusted here")]
    Untrusted,
    /// A path holds a certificate outside its time.
    #[error("the certificate has expired or is not valid yet")]
    OutsideValidity,
    /// The issuer's own certificate is outside its time.
    #[error("the issuer's certificate has expired or is not valid yet")]
    IssuerOutsideValidity,
    /// Key usage or extended key usage do not fit.
    #[error("the certificate is not meant for this use")]
    WrongUsage,
    /// A certificate in the path may not sign certificates, or not at this depth.
    #[error("a certificate in the path is no authority for this one")]
    NotAnAuthority,
    /// A name that an authority in the path is not permitted to certify.
    #[error("an authority in the path may not certify this name")]
    NameConstraint,
    /// A key that is too weak or of a kind that is not known here.
    #[error("a key in the certificate path is too weak or of an unknown kind")]
    WeakKey,
    /// A signature algorithm that is not accepted, SHA-1 among them.
    #[error("a certificate in the path is signed with an algorithm that is not accepted")]
    WeakSignature,
    /// On the issuer's revocation list, or its key is blocked.
    #[error("the certificate is revoked")]
    Revoked,
    /// The revocation list that policy demands is missing or out of date.
    #[error("the issuer's revocation list is missing or out of date")]
    RevocationUnknown,
    /// No name in the form that the rule for this issuer asks for.
    #[error("the certificate names nobody by the rule for its issuer")]
    NoName,
    /// More than one such name.
    #[error("the certificate names more than one subject")]
    AmbiguousName,
}

impl SubjectError {
    pub(crate) fn malformed(reason: impl std::fmt::Display) -> Self {
        Self::Malformed(reason.to_string())
    }
}

impl From<der::Error> for SubjectError {
    fn from(e: der::Error) -> Self {
        Self::malformed(e)
    }
}

impl From<webpki::Error> for SubjectError {
    fn from(e: webpki::Error) -> Self {
        use webpki::Error as E;
        match e {
            E::CertExpired { .. } | E::CertNotValidYet { .. } => Self::OutsideValidity,
            E::UnknownIssuer | E::InvalidSignatureForPublicKey => Self::Untrusted,
            E::RequiredEkuNotFoundContext(_) | E::CaUsedAsEndEntity | E::EmptyEkuExtension => {
                Self::WrongUsage
            }
            E::EndEntityUsedAsCa | E::PathLenConstraintViolated => Self::NotAnAuthority,
            E::NameConstraintViolation => Self::NameConstraint,
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::WeakSignature,
            E::UnsupportedCriticalExtension => Self::CriticalExtension,
            other => Self::malformed(other),
        }
    }
}
