use super::{
    ContextKey, DAY, Identity, Issuer, Kind, NOW, Template, Validity, World, certificate, crypto, name,
};
use crate::CLOCK_LEEWAY_SECS;
use der::asn1::{BitString, ObjectIdentifier};
use symbolon_crypto::{
    KemPrivateKey, KeySet, KeySetError, RevocationLists, Signer, Suite, open_base, seal_base,
};
use symbolon_provider::{P256SigningKey, SystemEntropy};
use symbolon_wire::{Decode, Encode, Time};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::{AlgorithmIdentifier, SubjectPublicKeyInfo};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

impl World {
    fn context_keys(&self) -> Vec<ContextKey> {
        let day = Validity::starting(NOW, DAY);
        Suite::ALL.into_iter().map(|suite| self.identity.context_key(suite, day).unwrap()).collect()
    }

    pub(super) fn key_set(&self) -> KeySet {
        self.identity.key_set(self.issuer.certificate(), &self.context_keys()).unwrap()
    }

    /// A set that this gateway's key signed, of whatever certificates.
    fn set_of(&self, identity: Vec<u8>, context_keys: Vec<Vec<u8>>) -> KeySet {
        KeySet::sign(self.issuer.certificate().to_vec(), identity, context_keys, self.identity.key()).unwrap()
    }

    fn verify(&self, set: &KeySet) -> Result<(), KeySetError> {
        self.verify_at(set, NOW)
    }

    fn verify_at(&self, set: &KeySet, now: Time) -> Result<(), KeySetError> {
        set.verify(crypto(), &self.trusted(), &RevocationLists::none(), &name("gw.example.org"), now)
            .map(|_| ())
    }

    /// A context-key certificate in all but what `change` makes of it.
    fn odd_context_key(&self, change: impl FnOnce(Template) -> Template) -> Vec<u8> {
        let key = KemPrivateKey::generate(Suite::X25519, crypto(), &mut SystemEntropy);
        let template = Template {
            subject: Kind::ContextKey.subject("gw.example.org").unwrap(),
            public_key: certificate::kem_public_key(key.public()).unwrap(),
            validity: Validity::starting(NOW, DAY),
            extensions: Vec::new(),
        };
        let subject = Kind::Identity.subject("gw.example.org").unwrap();
        change(template).sign(&subject, self.identity.key()).unwrap()
    }

    /// An identity certificate in all but what `change` makes of it.
    fn odd_identity(&self, change: impl FnOnce(Template) -> Template) -> Vec<u8> {
        let template = Template {
            subject: Kind::Identity.subject("gw.example.org").unwrap(),
            public_key: certificate::p256_public_key(self.identity.key().public_point()).unwrap(),
            validity: Validity::starting(NOW, DAY),
            extensions: Vec::new(),
        };
        let subject = Kind::Issuer.subject("Example Works").unwrap();
        change(template).sign(&subject, self.issuer.key()).unwrap()
    }
}

fn usage(template: Template) -> Template {
    template.with(&certificate::context_key_usage().unwrap()).unwrap()
}

fn named(template: Template, dns: &str) -> Template {
    template.with(&SubjectAltName(vec![certificate::dns_name(&name(dns)).unwrap()])).unwrap()
}

fn authority(template: Template) -> Template {
    template.with(&BasicConstraints { ca: true, path_len_constraint: Some(0) }).unwrap()
}

#[test]
fn a_client_accepts_the_right_set_and_seals_to_its_keys() {
    let world = World::new();
    let keys = world.context_keys();
    let set = world.identity.key_set(world.issuer.certificate(), &keys).unwrap();
    let set = KeySet::from_bytes(&set.to_bytes()).unwrap();
    let verified = set
        .verify(crypto(), &world.trusted(), &RevocationLists::none(), &name("GW.example.org"), NOW)
        .unwrap();
    assert_eq!(verified.name().as_str(), "gw.example.org");
    for (suite, own) in Suite::ALL.into_iter().zip(&keys) {
        let to = verified.key(&[suite]).unwrap();
        assert_eq!(to.id, own.id);
        let secret = symbolon_crypto::SecretBytes::new(b"password".to_vec());
        let sealed = seal_base(crypto(), &mut SystemEntropy, &to.public, b"info", b"aad", &secret).unwrap();
        let opened = open_base(crypto(), &own.key, &sealed.enc, b"info", b"aad", &sealed.ciphertext).unwrap();
        assert_eq!(opened.plaintext.expose(), b"password");
    }
}

#[test]
fn the_default_suite_comes_first_and_none_is_chosen_silently() {
    let world = World::new();
    let verify = |set: &KeySet| {
        set.verify(crypto(), &world.trusted(), &RevocationLists::none(), &name("gw.example.org"), NOW)
            .unwrap()
    };
    let both = verify(&world.key_set());
    assert_eq!(both.key(&Suite::ALL).unwrap().public.suite(), Suite::XWing);
    assert_eq!(both.key(&[Suite::X25519]).unwrap().public.suite(), Suite::X25519);
    let classic = world.identity.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap();
    let classic = verify(&world.identity.key_set(world.issuer.certificate(), &[classic]).unwrap());
    assert_eq!(classic.key(&[Suite::XWing]).unwrap_err(), KeySetError::NoAcceptableSuite);
}

#[test]
fn the_fingerprint_in_a_link_finds_the_issuer_in_the_set() {
    let world = World::new();
    let set = world.key_set();
    let from_link = world.trusted().fingerprint();
    let trusted = symbolon_crypto::TrustedIssuer::from_fingerprint(crypto(), &set.issuer, from_link).unwrap();
    assert!(set.verify(crypto(), &trusted, &RevocationLists::none(), world.identity.name(), NOW).is_ok());
}

#[test]
fn the_identitys_signatures_can_be_checked_later() {
    let world = World::new();
    let verified = world
        .key_set()
        .verify(crypto(), &world.trusted(), &RevocationLists::none(), world.identity.name(), NOW)
        .unwrap();
    let message = symbolon_crypto::label::CONFIGURATION_SIGNATURE;
    let signature = world.identity.key().sign(message).unwrap();
    assert_eq!(verified.verify_identity_signature(crypto(), message, &signature), Ok(()));
    let foreign = P256SigningKey::generate().sign(message).unwrap();
    for (message, signature) in [(&b"other"[..], &signature), (message, &foreign), (message, &Vec::new())] {
        let refused = verified.verify_identity_signature(crypto(), message, signature);
        assert_eq!(refused, Err(KeySetError::NotSignedByIdentity));
    }
}

#[test]
fn cve_wrong_ca_of_a_gateway() {
    let (world, other) = (World::new(), World::new());
    assert_eq!(world.verify(&other.key_set()), Err(KeySetError::OtherIssuer));

    let issuer = Issuer::create("Somebody Else", NOW, 10).unwrap();
    let identity = issuer.gateway_identity(&name("gw.example.org"), World::months(3)).unwrap();
    let foreign = World { issuer, identity };
    assert_eq!(world.verify(&foreign.key_set()), Err(KeySetError::OtherIssuer));
}

#[test]
fn another_gateways_name_is_refused() {
    let world = World::new();
    for other in ["other.example.org", "example.org", "sub.gw.example.org"] {
        let refused = world
            .key_set()
            .verify(crypto(), &world.trusted(), &RevocationLists::none(), &name(other), NOW)
            .unwrap_err();
        assert_eq!(refused, KeySetError::OtherName(name(other)));
    }
}

#[test]
fn a_gateway_cannot_certify_keys_for_another_name() {
    let world = World::new();
    let odd = world.odd_context_key(|t| named(usage(t), "other.example.org"));
    let set = world.set_of(world.identity.certificate().to_vec(), vec![odd]);
    assert_eq!(world.verify(&set), Err(KeySetError::NotSignedByIdentity));
    // not even for names below its own, which its name constraint would let pass
    let odd = world.odd_context_key(|t| named(usage(t), "sub.gw.example.org"));
    let set = world.set_of(world.identity.certificate().to_vec(), vec![odd]);
    let sub = name("sub.gw.example.org");
    assert_eq!(world.verify(&set), Err(KeySetError::OtherName(name("gw.example.org"))));
    assert_eq!(
        set.verify(crypto(), &world.trusted(), &RevocationLists::none(), &sub, NOW).unwrap_err(),
        KeySetError::OtherName(sub.clone())
    );
}

#[test]
fn expired_and_future_certificates_are_refused() {
    let world = World::new();
    let set = world.key_set();
    assert_eq!(world.verify_at(&set, NOW.plus_secs(DAY)), Ok(()));
    assert_eq!(world.verify_at(&set, NOW.plus_secs(DAY + 1)), Err(KeySetError::OutsideValidity));
    assert_eq!(world.verify_at(&set, NOW.minus_secs(CLOCK_LEEWAY_SECS)), Ok(()));
    let early = NOW.minus_secs(CLOCK_LEEWAY_SECS + 1);
    assert_eq!(world.verify_at(&set, early), Err(KeySetError::OutsideValidity));
}

#[test]
fn an_expired_identity_is_refused_with_context_keys_that_are_not() {
    let world = World::new();
    let week_old = Validity::starting(NOW.minus_secs(7 * DAY), DAY);
    let identity = world.odd_identity(|t| {
        let t = Template { validity: week_old, ..t };
        named(usage(authority(t)), "gw.example.org")
    });
    let keys = world.context_keys().into_iter().map(|k| k.certificate).collect();
    assert_eq!(world.verify(&world.set_of(identity, keys)), Err(KeySetError::OutsideValidity));
}

#[test]
fn a_certificate_for_another_use_is_no_context_key() {
    let world = World::new();
    let identity = world.identity.certificate().to_vec();
    let unmarked = world.odd_context_key(|t| named(t, "gw.example.org"));
    let for_servers = world
        .odd_context_key(|t| named(t.with(&ExtendedKeyUsage(vec![SERVER_AUTH])).unwrap(), "gw.example.org"));
    let an_authority = world.odd_context_key(|t| named(usage(authority(t)), "gw.example.org"));
    for odd in [unmarked, for_servers, an_authority] {
        assert_eq!(world.verify(&world.set_of(identity.clone(), vec![odd])), Err(KeySetError::WrongUsage));
    }
}

#[test]
fn an_identity_without_our_usage_certifies_nothing() {
    let world = World::new();
    let keys: Vec<_> = world.context_keys().into_iter().map(|k| k.certificate).collect();
    let unmarked = world.odd_identity(|t| named(authority(t), "gw.example.org"));
    let for_servers = world.odd_identity(|t| {
        named(authority(t).with(&ExtendedKeyUsage(vec![SERVER_AUTH])).unwrap(), "gw.example.org")
    });
    for odd in [unmarked, for_servers] {
        assert_eq!(world.verify(&world.set_of(odd, keys.clone())), Err(KeySetError::WrongUsage));
    }
    let no_authority = world.odd_identity(|t| named(usage(t), "gw.example.org"));
    assert_eq!(world.verify(&world.set_of(no_authority, keys)), Err(KeySetError::NotSignedByIdentity));
}

#[test]
fn a_context_key_of_another_gateway_is_refused() {
    let world = World::new();
    let own = world.identity.certificate().to_vec();
    for other_name in ["other.example.org", "gw.example.org"] {
        let other = world.issuer.gateway_identity(&name(other_name), World::months(3)).unwrap();
        let foreign = other.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap();
        let mixed = world.set_of(own.clone(), vec![foreign.certificate]);
        assert_eq!(world.verify(&mixed), Err(KeySetError::NotSignedByIdentity), "{other_name}");
    }
}

#[test]
fn a_context_key_straight_from_the_issuer_is_refused() {
    let world = World::new();
    let key = KemPrivateKey::generate(Suite::X25519, crypto(), &mut SystemEntropy);
    let direct = Template {
        subject: Kind::ContextKey.subject("gw.example.org").unwrap(),
        public_key: certificate::kem_public_key(key.public()).unwrap(),
        validity: Validity::starting(NOW, DAY),
        extensions: Vec::new(),
    };
    let direct = named(usage(direct), "gw.example.org")
        .sign(&Kind::Issuer.subject("Example Works").unwrap(), world.issuer.key())
        .unwrap();
    let set = world.set_of(world.identity.certificate().to_vec(), vec![direct]);
    assert_eq!(world.verify(&set), Err(KeySetError::NotSignedByIdentity));
}

#[test]
fn a_set_that_was_changed_on_the_way_is_refused() {
    let world = World::new();
    let set = world.key_set();
    let extra = world.identity.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap().certificate;
    let changed = |change: &dyn Fn(&mut KeySet)| {
        let mut set = set.clone();
        change(&mut set);
        world.verify(&set)
    };
    let refused = Err(KeySetError::NotSignedByIdentity);
    assert_eq!(changed(&|_| ()), Ok(()));
    assert_eq!(changed(&|s| drop(s.context_keys.remove(0))), refused);
    assert_eq!(changed(&|s| drop(s.context_keys.pop())), refused);
    assert_eq!(changed(&|s| s.context_keys.push(extra.clone())), refused);
    assert_eq!(changed(&|s| s.context_keys.swap(0, 1)), refused);
    assert_eq!(changed(&|s| s.issuer.push(0)), refused);
    assert_eq!(changed(&|s| s.signature.clear()), refused);
    let again = world.issuer.certify_identity(
        world.identity.name(),
        world.identity.key().public_point(),
        World::months(3),
    );
    assert_eq!(changed(&|s| s.identity = again.clone().unwrap()), refused);
}

#[test]
fn every_flipped_byte_is_noticed() {
    let world = World::new();
    let small = world.identity.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap();
    let set = world.identity.key_set(world.issuer.certificate(), &[small]).unwrap();
    let bytes = set.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(changed) = KeySet::from_bytes(&changed) {
            assert!(world.verify(&changed).is_err(), "byte {at}");
        }
        assert!(KeySet::from_bytes(&bytes[..at]).is_err());
    }
}

#[test]
fn what_is_not_a_certificate_is_malformed() {
    let world = World::new();
    let set = world.key_set();
    for length in [0, 1, 4, 100, set.context_keys[1].len() - 1] {
        let mut cut = set.clone();
        cut.context_keys[1].truncate(length);
        assert!(matches!(world.verify(&cut), Err(KeySetError::Malformed(_))));
        let mut cut = set.clone();
        cut.identity.truncate(length);
        assert!(matches!(world.verify(&cut), Err(KeySetError::Malformed(_))));
    }
    let mut long = set;
    long.context_keys[0].push(0);
    assert!(matches!(world.verify(&long), Err(KeySetError::Malformed(_))));
}

#[test]
fn a_key_of_an_unknown_suite_is_skipped_and_alone_is_not_enough() {
    let world = World::new();
    let unknown = |oid: &str, length| {
        world.odd_context_key(|t| {
            let public_key = SubjectPublicKeyInfo {
                algorithm: AlgorithmIdentifier { oid: oid.parse().unwrap(), parameters: None },
                subject_public_key: BitString::from_bytes(&vec![9; length]).unwrap(),
            };
            named(usage(Template { public_key, ..t }), "gw.example.org")
        })
    };
    let odd = vec![
        unknown("2.16.840.1.101.3.4.4.2", 1184),  // ML-KEM-768 alone
        unknown("1.3.101.110", 31),               // X25519, too short
        unknown("1.3.6.1.4.1.62253.25722", 1217), // X-Wing, too long
    ];
    let identity = world.identity.certificate().to_vec();
    let set = world.set_of(identity.clone(), odd.clone());
    assert_eq!(world.verify(&set), Err(KeySetError::NoAcceptableSuite));
    assert_eq!(world.verify(&world.set_of(identity.clone(), vec![])), Err(KeySetError::NoAcceptableSuite));

    let known = world.context_keys().remove(0).certificate;
    let set = world.set_of(identity, [odd, vec![known]].concat());
    assert_eq!(world.verify(&set), Ok(()));
}

#[test]
fn every_gateway_name_can_be_certified_and_verified() {
    let longer_than_a_common_name = format!("{}.{}.example.org", "a".repeat(63), "b".repeat(63));
    let longest = ["c".repeat(63), "d".repeat(63), "e".repeat(63), "f".repeat(61)].join(".");
    for text in ["localhost", "GW-1.example.org", "a_b.example", "xn--bcher-kva.example", "1.2.3.example"]
        .into_iter()
        .chain([longer_than_a_common_name.as_str(), &longest])
    {
        let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
        let identity: Identity = issuer.gateway_identity(&name(text), World::months(1)).unwrap();
        assert_eq!(identity.name(), &name(text));
        let world = World { issuer, identity };
        let verified =
            world.key_set().verify(crypto(), &world.trusted(), &RevocationLists::none(), &name(text), NOW);
        assert!(verified.is_ok(), "{text}: {verified:?}");
    }
}

#[test]
fn what_is_no_dns_name_is_no_gateway_name() {
    let too_long = ["c".repeat(63), "d".repeat(63), "e".repeat(63), "f".repeat(62)].join(".");
    for text in [
        "",
        ".",
        "gw.example.org.",
        "127.0.0.1",
        "::1",
        "*.example.org",
        "a b",
        "a..b",
        "-a",
        "bücher",
        &too_long,
    ] {
        assert!(symbolon_crypto::GatewayName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_offer_fits_into_what_is_read_before_a_session() {
    let length = World::new().key_set().to_bytes().len();
    assert!(length < symbolon_wire::MAX_BODY_BEFORE_SESSION / 3, "{length} bytes");
}
