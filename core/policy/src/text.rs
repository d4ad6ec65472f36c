//! What the text types have in common: their error, and the traits that make each of them usable
//! in configuration files, on the wire and on the command line.

use precis_profiles::{
    OpaqueString,
    precis_core::{Error as PrecisError, profile::PrecisFastInvocation},
};

/// Why a text is not a name of the kind that was expected. Whoever typed it erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left, or nothing was there.
    #[error("is empty")]
    Empty,
    /// Fewer characters than the least.
    #[error("is too short: use at least {0} characters")]
    TooShort(usize),
    /// More characters (or bytes of UTF-8, or segments) than allowed.
    #[error("is too long: use at most {0} characters")]
    TooLong(usize),
    /// A character that this kind of name cannot hold.
    #[error("must not hold the character {0:?}")]
    Character(char),
    /// The first character is no letter and no digit.
    #[error("must start with a letter or a digit")]
    Start,
    /// The last character is a dot or a hyphen.
    #[error("must not end with '.' or '-'")]
    End,
    /// Letters of several scripts that people cannot tell apart (UTS 39 §5.1).
    #[error("mixes letters of several scripts: use one script")]
    MixedScripts,
    /// Right-to-left text that RFC 5893 §2 forbids, or text without a stable canonical form.
    #[error("cannot be brought into one canonical spelling")]
    NoCanonicalForm,
    /// A path or a grantee that does not have the shape of one.
    #[error("is not of the form {0}")]
    Form(&'static str),
}

/// Why a text is not a line that a person would write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A control character, a bidirectional override or an unassigned code point.
    #[error("must not hold the character {0:?}")]
    Character(char),
    /// No stable form exists for another reason.
    #[error("cannot be brought into one canonical spelling")]
    NoCanonicalForm,
}

/// A line of free text in its canonical spelling: NFC, every space an ASCII space, no control
/// characters, no bidirectional overrides (the rules of RFC 8265 §4.2). The empty text is one.
///
/// # Errors
/// [`TextError`] names the first character that cannot stay.
pub fn free_text(text: &str) -> Result<String, TextError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let enforce = |text: &str| -> Result<String, TextError> {
        OpaqueString::enforce(text).map(Into::into).map_err(|e| match offending_character(&e) {
            Some(c) => TextError::Character(c),
            None => TextError::NoCanonicalForm,
        })
    };
    let canonical = enforce(text)?;
    // NFC makes some characters into others that have rules of their own, as U+0387 into U+00B7
    if enforce(&canonical)? == canonical { Ok(canonical) } else { Err(TextError::NoCanonicalForm) }
}

/// The character that a PRECIS profile complains of, when it is one character's fault.
pub(crate) fn offending_character(e: &PrecisError) -> Option<char> {
    match e {
        PrecisError::BadCodepoint(info) => char::from_u32(info.cp),
        _ => None,
    }
}

/// Gives a newtype over `String` with a `parse` of its own the traits of every text type:
/// reading from and writing to text, serde and the wire, each of which parses again.
macro_rules! text_type {
    ($name:ident, $what:literal) => {
        impl $name {
            /// The canonical spelling.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        $crate::text::text_form!($name, $what);
    };
}

/// Gives a type with `Display` and `FromStr` serde and the wire as that text.
macro_rules! text_form {
    ($name:ident, $what:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse()
                    .map_err(|e| serde::de::Error::custom(format_args!(concat!($what, " {:?}: {}"), text, e)))
            }
        }

        impl symbolon_wire::Encode for $name {
            fn encode(&self, w: &mut symbolon_wire::Writer) {
                w.text16(&self.to_string());
            }
        }

        impl symbolon_wire::Decode for $name {
            fn decode(r: &mut symbolon_wire::Reader<'_>) -> Result<Self, symbolon_wire::WireError> {
                let text = r.text16($what)?;
                let value: Self = text.parse().map_err(|_| symbolon_wire::WireError::BadValue($what))?;
                // one value, one encoding: another spelling of the same name is refused here
                if value.to_string() == text {
                    Ok(value)
                } else {
                    Err(symbolon_wire::WireError::BadValue($what))
                }
            }
        }
    };
}

pub(crate) use {text_form, text_type};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_is_normalised_and_keeps_what_people_write() {
        assert_eq!(free_text("Zoe\u{308} O'Brien, 12/3").as_deref(), Ok("Zoë O'Brien, 12/3"));
        assert_eq!(free_text("a\u{a0}b").as_deref(), Ok("a b"));
        assert_eq!(free_text(""), Ok(String::new()));
    }

    #[test]
    fn free_text_is_its_own_canonical_form_whatever_the_character() {
        for c in '\0'..=char::MAX {
            if let Ok(text) = free_text(&format!("a{c}")) {
                assert_eq!(free_text(&text).as_deref(), Ok(text.as_str()), "{c:?}");
            }
        }
    }

    #[test]
    fn free_text_refuses_control_characters_and_bidirectional_overrides() {
        for c in
            ['\0', '\n', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']
        {
            assert_eq!(free_text(&format!("a{c}b")), Err(TextError::Character(c)));
        }
    }
}
