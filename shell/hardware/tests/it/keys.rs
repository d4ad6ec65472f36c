//! A key that was brought in is used inside and does not come out.

use crate::softhsm::{MODULE, PIN, SoftHsm, imported, open, software_key, uri};
use std::process::Command;
use symbolon_hardware::{HardwareError, OpenDevice};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::ObjectId;
use symbolon_token::{AuthenticationKey, SoftwareKey};

const ID: [u8; 16] = [7; 16];

fn same(a: &dyn AuthenticationKey, b: &dyn AuthenticationKey) -> bool {
    let message: [&[u8]; 3] = [b"symbolon/1 challenge key", &[0], b"transcript"];
    a.hmac(crypto(), &message).unwrap() == b.hmac(crypto(), &message).unwrap()
}

fn import(device: &OpenDevice, key: &SoftwareKey) -> Result<(), HardwareError> {
    device.import(crypto(), &mut SystemEntropy, ID, "alice at gw", key).map(drop)
}

/// What an outsider sees of the keys in a token.
fn shown(label: &str) -> String {
    let output = Command::new("pkcs11-tool")
        .args(["--module", MODULE, "--token-label", label, "--login", "--pin", PIN, "--list-objects"])
        .output()
        .expect("pkcs11-tool is installed (cargo xtask setup)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_key_in_a_token_computes_what_it_computed_outside() {
    SoftHsm::with(&["work"], |_| {
        let (key, _, inside) = imported("work", ID);
        assert!(same(&key, &inside));
        assert!(!same(&software_key(), &inside));
    });
}

#[test]
fn an_outsider_finds_the_key_and_cannot_read_it() {
    SoftHsm::with(&["work"], |_| {
        let (_, _device, inside) = imported("work", ID);
        let shown = shown("work");
        assert!(shown.contains("alice at gw") && shown.contains(&inside.object().to_string()), "{shown}");
        assert!(shown.contains("sensitive") && !shown.contains("extractable"), "{shown}");
        let output = Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--token-label", "work", "--login", "--pin", PIN])
            .args(["--read-object", "--type", "secrkey", "--id", &inside.object().to_string()])
            .output()
            .unwrap();
        assert!(output.stdout.is_empty(), "the key came out");
    });
}

#[test]
fn a_key_stays_in_its_token_after_the_program_has_ended() {
    SoftHsm::with(&["work"], |_| {
        let (key, device, inside) = imported("work", ID);
        let object = inside.object().clone();
        drop((device, inside));
        let again = open(&uri("token=work"), PIN).unwrap().key(object);
        assert!(same(&key, &again));
    });
}

#[test]
fn the_same_key_may_come_twice_and_another_under_its_id_may_not() {
    SoftHsm::with(&["work"], |_| {
        let (key, device, inside) = imported("work", ID);
        import(&device, &key).unwrap();
        let error = import(&device, &software_key()).unwrap_err();
        assert!(matches!(error, HardwareError::Refuses { .. }), "{error}");
        assert!(same(&key, &inside), "the first is untouched");
    });
}

#[test]
fn a_key_that_was_removed_is_missed_by_name() {
    SoftHsm::with(&["work"], |_| {
        let (_, device, inside) = imported("work", ID);
        device.remove(inside.object()).unwrap();
        assert!(inside.hmac(crypto(), &[b"x"]).is_err());
        let error = inside.take_trouble().unwrap();
        assert_eq!(error.to_string(), format!("the token work does not hold the key {}", "07".repeat(16)));
        assert_eq!(inside.take_trouble(), None, "told once");
        assert!(device.remove(inside.object()).is_err());
    });
}

#[test]
fn a_key_is_looked_for_in_its_own_token_alone() {
    SoftHsm::with(&["work", "home"], |_| {
        let (_, _device, inside) = imported("work", ID);
        let elsewhere = open(&uri("token=home"), PIN).unwrap().key(inside.object().clone());
        assert!(elsewhere.hmac(crypto(), &[b"x"]).is_err());
        assert!(matches!(elsewhere.take_trouble(), Some(HardwareError::NoKey { .. })));
    });
}

#[test]
fn two_tokens_serve_one_program_at_once() {
    SoftHsm::with(&["work", "home"], |_| {
        let (work, _a, in_work) = imported("work", ID);
        let (home, _b, in_home) = imported("home", ID);
        for _ in 0..3 {
            assert!(same(&work, &in_work) && same(&home, &in_home));
        }
    });
}

#[test]
fn many_threads_use_one_key() {
    SoftHsm::with(&["work"], |_| {
        let (key, device, inside) = imported("work", ID);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (key, inside, device) = (&key, inside.clone(), device.clone());
                scope.spawn(move || {
                    for _ in 0..50 {
                        assert!(same(key, &inside));
                    }
                    let other = device.key(inside.object().clone());
                    assert!(same(key, &other));
                });
            }
        });
    });
}

#[test]
fn a_drawn_key_is_another_each_time() {
    SoftHsm::with(&["work"], |_| {
        let device = open(&uri("token=work"), PIN).unwrap();
        let draw = |id| device.generate(crypto(), &mut SystemEntropy, [id; 16], "seal").unwrap();
        assert!(!same(&draw(1), &draw(2)));
    });
}

#[test]
fn an_id_that_no_key_has_is_no_key() {
    SoftHsm::with(&["work"], |_| {
        let nobody = open(&uri("token=work"), PIN).unwrap().key(ObjectId::from([9; 16]));
        assert!(nobody.hmac(crypto(), &[b"x"]).is_err());
    });
}
