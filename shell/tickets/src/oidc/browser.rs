//! ID tokens by the user's browser (RFC 6749 §4.1 with PKCE, RFC 7636; redirect to this machine,
//! RFC 8252 §7.3).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use serde_json::Value;
use symbolon_crypto::{SecretBytes, constant_time_eq};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::apart::apart;
use super::discovery::{self, Description};
use super::{IdTokenSource, JSON, MAX_DOCUMENT, ProviderError, SourceError, Transport};

/// Longest request that is read from the browser, in bytes: a code has a few hundred.
const MAX_REQUEST: u64 = 16 * 1024;
/// How long one connection of the browser may take; some are opened and never used.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// ID tokens by the user's browser: the user signs in at the provider, which sends the browser back
/// to this machine with a code, and the code is exchanged for a token.
pub struct BrowserSource {
    issuer: String,
    client: String,
    transport: Transport,
    show: Box<dyn FnMut(&str) + Send>,
    limit: Duration,
}

impl std::fmt::Debug for BrowserSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrowserSource").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl BrowserSource {
    /// At the provider `issuer`, as its public client `client`. `show` brings an address before the
    /// user: it opens the browser, or prints it. The user has `limit` to sign in.
    #[must_use]
    pub fn new(
        issuer: &str,
        client: &str,
        transport: Transport,
        show: Box<dyn FnMut(&str) + Send>,
        limit: Duration,
    ) -> Self {
        Self { issuer: issuer.to_owned(), client: client.to_owned(), transport, show, limit }
    }

    async fn sign_in(&mut self, nonce: &str) -> Result<SecretBytes, SourceError> {
        let failed = |e: std::io::Error| SourceError::Failed(e.to_string());
        let place = discovery::place(&self.issuer, &self.transport)?;
        let description = Description::fetch(&self.issuer, &place, &self.transport).await?;
        let page = description.place("authorization_endpoint", &self.transport)?;
        let token_place = description.place("token_endpoint", &self.transport)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (redirect, state, verifier) = (format!("http://127.0.0.1:{port}/"), random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let question = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client)
            .append_pair("redirect_uri", &redirect)
            .append_pair("scope", "openid")
            .append_pair("state", &state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let joint = if page.query().is_some() { '&' } else { '?' };
        (self.show)(&format!("{page}{joint}{question}"));
        let code = await_code(&listener, &state, &self.issuer).await?;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &code)
            .append_pair("redirect_uri", &redirect)
            .append_pair("client_id", &self.client)
            .append_pair("code_verifier", &verifier)
            .finish();
        let answer = self.transport.answer(&token_place, form, JSON, MAX_DOCUMENT).await;
        let answer = answer.map_err(ProviderError::from)?;
        let malformed = ProviderError::Malformed;
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| malformed("no JSON"))?;
        let token = answer.get("id_token").and_then(Value::as_str);
        Ok(SecretBytes::from(token.ok_or(malformed("no ID token"))?.to_owned()))
    }
}

impl IdTokenSource for BrowserSource {
    fn fetch(&mut self, nonce: &str) -> Result<SecretBytes, SourceError> {
        apart(self.limit, self.sign_in(nonce))
    }
}

/// The code with which the browser comes back. Whoever else comes is sent away.
async fn await_code(listener: &TcpListener, state: &str, issuer: &str) -> Result<String, SourceError> {
    let (done, mut result) = mpsc::channel(1);
    let mut visits = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(result) = result.recv() => return result,
            visit = listener.accept() => {
                let (stream, _) = visit.map_err(|e| SourceError::Failed(e.to_string()))?;
                let (done, state, issuer) = (done.clone(), state.to_owned(), issuer.to_owned());
                visits.spawn(async move {
                    let visit = timeout(REQUEST_LIMIT, receive(stream, &state, &issuer));
                    if let Ok(Some(result)) = visit.await {
                        let _ = done.send(result).await;
                    }
                });
            }
        }
    }
}

/// One visit of a browser: the code or the refusal that it brings, if it is ours.
async fn receive(mut stream: TcpStream, state: &str, issuer: &str) -> Option<Result<String, SourceError>> {
    let mut request = Vec::new();
    let mut limited = (&mut stream).take(MAX_REQUEST);
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        if limited.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let line = request.split(|b| *b == b'\r').next()?;
    let result = line
        .strip_prefix(b"GET /?")
        .and_then(|rest| brought(rest.split(|b| *b == b' ').next().unwrap_or_default(), state, issuer));
    let (status, text) = match &result {
        Some(Ok(_)) => ("200 OK", "Signed in. You may close this window."),
        Some(Err(_)) => ("200 OK", "Not signed in. You may close this window."),
        None => ("400 Bad Request", "This is not what was waited for."),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    result
}

/// RFC 6749 §4.1.2, and who answers (RFC 9207).
fn brought(query: &[u8], state: &str, issuer: &str) -> Option<Result<String, SourceError>> {
    let field = |name: &str| {
        let mut found = form_urlencoded::parse(query).filter(|(n, _)| n == name).map(|(_, value)| value);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    };
    if !constant_time_eq(field("state")?.as_bytes(), state.as_bytes()) {
        return None;
    }
    if field("iss").is_some_and(|i| i != issuer) {
        return Some(Err(ProviderError::OtherIssuer.into()));
    }
    if let Some(error) = field("error") {
        let plain: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
        return Some(Err(SourceError::Failed(format!("the provider says {plain}"))));
    }
    field("code").filter(|c| !c.is_empty()).map(|code| Ok(code.into_owned()))
}

/// 256 random bits as text.
fn random() -> Result<String, SourceError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SourceError::Failed("no randomness".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bring(query: &str) -> Option<Result<String, SourceError>> {
        brought(query.as_bytes(), "the-state", "https://id.example.org")
    }

    #[test]
    fn a_code_with_our_state_is_taken() {
        assert_eq!(bring("code=a%2Fb&state=the-state"), Some(Ok("a/b".to_owned())));
        let named = "iss=https%3A%2F%2Fid.example.org&state=the-state&code=x";
        assert_eq!(bring(named), Some(Ok("x".to_owned())));
    }

    #[test]
    fn a_code_without_our_state_is_not_looked_at() {
        for odd in [
            "",
            "code=x",
            "code=x&state=",
            "code=x&state=other",
            "code=x&state=the-state&state=other",
            "error=no",
            "state=the-state",
            "state=the-state&code=",
            "state=the-state&code=a&code=b",
        ] {
            assert_eq!(bring(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_answer_of_another_provider_and_a_refusal_end_the_wait() {
        let other = bring("code=x&state=the-state&iss=https://evil.example.org");
        assert_eq!(other, Some(Err(ProviderError::OtherIssuer.into())));
        let refused = bring("error=access_denied&state=the-state");
        assert!(matches!(refused, Some(Err(SourceError::Failed(_)))));
    }
}
