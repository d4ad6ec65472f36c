//! OpenSSL as an outsider, by its command: it must read what we issue and agree on what it means.

use super::{DAY, NOW, World, name};
use crate::{Issuer, Validity};
use std::path::PathBuf;
use std::process::{Command, Output};
use symbolon_crypto::Suite;
use symbolon_provider::{SubjectKeyKind, SubjectPrivateKey};

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    /// Writes certificates as PEM, since `openssl verify` of old versions reads nothing else.
    fn with(certificates: &[(&str, &[u8])]) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        for (name, der) in certificates {
            let der_path = files.path(&format!("{name}.der"));
            std::fs::write(&der_path, der).unwrap();
            let pem_path = files.path(name);
            let out = openssl(&["x509", "-inform", "DER", "-in", text(&der_path), "-out", text(&pem_path)]);
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether the path from `leaf` over `identity` to `issuer` holds, at noon of our day.
    fn verify(&self, leaf: &str, identity: &str, extra: &[&str]) -> Result<(), String> {
        let at = NOW.secs().to_string();
        let (issuer, identity, leaf) = (self.path("issuer"), self.path(identity), self.path(leaf));
        let mut arguments = vec!["verify", "-x509_strict", "-attime", &at, "-CAfile", text(&issuer)];
        arguments.extend_from_slice(&["-untrusted", text(&identity)]);
        arguments.extend_from_slice(extra);
        arguments.push(text(&leaf));
        let out = openssl(&arguments);
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    }
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(arguments)
        .output()
        .expect("the openssl command must be installed for this test")
}

#[test]
fn openssl_reads_the_identity_as_it_was_meant() {
    let world = World::new();
    let files = Files::with(&[("identity", world.identity.certificate())]);
    let out = openssl(&["x509", "-noout", "-text", "-in", text(&files.path("identity"))]);
    let printed = String::from_utf8(out.stdout).unwrap();
    for expected in [
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "Issuer: OU = Symbolon issuer, CN = Example Works",
        "Not Before: Nov 21 11:50:00 2026 GMT",
        "Not After : Feb 19 12:00:00 2027 GMT",
        "Subject: OU = Symbolon gateway, CN = gw.example.org",
        "ASN1 OID: prime256v1",
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0",
        "X509v3 Key Usage: critical\n                Digital Signature, Certificate Sign",
        "X509v3 Extended Key Usage: \n                1.3.6.1.4.1.32473.1.1",
        "X509v3 Name Constraints: critical\n                Permitted:\n                  DNS:gw.example.org",
        "X509v3 Subject Alternative Name: \n                DNS:gw.example.org",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
    ] {
        assert!(printed.contains(expected), "{expected:?} is missing in:\n{printed}");
    }
}

#[test]
fn openssl_follows_the_path_from_a_context_key_to_the_issuer() {
    let world = World::new();
    let day = Validity::starting(NOW, DAY);
    // X-Wing is left out: OpenSSL verifies no certificate with a key of an algorithm unknown to it.
    let x25519 = world.identity.context_key(Suite::X25519, day).unwrap().certificate;
    let files = Files::with(&[
        ("issuer", world.issuer.certificate()),
        ("identity", world.identity.certificate()),
        ("x25519", &x25519),
    ]);
    assert_eq!(files.verify("identity", "identity", &[]), Ok(()));
    let verify_for = |host| files.verify("x25519", "identity", &["-verify_hostname", host]);
    assert_eq!(verify_for("gw.example.org"), Ok(()));
    assert!(verify_for("other.example.org").unwrap_err().contains("hostname mismatch"));
}

#[test]
fn openssl_too_binds_an_identity_to_its_name_and_to_one_level() {
    let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
    let other = issuer.gateway_identity(&name("other.example.org"), World::months(1)).unwrap();
    let rogue_key = symbolon_provider::P256SigningKey::generate();
    // other.example.org pretends to be an issuer of identities
    let as_issuer = Issuer::load(other.certificate().to_vec(), {
        symbolon_provider::P256SigningKey::from_pkcs8(other.key().pkcs8().duplicate()).unwrap()
    })
    .unwrap();
    let rogue = as_issuer
        .certify_identity(&name("gw.example.org"), rogue_key.public_point(), World::months(1))
        .unwrap();
    let files = Files::with(&[
        ("issuer", issuer.certificate()),
        ("identity", other.certificate()),
        ("rogue", &rogue),
    ]);
    let refused = files.verify("rogue", "identity", &[]).unwrap_err();
    assert!(refused.contains("permitted subtree violation"), "{refused}");
}

#[test]
fn openssl_reads_certificates_of_devices_and_their_purpose() {
    let world = World::new();
    let [p256, ed25519, x25519] = [SubjectKeyKind::P256, SubjectKeyKind::Ed25519, SubjectKeyKind::X25519]
        .map(|kind| world.certify(&super::ours::phone(), (&SubjectPrivateKey::generate(kind)).into()));
    let files = Files::with(&[
        ("issuer", world.issuer.certificate()),
        ("p256", p256.der()),
        ("ed25519", ed25519.der()),
        ("x25519", x25519.der()),
    ]);
    for certificate in ["p256", "ed25519", "x25519"] {
        assert_eq!(files.verify(certificate, "issuer", &[]), Ok(()), "{certificate}");
        // made for our contexts, and for nothing that TLS or mail would take it for
        for purpose in ["sslclient", "sslserver", "smimesign"] {
            let refused = files.verify(certificate, "issuer", &["-purpose", purpose]).unwrap_err();
            assert!(refused.contains("certificate purpose"), "{refused}");
        }
    }
    let out = openssl(&["x509", "-noout", "-text", "-in", text(&files.path("p256"))]);
    let printed = String::from_utf8(out.stdout).unwrap();
    for expected in [
        "Subject: OU = Symbolon device, CN = Alice",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                1.3.6.1.4.1.32473.1.3\n",
        "URI:symbolon:device:alice-0a1b2c:phone\n",
    ] {
        assert!(printed.contains(expected), "{expected:?} is missing in:\n{printed}");
    }
}
