//! The key of a certificate is made in its token, signs there and does not come out.

use crate::softhsm::{MODULE, PIN, SoftHsm, pin, uri};
use std::process::Command;
use symbolon_crypto::{Signer as _, SubjectKey};
use symbolon_hardware::{Device, DevicePair, DeviceSigner, HardwareError, OpenDevice, Pkcs11Uri};
use symbolon_provider::{SystemEntropy, crypto};

fn open(uri: &Pkcs11Uri) -> OpenDevice {
    Device::find_signing(uri).unwrap().open(pin(PIN)).unwrap()
}

fn pair(device: &OpenDevice) -> DevicePair {
    device.generate_pair(crypto(), &mut SystemEntropy, "laptop").unwrap()
}

/// The SubjectPublicKeyInfo of a point of P-256, as OpenSSL writes it.
fn public_key(point: &[u8]) -> SubjectKey {
    let head = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    SubjectKey::from_public_key_info(&[&head[..], point].concat()).unwrap()
}

pub(crate) fn signs_for(signer: &DeviceSigner, point: &[u8]) -> bool {
    let key = public_key(point);
    let signature = signer.sign(b"transcript").unwrap();
    key.signature().unwrap().verify(crypto(), b"transcript", &signature).is_ok()
}

fn tool(args: &[&str]) -> (String, Vec<u8>) {
    let output = Command::new("pkcs11-tool")
        .args(["--module", MODULE, "--token-label", "work", "--login", "--pin", PIN])
        .args(args)
        .output()
        .expect("pkcs11-tool is installed (cargo xtask setup)");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.stdout)
}

#[test]
fn a_pair_is_made_in_its_token_and_signs_there_for_many_programs() {
    SoftHsm::with(&["work"], |_| {
        let device = open(&uri("token=work"));
        let made = pair(&device);
        // numbers of every length, in DER
        for _ in 0..40 {
            assert!(signs_for(&made.signer, &made.public_point));
        }
        let by_name = made.signer.uri().clone();
        drop((device, made.signer));
        assert!(by_name.to_string().contains(";object=laptop;type=private;id=%"), "{by_name}");
        let again = Pkcs11Uri { module_path: Some(MODULE.into()), ..by_name };
        let signer = open(&again).signer(crypto(), &again).unwrap();
        assert!(signs_for(&signer, &made.public_point));
        assert!(!signs_for(&signer, &pair(signer.device()).public_point));
    });
}

#[test]
fn an_outsider_finds_the_private_half_and_cannot_read_it() {
    SoftHsm::with(&["work"], |_| {
        let device = open(&uri("token=work"));
        let made = pair(&device);
        let (_, listed) = tool(&["--list-objects", "--type", "privkey"]);
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.contains("laptop") && listed.contains("sensitive"), "{listed}");
        assert!(listed.contains("never extractable") && listed.contains("local"), "{listed}");
        let id = made.signer.uri().id.clone().unwrap();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let (complaint, value) = tool(&["--read-object", "--type", "privkey", "--id", &id]);
        assert!(value.is_empty(), "the key came out");
        assert!(!complaint.is_empty());
    });
}

#[test]
fn a_pair_that_was_removed_is_missed_by_name_and_no_other_goes() {
    SoftHsm::with(&["work"], |_| {
        let device = open(&uri("token=work"));
        let (old, new) = (pair(&device), pair(&device));
        device.remove_pair(old.signer.uri()).unwrap();
        assert!(old.signer.sign(b"x").is_err());
        let error = old.signer.take_trouble().unwrap();
        assert!(error.to_string().starts_with("the token work does not hold the key \"laptop\" "), "{error}");
        assert!(signs_for(&new.signer, &new.public_point));
        let (_, listed) = tool(&["--list-objects"]);
        let listed = String::from_utf8(listed).unwrap();
        assert_eq!(listed.matches("laptop").count(), 2, "one pair: {listed}");
        assert!(device.remove_pair(old.signer.uri()).is_err());
    });
}

#[test]
fn a_key_that_is_there_already_is_found_by_label_and_told_what_is_wrong_with_it() {
    SoftHsm::with(&["work"], |_| {
        for (label, kind) in [("good", "EC:prime256v1"), ("rsa", "rsa:2048"), ("other", "EC:secp384r1")] {
            let (complaint, _) =
                tool(&["--keypairgen", "--key-type", kind, "--label", label, "--usage-sign"]);
            assert!(!complaint.contains("error:"), "{complaint}");
        }
        let device = open(&uri("token=work"));
        let named = |label: &str| uri(&format!("token=work;object={label};type=private"));
        for label in ["good", "rsa"] {
            assert!(!device.signer(crypto(), &named(label)).unwrap().sign(b"x").unwrap().is_empty());
        }
        let error = |label: &str| device.signer(crypto(), &named(label)).map(drop).unwrap_err();
        assert!(matches!(error("other"), HardwareError::KeyKind { .. }), "{}", error("other"));
        assert!(matches!(error("none"), HardwareError::NoKey { .. }));
        let all = device.signer(crypto(), &uri("token=work")).map(drop).unwrap_err();
        assert!(
            matches!(all, HardwareError::SeveralKeys { .. }) && all.fix().unwrap().contains("id="),
            "{all}"
        );
        let error = Device::find_signing(&uri("token=work;type=secret-key")).map(drop).unwrap_err();
        assert!(error.to_string().contains("type=private"), "{error}");
    });
}

#[test]
fn a_token_that_was_pulled_signs_again_once_it_is_back() {
    SoftHsm::with(&["work"], |softhsm| {
        let device = open(&uri("token=work"));
        let made = pair(&device);
        softhsm.pull();
        assert!(made.signer.sign(b"x").is_err());
        assert_eq!(made.signer.take_trouble(), Some(HardwareError::Gone { token: "work".into() }));
        assert!(device.generate_pair(crypto(), &mut SystemEntropy, "laptop").is_err());
        softhsm.plug_in();
        assert!(signs_for(&made.signer, &made.public_point));
    });
}

#[test]
fn a_token_without_elliptic_curves_says_so_before_it_makes_a_key() {
    SoftHsm::configured(&["work"], "slots.mechanisms = CKM_ECDSA,CKM_SHA256_HMAC", |_| {
        let error = open(&uri("token=work")).generate_pair(crypto(), &mut SystemEntropy, "x").map(drop);
        assert!(error.unwrap_err().to_string().contains("CKM_EC_KEY_PAIR_GEN"));
    });
}

#[test]
fn a_token_that_cannot_sign_is_refused_before_a_pin_is_asked() {
    SoftHsm::configured(&["work"], "slots.mechanisms = CKM_SHA256_HMAC", |_| {
        let error = Device::find_signing(&uri("token=work")).map(drop).unwrap_err();
        assert!(matches!(error, HardwareError::NoMechanism { .. }), "{error}");
    });
}
