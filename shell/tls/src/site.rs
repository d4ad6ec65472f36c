//! What is served under one name.

use crate::client::AnyCertificate;
use crate::{SiteError, TicketKeys};
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedCipherSuite};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::{Arc, LazyLock};
use symbolon_crypto::SecretBytes;
use symbolon_record::TlsSuite;

/// Whether clients show certificates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// They are not asked.
    NotAsked,
    /// They may, and have the keys of what they show. Whether it counts is for the caller to say.
    Asked,
}

/// TLS 1.2 and 1.3, X25519MLKEM768 first, and the suites that our records have.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite: &SupportedCipherSuite| TlsSuite::from_number(suite.suite().into()).is_some());
    Arc::new(provider)
});

/// How connections to one name are accepted. Cheap to share; a change makes a new one.
#[derive(Clone, Debug)]
pub struct Site(pub(crate) Arc<ServerConfig>);

impl Site {
    /// A site with this certificate chain (DER, its own first) and key (DER: PKCS #8, SEC 1 or PKCS #1), which
    /// speaks these protocols (ALPN, best first; with none, the client's are not looked at). With `tickets`
    /// sessions are resumed; a session that is has the client's certificates of its first connection.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn new(
        chain: &[Vec<u8>],
        key: &SecretBytes,
        alpn: &[&str],
        clients: Clients,
        tickets: Option<&Arc<TicketKeys>>,
    ) -> Result<Self, SiteError> {
        if alpn.iter().any(|protocol| !(1..=255).contains(&protocol.len())) {
            return Err(SiteError::Alpn);
        }
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::try_from(key.expose().to_vec()).map_err(|_| SiteError::Key)?;
        let provider = Arc::clone(&PROVIDER);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(SiteError::Certificate)?;
        let builder = match clients {
            Clients::NotAsked => builder.with_no_client_auth(),
            Clients::Asked => {
                let any = AnyCertificate(provider.signature_verification_algorithms);
                builder.with_client_cert_verifier(Arc::new(any))
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(SiteError::Certificate)?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.enable_secret_extraction = true;
        // What resumes is in the ticket, so that any worker can go on; early data is not taken, since it
        // may be a replay.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match tickets {
            Some(tickets) => {
                config.ticketer = Arc::clone(tickets) as Arc<dyn rustls::server::ProducesTickets>
            }
            None => config.send_tls13_tickets = 0,
        }
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config)))
    }
}
