//! Keys in real devices: SoftHSM, and a TPM that swtpm simulates, each private to its test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]

mod apart;
mod devices;
mod keys;
mod pairs;
mod pins;
mod pulled;
mod softhsm;
mod swtpm;
mod tpm;
mod uris;
