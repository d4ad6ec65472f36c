//! SoftHSM with tokens of the test's own.

use crate::apart::apart;
use std::path::{Path, PathBuf};
use std::process::Command;
use symbolon_hardware::{Device, DevicePin, HardwareError, OpenDevice, Pkcs11Uri};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;

/// The PIN of all tokens.
pub(crate) const PIN: &str = "4321";

/// Where Debian puts the module.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// The tokens of one test.
pub(crate) struct SoftHsm {
    pub(crate) directory: PathBuf,
}

impl SoftHsm {
    /// Runs a test with tokens of these labels.
    pub(crate) fn with(labels: &[&str], test: impl FnOnce(&Self)) {
        Self::configured(labels, "", test);
    }

    /// The same with more lines in its configuration.
    pub(crate) fn configured(labels: &[&str], lines: &str, test: impl FnOnce(&Self)) {
        let prepare = |directory: &Path| {
            let tokens = directory.join("tokens");
            std::fs::create_dir(&tokens).unwrap();
            let conf = directory.join("softhsm2.conf");
            let text = format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n{lines}\n",
                tokens.display()
            );
            std::fs::write(&conf, text).unwrap();
            let softhsm = Self { directory: directory.to_owned() };
            labels.iter().for_each(|label| softhsm.add(label));
            (vec![("SOFTHSM2_CONF", conf.display().to_string())], ())
        };
        apart(prepare, |directory| test(&Self { directory: directory.to_owned() }));
    }

    /// Another token.
    pub(crate) fn add(&self, label: &str) {
        self.util(&["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN]);
    }

    /// Runs `softhsm2-util`.
    pub(crate) fn util(&self, args: &[&str]) {
        let output = Command::new("softhsm2-util")
            .args(args)
            .env("SOFTHSM2_CONF", self.directory.join("softhsm2.conf"))
            .output()
            .expect("softhsm2-util is installed (cargo xtask setup)");
        assert!(output.status.success(), "softhsm2-util: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Pulls all tokens.
    pub(crate) fn pull(&self) {
        std::fs::rename(self.directory.join("tokens"), self.directory.join("pulled")).unwrap();
        std::fs::create_dir(self.directory.join("tokens")).unwrap();
    }

    /// Plugs them in again.
    pub(crate) fn plug_in(&self) {
        std::fs::remove_dir(self.directory.join("tokens")).unwrap();
        std::fs::rename(self.directory.join("pulled"), self.directory.join("tokens")).unwrap();
    }
}

/// A URI in SoftHSM's module.
pub(crate) fn uri(path: &str) -> Pkcs11Uri {
    Pkcs11Uri::parse(&format!("pkcs11:{path}?module-path={MODULE}")).unwrap()
}

pub(crate) fn pin(text: &str) -> DevicePin {
    DevicePin::new(text.to_owned())
}

/// Opens with a PIN.
pub(crate) fn open(uri: &Pkcs11Uri, with: &str) -> Result<OpenDevice, HardwareError> {
    Device::find(uri)?.open(pin(with))
}

/// A key drawn outside, and an open token that holds it.
pub(crate) fn imported(label: &str, id: [u8; 16]) -> (SoftwareKey, OpenDevice, symbolon_hardware::DeviceKey) {
    let device = open(&uri(&format!("token={label}")), PIN).unwrap();
    let key = software_key();
    let imported = device.import(crypto(), &mut SystemEntropy, id, "alice at gw", &key).unwrap();
    (key, device, imported)
}

pub(crate) fn software_key() -> SoftwareKey {
    let entropy: &mut dyn symbolon_crypto::Entropy = &mut SystemEntropy;
    SoftwareKey::new(entropy.secret())
}
