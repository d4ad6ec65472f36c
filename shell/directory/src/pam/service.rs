use std::path::{Path, PathBuf};

/// The name of a PAM service is none, or its directory cannot be named to the library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PAM service: {0}")]
pub struct PamServiceError(&'static str);

/// A PAM service: a file in a directory, as `symbolon` in `/etc/pam.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PamService {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

impl PamService {
    /// Reads a service's name: 1 to 64 of `a`–`z`, `0`–`9`, `-` and `_`, which is no path. The
    /// directory is absolute.
    ///
    /// # Errors
    /// [`PamServiceError`] naming the rule that is broken.
    pub fn new(name: &str, directory: &Path) -> Result<Self, PamServiceError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(PamServiceError("its name has 1 to 64 of a-z, 0-9, - and _"));
        }
        // The library asks this one in the place of services that are not there.
        if name == "other" {
            return Err(PamServiceError("`other` is not a service of its own"));
        }
        if !directory.is_absolute() {
            return Err(PamServiceError("its directory is not absolute"));
        }
        Ok(Self { name: name.to_owned(), directory: directory.to_owned() })
    }

    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_path_traversal_by_a_pam_service() {
        let directory = Path::new("/etc/pam.d");
        assert!(PamService::new("symbolon", directory).is_ok());
        for odd in ["", "other", "../shadow", "a/b", "Symbolon", "a b", "a\0", "é"] {
            assert!(PamService::new(odd, directory).is_err(), "{odd:?}");
        }
        assert!(PamService::new("symbolon", Path::new("pam.d")).is_err());
    }
}
