//! The traffic secrets of one handshake, for whoever changes keys later (RFC 8446 §7.2).

use std::sync::{Arc, Mutex, PoisonError};
use symbolon_crypto::SecretBytes;

/// Keeps the two first traffic secrets of one connection.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    client: Option<SecretBytes>,
    server: Option<SecretBytes>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match label {
            CLIENT => kept.client = Some(SecretBytes::new(secret.to_vec())),
            SERVER => kept.server = Some(SecretBytes::new(secret.to_vec())),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        [CLIENT, SERVER].contains(&label)
    }
}

impl Secrets {
    /// Takes them out: the client's and the server's, which only TLS 1.3 has.
    pub(crate) fn take(&self) -> (Option<SecretBytes>, Option<SecretBytes>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.client.take(), kept.server.take())
    }
}
