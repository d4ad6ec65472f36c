//! A gateway whose own certificate counts no more, and what a node publishes about itself.

use crate::client::{Session, alice, now, offer, sign_in};
use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::path::{Path, PathBuf};
use symbolon_crypto::{GatewayIdentity, GatewayName, RevocationList, SecretBytes, TrustedIssuer};
use symbolon_issuer::{Issuer, Validity};
use symbolon_provider::{P256SigningKey, crypto};
use symbolon_session::ControlMessage;
use symbolon_token::Hello;
use symbolon_wire::Encode as _;

const REVOKE: &str = "/v1/ca/gateways/revoke";

fn issuer(world: &World) -> TrustedIssuer {
    let certificate = std::fs::read(world.config.dir.join("issuer.crt")).unwrap();
    TrustedIssuer::from_certificate(crypto(), &certificate).unwrap()
}

/// The certificate of another gateway, by the issuer whose key is in the node's directory.
fn another(world: &World, name: &str) -> Vec<u8> {
    let file = |name: &str| std::fs::read(world.config.dir.join(name)).unwrap();
    let key = P256SigningKey::from_pkcs8(SecretBytes::new(file("issuer.key"))).unwrap();
    let issuer = Issuer::load(file("issuer.crt"), key).unwrap();
    let name = GatewayName::parse(name).unwrap();
    issuer.gateway_identity(&name, Validity::starting(now(), 3600)).unwrap().certificate().to_vec()
}

/// The list that a session was told of, or is told of next.
async fn told(session: &mut Session, world: &World) -> RevocationList {
    if session.revocation_list.is_none() {
        session.until(|m| matches!(m, ControlMessage::RevocationList(_))).await;
    }
    let list = session.revocation_list.take().unwrap();
    RevocationList::read(crypto(), &list, issuer(world).certificate(), now()).unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_client_of_every_node_is_told_of_a_gateway_that_counts_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let keysets: PathBuf = folder.path().join("keysets");
    let published = keysets.clone();
    let world = World::with(|c| c.publish_key_sets = Some(published)).await;
    let (token, mut session) = alice(&world).await;
    let shown = offer(&mut world.connect().await, &Hello::default()).await.key_set;
    assert_eq!(names_in(&keysets), ["gw.example.keyset"]);
    assert_eq!(std::fs::read(keysets.join("gw.example.keyset")).unwrap(), shown.to_bytes());
    let beside = world.beside().await;
    let mut there = sign_in(&beside, &token).await.unwrap();

    let certificate = another(&world, "two.example");
    let identity = GatewayIdentity::read(crypto(), &certificate, &issuer(&world)).unwrap();
    let body = json!({ "certificate": STANDARD.encode(&certificate), "reason": "key-compromise" });
    let revoked = world.ok("POST", REVOKE, Some(body.clone())).await;
    assert_eq!(
        (&revoked["gateway"], &revoked["own"], &revoked["list"]),
        (&json!("two.example"), &json!(false), &json!(1))
    );
    for session in [&mut session, &mut there] {
        assert!(told(session, &world).await.is_revoked(identity.serial()), "who is there is told");
    }
    let mut later = sign_in(&world, &token).await.unwrap();
    assert!(told(&mut later, &world).await.is_revoked(identity.serial()), "and who comes later");
    let list = format!("{}.crl", hex::encode(issuer(&world).fingerprint().0));
    assert!(names_in(&keysets).contains(&list), "{:?}", names_in(&keysets));

    let again = world.ok("POST", REVOKE, Some(body)).await;
    assert_eq!((&again["before"], &again["list"]), (&json!(true), &json!(2)));
    for wrong in [
        json!({}),
        json!({ "serial": "00" }),
        json!({ "serial": "ab", "certificate": "" }),
        json!({ "serial": "ab", "reason": "whatever" }),
        json!({ "certificate": STANDARD.encode(issuer(&world).certificate()) }),
    ] {
        let (status, answer) = world.admin("POST", REVOKE, Some(wrong.clone())).await;
        assert!((400..500).contains(&status), "{wrong}: {status} {answer}");
    }
}

#[tokio::test]
async fn a_revocation_that_came_on_no_list_comes_on_one_when_it_is_repeated() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let certificate = another(&world, "two.example");
    let identity = GatewayIdentity::read(crypto(), &certificate, &issuer(&world)).unwrap();
    let body = json!({ "certificate": STANDARD.encode(&certificate) });
    let (key, away) = (world.config.dir.join("issuer.key"), world.config.dir.join("away.key"));
    std::fs::rename(&key, &away).unwrap();
    let first = world.ok("POST", REVOKE, Some(body.clone())).await;
    assert_eq!((&first["before"], &first["list"]), (&json!(false), &json!(null)));
    std::fs::rename(&away, &key).unwrap();
    let second = world.ok("POST", REVOKE, Some(body)).await;
    assert_eq!((&second["before"], &second["list"]), (&json!(true), &json!(1)));
    assert!(told(&mut session, &world).await.is_revoked(identity.serial()));
}

#[tokio::test]
async fn a_gateway_of_the_old_issuer_comes_on_the_lists_of_the_one_that_followed() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let (early, late) = (another(&world, "two.example"), another(&world, "three.example"));
    let old = issuer(&world);
    let [early_one, late_one] =
        [&early, &late].map(|c| GatewayIdentity::read(crypto(), c, &old).unwrap().serial().to_vec());
    world.ok("POST", REVOKE, Some(json!({ "certificate": STANDARD.encode(&early) }))).await;
    assert!(told(&mut session, &world).await.is_revoked(&early_one));
    world.ok("POST", "/v1/ca/rotate", Some(json!({}))).await;
    world.ok("POST", "/v1/ca/rotate", Some(json!({ "finish": true }))).await;
    // by the issuer that followed
    assert!(told(&mut session, &world).await.is_revoked(&early_one));
    world.ok("POST", REVOKE, Some(json!({ "certificate": STANDARD.encode(&late) }))).await;
    let list = told(&mut session, &world).await;
    assert!(list.is_revoked(&early_one) && list.is_revoked(&late_one));
}

#[tokio::test]
async fn a_gateway_that_revokes_its_own_certificate_has_another_one_at_once() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let before = offer(&mut world.connect().await, &Hello::default()).await.key_set;
    let body = json!({ "certificate": STANDARD.encode(&before.identity) });
    let revoked = world.ok("POST", REVOKE, Some(body)).await;
    assert_eq!((&revoked["own"], &revoked["replaced"]), (&json!(true), &json!(true)));
    let old = GatewayIdentity::read(crypto(), &before.identity, &issuer(&world)).unwrap();
    assert!(told(&mut session, &world).await.is_revoked(old.serial()));
    let after = offer(&mut world.connect().await, &Hello::default()).await.key_set;
    let new = GatewayIdentity::read(crypto(), &after.identity, &issuer(&world)).unwrap();
    assert!(old.is_followed_by(&new) && old.serial() != new.serial());
    assert_eq!(std::fs::read(world.config.dir.join("identity.crt")).unwrap(), after.identity);
    assert!(before.context_keys.iter().all(|k| !after.context_keys.contains(k)));
    let mut later = sign_in(&world, &token).await.unwrap();
    assert!(told(&mut later, &world).await.is_revoked(old.serial()));
}

#[tokio::test]
async fn another_identity_that_was_cut_off_anywhere_is_put_in_its_place_at_the_next_start() {
    let mut world = World::new().await;
    let (token, session) = alice(&world).await;
    drop(session);
    let dir = world.config.dir.clone();
    let file = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let old = ["identity.crt", "identity.key"].map(|name| (name, file(name)));
    let body = json!({ "certificate": STANDARD.encode(&old[0].1) });
    world.ok("POST", REVOKE, Some(body)).await;
    let new = ["identity.crt", "identity.key"].map(file);
    assert_ne!(new, old.clone().map(|(_, content)| content));
    // as it was when it was decided, and after each of the two steps of the rest
    for steps in 0..=2 {
        world.stop().await;
        std::fs::write(dir.join("identity-other.crt"), &new[0]).unwrap();
        std::fs::write(dir.join("identity-other.key"), &new[1]).unwrap();
        for (name, content) in &old[steps..] {
            std::fs::write(dir.join(name), content).unwrap();
        }
        world.node = Some(symbolon_server::Node::start(world.config.clone()).await.unwrap());
        assert_eq!(["identity.crt", "identity.key"].map(file), new, "{steps}");
        sign_in(&world, &token).await.unwrap();
        assert!(names_in(&dir).iter().all(|name| !name.starts_with("identity-other")));
    }
    // before it was decided nothing has changed, and the key that was to come goes
    world.stop().await;
    std::fs::write(dir.join("identity-other.key"), &old[1].1).unwrap();
    world.node = Some(symbolon_server::Node::start(world.config.clone()).await.unwrap());
    assert_eq!(["identity.crt", "identity.key"].map(file), new);
    assert!(!dir.join("identity-other.key").exists());
}
