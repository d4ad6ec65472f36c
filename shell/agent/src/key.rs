//! An authentication key, wherever it lies.

use crate::AgentError;
use symbolon_crypto::{Crypto, CryptoError, Secret};
use symbolon_hardware::DeviceKey;
use symbolon_token::container::{HeldKey, UnlockedToken};
use symbolon_token::{AuthenticationKey, SoftwareKey};
use tokio::runtime::{Handle, RuntimeFlavor};

/// The key of one registration, ready for use.
#[derive(Debug)]
pub(crate) enum Key {
    /// In memory.
    Software(SoftwareKey),
    /// In a device that is open.
    Device(DeviceKey),
}

impl Key {
    /// The key that a registration holds; `device` is the open device of the token.
    pub(crate) fn of(
        held: &HeldKey,
        device: Option<&symbolon_hardware::OpenDevice>,
        token: &UnlockedToken,
    ) -> Result<Self, AgentError> {
        match (held, device) {
            (HeldKey::Software(key), _) => Ok(Self::Software(key.duplicate())),
            (HeldKey::Device(object), Some(device)) => Ok(Self::Device(device.key(object.clone()))),
            // a token in a device opens only with it
            (HeldKey::Device(_), None) => {
                let uri = token.device().map_or("", |d| d.uri());
                Err(AgentError::failure(format!("the key is in a device that is not open ({uri})")))
            }
        }
    }

    /// A second copy, or the same device.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Software(key) => Self::Software(key.duplicate()),
            Self::Device(key) => Self::Device(key.clone()),
        }
    }

    /// The device that holds it.
    pub(crate) fn device(&self) -> Option<&symbolon_hardware::Device> {
        match self {
            Self::Software(_) => None,
            Self::Device(key) => Some(key.device().device()),
        }
    }

    /// Why the device failed, where that is why an exchange broke off.
    pub(crate) fn trouble(&self) -> Option<AgentError> {
        match self {
            Self::Software(_) => None,
            Self::Device(key) => key.take_trouble().map(AgentError::from),
        }
    }
}

impl AuthenticationKey for Key {
    fn hmac(&self, crypto: Crypto, message: &[&[u8]]) -> Result<Secret<32>, CryptoError> {
        match self {
            Self::Software(key) => key.hmac(crypto, message),
            Self::Device(key) => blocking(|| key.hmac(crypto, message)),
        }
    }
}

/// Runs what blocks; where there are other threads, they take over meanwhile.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
