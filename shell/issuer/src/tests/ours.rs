//! Certificates that we issue to persons and devices, and what may not pass for one.

use super::forge::{ANY, CLIENT, Draft, Key, dns, redraft, uri};
use super::{DAY, NOW, World, crypto, name};
use crate::{
    CertificateRequest, IssuerError, MAX_SUBJECT_SECS, RequestKey, RequestedName, SubjectCertificate,
    SubjectGrant, Validity, lint_under,
};
use der::oid::AssociatedOid;
use symbolon_crypto::{
    ForeignAuthority, ForeignUsage, KemPrivateKey, NameRule, Revocation, SignatureKind, SubjectError,
    SubjectId, SubjectKey, SubjectName, SubjectProfile, SubjectTrust, Suite, VerifiedSubject,
};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SystemEntropy};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

pub(super) fn phone() -> SubjectId {
    SubjectId::device("alice-0a1b2c", "phone").unwrap()
}

pub(super) fn person() -> SubjectId {
    SubjectId::person("alice-0a1b2c").unwrap()
}

pub(super) fn grant(subject: &SubjectId) -> SubjectGrant {
    SubjectGrant {
        subject: subject.clone(),
        common_name: "Alice".into(),
        validity: Validity::starting(NOW, DAY),
    }
}

impl World {
    pub(super) fn certify(&self, subject: &SubjectId, key: RequestKey<'_>) -> SubjectCertificate {
        let request = CertificateRequest::make(&RequestedName::Subject(subject.clone()), key).unwrap();
        let request = CertificateRequest::read(crypto(), &request).unwrap();
        self.issuer.certify_subject(&request, &grant(subject)).unwrap()
    }

    pub(super) fn trust(&self) -> SubjectTrust {
        SubjectTrust::new(crypto(), &[self.trusted()], Revocation::IfListed).unwrap()
    }

    /// The issuer's key for the forge.
    fn issuer_key(&self) -> Key {
        Key::P256(P256SigningKey::from_pkcs8(self.issuer.key().pkcs8().duplicate()).unwrap())
    }

    fn verify_subject(&self, certificate: &[u8]) -> Result<VerifiedSubject, SubjectError> {
        self.trust().verify(crypto(), &[certificate], NOW)
    }
}

#[test]
fn every_kind_of_key_is_certified_for_persons_and_devices() {
    let world = World::new();
    let p256 = P256SigningKey::generate();
    let ed25519 = Ed25519SigningKey::generate();
    let kem = |suite| KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
    let (x_wing, x25519) = (kem(Suite::XWing), kem(Suite::X25519));
    for subject in [person(), phone()] {
        for key in [
            RequestKey::P256(&p256),
            RequestKey::Ed25519(&ed25519),
            RequestKey::Kem(x_wing.public()),
            RequestKey::Kem(x25519.public()),
        ] {
            let certificate = world.certify(&subject, key);
            let verified = world.verify_subject(certificate.der()).unwrap();
            assert_eq!(verified.name(), &SubjectName::Ours(subject.clone()));
            assert_eq!(verified.code(), "alice-0a1b2c");
            assert_eq!(verified.serial(), certificate.serial());
            assert_eq!(verified.validity().1, NOW.plus_secs(DAY));
            match (key, verified.key()) {
                (RequestKey::Kem(asked), SubjectKey::Kem(certified)) => assert_eq!(asked, certified),
                (RequestKey::P256(_), SubjectKey::Signature(key)) => {
                    assert_eq!(key.kind(), SignatureKind::P256)
                }
                (RequestKey::Ed25519(_), SubjectKey::Signature(key)) => {
                    assert_eq!(key.kind(), SignatureKind::Ed25519);
                }
                other => panic!("{other:?}"),
            }
            let profile = crate::LintProfile::Subject(subject.profile());
            assert_eq!(lint_under(certificate.der(), profile, world.issuer.certificate(), crypto()), []);
        }
    }
}

#[test]
fn a_certified_key_verifies_its_signatures_and_no_others() {
    use symbolon_crypto::Signer;
    let world = World::new();
    let (p256, ed25519) = (P256SigningKey::generate(), Ed25519SigningKey::generate());
    let signers: [(&dyn Signer, RequestKey<'_>); 2] =
        [(&p256, RequestKey::P256(&p256)), (&ed25519, RequestKey::Ed25519(&ed25519))];
    for (signer, key) in signers {
        let verified = world.verify_subject(world.certify(&phone(), key).der()).unwrap();
        let key = verified.key().signature().unwrap();
        let signature = signer.sign(b"the exchange").unwrap();
        assert_eq!(key.verify(crypto(), b"the exchange", &signature), Ok(()));
        assert!(key.verify(crypto(), b"another exchange", &signature).is_err());
        assert!(
            key.verify(crypto(), b"the exchange", &P256SigningKey::generate().sign(b"the exchange").unwrap())
                .is_err()
        );
        assert!(key.verify(crypto(), b"the exchange", &[]).is_err());
    }
}

#[test]
fn an_rsa_key_verifies_both_paddings() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
    use der::Encode;
    let Key::Rsa(pair) = Key::rsa() else { unreachable!() };
    let info = Key::Rsa(pair);
    let key = SubjectKey::from_public_key_info(&info.info().to_der().unwrap()).unwrap();
    let Key::Rsa(pair) = info else { unreachable!() };
    let sign = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), b"the exchange", &mut signature).unwrap();
        key.signature().unwrap().verify(crypto(), b"the exchange", &signature)
    };
    assert_eq!(key.signature().unwrap().kind(), SignatureKind::Rsa { bits: 2048 });
    assert_eq!(sign(&RSA_PSS_SHA256), Ok(()));
    assert_eq!(sign(&RSA_PKCS1_SHA256), Ok(()));
    assert!(sign(&RSA_PKCS1_SHA512).is_err(), "one hash for each key");
}

#[test]
fn what_is_not_of_our_form_is_refused_even_with_our_signature() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let good = world.certify(&phone(), RequestKey::P256(&key));
    let signed = |change: fn(Draft) -> Draft| {
        let der = change(redraft(good.der())).sign(&world.issuer_key());
        world.verify_subject(&der).map(|s| s.code().to_owned())
    };
    let other_usage = SubjectProfile::Person;
    assert_eq!(signed(|d| d), Ok("alice-0a1b2c".into()));
    let wrong_usage = Err(SubjectError::WrongUsage);
    assert_eq!(signed(|d| d.with(&ExtendedKeyUsage(vec![CLIENT]))), wrong_usage);
    assert_eq!(signed(|d| d.with(&ExtendedKeyUsage(vec![ANY]))), wrong_usage);
    assert_eq!(signed(|d| d.without(ExtendedKeyUsage::OID)), wrong_usage);
    assert_eq!(signed(|d| d.without(KeyUsage::OID)), wrong_usage);
    assert_eq!(
        signed(|d| d.with(&KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement))),
        wrong_usage
    );
    assert_eq!(signed(|d| d.with(&KeyUsage(KeyUsages::KeyAgreement.into()))), wrong_usage);
    let person_usage = crate::certificate::extended_usage(other_usage.usage()).unwrap();
    let both = ExtendedKeyUsage([person_usage.0.clone(), redraft_usage(good.der())].concat());
    let with_usage = |usage: &ExtendedKeyUsage| {
        world.verify_subject(&redraft(good.der()).with(usage).sign(&world.issuer_key())).unwrap_err()
    };
    assert_eq!(with_usage(&both), SubjectError::WrongUsage, "two of our usages");
    assert_eq!(with_usage(&person_usage), SubjectError::NoName, "a device is no person");
    assert_eq!(
        signed(|d| d.with(&SubjectAltName(vec![uri("symbolon:person:alice-0a1b2c")]))),
        Err(SubjectError::NoName)
    );
    assert_eq!(
        signed(|d| d.with(&SubjectAltName(vec![uri("symbolon:device:ALICE-0a1b2c:phone")]))),
        Err(SubjectError::NoName)
    );
    assert_eq!(signed(|d| d.with(&SubjectAltName(vec![dns("alice-0a1b2c")]))), Err(SubjectError::NoName));
    assert_eq!(signed(|d| d.without(SubjectAltName::OID)), Err(SubjectError::NoName));
    let two = |d: Draft| {
        d.with(&SubjectAltName(vec![uri("symbolon:device:alice-0a1b2c:phone"), dns("x.example.org")]))
    };
    assert_eq!(signed(two), Err(SubjectError::AmbiguousName));
    assert_eq!(signed(|d| d.without(AuthorityKeyIdentifier::OID)), Err(SubjectError::Untrusted));
    assert_eq!(signed(|d| d.unknown(true)), Err(SubjectError::CriticalExtension));
    assert_eq!(
        signed(|d| d.without(SubjectKeyIdentifier::OID)),
        Ok("alice-0a1b2c".into()),
        "that is for others"
    );
}

fn redraft_usage(der: &[u8]) -> Vec<der::asn1::ObjectIdentifier> {
    use der::Decode;
    let extension = redraft(der).extensions.into_iter().find(|e| e.extn_id == ExtendedKeyUsage::OID).unwrap();
    ExtendedKeyUsage::from_der(extension.extn_value.as_bytes()).unwrap().0
}

#[test]
fn cve_wrong_key() {
    let (world, other) = (World::new(), World::new());
    let key = P256SigningKey::generate();
    let theirs = other.certify(&phone(), RequestKey::P256(&key));
    assert_eq!(
        world.verify_subject(theirs.der()).unwrap_err(),
        SubjectError::Untrusted,
        "an issuer of the same name"
    );
    // a gateway's identity is an authority, but for context keys of its own name only
    let identity = Key::P256(P256SigningKey::from_pkcs8(world.identity.key().pkcs8().duplicate()).unwrap());
    let ours = world.certify(&phone(), RequestKey::P256(&key));
    let below = redraft(ours.der()).but(|d| d.issuer = redraft(world.identity.certificate()).subject);
    let chain = [&*below.sign(&identity), world.identity.certificate()];
    assert_eq!(world.trust().verify(crypto(), &chain, NOW).unwrap_err(), SubjectError::Untrusted);
    assert_eq!(world.verify_subject(world.identity.certificate()).unwrap_err(), SubjectError::WrongUsage);
    assert_eq!(world.verify_subject(world.issuer.certificate()).unwrap_err(), SubjectError::WrongUsage);
    let context_key = world.identity.context_key(Suite::X25519, Validity::starting(NOW, DAY)).unwrap();
    let chain = [&*context_key.certificate, world.identity.certificate()];
    assert_eq!(world.trust().verify(crypto(), &chain, NOW).unwrap_err(), SubjectError::Untrusted);
}

#[test]
fn cve_cross_tenant_a_foreign_authority_cannot_speak_for_our_subjects() {
    let world = World::new();
    let root = Key::p256();
    let mut trust = world.trust();
    let authority = |alias: &str, rule| ForeignAuthority {
        alias: alias.into(),
        certificate: Draft::authority("CN=Root", "CN=Root", &root).sign(&root),
        rule,
        usage: ForeignUsage::ClientAuthentication,
        revocation: Revocation::IfListed,
    };
    let rule = || NameRule::UriUnder { prefix: "symbolon:person:".into() };
    trust.admit(crypto(), authority("partner", rule())).unwrap();
    let names = SubjectAltName(vec![uri("symbolon:person:alice-0a1b2c")]);
    let leaf = Draft::leaf("CN=Root", &root, &Key::p256()).with(&names).sign(&root);
    let subject = trust.verify(crypto(), &[&leaf], NOW).unwrap();
    assert_eq!(subject.code(), "partner:alice-0a1b2c", "marked as theirs even so");
    // an authority that takes our issuer's name
    let ours = redraft(world.issuer.certificate()).subject;
    let posing = redraft(&leaf).but(|l| l.issuer = ours).sign(&root);
    assert_eq!(trust.verify(crypto(), &[&posing], NOW).unwrap_err(), SubjectError::WrongUsage);
    for alias in ["partner", "", "two words", "Partner", "a:b", "x".repeat(33).as_str()] {
        assert_eq!(
            trust.admit(crypto(), authority(alias, rule())),
            Err(SubjectError::AmbiguousName),
            "{alias}"
        );
    }
}

#[test]
fn only_what_was_asked_for_and_approved_is_certified() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let request = |name: RequestedName| {
        CertificateRequest::read(crypto(), &CertificateRequest::make(&name, RequestKey::P256(&key)).unwrap())
            .unwrap()
    };
    let certify =
        |name, grant: SubjectGrant| world.issuer.certify_subject(&request(name), &grant).map(|_| ());
    let asked = RequestedName::Subject(phone());
    assert_eq!(certify(asked.clone(), grant(&phone())), Ok(()));
    assert_eq!(certify(asked.clone(), grant(&person())), Err(IssuerError::OtherSubject));
    let gateway = RequestedName::Gateway(name("gw.example.org"));
    assert_eq!(certify(gateway, grant(&phone())), Err(IssuerError::OtherSubject));
    for bad in ["", "a\nb", "x".repeat(65).as_str()] {
        let grant = SubjectGrant { common_name: bad.into(), ..grant(&phone()) };
        assert_eq!(certify(asked.clone(), grant), Err(IssuerError::BadName));
    }
    let long = SubjectGrant { validity: Validity::starting(NOW, MAX_SUBJECT_SECS + DAY), ..grant(&phone()) };
    assert_eq!(certify(asked, long), Err(IssuerError::OutsideValidity));
}

#[test]
fn a_subject_does_not_outlive_its_issuer() {
    let issuer = crate::Issuer::create("Example Works", NOW.minus_secs(364 * DAY), 1).unwrap();
    let key = P256SigningKey::generate();
    let request = CertificateRequest::make(&RequestedName::Subject(phone()), RequestKey::P256(&key)).unwrap();
    let request = CertificateRequest::read(crypto(), &request).unwrap();
    let grant = SubjectGrant { validity: Validity::starting(NOW, 30 * DAY), ..grant(&phone()) };
    let certificate = issuer.certify_subject(&request, &grant).unwrap();
    assert_eq!(certificate.validity().until(), issuer.validity().until());
}
