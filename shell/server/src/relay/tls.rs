//! TLS to an application, whose certificate must fit.

use super::message::{Failure, FailureKind, MAX_ROOTS, TlsDestination};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where systems keep the certificates that they trust, one file of which exists: Debian and Arch, Fedora, SUSE, Alpine
/// and the BSDs. `SSL_CERT_FILE` names another.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The handshake.
pub(super) async fn connect(
    destination: &TlsDestination,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let roots = match &destination.roots {
        Some(pem) => Arc::new(roots(pem.as_bytes(), Unreadable::Refuse)?),
        None => system_roots()?,
    };
    let no_version = |e: rustls::Error| Failure::unreachable(format!("TLS: {e}"));
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(no_version)?
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = destination.alpn.iter().cloned().collect();
    let name = ServerName::try_from(destination.name.clone())
        .map_err(|_| Failure::unreachable(format!("no certificate can be for \"{}\"", destination.name)))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|e| failure(&e, destination))?;
    let spoken = stream.get_ref().1.alpn_protocol();
    // HTTP/1.1 is what is spoken where nothing is said
    match &destination.alpn {
        Some(agreed) if spoken != Some(agreed) && !(spoken.is_none() && agreed == b"http/1.1") => {
            Err(other_protocol(destination))
        }
        _ => Ok(stream),
    }
}

fn other_protocol(destination: &TlsDestination) -> Failure {
    let agreed = destination.alpn.as_deref().unwrap_or_default();
    let agreed = String::from_utf8_lossy(agreed);
    Failure::unreachable(format!("it does not speak \"{agreed}\" (ALPN), which its client does"))
}

/// What is wrong, by whose fault it is.
fn failure(e: &std::io::Error, destination: &TlsDestination) -> Failure {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            let why = match why {
                CertificateError::UnknownIssuer => {
                    "it does not come from an authority that is trusted".to_owned()
                }
                why => why.to_string(),
            };
            Failure::new(FailureKind::Certificate, format!("its certificate is not accepted: {why}"))
        }
        Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            other_protocol(destination)
        }
        Some(e) => Failure::unreachable(format!("TLS: {e}")),
        None => Failure::unreachable(format!("TLS: {e}")),
    }
}

/// What becomes of a certificate that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    /// Nothing is dialled.
    Refuse,
    /// It does not count: the system's list may know more than we do.
    Skip,
}

fn roots(pem: &[u8], unreadable: Unreadable) -> Result<RootCertStore, Failure> {
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Certificate, format!("the certificates to check it against: {e}"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        match certificate.map_err(|e| wrong(&e)).and_then(|c| roots.add(c).map_err(|e| wrong(&e))) {
            Err(failure) if unreadable == Unreadable::Refuse => return Err(failure),
            _ => {}
        }
    }
    if roots.is_empty() { Err(wrong(&"there is none")) } else { Ok(roots) }
}

/// Certificates against which no other can be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRoots {
    /// They are too long.
    #[error("they have more than {MAX_ROOTS} bytes")]
    Long,
    /// A key that is nobody's business.
    #[error("there is a private key among them")]
    PrivateKey,
    /// They cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Whether an application's certificate can be checked against these (PEM).
pub(crate) fn check_roots(pem: &str) -> Result<(), NotRoots> {
    if pem.len() > MAX_ROOTS {
        return Err(NotRoots::Long);
    }
    if pem.contains("PRIVATE KEY") {
        return Err(NotRoots::PrivateKey);
    }
    roots(pem.as_bytes(), Unreadable::Refuse).map(drop).map_err(|e| NotRoots::Unreadable(e.to_string()))
}

/// Whether a certificate can be for this: a host's name, or an address.
pub(crate) fn is_certificate_name(name: &str) -> bool {
    name.len() <= 253 && ServerName::try_from(name).is_ok()
}

/// A file's roots as they were read last.
struct Read {
    path: PathBuf,
    changed: Option<SystemTime>,
    roots: Arc<RootCertStore>,
}

/// The roots of this system, read again when their file has changed.
fn system_roots() -> Result<Arc<RootCertStore>, Failure> {
    static READ: Mutex<Option<Read>> = Mutex::new(None);
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let found = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| Path::exists(path));
    let path = named.or_else(found).ok_or_else(|| {
        Failure::new(
            FailureKind::Certificate,
            "this system has no list of certificates that it trusts: use --app-ca",
        )
    })?;
    let changed = std::fs::metadata(&path).and_then(|file| file.modified()).ok();
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(read) = read.as_ref().filter(|read| read.path == path && read.changed == changed) {
        return Ok(read.roots.clone());
    }
    let pem = std::fs::read(&path).map_err(|e| {
        let path = path.display();
        Failure::new(
            FailureKind::Certificate,
            format!("the certificates that this system trusts ({path}): {e}"),
        )
    })?;
    let roots = Arc::new(roots(&pem, Unreadable::Skip)?);
    *read = Some(Read { path, changed, roots: roots.clone() });
    Ok(roots)
}
