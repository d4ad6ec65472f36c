//! Chains of foreign authorities, good and bad, in the manner of x509-limbo: each case is one
//! certificate made wrong in one way.

use super::forge::{ANY, CLIENT, Draft, Key, SERVER, dns, email, uri};
use super::{DAY, NOW, crypto};
use der::asn1::{Any, Ia5String, ObjectIdentifier};
use der::oid::AssociatedOid;
use symbolon_crypto::{
    ForeignAuthority, ForeignUsage, NameRule, Revocation, SubjectError, SubjectName, SubjectTrust,
};
use x509_cert::AlgorithmIdentifier;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints,
    SubjectAltName,
};

const ROOT: &str = "CN=Root,O=Example";
const MIDDLE: &str = "CN=Middle,O=Example";

/// A root that is trusted, an authority below it, and a person's key.
struct Pki {
    root: Key,
    middle: Key,
    person: Key,
}

type Leaf = fn(Draft) -> Draft;

impl Pki {
    fn new() -> Self {
        Self { root: Key::p256(), middle: Key::p256(), person: Key::p256() }
    }

    fn anchor(&self) -> Draft {
        Draft::authority(ROOT, ROOT, &self.root)
    }

    fn middle(&self) -> Draft {
        Draft::authority(MIDDLE, ROOT, &self.middle)
    }

    /// Directly under the root.
    fn leaf(&self) -> Draft {
        Draft::leaf(ROOT, &self.root, &self.person)
    }

    /// Under the authority below the root.
    fn lower_leaf(&self) -> Draft {
        Draft::leaf(MIDDLE, &self.middle, &self.person)
    }

    fn check(&self, chain: &[Vec<u8>]) -> Result<String, SubjectError> {
        self.check_under(&self.anchor().sign(&self.root), chain)
    }

    fn check_under(&self, anchor: &[u8], chain: &[Vec<u8>]) -> Result<String, SubjectError> {
        check(anchor, NameRule::EmailAt { domain: "example.org".into() }, chain)
    }

    /// A leaf right under the root, changed.
    fn with(&self, change: Leaf) -> Result<String, SubjectError> {
        self.check(&[change(self.leaf()).sign(&self.root)])
    }

    /// A leaf under a changed authority below the root.
    fn with_middle(&self, change: Leaf) -> Result<String, SubjectError> {
        self.check(&[self.lower_leaf().sign(&self.middle), change(self.middle()).sign(&self.root)])
    }
}

pub(super) fn check(anchor: &[u8], rule: NameRule, chain: &[Vec<u8>]) -> Result<String, SubjectError> {
    let mut trust = SubjectTrust::new(crypto(), &[], Revocation::IfListed)?;
    trust.admit(
        crypto(),
        ForeignAuthority {
            alias: "example".into(),
            certificate: anchor.to_vec(),
            rule,
            usage: ForeignUsage::ClientAuthentication,
            revocation: Revocation::IfListed,
        },
    )?;
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let subject = trust.verify(crypto(), &chain, NOW)?;
    assert!(matches!(subject.name(), SubjectName::Foreign { authority, .. } if authority == "example"));
    Ok(subject.code().to_owned())
}

fn alice() -> Result<String, SubjectError> {
    Ok("example:alice".into())
}

fn malformed(result: Result<String, SubjectError>) -> bool {
    matches!(result, Err(SubjectError::Malformed(_)))
}

fn usage(oids: Vec<ObjectIdentifier>) -> ExtendedKeyUsage {
    ExtendedKeyUsage(oids)
}

#[test]
fn good_chains_are_followed() {
    let pki = Pki::new();
    assert_eq!(pki.with(|leaf| leaf), alice(), "right under the root");
    assert_eq!(pki.with_middle(|middle| middle), alice(), "one authority between");
    assert_eq!(pki.with(|leaf| leaf.without(AuthorityKeyIdentifier::OID)), alice(), "no authority key");
    assert_eq!(pki.with(|leaf| leaf.unknown(false)), alice(), "an unknown extension that does not matter");
    assert_eq!(pki.with(|leaf| leaf.with(&usage(vec![SERVER, CLIENT]))), alice(), "one usage more");
    assert_eq!(pki.with(|leaf| leaf.without(KeyUsage::OID)), alice(), "no key usage: all of them");
    assert_eq!(pki.with(|leaf| leaf.but(|l| l.serial = vec![1])), alice(), "a small serial number");
    assert_eq!(pki.with(|leaf| leaf.but(|l| l.until = NOW)), alice(), "in its last second");
    assert_eq!(pki.with(|leaf| leaf.but(|l| l.from = NOW)), alice(), "in its first second");
}

#[test]
fn four_authorities_may_stand_between_in_any_order_and_no_more() {
    let root = Key::p256();
    let anchor = Draft::authority("CN=L0", "CN=L0", &root).sign(&root);
    let mut keys = vec![root];
    let mut between = Vec::new();
    for depth in 1..=5 {
        let key = Key::p256();
        let (name, above) = (format!("CN=L{depth}"), format!("CN=L{}", depth - 1));
        between.push(Draft::authority(&name, &above, &key).sign(&keys[depth - 1]));
        keys.push(key);
    }
    let rule = || NameRule::EmailAt { domain: "example.org".into() };
    let leaf =
        |depth: usize| Draft::leaf(&format!("CN=L{depth}"), &keys[depth], &Key::p256()).sign(&keys[depth]);
    let four: Vec<_> = [&[leaf(4)][..], &between[..4]].concat();
    assert_eq!(check(&anchor, rule(), &four), alice());
    let reversed: Vec<_> = [leaf(4)].into_iter().chain(between[..4].iter().rev().cloned()).collect();
    assert_eq!(check(&anchor, rule(), &reversed), alice());
    let five: Vec<_> = [&[leaf(5)][..], &between].concat();
    assert!(malformed(check(&anchor, rule(), &five)));
}

#[test]
fn keys_of_foreign_subjects_are_taken_by_kind_and_strength() {
    let pki = Pki::new();
    let with_key = |key: &Key| pki.check(&[Draft::leaf(ROOT, &pki.root, key).sign(&pki.root)]);
    let ec = |curve: &str, bits: &[u8]| {
        let parameters = Some(Any::from(ObjectIdentifier::new_unwrap(curve)));
        let oid = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        with_key(&Key::public(AlgorithmIdentifier { oid, parameters }, bits))
    };
    let point = |length: usize| [&[4][..], &vec![7; length - 1]].concat();
    assert_eq!(with_key(&Key::ed25519()), alice());
    assert_eq!(with_key(&Key::rsa()), alice());
    assert_eq!(with_key(&Key::rsa_numbers(8192, &[1, 0, 1])), alice());
    assert_eq!(ec("1.3.132.0.34", &point(97)), alice(), "P-384");
    let weak = Err(SubjectError::WeakKey);
    assert_eq!(with_key(&Key::rsa_numbers(1024, &[1, 0, 1])), weak);
    assert_eq!(with_key(&Key::rsa_numbers(2040, &[1, 0, 1])), weak);
    assert_eq!(with_key(&Key::rsa_numbers(2048, &[3])), weak, "exponent 3");
    assert_eq!(with_key(&Key::rsa_numbers(2048, &[1, 0, 0])), weak, "even exponent");
    assert_eq!(with_key(&Key::rsa_numbers(16384, &[1, 0, 1])), weak, "work for nothing");
    assert_eq!(ec("1.3.132.0.35", &point(133)), weak, "P-521");
    assert_eq!(ec("1.3.132.0.10", &point(65)), weak, "secp256k1");
    assert_eq!(ec("1.2.840.10045.3.1.7", &[&[2][..], &[7; 32]].concat()), weak, "compressed");
    let ed448 = AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap("1.3.101.113"), parameters: None };
    assert_eq!(with_key(&Key::public(ed448, &[7; 57])), weak);
    let x25519 = AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap("1.3.101.110"), parameters: None };
    assert_eq!(with_key(&Key::public(x25519, &[7; 32])), Err(SubjectError::WrongUsage), "only ours may");
}

#[test]
fn authorities_of_all_accepted_kinds_sign() {
    for root in [Key::p256(), Key::ed25519(), Key::rsa()] {
        let pki = Pki { root, middle: Key::rsa(), person: Key::p256() };
        assert_eq!(pki.with_middle(|middle| middle), alice());
    }
}

#[test]
fn times_count_for_every_certificate_in_the_path() {
    let pki = Pki::new();
    let over: Leaf = |c| c.but(|c| c.until = NOW.minus_secs(1));
    let early: Leaf = |c| c.but(|c| c.from = NOW.plus_secs(1));
    for change in [over, early] {
        assert_eq!(pki.with(change), Err(SubjectError::OutsideValidity));
        assert_eq!(pki.with_middle(change), Err(SubjectError::OutsideValidity));
        let anchor = change(pki.anchor()).sign(&pki.root);
        let refused = pki.check_under(&anchor, &[pki.leaf().sign(&pki.root)]);
        assert_eq!(refused, Err(SubjectError::IssuerOutsideValidity));
    }
    assert!(malformed(pki.with(|c| c.but(|c| std::mem::swap(&mut c.from, &mut c.until)))));
}

#[test]
fn a_certificate_is_good_for_what_it_names_only() {
    let pki = Pki::new();
    let refused = Err(SubjectError::WrongUsage);
    assert_eq!(pki.with(|leaf| leaf.with(&usage(vec![SERVER]))), refused);
    assert_eq!(pki.with(|leaf| leaf.with(&usage(vec![ANY]))), refused, "any is none");
    assert_eq!(pki.with(|leaf| leaf.with(&usage(vec![]))), refused, "an empty list");
    assert_eq!(pki.with(|leaf| leaf.without(ExtendedKeyUsage::OID)), refused, "no list");
    assert_eq!(pki.with(|leaf| leaf.with(&KeyUsage(KeyUsages::KeyEncipherment.into()))), refused);
    assert_eq!(pki.with_middle(|middle| middle.with(&usage(vec![SERVER]))), refused, "nested");
    let ca = BasicConstraints { ca: true, path_len_constraint: None };
    assert_eq!(pki.check(&[pki.leaf().with(&ca).sign(&pki.root)]), refused, "an authority is nobody");
}

#[test]
fn only_an_authority_signs() {
    let pki = Pki::new();
    let refused = Err(SubjectError::NotAnAuthority);
    let no_ca: Leaf = |m| m.with(&BasicConstraints { ca: false, path_len_constraint: None });
    assert_eq!(pki.with_middle(no_ca), refused);
    assert_eq!(pki.with_middle(|m| m.without(BasicConstraints::OID)), refused);
    assert_eq!(pki.with_middle(|m| m.with(&KeyUsage(KeyUsages::DigitalSignature.into()))), refused);
    let odd: Leaf = |m| m.with(&BasicConstraints { ca: false, path_len_constraint: Some(0) });
    assert!(malformed(pki.with_middle(odd)), "a path length without authority");
    // a person who plays authority
    let other = Key::p256();
    let chain = [Draft::leaf("CN=Alice", &pki.person, &other).sign(&pki.person), pki.leaf().sign(&pki.root)];
    assert_eq!(pki.check(&chain), refused);
    for change in [no_ca, |m: Draft| m.with(&KeyUsage(KeyUsages::CRLSign.into()))] {
        let anchor = change(pki.anchor()).sign(&pki.root);
        assert_eq!(pki.check_under(&anchor, &[pki.leaf().sign(&pki.root)]), refused, "nor is it admitted");
    }
}

#[test]
fn a_path_is_no_longer_than_its_authorities_allow() {
    let pki = Pki::new();
    let bound = |most| BasicConstraints { ca: true, path_len_constraint: Some(most) };
    let lowest = Key::p256();
    let chain = |middle: Draft| {
        [
            Draft::leaf("CN=Lowest", &lowest, &pki.person).sign(&lowest),
            Draft::authority("CN=Lowest", MIDDLE, &lowest).sign(&pki.middle),
            middle.sign(&pki.root),
        ]
    };
    assert_eq!(pki.check(&chain(pki.middle().with(&bound(1)))), alice());
    assert_eq!(pki.check(&chain(pki.middle().with(&bound(0)))), Err(SubjectError::NotAnAuthority));
    let under = |most| {
        let anchor = pki.anchor().with(&bound(most)).sign(&pki.root);
        pki.check_under(&anchor, &chain(pki.middle()))
    };
    assert_eq!(under(2), alice());
    assert_eq!(under(1), Err(SubjectError::NotAnAuthority), "the anchor's own bound");
}

#[test]
fn name_constraints_hold_and_what_is_not_understood_refuses() {
    let pki = Pki::new();
    let subtree = |base| vec![GeneralSubtree { base, minimum: 0, maximum: None }];
    let permit = |base| NameConstraints { permitted_subtrees: Some(subtree(base)), excluded_subtrees: None };
    let exclude = |base| NameConstraints { permitted_subtrees: None, excluded_subtrees: Some(subtree(base)) };
    let refused = Err(SubjectError::NameConstraint);
    let check_dns = |constraints: NameConstraints| {
        let leaf = pki.lower_leaf().with(&SubjectAltName(vec![dns("alice.example.org")])).sign(&pki.middle);
        let rule = NameRule::DnsUnder { suffix: "example.org".into() };
        let middle = pki.middle().with(&constraints).sign(&pki.root);
        check(&pki.anchor().sign(&pki.root), rule, &[leaf, middle])
    };
    assert_eq!(check_dns(permit(dns("example.org"))), alice());
    assert_eq!(check_dns(permit(dns("example.com"))), refused);
    assert_eq!(check_dns(exclude(dns("example.org"))), refused);
    assert_eq!(check_dns(permit(dns("le.org"))), refused, "not a part of a label");
    // constraints on addresses and URIs are not interpreted, so they refuse every such name
    let with_email = |constraints: NameConstraints| {
        let middle = pki.middle().with(&constraints).sign(&pki.root);
        pki.check(&[pki.lower_leaf().sign(&pki.middle), middle])
    };
    assert_eq!(with_email(permit(email("example.org"))), refused);
    assert_eq!(with_email(exclude(email("example.com"))), refused);
    let anchor = pki.anchor().with(&permit(email("example.org"))).sign(&pki.root);
    assert_eq!(pki.check_under(&anchor, &[pki.leaf().sign(&pki.root)]), refused, "the anchor's too");
    let directory = GeneralName::DirectoryName(pki.leaf().subject);
    assert_eq!(with_email(permit(directory)), refused);
    assert_eq!(with_email(exclude(uri("example.com"))), alice(), "another form of name");
}

#[test]
fn cve_wrong_ca() {
    let (pki, other) = (Pki::new(), Pki::new());
    let refused = Err(SubjectError::Untrusted);
    assert_eq!(pki.check(&[other.leaf().sign(&other.root)]), refused, "the same name, another key");
    assert_eq!(pki.check(&[pki.leaf().sign(&other.root)]), refused, "the key's name, another's signature");
    let stranger = Draft::leaf("CN=Nobody", &other.root, &pki.person).sign(&other.root);
    assert_eq!(pki.check(&[stranger]), refused, "no such issuer");
    let own = Draft::leaf("CN=Alice", &pki.person, &pki.person).sign(&pki.person);
    assert_eq!(pki.check(&[own]), refused, "signed by itself");
    let chain = [pki.lower_leaf().sign(&pki.middle), other.middle().sign(&other.root)];
    assert_eq!(pki.check(&chain), refused, "another authority of that name between");
    assert_eq!(pki.check(&[pki.lower_leaf().sign(&pki.middle)]), refused, "the one between is missing");
}

#[test]
fn authorities_that_certify_each_other_lead_nowhere() {
    let (pki, a, b) = (Pki::new(), Key::p256(), Key::p256());
    let chain = [
        Draft::leaf("CN=A", &a, &pki.person).sign(&a),
        Draft::authority("CN=A", "CN=B", &a).sign(&b),
        Draft::authority("CN=B", "CN=A", &b).sign(&a),
        Draft::authority("CN=A", "CN=A", &a).sign(&a),
        Draft::authority("CN=B", "CN=B", &b).sign(&b),
    ];
    assert_eq!(pki.check(&chain), Err(SubjectError::Untrusted));
    // beside a way that leads somewhere they do no harm
    let with_way: Vec<_> = [&chain[..3], &[Draft::authority("CN=B", ROOT, &b).sign(&pki.root)]].concat();
    assert_eq!(pki.check(&with_way), alice());
}

#[test]
fn what_is_critical_must_be_understood() {
    let pki = Pki::new();
    assert_eq!(pki.with(|leaf| leaf.unknown(true)), Err(SubjectError::CriticalExtension));
    assert_eq!(pki.with_middle(|middle| middle.unknown(true)), Err(SubjectError::CriticalExtension));
    let anchor = pki.anchor().unknown(true).sign(&pki.root);
    let refused = pki.check_under(&anchor, &[pki.leaf().sign(&pki.root)]);
    assert_eq!(refused, Err(SubjectError::CriticalExtension), "in an anchor as well");
}

#[test]
fn weak_signatures_are_refused() {
    let pki = Pki::new();
    for (oid, name) in [
        ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
        ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
        ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
        ("1.3.6.1.5.5.7.6.36", "unsigned"),
    ] {
        let weak = AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap(oid), parameters: None };
        let leaf = pki.leaf().but(|l| l.inner_algorithm = Some(weak));
        assert_eq!(pki.check(&[leaf.sign(&pki.root)]), Err(SubjectError::WeakSignature), "{name}");
    }
}

#[test]
fn a_serial_number_is_positive_and_at_most_twenty_bytes() {
    let pki = Pki::new();
    let with = |serial: &[u8]| pki.check(&[pki.leaf().but(|l| l.serial = serial.to_vec()).sign(&pki.root)]);
    assert_eq!(with(&[0x7f; 20]), alice());
    assert_eq!(with(&[0, 0x80]), alice(), "its first byte is its sign");
    assert_eq!(with(&[0]), Err(SubjectError::BadSerial));
    assert_eq!(with(&[0x80]), Err(SubjectError::BadSerial), "negative");
    assert_eq!(with(&[0x7f; 21]), Err(SubjectError::BadSerial));
    assert!(malformed(with(&[0, 0, 1])), "not canonical");
    assert!(malformed(with(&[])), "empty");
}

#[test]
fn a_certificate_has_one_encoding_and_one_form() {
    let pki = Pki::new();
    let good = pki.leaf().sign(&pki.root);
    assert!(malformed(pki.check(&[[&good[..], &[0]].concat()])), "something behind it");
    assert!(malformed(pki.check(&[good[..good.len() - 1].to_vec()])), "cut off");
    assert!(malformed(pki.check(&[])), "nothing");
    assert!(malformed(pki.check(&[Vec::new()])), "an empty one");
    assert!(malformed(pki.with(|l| l.but(|l| l.version = 0))), "version 1");
    assert!(malformed(pki.with(|l| l.but(|l| l.version = 1))), "version 2");
    assert!(malformed(pki.with(|l| l.but(|l| l.unique_id = true))), "a unique identifier");
    assert!(
        malformed(pki.with(|l| l.but(|l| l.generalized_time = true))),
        "a year with four digits, in 2026"
    );
    assert!(malformed(pki.with(|l| l.but(|l| l.extensions.push(l.extensions[0].clone())))), "one twice");
    let other =
        AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), parameters: None };
    let two = pki.leaf().but(|l| l.outer_algorithm = Some(other));
    assert!(malformed(pki.check(&[two.sign(&pki.root)])), "two algorithms");
    let many = SubjectAltName((0..600).map(|i| dns(&format!("{i}.example.com"))).collect());
    assert!(malformed(pki.check(&[pki.leaf().with(&many).sign(&pki.root)])), "too long");
    // critical = FALSE is the default, and a default is not written
    let written = good.windows(5).position(|w| w == [6, 3, 0x55, 0x1d, 0x11]).unwrap();
    let mut ber = good.clone();
    ber.splice(written + 5..written + 5, [1, 1, 0]);
    assert!(malformed(pki.check(&[ber])));
}

#[test]
fn cve_wrong_dn_mapping() {
    let pki = Pki::new();
    let with =
        |names: Vec<GeneralName>| pki.check(&[pki.leaf().with(&SubjectAltName(names)).sign(&pki.root)]);
    let (nobody, both) = (Err(SubjectError::NoName), Err(SubjectError::AmbiguousName));
    assert_eq!(with(vec![email("alice@EXAMPLE.org")]), alice(), "a domain has no case");
    assert_eq!(with(vec![email("alice@example.com"), email("alice@example.org")]), alice());
    assert_eq!(with(vec![email("alice@example.org"), email("bob@example.org")]), both);
    assert_eq!(with(vec![email("alice@example.org"), email("alice@example.org")]), both);
    assert_eq!(with(vec![email("bob@evil@example.org"), email("alice@example.org")]), both);
    for bad in [
        "alice@example.com",
        "alice@sub.example.org",
        "alice@notexample.org",
        "alice@evil@example.org",
        "@example.org",
        "\"alice@x\"@example.org",
        "alice bob@example.org",
        "alice/admin@example.org",
        "alice\0@example.org",
        "alice@example.org.",
        "alice",
        "",
    ] {
        assert_eq!(with(vec![email(bad)]), nobody, "{bad:?}");
    }
    assert_eq!(with(vec![dns("alice.example.org")]), nobody, "another form of name");
    assert_eq!(pki.with(|leaf| leaf.without(SubjectAltName::OID)), nobody, "the common name is no name");
    let in_subject = pki.leaf().without(SubjectAltName::OID).but(|l| {
        l.subject = std::str::FromStr::from_str("CN=alice@example.org").unwrap();
    });
    assert_eq!(pki.check(&[in_subject.sign(&pki.root)]), nobody, "wherever it stands");
    let raw = GeneralName::Rfc822Name(Ia5String::new("alice@example.org").unwrap());
    assert_eq!(with(vec![raw, dns("x.example.com")]), alice());
}

#[test]
fn the_last_day_of_a_path_is_the_first_to_end() {
    let pki = Pki::new();
    let anchor = pki.anchor().but(|a| a.until = NOW.plus_secs(DAY / 2)).sign(&pki.root);
    assert_eq!(pki.check_under(&anchor, &[pki.leaf().sign(&pki.root)]), alice());
}
