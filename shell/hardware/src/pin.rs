//! The PIN of a device: typed by its owner, or in a file that only the owner reads.

use crate::HardwareError;
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use symbolon_crypto::SecretBytes;
use zeroize::Zeroizing;

/// More than any PIN has, in bytes; a longer file is another one by mistake.
const MAX_PIN: usize = 512;

/// A PIN as its owner gave it. How long it must be is the device's own rule.
#[derive(Debug)]
pub struct DevicePin(SecretBytes);

impl DevicePin {
    /// Takes the PIN over.
    #[must_use]
    pub fn new(pin: String) -> Self {
        Self(SecretBytes::from(pin))
    }

    /// Reads the first line of a file that nobody else may read (`pin-source`, RFC 7512 §2.4).
    ///
    /// # Errors
    /// [`HardwareError::PinSource`]: not there, not a file, open to others, somebody else's, or not
    /// one line of text.
    pub fn from_file(path: &Path) -> Result<Self, HardwareError> {
        let complaint = |why: String| HardwareError::PinSource { path: path.to_owned(), why };
        let failed = |e: std::io::Error| complaint(e.to_string());
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(complaint("it is not a file".to_owned()));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(complaint(format!("others can read it (mode {:o})", metadata.mode() & 0o777)));
        }
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(complaint("it belongs to somebody else".to_owned()));
        }
        // room from the start: a buffer that grows leaves copies behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PIN + 2));
        file.take(MAX_PIN as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(text) if !text.is_empty() && bytes.len() <= MAX_PIN && !text.contains(char::is_control) => {
                Ok(Self::new(text.to_owned()))
            }
            _ => Err(complaint("it does not hold one line of text".to_owned())),
        }
    }

    /// A second copy that is wiped by itself.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    pub(crate) fn for_login(&self) -> AuthPin {
        // what was made of a `String` is UTF-8; the copy has no spare room, so none is left behind
        AuthPin::new(String::from_utf8_lossy(self.0.expose()).into_owned().into_boxed_str())
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl From<SecretBytes> for DevicePin {
    fn from(pin: SecretBytes) -> Self {
        Self(pin)
    }
}

/// What a token says about further attempts at its PIN. PKCS#11 has no numbers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// It does not say; many tokens never do.
    Untold,
    /// A wrong PIN was tried since the last right one (`CKF_USER_PIN_COUNT_LOW`).
    Fewer,
    /// One attempt is left (`CKF_USER_PIN_FINAL_TRY`).
    Last,
    /// None is left (`CKF_USER_PIN_LOCKED`).
    None,
}

impl Tries {
    pub(crate) fn of(token: &TokenInfo) -> Self {
        Self::from_flags(token.user_pin_locked(), token.user_pin_final_try(), token.user_pin_count_low())
    }

    fn from_flags(locked: bool, last: bool, fewer: bool) -> Self {
        match (locked, last, fewer) {
            (true, _, _) => Self::None,
            (_, true, _) => Self::Last,
            (_, _, true) => Self::Fewer,
            _ => Self::Untold,
        }
    }
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untold => "the token does not say how many attempts are left",
            Self::Fewer => "the token counts wrong attempts and locks after too many",
            Self::Last => "one attempt is left before it locks",
            Self::None => "no attempt is left",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_pin_is_the_one_line_of_its_file() {
        let (_dir, path) = file(b"12 34\n", 0o600);
        assert_eq!(DevicePin::from_file(&path).unwrap().expose(), b"12 34");
    }

    #[test]
    fn a_pin_that_others_can_read_is_refused() {
        let (_dir, path) = file(b"1234\n", 0o640);
        let error = DevicePin::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("others can read it (mode 640)"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_pin_is_refused() {
        for content in [&b""[..], b"\n", b"1234\n5678\n", b"\xff\xfe", &[b'1'; 600]] {
            let (_dir, path) = file(content, 0o600);
            assert!(matches!(DevicePin::from_file(&path), Err(HardwareError::PinSource { .. })));
        }
        assert!(matches!(DevicePin::from_file(Path::new("/dev/null")), Err(HardwareError::PinSource { .. })));
        assert!(DevicePin::from_file(Path::new("/nowhere/pin")).is_err());
    }

    #[test]
    fn what_the_flags_say_about_attempts_is_told() {
        assert_eq!(Tries::from_flags(true, true, true), Tries::None);
        assert_eq!(Tries::from_flags(false, true, true), Tries::Last);
        assert_eq!(Tries::from_flags(false, false, true), Tries::Fewer);
        assert_eq!(Tries::from_flags(false, false, false), Tries::Untold);
    }
}
