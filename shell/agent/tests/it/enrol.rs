//! Enrolment (B3–B7).

use crate::world::{Home, PIN, Script, Town, gateway_name, mode, pin};
use std::collections::BTreeMap;
use symbolon_agent::{Decision, EnrolTarget, ErrorKind, Step, enrol, token};
use symbolon_crypto::IssuerFingerprint;
use symbolon_wire::{FrameKind, RefusalCode};

#[tokio::test]
async fn an_invitation_makes_a_registered_token() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let mut script = Script::new([PIN]);
    let target = EnrolTarget::parse(&town.invite(&gateway).to_link(), None).unwrap();
    let enrolled = enrol(home.enrolment(target, "Alice"), &mut script).await.unwrap();
    assert_eq!((enrolled.user.as_str(), enrolled.access_path.as_str()), ("alice", "/people/alice"));
    assert!(!enrolled.awaits_approval);
    let shown = script.shown.unwrap();
    assert_eq!((shown.name.as_str(), shown.issuer), ("gw.example", town.trusted().fingerprint().to_string()));
    assert_eq!(script.steps.last(), Some(&Step::Confirmed));
    assert_eq!(mode(&home.paths.token), 0o600);
    let open = token::unlock(&home.paths, &pin(PIN)).unwrap();
    let registration = open.token().registration(&gateway.name()).unwrap();
    assert!(gateway.state().registrations.contains_key(&registration.registration_id));
}

#[tokio::test]
async fn a_wrong_answer_is_explained_and_asked_again() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let mut options = home.enrolment(EnrolTarget::Link(town.invite(&gateway)), "");
    options.answers = None;
    let mut script =
        Script::new(["short", PIN]).answering(["a b", "alice", "", "Alice A.", "nonsense", "", ""]);
    enrol(options, &mut script).await.unwrap();
    assert_eq!(script.problems.len(), 4, "{:?}", script.problems);
    assert!(script.problems[1].contains("required"));
    assert!(script.problems[2].contains("alice@example.org"));
    assert!(script.problems[3].contains("6 to 128"));
    let expected = BTreeMap::from(
        [("user-name", "alice"), ("full-name", "Alice A.")].map(|(k, v)| (k.into(), v.into())),
    );
    assert_eq!(gateway.state().answers, [expected]);
}

#[tokio::test]
async fn answers_from_a_file_must_all_fit() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let mut options = home.enrolment(EnrolTarget::Link(town.invite(&gateway)), "alice");
    let answers = [("user-name", "a\u{430}lice"), ("email", "nobody"), ("shoe-size", "43")];
    options.answers = Some(answers.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let error = enrol(options, &mut Script::new([PIN])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    for field in ["user-name", "full-name", "email", "shoe-size"] {
        assert!(error.message.contains(field), "{error}");
    }
    assert!(!home.paths.token.exists());
}

#[tokio::test]
async fn an_invitation_is_good_once() {
    let (town, home, other) = (Town::new(), Home::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let link = town.invite(&gateway).to_link();
    let target = || EnrolTarget::parse(&link, None).unwrap();
    enrol(home.enrolment(target(), "alice"), &mut Script::new([PIN])).await.unwrap();
    let error = enrol(other.enrolment(target(), "mallory"), &mut Script::new([PIN])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("invitation"), "{error}");
    assert!(!other.paths.token.exists());
}

#[tokio::test]
async fn a_taken_name_is_refused_and_the_invitation_stays_good() {
    let (town, home, other) = (Town::new(), Home::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let link = town.invite(&gateway).to_link();
    let target = || EnrolTarget::parse(&link, None).unwrap();
    let error = enrol(other.enrolment(target(), "ALICE"), &mut Script::new([PIN])).await.unwrap_err();
    assert!(error.message.contains("taken"), "{error}");
    enrol(other.enrolment(target(), "bob"), &mut Script::new([PIN])).await.unwrap();
}

#[tokio::test]
async fn nothing_is_told_to_a_gateway_of_another_issuer() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let mut link = town.invite(&gateway);
    link.issuer = IssuerFingerprint([7; 32]);
    let mut script = Script::new([PIN]);
    let error = enrol(home.enrolment(EnrolTarget::Link(link), "alice"), &mut script).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(script.shown.is_none());
    assert_eq!(gateway.state().firsts, [FrameKind::Hello]);
}

#[tokio::test]
async fn the_user_can_stop_at_the_sight_of_the_gateway() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    let mut script = Script::new([PIN]);
    script.decision = Decision::Stop;
    let target = EnrolTarget::Link(town.invite(&gateway));
    enrol(home.enrolment(target, "alice"), &mut script).await.unwrap_err();
    assert_eq!(gateway.state().firsts, [FrameKind::Hello]);
    assert!(!home.paths.token.exists());
}

#[tokio::test]
async fn one_token_registers_with_a_second_gateway_of_its_issuer_under_its_own_key() {
    let (town, home) = (Town::new(), Home::new());
    let (first, second) = (town.gateway("gw.example").await, town.gateway("other.example").await);
    home.enrol(&town, &first, "alice").await.unwrap();
    home.enrol(&town, &second, "alice-a").await.unwrap();
    let open = token::unlock(&home.paths, &pin(PIN)).unwrap();
    let keys: Vec<_> = open.token().registrations().iter().map(|r| &r.key).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    let listed = token::registrations(open.token());
    assert_eq!((listed[0].user.as_str(), listed[1].user.as_str()), ("alice", "alice-a"));
}

#[tokio::test]
async fn a_second_gateway_of_another_issuer_is_refused_with_the_reason() {
    let (town, elsewhere, home) = (Town::new(), Town::new(), Home::new());
    home.enrol(&town, &town.gateway("gw.example").await, "alice").await.unwrap();
    let foreign = elsewhere.gateway("gw.elsewhere").await;
    let error = home.enrol(&elsewhere, &foreign, "alice").await.unwrap_err();
    assert!(error.message.contains("another issuer"), "{error}");
    assert_eq!(foreign.state().firsts, [FrameKind::Hello], "greeted, and told nothing");
}

#[tokio::test]
async fn a_wrong_pin_for_the_token_that_is_there_is_asked_again_and_counted() {
    let (town, home) = (Town::new(), Home::new());
    home.enrol(&town, &town.gateway("gw.example").await, "alice").await.unwrap();
    let second = town.gateway("other.example").await;
    let mut script = Script::new(["wrong!", PIN]);
    enrol(home.enrolment(EnrolTarget::Link(town.invite(&second)), "alice"), &mut script).await.unwrap();
    assert_eq!(script.problems, ["wrong PIN; 9 attempts left"]);
}

#[tokio::test]
async fn a_blank_token_is_enough_where_registration_is_open() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("localhost").await;
    let blank = home.write("blank", &town.blank_token());
    let target =
        || EnrolTarget::parse(&gateway.address.to_string(), Some(gateway_name("localhost"))).unwrap();
    let mut options = home.enrolment(target(), "alice");
    options.token = Some(blank.clone());
    let closed = enrol(options, &mut Script::new([PIN])).await.unwrap_err();
    assert!(closed.message.contains("by invitation only"), "{closed}");

    gateway.state().open = true;
    let mut options = home.enrolment(target(), "alice");
    options.token = Some(blank);
    assert!(enrol(options, &mut Script::new([PIN])).await.unwrap().awaits_approval);
}

#[tokio::test]
async fn without_token_and_link_there_is_nobody_to_trust() {
    let home = Home::new();
    let target = EnrolTarget::parse("gw.example:7843", None).unwrap();
    let error = enrol(home.enrolment(target, "alice"), &mut Script::new([PIN])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    for bad in ["gw.example", "https://gw.example", "127.0.0.1:7843", "gw:99999"] {
        assert_eq!(EnrolTarget::parse(bad, None).unwrap_err().kind, ErrorKind::Usage, "{bad}");
    }
}

#[tokio::test]
async fn a_busy_gateway_gets_its_cookie() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    gateway.state().cookies = 2;
    home.enrol(&town, &gateway, "alice").await.unwrap();
}

#[tokio::test]
async fn a_context_key_that_was_left_behind_costs_another_try() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    gateway.state().refuse = Some((FrameKind::RegistrationRequest, RefusalCode::UnknownKey));
    home.enrol(&town, &gateway, "alice").await.unwrap();
}

#[tokio::test]
async fn a_template_that_the_gateway_does_not_have_is_named() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    gateway.state().refuse = Some((FrameKind::Hello, RefusalCode::Answers));
    let mut options = home.enrolment(EnrolTarget::Link(town.invite(&gateway)), "alice");
    options.template = Some("robot".parse().unwrap());
    let error = enrol(options, &mut Script::new([PIN])).await.unwrap_err();
    assert_eq!(error.message, "the gateway has no registration template robot");
}

#[tokio::test]
async fn a_wrong_clock_is_told_before_anything_is_asked() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    for (ahead, way) in [(600, "behind"), (-600, "ahead of")] {
        gateway.state().ahead_secs = ahead;
        let error = home.enrol(&town, &gateway, "alice").await.unwrap_err();
        assert!(error.message.contains(way) && error.message.contains("s "), "{error}");
        assert!(error.fix.unwrap().contains("clock"));
    }
}

#[tokio::test]
async fn a_registration_that_is_not_confirmed_leaves_a_token_to_try_with() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    gateway.state().silent_after = Some(FrameKind::RegistrationConfirm);
    let error = home.enrol(&town, &gateway, "alice").await.unwrap_err();
    assert!(error.message.contains("did not confirm"), "{error}");
    token::unlock(&home.paths, &pin(PIN)).unwrap();
    gateway.state().silent_after = None;
    // The same token, the same PIN, another invitation.
    home.enrol(&town, &gateway, "alice").await.unwrap();
}

#[tokio::test]
async fn a_locked_token_is_given_up_for_a_new_invitation() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let mut options = home.enrolment(EnrolTarget::Link(town.invite(&gateway)), "alice-2");
    options.replace = token::Replace::Replace;
    enrol(options, &mut Script::new(["a new PIN"])).await.unwrap();
    let open = token::unlock(&home.paths, &pin("a new PIN")).unwrap();
    assert_eq!(open.token().registrations().len(), 1);
}
