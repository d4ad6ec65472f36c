//! Devices that hold a token's keys, or a certificate's: found by what the file or its owner says, opened, filled.

use crate::{AgentError, ErrorKind, UserConfig};
use std::sync::{Mutex, MutexGuard, PoisonError};
use symbolon_hardware::{Device, DeviceKey, DeviceSigner, HardwareError, OpenDevice, Pkcs11Uri};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::container::{DeviceReference, ObjectId, Token, TokenError, UnlockedToken};

/// Finds the device that a token's file names.
pub(crate) fn of_token(reference: &DeviceReference, config: &UserConfig) -> Result<Device, AgentError> {
    named_in_file(in_file(reference)?, config, "the token's keys", Device::find)
}

/// Finds the device that holds the key of the certificate that the agent keeps.
pub(crate) fn of_certificate(key: &Pkcs11Uri, config: &UserConfig) -> Result<Device, AgentError> {
    named_in_file(key.portable(), config, "the certificate's key", Device::find_signing)
}

fn named_in_file(
    named: Pkcs11Uri,
    config: &UserConfig,
    what: &str,
    find: fn(&Pkcs11Uri) -> Result<Device, HardwareError>,
) -> Result<Device, AgentError> {
    let module_path = config.pkcs11_module.clone();
    let found = match find(&Pkcs11Uri { module_path: module_path.clone(), ..named.clone() }) {
        // Here the module may have another name; the token's own names suffice.
        Err(HardwareError::NoModule { name: Some(_) }) => {
            find(&Pkcs11Uri { module_name: None, module_path, ..named.clone() })
        }
        other => other,
    };
    found.map_err(|e| match e {
        HardwareError::NoToken { problems, .. } => {
            let problems: String = problems.iter().map(|p| format!("; {p}")).collect();
            AgentError::unreachable(format!("the device that holds {what} is not there ({named}){problems}"))
            .fix("plug it in; if this machine has no module for it, install one, or name it with pkcs11_module in \
                  the configuration file")
        }
        other => other.into(),
    })
}

/// What a file may say: files come from anywhere, so none names the code that runs here.
fn in_file(reference: &DeviceReference) -> Result<Pkcs11Uri, AgentError> {
    Ok(Pkcs11Uri::parse(reference.uri()).map_err(HardwareError::from)?.portable())
}

/// Opens a token with the device that its file names.
pub(crate) fn open(token: Token, device: &OpenDevice) -> Result<UnlockedToken, AgentError> {
    let reference = token.device().ok_or(TokenError::NotInDevice)?;
    let seal = device.key(reference.seal().clone());
    token.unlock_with(crypto(), &seal).map_err(|e| seal.take_trouble().map_or_else(|| e.into(), Into::into))
}

/// The devices that an agent has opened: their owner types a PIN once.
#[derive(Debug, Default)]
pub(crate) struct OpenDevices(Mutex<Vec<OpenDevice>>);

impl OpenDevices {
    /// One more.
    pub(crate) fn add(&self, device: OpenDevice) {
        self.all().push(device);
    }

    /// That one, if it is open.
    pub(crate) fn open(&self, device: &Device) -> Option<OpenDevice> {
        self.all().iter().find(|open| open.device().identity() == device.identity()).cloned()
    }

    /// The one that holds this key, if it is open.
    pub(crate) fn with(&self, key: &Pkcs11Uri) -> Result<OpenDevice, AgentError> {
        let open = self.all().iter().find(|open| open.device().identity().fits(key)).cloned();
        open.ok_or_else(|| {
            AgentError::denied(format!("the certificate's key is in a device that is not open here ({key})"))
                .fix("open it: symbolon logout, then symbolon login --with certificate")
        })
    }

    /// The key itself.
    pub(crate) fn signer(&self, key: &Pkcs11Uri) -> Result<DeviceSigner, AgentError> {
        Ok(self.with(key)?.signer(crypto(), key)?)
    }

    fn all(&self) -> MutexGuard<'_, Vec<OpenDevice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open device that an enrolment fills. What it brought in goes again unless it is kept.
#[derive(Debug)]
pub(crate) struct Filling {
    device: OpenDevice,
    brought: Vec<ObjectId>,
}

impl Filling {
    pub(crate) const fn new(device: OpenDevice) -> Self {
        Self { device, brought: Vec::new() }
    }

    /// Binds a blank token to the device, with a new sealing key in it.
    pub(crate) fn bind(&mut self, token: Token) -> Result<UnlockedToken, AgentError> {
        let label = "symbolon token seal";
        let seal = self.device.generate(crypto(), &mut SystemEntropy, *token.id(), label)?;
        self.brought.push(seal.object().clone());
        let uri = self.device.device().uri().to_string();
        let reference = DeviceReference::new(uri, seal.object().clone())?;
        Ok(UnlockedToken::first_device(crypto(), &mut SystemEntropy, token, reference, &seal)?)
    }

    /// Brings in the authentication key of a registration.
    pub(crate) fn import(
        &mut self,
        registration_id: [u8; 16],
        label: &str,
        key: &SoftwareKey,
    ) -> Result<DeviceKey, AgentError> {
        let imported = self.device.import(crypto(), &mut SystemEntropy, registration_id, label, key)?;
        self.brought.push(imported.object().clone());
        Ok(imported)
    }

    /// Keeps what was brought in: the token's file names it now. `replaced` is not needed any more.
    pub(crate) fn keep(mut self, replaced: Option<&ObjectId>) {
        let brought = std::mem::take(&mut self.brought);
        if let Some(replaced) = replaced.filter(|old| !brought.contains(old)) {
            // a key that stays behind opens nothing
            let _ = self.device.remove(replaced);
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        for object in &self.brought {
            // the device may be what failed
            let _ = self.device.remove(object);
        }
    }
}

impl From<HardwareError> for AgentError {
    fn from(e: HardwareError) -> Self {
        let kind = match &e {
            HardwareError::NoToken { .. } | HardwareError::Gone { .. } => ErrorKind::Unreachable,
            HardwareError::Uri(_)
            | HardwareError::SeveralTokens { .. }
            | HardwareError::SeveralKeys { .. }
            | HardwareError::KeyKind { .. }
            | HardwareError::ObjectType { .. }
            | HardwareError::PinSource { .. } => ErrorKind::Usage,
            HardwareError::WrongPin { .. }
            | HardwareError::PinLocked { .. }
            | HardwareError::PinNoLonger { .. }
            | HardwareError::PinExpired { .. } => ErrorKind::Denied,
            _ => ErrorKind::Failure,
        };
        let error = Self::new(kind, e.to_string());
        match e.fix() {
            Some(fix) => error.fix(fix),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_code_execution_by_a_token_file() {
        let uri = "pkcs11:token=work;slot-id=1?module-path=/tmp/evil.so&pin-source=file:/etc/shadow";
        let reference = DeviceReference::new(uri.to_owned(), ObjectId::from([1; 16])).unwrap();
        assert_eq!(in_file(&reference).unwrap().to_string(), "pkcs11:token=work?module-name=evil");
    }
}
