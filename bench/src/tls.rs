//! The peer that we compare with: rustls on the same primitives, TLS 1.3, AES-256-GCM.

use crate::clock::spent;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;

/// Client and server that trust the same authority.
pub(crate) struct TlsPair {
    pub(crate) client: Arc<rustls::ClientConfig>,
    pub(crate) server: Arc<rustls::ServerConfig>,
}

/// What a handshake took.
pub(crate) struct Handshake {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
    pub(crate) bytes: usize,
}

/// Name of the server in its certificate.
pub(crate) const SERVER_NAME: &str = "server.example";

impl TlsPair {
    /// Both sides have certificates of `algorithm`; keys are agreed upon in `group`. No resumption
    /// and no tickets: each handshake is a full one.
    pub(crate) fn new(
        group: &'static dyn SupportedKxGroup,
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> Result<Self> {
        let authority = Authority::new(algorithm)?;
        let provider = provider(group);
        let roots = authority.roots()?;
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()?;
        let (certificate, key) = authority.certify("client.example", ExtendedKeyUsagePurpose::ClientAuth)?;
        let mut client = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)?;
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self { client: Arc::new(client), server: authority.server(provider, verifier)? })
    }

    /// The same, with clients that show no certificate.
    pub(crate) fn with_anonymous_clients(
        group: &'static dyn SupportedKxGroup,
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> Result<Self> {
        let authority = Authority::new(algorithm)?;
        let client = trusting_client(authority.certificate.clone(), group)?;
        let server =
            authority.server(provider(group), rustls::server::WebPkiClientVerifier::no_client_auth())?;
        Ok(Self { client, server })
    }

    /// One full handshake in memory.
    pub(crate) fn handshake(&self) -> Result<Handshake> {
        let name = SERVER_NAME.try_into().context("a DNS name")?;
        let (mut took, client) = spent(|| rustls::ClientConnection::new(self.client.clone(), name));
        let mut client = rustls::Connection::from(client?);
        let mut total = Handshake { server: Duration::ZERO, client: Duration::ZERO, bytes: 0 };
        total.client += took;
        let (took_server, server) = spent(|| rustls::ServerConnection::new(self.server.clone()));
        let mut server = rustls::Connection::from(server?);
        total.server += took_server;
        let mut flight = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            took = flow(&mut client, &mut flight)?;
            total.client += took;
            total.bytes += flight.len();
            total.server += take(&mut server, &flight)?;
            took = flow(&mut server, &mut flight)?;
            total.server += took;
            total.bytes += flight.len();
            total.client += take(&mut client, &flight)?;
        }
        Ok(total)
    }
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// aws-lc with one group and the cipher that our records have.
fn provider(group: &'static dyn SupportedKxGroup) -> Arc<CryptoProvider> {
    provider_of(group, cipher_suite::TLS13_AES_256_GCM_SHA384)
}

fn provider_of(
    group: &'static dyn SupportedKxGroup,
    suite: rustls::SupportedCipherSuite,
) -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.kx_groups = vec![group];
    provider.cipher_suites = vec![suite];
    Arc::new(provider)
}

/// What browsers and gateways agree upon most: X25519, AES-128-GCM.
fn usual_provider() -> Arc<CryptoProvider> {
    provider_of(kx_group::X25519, cipher_suite::TLS13_AES_128_GCM_SHA256)
}

/// A P-256 certificate of [`SERVER_NAME`] and its key as PEM, and a client that trusts it and resumes nothing.
pub(crate) fn usual_server() -> Result<(String, String, Arc<rustls::ClientConfig>)> {
    let authority = Authority::new(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let (certificate, key) = authority.certify(SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth)?;
    let mut client = rustls::ClientConfig::builder_with_provider(usual_provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(authority.roots()?)
        .with_no_client_auth();
    client.resumption = rustls::client::Resumption::disabled();
    Ok((pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", key.secret_der()), Arc::new(client)))
}

/// A server for such clients, of the files.
pub(crate) fn server_from_files(certificate: &str, key: &str) -> Result<Arc<rustls::ServerConfig>> {
    let certificate = CertificateDer::from_pem_file(certificate)?;
    let server = rustls::ServerConfig::builder_with_provider(usual_provider())
        .with_protocol_versions(VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_file(key)?)?;
    Ok(Arc::new(server))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A client without certificate that trusts `authority`.
pub(crate) fn trusting_client(
    authority: CertificateDer<'static>,
    group: &'static dyn SupportedKxGroup,
) -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority)?;
    let mut client = rustls::ClientConfig::builder_with_provider(provider(group))
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(client))
}

/// A server for [`trusting_client`], and the certificate of its authority.
pub(crate) fn trusted_server(
    group: &'static dyn SupportedKxGroup,
) -> Result<(Arc<rustls::ServerConfig>, CertificateDer<'static>)> {
    let authority = Authority::new(&rcgen::PKCS_ED25519)?;
    let anybody = rustls::server::WebPkiClientVerifier::no_client_auth();
    Ok((authority.server(provider(group), anybody)?, authority.certificate))
}

fn flow(from: &mut rustls::Connection, flight: &mut Vec<u8>) -> Result<Duration> {
    flight.clear();
    let (took, result) = spent(|| {
        while from.wants_write() {
            from.write_tls(flight)?;
        }
        std::io::Result::Ok(())
    });
    result?;
    Ok(took)
}

fn take(to: &mut rustls::Connection, mut flight: &[u8]) -> Result<Duration> {
    let (took, result) = spent(|| -> Result<()> {
        while !flight.is_empty() {
            to.read_tls(&mut flight)?;
            to.process_new_packets()?;
        }
        Ok(())
    });
    result?;
    Ok(took)
}

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Authority {
    fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<Self> {
        let key = rcgen::KeyPair::generate_for(algorithm)?;
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: rcgen::Issuer::new(params, key), algorithm })
    }

    fn roots(&self) -> Result<Arc<rustls::RootCertStore>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(Arc::new(roots))
    }

    fn server(
        &self,
        provider: Arc<CryptoProvider>,
        clients: Arc<dyn rustls::server::danger::ClientCertVerifier>,
    ) -> Result<Arc<rustls::ServerConfig>> {
        let (certificate, key) = self.certify(SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth)?;
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Arc::new(server))
    }

    fn certify(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let key = rcgen::KeyPair::generate_for(self.algorithm)?;
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        Ok((certificate.der().clone(), key))
    }
}
