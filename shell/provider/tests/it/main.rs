//! aws-lc as our provider, and what `symbolon-crypto` builds on it, against the world: published
//! vectors, Wycheproof's, and other implementations of HPKE.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail like the tests do")]

mod hpke_crate;
mod replay;
mod rfc9180;
mod rustls_hpke;
mod secrets;
mod vectors;
mod wycheproof_sets;
mod wycheproof_signatures;
mod x_wing;

use symbolon_crypto::{Secret, Suite};
use symbolon_provider::crypto;

/// RFC 9180 §5.3 `Context.Export` to 32 bytes, from the exporter secret that our HPKE hands out.
fn export(suite: Suite, exporter: &Secret<32>, context: &[u8]) -> [u8; 32] {
    let suite_id: &[u8] = match suite {
        Suite::XWing => b"HPKE\x64\x7a\x00\x01\x00\x02",
        _ => b"HPKE\x00\x20\x00\x01\x00\x02",
    };
    *crypto().expand(exporter, &[&[0, 32], b"HPKE-v1", suite_id, b"sec", context]).expose()
}
