//! Which token a device is.

use crate::uri::{LibraryVersion, Pkcs11Uri};
use cryptoki::context::Info;
use cryptoki::slot::{Slot, SlotInfo, TokenInfo};

/// What names one token wherever it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIdentity {
    /// Its label, which its owner chose.
    pub label: String,
    /// Who made it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
}

impl TokenIdentity {
    pub(crate) fn of(token: &TokenInfo) -> Self {
        Self {
            label: token.label().to_owned(),
            manufacturer: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            serial: token.serial_number().to_owned(),
        }
    }

    /// The URI that names this token and no other.
    #[must_use]
    pub fn uri(&self) -> Pkcs11Uri {
        Pkcs11Uri {
            token: Some(self.label.clone()),
            manufacturer: Some(self.manufacturer.clone()),
            serial: Some(self.serial.clone()),
            model: Some(self.model.clone()),
            ..Pkcs11Uri::default()
        }
    }

    /// Whether a URI may mean this token; what it leaves out may be anything.
    #[must_use]
    pub fn fits(&self, uri: &Pkcs11Uri) -> bool {
        fits(&uri.token, &self.label)
            && fits(&uri.manufacturer, &self.manufacturer)
            && fits(&uri.serial, &self.serial)
            && fits(&uri.model, &self.model)
    }
}

pub(crate) fn library_fits(uri: &Pkcs11Uri, library: &Info) -> bool {
    let version = library.library_version();
    let version = LibraryVersion { major: version.major(), minor: version.minor() };
    fits(&uri.library_manufacturer, library.manufacturer_id())
        && fits(&uri.library_description, library.library_description())
        && uri.library_version.is_none_or(|wanted| wanted == version)
}

pub(crate) fn slot_fits(uri: &Pkcs11Uri, slot: Slot, info: &SlotInfo) -> bool {
    fits(&uri.slot_description, info.slot_description())
        && fits(&uri.slot_manufacturer, info.manufacturer_id())
        && uri.slot_id.is_none_or(|wanted| wanted == slot.id())
}

/// Exactly: no letter is taken for another (RFC 7512 §2.5).
fn fits(wanted: &Option<String>, is: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == is)
}
