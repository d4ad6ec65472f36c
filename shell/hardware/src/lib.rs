#![forbid(unsafe_code)]
//! Keys in hardware (B1, B7, A3): they lie in a PKCS#11 device or a TPM, which computes with them and never
//! gives them out. The SSK of a registration computes HMAC-SHA-256; the key of a certificate signs.
//!
//! ```text
//! pkcs11: URI ── Device::find, find_signing ──> one Device ── open(PIN) ──> OpenDevice
//!                                                                              │
//!   a registration:     SSK ── import ── C_CreateObject, or tpm2_ptool for a TPM
//!   from then on:       OpenDevice::key ──> DeviceKey ── HMAC in the device, for every sign-in
//!   a certificate:      generate_pair ── C_GenerateKeyPair ──> DevicePair: signs, and its public half
//!   from then on:       OpenDevice::signer ──> DeviceSigner ── ECDSA or RSA-PSS in the device
//! ```
//! A module is started once in a process, and one thread speaks to it at a time. A device that is
//! pulled is an error that says so; once it is plugged in again the same [`DeviceKey`] or [`DeviceSigner`]
//! works on, with the PIN that opened it. A PIN that was refused is never tried a second time by itself.
//!
//! `docs/hardware-tokens.md` tells people how.

mod device;
mod error;
mod find;
mod identity;
mod import;
mod key;
mod module;
mod modules;
mod object;
mod open;
mod pair;
mod pin;
mod purpose;
mod signature;
mod signer;
mod tpm;
mod trouble;
mod uri;

pub use device::Device;
pub use error::HardwareError;
pub use identity::TokenIdentity;
pub use key::DeviceKey;
pub use open::OpenDevice;
pub use pair::DevicePair;
pub use pin::{DevicePin, Tries};
pub use signer::DeviceSigner;
pub use uri::{LibraryVersion, ObjectType, Pkcs11Uri, UriError};
