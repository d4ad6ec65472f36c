use std::fmt::{Display, Formatter, Result as FmtResult};

use super::LdapTextError;

/// Where a directory listens: host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads `host:port`, as in `ldap.example.org:636` or `[::1]:389`.
    ///
    /// # Errors
    /// [`LdapTextError`] when a part is missing. A URL is refused, since whether TLS is used is said
    /// elsewhere and once.
    pub fn parse(text: &str) -> Result<Self, LdapTextError> {
        let wrong = LdapTextError::new("address of a directory", "expected host:port");
        let (host, port) = text.rsplit_once(':').ok_or(wrong.clone())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(wrong.clone())?,
            None if host.contains(':') => return Err(wrong),
            None => host,
        };
        let plain = !host.is_empty() && !host.contains(|c: char| "/@[]".contains(c) || c.is_whitespace());
        match port.parse() {
            Ok(port) if port != 0 && plain => Ok(Self { host: host.to_owned(), port }),
            _ => Err(wrong),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["ldap.example.org:636", "127.0.0.1:389", "[::1]:389"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for odd in [
            "",
            "ldap",
            "ldap:",
            ":389",
            "ldap:0",
            "ldap:70000",
            "ldaps://ldap:636",
            "::1:389",
            "a b:1",
            "[::1:389",
        ] {
            assert!(Address::parse(odd).is_err(), "{odd}");
        }
    }
}
