//! What an ID token says (OpenID Connect Core 1.0 §2) and which of it must hold (§3.1.3.7).

use serde_json::Value;
use symbolon_crypto::{TranscriptHash, constant_time_eq};
use symbolon_wire::Time;

use super::OidcError;
use super::json::Object;
use super::token::nonce;

/// How far the provider's clock and ours may differ, in seconds.
const CLOCK_TOLERANCE_SECS: u64 = 120;

/// How long ago a token may have been issued, in seconds: it was asked for in this very exchange,
/// and a person may have had to type a password and wait for a second factor.
const MAX_AGE_SECS: u64 = 900;

/// What a token must say to be for us.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) binding: &'a TranscriptHash,
    pub(super) now: Time,
}

/// Claims that hold, if the signature does.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) expires: Time,
    pub(super) authentication_class: Option<String>,
    pub(super) methods: Vec<String>,
}

impl Claims {
    pub(super) fn check(claims: &Object, expected: &Expected<'_>) -> Result<Self, OidcError> {
        if text(claims, "iss")? != Some(expected.issuer) {
            return Err(OidcError::OtherIssuer);
        }
        check_audience(claims, expected.audience)?;
        let bound_to = text(claims, "nonce")?.ok_or(OidcError::NotBound)?;
        if !constant_time_eq(bound_to.as_bytes(), nonce(expected.binding).as_bytes()) {
            return Err(OidcError::NotBound);
        }
        let expires = check_times(claims, expected.now)?;
        let subject = text(claims, "sub")?.filter(|s| !s.is_empty() && s.len() <= 255);
        Ok(Self {
            subject: subject.ok_or(OidcError::Malformed("no subject"))?.to_owned(),
            expires,
            authentication_class: text(claims, "acr")?.map(str::to_owned),
            methods: texts(claims, "amr"),
        })
    }
}

/// One audience, ours; or several, if the token was issued to us (`azp`).
fn check_audience(claims: &Object, us: &str) -> Result<(), OidcError> {
    let (named, several) = match claims.get("aud") {
        Some(Value::String(one)) => (one == us, false),
        Some(Value::Array(list)) => (list.iter().any(|a| a == us), list.len() > 1),
        _ => return Err(OidcError::OtherAudience),
    };
    let issued_to_us = match text(claims, "azp")? {
        Some(party) => party == us,
        None => !several,
    };
    if named && issued_to_us { Ok(()) } else { Err(OidcError::OtherAudience) }
}

fn check_times(claims: &Object, now: Time) -> Result<Time, OidcError> {
    let expires = time(claims, "exp")?.ok_or(OidcError::Malformed("no end of its time"))?;
    let issued = time(claims, "iat")?.ok_or(OidcError::Malformed("no time of issue"))?;
    let latest = now.plus_secs(CLOCK_TOLERANCE_SECS);
    if now >= expires.plus_secs(CLOCK_TOLERANCE_SECS) || now > issued.plus_secs(MAX_AGE_SECS) {
        return Err(OidcError::Expired);
    }
    if issued > latest || time(claims, "nbf")?.is_some_and(|t| t > latest) {
        return Err(OidcError::Early);
    }
    Ok(expires)
}

fn text<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a str>, OidcError> {
    claims.text(name).map_err(|_| OidcError::Malformed("a claim is of another type"))
}

fn texts(claims: &Object, name: &str) -> Vec<String> {
    let list = claims.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// A number of seconds, perhaps with a fraction (RFC 7519 §2, NumericDate), until the year 9999.
fn time(claims: &Object, name: &str) -> Result<Option<Time>, OidcError> {
    const MAX: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(secs) if (0.0..=MAX).contains(&secs) => Ok(Some(Time::from_secs(secs as u64))),
        _ => Err(OidcError::Malformed("a time that is none")),
    }
}
