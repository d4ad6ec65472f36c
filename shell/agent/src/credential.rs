//! What a person signs in with.

use std::path::PathBuf;
use symbolon_crypto::SecretBytes;
use symbolon_hardware::{DevicePin, Pkcs11Uri};
use symbolon_policy::CanonName;
use symbolon_token::container::Pin;

/// What the agent signs in with. Secrets are held in memory, for later sign-ins.
#[derive(Debug)]
pub enum Credential {
    /// The token, opened with this PIN (B8).
    Token(Pin),
    /// The token, whose keys are in a device, opened with the device's PIN (B7).
    Device(DevicePin),
    /// A user name and a password (A4), where the configuration file lets the gateway have it.
    Password {
        /// The name.
        user: CanonName,
        /// The password.
        password: SecretBytes,
    },
    /// A certificate and its key (A3, A7).
    Certificate {
        /// Where they are.
        files: CertificateFiles,
        /// The PIN of the device that holds the key, where one does.
        pin: Option<DevicePin>,
    },
    /// The Kerberos ticket that `kinit` got (A5).
    Kerberos,
    /// ID tokens of an OpenID provider, from the program that the configuration file names (A5).
    Oidc,
    /// The ticket that an earlier session left, and nothing else (A5).
    Ticket,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFiles {
    /// The one that [`crate::certificate_info`] shows, which the agent got from the gateway.
    Kept,
    /// Files of the user's own.
    At {
        /// The certificate, PEM or DER; in PEM what lies between it and an authority may follow.
        certificate: PathBuf,
        /// Its key: PKCS #8 in PEM or DER, or the file that the agent writes.
        key: PathBuf,
    },
    /// A file of the user's own, with a key that is in a device.
    InDevice {
        /// As above.
        certificate: PathBuf,
        /// The device and the key in it (RFC 7512): a P-256 or an RSA key.
        key: Box<Pkcs11Uri>,
    },
}
