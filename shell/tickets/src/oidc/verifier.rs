use symbolon_crypto::{TokenProof, TranscriptHash};
use symbolon_policy::{CanonName, GroupName};
use symbolon_wire::Time;

use super::claims::{Claims, Expected};
use super::jws::Jws;
use super::{ClaimGroups, OidcError, Provider, SubjectMap};

/// The gateway's side: lets in who shows an ID token of one provider for this gateway.
#[derive(Debug)]
pub struct OidcVerifier {
    provider: Provider,
    audience: String,
    people: SubjectMap,
    groups: Option<ClaimGroups>,
}

impl OidcVerifier {
    /// For tokens of `provider` to the client `audience`, as the gateway is registered there.
    #[must_use]
    pub fn new(provider: Provider, audience: &str, people: SubjectMap) -> Self {
        Self { provider, audience: audience.to_owned(), people, groups: None }
    }

    /// The same, and the groups that a token names are looked at.
    #[must_use]
    pub fn with_groups(mut self, groups: ClaimGroups) -> Self {
        self.groups = Some(groups);
        self
    }

    /// The provider.
    #[must_use]
    pub const fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Checks the token of one exchange. What it says is looked at first, so that a stranger cannot
    /// make us ask the provider for keys with a token that would not do anyway.
    ///
    /// # Errors
    /// [`OidcError`], by whose fault; [`OidcError::Unavailable`] says nothing about the token.
    pub async fn verify(
        &self,
        token: &[u8],
        binding: &TranscriptHash,
        now: Time,
    ) -> Result<JwtProved, OidcError> {
        let jws = Jws::parse(token)?;
        let issuer = self.provider.issuer();
        let expected = Expected { issuer, audience: &self.audience, binding, now };
        let claims = Claims::check(&jws.payload, &expected)?;
        let key = self.provider.key(jws.key_id.as_deref(), jws.algorithm, now).await?;
        key.verify(jws.algorithm, jws.signed, &jws.signature)?;
        let user = self.people.user(&claims.subject, &jws.payload)?;
        let groups = self.groups.as_ref().map(|g| g.of(&jws.payload)).unwrap_or_default();
        Ok(JwtProved { binding: *binding, issuer: issuer.to_owned(), user, groups, claims })
    }
}

/// Which issuer a token claims to be of, to find the verifier for it; nothing is checked.
#[must_use]
pub fn claimed_issuer(token: &[u8]) -> Option<String> {
    Jws::parse(token).ok()?.payload.text("iss").ok()?.map(str::to_owned)
}

/// Evidence that an ID token was shown in one exchange. Only [`OidcVerifier::verify`] makes it.
#[derive(Debug)]
pub struct JwtProved {
    binding: TranscriptHash,
    issuer: String,
    user: CanonName,
    groups: Vec<GroupName>,
    claims: Claims,
}

impl JwtProved {
    /// The provider that vouched.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the provider calls the person (`sub`); with the issuer, it never means anybody else.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.subject
    }

    /// Who that is here.
    #[must_use]
    pub const fn user(&self) -> &CanonName {
        &self.user
    }

    /// In which groups of ours the token says that the person is.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// When the token ends: what it opens should not outlive it by much.
    #[must_use]
    pub const fn expires(&self) -> Time {
        self.claims.expires
    }

    /// How well the provider made sure of the person (`acr`), in its own words.
    #[must_use]
    pub fn authentication_class(&self) -> Option<&str> {
        self.claims.authentication_class.as_deref()
    }

    /// By what the provider made sure of the person (`amr`, RFC 8176): `pwd`, `otp`, `hwk`.
    #[must_use]
    pub fn methods(&self) -> &[String] {
        &self.claims.methods
    }
}

impl TokenProof for JwtProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }
}
