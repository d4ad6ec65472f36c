//! The authentication key of a registration, in its device.

use crate::{HardwareError, OpenDevice};
use std::sync::{Arc, Mutex, PoisonError};
use symbolon_crypto::{Crypto, CryptoError, Secret, SecretBytes};
use symbolon_token::AuthenticationKey;
use symbolon_token::container::ObjectId;

/// A key in an open device. Copies are the same key.
///
/// An HMAC takes from 0.1 ms (SoftHSM) to some 100 ms (a smart card), and blocks the thread.
#[derive(Clone, Debug)]
pub struct DeviceKey {
    device: OpenDevice,
    object: ObjectId,
    trouble: Arc<Mutex<Option<HardwareError>>>,
}

impl DeviceKey {
    /// Why the last HMAC of this key failed, once: the interface of authentication keys says only
    /// that one did.
    #[must_use]
    pub fn take_trouble(&self) -> Option<HardwareError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Its id in the device.
    #[must_use]
    pub const fn object(&self) -> &ObjectId {
        &self.object
    }
}

impl OpenDevice {
    /// The key with that id. Whether it is there shows with the first HMAC.
    #[must_use]
    pub fn key(&self, object: ObjectId) -> DeviceKey {
        DeviceKey { device: self.clone(), object, trouble: Arc::default() }
    }
}

impl AuthenticationKey for DeviceKey {
    fn hmac(&self, _crypto: Crypto, message: &[&[u8]]) -> Result<Secret<32>, CryptoError> {
        let length = message.iter().map(|part| part.len()).sum();
        let whole = SecretBytes::written(length, |w| message.iter().for_each(|part| w.fixed(part)));
        self.device.hmac(&self.object, whole.expose()).map_err(|e| {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            CryptoError::BadKey
        })
    }
}
