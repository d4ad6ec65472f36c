//! Decisions against the model, and the stories that administrators know.

use proptest::prelude::*;
use symbolon_policy::{Conditions, Decision, Denial, Entitlement, Policy, PolicyError, Standing, parse_time};
use symbolon_wire::Time;

use crate::model::{self, MONDAY, alice_asks, entitlement};

fn decide(entitlements: &[Entitlement], asked: &model::Asked) -> Decision {
    Policy::new(entitlements).unwrap().decide(&asked.request())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_decision_is_what_the_model_says(es in model::entitlements(), asked in model::asked()) {
        let policy = Policy::new(&es).unwrap();
        let granting: Vec<_> = es.iter().filter(|e| model::grants(e, &asked)).collect();
        match policy.decide(&asked.request()) {
            Decision::Permitted(proof) => {
                prop_assert_eq!(asked.subject.standing, Standing::Active);
                let by = granting.iter().find(|e| e.id == proof.entitlement());
                prop_assert!(by.is_some(), "an entitlement permits that the model does not know");
                prop_assert_eq!((proof.subject(), proof.app()), (&asked.subject.name, &asked.app));
                let ends = granting.iter().map(|e| e.conditions.next_change(asked.now));
                let last = ends.max_by_key(|end| (end.is_none(), *end)).unwrap();
                prop_assert_eq!(proof.until(), last);
            }
            Decision::Denied(Denial::Pending) => prop_assert_eq!(asked.subject.standing, Standing::Pending),
            Decision::Denied(Denial::Locked) => prop_assert_eq!(asked.subject.standing, Standing::Locked),
            Decision::Denied(why) => {
                prop_assert!(granting.is_empty());
                let given = es.iter().any(|e| e.app == asked.app && model::grantee_matches(e, &asked));
                prop_assert_eq!(why, if given { Denial::Conditions } else { Denial::NotEntitled });
            }
        }
    }

    #[test]
    fn an_explanation_agrees_with_the_decision_and_each_line_with_the_model(
        es in model::entitlements(),
        asked in model::asked(),
    ) {
        let policy = Policy::new(&es).unwrap();
        let explanation = policy.explain(&asked.request());
        let permitted = policy.decide(&asked.request()).permitted().is_some();
        prop_assert_eq!(explanation.permitted, permitted);
        prop_assert_eq!(explanation.entitlements.iter().any(|e| e.permits), permitted);
        let of_the_app: Vec<_> = es.iter().filter(|e| e.app == asked.app).collect();
        prop_assert_eq!(explanation.entitlements.len(), of_the_app.len());
        for (line, e) in explanation.entitlements.iter().zip(of_the_app) {
            prop_assert_eq!(line.grantee.holds, model::grantee_matches(e, &asked));
            let all = line.grantee.holds && line.conditions.iter().all(|c| c.holds);
            prop_assert_eq!(all, model::grants(e, &asked));
        }
        prop_assert!(explanation.to_string().chars().all(|c| c == '\n' || !c.is_control()) || has_control(&es));
    }

    #[test]
    fn all_that_is_permitted_is_what_is_permitted_one_by_one(es in model::entitlements(), asked in model::asked()) {
        let policy = Policy::new(&es).unwrap();
        let view = policy.for_subject(&asked.subject);
        let one_by_one: Vec<_> =
            policy.apps().filter_map(|app| view.decide(app, &asked.request()).permitted()).collect();
        prop_assert_eq!(view.permitted(&asked.request()), one_by_one);
    }

    #[test]
    fn the_next_change_is_the_first_minute_at_which_anything_changes(
        conditions in model::conditions(),
        now in model::time(),
    ) {
        let holds = conditions.time_holds(now);
        let next = conditions.next_change(now);
        let until = next.map_or(now.plus_secs(22 * 86_400), |t| Time(t.0 - 1));
        if let Some(next) = next {
            prop_assert!(next > now);
            prop_assert_ne!(conditions.time_holds(next), holds);
            prop_assert_eq!(conditions.time_holds(until), holds);
        }
        let mut at = now;
        while at < until {
            prop_assert_eq!(conditions.time_holds(at), holds, "changed at {:?}", at);
            at = at.plus_secs(7 * 60 + 1);
        }
    }

    #[test]
    fn conditions_survive_json_and_pieces(conditions in model::conditions()) {
        let json = serde_json::to_string(&conditions).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Conditions>(&json).unwrap(), &conditions);
        if conditions.check().is_ok() {
            let pieces = conditions.to_pieces();
            let mut unique = conditions.clone();
            unique.networks.dedup();
            unique.token_classes.dedup();
            unique.machines.dedup();
            unique.places.dedup();
            prop_assert_eq!(Conditions::from_pieces(pieces.iter().map(String::as_str)).unwrap(), unique);
        }
    }

    #[test]
    fn reading_conditions_never_panics(pieces in prop::collection::vec(any::<String>(), 0..4)) {
        let _ = Conditions::from_pieces(pieces.iter().map(String::as_str));
    }
}

fn has_control(es: &[Entitlement]) -> bool {
    let labels = es.iter().flat_map(|e| e.conditions.machines.iter().chain(&e.conditions.places));
    labels.flat_map(|l| l.chars()).any(char::is_control)
}

#[test]
fn nobody_reaches_an_application_without_an_entitlement() {
    assert_eq!(decide(&[], &alice_asks("db")), Decision::Denied(Denial::NotEntitled));
    let other = entitlement(1, "user:alice", "db.office", &[]);
    assert_eq!(decide(&[other], &alice_asks("db")), Decision::Denied(Denial::NotEntitled));
}

#[test]
fn a_user_a_group_and_a_path_are_each_a_way_to_be_entitled() {
    for grantee in ["user:alice", "group:staff", "path:/people", "path:/people/alice", "path:/"] {
        let proof = decide(&[entitlement(7, grantee, "db", &[])], &alice_asks("db")).permitted().unwrap();
        assert_eq!(proof.entitlement(), symbolon_policy::EntitlementId([7; 16]), "{grantee}");
        assert_eq!(proof.until(), None);
    }
    for grantee in ["user:bob", "group:alice", "user:staff", "path:/people/alice/home", "path:/peop"] {
        let decision = decide(&[entitlement(7, grantee, "db", &[])], &alice_asks("db"));
        assert_eq!(decision, Decision::Denied(Denial::NotEntitled), "{grantee}");
    }
}

#[test]
fn a_locked_or_pending_subject_is_denied_everything_with_its_own_reason() {
    let entitlements = [entitlement(1, "user:alice", "db", &[])];
    for (standing, denial) in [(Standing::Locked, Denial::Locked), (Standing::Pending, Denial::Pending)] {
        let mut asked = alice_asks("db");
        asked.subject.standing = standing;
        assert_eq!(decide(&entitlements, &asked), Decision::Denied(denial));
        let policy = Policy::new(&entitlements).unwrap();
        assert!(policy.for_subject(&asked.subject).permitted(&asked.request()).is_empty());
        assert!(!policy.explain(&asked.request()).permitted);
    }
}

#[test]
fn an_ipv4_network_admits_the_client_of_a_dual_stack_socket() {
    let entitlements = [entitlement(1, "user:alice", "db", &["network=10.0.0.0/8"])];
    let mut asked = alice_asks("db");
    asked.source = "::ffff:10.9.8.7".parse().unwrap();
    assert!(decide(&entitlements, &asked).permitted().is_some());
    asked.source = "::ffff:11.9.8.7".parse().unwrap();
    assert_eq!(decide(&entitlements, &asked), Decision::Denied(Denial::Conditions));
}

#[test]
fn the_longest_lasting_entitlement_is_the_one_that_the_proof_names() {
    let until_three = entitlement(1, "user:alice", "db", &["until=2026-03-02T15:00:00Z"]);
    let office = entitlement(2, "group:staff", "db", &["hours=mon-fri 08:00-18:00"]);
    let asked = alice_asks("db");
    let proof = decide(&[until_three.clone(), office.clone()], &asked).permitted().unwrap();
    assert_eq!(proof.entitlement(), office.id);
    assert_eq!(proof.until(), parse_time("2026-03-02T18:00:00Z"));
    let policy = Policy::new(&[until_three, office]).unwrap();
    assert_eq!(policy.next_change(asked.now), parse_time("2026-03-02T15:00:00Z"));
    assert_eq!(Policy::default().next_change(asked.now), None);
}

#[test]
fn the_largest_conditions_compile_and_decide() {
    let networks: Vec<String> = (0..64).map(|n| format!("network=10.{n}.0.0/16")).collect();
    let pieces: Vec<&str> = networks.iter().map(String::as_str).collect();
    let mut asked = alice_asks("db");
    asked.source = "10.63.0.1".parse().unwrap();
    assert!(decide(&[entitlement(1, "user:alice", "db", &pieces)], &asked).permitted().is_some());
    assert!(Conditions::from_pieces(pieces.into_iter().chain(["network=::/0"])).is_err());
}

#[test]
fn two_entitlements_of_one_id_are_refused() {
    let twice = [entitlement(1, "user:alice", "db", &[]), entitlement(1, "user:bob", "web", &[])];
    assert_eq!(Policy::new(&twice).err(), Some(PolicyError::DuplicateId(twice[0].id)));
}

#[test]
fn an_unknown_condition_is_refused_rather_than_overlooked() {
    assert!(serde_json::from_str::<Conditions>(r#"{"hour":"mon-fri"}"#).is_err());
    assert!(Conditions::from_pieces(["hour=mon-fri"]).is_err());
    assert!(Conditions::from_pieces(["hours=mon", "hours=tue"]).is_err());
    assert!(Conditions::from_pieces(["from=2026-03-02T00:00:00Z", "until=2026-03-01T00:00:00Z"]).is_err());
    assert!(Conditions::from_pieces(["place="]).is_err());
    assert!(Conditions::from_pieces(["place= \u{a0}"]).is_err());
}

#[test]
fn conditions_are_json_that_people_read() {
    let conditions = Conditions::from_pieces([
        "hours=mon-fri 08:00-18:00",
        "until=2027-01-01T00:00:00Z",
        "network=10.0.0.0/8",
        "token=hardware",
        "place=office",
    ]);
    assert_eq!(
        serde_json::to_string(&conditions.unwrap()).unwrap(),
        r#"{"hours":"mon-fri 08:00-18:00","not_after":"2027-01-01T00:00:00Z","networks":["10.0.0.0/8"],"token_classes":["hardware"],"places":["office"]}"#
    );
    assert_eq!(serde_json::from_str::<Conditions>("{}").unwrap(), Conditions::default());
}

#[test]
fn an_explanation_names_every_condition_that_fails() {
    let entitlements = [
        entitlement(
            0xaa,
            "group:staff",
            "db",
            &["hours=sat 08:00-18:00", "network=10.0.0.0/8", "place=office"],
        ),
        entitlement(0xbb, "user:bob", "db", &[]),
    ];
    let mut asked = alice_asks("db");
    asked.place = "\u{1b}[2Jhome".into();
    let text = Policy::new(&entitlements).unwrap().explain(&asked.request()).to_string();
    assert_eq!(
        text,
        "alice → db: denied: entitled, but not under the present conditions
  entitlement aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    + given to group:staff: alice is in staff
    - hours sat 08:00-18:00 UTC: it is mon 2026-03-02T12:00:00Z
    - network 10.0.0.0/8: the client is at 192.0.2.7
    - place office: the client reports \"\\u{1b}[2Jhome\"
  entitlement bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    - given to user:bob: this is alice
"
    );
}

#[test]
fn a_time_beyond_what_cedar_counts_denies() {
    let mut asked = alice_asks("db");
    asked.now = Time(u64::MAX);
    let until = entitlement(1, "user:alice", "db", &["until=2027-01-01T00:00:00Z"]);
    assert_eq!(decide(&[until], &asked), Decision::Denied(Denial::Conditions));
    assert!(MONDAY < asked.now.secs());
}
