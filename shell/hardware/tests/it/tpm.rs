//! The same key in a TPM.

use crate::pairs::signs_for;
use crate::softhsm::{open, pin, software_key};
use crate::swtpm::{PIN, with_tpm};
use std::process::Command;
use symbolon_hardware::{Device, HardwareError, Pkcs11Uri};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::AuthenticationKey as _;

fn uri() -> Pkcs11Uri {
    Pkcs11Uri::parse("pkcs11:token=laptop?module-name=tpm2_pkcs11").unwrap()
}

#[test]
fn a_key_in_a_tpm_computes_what_it_computed_outside() {
    with_tpm("laptop", |_| {
        let device = open(&uri(), PIN).unwrap();
        let key = software_key();
        let inside = device.import(crypto(), &mut SystemEntropy, [7; 16], "alice at gw", &key).unwrap();
        let seal = device.generate(crypto(), &mut SystemEntropy, [8; 16], "seal").unwrap();
        assert!(inside.hmac(crypto(), &[b"a", b"b"]).unwrap() == key.hmac(crypto(), &[b"ab"]).unwrap());
        let (object, seal_object) = (inside.object().clone(), seal.object().clone());
        let sealed = seal.hmac(crypto(), &[b"x"]).unwrap();
        drop((device, inside, seal));
        let device = open(&uri(), PIN).unwrap();
        assert!(device.key(seal_object).hmac(crypto(), &[b"x"]).unwrap() == sealed);
        let again = device.key(object);
        assert!(again.hmac(crypto(), &[b"ab"]).unwrap() == key.hmac(crypto(), &[b"ab"]).unwrap());
        let other = device.import(crypto(), &mut SystemEntropy, [7; 16], "mallory", &software_key());
        assert!(matches!(other, Err(HardwareError::Refuses { .. })));
        device.remove(again.object()).unwrap();
        assert!(again.hmac(crypto(), &[b"ab"]).is_err());
    });
}

#[test]
fn a_tpm_that_locked_its_pin_says_how_to_unlock_it() {
    with_tpm("laptop", |_| {
        let device = Device::find(&uri()).unwrap();
        let mut wrong = 0;
        let locked = loop {
            let error = device.open(pin("9999")).map(drop).unwrap_err();
            if matches!(error, HardwareError::PinLocked { .. }) {
                break error;
            }
            assert!(matches!(error, HardwareError::WrongPin { .. }), "{error}");
            wrong += 1;
            assert!(wrong < 40, "a TPM locks");
        };
        assert!(wrong >= 1);
        assert_eq!(locked.to_string(), "the PIN of the token laptop is locked after too many wrong ones");
        assert!(locked.fix().unwrap().contains("tpm2_dictionarylockout --clear-lockout"));
        // not even the right one, until its owner has done that
        let error = open(&uri(), PIN).map(drop).unwrap_err();
        assert!(matches!(error, HardwareError::PinLocked { .. }), "{error}");
        assert!(Command::new("tpm2_dictionarylockout").arg("--clear-lockout").status().unwrap().success());
        open(&uri(), PIN).unwrap();
    });
}

#[test]
fn a_tpm_whose_tools_are_missing_says_which() {
    with_tpm("laptop", |directory| {
        let device = open(&uri(), PIN).unwrap();
        // the tool finds no such token any more
        let store = directory.join("store");
        std::fs::rename(&store, directory.join("gone")).unwrap();
        std::fs::create_dir(&store).unwrap();
        let error = device.import(crypto(), &mut SystemEntropy, [7; 16], "x", &software_key()).map(drop);
        let error = error.unwrap_err();
        assert!(matches!(error, HardwareError::TpmTools { .. }), "{error}");
        assert!(error.fix().unwrap().contains("libtpm2-pkcs11-tools"));
    });
}

#[test]
fn a_pair_that_was_made_in_a_tpm_signs_there_and_goes_when_it_is_removed() {
    with_tpm("laptop", |_| {
        let open = || Device::find_signing(&uri()).unwrap().open(pin(PIN)).unwrap();
        let device = open();
        let made = device.generate_pair(crypto(), &mut SystemEntropy, "laptop").unwrap();
        assert!(signs_for(&made.signer, &made.public_point));
        let by_name = made.signer.uri().clone();
        let second = device.generate_pair(crypto(), &mut SystemEntropy, "laptop").unwrap();
        drop((device, made.signer));
        let device = open();
        assert!(signs_for(&device.signer(crypto(), &by_name).unwrap(), &made.public_point));
        device.remove_pair(&by_name).unwrap();
        assert!(matches!(device.signer(crypto(), &by_name), Err(HardwareError::NoKey { .. })));
        assert!(signs_for(&second.signer, &second.public_point));
    });
}
