//! The record layer on live connections: their handshake is rustls', the peer is another implementation,
//! and after each step our side is replaced by a successor that knows only what was remembered.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]
#![expect(clippy::print_stdout, reason = "a test that fails says in which suite")]

mod deaths;
mod openssl_client;
mod openssl_server;
mod program;
mod rustls_peer;
mod s2n_imports;

/// `length` bytes of which no two neighbours' places could be exchanged unnoticed.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}
