//! The list of users: one line `name:$argon2id$…` for each (PHC string format).

use crate::private::{self, PrivateFileError, Readers};
use std::path::Path;
use symbolon_context::PasswordVerifier;
use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;

/// A list of users, as it stands in a file that owner and group can read.
#[derive(Debug)]
pub struct Users(SecretBytes);

impl Users {
    /// Reads a list.
    ///
    /// # Errors
    /// [`PrivateFileError`].
    pub fn read(path: &Path) -> Result<Self, PrivateFileError> {
        let bytes = private::read(path, Readers::OwnerAndGroup)?;
        match std::str::from_utf8(bytes.expose()) {
            Ok(_) => Ok(Self(bytes)),
            Err(e) => Err(PrivateFileError::Damaged { path: path.to_owned(), reason: e.to_string() }),
        }
    }

    /// What a user's password is checked against. A line with a name in another than the canonical
    /// spelling is nobody's.
    #[must_use]
    pub fn verifier(&self, user: &CanonName) -> Option<PasswordVerifier> {
        let phc = self.lines().find_map(|(name, phc)| (name == user.as_str()).then_some(phc))?;
        Some(PasswordVerifier::from_phc(SecretBytes::new(phc.as_bytes().to_vec())))
    }

    /// The list with `user`'s line new, or gone.
    #[must_use]
    pub fn with(&self, user: &CanonName, verifier: Option<&PasswordVerifier>) -> SecretBytes {
        let room = self.0.expose().len() + 512 + user.as_str().len();
        SecretBytes::written(room, |w| {
            let mut line = |name: &str, phc: &[u8]| {
                for part in [name.as_bytes(), b":", phc, b"\n"] {
                    w.fixed(part);
                }
            };
            for (name, phc) in self.lines().filter(|(name, _)| *name != user.as_str()) {
                line(name, phc.as_bytes());
            }
            if let Some(verifier) = verifier {
                line(user.as_str(), verifier.phc().expose());
            }
        })
    }

    /// Nobody.
    #[must_use]
    pub const fn empty() -> Self {
        Self(SecretBytes::new(Vec::new()))
    }

    /// Everybody's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines().map(|(name, _)| name)
    }

    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = std::str::from_utf8(self.0.expose()).unwrap_or_default();
        text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_provider::SystemEntropy;

    #[test]
    fn users_come_change_and_go() {
        let name = |n| CanonName::parse(n).unwrap();
        let verifier =
            |p: &str| PasswordVerifier::new(&SecretBytes::from(p.to_owned()), &mut SystemEntropy).unwrap();
        let one = Users(Users::empty().with(&name("alice"), Some(&verifier("one"))));
        let two = Users(one.with(&name("bob"), Some(&verifier("two"))));
        let changed = Users(two.with(&name("alice"), Some(&verifier("three"))));
        assert_eq!(changed.names().collect::<Vec<_>>(), ["bob", "alice"]);
        assert_ne!(
            changed.verifier(&name("alice")).unwrap().phc(),
            one.verifier(&name("alice")).unwrap().phc()
        );
        let gone = Users(changed.with(&name("alice"), None));
        assert!(gone.verifier(&name("alice")).is_none() && gone.verifier(&name("bob")).is_some());
    }
}
