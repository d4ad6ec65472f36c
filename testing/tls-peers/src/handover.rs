//! From a rustls connection whose handshake is done to the state that we go on from.

use anyhow::{Context as _, Result, bail};
use rustls::{Connection, ConnectionTrafficSecrets, KeyLog};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use symbolon_provider::crypto;
use symbolon_record::{HandedOver, TlsRole, TlsState, TlsSuite};

/// The secrets of one connection, by their names in the format of `SSLKEYLOGFILE`.
#[derive(Default)]
pub struct KeptSecrets(Mutex<BTreeMap<String, Vec<u8>>>);

impl KeptSecrets {
    /// The secret with this name.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(label).cloned()
    }
}

impl KeyLog for KeptSecrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(label.to_owned(), secret.to_vec());
        kept.insert("client random".to_owned(), client_random.to_vec());
    }
}

impl std::fmt::Debug for KeptSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptSecrets")
    }
}

/// Takes `connection` over, whose secrets went to `kept` and whose last byte has been written.
///
/// # Errors
/// When the handshake is not done, or for a suite that cannot be carried on.
pub fn handed_over(connection: Connection, kept: &KeptSecrets) -> Result<TlsState> {
    let role = match connection {
        Connection::Server(_) => TlsRole::Server,
        Connection::Client(_) => TlsRole::Client,
    };
    let suite = connection.negotiated_cipher_suite().context("no handshake yet")?.suite();
    let suite = TlsSuite::from_number(suite.into()).context("not a suite of ours")?;
    let secrets = connection.dangerous_extract_secrets()?;
    let (client, server) = (kept.get("CLIENT_TRAFFIC_SECRET_0"), kept.get("SERVER_TRAFFIC_SECRET_0"));
    let (ours, theirs) = match role {
        TlsRole::Server => (server, client),
        TlsRole::Client => (client, server),
    };
    let (sent, sending) = secrets.tx;
    let (received, receiving) = secrets.rx;
    let state = TlsState::after_handshake(
        crypto(),
        role,
        suite,
        direction(sent, &sending, ours.as_deref())?,
        direction(received, &receiving, theirs.as_deref())?,
    )?;
    Ok(state)
}

fn direction<'a>(
    sequence: u64,
    secrets: &'a ConnectionTrafficSecrets,
    traffic_secret: Option<&'a [u8]>,
) -> Result<HandedOver<'a>> {
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        bail!("a cipher of the future");
    };
    let iv = iv.as_ref().try_into().context("an IV has 12 bytes")?;
    Ok(HandedOver { sequence, key: key.as_ref(), iv, traffic_secret })
}
