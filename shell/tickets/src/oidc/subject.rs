//! Who a provider's subject is here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use symbolon_policy::CanonName;

use super::OidcError;
use super::json::Object;
use crate::Spelling;

/// Which claim names the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserClaim {
    /// None: only listed subjects are somebody.
    Listed,
    /// The subject itself, where the provider uses user names for it.
    Subject,
    /// Another claim, as `preferred_username`. Choose one that people cannot change themselves and
    /// that the provider never gives to somebody else later.
    Named {
        /// The claim.
        claim: String,
        /// How the provider tells such names apart.
        spelling: Spelling,
    },
    /// The part before the `@` of an address that the provider verified, in one domain.
    Email {
        /// The domain, without regard to case.
        domain: String,
    },
}

/// Which subjects of one provider are whom.
#[derive(Clone, Debug)]
pub struct SubjectMap {
    by: UserClaim,
    people: BTreeMap<String, CanonName>,
    refused: BTreeSet<String>,
}

impl SubjectMap {
    /// By a claim.
    #[must_use]
    pub const fn by(claim: UserClaim) -> Self {
        Self { by: claim, people: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// The subject `subject` is `user`, whatever else its token says.
    #[must_use]
    pub fn with_person(mut self, subject: &str, user: CanonName) -> Self {
        self.people.insert(subject.to_owned(), user);
        self
    }

    /// The subject `subject` is nobody.
    #[must_use]
    pub fn without(mut self, subject: &str) -> Self {
        self.refused.insert(subject.to_owned());
        self
    }

    pub(super) fn user(&self, subject: &str, claims: &Object) -> Result<CanonName, OidcError> {
        self.find(subject, claims).ok_or(OidcError::UnknownSubject)
    }

    fn find(&self, subject: &str, claims: &Object) -> Option<CanonName> {
        if self.refused.contains(subject) {
            return None;
        }
        if let Some(user) = self.people.get(subject) {
            return Some(user.clone());
        }
        match &self.by {
            UserClaim::Listed => None,
            UserClaim::Subject => Spelling::Exact.user(subject),
            UserClaim::Named { claim, spelling } => spelling.user(claims.get(claim)?.as_str()?),
            UserClaim::Email { domain } => {
                // The boolean, not the text "true": what is not certainly verified is not.
                if claims.get("email_verified") != Some(&Value::Bool(true)) {
                    return None;
                }
                let (name, at) = claims.get("email")?.as_str()?.split_once('@')?;
                at.eq_ignore_ascii_case(domain).then(|| Spelling::AnyCase.user(name))?
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(map: &SubjectMap, subject: &str, claims: &str) -> Option<String> {
        let claims = Object::parse(claims.as_bytes()).unwrap();
        map.user(subject, &claims).ok().map(|u| u.as_str().to_owned())
    }

    #[test]
    fn a_listed_subject_is_who_the_list_says_and_others_are_nobody() {
        let map = SubjectMap::by(UserClaim::Listed).with_person("248289", CanonName::parse("alice").unwrap());
        assert_eq!(user(&map, "248289", "{}").as_deref(), Some("alice"));
        assert_eq!(user(&map, "alice", r#"{"preferred_username":"alice"}"#), None);
    }

    #[test]
    fn a_subject_that_is_spelt_otherwise_is_nobody() {
        let map = SubjectMap::by(UserClaim::Subject);
        assert_eq!(user(&map, "alice", "{}").as_deref(), Some("alice"));
        for odd in ["Alice", "ALICE", "a\u{200b}lice", "ａlice", "\u{430}lice", "alice ", "../alice"] {
            assert_eq!(user(&map, odd, "{}"), None, "{odd:?}");
        }
    }

    #[test]
    fn a_claim_names_the_user_in_any_case_where_the_provider_knows_none() {
        let spelling = Spelling::AnyCase;
        let map = SubjectMap::by(UserClaim::Named { claim: "upn".to_owned(), spelling });
        assert_eq!(user(&map, "1", r#"{"upn":"Alice"}"#).as_deref(), Some("alice"));
        assert_eq!(user(&map, "1", r#"{"upn":["alice"]}"#), None);
        assert_eq!(user(&map, "1", "{}"), None);
    }

    #[test]
    fn an_address_counts_when_it_is_verified_and_in_the_domain() {
        let map = SubjectMap::by(UserClaim::Email { domain: "example.org".to_owned() });
        let at = |email: &str, verified: &str| {
            user(&map, "1", &format!(r#"{{"email":"{email}","email_verified":{verified}}}"#))
        };
        assert_eq!(at("alice@Example.org", "true").as_deref(), Some("alice"));
        assert_eq!(at("alice@example.org", "false"), None);
        assert_eq!(at("alice@example.org", "\"true\""), None);
        assert_eq!(user(&map, "1", r#"{"email":"alice@example.org"}"#), None);
        for odd in [
            "alice@evil@example.org",
            "alice@example.org@evil",
            "alice@sub.example.org",
            "alice",
            "@example.org",
        ] {
            assert_eq!(at(odd, "true"), None, "{odd}");
        }
    }

    #[test]
    fn a_refused_subject_is_nobody() {
        let map = SubjectMap::by(UserClaim::Subject).without("alice");
        assert_eq!(user(&map, "alice", "{}"), None);
    }
}
