//! Token files from anywhere, and what a gateway sends to be kept or applied.

use symbolon_crypto::{GatewayIdentity, Secret};
use symbolon_policy::{AccessPath, AppName, CanonName, UserCode};
use symbolon_token::container::{
    DeviceReference, HeldKey, ObjectId, Pin, PinCost, Registration, Token, UnlockedToken,
};
use symbolon_token::{Configuration, Destination, SoftwareKey};
use symbolon_wire::Encode;

use crate::encoding::one_encoding_when_read;
use crate::gateway::{NOW, Seeded, crypto, gateway};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "token_container", feed, seeds };

/// The rest is a file.
const FILE: u8 = 0;
/// The rest is a file without its checksum.
const BODY: u8 = 1;
/// The rest is a registration inside a token.
const REGISTRATION: u8 = 2;
/// The rest is a configuration that the gateway signs.
const CONFIGURATION: u8 = 3;
/// The rest is a configuration that claims to be signed.
const CLAIMED_CONFIGURATION: u8 = 4;

/// What a guess costs here: as little as can be, for many inputs a second.
const COST: PinCost = PinCost { memory_kib: 8, passes: 1, lanes: 1 };

const SESSION: [u8; 16] = [6; 16];

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&FILE, rest)) => file(rest),
        Some((&BODY, rest)) => file(&[rest, &crypto().sha256(&[rest])].concat()),
        Some((&REGISTRATION, rest)) => drop(one_encoding_when_read::<Registration>(rest)),
        Some((&CONFIGURATION, rest)) => drop(one_encoding_when_read::<Configuration>(rest)),
        Some((&CLAIMED_CONFIGURATION, rest)) => {
            if let Ok(configuration) =
                Configuration::verify(crypto(), &gateway().verified, &SESSION, None, rest)
            {
                assert_eq!(configuration, sample_configuration(), "the gateway signed this one alone");
            }
        }
        _ => {}
    }
}

fn file(bytes: &[u8]) {
    let Ok(token) = Token::from_file(crypto(), bytes) else { return };
    assert_eq!(token.to_file(crypto()), bytes, "two files of one token");
    let failures = token.failures();
    if token.device().is_some() {
        assert_eq!(failures, 0, "a device counts by itself");
        if let Ok(unlocked) = token.unlock_with(crypto(), &device()) {
            assert_eq!(unlocked.registrations().len(), 1, "what opens is what was sealed");
        }
        return;
    }
    let Ok(attempt) = token.attempt(NOW) else { return };
    let counted = Token::from_file(crypto(), &attempt.to_file(crypto())).expect("our own file");
    assert_eq!(counted.failures(), failures + 1, "an attempt is counted before it is made");
    if !is_cheap(bytes) {
        return;
    }
    if let Ok(unlocked) = attempt.unlock(crypto(), &pin()) {
        assert_eq!(unlocked.registrations().len(), 1, "what opens is what was sealed");
    }
}

/// Whether guessing costs [`COST`]: somebody's file may demand a second of work, which is no finding.
fn is_cheap(file: &[u8]) -> bool {
    let cost: Vec<u8> =
        [COST.memory_kib, COST.passes, COST.lanes].iter().flat_map(|n| n.to_be_bytes()).collect();
    file.windows(cost.len() + 1).any(|w| w[0] == 1 && w[1..] == cost)
}

fn pin() -> Pin {
    Pin::new("123456".into()).expect("six characters")
}

/// The key in a device that seals a file.
fn device() -> SoftwareKey {
    SoftwareKey::new(Secret::new([8; 32]))
}

fn in_device() -> Registration {
    Registration { key: HeldKey::Device(ObjectId::from([7; 16])), ..sample_registration() }
}

fn sample_registration() -> Registration {
    Registration {
        gateway: gateway().name.clone(),
        address: "127.0.0.1:7843".into(),
        key_set: gateway().keys.offer().clone(),
        registration_id: [1; 16],
        user_code: UserCode::parse("alice-1").expect("a code"),
        user: CanonName::parse("alice").expect("a name"),
        access_path: AccessPath::parse("/people/alice").expect("a path"),
        registered: NOW,
        key: HeldKey::Software(SoftwareKey::new(Secret::new([9; 32]))),
        next_number: Some([5; 32]),
    }
}

fn sample_configuration() -> Configuration {
    let destination = |app: &str, until| Destination {
        app: AppName::parse(app).expect("an application's name"),
        protocol: "postgresql".into(),
        description: "the office's books".into(),
        until,
    };
    Configuration {
        version: 3,
        gateway: gateway().name.clone(),
        session_id: SESSION,
        issued: NOW,
        destinations: vec![destination("db.office", None), destination("wiki", Some(NOW.plus_secs(60)))],
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut entropy = Seeded::new();
    let blank = Token::blank(&mut entropy, gateway().issuer.clone());
    let blank_file = blank.to_file(crypto());
    let identity = gateway().keys.identity().certificate();
    let identity = GatewayIdentity::read(crypto(), identity, &gateway().issuer).expect("its issuer's");
    let handed_out =
        Token::blank_for(&mut entropy, gateway().issuer.clone(), identity).expect("its issuer's");
    let handed_out = handed_out.to_file(crypto());
    let mut unlocked =
        UnlockedToken::first_pin(crypto(), &mut entropy, blank, &pin(), COST).expect("a possible cost");
    unlocked.put(sample_registration()).expect("there is room");
    let file = unlocked.seal(crypto(), &mut entropy).to_file(crypto());
    let uri = "pkcs11:token=work;serial=1?module-name=softhsm2".to_owned();
    let reference = DeviceReference::new(uri, ObjectId::from([6; 16])).expect("a device");
    let blank = Token::blank(&mut entropy, gateway().issuer.clone());
    let mut unlocked =
        UnlockedToken::first_device(crypto(), &mut entropy, blank, reference, &device()).expect("a key");
    unlocked.put(in_device()).expect("there is room");
    let device_file = unlocked.seal(crypto(), &mut entropy).to_file(crypto());
    let body = |file: &[u8]| by(BODY, &file[..file.len() - 32]);
    let signed = sample_configuration().sign(gateway().keys.identity().key()).expect("the key signs");
    vec![
        body(&file),
        body(&blank_file),
        body(&handed_out),
        body(&device_file),
        by(FILE, &file),
        by(FILE, &blank_file),
        by(FILE, &device_file),
        by(REGISTRATION, &sample_registration().to_bytes()),
        by(REGISTRATION, &in_device().to_bytes()),
        by(CONFIGURATION, &sample_configuration().to_bytes()),
        by(CLAIMED_CONFIGURATION, &signed),
    ]
}
