//! A device, found and then opened with its PIN.

use crate::error::{code, words};
use crate::find::{Found, again, find};
use crate::identity::TokenIdentity;
use crate::module::{LiveSession, Module, Started};
use crate::pin::Tries;
use crate::{DevicePin, HardwareError, Pkcs11Uri};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::Secret;
use symbolon_token::container::ObjectId;

/// A token that is plugged in and can compute what signing in needs. It is locked.
#[derive(Clone, Debug)]
pub struct Device {
    module: Arc<Module>,
    identity: TokenIdentity,
}

impl Device {
    /// Finds the one token that fits.
    ///
    /// # Errors
    /// No module or none that works; no such token, or several; no HMAC-SHA-256; no PIN set.
    pub fn find(uri: &Pkcs11Uri) -> Result<Self, HardwareError> {
        let (module, identity) = find(uri)?;
        let device = Self { module, identity };
        let started = device.module.enter();
        let found = device.now(&started)?;
        let mechanisms = started.pkcs11().get_mechanism_list(found.slot).map_err(|e| device.complaint(&e))?;
        let token = || device.identity.label.clone();
        if !mechanisms.contains(&MechanismType::SHA256_HMAC) {
            return Err(HardwareError::NoMechanism { token: token() });
        }
        if !found.info.user_pin_initialized() {
            return Err(HardwareError::NoUserPin { token: token() });
        }
        drop(started);
        Ok(device)
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
        let held = Held { pin: Some(pin), live: Some(Live { session, handles: Vec::new() }) };
        Ok(OpenDevice(Arc::new(Shared { device: self.clone(), held: Mutex::new(held) })))
    }

    pub(crate) const fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Where it is now.
    fn now(&self, started: &Started) -> Result<Found, HardwareError> {
        again(started, &self.identity)
            .ok_or_else(|| HardwareError::Gone { token: self.identity.label.clone() })
    }

    fn log_in(
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
            Some(RvError::MechanismInvalid) => HardwareError::NoMechanism { token },
            _ => HardwareError::Device { token, why: words(e) },
        }
    }
}

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// To see whether the PIN is right: that another session is logged in proves nothing.
    CheckPin,
    /// To go on with a PIN that was right.
    Again,
}

/// A device that its owner has opened. Copies are the same device; with the last one the login ends.
#[derive(Clone, Debug)]
pub struct OpenDevice(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: Device,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Gone once the device refused it: trying on would lock the token.
    pin: Option<DevicePin>,
    live: Option<Live>,
}

struct Live {
    session: LiveSession,
    handles: Vec<(ObjectId, ObjectHandle)>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({} keys used)", self.handles.len())
    }
}

impl OpenDevice {
    /// Which device it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// HMAC-SHA-256 of `message` under the key with that id, computed in the device.
    ///
    /// # Errors
    /// [`HardwareError::Gone`], [`HardwareError::NoKey`], whatever else the device says.
    pub(crate) fn hmac(&self, object: &ObjectId, message: &[u8]) -> Result<Secret<32>, HardwareError> {
        let mut held = self.held();
        let started = self.0.device.module.enter();
        match self.sign(&started, &mut held, object, message) {
            Ok(mac) => return Ok(mac),
            // without a PIN nothing can be tried again
            Err(e @ HardwareError::PinNoLonger { .. }) => return Err(e),
            Err(_) => drop(started),
        }
        // Handles of a device that was plugged in again are worth nothing; some modules say so in
        // strange words, and some see it only after a new start. Computing twice does no harm.
        self.forget_session(&mut held);
        let mut started = self.0.device.module.enter();
        if again(&started, &self.0.device.identity).is_none() {
            self.0.device.module.restart(&mut started)?;
        }
        let result = self.sign(&started, &mut held, object, message);
        drop(started);
        if result.is_err() {
            self.forget_session(&mut held);
        }
        result
    }

    fn sign(
        &self,
        started: &Started,
        held: &mut Held,
        object: &ObjectId,
        message: &[u8],
    ) -> Result<Secret<32>, HardwareError> {
        let device = &self.0.device;
        let live = self.live(started, held)?;
        let session = started.session(&live.session).ok_or_else(|| gone(device))?;
        let known = live.handles.iter().find(|(id, _)| id == object).map(|(_, handle)| *handle);
        let handle = match known {
            Some(handle) => handle,
            None => {
                let handle = one_key(device, session, object)?;
                live.handles.push((object.clone(), handle));
                handle
            }
        };
        let mac = session.sign(&Mechanism::Sha256Hmac, handle, message).map_err(|e| device.complaint(&e))?;
        let mac = zeroize::Zeroizing::new(mac);
        Secret::from_slice(&mac).ok_or_else(|| HardwareError::Device {
            token: device.identity.label.clone(),
            why: "it computed an HMAC of another length".to_owned(),
        })
    }

    /// The session, opened anew where the last one is over.
    fn live<'a>(&self, started: &Started, held: &'a mut Held) -> Result<&'a mut Live, HardwareError> {
        let device = &self.0.device;
        let usable = held.live.as_ref().is_some_and(|live| started.session(&live.session).is_some());
        if !usable {
            held.live = None;
            let found = device.now(started)?;
            let no_longer = || HardwareError::PinNoLonger { token: device.identity.label.clone() };
            let pin = held.pin.as_ref().ok_or_else(no_longer)?;
            match device.log_in(started, &found, pin, Login::Again) {
                Ok(session) => held.live = Some(Live { session, handles: Vec::new() }),
                Err(e) => {
                    if matches!(e, HardwareError::WrongPin { .. } | HardwareError::PinLocked { .. }) {
                        held.pin = None;
                        return Err(no_longer());
                    }
                    return Err(e);
                }
            }
        }
        held.live.as_mut().ok_or_else(|| gone(device))
    }

    /// Runs `work` in a session that may write, after the device was opened.
    pub(crate) fn writing<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, HardwareError>,
    ) -> Result<T, HardwareError> {
        let mut held = self.held();
        let device = &self.0.device;
        let started = device.module.enter();
        self.live(&started, &mut held)?;
        let found = device.now(&started)?;
        let session = started.pkcs11().open_rw_session(found.slot).map_err(|e| device.complaint(&e))?;
        work(&session)
    }

    /// The PIN, for the tools of a TPM.
    pub(crate) fn pin(&self) -> Option<DevicePin> {
        self.held().pin.as_ref().map(DevicePin::duplicate)
    }

    /// Ends the session; the next use opens one.
    fn forget_session(&self, held: &mut Held) {
        if let Some(live) = held.live.take() {
            self.0.device.module.enter().close(live.session);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = held.live.take() {
            self.device.module.enter().close(live.session);
        }
    }
}

fn gone(device: &Device) -> HardwareError {
    HardwareError::Gone { token: device.identity.label.clone() }
}

/// The one secret key with that id.
pub(crate) fn one_key(
    device: &Device,
    session: &Session,
    object: &ObjectId,
) -> Result<ObjectHandle, HardwareError> {
    let (token, name) = (device.identity.label.clone(), object.to_string());
    match keys(device, session, object)?.as_slice() {
        [] => Err(HardwareError::NoKey { token, object: name }),
        [only] => Ok(*only),
        _ => Err(HardwareError::SeveralKeys { token, object: name }),
    }
}

/// All secret keys with that id.
pub(crate) fn keys(
    device: &Device,
    session: &Session,
    object: &ObjectId,
) -> Result<Vec<ObjectHandle>, HardwareError> {
    let template = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Id(object.as_bytes().to_vec())];
    session.find_objects(&template).map_err(|e| device.complaint(&e))
}
