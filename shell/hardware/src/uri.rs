//! `pkcs11:` URIs (RFC 7512): which token, in which module, and where its PIN comes from.

mod parse;
mod percent;

pub use parse::UriError;

use percent::{encode, encode_path};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which object is meant (`type`, RFC 7512 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// `private`
    Private,
    /// `public`
    Public,
    /// `cert`
    Certificate,
    /// `secret-key`
    SecretKey,
    /// `data`
    Data,
}

impl ObjectType {
    const ALL: [(&'static str, Self); 5] = [
        ("private", Self::Private),
        ("public", Self::Public),
        ("cert", Self::Certificate),
        ("secret-key", Self::SecretKey),
        ("data", Self::Data),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version of a library: `1.23`, or `3` for `3.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibraryVersion {
    /// Before the dot.
    pub major: u8,
    /// After it.
    pub minor: u8,
}

/// A `pkcs11:` URI. What is absent matches everything; what is present must fit exactly.
///
/// A PIN inside the URI (`pin-value`) is refused: URIs end in histories, process lists and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// Who made the token.
    pub manufacturer: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// The token's model.
    pub model: Option<String>,
    /// Who made the module.
    pub library_manufacturer: Option<String>,
    /// What the module is.
    pub library_description: Option<String>,
    /// The module's version.
    pub library_version: Option<LibraryVersion>,
    /// What the slot is.
    pub slot_description: Option<String>,
    /// Who made the slot.
    pub slot_manufacturer: Option<String>,
    /// The slot's number; it may change when devices are plugged in another order.
    pub slot_id: Option<u64>,
    /// The object's label (`CKA_LABEL`).
    pub object: Option<String>,
    /// The object's class.
    pub object_type: Option<ObjectType>,
    /// The object's id (`CKA_ID`).
    pub id: Option<Vec<u8>>,
    /// A file whose first line is the PIN.
    pub pin_source: Option<PathBuf>,
    /// The module's name: `softhsm2` for `libsofthsm2.so`.
    pub module_name: Option<String>,
    /// The module's file.
    pub module_path: Option<PathBuf>,
}

impl Pkcs11Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`]; a `pin-value` is one.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        parse::uri(text)
    }

    /// The same without what belongs to one machine alone: slot, module file and PIN source. The
    /// module's name stays, as a hint. What comes from another machine is taken so alone: a module's
    /// file is code that runs here.
    #[must_use]
    pub fn portable(&self) -> Self {
        let hint = self.module_path.as_deref().and_then(crate::modules::name_of);
        Self {
            slot_description: None,
            slot_manufacturer: None,
            slot_id: None,
            pin_source: None,
            module_path: None,
            module_name: self.module_name.clone().or(hint),
            ..self.clone()
        }
    }
}

impl FromStr for Pkcs11Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

/// Everything but unreserved characters is percent-encoded, so that the URI can be pasted into a
/// shell within quotation marks; attributes come in the order of RFC 7512 §2.3.
impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.as_ref().map(|v| encode(v.as_bytes()));
        let path =
            |value: &Option<PathBuf>| value.as_ref().map(|p| encode_path(p.as_os_str().as_encoded_bytes()));
        let version = self.library_version.map(|v| format!("{}.{}", v.major, v.minor));
        let id = self.id.as_ref().map(|id| id.iter().map(|b| format!("%{b:02X}")).collect());
        write_list(
            f,
            "pkcs11:",
            ";",
            [
                ("token", text(&self.token)),
                ("manufacturer", text(&self.manufacturer)),
                ("serial", text(&self.serial)),
                ("model", text(&self.model)),
                ("library-manufacturer", text(&self.library_manufacturer)),
                ("library-description", text(&self.library_description)),
                ("library-version", version),
                ("slot-description", text(&self.slot_description)),
                ("slot-manufacturer", text(&self.slot_manufacturer)),
                ("slot-id", self.slot_id.map(|n| n.to_string())),
                ("object", text(&self.object)),
                ("type", self.object_type.map(|t| t.as_str().to_owned())),
                ("id", id),
            ],
        )?;
        let query = [
            ("pin-source", path(&self.pin_source).map(|p| format!("file:{p}"))),
            ("module-name", text(&self.module_name)),
            ("module-path", path(&self.module_path)),
        ];
        if query.iter().any(|(_, value)| value.is_some()) { write_list(f, "?", "&", query) } else { Ok(()) }
    }
}

fn write_list<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    between: &str,
    list: [(&str, Option<String>); N],
) -> fmt::Result {
    f.write_str(before)?;
    let mut separator = "";
    for (name, value) in list {
        if let Some(value) = value {
            write!(f, "{separator}{name}={value}")?;
            separator = between;
        }
    }
    Ok(())
}
