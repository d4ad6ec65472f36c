//! The linter finds nothing in what we issue, and everything in what is a little wrong.

use super::forge::{ANY, Draft, Key, dns, redraft, uri};
use super::ours::{person, phone};
use super::{DAY, NOW, World, crypto, name};
use crate::{Issuer, LintProfile, RequestKey, Validity, lint, lint_under};
use der::asn1::{Any, ObjectIdentifier};
use der::oid::AssociatedOid;
use std::str::FromStr;
use symbolon_crypto::{SubjectProfile, Suite};
use symbolon_provider::P256SigningKey;
use x509_cert::AlgorithmIdentifier;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};

#[test]
fn every_profile_that_we_issue_is_clean() {
    let world = World::new();
    let issuer = world.issuer.certificate();
    assert_eq!(lint_under(issuer, LintProfile::Issuer, issuer, crypto()), []);
    let identity = world.identity.certificate();
    assert_eq!(lint_under(identity, LintProfile::Identity, issuer, crypto()), []);
    for suite in Suite::ALL {
        let key = world.identity.context_key(suite, Validity::starting(NOW, DAY)).unwrap();
        assert_eq!(lint_under(&key.certificate, LintProfile::ContextKey, identity, crypto()), [], "{suite}");
    }
    let key = P256SigningKey::generate();
    for subject in [person(), phone()] {
        let certificate = world.certify(&subject, RequestKey::P256(&key));
        let profile = LintProfile::Subject(subject.profile());
        assert_eq!(lint_under(certificate.der(), profile, issuer, crypto()), []);
    }
    let site =
        world.issuer.certify_site(&name("app.example"), key.public_point(), Validity::starting(NOW, DAY));
    assert_eq!(lint_under(&site.unwrap(), LintProfile::Site, issuer, crypto()), []);
    // names at their bounds, an issuer for fifty years
    let long = "x".repeat(60) + "." + &"y".repeat(60) + ".example";
    let issuer = Issuer::create("Müller & Söhne, \"GmbH\"", NOW, 50).unwrap();
    assert_eq!(lint(issuer.certificate(), LintProfile::Issuer), []);
    let identity = issuer.gateway_identity(&name(&long), World::months(12)).unwrap();
    assert_eq!(lint(identity.certificate(), LintProfile::Identity), []);
}

#[test]
fn a_serial_number_is_never_given_twice() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let mut serials: Vec<_> =
        (0..50).map(|_| world.certify(&phone(), RequestKey::P256(&key)).serial().to_vec()).collect();
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|s| s.len() == 16));
}

#[test]
fn no_profile_passes_for_another() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let context_key = world.identity.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap();
    let (person, phone) =
        (world.certify(&person(), RequestKey::P256(&key)), world.certify(&phone(), RequestKey::P256(&key)));
    let site =
        world.issuer.certify_site(&name("app.example"), key.public_point(), Validity::starting(NOW, DAY));
    let site = site.unwrap();
    let all = [
        (LintProfile::Site, &site[..]),
        (LintProfile::Issuer, world.issuer.certificate()),
        (LintProfile::Identity, world.identity.certificate()),
        (LintProfile::ContextKey, &context_key.certificate),
        (LintProfile::Subject(SubjectProfile::Person), person.der()),
        (LintProfile::Subject(SubjectProfile::Device), phone.der()),
    ];
    for (profile, _) in all {
        for (of, certificate) in all {
            assert_eq!(lint(certificate, profile).is_empty(), profile == of, "{of:?} as {profile:?}");
        }
    }
}

#[test]
fn each_mistake_is_found() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let good = world.certify(&phone(), RequestKey::P256(&key));
    let issuer_key = Key::P256(P256SigningKey::from_pkcs8(world.issuer.key().pkcs8().duplicate()).unwrap());
    let findings = |change: &dyn Fn(Draft) -> Draft| {
        let der = change(redraft(good.der())).sign(&issuer_key);
        let found = lint_under(
            &der,
            LintProfile::Subject(SubjectProfile::Device),
            world.issuer.certificate(),
            crypto(),
        );
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(findings(&|d| d), "");
    let algorithm =
        |oid: &str, parameters| AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap(oid), parameters };
    let issuer_name = redraft(good.der()).issuer;
    let expected: &[(&str, &dyn Fn(Draft) -> Draft)] = &[
        ("serial number has not 16", &|d| d.but(|d| d.serial = vec![1])),
        ("serial number is not positive", &|d| d.but(|d| d.serial = vec![0x80; 16])),
        ("serial number has not 16", &|d| d.but(|d| d.serial = vec![0])),
        ("not of version 3", &|d| d.but(|d| d.version = 1)),
        ("unique identifier", &|d| d.but(|d| d.unique_id = true)),
        ("not in its one encoding", &|d| d.but(|d| d.generalized_time = true)),
        ("ends before it begins", &|d| d.but(|d| std::mem::swap(&mut d.from, &mut d.until))),
        ("lives longer", &|d| d.but(|d| d.until = NOW.plus_secs(91 * DAY))),
        ("outlives its signer", &|d| d.but(|d| d.until = NOW.plus_secs(4000 * DAY))),
        ("signature algorithm", &|d| {
            d.but(|d| d.inner_algorithm = Some(algorithm("1.2.840.10045.4.3.2", Some(Any::null()))))
        }),
        ("signature algorithm", &|d| {
            d.but(|d| d.inner_algorithm = Some(algorithm("1.2.840.10045.4.1", None)))
        }),
        ("its subject is not", &|d| d.but(|d| d.subject = FromStr::from_str("CN=Alice").unwrap())),
        ("its subject is not", &|d| d.but(|d| d.subject = Default::default())),
        ("its subject is not", &|d| {
            d.but(|d| d.subject = FromStr::from_str("CN=Alice,OU=Symbolon person").unwrap())
        }),
        ("issued to its own signer", &|d| d.but(|d| d.subject = issuer_name.clone())),
        ("name its signer", &|d| d.but(|d| d.issuer = FromStr::from_str("CN=x").unwrap())),
        ("extension 2.5.29.35 is missing", &|d| d.without(AuthorityKeyIdentifier::OID)),
        ("signer's key identifier", &|d| d.with(&AuthorityKeyIdentifier::default())),
        ("extension 2.5.29.14 is missing", &|d| d.without(SubjectKeyIdentifier::OID)),
        ("not the hash of its key", &|d| d.but(|d| d.key = Key::p256().info())),
        ("extension 2.5.29.15 is missing", &|d| d.without(KeyUsage::OID)),
        ("key usage", &|d| d.with(&KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation))),
        ("extended key usage", &|d| d.with(&ExtendedKeyUsage(vec![ANY]))),
        ("extended key usage", &|d| d.without(ExtendedKeyUsage::OID)),
        ("alternative name", &|d| d.with(&SubjectAltName(vec![uri("symbolon:person:alice-0a1b2c")]))),
        ("alternative name", &|d| d.with(&SubjectAltName(vec![dns("alice.example.org")]))),
        ("alternative name", &|d| d.with(&SubjectAltName(vec![]))),
        ("extension that its kind has not", &|d| d.unknown(false)),
        ("extension that its kind has not", &|d| d.unknown(true)),
        ("doubled", &|d| d.but(|d| d.extensions.push(d.extensions[0].clone()))),
        ("misjudged", &|d| d.but(|d| d.extensions[0].critical ^= true)),
        ("authority", &|d| d.with(&BasicConstraints { ca: true, path_len_constraint: None })),
        ("extension that its kind has not", &|d| {
            d.with(&BasicConstraints { ca: false, path_len_constraint: None })
        }),
        ("its key is not of a kind", &|d| d.but(|d| d.key = Key::rsa_numbers(2048, &[1, 0, 1]).info())),
        ("wrong parameters", &|d| d.but(|d| d.key.algorithm.parameters = None)),
    ];
    for (finding, change) in expected {
        let found = findings(change);
        assert!(found.contains(finding), "{finding:?} is not in {found:?}");
    }
    let other = World::new();
    let found = lint_under(
        good.der(),
        LintProfile::Subject(SubjectProfile::Device),
        other.issuer.certificate(),
        crypto(),
    );
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["it does not name its signer's key", "it is not signed by its signer"]);
    assert_eq!(lint(&[], LintProfile::Issuer).len(), 1);
    assert_eq!(lint(&good.der()[..100], LintProfile::Issuer).len(), 1);
}
