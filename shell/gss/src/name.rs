//! Names of users and of services.

use crate::oid;
use symbolon_crypto::GatewayName;
use symbolon_policy::CanonName;
use symbolon_wire::{Reader, Writer};

/// The longest service part of a name: with its underscore it is a label of a DNS name.
const MAX_SERVICE: usize = 62;

/// Somebody or something that a context is between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A user of ours, in the canonical spelling.
    User(CanonName),
    /// A service on a host, as `ldap@db.example`; without a host, that service on any.
    Service {
        /// In lower case.
        service: String,
        /// In lower case.
        host: Option<GatewayName>,
    },
}

/// Why a name was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is no name of its type.
    #[error("not a name")]
    BadName,
    /// We have no names of that type.
    #[error("not a type of name that the mechanism knows")]
    BadType,
}

impl Name {
    /// From what a program or a person wrote; no `name_type` means a user.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn import(text: &[u8], name_type: Option<&[u8]>) -> Result<Self, NameError> {
        // Some programs count the NUL behind a C string.
        let counted = || text.strip_suffix(b"\0").unwrap_or(text);
        let utf8 = || std::str::from_utf8(counted()).map_err(|_| NameError::BadName);
        match name_type {
            None | Some(oid::USER_NAME) => {
                CanonName::parse(utf8()?).map(Self::User).map_err(|_| NameError::BadName)
            }
            Some(oid::HOST_BASED_SERVICE | oid::HOST_BASED_SERVICE_X) => Self::service(utf8()?),
            Some(oid::EXPORT_NAME) => Self::from_exported(text).ok_or(NameError::BadName),
            Some(_) => Err(NameError::BadType),
        }
    }

    /// A host-based service: `ldap@db.example`, or `ldap` alone.
    ///
    /// # Errors
    /// [`NameError::BadName`].
    pub fn service(text: &str) -> Result<Self, NameError> {
        let (service, host) = match text.split_once('@') {
            Some((service, host)) => (service, Some(host)),
            None => (text, None),
        };
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if service.is_empty() || service.len() > MAX_SERVICE || !service.bytes().all(letters) {
            return Err(NameError::BadName);
        }
        let host = host.map(GatewayName::parse).transpose().map_err(|_| NameError::BadName)?;
        let name = Self::Service { service: service.to_ascii_lowercase(), host };
        match &name {
            // Both parts are right, but together they may be longer than a DNS name.
            Self::Service { host: Some(_), .. } if name.certified().is_none() => Err(NameError::BadName),
            _ => Ok(name),
        }
    }

    /// The name that the issuer certifies: the service before its host as in DNS (RFC 8552), so
    /// that no service of a host can stand for another one, and no host for a service.
    #[must_use]
    pub fn certified(&self) -> Option<GatewayName> {
        match self {
            Self::Service { service, host: Some(host) } => {
                GatewayName::parse(&format!("_{service}.{host}")).ok()
            }
            _ => None,
        }
    }

    /// The service that a certified name stands for.
    #[must_use]
    pub fn from_certified(name: &GatewayName) -> Option<Self> {
        let (service, host) = name.as_str().strip_prefix('_')?.split_once('.')?;
        Self::service(&format!("{service}@{host}")).ok()
    }

    /// Whether a service that is called `self` may answer for what was asked.
    #[must_use]
    pub fn answers_for(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Service { service: ours, .. }, Self::Service { service, host: None }) => ours == service,
            _ => self == asked,
        }
    }

    /// For people, and for programs that look names up.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::User(user) => user.as_str().to_owned(),
            Self::Service { service, host: Some(host) } => format!("{service}@{host}"),
            Self::Service { service, host: None } => service.clone(),
        }
    }

    /// The type under which [`Name::display`] can be imported again.
    #[must_use]
    pub const fn name_type(&self) -> &'static [u8] {
        match self {
            Self::User(_) => oid::USER_NAME,
            Self::Service { .. } => oid::HOST_BASED_SERVICE,
        }
    }

    /// The form that programs compare byte by byte (RFC 2743 §3.2).
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.fixed(&[4, 1]);
        w.u16(2 + oid::MECHANISM.len() as u16);
        w.u8(6);
        w.bytes8(oid::MECHANISM);
        let kind = match self {
            Self::User(_) => 'u',
            Self::Service { .. } => 's',
        };
        let text = format!("{kind}:{}", self.display());
        w.u32(text.len() as u32);
        w.fixed(text.as_bytes());
        w.into_bytes()
    }

    fn from_exported(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let head: [u8; 5] = r.fixed().ok()?;
        let [4, 1, a, b, 6] = head else { return None };
        let mechanism = r.bytes8().ok()?;
        if usize::from(u16::from_be_bytes([a, b])) != 2 + mechanism.len() || mechanism != oid::MECHANISM {
            return None;
        }
        let length = r.u32().ok()? as usize;
        let text = std::str::from_utf8(r.take(length).ok()?).ok()?;
        r.finish().ok()?;
        let name = match text.split_once(':')? {
            ("u", user) => CanonName::parse(user).map(Self::User).ok()?,
            ("s", service) => Self::service(service).ok()?,
            _ => return None,
        };
        // One name, one form: another spelling would compare as another name.
        (name.export() == bytes).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_name() {
        let import = |text: &str, name_type| Name::import(text.as_bytes(), name_type);
        assert_eq!(import("Alice", Some(oid::USER_NAME)), import("alice\0", None));
        let service = import("HTTP@WWW.Example", Some(oid::HOST_BASED_SERVICE)).unwrap();
        assert_eq!(service.display(), "http@www.example");
        assert_eq!(service.certified().unwrap().as_str(), "_http.www.example");
        assert_eq!(Name::from_certified(&service.certified().unwrap()), Some(service.clone()));
        assert_eq!(Name::import(&service.export(), Some(oid::EXPORT_NAME)), Ok(service));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "h".repeat(63);
        for text in ["", "@host", "a b@host", "host@", "x@a..b", "x@-", &format!("{long}@host"), "x@host\0"] {
            assert_eq!(Name::service(text), Err(NameError::BadName), "{text}");
        }
        for text in ["", "al ice", "alice@host", "al\0ice", "alice\0\0", "\0"] {
            assert_eq!(Name::import(text.as_bytes(), None), Err(NameError::BadName), "{text}");
        }
        let host = format!("{0}.{0}.{0}.{1}", "h".repeat(60), "h".repeat(50));
        assert!(GatewayName::parse(&host).is_ok());
        assert_eq!(Name::service(&format!("{}@{host}", "s".repeat(50))), Err(NameError::BadName));
        assert_eq!(Name::import(b"0", Some(&[1, 2, 3])), Err(NameError::BadType));
    }

    #[test]
    fn another_spelling_of_an_exported_name_is_refused() {
        let good = Name::import(b"alice", None).unwrap().export();
        let loud = String::from_utf8_lossy(&good[good.len() - 7..]).to_uppercase();
        let other = [&good[..good.len() - 7], loud.as_bytes()].concat();
        assert_eq!(Name::import(&other, Some(oid::EXPORT_NAME)), Err(NameError::BadName));
        for cut in 0..good.len() {
            assert!(Name::import(&good[..cut], Some(oid::EXPORT_NAME)).is_err());
        }
    }

    #[test]
    fn a_service_of_any_host_is_answered_by_the_one_that_is_here() {
        let here = Name::service("ldap@db.example").unwrap();
        assert!(here.answers_for(&Name::service("ldap").unwrap()));
        assert!(!here.answers_for(&Name::service("http").unwrap()));
        assert!(!here.answers_for(&Name::service("ldap@other.example").unwrap()));
    }
}
