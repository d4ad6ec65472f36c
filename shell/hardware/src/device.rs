//! A device that was found, and what its PIN says to it.

use crate::error::{code, words};
use crate::find::{Found, again, find};
use crate::identity::TokenIdentity;
use crate::module::{LiveSession, Module, Started};
use crate::pin::Tries;
use crate::purpose::Purpose;
use crate::{DevicePin, HardwareError, OpenDevice, Pkcs11Uri};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::session::UserType;
use std::sync::Arc;

/// A token that is plugged in and can compute what its purpose needs. It is locked.
#[derive(Clone, Debug)]
pub struct Device {
    module: Arc<Module>,
    identity: TokenIdentity,
    purpose: Purpose,
}

impl Device {
    /// Finds the one token that fits, for the authentication keys of registrations.
    ///
    /// # Errors
    /// No module or none that works; no such token, or several; no HMAC-SHA-256; no PIN set.
    pub fn find(uri: &Pkcs11Uri) -> Result<Self, HardwareError> {
        Self::for_purpose(uri, Purpose::Authenticate)
    }

    /// Finds the one token that fits, for the key of a certificate.
    ///
    /// # Errors
    /// No module or none that works; no such token, or several; neither ECDSA nor RSA-PSS; no PIN set.
    pub fn find_signing(uri: &Pkcs11Uri) -> Result<Self, HardwareError> {
        Self::for_purpose(uri, Purpose::Sign)
    }

    fn for_purpose(uri: &Pkcs11Uri, purpose: Purpose) -> Result<Self, HardwareError> {
        purpose.permits(uri)?;
        let (module, identity) = find(uri)?;
        let device = Self { module, identity, purpose };
        let started = device.module.enter();
        let found = device.now(&started)?;
        if !purpose.is_served_by(&device.mechanisms(&started, &found)?) {
            return Err(device.cannot(purpose.needs()));
        }
        if !found.info.user_pin_initialized() {
            return Err(HardwareError::NoUserPin { token: device.identity.label.clone() });
        }
        drop(started);
        Ok(device)
    }

    /// What it can compute.
    pub(crate) fn mechanisms(
        &self,
        started: &Started,
        found: &Found,
    ) -> Result<Vec<MechanismType>, HardwareError> {
        started.pkcs11().get_mechanism_list(found.slot).map_err(|e| self.complaint(&e))
    }

    /// It lacks a mechanism.
    pub(crate) fn cannot(&self, needs: &'static str) -> HardwareError {
        HardwareError::NoMechanism { token: self.identity.label.clone(), needs }
    }

    /// Which token it is.
    #[must_use]
    pub const fn identity(&self) -> &TokenIdentity {
        &self.identity
    }

    /// The URI that finds it on every machine: the token's own names, and its module's as a hint.
    #[must_use]
    pub fn uri(&self) -> Pkcs11Uri {
        let module_name = crate::modules::name_of(self.module.path());
        Pkcs11Uri { module_name, ..self.identity.uri() }
    }

    /// What it says about attempts at its PIN.
    ///
    /// # Errors
    /// [`HardwareError::Gone`].
    pub fn tries(&self) -> Result<Tries, HardwareError> {
        Ok(Tries::of(&self.now(&self.module.enter())?.info))
    }

    /// Opens it with its PIN.
    ///
    /// # Errors
    /// [`HardwareError::WrongPin`], [`HardwareError::PinLocked`], [`HardwareError::PinLength`],
    /// [`HardwareError::PinExpired`], [`HardwareError::Gone`].
    pub fn open(&self, pin: DevicePin) -> Result<OpenDevice, HardwareError> {
        let started = self.module.enter();
        let found = self.now(&started)?;
        if found.info.user_pin_locked() {
            return Err(HardwareError::PinLocked { token: self.identity.label.clone() });
        }
        let session = self.log_in(&started, &found, &pin, Login::CheckPin)?;
        drop(started);
        Ok(OpenDevice::new(self.clone(), pin, session))
    }

    pub(crate) const fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Where it is now.
    pub(crate) fn now(&self, started: &Started) -> Result<Found, HardwareError> {
        again(started, &self.identity)
            .ok_or_else(|| HardwareError::Gone { token: self.identity.label.clone() })
    }

    pub(crate) fn log_in(
        &self,
        started: &Started,
        found: &Found,
        pin: &DevicePin,
        login: Login,
    ) -> Result<LiveSession, HardwareError> {
        let session = started.pkcs11().open_ro_session_no_drop(found.slot).map_err(|e| self.complaint(&e))?;
        let logged_in = match session.login(UserType::User, Some(&pin.for_login())) {
            // Of this process, which has one login for all its sessions.
            Err(e) if code(&e) == Some(RvError::UserAlreadyLoggedIn) => match login {
                Login::Again => Ok(()),
                Login::CheckPin => {
                    session.logout().and_then(|()| session.login(UserType::User, Some(&pin.for_login())))
                }
            },
            other => other,
        };
        let live = started.keep(session);
        match logged_in {
            Ok(()) => Ok(live),
            Err(e) => {
                started.close(live);
                Err(self.pin_complaint(started, found, &e))
            }
        }
    }

    fn pin_complaint(&self, started: &Started, before: &Found, e: &Pkcs11Error) -> HardwareError {
        let token = self.identity.label.clone();
        let info = || started.pkcs11().get_token_info(before.slot).unwrap_or_else(|_| before.info.clone());
        match code(e) {
            Some(RvError::PinIncorrect) => match Tries::of(&info()) {
                Tries::None => HardwareError::PinLocked { token },
                left => HardwareError::WrongPin { token, left },
            },
            Some(RvError::PinLocked) => HardwareError::PinLocked { token },
            Some(RvError::PinExpired) => HardwareError::PinExpired { token },
            Some(RvError::PinLenRange | RvError::PinInvalid | RvError::ArgumentsBad) => {
                HardwareError::PinLength {
                    token,
                    least: before.info.min_pin_length(),
                    most: before.info.max_pin_length(),
                }
            }
            Some(RvError::UserPinNotInitialized) => HardwareError::NoUserPin { token },
            _ => self.complaint(e),
        }
    }

    pub(crate) fn complaint(&self, e: &Pkcs11Error) -> HardwareError {
        let token = self.identity.label.clone();
        match code(e) {
            Some(
                RvError::TokenNotPresent
                | RvError::DeviceRemoved
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed,
            ) => HardwareError::Gone { token },
            Some(RvError::MechanismInvalid) => self.cannot(self.purpose.needs()),
            _ => HardwareError::Device { token, why: words(e) },
        }
    }
}

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// To see whether the PIN is right: that another session is logged in proves nothing.
    CheckPin,
    /// To go on with a PIN that was right.
    Again,
}
