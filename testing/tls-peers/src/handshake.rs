//! Handshakes by rustls, read record by record so that nothing is read which belongs to what follows.

use crate::authority::{Authority, SERVER_NAME};
use crate::handover::{KeptSecrets, handed_over};
use anyhow::{Context as _, Result, ensure};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;
use symbolon_record::{TlsRole, TlsState, TlsSuite, TlsVersion};

/// Who talks to whom, and in which suite.
#[derive(Debug)]
pub struct Setup {
    /// Our side.
    pub role: TlsRole,
    /// The only suite of both sides.
    pub suite: TlsSuite,
    /// Who vouches for the server.
    pub authority: Authority,
}

impl Setup {
    /// With fresh certificates.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(role: TlsRole, suite: TlsSuite) -> Result<Self> {
        let rsa = format!("{suite:?}").contains("Rsa");
        let algorithm = if rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
        Ok(Self { role, suite, authority: Authority::new(algorithm)? })
    }

    /// A fresh connection of rustls on the side of `role`.
    ///
    /// # Errors
    /// When rustls does not like the set-up.
    pub fn connection(&self, role: TlsRole, kept: &Arc<KeptSecrets>) -> Result<Connection> {
        let provider = Arc::new(self.provider());
        let versions = match self.suite.version() {
            TlsVersion::Tls12 => [&rustls::version::TLS12],
            TlsVersion::Tls13 => [&rustls::version::TLS13],
        };
        Ok(match role {
            TlsRole::Server => {
                let (chain, key) = self.authority.server()?;
                let mut config = ServerConfig::builder_with_provider(provider)
                    .with_protocol_versions(&versions)?
                    .with_no_client_auth()
                    .with_single_cert(chain, key)?;
                config.key_log = kept.clone();
                config.enable_secret_extraction = true;
                ServerConnection::new(Arc::new(config))?.into()
            }
            TlsRole::Client => {
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_protocol_versions(&versions)?
                    .with_root_certificates(self.authority.roots()?)
                    .with_no_client_auth();
                config.key_log = kept.clone();
                config.enable_secret_extraction = true;
                ClientConnection::new(Arc::new(config), SERVER_NAME.try_into()?)?.into()
            }
        })
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|s| u16::from(s.suite()) == self.suite.number());
        provider
    }
}

/// What a handshake leaves.
#[derive(Debug)]
pub struct HandshakeOver {
    /// Where we go on.
    pub state: TlsState,
    /// The secrets that rustls logged.
    pub kept: Arc<KeptSecrets>,
    /// The first record that the server sent.
    pub server_hello: Vec<u8>,
}

/// Lets rustls do our side of the handshake with the peer behind `wire`, and takes over.
///
/// # Errors
/// When the handshake fails.
pub fn shake_hands(setup: &Setup, wire: &mut (impl Read + Write)) -> Result<HandshakeOver> {
    let kept = Arc::<KeptSecrets>::default();
    let mut ours = setup.connection(setup.role, &kept)?;
    let (mut sent, mut first_received) = (Vec::new(), Vec::new());
    loop {
        while ours.wants_write() {
            let mut flight = Vec::new();
            ours.write_tls(&mut flight)?;
            wire.write_all(&flight)?;
            sent.extend(flight);
        }
        wire.flush()?;
        if !ours.is_handshaking() {
            break;
        }
        let record = read_record(wire)?.context("the peer left in the middle of the handshake")?;
        let taken = ours.read_tls(&mut record.as_slice())?;
        ensure!(taken == record.len(), "rustls takes whole records");
        let outcome = ours.process_new_packets();
        if outcome.is_err() {
            let _ = ours.write_tls(wire);
        }
        outcome?;
        if first_received.is_empty() {
            first_received = record;
        }
    }
    let server_hello = match setup.role {
        TlsRole::Server => sent,
        TlsRole::Client => first_received,
    };
    Ok(HandshakeOver { state: handed_over(ours, &kept)?, kept, server_hello })
}

/// The next record from `wire`, or none at its end.
pub(crate) fn read_record(wire: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut record = vec![0; 5];
    let mut read = 0;
    while read < record.len() {
        match wire.read(&mut record[read..])? {
            0 if read == 0 => return Ok(None),
            0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            n => read += n,
        }
    }
    record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
    wire.read_exact(&mut record[5..])?;
    Ok(Some(record))
}
