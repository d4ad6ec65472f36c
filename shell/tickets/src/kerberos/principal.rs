//! Who a Kerberos principal is here.

use std::collections::{BTreeMap, BTreeSet};

use symbolon_policy::CanonName;

use super::KerberosError;
use crate::Spelling;

/// Longest principal that is looked at, in bytes.
const MAX_PRINCIPAL: usize = 512;

/// A principal of a person: one component and a realm, `alice@EXAMPLE.ORG` (RFC 4120 §6.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    name: String,
    realm: String,
}

impl Principal {
    /// Reads a principal as the library writes it.
    ///
    /// # Errors
    /// [`KerberosError::BadPrincipal`] when it has several components (`alice/admin` is another
    /// principal than `alice`), no realm, or characters that the library had to escape.
    pub fn parse(text: &str) -> Result<Self, KerberosError> {
        let (name, realm) = split(text)?;
        if name.contains('/') {
            return Err(KerberosError::BadPrincipal("it has several components"));
        }
        Ok(Self { name: name.to_owned(), realm: realm.to_owned() })
    }

    /// The name within the realm.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The realm, whose letters are told apart by case.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.realm)
    }
}

/// A principal of a gateway: service, host and realm, `host/gw.example.org@EXAMPLE.ORG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePrincipal(String);

impl ServicePrincipal {
    /// Reads it in full: there is no default realm, no guessing of the host and no look-up in the DNS.
    ///
    /// # Errors
    /// [`KerberosError::BadPrincipal`] when a part is missing.
    pub fn parse(text: &str) -> Result<Self, KerberosError> {
        let (name, _) = split(text)?;
        match name.split_once('/') {
            Some((service, host)) if !service.is_empty() && !host.is_empty() && !host.contains('/') => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(KerberosError::BadPrincipal("expected service/host@REALM")),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn split(text: &str) -> Result<(&str, &str), KerberosError> {
    if text.len() > MAX_PRINCIPAL {
        return Err(KerberosError::BadPrincipal("it is too long"));
    }
    if text.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) {
        return Err(KerberosError::BadPrincipal("it has characters that must be escaped"));
    }
    match text.split_once('@') {
        Some((name, realm)) if !name.is_empty() && !realm.is_empty() && !realm.contains('@') => {
            Ok((name, realm))
        }
        _ => Err(KerberosError::BadPrincipal("expected name@REALM")),
    }
}

/// Which principals are whom: nobody but those it names, and the people of one realm.
#[derive(Clone, Debug, Default)]
pub struct PrincipalMap {
    realm: Option<(String, Spelling)>,
    people: BTreeMap<Principal, CanonName>,
    refused: BTreeSet<Principal>,
}

impl PrincipalMap {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Each `name@realm` is the user `name`. There is one such realm, since the same name in two
    /// realms would be one user.
    #[must_use]
    pub fn of_realm(realm: &str, spelling: Spelling) -> Self {
        Self { realm: Some((realm.to_owned(), spelling)), ..Self::default() }
    }

    /// `principal` is `user`, whatever its realm.
    #[must_use]
    pub fn with_person(mut self, principal: Principal, user: CanonName) -> Self {
        self.people.insert(principal, user);
        self
    }

    /// `principal` is nobody, though its realm is named.
    #[must_use]
    pub fn without(mut self, principal: Principal) -> Self {
        self.refused.insert(principal);
        self
    }

    /// Who `principal` is.
    ///
    /// # Errors
    /// [`KerberosError::UnknownPrincipal`] when it is nobody.
    pub fn user(&self, principal: &Principal) -> Result<CanonName, KerberosError> {
        self.find(principal).ok_or(KerberosError::UnknownPrincipal)
    }

    fn find(&self, principal: &Principal) -> Option<CanonName> {
        if self.refused.contains(principal) {
            return None;
        }
        if let Some(user) = self.people.get(principal) {
            return Some(user.clone());
        }
        match &self.realm {
            Some((realm, spelling)) if *realm == principal.realm => spelling.user(&principal.name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(text: &str) -> Principal {
        Principal::parse(text).unwrap()
    }

    fn alice() -> CanonName {
        CanonName::parse("alice").unwrap()
    }

    #[test]
    fn the_people_of_the_named_realm_are_users() {
        let map = PrincipalMap::of_realm("EXAMPLE.ORG", Spelling::Exact);
        assert_eq!(map.user(&principal("alice@EXAMPLE.ORG")), Ok(alice()));
    }

    #[test]
    fn the_same_name_in_another_realm_is_nobody() {
        let map = PrincipalMap::of_realm("EXAMPLE.ORG", Spelling::Exact);
        for other in ["alice@EXAMPLE.COM", "alice@example.org", "alice@EXAMPLE.ORG.EVIL"] {
            assert_eq!(map.user(&principal(other)), Err(KerberosError::UnknownPrincipal), "{other}");
        }
    }

    #[test]
    fn a_principal_of_another_realm_is_who_the_map_says() {
        let map = PrincipalMap::new().with_person(principal("a.smith@PARTNER.COM"), alice());
        assert_eq!(map.user(&principal("a.smith@PARTNER.COM")), Ok(alice()));
        assert_eq!(map.user(&principal("b.smith@PARTNER.COM")), Err(KerberosError::UnknownPrincipal));
    }

    #[test]
    fn another_spelling_is_nobody_where_the_realm_tells_cases_apart() {
        let exact = PrincipalMap::of_realm("R", Spelling::Exact);
        assert_eq!(exact.user(&principal("Alice@R")), Err(KerberosError::UnknownPrincipal));
        let any = PrincipalMap::of_realm("R", Spelling::AnyCase);
        assert_eq!(any.user(&principal("ALICE@R")), Ok(alice()));
    }

    #[test]
    fn a_refused_principal_is_nobody_even_if_it_is_named() {
        let map = PrincipalMap::of_realm("R", Spelling::Exact)
            .with_person(principal("alice@R"), alice())
            .without(principal("alice@R"));
        assert_eq!(map.user(&principal("alice@R")), Err(KerberosError::UnknownPrincipal));
    }

    #[test]
    fn an_instance_of_a_name_is_not_that_name() {
        for odd in [
            "alice/admin@R",
            "alice",
            "alice@",
            "@R",
            "a@b@R",
            r"alice\@X@R",
            "alice @R",
            "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
        ] {
            assert!(matches!(Principal::parse(odd), Err(KerberosError::BadPrincipal(_))), "{odd}");
        }
    }

    #[test]
    fn a_service_is_named_in_full() {
        assert!(ServicePrincipal::parse("host/gw.example.org@EXAMPLE.ORG").is_ok());
        for odd in ["host/gw", "host@R", "host/@R", "/gw@R", "host/a/b@R", "gw@R"] {
            assert!(ServicePrincipal::parse(odd).is_err(), "{odd}");
        }
    }
}
