//! The PIN is the token's own.

use crate::softhsm::{PIN, SoftHsm, imported, open, pin, uri};
use std::os::unix::fs::PermissionsExt as _;
use symbolon_hardware::{Device, DevicePin, HardwareError, Tries};
use symbolon_provider::crypto;
use symbolon_token::AuthenticationKey as _;

#[test]
fn a_wrong_pin_is_refused_with_what_the_token_says_of_attempts() {
    SoftHsm::with(&["work"], |_| {
        let device = Device::find(&uri("token=work")).unwrap();
        assert_eq!(device.tries().unwrap(), Tries::Untold);
        for wrong in ["9999", "98765", "1234567890"] {
            let error = device.open(pin(wrong)).map(drop).unwrap_err();
            // SoftHSM tells that a wrong PIN was tried, and never locks
            assert_eq!(error, HardwareError::WrongPin { token: "work".into(), left: Tries::Fewer });
        }
        device.open(pin(PIN)).unwrap();
    });
}

#[test]
fn a_wrong_pin_is_refused_though_the_token_is_open_already() {
    SoftHsm::with(&["work"], |_| {
        let (_, device, inside) = imported("work", [1; 16]);
        let error = open(&uri("token=work"), "9999").map(drop).unwrap_err();
        assert!(matches!(error, HardwareError::WrongPin { .. }), "{error}");
        inside.hmac(crypto(), &[b"x"]).expect("whoever had the right PIN goes on");
        let second = open(&uri("token=work"), PIN).unwrap();
        inside.hmac(crypto(), &[b"x"]).unwrap();
        second.key(inside.object().clone()).hmac(crypto(), &[b"x"]).unwrap();
        drop(device);
    });
}

#[test]
fn a_pin_of_an_impossible_length_is_told_so() {
    SoftHsm::with(&["work"], |_| {
        let error = open(&uri("token=work"), "1").map(drop).unwrap_err();
        let length = HardwareError::PinLength { token: "work".into(), least: 4, most: 255 };
        assert!(error == length || matches!(error, HardwareError::WrongPin { .. }), "{error}");
        assert!(open(&uri("token=work"), "").is_err());
        assert!(open(&uri("token=work"), &"1".repeat(300)).is_err());
    });
}

#[test]
fn a_pin_comes_from_the_file_that_the_uri_names() {
    SoftHsm::with(&["work"], |softhsm| {
        let file = softhsm.directory.join("pin");
        std::fs::write(&file, format!("{PIN}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!("{}&pin-source=file:{}", uri("token=work"), file.display());
        let uri = symbolon_hardware::Pkcs11Uri::parse(&text).unwrap();
        let pin = DevicePin::from_file(uri.pin_source.as_deref().unwrap()).unwrap();
        Device::find(&uri).unwrap().open(pin).unwrap();
    });
}

#[test]
fn a_pin_that_was_changed_meanwhile_is_not_tried_again_and_again() {
    SoftHsm::with(&["work"], |softhsm| {
        let (_, _device, inside) = imported("work", [1; 16]);
        softhsm.pull();
        assert!(inside.hmac(crypto(), &[b"x"]).is_err());
        softhsm.plug_in();
        let status = std::process::Command::new("pkcs11-tool")
            .args(["--module", crate::softhsm::MODULE, "--token-label", "work", "--login", "--pin", PIN])
            .args(["--change-pin", "--new-pin", "8765"])
            .output()
            .unwrap();
        assert!(status.status.success());
        for _ in 0..3 {
            assert!(inside.hmac(crypto(), &[b"x"]).is_err());
            let error = inside.take_trouble().unwrap();
            assert_eq!(error, HardwareError::PinNoLonger { token: "work".into() });
        }
        open(&uri("token=work"), "8765").unwrap();
    });
}

#[test]
fn a_token_without_a_pin_is_refused_before_one_is_asked() {
    SoftHsm::with(&[], |softhsm| {
        let status = std::process::Command::new("pkcs11-tool")
            .args([
                "--module",
                crate::softhsm::MODULE,
                "--init-token",
                "--label",
                "raw",
                "--so-pin",
                "12345678",
            ])
            .env("SOFTHSM2_CONF", softhsm.directory.join("softhsm2.conf"))
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        let error = Device::find(&uri("token=raw")).map(drop).unwrap_err();
        assert_eq!(error, HardwareError::NoUserPin { token: "raw".into() });
    });
}
