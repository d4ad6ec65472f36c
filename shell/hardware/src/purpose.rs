//! What a device is wanted for.

use crate::uri::ObjectType;
use crate::{HardwareError, Pkcs11Uri};
use cryptoki::mechanism::MechanismType;

/// What a device is wanted for, and what it must be able to compute for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The authentication keys of registrations.
    Authenticate,
    /// The key of a certificate.
    Sign,
}

impl Purpose {
    /// Refuses a URI that names an object of another type.
    pub(crate) fn permits(self, uri: &Pkcs11Uri) -> Result<(), HardwareError> {
        let wanted = match self {
            Self::Authenticate => ObjectType::SecretKey,
            Self::Sign => ObjectType::Private,
        };
        match uri.object_type {
            Some(found) if found != wanted => Err(HardwareError::ObjectType { found, wanted }),
            _ => Ok(()),
        }
    }

    /// Whether these mechanisms are enough.
    pub(crate) fn is_served_by(self, mechanisms: &[MechanismType]) -> bool {
        match self {
            Self::Authenticate => mechanisms.contains(&MechanismType::SHA256_HMAC),
            Self::Sign => {
                mechanisms.contains(&MechanismType::ECDSA)
                    || mechanisms.contains(&MechanismType::RSA_PKCS_PSS)
            }
        }
    }

    /// What must be computed, as a part of a sentence.
    pub(crate) const fn needs(self) -> &'static str {
        match self {
            Self::Authenticate => "HMAC-SHA-256 (CKM_SHA256_HMAC), which signing in by a token needs",
            Self::Sign => {
                "ECDSA or RSA-PSS (CKM_ECDSA, CKM_RSA_PKCS_PSS), which signing in by a certificate needs"
            }
        }
    }
}
