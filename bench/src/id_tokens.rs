//! ID tokens as authentication token, signed with RSA and with ECDSA by a provider in this process. Its keys are
//! fetched once, before anything is timed, as a node keeps them.

use crate::clock::{micros_each, spent};
use crate::context::finish;
use crate::credentials;
use crate::measure::{Cost, Costs, Subject, interleaved};
use crate::parties::{Gateway, answer, first, now};
use crate::report::{Report, Target};
use anyhow::{Context as _, Result, bail};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKey, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use symbolon_crypto::{Purpose, SecretBytes, Suite, TranscriptHash};
use symbolon_tickets::oidc::{
    IdTokenSource, JwtToken, KeyTimes, OidcVerifier, Provider, SourceError, SubjectMap, Transport, UserClaim,
    nonce,
};

/// Exchanges in a batch: the provider signs each token, which with RSA takes long.
const BATCH: usize = 24;
const AUDIENCE: &str = "gateway-of-benchmarks";
const BITS: usize = 2048;

/// Contexts by ID token, and what the check of the token alone takes.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let gateway = Gateway::new()?;
    let keys = credentials::Keys::new(&gateway, Suite::X25519)?;
    let rsa = Site::start(Key::Rs256(RsaKey::generate(KeySize::Rsa2048)?))?;
    let ecdsa = Site::start(Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?))?;
    let [certificate, by_rsa, by_ecdsa, rsa_check, ecdsa_check] = interleaved([
        credentials::signed(&gateway, Suite::X25519, &keys),
        exchanges(&gateway, &rsa),
        exchanges(&gateway, &ecdsa),
        checks(&rsa)?,
        checks(&ecdsa)?,
    ])?;
    let mut figures = |algorithm: &str, context: &Costs, check: &Costs| {
        let name = |what: &str| format!("X25519, ID token {algorithm}: {what}");
        let ratio = context.server.over(&certificate.server);
        report.median(name("server CPU ÷ certificate context"), &ratio, "×", Target::None);
        report.value(name("contexts"), 1e6 / context.server.median(), "/s/core", Target::None);
        report.median(name("check of the token alone"), &check.server, "µs", Target::None);
        let ratio = check.server.over(&certificate.server);
        report.median(name("the same ÷ certificate context"), &ratio, "×", Target::None);
    };
    figures("RS256", &by_rsa, &rsa_check);
    figures("ES256", &by_ecdsa, &ecdsa_check);
    report.note(format!(
        "RS256 is RSA of {BITS} bits; the provider's keys are kept, as in all tokens but the first."
    ));
    Ok(())
}

fn exchanges<'a>(gateway: &'a Gateway, site: &'a Site) -> Subject<'a> {
    let check = gateway.cheap_check(Purpose::Context);
    Box::new(move || {
        let now = now();
        let token = || JwtToken::new(Box::new(Source(Arc::clone(&site.issuer))));
        let begun =
            (0..BATCH).map(|_| first(gateway, Suite::X25519, token(), now)).collect::<Result<Vec<_>>>()?;
        let (waiting, messages): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
        let (server, answers) = spent(|| {
            let accept = |first: &Vec<u8>| {
                let fresh = gateway.receive(&check, first, now)?;
                let proof = at_once(site.verifier.verify(fresh.token().expose(), fresh.binding(), now))??;
                Ok(answer(fresh, proof)?.1)
            };
            messages.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        finish(waiting, &answers?)?;
        Ok(Cost { server: micros_each(server, BATCH), client: 0.0 })
    })
}

fn checks(site: &Site) -> Result<Subject<'_>> {
    let binding = TranscriptHash([7; 32]);
    let token = site.issuer.token(&nonce(&binding)).context("a token")?;
    Ok(Box::new(move || {
        let now = now();
        let (server, checked) = spent(|| {
            for _ in 0..BATCH {
                at_once(site.verifier.verify(&token, &binding, now))??;
            }
            anyhow::Ok(())
        });
        checked?;
        Ok(Cost { server: micros_each(server, BATCH), client: 0.0 })
    }))
}

/// What is ready without waiting, since the keys are kept; the runtime's own cost is none of the token's.
fn at_once<T>(work: impl Future<Output = T>) -> Result<T> {
    match pin!(work).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => bail!("the provider's keys were not kept"),
    }
}

/// A provider that was asked for its keys, and the gateway's side of it.
struct Site {
    issuer: Arc<Issuer>,
    verifier: OidcVerifier,
}

struct Issuer {
    name: String,
    key: Key,
}

enum Key {
    Rs256(RsaKey),
    Es256(EcdsaKeyPair),
}

struct Source(Arc<Issuer>);

impl IdTokenSource for Source {
    fn fetch(&mut self, nonce: &str) -> Result<SecretBytes, SourceError> {
        self.0.token(nonce).map(SecretBytes::new).map_err(|_| SourceError::Malformed)
    }
}

impl Site {
    fn start(key: Key) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let issuer = Arc::new(Issuer { name: format!("http://{}", listener.local_addr()?), key });
        let documents = [
            json!({"issuer": issuer.name, "jwks_uri": format!("{}/keys", issuer.name)}),
            json!({"keys": [issuer.key.jwk()?]}),
        ];
        let serving =
            std::thread::spawn(move || documents.iter().try_for_each(|d| serve(listener.accept()?.0, d)));
        let times = KeyTimes { renew_after: u64::MAX, serve_for: u64::MAX, ask_every: u64::MAX };
        let transport = Transport::unprotected_http(Duration::from_secs(20));
        let provider = Provider::new(&issuer.name, transport, times)?;
        let verifier = OidcVerifier::new(provider, AUDIENCE, SubjectMap::by(UserClaim::Subject));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(verifier.provider().prepare(now()))?;
        serving.join().map_err(|_| anyhow::anyhow!("the provider panicked"))??;
        Ok(Self { issuer, verifier })
    }
}

impl Issuer {
    fn token(&self, nonce: &str) -> Result<Vec<u8>> {
        let issued = now().secs();
        let header = json!({"alg": self.key.algorithm(), "kid": "first", "typ": "JWT"});
        let claims = json!({"iss": self.name, "sub": "alice", "aud": AUDIENCE, "nonce": nonce, "iat": issued,
            "exp": issued + 300, "acr": "phr", "amr": ["pwd", "otp"]});
        let signed = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", text(signature)).into_bytes())
    }
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::Es256(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
        }
    }

    fn jwk(&self) -> Result<Value> {
        match self {
            Self::Rs256(key) => {
                // RFC 8017 §A.1.1: the last two numbers are n, and e of three bytes behind a head of two.
                let der = key.public_key().as_der()?;
                let end = der.as_ref().len().checked_sub(5).context("a public key")?;
                let n = der.as_ref().get(end - BITS / 8..end).context("a modulus")?;
                Ok(
                    json!({"kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", "n": text(n), "e": "AQAB"}),
                )
            }
            Self::Es256(key) => {
                let (x, y) = key.public_key().as_ref().get(1..65).context("a point")?.split_at(32);
                Ok(json!({"kty": "EC", "crv": "P-256", "kid": "first", "x": text(x), "y": text(y)}))
            }
        }
    }
}

/// Answers one request, whatever it asks for.
fn serve(mut stream: TcpStream, document: &Value) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}
    let body = document.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
