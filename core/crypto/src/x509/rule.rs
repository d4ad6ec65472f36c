//! How a foreign certificate's names become one of our users' names: by an explicit rule, or not at
//! all.
//!
//! Nothing is guessed. A rule looks at one form of name, takes off what the administrator wrote, and
//! what is left is the user's name; it is brought into its canonical spelling where users are looked
//! up. A certificate with two names that fit is refused, because whoever issued it may have meant
//! either.

use super::SubjectError;
use super::certificate::StrictCertificate;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

/// The longest name that a rule gives, in bytes.
const MAX_NAME: usize = 128;

/// Where a foreign certificate has the user's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// An e-mail address in the subject alternative name, `NAME@domain`; the user is `NAME`.
    EmailAt {
        /// The domain, compared without regard to case.
        domain: String,
    },
    /// A URI in the subject alternative name that begins with `prefix`; the user is the rest, which
    /// has no `/`, `%`, `?`, `#`, `:` or `@` in it.
    UriUnder {
        /// What the URI begins with, exactly.
        prefix: String,
    },
    /// A DNS name in the subject alternative name, `NAME.suffix`; the user is the one label `NAME`.
    DnsUnder {
        /// What follows the label's dot, compared without regard to case.
        suffix: String,
    },
    /// The subject's only common name. Authorities seldom look at what stands there, and no name
    /// constraint binds it: name this rule only for an authority that is your own.
    CommonName,
}

impl NameRule {
    /// The one name that this rule finds.
    ///
    /// # Errors
    /// [`SubjectError::NoName`], [`SubjectError::AmbiguousName`].
    pub(crate) fn name_in(&self, certificate: &StrictCertificate) -> Result<String, SubjectError> {
        let mut found = match self {
            Self::CommonName => common_names(certificate)?,
            _ => certificate.names.iter().filter_map(|name| self.name_of(name)).collect(),
        };
        match (found.pop(), found.is_empty()) {
            (Some(name), true) if *self == Self::CommonName || is_plain(&name) => Ok(name),
            (Some(_), false) => Err(SubjectError::AmbiguousName),
            _ => Err(SubjectError::NoName),
        }
    }

    /// What is left of `name`, if it is of this rule's form.
    fn name_of(&self, name: &GeneralName) -> Option<String> {
        let found = match (self, name) {
            (Self::EmailAt { domain }, GeneralName::Rfc822Name(address)) => {
                // the last "@": what stands before it must then be plain, so there is no second one
                let (front, behind) = address.as_str().rsplit_once('@')?;
                behind.eq_ignore_ascii_case(domain).then_some(front)
            }
            (Self::UriUnder { prefix }, GeneralName::UniformResourceIdentifier(uri)) => {
                uri.as_str().strip_prefix(prefix.as_str())
            }
            (Self::DnsUnder { suffix }, GeneralName::DnsName(dns)) => {
                let (label, behind) = dns.as_str().split_once('.')?;
                behind.eq_ignore_ascii_case(suffix).then_some(label)
            }
            _ => None,
        };
        found.map(str::to_owned)
    }

    /// A text that tells rules apart, for the verdict cache's state.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::EmailAt { domain } => format!("email {domain}"),
            Self::UriUnder { prefix } => format!("uri {prefix}"),
            Self::DnsUnder { suffix } => format!("dns {suffix}"),
            Self::CommonName => "cn".to_owned(),
        }
    }
}

/// Visible ASCII without anything that means something in an address, a URI or a quoted string.
fn is_plain(name: &str) -> bool {
    let harmless = |b: u8| b.is_ascii_graphic() && !br#"/%?#:@"'\<>()[]{},;*|&$`!"#.contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(harmless)
}

fn common_names(certificate: &StrictCertificate) -> Result<Vec<String>, SubjectError> {
    const COMMON_NAME: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("2.5.4.3");
    let mut names = Vec::new();
    for attribute in certificate.subject().iter().filter(|a| a.oid == COMMON_NAME) {
        let text = attribute.value.decode_as::<DirectoryString>().map_err(|_| SubjectError::NoName)?;
        let text = text.value().into_owned();
        let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
        if !fits {
            return Err(SubjectError::NoName);
        }
        names.push(text);
    }
    Ok(names)
}
