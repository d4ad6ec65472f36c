//! The authentication key of a registration, in its device.

use crate::object::Wanted;
use crate::trouble::Trouble;
use crate::{HardwareError, OpenDevice};
use cryptoki::mechanism::Mechanism;
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
    trouble: Trouble,
}

impl DeviceKey {
    /// Why the last HMAC of this key failed, once: the interface of authentication keys says only
    /// that one did.
    #[must_use]
    pub fn take_trouble(&self) -> Option<HardwareError> {
        self.trouble.take()
    }

    /// The device that holds it.
    #[must_use]
    pub const fn device(&self) -> &OpenDevice {
        &self.device
    }

    /// Its id in the device.
    #[must_use]
    pub const fn object(&self) -> &ObjectId {
        &self.object
    }

    fn compute(&self, message: &[u8]) -> Result<Secret<32>, HardwareError> {
        let device = self.device.device();
        self.device.using(&Wanted::secret(&self.object), |session, key| {
            let mac = session.sign(&Mechanism::Sha256Hmac, key, message).map_err(|e| device.complaint(&e))?;
            let mac = zeroize::Zeroizing::new(mac);
            Secret::from_slice(&mac).ok_or_else(|| HardwareError::Device {
                token: device.identity().label.clone(),
                why: "it computed an HMAC of another length".to_owned(),
            })
        })
    }
}

impl OpenDevice {
    /// The key with that id. Whether it is there shows with the first HMAC.
    #[must_use]
    pub fn key(&self, object: ObjectId) -> DeviceKey {
        DeviceKey { device: self.clone(), object, trouble: Trouble::default() }
    }
}

impl AuthenticationKey for DeviceKey {
    fn hmac(&self, _crypto: Crypto, message: &[&[u8]]) -> Result<Secret<32>, CryptoError> {
        let length = message.iter().map(|part| part.len()).sum();
        let whole = SecretBytes::written(length, |w| message.iter().for_each(|part| w.fixed(part)));
        self.compute(whole.expose()).map_err(|e| self.trouble.keep(e))
    }
}
