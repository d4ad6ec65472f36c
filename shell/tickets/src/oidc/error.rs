use symbolon_fetch::FetchError;

/// Why an ID token opened nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    // The peer erred.
    /// It is no signed token in compact form, or what is in it is not what an ID token has.
    #[error("malformed ID token: {0}")]
    Malformed(&'static str),
    /// It is signed by an algorithm that is not accepted: `none`, an HMAC, or an unknown one.
    #[error("the ID token's algorithm is not accepted")]
    Algorithm,
    /// The provider has no such key, or has it for another algorithm.
    #[error("the ID token names no key of the provider")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the ID token's signature does not fit")]
    Forged,
    /// It is another provider's.
    #[error("the ID token is of another issuer")]
    OtherIssuer,
    /// It was issued for somebody else to read.
    #[error("the ID token is for another audience")]
    OtherAudience,
    /// It was issued for another exchange, or for none.
    #[error("the ID token is not bound to this exchange")]
    NotBound,
    /// Its time is over.
    #[error("the ID token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the ID token is not valid yet")]
    Early,
    /// Nobody here corresponds to its subject.
    #[error("no user here corresponds to the ID token's subject")]
    UnknownSubject,

    // The provider erred, or those who configured us.
    /// There are no keys to check it with.
    #[error("the keys of the OpenID provider cannot be had: {0}")]
    Unavailable(#[from] ProviderError),
}

/// Why nothing could be learnt from a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// It cannot be asked, or does not answer as it should.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An answer that is not what was asked for.
    #[error("its answer is not understood: {0}")]
    Malformed(&'static str),
    /// It calls itself by another name than it is known by (OpenID Connect Discovery 1.0 §4.3).
    #[error("it says that it is another issuer")]
    OtherIssuer,
    /// It was asked a moment ago, in vain.
    #[error("it could not be asked a moment ago")]
    AskedJustNow,
}

/// Why no ID token was got to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The program failed, or the user did not sign in.
    #[error("no ID token was got: {0}")]
    Failed(String),
    /// The provider erred.
    #[error("no ID token was got from the OpenID provider: {0}")]
    Provider(#[from] ProviderError),
    /// It took too long.
    #[error("no ID token was got in time")]
    TimedOut,
    /// What was got is no ID token, or is longer than 16 KiB.
    #[error("what was got is no ID token")]
    Malformed,
    /// The token lacks the nonce that it was asked for with: the provider does not support it.
    #[error("the ID token does not contain the nonce that was asked for")]
    NoNonce,
}
