//! Finding the one token that is meant.

use crate::softhsm::{MODULE, PIN, SoftHsm, open, uri};
use symbolon_hardware::{Device, HardwareError, ObjectType, Pkcs11Uri};

fn refused(uri: &Pkcs11Uri) -> HardwareError {
    Device::find(uri).unwrap_err()
}

#[test]
fn a_token_is_found_by_any_of_its_names() {
    SoftHsm::with(&["work"], |_| {
        let device = Device::find(&uri("token=work")).unwrap();
        let identity = device.identity().clone();
        assert_eq!((identity.label.as_str(), identity.model.as_str()), ("work", "SoftHSM v2"));
        for path in [
            format!("serial={}", identity.serial),
            "manufacturer=SoftHSM%20project;model=SoftHSM%20v2".to_owned(),
            "library-manufacturer=SoftHSM".to_owned(),
            "library-version=2.6;slot-manufacturer=SoftHSM%20project".to_owned(),
            String::new(),
            "token=work;type=secret-key".to_owned(),
        ] {
            assert_eq!(Device::find(&uri(&path)).unwrap().identity(), &identity, "{path}");
        }
        let named = Pkcs11Uri::parse("pkcs11:token=work?module-name=softhsm2").unwrap();
        assert_eq!(Device::find(&named).unwrap().identity(), &identity);
        let kept = Pkcs11Uri::parse(&device.uri().to_string()).unwrap();
        assert_eq!(Device::find(&kept).unwrap().identity(), &identity);
    });
}

#[test]
fn a_token_that_is_not_there_is_refused_with_those_that_are() {
    SoftHsm::with(&["work", "home"], |_| {
        for path in ["token=play", "token=Work", "token=wor", "serial=0", "slot-id=0", "library-version=9"] {
            let error = refused(&uri(path)).to_string();
            assert!(error.contains("token=work") && error.contains("token=home"), "{path}: {error}");
        }
    });
}

#[test]
fn several_tokens_that_fit_are_listed_so_that_one_can_be_named() {
    SoftHsm::with(&["twin", "twin", "other"], |_| {
        let HardwareError::SeveralTokens { matching, .. } = refused(&uri("token=twin")) else {
            panic!("one of two was taken");
        };
        assert_eq!(matching.len(), 2);
        for one in matching {
            let one = Pkcs11Uri { module_path: Some(MODULE.into()), ..Pkcs11Uri::parse(&one).unwrap() };
            assert_eq!(Device::find(&one).unwrap().identity().label, "twin");
        }
        assert!(matches!(refused(&uri("")), HardwareError::SeveralTokens { .. }));
        assert_eq!(Device::find(&uri("token=other")).unwrap().identity().label, "other");
    });
}

#[test]
fn a_slot_names_the_token_in_it() {
    SoftHsm::with(&["one", "two"], |softhsm| {
        let output = std::process::Command::new("softhsm2-util").arg("--show-slots").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let slots: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("Slot ")).collect();
        assert_eq!(slots.len(), 3, "two tokens and a free slot in {}", softhsm.directory.display());
        let found = |slot: &&str| Device::find(&uri(&format!("slot-id={slot}")));
        let labels: Vec<String> =
            slots.iter().filter_map(|s| found(s).ok()).map(|d| d.identity().label.clone()).collect();
        assert_eq!(labels.len(), 2, "{labels:?}");
        assert_ne!(labels[0], labels[1]);
    });
}

#[test]
fn an_object_that_is_no_secret_key_is_refused() {
    SoftHsm::with(&["work"], |_| {
        assert_eq!(
            refused(&uri("token=work;type=cert")),
            HardwareError::ObjectType { found: ObjectType::Certificate, wanted: ObjectType::SecretKey }
        );
    });
}

#[test]
fn a_token_without_the_mechanism_is_refused() {
    SoftHsm::configured(&["work"], "slots.mechanisms = CKM_AES_GCM,CKM_SHA512_HMAC", |_| {
        let error = refused(&uri("token=work"));
        assert!(matches!(&error, HardwareError::NoMechanism { token, .. } if token == "work"), "{error}");
    });
}

#[test]
fn a_module_that_is_none_is_refused_by_name() {
    let with = |path: &str| Pkcs11Uri { module_path: Some(path.into()), ..Pkcs11Uri::default() };
    let error = refused(&with("/nowhere/module.so"));
    assert!(
        error.to_string().starts_with("the PKCS#11 module /nowhere/module.so cannot be loaded"),
        "{error}"
    );
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("no-module.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(matches!(refused(&with(text.to_str().unwrap())), HardwareError::Load { .. }));
    let libm = format!("/lib/{}-linux-gnu/libm.so.6", std::env::consts::ARCH);
    let error = refused(&with(&libm));
    assert!(error.to_string().contains("C_GetFunctionList"), "{error}");
    assert!(error.fix().unwrap().contains("module-path"));
}

#[test]
fn a_module_that_does_not_start_says_where_to_look() {
    let prepare = |_: &std::path::Path| (vec![("SOFTHSM2_CONF", "/nowhere/softhsm2.conf".to_owned())], ());
    crate::apart::apart(prepare, |_| {
        let error = refused(&uri("token=work"));
        assert!(matches!(error, HardwareError::Start { .. }), "{error}");
        assert!(error.fix().unwrap().contains("SOFTHSM2_CONF"));
    });
}

#[test]
fn a_token_that_comes_after_the_module_was_loaded_is_found() {
    SoftHsm::with(&["first"], |softhsm| {
        open(&uri("token=first"), PIN).unwrap();
        softhsm.add("second");
        assert_eq!(Device::find(&uri("token=second")).unwrap().identity().label, "second");
    });
}
