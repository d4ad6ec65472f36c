#![forbid(unsafe_code)]
//! One question and answer by HTTP or HTTPS, within limits of time and length; no redirection is
//! followed. What comes is believed for its own sake (a signature) or for the server's certificate.

mod error;

pub use error::FetchError;
pub use hyper::Uri;
pub use hyper::body::Bytes;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How servers are talked to.
#[derive(Clone, Debug)]
pub struct Transport {
    tls: Option<Arc<ClientConfig>>,
    limit: Duration,
}

impl Transport {
    /// HTTPS alone, with servers whose certificates chain to one in `pem`. The machine's own list is
    /// not asked: who wants it names its file. One document takes at most `limit`.
    ///
    /// # Errors
    /// [`FetchError::Certificates`] when there is none, or one cannot be read.
    pub fn https(pem: &[u8], limit: Duration) -> Result<Self, FetchError> {
        let certificates = |e: &dyn std::fmt::Display| FetchError::Certificates(e.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|e| certificates(&e))?).map_err(|e| certificates(&e))?;
        }
        if roots.is_empty() {
            return Err(certificates(&"there is none"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| certificates(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some(Arc::new(config)), limit })
    }

    /// HTTP without protection: whoever is on the path can answer in the server's place. For one on the
    /// same machine.
    #[must_use]
    pub const fn unprotected_http(limit: Duration) -> Self {
        Self { tls: None, limit }
    }

    /// Reads an address that this transport may ask.
    ///
    /// # Errors
    /// [`FetchError::Address`].
    pub fn address(&self, text: &str) -> Result<Uri, FetchError> {
        let wrong = || FetchError::Address(text.chars().take(200).collect());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some(scheme) || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(uri)
    }

    /// The document of the media type `accept` at `address`, of at most `longest` bytes.
    ///
    /// # Errors
    /// [`FetchError`], by what went wrong.
    pub async fn document(&self, address: &Uri, accept: &str, longest: usize) -> Result<Bytes, FetchError> {
        self.exchange(address, None, accept, longest).await
    }

    /// What is answered to a form that is sent to `address`, of the same type and length.
    ///
    /// # Errors
    /// [`FetchError`], by what went wrong.
    pub async fn answer(
        &self,
        address: &Uri,
        form: String,
        accept: &str,
        longest: usize,
    ) -> Result<Bytes, FetchError> {
        self.exchange(address, Some(form), accept, longest).await
    }

    async fn exchange(
        &self,
        address: &Uri,
        form: Option<String>,
        accept: &str,
        longest: usize,
    ) -> Result<Bytes, FetchError> {
        let host = address.authority().map_or("", Authority::as_str);
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder()
            .method(method)
            .uri(address.path_and_query().map_or("/", PathAndQuery::as_str))
            .header(HOST, host)
            .header(ACCEPT, accept)
            .header(USER_AGENT, "symbolon");
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = Full::new(Bytes::from(form.unwrap_or_default()));
        let request = request.body(body).map_err(connection)?;
        tokio::time::timeout(self.limit, self.at_leisure(address, request, longest))
            .await
            .map_err(|_| FetchError::TimedOut)?
    }

    async fn at_leisure(
        &self,
        address: &Uri,
        request: Request<Full<Bytes>>,
        longest: usize,
    ) -> Result<Bytes, FetchError> {
        let host = address.host().unwrap_or_default();
        // An IPv6 address stands in brackets in a URL and nowhere else.
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = address.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(connection)?;
        match &self.tls {
            None => ask(stream, request, longest).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(connection)?;
                let connector = TlsConnector::from(Arc::clone(config));
                ask(connector.connect(name, stream).await.map_err(connection)?, request, longest).await
            }
        }
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    longest: usize,
) -> Result<Bytes, FetchError> {
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(connection)?;
    // Ends with this function, whatever comes.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(driver);
    let response = sender.send_request(request).await.map_err(connection)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), longest).collect().await.map_err(|e| {
        if e.is::<LengthLimitError>() { FetchError::TooLong } else { FetchError::Connection(e.to_string()) }
    })?;
    Ok(body.to_bytes())
}

fn connection(error: impl std::fmt::Display) -> FetchError {
    FetchError::Connection(error.to_string())
}
