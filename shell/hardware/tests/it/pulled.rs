//! A token that is pulled while it is in use.

use crate::softhsm::{PIN, SoftHsm, imported, open, uri};
use symbolon_hardware::HardwareError;
use symbolon_provider::crypto;
use symbolon_token::AuthenticationKey as _;

#[test]
fn a_token_that_was_pulled_is_missed_and_works_again_once_it_is_back() {
    SoftHsm::with(&["work"], |softhsm| {
        let (key, _device, inside) = imported("work", [1; 16]);
        for _ in 0..2 {
            softhsm.pull();
            for _ in 0..2 {
                assert!(inside.hmac(crypto(), &[b"x"]).is_err());
                let error = inside.take_trouble().unwrap();
                assert_eq!(error, HardwareError::Gone { token: "work".into() });
                assert!(error.fix().unwrap().contains("plug it in again"));
            }
            softhsm.plug_in();
            assert!(inside.hmac(crypto(), &[b"x"]).unwrap() == key.hmac(crypto(), &[b"x"]).unwrap());
        }
    });
}

#[test]
fn another_token_of_the_same_label_is_not_taken_for_the_one_that_was_pulled() {
    SoftHsm::with(&["work"], |softhsm| {
        let (_, _device, inside) = imported("work", [1; 16]);
        softhsm.pull();
        softhsm.add("work");
        assert!(inside.hmac(crypto(), &[b"x"]).is_err());
        assert_eq!(inside.take_trouble(), Some(HardwareError::Gone { token: "work".into() }));
    });
}

#[test]
fn a_token_that_is_pulled_before_the_pin_is_typed_is_missed() {
    SoftHsm::with(&["work"], |softhsm| {
        let device = symbolon_hardware::Device::find(&uri("token=work")).unwrap();
        softhsm.pull();
        // SoftHSM's own list of slots goes back to the start of the module
        let _ = symbolon_hardware::Device::find(&uri("token=nothing"));
        let error = device.open(crate::softhsm::pin(PIN)).map(drop).unwrap_err();
        assert_eq!(error, HardwareError::Gone { token: "work".into() });
        softhsm.plug_in();
        assert!(open(&uri("token=work"), PIN).is_ok());
        assert!(device.open(crate::softhsm::pin(PIN)).is_ok());
    });
}
