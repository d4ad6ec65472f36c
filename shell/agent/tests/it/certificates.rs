//! The agent's own certificate: asked for, checked, kept, renewed.

use crate::fake::Fake;
use crate::world::{Home, Town, mode, now, until};
use std::sync::{Arc, Mutex};
use symbolon_agent::{ErrorKind, certificate_info, remove_certificate};
use symbolon_crypto::{Revocation, SubjectId, SubjectTrust};
use symbolon_issuer::{
    CertificateRequest, Delivery, Issuer, PendingRenewal, RenewalAnswer, RenewalPolicy, RequestedName,
    SubjectGrant, Validity,
};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{CertificateBytes, ControlMessage, Line};
use symbolon_wire::{Decode, Encode, Time};

const HOUR: u64 = 3600;

/// Says `tag` and `rest`.
fn certificate(tag: u8, rest: &[u8]) -> ControlMessage {
    ControlMessage::Certificate(CertificateBytes::new([&[tag], rest].concat()).unwrap())
}

/// Certifies whatever is asked for, and remembers what is expected in turn.
fn certified(issuer: &Issuer, request: &[u8], from: Time, expected: &Mutex<Vec<Vec<u8>>>) -> ControlMessage {
    let request = CertificateRequest::read(crypto(), request).unwrap();
    let RequestedName::Subject(subject) = request.name().clone() else { unreachable!("a gateway") };
    let validity = Validity::starting(from, HOUR);
    let grant = SubjectGrant { subject, common_name: "alice".into(), validity };
    let made = issuer.certify_subject(&request, &grant).unwrap();
    match made.deliver(crypto(), &mut SystemEntropy).unwrap() {
        Delivery::Open(der) => {
            expected.lock().unwrap().push(crypto().sha256(&[&der]).to_vec());
            certificate(1, &der)
        }
        Delivery::Sealed { envelope, expected: confirmation } => {
            expected.lock().unwrap().push(confirmation.as_bytes().to_vec());
            certificate(2, &envelope.to_bytes())
        }
    }
}

/// A gateway whose office works as it should; the first certificate began `age` seconds ago. What it
/// expects and gets as confirmations is returned.
type Confirmations = Arc<Mutex<Vec<Vec<u8>>>>;

fn open_office(town: &Town, gateway: &Fake, age: u64) -> (Confirmations, Confirmations) {
    let (expected, got) = (Confirmations::default(), Confirmations::default());
    let (issuer, trusted) = (Arc::clone(&town.issuer), town.trusted());
    let (expect, get) = (Arc::clone(&expected), Arc::clone(&got));
    let mut pending = None;
    gateway.state().office = Some(Box::new(move |message| match message {
        ControlMessage::CertificateConfirm(bytes) => {
            get.lock().unwrap().push(bytes.as_bytes().to_vec());
            Vec::new()
        }
        ControlMessage::CertificateRequest(bytes) => match bytes.as_bytes().split_first().unwrap() {
            (1, request) => vec![certified(&issuer, request, now().minus_secs(age), &expect)],
            (2, old) => {
                let trust = SubjectTrust::new(crypto(), std::slice::from_ref(&trusted), Revocation::IfListed);
                let policy = RenewalPolicy { grace_lives: 0 };
                let begun =
                    PendingRenewal::begin(crypto(), &mut SystemEntropy, &trust.unwrap(), policy, old, now());
                let begun = pending.insert(begun.unwrap());
                vec![certificate(3, &begun.challenge().to_bytes())]
            }
            (3, answer) => {
                let answer = RenewalAnswer::from_bytes(answer).unwrap();
                let proven = pending.take().unwrap().finish(crypto(), &answer).unwrap();
                vec![certified(&issuer, proven.request().der(), now(), &expect)]
            }
            other => unreachable!("{other:?}"),
        },
        other => unreachable!("{other:?}"),
    }));
    (expected, got)
}

#[tokio::test]
async fn a_certificate_is_kept_whatever_kind_of_key_it_is_for() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let (expected, got) = open_office(&town, &gateway, 0);
    let agent = home.agent().await;
    for kind in ["x-wing", "x25519", "p256", "ed25519"] {
        let given = home.client().await.certificate(kind, Some("laptop".into())).await.unwrap();
        assert_eq!((given.key.as_str(), given.over), (kind, false));
        assert_eq!(given.subject, SubjectId::device("alice-0001", "laptop").unwrap().uri());
        assert_eq!(certificate_info(&home.paths).unwrap().unwrap(), given);
        assert_eq!(mode(&given.path), 0o600);
    }
    until("the confirmations", async || (got.lock().unwrap().len() == 4).then_some(())).await;
    assert_eq!(*expected.lock().unwrap(), *got.lock().unwrap(), "whether they came in envelopes or open");
    assert!(remove_certificate(&home.paths).unwrap());
    agent.logout().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_renewed_from_half_its_life() {
    for kind in ["x-wing", "ed25519"] {
        let (town, home) = (Town::new(), Home::new());
        let gateway = town.gateway("gw.example").await;
        home.enrol(&town, &gateway, "alice").await.unwrap();
        let _confirmations = open_office(&town, &gateway, HOUR * 3 / 4);
        let agent = home.agent().await;
        let first = home.client().await.certificate(kind, None).await.unwrap();
        let next = until("another certificate", async || {
            certificate_info(&home.paths).unwrap().filter(|info| info.until > first.until)
        });
        let next = next.await;
        assert_eq!((&next.subject, &next.key), (&first.subject, &first.key));
        agent.logout().await.unwrap();
    }
}

#[tokio::test]
async fn another_certificate_is_not_taken_for_the_one_that_is_being_renewed() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let (issuer, renewing) = (Arc::clone(&town.issuer), Arc::new(Mutex::new(false)));
    let asked = Arc::clone(&renewing);
    gateway.state().office = Some(Box::new(move |message| match message {
        ControlMessage::CertificateRequest(bytes) => match bytes.as_bytes().split_first().unwrap() {
            (1, request) => {
                vec![certified(&issuer, request, now().minus_secs(HOUR * 3 / 4), &Mutex::default())]
            }
            // It takes its time over the renewal.
            _ => {
                *asked.lock().unwrap() = true;
                Vec::new()
            }
        },
        _ => Vec::new(),
    }));
    let agent = home.agent().await;
    let first = home.client().await.certificate("p256", None).await.unwrap();
    until("the renewal", async || renewing.lock().unwrap().then_some(())).await;
    let error = home.client().await.certificate("p256", None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert_eq!(certificate_info(&home.paths).unwrap().unwrap(), first);
    agent.logout().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_was_not_asked_for_is_not_kept() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let (issuer, impostor) = (Arc::clone(&town.issuer), Town::new().issuer);
    let first = Mutex::new(None);
    gateway.state().office = Some(Box::new(move |message| {
        let ControlMessage::CertificateRequest(bytes) = message else { return Vec::new() };
        let request = &bytes.as_bytes()[1..];
        let none = Mutex::default();
        let mut first = first.lock().unwrap();
        match &*first {
            None => {
                // From somebody else of the issuer's name.
                *first = Some(request.to_vec());
                vec![certified(&impostor, request, now(), &none)]
            }
            // For the key of an earlier request.
            Some(earlier) => vec![certified(&issuer, earlier, now(), &none)],
        }
    }));
    let agent = home.agent().await;
    for _ in 0..2 {
        let error = home.client().await.certificate("p256", None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failure, "{error}");
        assert_eq!(certificate_info(&home.paths).unwrap(), None);
    }
    agent.logout().await.unwrap();
}

#[tokio::test]
async fn a_refusal_and_nonsense_are_told() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let says = [
        ControlMessage::CertificateRefused { detail: Line::lossy("the issuer's key is elsewhere") },
        certificate(2, b"nonsense"),
        certificate(3, b"no renewal was begun"),
        certificate(9, b""),
        ControlMessage::Certificate(CertificateBytes::new(Vec::new()).unwrap()),
    ];
    let mut says = says.into_iter();
    gateway.state().office = Some(Box::new(move |_| says.next().into_iter().collect()));
    let agent = home.agent().await;
    let refused = home.client().await.certificate("x-wing", None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert!(refused.message.contains("elsewhere"), "{refused}");
    for _ in 0..4 {
        let error = home.client().await.certificate("x-wing", None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failure, "{error}");
    }
    let error = home.client().await.certificate("rsa", None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    agent.logout().await.unwrap();
}
