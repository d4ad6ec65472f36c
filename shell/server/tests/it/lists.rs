//! Revocation lists of another authority, under a running node.

use crate::client::{alice, enrolled, now, sign_in_with};
use crate::world::World;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use symbolon_context::{CertificateKey, CertificateToken};
use symbolon_issuer::{Issuer, RevocationReason, Revoked, Validity};
use symbolon_provider::{P256SigningKey, crypto};
use symbolon_server::{AuthoritySettings, ForeignName};
use symbolon_session::{ControlMessage, EndReason};
use symbolon_wire::RefusalCode;
use tempfile::TempDir;

/// An authority that is not the node's, with its files.
struct Authority {
    issuer: Issuer,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self {
            issuer: Issuer::create("Partner authority", now().minus_secs(3600), 1).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(authority.path("authority.crt"), authority.issuer.certificate()).unwrap();
        std::fs::write(authority.path("authority.key"), authority.issuer.key().pkcs8().expose()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self) -> AuthoritySettings {
        AuthoritySettings {
            alias: "partner".into(),
            certificate: self.path("authority.crt"),
            name: ForeignName::Email("example.org".into()),
            smart_card: false,
            lists: vec![self.path("list.crl")],
        }
    }

    /// A certificate for `email`, with this number.
    fn issue(&self, email: &str, number: u8, key: &P256SigningKey) -> Vec<Vec<u8>> {
        std::fs::write(self.path("key.der"), key.pkcs8().expose()).unwrap();
        let extensions = format!(
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n\
             authorityKeyIdentifier=keyid\nsubjectAltName=email:{email}\n"
        );
        std::fs::write(self.path("extensions"), extensions).unwrap();
        let number = number.to_string();
        openssl(self.dir.path(), &["req", "-new", "-key", "key.der", "-subj", "/CN=x", "-out", "csr"]);
        openssl(
            self.dir.path(),
            &[
                "x509",
                "-req",
                "-in",
                "csr",
                "-CA",
                "authority.crt",
                "-CAkey",
                "authority.key",
                "-days",
                "5",
                "-set_serial",
                &number,
                "-extfile",
                "extensions",
                "-outform",
                "DER",
                "-out",
                "leaf.crt",
            ],
        );
        vec![std::fs::read(self.path("leaf.crt")).unwrap()]
    }

    fn list(&self, number: u64, serials: &[u8]) -> Vec<u8> {
        let revoked =
            |s: &u8| Revoked { serial: vec![*s], at: now(), reason: RevocationReason::KeyCompromise };
        let revoked: Vec<_> = serials.iter().map(revoked).collect();
        self.issuer.revocation_list(number, &revoked, Validity::starting(now(), 86_400)).unwrap()
    }

    /// Puts a file in the place of the list, whole.
    fn put(&self, content: &[u8]) {
        std::fs::write(self.path("list.new"), content).unwrap();
        std::fs::rename(self.path("list.new"), self.path("list.crl")).unwrap();
    }
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let out = Command::new("openssl").args(arguments).current_dir(dir).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Waits until the office shows of the list what is wanted.
async fn until_shown(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut list = Value::Null;
    let shown = async {
        while !wanted(&list) {
            list = world.ok("GET", "/v1/ca", None).await["lists"][0].clone();
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(20), shown).await;
    assert!(outcome.is_ok(), "{list}");
    list
}

#[tokio::test]
async fn a_list_that_was_replaced_ends_what_its_certificates_opened_and_a_damaged_or_older_one_changes_nothing()
 {
    let authority = Authority::new();
    authority.put(&authority.list(1, &[]));
    let world = World::with(|c| c.credentials.authority.push(authority.settings())).await;
    let alice = enrolled(&world).await;
    let beside = world.beside().await;
    let [lost, kept] = [(); 2].map(|()| P256SigningKey::generate());
    let chains = [(7, &lost), (8, &kept)].map(|(n, key)| authority.issue("alice@example.org", n, key));
    let token = |n: usize| {
        let key = [&lost, &kept][n];
        CertificateToken::new(crypto(), &chains[n], CertificateKey::Signs(key)).unwrap()
    };
    let mut stolen = sign_in_with(&world, &alice.link, token(0)).await.unwrap();
    let mut there = sign_in_with(&beside, &alice.link, token(0)).await.unwrap();
    let mut other = sign_in_with(&world, &alice.link, token(1)).await.unwrap();
    stolen.say(&ControlMessage::TicketRequest).await;
    let ControlMessage::Ticket(ticket) = stolen.until(|m| matches!(m, ControlMessage::Ticket(_))).await
    else {
        unreachable!("until waits for a ticket")
    };
    let ticket = stolen.session.keep(crypto(), ticket).unwrap();
    // what the ticket opens rests on the same certificate, and takes the place of its session
    let mut stolen = sign_in_with(&world, &alice.link, ticket.into_token(crypto())).await.unwrap();

    let mut damaged = authority.list(3, &[7]);
    *damaged.last_mut().unwrap() ^= 1;
    for (content, problem) in [
        (authority.list(2, &[9]), None),
        (damaged, Some("not signed by this authority")),
        (b"nothing".to_vec(), Some("malformed")),
        (authority.list(1, &[7]), Some("was taken before")),
    ] {
        authority.put(&content);
        let shown = until_shown(&world, |l| match problem {
            None => l["number"] == "02",
            Some(p) => l["problem"].as_str().is_some_and(|t| t.contains(p)),
        })
        .await;
        assert_eq!(shown["number"], "02", "{shown}");
        assert!(shown["age_secs"].as_u64().unwrap() < 3600, "{shown}");
        assert!(shown["next_update"].as_str() > shown["this_update"].as_str(), "{shown}");
        stolen.say(&ControlMessage::Ping(1)).await;
        stolen.until(|m| *m == ControlMessage::Pong(1)).await;
    }

    authority.put(&authority.list(3, &[9, 7]));
    assert_eq!(stolen.until_over().await, EndReason::TokenRevoked);
    assert_eq!(there.until_over().await, EndReason::TokenRevoked);
    let shown = until_shown(&world, |l| l["number"] == "03").await;
    assert_eq!(shown["problem"], Value::Null, "{shown}");
    let refused = sign_in_with(&world, &alice.link, token(0)).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::Denied);
    other.say(&ControlMessage::Ping(2)).await;
    other.until(|m| *m == ControlMessage::Pong(2)).await;
    let audit = world.ok("GET", "/v1/audit?limit=1000", None).await.to_string();
    assert!(audit.contains("authority-list.take"));
}

#[tokio::test]
async fn a_list_that_came_while_the_node_was_down_ends_the_sessions_that_it_finds() {
    let authority = Authority::new();
    authority.put(&authority.list(1, &[]));
    let mut world = World::with(|c| c.credentials.authority.push(authority.settings())).await;
    let alice = enrolled(&world).await;
    let key = P256SigningKey::generate();
    let chain = authority.issue("alice@example.org", 7, &key);
    let token = CertificateToken::new(crypto(), &chain, CertificateKey::Signs(&key)).unwrap();
    let mut session = sign_in_with(&world, &alice.link, token).await.unwrap();
    world.stop().await;
    authority.put(&authority.list(2, &[7]));
    world.node = Some(symbolon_server::Node::start(world.config.clone()).await.unwrap());
    let over = async { while world.ok("GET", "/v1/sessions", None).await != json!([]) {} };
    tokio::time::timeout(Duration::from_secs(20), over).await.unwrap();
    assert!(session.attach(&world).await.is_err());
}

/// A list's file that does not answer, as on a mount whose server is away, until it is dropped.
struct Hung(PathBuf);

impl Hung {
    fn put(authority: &Authority) -> Self {
        let pipe = authority.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::hard_link(&pipe, authority.path("list.new")).unwrap();
        std::fs::rename(authority.path("list.new"), authority.path("list.crl")).unwrap();
        Self(pipe)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0.with_file_name("list.crl"));
        // Whoever waits for a writer has one, and then the end of what it wrote.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&self.0));
    }
}

#[tokio::test]
async fn a_node_whose_list_does_not_answer_goes_on_with_everything_else() {
    let authority = Authority::new();
    authority.put(&authority.list(1, &[]));
    let world = World::with(|c| c.credentials.authority.push(authority.settings())).await;
    let (_, mut session) = alice(&world).await;
    let beside = world.beside().await;
    let hung = Hung::put(&authority);
    let shown = until_shown(&world, |l| l["problem"] == "its file does not answer").await;
    assert_eq!(shown["number"], "01", "{shown}");
    // what was changed at the other node reaches this one
    beside.publish("web", "tcp:127.0.0.1:1").await;
    beside.grant("user:alice", "web").await;
    let told = session.until_destinations(&["web"]);
    tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
    drop(hung);
    authority.put(&authority.list(2, &[9]));
    let shown = until_shown(&world, |l| l["number"] == "02").await;
    assert_eq!(shown["problem"], Value::Null, "{shown}");
}
