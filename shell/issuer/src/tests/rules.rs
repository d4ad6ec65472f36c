//! Rules by which a foreign certificate names a user.

use super::chains::check;
use super::forge::{Draft, Key, dns, email, uri};
use std::str::FromStr;
use symbolon_crypto::{NameRule, SubjectError};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

fn named(rule: NameRule, names: Vec<GeneralName>) -> Result<String, SubjectError> {
    let root = Key::p256();
    let anchor = Draft::authority("CN=Root", "CN=Root", &root).sign(&root);
    let leaf = Draft::leaf("CN=Root", &root, &Key::p256()).with(&SubjectAltName(names)).sign(&root);
    check(&anchor, rule, &[leaf])
}

#[test]
fn a_uri_names_what_follows_the_prefix() {
    let rule = || NameRule::UriUnder { prefix: "https://id.example.org/people/".into() };
    let name = |text: &str| named(rule(), vec![uri(text)]);
    assert_eq!(name("https://id.example.org/people/alice"), Ok("example:alice".into()));
    for bad in [
        "https://id.example.org/people/",
        "https://id.example.org/people/alice/",
        "https://id.example.org/people/../admin",
        "https://id.example.org/people/%61lice",
        "https://id.example.org/people/alice?x",
        "https://id.example.org/people/alice#x",
        "https://id.example.org/peoplealice",
        "HTTPS://id.example.org/people/alice",
        "https://id.example.org.evil.com/people/alice",
    ] {
        assert_eq!(name(bad), Err(SubjectError::NoName), "{bad}");
    }
}

#[test]
fn a_dns_name_names_one_label() {
    let name =
        |text: &str| named(NameRule::DnsUnder { suffix: "devices.example.org".into() }, vec![dns(text)]);
    assert_eq!(name("pump-7.devices.example.org"), Ok("example:pump-7".into()));
    assert_eq!(name("pump-7.Devices.Example.ORG"), Ok("example:pump-7".into()));
    for bad in
        ["a.b.devices.example.org", "devices.example.org", "*.devices.example.org", ".devices.example.org"]
    {
        assert_eq!(name(bad), Err(SubjectError::NoName), "{bad}");
    }
}

#[test]
fn a_common_name_counts_only_where_the_rule_says_so() {
    let root = Key::p256();
    let anchor = Draft::authority("CN=Root", "CN=Root", &root).sign(&root);
    let name = |subject: &str| {
        let subject = x509_cert::name::Name::from_str(subject).unwrap();
        let leaf = Draft::leaf("CN=Root", &root, &Key::p256()).but(|l| l.subject = subject);
        check(&anchor, NameRule::CommonName, &[leaf.sign(&root)])
    };
    assert_eq!(name("CN=alice"), Ok("example:alice".into()));
    assert_eq!(name("CN=alice,CN=bob"), Err(SubjectError::AmbiguousName));
    assert_eq!(name("O=alice"), Err(SubjectError::NoName));
    assert_eq!(name("CN=al\\00ice"), Err(SubjectError::NoName), "a control character");
}

#[test]
fn one_rule_does_not_take_anothers_names() {
    let names = || vec![email("alice@example.org"), dns("bob.example.org"), uri("x:carol")];
    let by = |rule| named(rule, names());
    assert_eq!(by(NameRule::EmailAt { domain: "example.org".into() }), Ok("example:alice".into()));
    assert_eq!(by(NameRule::DnsUnder { suffix: "example.org".into() }), Ok("example:bob".into()));
    assert_eq!(by(NameRule::UriUnder { prefix: "x:".into() }), Ok("example:carol".into()));
    assert_eq!(by(NameRule::CommonName), Ok("example:Alice".into()));
}
