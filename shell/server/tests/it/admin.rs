use crate::client::alice;
use crate::world::World;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use symbolon_server::{Node, NodeError};

#[tokio::test]
async fn cve_missing_authorisation_the_socket_is_its_owners() {
    let world = World::new().await;
    for file in ["admin.sock", "node.key", "issuer.key", "identity.key"] {
        let mode = std::fs::metadata(world.config.dir.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[tokio::test]
async fn every_wrong_call_says_what_is_wrong() {
    let world = World::new().await;
    let cases = [
        ("GET", "/v1/users/nobody", None, 404),
        ("PUT", "/v1/apps/web", Some(json!({ "target": "nonsense" })), 422),
        ("PUT", "/v1/apps/web", Some(json!({ "target": "tcp:h:1", "protocol": "gopher" })), 422),
        ("POST", "/v1/entitlements", Some(json!({ "grantee": "user:alice", "app": "none" })), 404),
        ("DELETE", "/v1/entitlements/xyz", None, 404),
        ("GET", "/v1/nonsense", None, 404),
        ("POST", "/v1/users", Some(json!({ "name": "two words" })), 422),
        ("GET", "/v1/explain?user=alice&app=web&time=yesterday", None, 404),
    ];
    for (method, path, body, status) in cases {
        let (got, answer) = world.admin(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert!(
            answer["error"]["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{method} {path}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_explanation_names_the_entitlement_and_agrees_with_the_decision() {
    let world = World::new().await;
    world.publish("web", "tcp:127.0.0.1:9").await;
    alice(&world).await;
    let denied = world.ok("GET", "/v1/explain?user=alice&app=web", None).await;
    world.grant("user:alice", "web").await;
    let permitted = world.ok("GET", "/v1/explain?user=alice&app=web", None).await;
    assert_ne!(denied, permitted);
}

#[tokio::test]
async fn everything_that_happened_is_in_the_audit_and_the_chain_holds() {
    let world = World::new().await;
    world.publish("web", "tcp:127.0.0.1:9").await;
    world.grant("user:alice", "web").await;
    alice(&world).await;
    let rows = world.ok("GET", "/v1/audit", None).await;
    let actions: Vec<&str> = rows.as_array().unwrap().iter().map(|r| r["action"].as_str().unwrap()).collect();
    for action in ["node.start", "registration.begin", "registration.confirm", "sign-in"] {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    assert!(!rows.to_string().contains(world.first_invitation.rsplit('=').nth(1).unwrap()));
    let verdict = world.ok("GET", "/v1/audit/verify", None).await;
    assert_eq!((verdict["ok"].as_bool(), verdict["rows"].as_u64()), (Some(true), Some(actions.len() as u64)));
}

#[tokio::test]
async fn attaches_and_expired_sessions_are_audited_a_moment_later() {
    let world = World::with(|c| c.session_lifetime_secs = 2).await;
    let (_, mut session) = alice(&world).await;
    session.attach(&world).await.unwrap();
    session.until_over().await;
    let id = session.session.id().to_string();
    let mut wanted = vec!["session.attach", "session.expire"];
    while !wanted.is_empty() {
        let rows = world.ok("GET", "/v1/audit", None).await;
        let rows = rows.as_array().unwrap();
        wanted.retain(|action| !rows.iter().any(|r| r["action"] == *action && r["object"] == id));
    }
    assert_eq!(world.ok("GET", "/v1/audit/verify", None).await["ok"], true);
}

#[tokio::test]
async fn a_taken_port_and_a_taken_directory_are_told() {
    let world = World::new().await;
    let mut other = world.config.clone();
    other.dir = world.config.dir.join("other");
    assert!(matches!(Node::start(other).await, Err(NodeError::Listen { .. })));
    let mut same = world.config.clone();
    same.listen = "127.0.0.1:0".parse().unwrap();
    let error = Node::start(same).await.unwrap_err();
    assert!(matches!(error, NodeError::Store(symbolon_store::StoreError::InUse { .. })), "{error}");
}

#[tokio::test]
async fn a_directory_of_another_gateway_is_not_taken_over() {
    let mut world = World::new().await;
    world.stop().await;
    let mut config = world.config.clone();
    config.name = Some("other.example".into());
    assert!(matches!(Node::start(config).await, Err(NodeError::Config(_))));
}
