use symbolon_policy::CanonName;

/// How the issuer of a ticket tells names apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// By every letter, as MIT and Heimdal do: `Alice` and `alice` may be two people, so only a name
    /// that is spelt canonically is somebody here.
    Exact,
    /// Regardless of case, as Active Directory does: any spelling is the one person.
    AnyCase,
}

impl Spelling {
    /// Who `name` is, if anybody can be called so.
    pub(crate) fn user(self, name: &str) -> Option<CanonName> {
        let user = CanonName::parse(name).ok()?;
        match self {
            Self::Exact if user.as_str() != name => None,
            _ => Some(user),
        }
    }
}
