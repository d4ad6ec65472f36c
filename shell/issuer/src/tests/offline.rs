//! The issuer's key on a machine without network.

use super::ours::{person, phone};
use super::{DAY, NOW, World, crypto, name};
use crate::{
    BundleError, BundleItem, CertificateRequest, ListOrder, RequestBundle, RequestKey, RequestedName,
    RevocationReason, Revoked, SignedBundle, SignedItem, SubjectCertificate,
};
use proptest::prelude::*;
use symbolon_crypto::{KemPrivateKey, RevocationList, Suite};
use symbolon_provider::{P256SigningKey, SystemEntropy};

fn item(name: RequestedName, key: RequestKey<'_>) -> BundleItem {
    let request = CertificateRequest::make(&name, key).unwrap();
    BundleItem { request, common_name: "Alice".into(), lifetime_secs: DAY }
}

impl World {
    /// Requests of a device, a person with a key for envelopes, and a gateway, and a list.
    fn bundle(&self) -> RequestBundle {
        let key = P256SigningKey::generate();
        let kem = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
        let revoked =
            Revoked { serial: vec![0x47; 16], at: NOW, reason: RevocationReason::CessationOfOperation };
        RequestBundle {
            issuer: self.trusted().fingerprint(),
            made: NOW,
            items: vec![
                item(RequestedName::Subject(phone()), RequestKey::P256(&key)),
                item(RequestedName::Subject(person()), RequestKey::Kem(kem.public())),
                item(RequestedName::Gateway(name("gw.example.org")), RequestKey::P256(&key)),
            ],
            list: Some(ListOrder { number: 3, lifetime_secs: DAY, revoked: vec![revoked] }),
        }
    }

    fn sign(&self, bundle: &RequestBundle) -> SignedBundle {
        self.issuer.sign_bundle(crypto(), bundle, NOW, |_, _| true).unwrap()
    }
}

#[test]
fn requests_go_there_and_certificates_come_back() {
    let world = World::new();
    let bundle = world.bundle();
    let there = RequestBundle::from_file(crypto(), &bundle.to_file(crypto())).unwrap();
    assert_eq!(there, bundle);
    let mut shown = Vec::new();
    let signed = world
        .issuer
        .sign_bundle(crypto(), &there, NOW, |request, item| {
            shown.push((request.name().to_string(), item.lifetime_secs));
            true
        })
        .unwrap();
    let names =
        ["symbolon:device:alice-0a1b2c:phone", "symbolon:person:alice-0a1b2c", "gateway gw.example.org"];
    assert_eq!(shown, names.map(|n| (n.to_owned(), DAY)));
    let back = SignedBundle::from_file(crypto(), &signed.to_file(crypto())).unwrap();
    let items = back.check(crypto(), &bundle, &world.trusted(), NOW).unwrap();
    let certificates: Vec<_> = items
        .iter()
        .map(|item| match item {
            SignedItem::Certificate(der) => der.as_slice(),
            SignedItem::Refused(why) => panic!("{why}"),
        })
        .collect();
    for (der, asked) in certificates.iter().zip(&bundle.items[..2]) {
        let taken = SubjectCertificate::of(crypto(), &asked.request, der).unwrap();
        assert_eq!(taken.der(), *der);
        let other = &bundle.items[usize::from(asked == &bundle.items[0])].request;
        assert!(SubjectCertificate::of(crypto(), other, der).is_err(), "another request");
    }
    for subject in &certificates[..2] {
        assert_eq!(world.trust().verify(crypto(), &[subject], NOW).unwrap().code(), "alice-0a1b2c");
    }
    let list = RevocationList::read(crypto(), back.list().unwrap(), world.issuer.certificate(), NOW).unwrap();
    assert!(list.number_is(3) && list.is_revoked(&[0x47; 16]));
}

#[test]
fn nothing_is_signed_that_its_request_does_not_prove_or_nobody_approves() {
    let world = World::new();
    let mut bundle = world.bundle();
    let other = CertificateRequest::make(
        &RequestedName::Subject(phone()),
        RequestKey::P256(&P256SigningKey::generate()),
    )
    .unwrap();
    // the signature of one request under the content of another
    let length = bundle.items[0].request.len().min(other.len());
    bundle.items[0].request[..length / 2].copy_from_slice(&other[..length / 2]);
    bundle.items[1].lifetime_secs = 400 * DAY;
    let mut asked = 0;
    let signed = world
        .issuer
        .sign_bundle(crypto(), &bundle, NOW, |request, _| {
            asked += 1;
            !matches!(request.name(), RequestedName::Gateway(_))
        })
        .unwrap();
    assert_eq!(asked, 2, "what proves nothing is not even shown");
    let items = signed.check(crypto(), &bundle, &world.trusted(), NOW).unwrap();
    assert!(items.iter().all(|item| matches!(item, SignedItem::Refused(_))), "{items:?}");
}

#[test]
fn what_comes_back_is_what_was_asked_for_or_none_is_taken() {
    let (world, other) = (World::new(), World::new());
    let bundle = world.bundle();
    let signed = world.sign(&bundle);
    let trusted = world.trusted();
    let check = |signed: &SignedBundle, bundle: &RequestBundle| {
        signed.check(crypto(), bundle, &trusted, NOW).map(|_| ())
    };
    assert_eq!(check(&signed, &bundle), Ok(()));
    assert_eq!(check(&signed, &world.bundle()), Err(BundleError::OtherRequests), "other keys");
    assert_eq!(signed.check(crypto(), &bundle, &other.trusted(), NOW), Err(BundleError::OtherIssuer));
    let misled = RequestBundle { issuer: other.trusted().fingerprint(), ..bundle.clone() };
    let by_other = other.sign(&misled);
    assert_eq!(check(&by_other, &bundle), Err(BundleError::OtherRequests));
    assert_eq!(
        world.issuer.sign_bundle(crypto(), &misled, NOW, |_, _| true).unwrap_err(),
        BundleError::OtherIssuer
    );
    // certificates in another order, or of another key: the file is whole, its content is not
    let swapped = swap(&signed, 0, 1);
    assert!(matches!(check(&swapped, &bundle), Err(BundleError::Certificate { index: 0, .. })));
    let twice = RequestBundle {
        items: vec![bundle.items[0].clone(), world.bundle().items[0].clone()],
        ..bundle.clone()
    };
    let exchanged = swap(&world.sign(&twice), 0, 1);
    assert!(
        matches!(check(&exchanged, &twice), Err(BundleError::Certificate { index: 0, .. })),
        "another key"
    );
}

fn swap(signed: &SignedBundle, a: usize, b: usize) -> SignedBundle {
    let mut signed = signed.clone();
    signed.items_mut().swap(a, b);
    signed
}

#[test]
fn files_that_were_changed_are_not_read() {
    let world = World::new();
    let bundle = world.bundle();
    let requests = bundle.to_file(crypto());
    let signed = world.sign(&bundle).to_file(crypto());
    assert!(RequestBundle::from_file(crypto(), &signed).is_err(), "one for the other");
    assert!(SignedBundle::from_file(crypto(), &requests).is_err());
    for file in [&requests, &signed] {
        for end in [0, 1, 31, 32, file.len() - 1] {
            assert!(RequestBundle::from_file(crypto(), &file[..end]).is_err());
            assert!(SignedBundle::from_file(crypto(), &file[..end]).is_err());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_of_files_panic(content in prop::collection::vec(any::<u8>(), 0..300), signed: bool) {
        let magic: &[u8] = if signed { b"SYMBOLON SIGNED\n\x01" } else { b"SYMBOLON REQUESTS\n\x01" };
        let mut file = [magic, &content].concat();
        let hash = crypto().sha256(&[&file]);
        file.extend_from_slice(&hash);
        let _ = RequestBundle::from_file(crypto(), &file);
        let _ = SignedBundle::from_file(crypto(), &file);
    }
}
