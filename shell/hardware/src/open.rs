//! A device that its owner has opened.

use crate::device::Login;
use crate::find::again;
use crate::module::{LiveSession, Started};
use crate::object::Wanted;
use crate::{Device, DevicePin, HardwareError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    handles: Vec<(Wanted, ObjectHandle)>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({} keys used)", self.handles.len())
    }
}

impl OpenDevice {
    pub(crate) fn new(device: Device, pin: DevicePin, session: LiveSession) -> Self {
        let held = Held { pin: Some(pin), live: Some(Live { session, handles: Vec::new() }) };
        Self(Arc::new(Shared { device, held: Mutex::new(held) }))
    }

    /// Which device it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// Runs `work` with the one object that is wanted. It may run twice.
    ///
    /// # Errors
    /// [`HardwareError::Gone`], [`HardwareError::NoKey`], whatever else the device says.
    pub(crate) fn using<T>(
        &self,
        wanted: &Wanted,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, HardwareError>,
    ) -> Result<T, HardwareError> {
        let mut held = self.held();
        let started = self.0.device.module().enter();
        match self.once(&started, &mut held, wanted, &work) {
            Ok(done) => return Ok(done),
            // without a PIN nothing can be tried again
            Err(e @ HardwareError::PinNoLonger { .. }) => return Err(e),
            Err(_) => drop(started),
        }
        // Handles of a device that was plugged in again are worth nothing; some modules say so in
        // strange words, and some see it only after a new start. Computing twice does no harm.
        self.forget_session(&mut held);
        let mut started = self.0.device.module().enter();
        if again(&started, self.0.device.identity()).is_none() {
            self.0.device.module().restart(&mut started)?;
        }
        let result = self.once(&started, &mut held, wanted, &work);
        drop(started);
        if result.is_err() {
            self.forget_session(&mut held);
        }
        result
    }

    fn once<T>(
        &self,
        started: &Started,
        held: &mut Held,
        wanted: &Wanted,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, HardwareError>,
    ) -> Result<T, HardwareError> {
        let device = &self.0.device;
        let live = self.live(started, held)?;
        let session = started.session(&live.session).ok_or_else(|| gone(device))?;
        let known = live.handles.iter().find(|(of, _)| of == wanted).map(|(_, handle)| *handle);
        let handle = match known {
            Some(handle) => handle,
            None => {
                let handle = wanted.one(device, session)?;
                live.handles.push((wanted.clone(), handle));
                handle
            }
        };
        work(session, handle)
    }

    /// The session, opened anew where the last one is over.
    fn live<'a>(&self, started: &Started, held: &'a mut Held) -> Result<&'a mut Live, HardwareError> {
        let device = &self.0.device;
        let usable = held.live.as_ref().is_some_and(|live| started.session(&live.session).is_some());
        if !usable {
            held.live = None;
            let found = device.now(started)?;
            let no_longer = || HardwareError::PinNoLonger { token: device.identity().label.clone() };
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
        let started = device.module().enter();
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
            self.0.device.module().enter().close(live.session);
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
            self.device.module().enter().close(live.session);
        }
    }
}

fn gone(device: &Device) -> HardwareError {
    HardwareError::Gone { token: device.identity().label.clone() }
}
