//! B in hardware, from the outside: the authentication key, or the key of a certificate, lies in a SoftHSM token or a
//! TPM, and everything else is as with keys in files: the same registration, the same sign-in, the same streams.
//!
//! ```text
//! softhsm       one key, one PIN, two machines; wrong PINs; pulled and plugged in again; several tokens
//! tpm           the same in a TPM, and its locked PIN
//! certificates  keys that are made there, sign there and are renewed there; keys that were there before
//! ```

#[path = "b_hardware/certificates.rs"]
mod certificates;
#[path = "b_hardware/devices.rs"]
mod devices;
#[path = "b_hardware/softhsm.rs"]
mod softhsm;
#[path = "b_hardware/tpm.rs"]
mod tpm;
