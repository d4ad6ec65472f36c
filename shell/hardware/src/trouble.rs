//! Why a key failed, for interfaces that say only that it did.

use crate::HardwareError;
use std::sync::{Arc, Mutex, PoisonError};
use symbolon_crypto::CryptoError;

/// Why the last use of a key failed. Copies are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<HardwareError>>>);

impl Trouble {
    /// Keeps it; gives what the interface says.
    pub(crate) fn keep(&self, error: HardwareError) -> CryptoError {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        CryptoError::BadKey
    }

    /// It, once.
    pub(crate) fn take(&self) -> Option<HardwareError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
