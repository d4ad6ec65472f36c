//! What certificate is wished for, and where its key is made.

use crate::certificate_key::{HeldKey, KeptKey, NewKey};
use crate::device::OpenDevices;
use crate::kept_certificate::CertificateInfo;
use crate::key::blocking;
use crate::{AgentError, PIN_WANTED};
use symbolon_crypto::SubjectId;
use symbolon_hardware::{Device, DevicePin, OpenDevice, Pkcs11Uri};
use symbolon_issuer::{CertificateRequest, RequestedName};
use symbolon_provider::{SubjectKeyKind, crypto};
use tokio::sync::oneshot;

/// What a person asks for.
pub(crate) struct Order {
    pub(crate) kind: SubjectKeyKind,
    /// The device's label.
    pub(crate) device: String,
    /// The PKCS#11 device that shall make and hold its key.
    pub(crate) place: Option<Place>,
    pub(crate) reply: oneshot::Sender<Result<CertificateInfo, AgentError>>,
}

/// A PKCS#11 device, and its PIN unless it is open already.
pub(crate) struct Place {
    pub(crate) uri: Pkcs11Uri,
    pub(crate) pin: Option<DevicePin>,
}

impl Place {
    /// Opens it.
    fn open(self, devices: &OpenDevices) -> Result<OpenDevice, AgentError> {
        if self.uri.id.is_some() {
            return Err(AgentError::usage(
                "the URI names a key by its id, and a new key gets an id of its own",
            )
            .fix("leave id=… out; object=… may name the new key"));
        }
        let device = Device::find_signing(&self.uri)?;
        if let Some(open) = devices.open(&device) {
            return Ok(open);
        }
        let pin = self.pin.ok_or_else(|| {
            let label = &device.identity().label;
            AgentError::denied(format!("the device {label} wants its PIN")).code(PIN_WANTED).fix("type it")
        })?;
        let open = device.open(pin)?;
        devices.add(open.clone());
        Ok(open)
    }
}

/// What was asked for, and the key that it is for.
pub(super) struct Wish {
    pub(super) request: CertificateRequest,
    pub(super) key: NewKey,
    pub(super) subject: SubjectId,
}

impl Wish {
    pub(super) fn new(subject: SubjectId, key: NewKey) -> Result<Self, AgentError> {
        let failed = |e: &dyn std::fmt::Display| AgentError::failure(format!("the request: {e}"));
        let name = RequestedName::Subject(subject.clone());
        let der = blocking(|| CertificateRequest::make(&name, key.for_request()))
            .map_err(|e| key.trouble().unwrap_or_else(|| failed(&e)))?;
        let request = CertificateRequest::read(crypto(), &der).map_err(|e| failed(&e))?;
        Ok(Self { request, key, subject })
    }
}

/// Makes the key for a first certificate, in `place` if one is named.
pub(super) fn new_key(
    subject: &SubjectId,
    kind: SubjectKeyKind,
    place: Option<Place>,
    devices: &OpenDevices,
) -> Result<NewKey, AgentError> {
    match place {
        None => Ok(NewKey::here(kind)),
        Some(_) if kind != SubjectKeyKind::P256 => Err(not_in_a_device(kind)),
        Some(place) => {
            let label = place.uri.object.clone().unwrap_or_else(|| subject.uri());
            NewKey::in_device(&blocking(|| place.open(devices))?, &label)
        }
    }
}

/// The key of the old certificate, ready for use, and one of its kind for the next, in the same place.
pub(super) fn next_key(
    subject: &SubjectId,
    old: KeptKey,
    devices: &OpenDevices,
) -> Result<(HeldKey, NewKey), AgentError> {
    match old {
        KeptKey::Here(key) => {
            let next = NewKey::here(key.kind());
            Ok((HeldKey::Ours(key), next))
        }
        KeptKey::Device(uri) => blocking(|| {
            let held = HeldKey::Device(Box::new(devices.signer(&uri)?));
            let label = uri.object.clone().unwrap_or_else(|| subject.uri());
            Ok((held, NewKey::in_device(&devices.with(&uri)?, &label)?))
        }),
    }
}

/// Devices make keys of one kind here.
fn not_in_a_device(kind: SubjectKeyKind) -> AgentError {
    let what = match kind {
        SubjectKeyKind::XWing | SubjectKeyKind::X25519 => "it opens envelopes, which devices do not do here",
        SubjectKeyKind::P256 | SubjectKeyKind::Ed25519 => "devices make keys of the kind p256 here",
    };
    AgentError::usage(format!("a key of the kind {} cannot be in a device: {what}", kind.as_str()))
        .fix("--key p256; or leave the device out, and the key is in a file")
}
