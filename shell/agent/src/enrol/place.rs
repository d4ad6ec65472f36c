//! Where an enrolment puts the keys: in the token's file, or in a device.

use super::start::Start;
use crate::device::{Filling, of_token};
use crate::dialogue::{Decision, Dialogue, PinPurpose};
use crate::{AgentError, UserConfig};
use symbolon_hardware::{Device, DevicePin, HardwareError, OpenDevice, Pkcs11Uri};
use symbolon_policy::TokenClass;
use symbolon_token::SoftwareKey;
use symbolon_token::container::{HeldKey, ObjectId, TokenError};

/// Where the keys of a token are, or will be.
#[derive(Debug)]
pub(super) enum Place {
    /// In its file.
    File,
    /// In a device, and where its PIN comes from if nobody is asked.
    Device(Box<Device>, Option<DevicePin>),
}

impl Place {
    /// A token that is registered has its place; for another one its owner says.
    ///
    /// # Errors
    /// The device is not there, or the token has its keys elsewhere.
    pub(super) fn choose(
        start: &Start,
        wanted: Option<&Pkcs11Uri>,
        config: &UserConfig,
    ) -> Result<Self, AgentError> {
        let pin = wanted.and_then(|uri| uri.pin_source.as_deref()).map(DevicePin::from_file).transpose()?;
        let device = match (start.registered(), wanted) {
            (None, None) => return Ok(Self::File),
            (None, Some(uri)) => Device::find(uri)?,
            (Some(token), wanted) => match (token.device(), wanted) {
                (None, None) => return Ok(Self::File),
                (None, Some(_)) => return Err(TokenError::OtherPlace.into()),
                (Some(reference), None) => of_token(reference, config)?,
                (Some(reference), Some(uri)) => {
                    let device = of_token(reference, config)?;
                    if Device::find(uri)?.identity() != device.identity() {
                        return Err(TokenError::OtherPlace.into());
                    }
                    device
                }
            },
        };
        Ok(Self::Device(Box::new(device), pin))
    }

    /// What kind of token it makes.
    pub(super) const fn class(&self) -> TokenClass {
        match self {
            Self::File => TokenClass::Software,
            Self::Device(..) => TokenClass::Hardware,
        }
    }

    /// Opens the device, if there is one; asks for its PIN as often as its owner wants to try.
    pub(super) fn open(self, dialogue: &mut dyn Dialogue) -> Result<Option<OpenDevice>, AgentError> {
        let Self::Device(device, pin) = self else { return Ok(None) };
        if let Some(pin) = pin {
            return Ok(Some(device.open(pin)?));
        }
        loop {
            let error = match device.open(DevicePin::new(dialogue.pin(PinPurpose::Device)?)) {
                Ok(open) => return Ok(Some(open)),
                Err(e) => e,
            };
            let again = matches!(error, HardwareError::WrongPin { .. } | HardwareError::PinLength { .. });
            if !again || dialogue.problem(&error.to_string()) == Decision::Stop {
                return Err(error.into());
            }
        }
    }
}

/// Puts a new key where the token's keys are.
pub(super) fn put_key(
    filling: Option<&mut Filling>,
    registration_id: [u8; 16],
    label: &str,
    key: SoftwareKey,
) -> Result<HeldKey, AgentError> {
    match filling {
        None => Ok(HeldKey::Software(key)),
        Some(filling) => {
            let imported = filling.import(registration_id, label, &key)?;
            Ok(HeldKey::Device(imported.object().clone()))
        }
    }
}

/// The object that a registration leaves behind when another takes its place.
pub(super) fn object(key: &HeldKey) -> Option<ObjectId> {
    match key {
        HeldKey::Software(_) => None,
        HeldKey::Device(object) => Some(object.clone()),
    }
}
