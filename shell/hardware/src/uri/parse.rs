//! The grammar of RFC 7512 §2.3, its rules for unknown attributes (§2.5) included.

use super::percent::decode;
use super::{LibraryVersion, ObjectType, Pkcs11Uri};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Longer than any URI that names a token.
const MAX_LENGTH: usize = 4096;

/// `pk11-res-avail` and `&`, which a path may hold as they are.
const IN_PATH: &[u8] = b":[]@!$'()*+,=&";
/// `pk11-res-avail`, `/`, `?` and `|`, which a query may hold as they are.
const IN_QUERY: &[u8] = b":[]@!$'()*+,=/?|";

/// Why a text is no `pkcs11:` URI that we follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Another scheme, or none.
    #[error("a PKCS#11 URI begins with pkcs11:, for example 'pkcs11:token=my-token'")]
    Scheme,
    /// Longer than 4096 bytes.
    #[error("the PKCS#11 URI is too long")]
    TooLong,
    /// An attribute without `=`.
    #[error("the PKCS#11 URI's part '{0}' is no name=value")]
    NoValue(String),
    /// An attribute twice.
    #[error("the PKCS#11 URI gives '{0}' twice")]
    Twice(&'static str),
    /// An attribute of the path that we do not know; it could name another token (RFC 7512 §2.5).
    #[error("the PKCS#11 URI has the attribute '{0}', which is not known here, so it may mean another token")]
    Unknown(String),
    /// A character that must be percent-encoded.
    #[error("in the PKCS#11 URI, '{0}' has a character that must be written as %XX (a space is %20)")]
    Character(&'static str),
    /// A `%` without two hexadecimal digits.
    #[error("in the PKCS#11 URI, '{0}' has a % that is not followed by two hexadecimal digits")]
    Percent(&'static str),
    /// Text that is not UTF-8.
    #[error("in the PKCS#11 URI, '{0}' is not UTF-8")]
    NotText(&'static str),
    /// A value outside of what the attribute may be.
    #[error("in the PKCS#11 URI, '{0}' must be {1}")]
    Value(&'static str, &'static str),
    /// A PIN in the URI.
    #[error(
        "the PKCS#11 URI has a PIN in it (pin-value), which would end in histories, process lists and logs; \
         leave it out and type it, or put it in a file that only you can read: ?pin-source=file:/path"
    )]
    PinValue,
}

/// Reads a URI.
pub(super) fn uri(text: &str) -> Result<Pkcs11Uri, UriError> {
    if text.len() > MAX_LENGTH {
        return Err(UriError::TooLong);
    }
    let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("pkcs11") {
        return Err(UriError::Scheme);
    }
    let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
    let mut uri = Pkcs11Uri::default();
    for part in path.split(';').filter(|_| !path.is_empty()) {
        attribute(&mut uri, part)?;
    }
    for part in query.split('&').filter(|_| !query.is_empty()) {
        parameter(&mut uri, part)?;
    }
    Ok(uri)
}

fn attribute(uri: &mut Pkcs11Uri, part: &str) -> Result<(), UriError> {
    let (name, value) = part.split_once('=').ok_or_else(|| UriError::NoValue(part.to_owned()))?;
    match name {
        "token" => once("token", &mut uri.token, path_text("token", value)?),
        "manufacturer" => once("manufacturer", &mut uri.manufacturer, path_text("manufacturer", value)?),
        "serial" => once("serial", &mut uri.serial, path_text("serial", value)?),
        "model" => once("model", &mut uri.model, path_text("model", value)?),
        "library-manufacturer" => {
            let manufacturer = path_text("library-manufacturer", value)?;
            once("library-manufacturer", &mut uri.library_manufacturer, manufacturer)
        }
        "library-description" => {
            let description = path_text("library-description", value)?;
            once("library-description", &mut uri.library_description, description)
        }
        "library-version" => once("library-version", &mut uri.library_version, version(value)?),
        "slot-description" => {
            once("slot-description", &mut uri.slot_description, path_text("slot-description", value)?)
        }
        "slot-manufacturer" => {
            once("slot-manufacturer", &mut uri.slot_manufacturer, path_text("slot-manufacturer", value)?)
        }
        "slot-id" => {
            let number = all_digits(value).and_then(|digits| digits.parse().ok());
            once("slot-id", &mut uri.slot_id, number.ok_or(UriError::Value("slot-id", "a number"))?)
        }
        "object" => once("object", &mut uri.object, path_text("object", value)?),
        "type" => {
            let known = "one of private, public, cert, secret-key, data";
            let kind = ObjectType::parse(value).ok_or(UriError::Value("type", known))?;
            once("type", &mut uri.object_type, kind)
        }
        "id" => once("id", &mut uri.id, decode("id", value, IN_PATH)?),
        other => Err(UriError::Unknown(other.chars().take(64).collect())),
    }
}

fn parameter(uri: &mut Pkcs11Uri, part: &str) -> Result<(), UriError> {
    let (name, value) = part.split_once('=').ok_or_else(|| UriError::NoValue(part.to_owned()))?;
    match name {
        "pin-source" => once("pin-source", &mut uri.pin_source, pin_source(value)?),
        "pin-value" => Err(UriError::PinValue),
        "module-name" => {
            let name = text("module-name", decode("module-name", value, IN_QUERY)?)?;
            if name.is_empty() || name.contains('/') {
                return Err(UriError::Value("module-name", "a name without a path; a file is a module-path"));
            }
            once("module-name", &mut uri.module_name, name)
        }
        "module-path" => {
            let file = path(decode("module-path", value, IN_QUERY)?);
            if !file.is_absolute() {
                return Err(UriError::Value("module-path", "the whole path of a file"));
            }
            once("module-path", &mut uri.module_path, file)
        }
        // §2.5: what is not known in a query is passed over
        _ => Ok(()),
    }
}

/// A file's whole path, as it is or after `file:`, `file://` or `file://localhost`.
fn pin_source(value: &str) -> Result<PathBuf, UriError> {
    let decoded = decode("pin-source", value, IN_QUERY)?;
    let form = UriError::Value("pin-source", "file:/path of a file that only you can read");
    let file = match decoded.strip_prefix(b"file:") {
        Some(file) => file.strip_prefix(b"//localhost").or_else(|| file.strip_prefix(b"//")).unwrap_or(file),
        None => &decoded,
    };
    // a program (`|`) is none of what we run
    let file = path(file.to_vec());
    if file.is_absolute() { Ok(file) } else { Err(form) }
}

fn version(value: &str) -> Result<LibraryVersion, UriError> {
    let form = || UriError::Value("library-version", "such as 3 or 1.23");
    let (major, minor) = value.split_once('.').unwrap_or((value, "0"));
    let number = |digits| all_digits(digits).and_then(|d| d.parse().ok()).ok_or_else(form);
    Ok(LibraryVersion { major: number(major)?, minor: number(minor)? })
}

/// `parse` of the standard library takes a sign too.
fn all_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

fn path_text(name: &'static str, value: &str) -> Result<String, UriError> {
    text(name, decode(name, value, IN_PATH)?)
}

fn text(name: &'static str, bytes: Vec<u8>) -> Result<String, UriError> {
    String::from_utf8(bytes).map_err(|_| UriError::NotText(name))
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), UriError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(UriError::Twice(name)),
    }
}
