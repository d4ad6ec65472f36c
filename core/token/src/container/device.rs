use super::TokenError;
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// Longest id of an object in a device, in bytes.
const MAX_OBJECT_ID: usize = 128;
/// Longest URI of a device, in bytes.
const MAX_URI: usize = 2048;

/// Names one key in a device (`CKA_ID` of PKCS#11): 1 to 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Vec<u8>);

impl ObjectId {
    /// Takes 1 to 128 bytes.
    #[must_use]
    pub fn new(id: Vec<u8>) -> Option<Self> {
        (1..=MAX_OBJECT_ID).contains(&id.len()).then_some(Self(id))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 16]> for ObjectId {
    fn from(id: [u8; 16]) -> Self {
        Self(id.to_vec())
    }
}

/// In hexadecimal, as the devices' own tools show it.
impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Encode for ObjectId {
    fn encode(&self, w: &mut Writer) {
        w.bytes8(&self.0);
    }
}

impl Decode for ObjectId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::new(r.bytes8()?.to_vec()).ok_or(WireError::BadValue("object id"))
    }
}

/// The device that holds a token's keys: where it is, and the key in it that seals the token's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReference {
    uri: String,
    seal: ObjectId,
}

impl DeviceReference {
    /// A PKCS#11 URI (RFC 7512) of at most 2048 printable characters that names the device on every
    /// machine, and the key in it that seals the token's file.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] for another URI.
    pub fn new(uri: String, seal: ObjectId) -> Result<Self, TokenError> {
        let printable = uri.bytes().all(|b| b.is_ascii_graphic());
        if uri.starts_with("pkcs11:") && uri.len() <= MAX_URI && printable {
            Ok(Self { uri, seal })
        } else {
            Err(TokenError::Damaged("impossible device"))
        }
    }

    /// The device's PKCS#11 URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The key that seals the token's file. It serves nothing else.
    #[must_use]
    pub const fn seal(&self) -> &ObjectId {
        &self.seal
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.text16(&self.uri);
        self.seal.encode(w);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, TokenError> {
        let uri = r.text16("device")?.to_owned();
        Self::new(uri, ObjectId::decode(r)?)
    }
}
