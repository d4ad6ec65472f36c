//! An OpenID provider: discovery, keys that can be rotated, tokens really signed, and a token
//! endpoint that takes a nonce. It can be told to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::ServerConfig;
use serde_json::{Value, json};
use symbolon_crypto::TranscriptHash;
use symbolon_policy::CanonName;
use symbolon_tickets::oidc::{
    JwtProved, KeyTimes, OidcError, OidcVerifier, Provider, SubjectMap, Transport, UserClaim, nonce,
};
use symbolon_wire::Time;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::signing::{NamedKey, text};

pub(crate) const AUDIENCE: &str = "gateway-of-tests";
pub(crate) const HERE: TranscriptHash = TranscriptHash([7; 32]);
pub(crate) const NOW: Time = Time::from_secs(1_800_000_000);
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// What the provider does when it is asked.
#[derive(Clone)]
pub(crate) enum Manner {
    Answer,
    /// Accepts the connection and never says anything.
    Silence,
    /// Says exactly this instead.
    Say(Vec<u8>),
}

pub(crate) struct State {
    pub(crate) keys: Vec<NamedKey>,
    pub(crate) manner: Manner,
    /// What it calls itself, if not what it is.
    pub(crate) other_name: Option<String>,
    /// What it says where its keys are, if not where they are.
    pub(crate) other_place: Option<String>,
    pub(crate) asked_for_keys: u32,
    /// What the page for people answers instead of a code.
    pub(crate) says_no: bool,
    /// Codes that were given and not used: what they are good for.
    codes: HashMap<String, HashMap<String, String>>,
}

pub(crate) struct TestProvider {
    pub(crate) issuer: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestProvider {
    /// With one key for `algorithm`, by HTTP.
    pub(crate) async fn start(algorithm: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, issuer, algorithm, None)
    }

    /// By HTTPS, as `localhost` with a certificate of its own.
    pub(crate) async fn start_with_tls(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        Self::serve(listener, issuer, "ES256", Some(config.into()))
    }

    fn serve(listener: TcpListener, issuer: String, algorithm: &str, tls: Option<TlsAcceptor>) -> Self {
        let state = Arc::new(Mutex::new(State {
            keys: vec![NamedKey::generate("first", algorithm)],
            manner: Manner::Answer,
            other_name: None,
            other_place: None,
            asked_for_keys: 0,
            says_no: false,
            codes: HashMap::new(),
        }));
        let (shared, name) = (Arc::clone(&state), issuer.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, issuer, tls) = (Arc::clone(&shared), name.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &issuer, &state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, &issuer, &state).await;
                            }
                        }
                    }
                });
            }
        });
        Self { issuer, state, task }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn asked_for_keys(&self) -> u32 {
        self.state().asked_for_keys
    }

    /// What a good token says at [`NOW`] in the exchange [`HERE`].
    pub(crate) fn claims(&self) -> Value {
        claims(&self.issuer, "alice", &nonce(&HERE), NOW)
    }

    /// A token under the newest key.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let state = self.state();
        let key = state.keys.last().unwrap();
        key.sign(&key.header(), claims)
    }

    pub(crate) fn provider(&self) -> Provider {
        self.provider_with(KeyTimes::default())
    }

    pub(crate) fn provider_with(&self, times: KeyTimes) -> Provider {
        Provider::new(&self.issuer, Transport::unprotected_http(LIMIT), times).unwrap()
    }

    pub(crate) fn verifier(&self) -> OidcVerifier {
        self.verifier_with(KeyTimes::default())
    }

    pub(crate) fn verifier_with(&self, times: KeyTimes) -> OidcVerifier {
        OidcVerifier::new(self.provider_with(times), AUDIENCE, SubjectMap::by(UserClaim::Subject))
    }

    /// Shows a token in the exchange [`HERE`] at [`NOW`] to a gateway that knows nothing yet.
    pub(crate) async fn show(&self, token: &str) -> Result<JwtProved, OidcError> {
        self.verifier().verify(token.as_bytes(), &HERE, NOW).await
    }
}

pub(crate) fn claims(issuer: &str, subject: &str, nonce: &str, now: Time) -> Value {
    json!({
        "iss": issuer, "sub": subject, "aud": AUDIENCE, "nonce": nonce,
        "iat": now.secs(), "exp": now.secs() + 300, "acr": "phr", "amr": ["pwd", "otp"],
    })
}

pub(crate) fn alice() -> CanonName {
    CanonName::parse("alice").unwrap()
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, issuer: &str, state: &Mutex<State>) {
    let manner = state.lock().unwrap().manner.clone();
    let Some(request) = read_request(&mut stream).await else { return };
    let answer = match manner {
        Manner::Silence => return std::future::pending().await,
        Manner::Say(bytes) => bytes,
        Manner::Answer => document(&request, issuer, &mut state.lock().unwrap()),
    };
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

/// Head and body of a request, of which the body has the length that it says.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                l.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

fn document(request: &str, issuer: &str, state: &mut State) -> Vec<u8> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/.well-known/openid-configuration" => {
            let name = state.other_name.as_deref().unwrap_or(issuer);
            let place = state.other_place.clone().unwrap_or_else(|| format!("{issuer}/keys"));
            json!({"issuer": name, "jwks_uri": place, "token_endpoint": format!("{issuer}/token"),
                "authorization_endpoint": format!("{issuer}/sign-in?tenant=1")})
        }
        "/keys" => {
            state.asked_for_keys += 1;
            json!({"keys": state.keys.iter().map(NamedKey::jwk).collect::<Vec<_>>()})
        }
        "/token" => json!({"id_token": grant(request, issuer, state)}),
        _ if path.starts_with("/sign-in?") => return sign_in(path, issuer, state),
        _ => return say("404 Not Found", ""),
    };
    say("200 OK", &body.to_string())
}

/// The page for people: everybody is alice and signs in at once (RFC 6749 §4.1.1).
fn sign_in(path: &str, issuer: &str, state: &mut State) -> Vec<u8> {
    let question = fields(path.split_once('?').unwrap().1);
    let code = format!("code-{}/+{}", state.codes.len(), question["nonce"]);
    let answer = if state.says_no { ("error", "access_denied") } else { ("code", code.as_str()) };
    let answer = form_urlencoded::Serializer::new(String::new())
        .append_pair(answer.0, answer.1)
        .append_pair("state", &question["state"])
        .append_pair("iss", issuer)
        .finish();
    let back = format!("{}?{answer}", question["redirect_uri"]);
    state.codes.insert(code, question);
    format!("HTTP/1.1 302 Found\r\nlocation: {back}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn fields(form: &str) -> HashMap<String, String> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

/// RFC 6749 §4.3 with a nonce, where the password of everybody is `wonderland`; or §4.1.3 with PKCE.
fn grant(request: &str, issuer: &str, state: &mut State) -> Value {
    let form = fields(request.split("\r\n\r\n").nth(1).unwrap_or_default());
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (user, nonce) = match field("grant_type").as_str() {
        "authorization_code" => {
            let Some(asked) = state.codes.remove(&field("code")) else { return Value::Null };
            let challenge = text(digest(&SHA256, field("code_verifier").as_bytes()).as_ref());
            let same = ["client_id", "redirect_uri"].iter().all(|f| asked[*f] == field(f));
            if !same || asked["code_challenge"] != challenge || asked["code_challenge_method"] != "S256" {
                return Value::Null;
            }
            ("alice".to_owned(), asked["nonce"].clone())
        }
        _ if field("password") == "wonderland" => (field("username"), field("nonce")),
        _ => return Value::Null,
    };
    let key = state.keys.last().unwrap();
    key.sign(&key.header(), &claims(issuer, &user, &nonce, NOW)).into()
}

pub(crate) fn say(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
