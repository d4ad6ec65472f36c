//! ID tokens of an OpenID provider, and the key set by which they are checked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_crypto::{Signer as _, TokenProof as _, TranscriptHash};
use symbolon_provider::Ed25519SigningKey;
use symbolon_tickets::oidc::{
    JwtProved, KeyTimes, OidcVerifier, Provider, SubjectMap, Transport, UserClaim, claimed_issuer, nonce,
};

use crate::gateway::NOW;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "jwt", feed, seeds };

/// The rest is a token as it travels.
const TOKEN: u8 = 0;
/// The rest is what the provider signs as a header, before good claims.
const HEADER: u8 = 1;
/// The rest is what the provider signs as claims.
const CLAIMS: u8 = 2;
/// The rest is a header that somebody else signs, with the key that the token itself may bring.
const STRANGER: u8 = 3;
/// The rest is the provider's key set.
const KEYS: u8 = 4;

const AUDIENCE: &str = "gateway-of-fuzzing";
const HERE: TranscriptHash = TranscriptHash([7; 32]);
/// How far the clocks of a provider and of a gateway may differ.
const TOLERANCE: f64 = 120.0;

fn feed(data: &[u8]) {
    let Some((&way, rest)) = data.split_first() else { return };
    let site = site();
    match way {
        TOKEN => {
            drop(claimed_issuer(rest));
            if site.show(rest).is_some() {
                assert!(site.tokens().contains(&rest.to_vec()), "a token that the provider did not sign");
            }
        }
        HEADER => {
            let token = site.sign(&site.key, rest, &site.claims());
            if site.show(&token).is_some() {
                let header: Value = serde_json::from_slice(rest).expect("what was understood is JSON");
                assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519", "the token chose {header}");
                assert!(header.get("crit").is_none(), "a demand that nobody here understands");
            }
        }
        CLAIMS => {
            if let Some(proved) = site.show(&site.sign(&site.key, &site.header(), rest)) {
                let claims = serde_json::from_slice(rest).expect("what was understood is JSON");
                site.hold(&claims, &proved);
            }
        }
        STRANGER => {
            let token = site.sign(&site.stranger, rest, &site.claims());
            assert!(site.show(&token).is_none(), "a stranger's signature counts");
        }
        KEYS => {
            *site.keys.lock().unwrap_or_else(PoisonError::into_inner) = rest.to_vec();
            let token = site.sign(&site.key, &site.header(), &site.claims());
            if show(&verifier(&site.issuer), &token).is_some() {
                let keys = serde_json::from_slice(rest).expect("what was understood is JSON");
                let public = URL_SAFE_NO_PAD.encode(site.key.public_key());
                assert!(holds(&keys, &public), "a signature under a key that is not in the set");
            }
        }
        _ => {}
    }
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(here) => here == text,
        Value::Array(list) => list.iter().any(|v| holds(v, text)),
        Value::Object(members) => members.values().any(|v| holds(v, text)),
        _ => false,
    }
}

/// A provider that answers by HTTP on this machine, and a verifier that has asked it for its keys.
struct Site {
    issuer: String,
    key: Ed25519SigningKey,
    stranger: Ed25519SigningKey,
    verifier: OidcVerifier,
    /// What it says its keys are.
    keys: &'static Mutex<Vec<u8>>,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::new().expect("a provider on this machine can be asked"))
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of this thread");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// One that has asked nobody yet, and asks once only.
fn verifier(issuer: &str) -> OidcVerifier {
    let times = KeyTimes { renew_after: u64::MAX, serve_for: u64::MAX, ask_every: u64::MAX };
    let transport = Transport::unprotected_http(Duration::from_secs(20));
    let provider = Provider::new(issuer, transport, times).expect("an address");
    OidcVerifier::new(provider, AUDIENCE, SubjectMap::by(UserClaim::Subject))
}

fn show(verifier: &OidcVerifier, token: &[u8]) -> Option<JwtProved> {
    wait(verifier.verify(token, &HERE, NOW)).ok()
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        static KEYS: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let name = issuer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                drop(answer(stream, &name, &KEYS));
            }
        });
        let (key, stranger) = (Ed25519SigningKey::generate(), Ed25519SigningKey::generate());
        let site = Self { verifier: verifier(&issuer), issuer, key, stranger, keys: &KEYS };
        *KEYS.lock().unwrap_or_else(PoisonError::into_inner) = site.key_set();
        wait(site.verifier.provider().prepare(NOW))?;
        Ok(site)
    }

    fn show(&self, token: &[u8]) -> Option<JwtProved> {
        show(&self.verifier, token)
    }

    fn key_set(&self) -> Vec<u8> {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "first", "use": "sig", "alg": "EdDSA", "x": x});
        json!({"keys": [key]}).to_string().into_bytes()
    }

    fn header(&self) -> Vec<u8> {
        json!({"alg": "EdDSA", "kid": "first", "typ": "JWT"}).to_string().into_bytes()
    }

    fn claims(&self) -> Vec<u8> {
        let (iat, exp) = (NOW.secs(), NOW.secs() + 300);
        let claims = json!({"iss": self.issuer, "sub": "alice", "aud": AUDIENCE, "nonce": nonce(&HERE),
            "iat": iat, "exp": exp, "acr": "phr", "amr": ["pwd", "otp"]});
        claims.to_string().into_bytes()
    }

    fn claims_for_several(&self) -> Vec<u8> {
        let mut claims: Value = serde_json::from_slice(&self.claims()).expect("our own");
        claims["aud"] = json!([AUDIENCE, "another"]);
        claims["azp"] = json!(AUDIENCE);
        claims["nbf"] = json!(NOW.secs());
        claims.to_string().into_bytes()
    }

    fn sign(&self, key: &Ed25519SigningKey, header: &[u8], claims: &[u8]) -> Vec<u8> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = key.sign(signed.as_bytes()).expect("a key in memory signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into_bytes()
    }

    /// All that the provider signs as it should; Ed25519 signs the same in the same way.
    fn tokens(&self) -> [Vec<u8>; 2] {
        [self.claims(), self.claims_for_several()].map(|c| self.sign(&self.key, &self.header(), &c))
    }

    /// What OpenID Connect Core 1.0 §3.1.3.7 demands, read by another reader than the one that is tested.
    fn hold(&self, claims: &Value, proved: &JwtProved) {
        assert_eq!(claims["iss"], json!(self.issuer), "another issuer");
        assert_eq!(claims["nonce"], json!(nonce(&HERE)), "another exchange");
        let audience = &claims["aud"];
        let named = audience == AUDIENCE || audience.as_array().is_some_and(|a| a.contains(&json!(AUDIENCE)));
        assert!(named, "another audience: {audience}");
        let alone = audience.as_array().is_none_or(|a| a.len() == 1);
        let party = claims.get("azp");
        assert!(party.map_or(alone, |p| p == AUDIENCE), "issued to somebody else: {party:?}");
        let (now, time) = (NOW.secs() as f64, |name: &str| claims[name].as_f64());
        assert!(time("exp").is_some_and(|t| t.floor() + TOLERANCE > now), "past its time");
        assert!(time("iat").is_some_and(|t| t.floor() <= now + TOLERANCE), "before its time");
        assert!(time("nbf").is_none_or(|t| t.floor() <= now + TOLERANCE), "before its time");
        assert_eq!(claims["sub"], json!(proved.subject()), "another subject");
        assert_eq!(claims["sub"], json!(proved.user().as_str()), "another user");
        assert_eq!(proved.binding(), &HERE);
    }
}

/// One request by HTTP/1.1, and the document that it is for.
fn answer(mut stream: TcpStream, issuer: &str, keys: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let body = if request.starts_with("GET /keys ") {
        keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    } else {
        json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string().into_bytes()
    };
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

fn seeds() -> Vec<Vec<u8>> {
    let site = site();
    let tokens = site.tokens();
    assert!(tokens.iter().all(|t| site.show(t).is_some()), "what the provider signs is taken");
    let x = URL_SAFE_NO_PAD.encode(site.stranger.public_key());
    let brought = json!({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}});
    let strange_set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "first", "x": x},
        {"kty": "EC", "crv": "P-256", "kid": "second", "x": x, "y": x},
        {"kty": "RSA", "kid": "third", "key_ops": ["verify"], "n": "AQAB".repeat(86), "e": "AQAB"},
        {"kty": "oct", "kid": "fourth", "use": "enc", "k": x},
    ]});
    let mut seeds: Vec<Vec<u8>> = tokens.iter().map(|token| by(TOKEN, token)).collect();
    for alg in ["none", "HS256", "RS256", "PS256", "ES256", "Ed25519"] {
        let header = json!({"alg": alg, "kid": "first"}).to_string();
        seeds.extend([HEADER, STRANGER].map(|way| by(way, header.as_bytes())));
        seeds.push(by(TOKEN, &site.sign(&site.stranger, header.as_bytes(), &site.claims())));
    }
    seeds.extend([
        by(HEADER, &site.header()),
        by(HEADER, br#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#),
        by(CLAIMS, &site.claims()),
        by(CLAIMS, &site.claims_for_several()),
        by(STRANGER, &site.header()),
        by(STRANGER, brought.to_string().as_bytes()),
        by(KEYS, &site.key_set()),
        by(KEYS, strange_set.to_string().as_bytes()),
    ]);
    seeds
}
