//! A signed token in compact form (RFC 7515 §7.1), taken apart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OidcError;
use super::json::Object;

/// Longest token that is looked at, in bytes: a first message of a context carries no more.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// The algorithms that are accepted (RFC 7518 §3.1, RFC 8037, RFC 9864): signatures, no HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A token whose signature nobody has checked yet.
pub(super) struct Jws<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) signed: &'a [u8],
    pub(super) payload: Object,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, OidcError> {
        let malformed = OidcError::Malformed;
        if token.len() > MAX_TOKEN {
            return Err(malformed("it is too long"));
        }
        let mut parts = token.split(|&b| b == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it has not three parts"));
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let (algorithm, key_id) = read_header(header)?;
        let payload = object(payload).ok_or(malformed("its claims are no object"))?;
        let signature = decode(signature).ok_or(malformed("its signature is no base64url"))?;
        Ok(Self { algorithm, key_id, signed, payload, signature })
    }
}

fn read_header(part: &[u8]) -> Result<(Algorithm, Option<String>), OidcError> {
    let malformed = OidcError::Malformed;
    let header = object(part).ok_or(malformed("its header is no object"))?;
    let text = |name| header.text(name).map_err(|_| malformed("its header has an odd type"));
    let algorithm = text("alg")?.ok_or(malformed("its header names no algorithm"))?;
    // Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
    if header.has("crit") {
        return Err(malformed("its header demands what is not understood"));
    }
    if text("typ")?.is_some_and(|t| !t.eq_ignore_ascii_case("JWT")) {
        return Err(malformed("it is a token of another type"));
    }
    let key_id = text("kid")?.map(str::to_owned);
    Ok((Algorithm::named(algorithm).ok_or(OidcError::Algorithm)?, key_id))
}

fn object(part: &[u8]) -> Option<Object> {
    Object::parse(&decode(part)?)
}

fn decode(part: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_header(header: &str) -> Vec<u8> {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}")).into_bytes()
    }

    fn refusal(token: &[u8]) -> Option<OidcError> {
        Jws::parse(token).err()
    }

    #[test]
    fn no_signature_and_a_shared_secret_are_no_algorithms() {
        for name in
            ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS1", "RS512", "ES256K", "rs256", ""]
        {
            let token = with_header(&format!(r#"{{"alg":"{name}"}}"#));
            assert_eq!(refusal(&token), Some(OidcError::Algorithm), "{name}");
        }
    }

    #[test]
    fn a_header_that_demands_an_extension_is_refused() {
        let token = with_header(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#);
        assert!(matches!(refusal(&token), Some(OidcError::Malformed(_))));
    }

    #[test]
    fn a_token_of_another_type_is_refused() {
        assert!(Jws::parse(&with_header(r#"{"alg":"ES256","typ":"JWT"}"#)).is_ok());
        for other in ["at+jwt", "logout+jwt", "dpop+jwt"] {
            let token = with_header(&format!(r#"{{"alg":"ES256","typ":"{other}"}}"#));
            assert!(matches!(refusal(&token), Some(OidcError::Malformed(_))), "{other}");
        }
    }

    #[test]
    fn a_token_that_is_not_in_compact_form_is_refused() {
        let whole = with_header(r#"{"alg":"ES256"}"#);
        let text = String::from_utf8(whole.clone()).unwrap();
        let long = [whole.clone(), vec![b'A'; MAX_TOKEN]].concat();
        let padded = text.replace(".c2ln", ".c2lnIQ==");
        let five = format!("{text}.a.b");
        for odd in ["", ".", "..", "a.b", "{}", &padded, &five, "eyJ.e30.", &text.replace('.', " ")] {
            assert!(matches!(refusal(odd.as_bytes()), Some(OidcError::Malformed(_))), "{odd}");
        }
        assert!(matches!(refusal(&long), Some(OidcError::Malformed(_))));
    }

    #[test]
    fn a_header_with_a_doubled_member_is_refused() {
        let token = with_header(r#"{"alg":"none","alg":"ES256"}"#);
        assert!(matches!(refusal(&token), Some(OidcError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Jws::parse(&bytes);
        }

        #[test]
        fn no_text_in_the_three_places_makes_it_panic(a in ".*", b in ".*", c in ".*") {
            let e = |t: &str| URL_SAFE_NO_PAD.encode(t);
            let _ = Jws::parse(format!("{}.{}.{}", e(&a), e(&b), e(&c)).as_bytes());
        }
    }
}
