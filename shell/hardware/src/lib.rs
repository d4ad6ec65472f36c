#![forbid(unsafe_code)]
//! Authentication keys in hardware (B1, B7): the SSK lies in a PKCS#11 device or a TPM, which computes
//! HMAC-SHA-256 with it and never gives it out.
//!
//! ```text
//! pkcs11: URI ── Device::find ──> one Device ── open(PIN) ──> OpenDevice
//!                                                  │
//!   at registration: SSK ── import ── C_CreateObject, or tpm2_ptool for a TPM
//!   from then on:    OpenDevice::key ──> DeviceKey ── HMAC in the device, for every sign-in
//! ```
//! A module is started once in a process, and one thread speaks to it at a time. A device that is
//! pulled is an error that says so; once it is plugged in again the same [`DeviceKey`] works on, with
//! the PIN that opened it. A PIN that was refused is never tried a second time by itself.
//!
//! `docs/hardware-tokens.md` tells people how.

mod error;
mod find;
mod identity;
mod import;
mod key;
mod module;
mod modules;
mod open;
mod pin;
mod tpm;
mod uri;

pub use error::HardwareError;
pub use identity::TokenIdentity;
pub use key::DeviceKey;
pub use open::{Device, OpenDevice};
pub use pin::{DevicePin, Tries};
pub use uri::{LibraryVersion, ObjectType, Pkcs11Uri, UriError};
