//! Revocation lists, blocked keys, and what happens when neither is there.

use super::forge::{Draft, Key, redraft};
use super::ours::{person, phone};
use super::{DAY, NOW, World, crypto};
use crate::{RequestKey, RevocationReason, Revoked, Validity};
use der::{Decode, Encode};
use symbolon_crypto::{
    ForeignAuthority, ForeignUsage, NameRule, Revocation, RevocationList, SubjectError, SubjectTrust,
};
use symbolon_provider::P256SigningKey;
use symbolon_wire::Time;
use x509_cert::crl::CertificateList;

const WEEK: u64 = 7 * DAY;

impl World {
    fn list(&self, number: u64, serials: &[&[u8]], now: Time) -> Vec<u8> {
        let revoked: Vec<_> = serials
            .iter()
            .map(|s| Revoked { serial: s.to_vec(), at: now, reason: RevocationReason::KeyCompromise })
            .collect();
        self.issuer.revocation_list(number, &revoked, Validity::starting(now, WEEK)).unwrap()
    }

    fn read(&self, list: &[u8], now: Time) -> Result<RevocationList, SubjectError> {
        RevocationList::read(crypto(), list, self.issuer.certificate(), now)
    }
}

#[test]
fn what_is_on_the_list_counts_no_more_and_all_else_does() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let (lost, kept) =
        (world.certify(&phone(), RequestKey::P256(&key)), world.certify(&person(), RequestKey::P256(&key)));
    let mut trust = world.trust();
    let list = world.read(&world.list(1, &[lost.serial()], NOW), NOW).unwrap();
    assert!(list.is_revoked(lost.serial()) && list.number_is(1) && list.len() == 1);
    let [lost_path, kept_path] =
        [&lost, &kept].map(|c| trust.verify(crypto(), &[c.der()], NOW).unwrap().path().to_vec());
    assert!(!trust.revokes(&lost_path));
    assert!(trust.admit_list(crypto(), list));
    assert!(trust.revokes(&lost_path) && !trust.revokes(&kept_path), "those who came before, too");
    let verify =
        |trust: &SubjectTrust, der: &[u8]| trust.verify(crypto(), &[der], NOW).map(|s| s.code().to_owned());
    assert_eq!(verify(&trust, lost.der()), Err(SubjectError::Revoked));
    assert_eq!(verify(&trust, kept.der()), Ok("alice-0a1b2c".into()));
    assert!(trust.admit_list(crypto(), world.read(&world.list(2, &[], NOW), NOW).unwrap()));
    assert_eq!(verify(&trust, lost.der()), Ok("alice-0a1b2c".into()), "a newer list without it");
}

#[test]
fn an_older_list_does_not_bring_a_certificate_back() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let lost = world.certify(&phone(), RequestKey::P256(&key));
    let mut trust = world.trust();
    let lists: Vec<_> = [(255, vec![]), (256, vec![lost.serial()])]
        .into_iter()
        .map(|(number, serials)| world.read(&world.list(number, &serials, NOW), NOW).unwrap())
        .collect();
    assert!(trust.admit_list(crypto(), lists[1].clone()));
    assert!(!trust.admit_list(crypto(), lists[0].clone()));
    assert!(!trust.admit_list(crypto(), lists[1].clone()));
    assert_eq!(trust.verify(crypto(), &[lost.der()], NOW).unwrap_err(), SubjectError::Revoked);
}

#[test]
fn a_serial_number_on_a_list_is_one_in_its_one_form() {
    let world = World::new();
    for serial in [&[1][..], &[0x7f; 20], &[0, 0x80], &[0, 0xff, 1]] {
        let list = world.read(&world.list(1, &[serial], NOW), NOW).unwrap();
        assert!(list.is_revoked(serial), "{serial:?}");
    }
    for serial in [&[][..], &[0], &[0, 1], &[0x80], &[1; 21]] {
        let revoked = Revoked { serial: serial.to_vec(), at: NOW, reason: RevocationReason::Unspecified };
        let refused = world.issuer.revocation_list(1, &[revoked], Validity::starting(NOW, WEEK));
        assert!(refused.is_err(), "{serial:?}");
    }
}

#[test]
fn a_list_out_of_date_refuses_everybody() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let mut trust = world.trust();
    let made = NOW.minus_secs(WEEK - 10);
    assert!(trust.admit_list(crypto(), world.read(&world.list(1, &[], made), NOW).unwrap()));
    let verify = |now| trust.verify(crypto(), &[certificate.der()], now).map(|_| ());
    assert_eq!(verify(NOW), Ok(()));
    assert_eq!(verify(NOW.plus_secs(11)), Err(SubjectError::RevocationUnknown));
    let late = world.read(&world.list(2, &[], made), NOW.plus_secs(11));
    assert_eq!(late.map(|_| ()), Err(SubjectError::RevocationUnknown), "nor is it taken in");
    let early = world.read(&world.list(2, &[], NOW.plus_secs(DAY)), NOW);
    assert_eq!(early.map(|_| ()), Err(SubjectError::RevocationUnknown), "one from the future");
}

#[test]
fn policy_may_demand_a_list() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let mut trust = SubjectTrust::new(crypto(), &[world.trusted()], Revocation::Demanded).unwrap();
    let verify = |trust: &SubjectTrust| trust.verify(crypto(), &[certificate.der()], NOW).map(|_| ());
    assert_eq!(verify(&trust), Err(SubjectError::RevocationUnknown));
    trust.admit_list(crypto(), world.read(&world.list(1, &[], NOW), NOW).unwrap());
    assert_eq!(verify(&trust), Ok(()));
}

#[test]
fn only_the_authority_itself_makes_its_list() {
    let (world, other) = (World::new(), World::new());
    let list = world.list(1, &[&[7; 16]], NOW);
    assert!(world.read(&list, NOW).is_ok());
    let untrusted = Err(SubjectError::Untrusted);
    assert_eq!(other.read(&list, NOW).map(|_| ()), untrusted, "an issuer of the same name");
    let read = |list: &[u8]| world.read(list, NOW).map(|_| ());
    let changed = |change: fn(&mut CertificateList)| {
        let mut decoded: CertificateList = CertificateList::from_der(&list).unwrap();
        change(&mut decoded);
        read(&decoded.to_der().unwrap())
    };
    assert_eq!(changed(|l| l.tbs_cert_list.revoked_certificates = None), untrusted, "an entry taken off");
    let malformed = |result| matches!(result, Err(SubjectError::Malformed(_)));
    assert!(malformed(changed(|l| l.tbs_cert_list.next_update = None)), "for ever");
    assert!(malformed(changed(|l| l.tbs_cert_list.crl_extensions = None)), "without a number");
    assert!(malformed(read(&[&list[..], &[0]].concat())));
    assert!(malformed(read(&list[..list.len() - 1])));
    assert!(malformed(read(&[])));
    // a list of changes, or of a part, is marked critical
    assert_eq!(
        changed(|l| {
            let list = l.tbs_cert_list.crl_extensions.as_mut().unwrap();
            let mut delta = list[1].clone();
            delta.extn_id = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.27");
            delta.critical = true;
            list.push(delta);
        }),
        Err(SubjectError::CriticalExtension)
    );
    // a person's key signs no lists
    let key = P256SigningKey::generate();
    let person = world.certify(&person(), RequestKey::P256(&key));
    let refused = RevocationList::read(crypto(), &list, person.der(), NOW);
    assert_eq!(refused.map(|_| ()), untrusted);
}

#[test]
fn cve_outliving_revocation_by_a_malleated_signature() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let lost = world.certify(&phone(), RequestKey::P256(&key));
    // ECDSA signatures are random: one more of the same content is another certificate by its hash
    let issuer_key = Key::P256(P256SigningKey::from_pkcs8(world.issuer.key().pkcs8().duplicate()).unwrap());
    let twin = redraft(lost.der()).sign(&issuer_key);
    assert_ne!(twin, lost.der());
    let mut trust = world.trust();
    assert!(trust.verify(crypto(), &[&twin], NOW).is_ok());
    trust.admit_list(crypto(), world.read(&world.list(1, &[lost.serial()], NOW), NOW).unwrap());
    assert_eq!(trust.verify(crypto(), &[&twin], NOW).unwrap_err(), SubjectError::Revoked);
    // a renewed certificate of a blocked key is refused although its number is on no list
    let mut trust = world.trust();
    let hash = *trust.verify(crypto(), &[lost.der()], NOW).unwrap().key_hash();
    let renewed = world.certify(&phone(), RequestKey::P256(&key));
    trust.block_key(crypto(), hash);
    for certificate in [lost.der(), &twin, renewed.der()] {
        assert_eq!(trust.verify(crypto(), &[certificate], NOW).unwrap_err(), SubjectError::Revoked);
    }
}

#[test]
fn an_authority_between_is_revoked_by_the_one_above_it() {
    let world = World::new();
    let (middle, person) = (Key::p256(), Key::p256());
    let root = Key::P256(P256SigningKey::from_pkcs8(world.issuer.key().pkcs8().duplicate()).unwrap());
    let anchor = redraft(world.issuer.certificate());
    let between = Draft::authority("CN=Middle", "CN=Root", &middle).but(|m| {
        m.issuer = anchor.subject.clone();
        m.serial = vec![9];
    });
    let (between, leaf) = (between.sign(&root), Draft::leaf("CN=Middle", &middle, &person).sign(&middle));
    let mut trust = SubjectTrust::new(crypto(), &[], Revocation::IfListed).unwrap();
    let authority = |revocation| ForeignAuthority {
        alias: if revocation == Revocation::Demanded { "strict".into() } else { "partner".into() },
        certificate: world.issuer.certificate().to_vec(),
        rule: NameRule::EmailAt { domain: "example.org".into() },
        usage: ForeignUsage::ClientAuthentication,
        revocation,
    };
    trust.admit(crypto(), authority(Revocation::IfListed)).unwrap();
    let chain: [&[u8]; 2] = [&leaf, &between];
    assert!(trust.verify(crypto(), &chain, NOW).is_ok());
    trust.admit_list(crypto(), world.read(&world.list(1, &[&[9]], NOW), NOW).unwrap());
    assert_eq!(trust.verify(crypto(), &chain, NOW).unwrap_err(), SubjectError::Revoked);
    // where lists are demanded, the one between must have one too
    let mut trust = SubjectTrust::new(crypto(), &[], Revocation::IfListed).unwrap();
    trust.admit(crypto(), authority(Revocation::Demanded)).unwrap();
    trust.admit_list(crypto(), world.read(&world.list(2, &[], NOW), NOW).unwrap());
    assert_eq!(trust.verify(crypto(), &chain, NOW).unwrap_err(), SubjectError::RevocationUnknown);
}

#[test]
fn openssl_reads_our_list_and_refuses_what_is_on_it() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let (lost, kept) =
        (world.certify(&phone(), RequestKey::P256(&key)), world.certify(&phone(), RequestKey::P256(&key)));
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    let openssl =
        |arguments: &[&str]| std::process::Command::new("openssl").args(arguments).output().unwrap();
    for (name, kind, der) in [
        ("issuer", "x509", world.issuer.certificate()),
        ("lost", "x509", lost.der()),
        ("kept", "x509", kept.der()),
        ("list", "crl", &world.list(7, &[lost.serial()], NOW)),
    ] {
        std::fs::write(path(&format!("{name}.der")), der).unwrap();
        let (from, to) = (path(&format!("{name}.der")), path(name));
        assert!(openssl(&[kind, "-inform", "DER", "-in", &from, "-out", &to]).status.success(), "{name}");
    }
    let printed = openssl(&["crl", "-noout", "-text", "-in", &path("list")]).stdout;
    let printed = String::from_utf8(printed).unwrap();
    for expected in [
        "Version 2 (0x1)",
        "X509v3 CRL Number: \n                7",
        "Key Compromise",
        "Authority Key Identifier",
    ] {
        assert!(printed.contains(expected), "{expected:?} is missing in:\n{printed}");
    }
    let at = NOW.secs().to_string();
    let verify = |name: &str| {
        let (issuer, list, file) = (path("issuer"), path("list"), path(name));
        let out = openssl(&[
            "verify",
            "-x509_strict",
            "-attime",
            &at,
            "-crl_check",
            "-CAfile",
            &issuer,
            "-CRLfile",
            &list,
            &file,
        ]);
        if out.status.success() { String::new() } else { String::from_utf8_lossy(&out.stderr).into_owned() }
    };
    assert_eq!(verify("kept"), "");
    assert!(verify("lost").contains("certificate revoked"));
}
