//! What our own certificates say about whom they are for.

/// Extended key usage of a person's certificate of ours: 1.3.6.1.4.1.32473.1.2 (an arc for
/// documentation until we have our own).
pub const PERSON_USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x81, 0xfd, 0x59, 0x01, 0x02];
/// The same of a device's: 1.3.6.1.4.1.32473.1.3.
pub const DEVICE_USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x81, 0xfd, 0x59, 0x01, 0x03];

const SCHEME: &str = "symbolon";

/// The two kinds of subject that we certify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectProfile {
    /// A user, wherever the key is.
    Person,
    /// A device of a user.
    Device,
}

impl SubjectProfile {
    /// The extended key usage that stands for it, the content of an object identifier.
    #[must_use]
    pub const fn usage(self) -> &'static [u8] {
        match self {
            Self::Person => PERSON_USAGE,
            Self::Device => DEVICE_USAGE,
        }
    }

    /// `person` or `device`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Device => "device",
        }
    }
}

/// A subject of our issuer: a user identification code (B6), and for a device its label.
///
/// It stands in a certificate as its only subject alternative name, a URI with one spelling:
/// `symbolon:person:CODE` or `symbolon:device:CODE:LABEL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId {
    code: String,
    device: Option<String>,
}

impl SubjectId {
    /// A person: `code` has 4 to 80 of `a`–`z`, `0`–`9` and `-`.
    #[must_use]
    pub fn person(code: &str) -> Option<Self> {
        is_word(code, 4, 80).then(|| Self { code: code.to_owned(), device: None })
    }

    /// A device of the user `code`: `label` has 1 to 64 of `a`–`z`, `0`–`9` and `-`.
    #[must_use]
    pub fn device(code: &str, label: &str) -> Option<Self> {
        let fits = is_word(code, 4, 80) && is_word(label, 1, 64);
        fits.then(|| Self { code: code.to_owned(), device: Some(label.to_owned()) })
    }

    /// From the URI; there is one spelling for each subject.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix(SCHEME)?.strip_prefix(':')?;
        match rest.split_once(':')? {
            ("person", code) => Self::person(code),
            ("device", rest) => rest.split_once(':').and_then(|(code, label)| Self::device(code, label)),
            _ => None,
        }
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> String {
        match &self.device {
            None => format!("{SCHEME}:person:{}", self.code),
            Some(label) => format!("{SCHEME}:device:{}:{label}", self.code),
        }
    }

    /// Person or device.
    #[must_use]
    pub const fn profile(&self) -> SubjectProfile {
        if self.device.is_some() { SubjectProfile::Device } else { SubjectProfile::Person }
    }

    /// The user identification code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The device's label.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.device.as_deref()
    }
}

impl std::fmt::Display for SubjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.uri())
    }
}

fn is_word(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_spelling() {
        for id in
            [SubjectId::person("alice-0a1b").unwrap(), SubjectId::device("alice-0a1b", "phone").unwrap()]
        {
            assert_eq!(SubjectId::from_uri(&id.uri()), Some(id));
        }
        for other in [
            "symbolon:person:Alice-0a1b",
            "Symbolon:person:alice-0a1b",
            "symbolon:person:alice-0a1b ",
            "symbolon:person:alice-0a1b:phone",
            "symbolon:device:alice-0a1b",
            "symbolon:device:alice-0a1b:",
            "symbolon:device:alice-0a1b:a:b",
            "symbolon:person:alice%2d0a1b",
            "symbolon:person:abc",
            "symbolon:gateway:alice-0a1b",
            "symbolon:person:",
            "",
        ] {
            assert_eq!(SubjectId::from_uri(other), None, "{other:?}");
        }
    }
}
