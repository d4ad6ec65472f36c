//! ID tokens of an OpenID provider (OpenID Connect Core 1.0), as signed JWTs (RFC 7519, RFC 7515).
//!
//! ```text
//! initiator                    provider                         gateway
//!   nonce = base64url(binding)
//!   ──────── nonce ───────────> signs {iss, sub, aud, nonce, …}
//!   <─────── ID token ─────────
//!   ──────────────────────── ID token ────────────────────────> nonce = base64url(binding)?
//!                              <──── discovery, keys ──────────  (kept, renewed when a key is new)
//! ```
//! Initiator: [`JwtToken`] with an [`IdTokenSource`]. Gateway: an [`OidcVerifier`], which yields
//! [`JwtProved`]; the keys are those of a [`Provider`], who a token's subject is here says a
//! [`SubjectMap`].
//!
//! Which algorithm checks a signature follows from the type of the provider's key: a token cannot
//! choose one (RFC 8725 §3.1). There is no `none` and no HMAC at all.

mod apart;
mod browser;
mod claims;
mod command;
mod discovery;
mod error;
mod groups;
mod json;
mod jwk;
mod jws;
mod provider;
mod subject;
mod token;
mod verifier;

/// Longest document of a provider, in bytes; their key sets have a few KiB.
const MAX_DOCUMENT: usize = 256 * 1024;
/// What providers answer with.
const JSON: &str = "application/json";

pub use browser::BrowserSource;
pub use command::CommandSource;
pub use error::{OidcError, ProviderError, SourceError};
pub use groups::ClaimGroups;
pub use provider::{KeyTimes, Provider};
pub use subject::{SubjectMap, UserClaim};
pub use symbolon_fetch::{FetchError, Transport};
pub use token::{IdTokenSource, JwtToken, nonce};
pub use verifier::{JwtProved, OidcVerifier, claimed_issuer};
