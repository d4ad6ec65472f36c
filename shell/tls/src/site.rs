//! What is served under one name.

use crate::client::AnyCertificate;
use crate::tickets::OfShown;
use crate::{SiteError, TicketKeys};
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedCipherSuite};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::atomic::AtomicBool;
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
pub struct Site {
    config: Arc<ServerConfig>,
    clients: Clients,
}

impl Site {
    /// A site with this certificate chain (DER, its own first) and key (DER: PKCS #8, SEC 1 or PKCS #1), which
    /// speaks these protocols (ALPN, best first; with none, the client's are not looked at). With `tickets`
    /// sessions are resumed; a session that is has the client's certificates of its first connection. Where clients
    /// are asked for certificates, only those that showed one get a ticket, for
    /// [`TICKETS_OF_SHOWN_SECS`](crate::TICKETS_OF_SHOWN_SECS).
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
        // who is asked is asked for each connection anew
        let builder = builder.with_no_client_auth();
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
        Ok(Self { config: Arc::new(config), clients })
    }

    /// The same for one connection.
    pub(crate) fn for_one_client(&self) -> Result<ServerConfig, rustls::Error> {
        let ours = &self.config;
        if self.clients == Clients::NotAsked {
            return Ok(ServerConfig::clone(ours));
        }
        let provider = Arc::clone(ours.crypto_provider());
        let shown = Arc::<AtomicBool>::default();
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .with_client_cert_verifier(Arc::new(AnyCertificate { algorithms, shown: shown.clone() }))
            .with_cert_resolver(Arc::clone(&ours.cert_resolver));
        config.alpn_protocols.clone_from(&ours.alpn_protocols);
        config.enable_secret_extraction = ours.enable_secret_extraction;
        config.session_storage = Arc::clone(&ours.session_storage);
        config.send_tls13_tickets = ours.send_tls13_tickets;
        config.max_early_data_size = ours.max_early_data_size;
        if ours.ticketer.enabled() {
            config.ticketer = Arc::new(OfShown::new(Arc::clone(&ours.ticketer), shown));
        }
        Ok(config)
    }
}
