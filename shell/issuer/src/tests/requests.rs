//! Requests, and how a certificate reaches a key that cannot sign.

use super::forge::{Key, dns, uri, wrap};
use super::ours::{grant, person, phone};
use super::{World, crypto, name};
use crate::{
    CertificateRequest, Confirmation, Delivery, Possession, RequestError, RequestKey, RequestedName,
    SealedCertificate,
};
use der::asn1::{Any, BitString, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode, Tag};
use proptest::prelude::*;
use symbolon_crypto::{KemPrivateKey, Suite};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SystemEntropy};
use symbolon_wire::{Decode as _, Encode as _};
use x509_cert::AlgorithmIdentifier;
use x509_cert::attr::Attribute;
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::request::{CertReq, ExtensionReq};

fn kem(suite: Suite) -> KemPrivateKey {
    KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy)
}

fn asked(key: RequestKey<'_>) -> Vec<u8> {
    CertificateRequest::make(&RequestedName::Subject(phone()), key).unwrap()
}

/// The request, with its content changed and signed again.
fn forged(key: &Key, change: impl FnOnce(&mut CertReq)) -> Vec<u8> {
    let Key::P256(signer) = key else { unreachable!() };
    let mut request = CertReq::from_der(&asked(RequestKey::P256(signer))).unwrap();
    change(&mut request);
    request.signature = BitString::from_bytes(&key.sign(&request.info.to_der().unwrap())).unwrap();
    request.to_der().unwrap()
}

fn names(names: Vec<GeneralName>) -> SetOfVec<Attribute> {
    let extension = SubjectAltName(names).to_extension(&Default::default(), &[]).unwrap();
    SetOfVec::from_iter([Attribute::try_from(ExtensionReq(vec![extension])).unwrap()]).unwrap()
}

#[test]
fn a_request_is_read_as_it_was_made() {
    let (p256, ed25519, x_wing) =
        (P256SigningKey::generate(), Ed25519SigningKey::generate(), kem(Suite::XWing));
    for (key, possession) in [
        (RequestKey::P256(&p256), Possession::Signed),
        (RequestKey::P256InDevice { public_point: p256.public_point(), signer: &p256 }, Possession::Signed),
        (RequestKey::Ed25519(&ed25519), Possession::Signed),
        (RequestKey::Kem(x_wing.public()), Possession::ByEnvelope),
    ] {
        for subject in [phone(), person()] {
            let der = CertificateRequest::make(&RequestedName::Subject(subject.clone()), key).unwrap();
            let read = CertificateRequest::read(crypto(), &der).unwrap();
            assert_eq!(read.name(), &RequestedName::Subject(subject));
            assert_eq!((read.possession(), read.der()), (possession, &*der));
        }
    }
    let gateway = RequestedName::Gateway(name("gw.example.org"));
    let der = CertificateRequest::make(&gateway, RequestKey::P256(&p256)).unwrap();
    assert_eq!(CertificateRequest::read(crypto(), &der).unwrap().name(), &gateway);
}

#[test]
fn cve_wrong_key_in_a_request_for_a_certificate() {
    let key = P256SigningKey::generate();
    let refused = |der: &[u8]| CertificateRequest::read(crypto(), der).map(|_| ()).unwrap_err();
    let change = |change: fn(&mut CertReq)| {
        let mut request = CertReq::from_der(&asked(RequestKey::P256(&key))).unwrap();
        change(&mut request);
        refused(&request.to_der().unwrap())
    };
    let not_proved = RequestError::NotProved;
    assert_eq!(change(|r| r.info.public_key = Key::p256().info()), not_proved, "another key in its place");
    assert_eq!(change(|r| r.info.attributes = names(vec![uri("symbolon:person:mallory-1")])), not_proved);
    assert_eq!(change(|r| r.signature = BitString::from_bytes(&[]).unwrap()), not_proved, "no signature");
    // a key that can sign must sign
    assert_eq!(
        change(|r| {
            r.algorithm.oid = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.6.36");
            r.signature = BitString::from_bytes(&[]).unwrap();
        }),
        not_proved
    );
    assert_eq!(change(|r| r.algorithm.parameters = Some(Any::null())), not_proved, "parameters");
    assert_eq!(
        change(|r| r.algorithm.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1")),
        not_proved,
        "SHA-1"
    );
    // and one that cannot shows no signature
    let mut request = CertReq::from_der(&asked(RequestKey::Kem(kem(Suite::X25519).public()))).unwrap();
    request.signature = BitString::from_bytes(&[1]).unwrap();
    assert_eq!(refused(&request.to_der().unwrap()), not_proved);
}

#[test]
fn a_request_asks_for_one_name_and_nothing_else() {
    let key = Key::p256();
    let read = |der: &[u8]| CertificateRequest::read(crypto(), der).map(|_| ());
    let with = |attributes: SetOfVec<Attribute>| read(&forged(&key, |r| r.info.attributes = attributes));
    assert_eq!(with(names(vec![uri("symbolon:person:alice-0a1b")])), Ok(()));
    assert_eq!(with(names(vec![dns("gw.example.org")])), Ok(()));
    for bad in [
        names(vec![]),
        names(vec![uri("symbolon:person:alice-0a1b"), uri("symbolon:person:bob-0a1b")]),
        names(vec![uri("symbolon:person:Alice-0a1b")]),
        names(vec![uri("https://example.org")]),
        names(vec![dns("GW.example.org")]),
        names(vec![dns("*.example.org")]),
        SetOfVec::new(),
    ] {
        assert_eq!(with(bad), Err(RequestError::Name));
    }
    // an authority is asked for along with the name
    let san = SubjectAltName(vec![uri("symbolon:person:alice-0a1b")])
        .to_extension(&Default::default(), &[])
        .unwrap();
    let ca = (&BasicConstraints { ca: true, path_len_constraint: None })
        .to_extension(&Default::default(), &[])
        .unwrap();
    let more = SetOfVec::from_iter([Attribute::try_from(ExtensionReq(vec![san, ca])).unwrap()]).unwrap();
    assert_eq!(with(more), Err(RequestError::Name));
    // a gateway's key must be able to sign context keys
    let ed25519 = Ed25519SigningKey::generate();
    let gateway = RequestedName::Gateway(name("gw.example.org"));
    let der = CertificateRequest::make(&gateway, RequestKey::Ed25519(&ed25519)).unwrap();
    assert_eq!(read(&der), Err(RequestError::KeyKind));
}

#[test]
fn only_keys_that_we_certify_are_taken() {
    let key = Key::rsa();
    let p256 = Key::p256();
    let mut request = CertReq::from_der(&forged(&p256, |_| {})).unwrap();
    request.info.public_key = key.info();
    request.algorithm = key.algorithm();
    request.signature = BitString::from_bytes(&key.sign(&request.info.to_der().unwrap())).unwrap();
    let refused = CertificateRequest::read(crypto(), &request.to_der().unwrap());
    assert_eq!(refused.map(|_| ()), Err(RequestError::KeyKind));
    request.info.public_key.algorithm =
        AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap("1.2.3.4"), parameters: None };
    let refused = CertificateRequest::read(crypto(), &request.to_der().unwrap());
    assert_eq!(refused.map(|_| ()), Err(RequestError::KeyKind));
}

#[test]
fn a_key_for_envelopes_gets_its_certificate_in_one() {
    let world = World::new();
    for suite in Suite::ALL {
        let key = kem(suite);
        let certificate = world.certify(&phone(), RequestKey::Kem(key.public()));
        let Delivery::Sealed { envelope, expected } =
            certificate.deliver(crypto(), &mut SystemEntropy).unwrap()
        else {
            panic!("not sealed")
        };
        let envelope = SealedCertificate::from_bytes(&envelope.to_bytes()).unwrap();
        let request = CertificateRequest::read(crypto(), &asked(RequestKey::Kem(key.public()))).unwrap();
        let (opened, confirmation) = envelope.open(crypto(), &key, &request).unwrap();
        assert_eq!(opened, certificate.der());
        assert_eq!(Confirmation::from_bytes(confirmation.as_bytes()), Some(expected));
        assert!(envelope.open(crypto(), &kem(suite), &request).is_err(), "another key");
        let other = RequestedName::Subject(person());
        let other = CertificateRequest::make(&other, RequestKey::Kem(key.public())).unwrap();
        let other = CertificateRequest::read(crypto(), &other).unwrap();
        assert!(envelope.open(crypto(), &key, &other).is_err(), "another request");
        // each envelope has an answer of its own
        let Delivery::Sealed { expected: again, .. } =
            certificate.deliver(crypto(), &mut SystemEntropy).unwrap()
        else {
            panic!("not sealed")
        };
        assert_ne!(again, confirmation);
    }
}

#[test]
fn a_key_that_proved_itself_gets_its_certificate_openly() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let Delivery::Open(der) = certificate.deliver(crypto(), &mut SystemEntropy).unwrap() else {
        panic!("not open")
    };
    assert_eq!(der, certificate.der());
}

#[test]
fn openssl_makes_requests_that_we_take() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    for algorithm in ["ED25519", "EC"] {
        let key = path(&format!("{algorithm}.key"));
        let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", &key];
        if algorithm == "EC" {
            arguments.extend(["-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        let run = |arguments: &[&str]| {
            let out = std::process::Command::new("openssl").args(arguments).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        };
        run(&arguments);
        let request = path(&format!("{algorithm}.csr"));
        let san = "subjectAltName=URI:symbolon:device:alice-0a1b2c:phone";
        run(&[
            "req",
            "-new",
            "-key",
            &key,
            "-subj",
            "/CN=Alice",
            "-addext",
            san,
            "-outform",
            "DER",
            "-out",
            &request,
        ]);
        let request = CertificateRequest::read(crypto(), &std::fs::read(request).unwrap()).unwrap();
        let certificate = World::new().issuer.certify_subject(&request, &grant(&phone())).unwrap();
        assert_eq!(certificate.subject(), &phone());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_requests_panic(
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        position in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        prop_assert!(CertificateRequest::read(crypto(), &garbage).is_err());
        prop_assert!(CertificateRequest::read(crypto(), &wrap(Tag::Sequence, &garbage)).is_err());
        let key = P256SigningKey::generate();
        let mut der = asked(RequestKey::P256(&key));
        let position = position.index(der.len());
        der[position] ^= flip;
        prop_assert!(CertificateRequest::read(crypto(), &der).is_err(), "byte {}", position);
    }
}
