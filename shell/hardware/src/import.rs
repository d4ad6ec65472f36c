//! Bringing an authentication key into a device, which never gives it out again.

use crate::error::{code, words};
use crate::object::Wanted;
use crate::{Device, DeviceKey, HardwareError, OpenDevice, tpm};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use symbolon_crypto::{Crypto, Entropy, Secret, constant_time_eq};
use symbolon_token::container::ObjectId;
use symbolon_token::{AuthenticationKey as _, SoftwareKey};
use zeroize::Zeroize as _;

impl OpenDevice {
    /// Brings `key` into the device under `id`, with a label that the device's own tools show. The
    /// device then says that it keeps the key secret, and proves that it computes with it.
    ///
    /// A key that is there already under that id must be the same one: then it is used.
    ///
    /// # Errors
    /// [`HardwareError::Refuses`], [`HardwareError::Unfit`], [`HardwareError::TpmTools`],
    /// [`HardwareError::Gone`]. The device holds no new key then.
    pub fn import(
        &self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        id: [u8; 16],
        label: &str,
        key: &SoftwareKey,
    ) -> Result<DeviceKey, HardwareError> {
        let device = self.device();
        let by_tools = tpm::is_tpm(device)?;
        let id = if by_tools { tpm::object_id(&id) } else { ObjectId::from(id) };
        let there = self.writing(|session| Ok(!Wanted::secret(&id).all(device, session)?.is_empty()))?;
        if !there && by_tools {
            tpm::import(self, &id, label, key.secret())?;
        } else if !there {
            self.writing(|session| create(device, session, &id, label, key.secret()))?;
        }
        let imported = self.key(id);
        let checked = self.check(&imported, crypto, entropy, key, by_tools);
        if let Err(e) = checked {
            if there {
                if !matches!(e, HardwareError::Unfit { .. }) {
                    return Err(e);
                }
                return Err(HardwareError::Refuses {
                    token: device.identity().label.clone(),
                    why: "it holds another key under this id".to_owned(),
                });
            }
            self.remove(imported.object())?;
            return Err(e);
        }
        Ok(imported)
    }

    /// Draws a key of 32 bytes and brings it in: the key that seals a token's file.
    ///
    /// # Errors
    /// As [`OpenDevice::import`].
    pub fn generate(
        &self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        id: [u8; 16],
        label: &str,
    ) -> Result<DeviceKey, HardwareError> {
        let key = SoftwareKey::new(entropy.secret());
        self.import(crypto, entropy, id, label, &key)
    }

    /// Removes a key, for good.
    ///
    /// # Errors
    /// [`HardwareError::NoKey`], or what the device says.
    pub fn remove(&self, object: &ObjectId) -> Result<(), HardwareError> {
        let device = self.device();
        self.writing(|session| {
            let handle = Wanted::secret(object).one(device, session)?;
            session.destroy_object(handle).map_err(|e| device.complaint(&e))
        })
    }

    fn check(
        &self,
        imported: &DeviceKey,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        key: &SoftwareKey,
        by_tools: bool,
    ) -> Result<(), HardwareError> {
        let device = self.device();
        let unfit = |why| HardwareError::Unfit { token: device.identity().label.clone(), why };
        self.writing(|session| {
            let handle = Wanted::secret(imported.object()).one(device, session)?;
            // A TPM's module says "extractable" of what only this TPM can open; there its word that
            // the value is sensitive counts, and that it does not give it.
            keeps_secret(session, handle, !by_tools).map_err(unfit)
        })?;
        let message = entropy.number::<32>();
        let expected = key.hmac(crypto, &[&message]).map_err(|_| unfit("the key cannot be used"))?;
        match imported.hmac(crypto, &[&message]) {
            Ok(mac) if constant_time_eq(mac.expose(), expected.expose()) => Ok(()),
            Ok(_) => Err(unfit("it computes another HMAC-SHA-256")),
            Err(_) => {
                Err(imported.take_trouble().unwrap_or_else(|| unfit("it does not compute HMAC-SHA-256")))
            }
        }
    }
}

fn create(
    device: &Device,
    session: &Session,
    id: &ObjectId,
    label: &str,
    key: &Secret<32>,
) -> Result<(), HardwareError> {
    let mut template = [
        Attribute::Value(key.expose().to_vec()),
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Derive(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Id(id.as_bytes().to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let created = session.create_object(&template);
    if let Attribute::Value(value) = &mut template[0] {
        value.zeroize();
    }
    created.map(drop).map_err(|e| refusal(device, &e, "import secret keys"))
}

pub(crate) fn refusal(device: &Device, e: &Pkcs11Error, what: &str) -> HardwareError {
    let why = match code(e) {
        Some(RvError::DeviceMemory) => "it is full".to_owned(),
        Some(RvError::TokenWriteProtected | RvError::SessionReadOnly) => "it is write-protected".to_owned(),
        Some(
            RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::TemplateInconsistent
            | RvError::TemplateIncomplete
            | RvError::FunctionNotSupported
            | RvError::ActionProhibited,
        ) => format!("it does not {what} ({})", words(e)),
        _ => return device.complaint(e),
    };
    HardwareError::Refuses { token: device.identity().label.clone(), why }
}

/// What the device says of the key, and whether it gives it.
pub(crate) fn keeps_secret(
    session: &Session,
    handle: ObjectHandle,
    strictly: bool,
) -> Result<(), &'static str> {
    let wanted =
        [AttributeType::Token, AttributeType::Private, AttributeType::Sensitive, AttributeType::Extractable];
    let says = session.get_attributes(handle, &wanted).map_err(|_| "it says nothing about it")?;
    for attribute in says {
        match attribute {
            Attribute::Token(false) => return Err("it would forget it"),
            Attribute::Private(false) => return Err("it would let it be used without the PIN"),
            Attribute::Sensitive(false) => return Err("it does not take it for sensitive"),
            Attribute::Extractable(true) if strictly => return Err("it would let it be extracted"),
            _ => {}
        }
    }
    // asked of many devices in the same way: a value, an empty value, or a refusal
    match session.get_attributes(handle, &[AttributeType::Value]) {
        Ok(mut values) => match values.first_mut() {
            Some(Attribute::Value(value)) if !value.is_empty() => {
                value.zeroize();
                Err("it gave it out")
            }
            _ => Ok(()),
        },
        Err(_) => Ok(()),
    }
}
