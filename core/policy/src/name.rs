//! Names of users, groups, applications, templates, and the user identification code.

use precis_profiles::{UsernameCaseMapped, precis_core::profile::PrecisFastInvocation};
use unicode_normalization::UnicodeNormalization;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use crate::NameError;
use crate::text::{offending_character, text_type};

/// The most characters in a [`CanonName`] and a [`GroupName`].
const MAX_NAME_CHARS: usize = 64;

/// The most bytes in an [`AppName`] (RFC 1035 §2.3.4, without the dots that end and separate).
const MAX_APP_NAME: usize = 253;

/// The most bytes in a label of an [`AppName`] (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// The one spelling under which a user or device is known: 1 to 64 characters.
///
/// RFC 8265 §3.3 (UsernameCaseMapped: narrow forms, lower case, NFC), then full case folding, so
/// that `STRASSE` and `straße` are one name; of ASCII only letters, digits, `-`, `.` and `_`, so
/// that a name is safe in a path, a URL and a command line; letters of one script (UTS 39 §5.2,
/// highly restrictive), so that no letter hides among another script's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonName(String);
text_type!(CanonName, "user name");

impl CanonName {
    /// Brings `text` into the canonical spelling.
    ///
    /// # Errors
    /// [`NameError`] when no canonical spelling exists or it would be misleading.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        canonical_spelling(text).map(Self)
    }

    /// What this name looks like (UTS 39 §4, then lower case): two names with one skeleton are
    /// taken for each other by people, so the store keeps skeletons unique among accounts.
    ///
    /// It is no name itself: show it to nobody.
    #[must_use]
    pub fn skeleton(&self) -> String {
        unicode_security::skeleton(&self.0).flat_map(char::to_lowercase).collect()
    }
}

/// A group of subjects, spelt by the rules of a [`CanonName`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);
text_type!(GroupName, "group name");

impl GroupName {
    /// Brings `text` into the canonical spelling.
    ///
    /// # Errors
    /// [`NameError`], as for [`CanonName::parse`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        canonical_spelling(text).map(Self)
    }
}

/// An application: labels of `a`–`z`, `0`–`9` and inner hyphens (RFC 5890 §2.3.1), joined by dots,
/// at most 253 bytes: `db`, `db.office`. Upper-case letters are made lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(String);
text_type!(AppName, "application name");

impl AppName {
    /// Reads an application's name.
    ///
    /// # Errors
    /// [`NameError`] naming the first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = ascii_name(&text.to_ascii_lowercase(), 1, MAX_APP_NAME, |c| c == '.')?;
        for label in name.split('.') {
            match label.len() {
                0 => return Err(NameError::Form("db or db.office")),
                1..=MAX_LABEL_BYTES => check_hyphens(label)?,
                _ => return Err(NameError::TooLong(MAX_LABEL_BYTES)),
            }
        }
        Ok(Self(name))
    }
}

/// A user identification code (B6): what a server calls a registered token, made once from the
/// user's name and never reused. 4 to 80 of `a`–`z`, `0`–`9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserCode(String);
text_type!(UserCode, "user identification code");

impl UserCode {
    /// Reads a code; it has one spelling only.
    ///
    /// # Errors
    /// [`NameError`] naming the first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        ascii_name(text, 4, 80, |_| false).map(Self)
    }
}

/// A registration template: 1 to 64 of `a`–`z`, `0`–`9` and inner hyphens, as in `bank-customer`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(String);
text_type!(TemplateName, "template name");

impl TemplateName {
    /// Reads a template's name.
    ///
    /// # Errors
    /// [`NameError`] naming the first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = ascii_name(text, 1, 64, |_| false)?;
        check_hyphens(&name)?;
        Ok(Self(name))
    }
}

/// The spelling rules of [`CanonName`], which path segments and groups follow too.
pub(crate) fn canonical_spelling(text: &str) -> Result<String, NameError> {
    if is_plain(text) { Ok(text.to_owned()) } else { worked_out_spelling(text) }
}

/// Whether `text` is a name of lower-case ASCII that all the rules leave as it is: nearly every name
/// is, and the rules take longer than a dozen hashes.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.len() <= MAX_NAME_CHARS
        && bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(|b| letter(b) || *b == b'_')
        && bytes.iter().all(|b| letter(b) || matches!(b, b'-' | b'.' | b'_'))
}

fn worked_out_spelling(text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    // Composition makes one character of four at most (polytonic Greek), and refusing early keeps
    // the work for a hostile input small.
    if text.chars().take(4 * MAX_NAME_CHARS + 1).count() > 4 * MAX_NAME_CHARS {
        return Err(NameError::TooLong(MAX_NAME_CHARS));
    }
    let mut name = enforce(text)?;
    // Folding can open the way for composition, and composition for folding: once more settles all
    // that Unicode has, and what does not settle is no name.
    let mut settled = false;
    for _ in 0..3 {
        let next = enforce(&fold(&name))?;
        settled = next == name;
        if settled {
            break;
        }
        name = next;
    }
    if !settled {
        return Err(NameError::NoCanonicalForm);
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(NameError::TooLong(MAX_NAME_CHARS));
    }
    let separator = |c: char| matches!(c, '-' | '.' | '_');
    if let Some(c) = name.chars().find(|&c| c.is_ascii() && !c.is_ascii_alphanumeric() && !separator(c)) {
        return Err(NameError::Character(c));
    }
    if !name.starts_with(char::is_alphanumeric) {
        return Err(NameError::Start);
    }
    if name.ends_with(['.', '-']) {
        return Err(NameError::End);
    }
    match name.detect_restriction_level() {
        RestrictionLevel::ASCIIOnly
        | RestrictionLevel::SingleScript
        | RestrictionLevel::HighlyRestrictive => Ok(name),
        RestrictionLevel::Unrestricted => Err(not_for_identifiers(&name)),
        _ => Err(NameError::MixedScripts),
    }
}

/// RFC 8265 §3.3.3.
fn enforce(text: &str) -> Result<String, NameError> {
    UsernameCaseMapped::enforce(text).map(Into::into).map_err(|e| match offending_character(&e) {
        Some(c) => NameError::Character(c),
        None => NameError::NoCanonicalForm,
    })
}

/// Full case folding, which lower-casing alone is not: `ß` folds to `ss` and final `ς` to `σ`.
/// Letters are folded apart from their marks (Unicode §3.13, D145), lest the iota below `ᾳ` end up
/// between two of them. Dotless `ı` has no folding; by way of its capital it would turn into `i`.
fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.nfd() {
        match c {
            'ı' => folded.push(c),
            _ => folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded.nfc().collect()
}

/// The character for which UTS 39 §3.1 keeps a name out of identifiers.
fn not_for_identifiers(name: &str) -> NameError {
    use unicode_security::GeneralSecurityProfile;
    match name.chars().find(|c| !c.identifier_allowed()) {
        Some(c) => NameError::Character(c),
        None => NameError::MixedScripts,
    }
}

/// `text` when it is `min` to `max` of `a`–`z`, `0`–`9`, `-` and what `also` allows.
fn ascii_name(text: &str, min: usize, max: usize, also: impl Fn(char) -> bool) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || also(c);
    if let Some(c) = text.chars().find(|&c| !allowed(c)) {
        return Err(NameError::Character(c));
    }
    if text.len() < min {
        return Err(NameError::TooShort(min));
    }
    if text.len() > max {
        return Err(NameError::TooLong(max));
    }
    Ok(text.to_owned())
}

/// Hyphens stand only within a label (RFC 5890 §2.3.1).
fn check_hyphens(label: &str) -> Result<(), NameError> {
    if label.starts_with('-') {
        return Err(NameError::Start);
    }
    if label.ends_with('-') {
        return Err(NameError::End);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_what_the_rules_make_of_it() {
        let characters = ["", "a", "z", "0", "9", "-", ".", "_", "A", " ", "/", "~", "é"];
        for a in characters {
            for b in characters {
                for c in characters {
                    let text = [a, b, "x", c].concat();
                    for text in [&text, &text.repeat(16), &format!("{text}{a}"), &format!("{a}{b}{c}")] {
                        if is_plain(text) {
                            assert_eq!(worked_out_spelling(text).as_ref(), Ok(text));
                        }
                    }
                }
            }
        }
    }
}
