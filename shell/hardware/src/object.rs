//! Which object of a device is meant.

use crate::{Device, HardwareError, Pkcs11Uri};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use std::fmt;
use symbolon_token::container::ObjectId;

/// An object by its class and what else is known of it; all of that must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    class: ObjectClass,
    id: Option<Vec<u8>>,
    label: Option<String>,
}

impl Wanted {
    /// The secret key with that id.
    pub(crate) fn secret(id: &ObjectId) -> Self {
        Self { class: ObjectClass::SECRET_KEY, id: Some(id.as_bytes().to_vec()), label: None }
    }

    /// The private key that a URI names.
    pub(crate) fn private(uri: &Pkcs11Uri) -> Self {
        Self { class: ObjectClass::PRIVATE_KEY, id: uri.id.clone(), label: uri.object.clone() }
    }

    /// The public half of a private key.
    pub(crate) fn public_half(&self) -> Self {
        Self { class: ObjectClass::PUBLIC_KEY, ..self.clone() }
    }

    /// The one object that fits.
    pub(crate) fn one(&self, device: &Device, session: &Session) -> Result<ObjectHandle, HardwareError> {
        let (token, object) = (device.identity().label.clone(), self.to_string());
        match self.all(device, session)?.as_slice() {
            [] => Err(HardwareError::NoKey { token, object }),
            [only] => Ok(*only),
            _ => Err(HardwareError::SeveralKeys { token, object }),
        }
    }

    /// All objects that fit.
    pub(crate) fn all(&self, device: &Device, session: &Session) -> Result<Vec<ObjectHandle>, HardwareError> {
        let mut template = vec![Attribute::Class(self.class)];
        template.extend(self.id.clone().map(Attribute::Id));
        template.extend(self.label.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
        session.find_objects(&template).map_err(|e| device.complaint(&e))
    }
}

/// An id in hexadecimal, as the devices' own tools show it; a label as it is.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "{label:?}")?;
        }
        if let Some(id) = &self.id {
            let gap = if self.label.is_some() { " " } else { "" };
            f.write_str(gap)?;
            id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if self.label.is_none() && self.id.is_none() { f.write_str("that is asked for") } else { Ok(()) }
    }
}
