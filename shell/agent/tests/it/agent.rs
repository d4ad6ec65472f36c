//! The daemon: sign-in, configuration, loss, renewal, end.

use crate::fake_session::Order;
use crate::world::{Home, PIN, Town, app, mode, pin, shouting, until};
use symbolon_agent::{
    Agent, AgentOptions, Client, Credential, ErrorKind, Finding, Link, Patience, Status, doctor, token,
};
use symbolon_context::PasswordVerifier;
use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ControlMessage, EndReason, Line};
use symbolon_wire::{FrameKind, RefusalCode};

/// Waits until the agent's status is as `wanted`.
async fn status_with(home: &Home, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    until(what, async || Some(home.client().await.status().await.unwrap()).filter(&wanted)).await
}

#[tokio::test]
async fn an_agent_signs_in_and_tells_what_it_knows() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.publish("db.office", shouting().await);
    let agent = Agent::start(AgentOptions { place: Some("office".into()), ..home.options() }).await.unwrap();
    let mut client = home.client().await;

    let status = client.status().await.unwrap();
    assert_eq!(
        (status.link, status.gateway.as_str(), status.user.as_str()),
        (Link::Connected, "gw.example", "alice")
    );
    let session = status.session.unwrap();
    assert_eq!((session.epoch, session.suite.as_str(), session.configuration), (1, "X-Wing", Some(1)));
    let list = client.ls().await.unwrap();
    assert_eq!(list.destinations[0].app, "db.office");
    assert!(list.destinations[0].until.is_some());
    let who = client.whoami().await.unwrap();
    assert_eq!(
        (who.user_code.as_deref(), who.access_path.as_deref()),
        (Some("alice-0001"), Some("/people/alice"))
    );
    assert_eq!((who.signed_in_by.as_str(), who.reported.place.as_str()), ("challenge", "office"));

    assert_eq!(gateway.state().reports[0].place.as_str(), "office");
    assert!(!gateway.state().reports[0].machine.as_str().is_empty());
    until("the acknowledgement", async || Some(()).filter(|()| gateway.state().applied == [1])).await;
    assert_eq!(mode(&home.paths.socket), 0o600);
    agent.logout().await.unwrap();
    until("the goodbye", async || Some(()).filter(|()| gateway.state().goodbyes == 1)).await;
    assert!(!home.paths.socket.exists());
}

#[tokio::test]
async fn what_the_last_session_left_makes_the_next_sign_in_one_round_trip() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    home.agent().await.logout().await.unwrap();
    home.agent().await.logout().await.unwrap();
    let firsts = gateway.state().firsts.clone();
    assert_eq!(firsts[2..], [FrameKind::ContextFirst, FrameKind::ContextFirst], "no hello: {firsts:?}");
}

#[tokio::test]
async fn what_became_stale_is_asked_for_once() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    for code in [RefusalCode::UnknownKey, RefusalCode::Denied] {
        gateway.state().refuse = Some((FrameKind::ContextFirst, code));
        home.agent().await.logout().await.unwrap();
        assert_eq!(gateway.state().firsts.last(), Some(&FrameKind::Hello), "{code:?}");
    }
}

#[tokio::test]
async fn the_configuration_follows_what_the_gateway_says() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let _agent = home.agent().await;
    assert!(home.client().await.ls().await.unwrap().destinations.is_empty());
    gateway.publish("db", shouting().await);
    status_with(&home, "the grant", |s| s.session.as_ref().is_some_and(|s| s.destinations == 1)).await;
    gateway.withdraw("db");
    status_with(&home, "the withdrawal", |s| s.session.as_ref().is_some_and(|s| s.destinations == 0)).await;
    let error = home.client().await.stream(&app("db")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_changed_place_is_reported_at_once() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let _agent = home.agent().await;
    home.client().await.place("home").await.unwrap();
    let told = async || gateway.state().reports.last().filter(|r| r.place.as_str() == "home").map(drop);
    until("the report", told).await;
    assert_eq!(home.client().await.place("two\nlines").await.unwrap_err().kind, ErrorKind::Usage);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_under_a_grown_epoch() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let _agent = home.agent().await;
    let before = home.client().await.status().await.unwrap().session.unwrap();
    gateway.state().sessions.values().for_each(|s| s.order(Order::Break));
    let after = status_with(&home, "the epoch", |s| {
        s.link == Link::Connected && s.session.as_ref().is_some_and(|s| s.epoch == 2)
    })
    .await;
    assert_eq!(after.session.unwrap().id, before.id);
    assert!(after.problems[0].text.contains("lost"));
}

#[tokio::test]
async fn a_restarted_gateway_carries_the_session_on_and_streams_open_again() {
    let (town, home) = (Town::new(), Home::new());
    let mut gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.publish("db", shouting().await);
    let _agent = home.agent().await;
    gateway.stop().await;
    status_with(&home, "the loss", |s| s.link == Link::Reconnecting).await;
    gateway.state().first_number = 1000;
    gateway.start_again().await;
    let status = status_with(&home, "the return", |s| s.link == Link::Connected).await;
    assert_eq!(status.session.unwrap().epoch, 2);
    home.client().await.stream(&app("db")).await.unwrap();
}

#[tokio::test]
async fn a_session_that_the_gateway_forgot_is_followed_by_a_new_one() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let _agent = home.agent().await;
    let before = home.client().await.status().await.unwrap().session.unwrap().id;
    {
        let mut state = gateway.state();
        state.sessions.values().for_each(|s| s.order(Order::Break));
        state.sessions.clear();
    }
    status_with(&home, "a new session", |s| s.session.as_ref().is_some_and(|s| s.id != before)).await;
}

#[tokio::test]
async fn a_session_is_renewed_before_it_expires() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.state().lifetime_secs = 2;
    let _agent = home.agent().await;
    let before = home.client().await.status().await.unwrap().session.unwrap().id;
    gateway.state().lifetime_secs = 3600;
    status_with(&home, "the renewal", |s| s.session.as_ref().is_some_and(|s| s.id != before)).await;
    until("the goodbye", async || Some(()).filter(|()| gateway.state().goodbyes == 1)).await;
}

#[tokio::test]
async fn a_locked_user_s_agent_ends_with_the_reason() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let agent = home.agent().await;
    let ended = || ControlMessage::SessionEnded { reason: EndReason::UserLocked, detail: Line::default() };
    gateway.state().sessions.values().for_each(|s| s.order(Order::Say(ended())));
    let error = agent.wait().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("locked"), "{error}");
    assert!(Client::connect(&home.paths).await.is_err());
}

#[tokio::test]
async fn an_unreachable_gateway_fails_a_login_but_not_a_service() {
    let (town, home) = (Town::new(), Home::new());
    let mut gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.stop().await;
    let error = Agent::start(home.options()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    let service = AgentOptions { patience: Patience::KeepTrying, ..home.options() };
    let _agent = Agent::start(service).await.unwrap();
    gateway.start_again().await;
    status_with(&home, "the sign-in", |s| s.link == Link::Connected).await;
}

#[tokio::test]
async fn one_agent_runs_at_a_time_and_a_dead_one_s_socket_is_no_hindrance() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    home.write("agent.sock", b"left behind");
    let agent = home.agent().await;
    assert_eq!(Agent::start(home.options()).await.unwrap_err().kind, ErrorKind::Usage);
    let logout = home.client().await;
    let waiting = tokio::spawn(agent.wait());
    logout.logout().await.unwrap();
    waiting.await.unwrap().unwrap();
    // At once after a logout.
    home.agent().await;
}

#[tokio::test]
async fn a_wrong_pin_and_an_unknown_gateway_start_nothing() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let wrong = AgentOptions::new(home.paths.clone(), Credential::Token(pin("wrong!")));
    assert_eq!(Agent::start(wrong).await.unwrap_err().kind, ErrorKind::Denied);
    home.configure("gateway = \"gw.elsewhere\"");
    let error = Agent::start(home.options()).await.unwrap_err();
    assert!(error.message.contains("gw.elsewhere") && error.message.contains("gw.example"), "{error}");
    assert!(!home.paths.socket.exists());
}

#[tokio::test]
async fn an_imported_token_signs_in_from_a_second_machine() {
    let (town, home, other) = (Town::new(), Home::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    token::import(&other.paths, &home.paths.token, &mut || Ok(pin(PIN)), token::Replace::Keep).unwrap();
    let _both = (home.agent().await, other.agent().await);
    assert_eq!(gateway.state().registrations.len(), 1);
    assert_eq!(gateway.state().sessions.len(), 2);
}

#[tokio::test]
async fn cve_downgrade_to_a_password_that_the_user_did_not_name() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let alice = || CanonName::parse("alice").unwrap();
    let password = || SecretBytes::from("open sesame".to_owned());
    let verifier = PasswordVerifier::new(&password(), &mut SystemEntropy).unwrap();
    gateway.state().passwords.insert(alice(), verifier);
    home.write("issuer.crt", town.issuer.certificate());
    let options = |password| AgentOptions {
        gateway: Some(gateway.name()),
        address: Some(gateway.address.to_string()),
        ..AgentOptions::new(home.paths.clone(), Credential::Password { user: alice(), password })
    };
    home.configure("issuer_certificate = \"issuer.crt\"");
    let error = Agent::start(options(password())).await.unwrap_err();
    assert!(error.fix.unwrap().contains("password_gateways"));
    assert!(!gateway.state().firsts.contains(&FrameKind::ContextFirst), "nothing secret was sent");

    home.configure("issuer_certificate = \"issuer.crt\"\npassword_gateways = [\"gw.example\"]");
    let wrong = Agent::start(options(SecretBytes::from("guess".to_owned()))).await.unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Denied);
    let agent = Agent::start(options(password())).await.unwrap();
    let who = home.client().await.whoami().await.unwrap();
    assert_eq!((who.signed_in_by.as_str(), who.user_code), ("password", None));
    agent.logout().await.unwrap();
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_and_how_to_mend_it() {
    let (town, home) = (Town::new(), Home::new());
    let found = async |name: &str| {
        let diagnosis = doctor(&home.paths, None).await;
        diagnosis.checks.into_iter().find(|c| c.name == name).map(|c| (c.finding, c.fix.is_some()))
    };
    assert_eq!(found("token").await, Some((Finding::Fail, true)));
    assert_eq!(found("agent").await, Some((Finding::Warn, true)));
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.publish("db", shouting().await);
    let _agent = home.agent().await;
    let diagnosis = doctor(&home.paths, None).await;
    assert_eq!(diagnosis.finding(), Finding::Ok, "{diagnosis:#?}");
    gateway.state().ahead_secs = -600;
    assert_eq!(found("clock").await, Some((Finding::Fail, true)));
    std::fs::set_permissions(&home.paths.token, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(found("permissions").await, Some((Finding::Warn, true)));
    home.configure("gatewy = 1");
    assert_eq!(found("configuration").await, Some((Finding::Fail, true)));
}

#[tokio::test]
async fn a_token_that_was_swapped_under_a_running_agent_is_noticed() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let agent = home.agent().await;
    std::fs::write(&home.paths.token, Town::new().blank_token()).unwrap();
    let diagnosis = doctor(&home.paths, None).await;
    let swapped =
        |c: &symbolon_agent::Check| c.finding == Finding::Fail && c.detail.contains("another issuer");
    assert!(diagnosis.checks.iter().any(swapped), "{diagnosis:#?}");
    // The agent goes on with what it opened, and does not write over what is there now.
    agent.logout().await.unwrap();
    assert!(!token::info(&home.paths).unwrap().registered);
}
