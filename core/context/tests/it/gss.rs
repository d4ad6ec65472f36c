//! The interface in the shape of RFC 2743.

use crate::pair::{Gateway, NOW, TestToken, grant, mac, options};
use symbolon_context::gss::{
    self, Accepting, Acceptor, Claim, Confirmation, Delivery, GssError, Initiating, Request, SecurityContext,
    Step,
};
use symbolon_context::{AcceptError, Grant, Initiator};
use symbolon_crypto::{ContextKeyId, KemPrivateKey, Secret, SecretBytes, Suite, TokenProof};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::WrapError;
use symbolon_wire::Time;

struct Service {
    gateway: Gateway,
    seen: std::collections::HashSet<[u8; 32]>,
    trusting: bool,
}

impl Service {
    fn new() -> Self {
        Self { gateway: Gateway::new("gw.example"), seen: Default::default(), trusting: true }
    }
}

impl Acceptor for Service {
    fn name(&self) -> &str {
        "gw.example"
    }

    fn context_key(&self, id: &ContextKeyId) -> Option<(&KemPrivateKey, &[u8; 32])> {
        self.gateway.keys.key(id)
    }

    fn remember(&mut self, first_message: &[u8; 32], _until: Time) -> bool {
        self.seen.insert(*first_message)
    }

    fn check(&mut self, claim: &Claim<'_>) -> Option<(Box<dyn TokenProof>, Grant)> {
        let proof = crate::pair::TestProof {
            binding: *claim.binding,
            contribution: Some(mac(&Secret::new([3; 32]), claim.binding)),
            reply: b"number two".to_vec(),
        };
        self.trusting.then(|| (Box::new(proof) as Box<dyn TokenProof>, grant()))
    }
}

fn begin(service: &Service, request: &Request) -> (Initiating<TestToken>, Vec<u8>) {
    let target = &service.gateway.verified;
    match gss::init_sec_context(crypto(), &mut SystemEntropy, target, TestToken::new(), request, NOW) {
        Ok(Step::Continue(state, token)) => (state, token),
        other => panic!("{other:?}"),
    }
}

fn accept(service: &mut Service, request: &Request, first: &[u8]) -> Result<(Accepting, Vec<u8>), GssError> {
    match gss::accept_sec_context(crypto(), &mut SystemEntropy, service, request, first, NOW)? {
        Step::Continue(state, token) => Ok((state, token)),
        Step::Complete(..) => panic!("not before the confirmation"),
    }
}

fn open(request: &Request) -> (SecurityContext, SecurityContext) {
    let mut service = Service::new();
    let (initiating, first) = begin(&service, request);
    let (accepting, second) = accept(&mut service, request, &first).unwrap();
    let Ok(Step::Complete(initiator, third)) = initiating.step(&second, NOW) else { panic!("initiator") };
    let Ok(Step::Complete(acceptor, last)) = accepting.step(&third) else { panic!("acceptor") };
    assert!(last.is_empty());
    (*initiator, *acceptor)
}

#[test]
fn three_tokens_open_a_context_in_every_suite() {
    for suite in Suite::ALL {
        let (mut a, mut b) = open(&Request { suites: vec![suite], ..Request::default() });
        let wrapped = a.wrap(b"there", NOW).unwrap();
        assert_eq!(b.unwrap(&wrapped, NOW).unwrap().expose(), b"there");
        let wrapped = b.wrap(b"back", NOW).unwrap();
        assert_eq!(a.unwrap(&wrapped, NOW).unwrap().expose(), b"back");
        assert_eq!(a.pseudo_random(b"purpose"), b.pseudo_random(b"purpose"));
    }
}

#[test]
fn the_context_tells_who_is_who_and_for_how_long() {
    let (a, b) = open(&Request::default());
    let (a, b) = (a.inquire_context(NOW.plus_secs(600)), b.inquire_context(NOW.plus_secs(9999)));
    assert_eq!((a.initiator.as_str(), a.acceptor.as_str()), ("alice", "gw.example"));
    assert_eq!((&b.initiator, &b.acceptor), (&a.initiator, &a.acceptor));
    assert_eq!((a.lifetime_secs, b.lifetime_secs), (3000, 0));
    assert!(a.locally_initiated && !b.locally_initiated);
    assert!(a.flags.in_order && !a.flags.channel_bound);
}

#[test]
fn a_context_on_another_channel_is_refused() {
    let on = |channel: u8| Request { channel_bindings: [channel; 32], ..Request::default() };
    for (initiator, acceptor) in [(1, 2), (1, 0), (0, 1)] {
        let mut service = Service::new();
        let (_, first) = begin(&service, &on(initiator));
        let refused = accept(&mut service, &on(acceptor), &first).unwrap_err();
        assert_eq!(refused.major_status(), "GSS_S_BAD_BINDINGS");
    }
    assert!(open(&on(1)).1.inquire_context(NOW).flags.channel_bound);
}

#[test]
fn cve_downgrade_to_a_suite_that_the_acceptor_does_not_name() {
    let mut service = Service::new();
    let weak = Request { suites: vec![Suite::X25519], ..Request::default() };
    let (_, first) = begin(&service, &weak);
    assert_eq!(accept(&mut service, &Request::default(), &first).unwrap_err(), GssError::UnknownKey);
}

#[test]
fn a_refused_credential_and_a_replay_open_nothing() {
    let mut service = Service::new();
    let (_, first) = begin(&service, &Request::default());
    service.trusting = false;
    let refused = accept(&mut service, &Request::default(), &first).unwrap_err();
    assert_eq!(refused, GssError::BadCredential);
    service.trusting = true;
    let refused = accept(&mut service, &Request::default(), &first).unwrap_err();
    assert_eq!(refused, GssError::Accept(AcceptError::Replayed));
}

#[test]
fn a_confirmation_of_another_context_is_refused() {
    let mut service = Service::new();
    let request = Request::default();
    let (one, first) = begin(&service, &request);
    let (_, second) = accept(&mut service, &request, &first).unwrap();
    let Ok(Step::Complete(_, third)) = one.step(&second, NOW) else { panic!("initiator") };
    let (_, first) = begin(&service, &request);
    let (accepting, second) = accept(&mut service, &request, &first).unwrap();
    assert!(accepting.step(&third).is_err());
    let (_, first) = begin(&service, &request);
    let (accepting, _) = accept(&mut service, &request, &first).unwrap();
    assert!(accepting.step(&second).is_err());
}

#[test]
fn messages_in_a_window_may_come_late_but_not_twice() {
    let request = Request { delivery: Delivery::Windowed, ..Request::default() };
    let (mut a, mut b) = open(&request);
    let messages: Vec<_> = (0u8..3).map(|i| a.wrap(&[i], NOW).unwrap()).collect();
    for i in [2usize, 0, 1] {
        assert_eq!(b.unwrap(&messages[i], NOW).unwrap().expose(), [i as u8]);
    }
    assert_eq!(b.unwrap(&messages[1], NOW), Err(GssError::Message(WrapError::Replayed)));
    let (mut a, mut b) = open(&Request::default());
    let (_, late) = (a.wrap(b"0", NOW).unwrap(), a.wrap(b"1", NOW).unwrap());
    assert_eq!(b.unwrap(&late, NOW).unwrap_err().major_status(), "GSS_S_GAP_TOKEN");
}

#[test]
fn two_tokens_are_enough_where_the_first_message_confirms() {
    let request = Request { confirmation: Confirmation::ByFirstUse, ..Request::default() };
    let mut service = Service::new();
    let (initiating, first) = begin(&service, &request);
    let answer = |service: &mut Service| {
        gss::accept_sec_context(crypto(), &mut SystemEntropy, service, &request, &first, NOW)
    };
    let Ok(Step::Complete(mut b, second)) = answer(&mut service) else { panic!("acceptor") };
    let Ok(Step::Complete(mut a, third)) = initiating.step(&second, NOW) else { panic!("initiator") };
    assert!(third.is_empty());
    let wrapped = a.wrap(b"confirms", NOW).unwrap();
    assert_eq!(b.unwrap(&wrapped, NOW).unwrap().expose(), b"confirms");
    assert_eq!(answer(&mut service).unwrap_err(), GssError::Accept(AcceptError::Replayed));
}

#[test]
fn a_check_fits_its_message_once_and_no_wrapped_message() {
    let (mut a, mut b) = open(&Request::default());
    // The confirmation was wrapped message 0: with this, the numbers of both kinds agree.
    let first = a.get_mic(b"", NOW).unwrap();
    assert_eq!(b.verify_mic(b"", &first, NOW), Ok(()));
    let check = a.get_mic(b"in clear", NOW).unwrap();
    assert!(a.verify_mic(b"in clear", &first, NOW).is_err(), "reflected");
    assert_eq!(b.unwrap(&check, NOW), Err(GssError::Message(WrapError::Forged)));
    let wrapped = a.wrap(b"in clear", NOW).unwrap();
    assert_eq!(b.verify_mic(b"in clear", &wrapped, NOW), Err(GssError::Message(WrapError::Forged)));
    let mut altered = check.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(b.verify_mic(b"in clear", &altered, NOW), Err(GssError::Message(WrapError::Forged)));
    assert_eq!(b.verify_mic(b"in clear", &check, NOW), Ok(()));
    assert_eq!(b.verify_mic(b"in clear", &check, NOW), Err(GssError::Message(WrapError::Replayed)));
    let other = a.get_mic(b"in clear", NOW).unwrap();
    assert_eq!(b.verify_mic(b"in clean", &other, NOW), Err(GssError::Message(WrapError::Forged)));
    assert_eq!(a.get_mic(b"", NOW.plus_secs(3600)), Err(GssError::Expired));
    assert_eq!(b.unwrap(&wrapped, NOW).unwrap().expose(), b"in clear", "checks have their own numbers");
}

#[test]
fn nothing_is_wrapped_after_the_lifetime() {
    let (mut a, mut b) = open(&Request::default());
    let wrapped = a.wrap(b"in time", NOW.plus_secs(3599)).unwrap();
    assert_eq!(b.unwrap(&wrapped, NOW.plus_secs(3600)), Err(GssError::Expired));
    assert_eq!(a.wrap(b"late", NOW.plus_secs(3600)), Err(GssError::Expired));
}

#[test]
fn another_process_carries_on_with_an_exported_context() {
    for delivery in [Delivery::InOrder, Delivery::Windowed] {
        let (mut a, mut b) = open(&Request { delivery, ..Request::default() });
        let before = a.wrap(b"before", NOW).unwrap();
        b.unwrap(&before, NOW).unwrap();
        let info = b.inquire_context(NOW);
        let carry = |c: SecurityContext| {
            SecurityContext::import_sec_context(crypto(), &c.export_sec_context()).unwrap()
        };
        let (mut a, mut b) = (carry(a), carry(b));
        assert_eq!(b.inquire_context(NOW), info);
        assert_eq!(b.unwrap(&before, NOW), Err(GssError::Message(WrapError::Replayed)));
        let check = a.get_mic(b"after", NOW).unwrap();
        assert_eq!(b.verify_mic(b"after", &check, NOW), Ok(()));
        let after = a.wrap(b"after", NOW).unwrap();
        assert_eq!(b.unwrap(&after, NOW).unwrap().expose(), b"after");
        assert_eq!(a.pseudo_random(b"p"), b.pseudo_random(b"p"));
    }
}

#[test]
fn an_exported_context_that_is_cut_is_refused() {
    let state = open(&Request::default()).0.export_sec_context();
    for length in 0..state.expose().len() {
        let cut = SecretBytes::new(state.expose()[..length].to_vec());
        assert!(matches!(SecurityContext::import_sec_context(crypto(), &cut), Err(GssError::State(_))));
    }
}

#[test]
fn the_shape_does_not_change_the_protocol() {
    let mut service = Service::new();
    let options = options(Suite::XWing);
    let (set, token) = (&service.gateway.verified, TestToken::new());
    let (waiting, first) = Initiator::begin(crypto(), &mut SystemEntropy, set, &options, token, NOW).unwrap();
    let (_, second) = accept(&mut service, &Request::default(), &first).unwrap();
    assert_eq!(waiting.finish(&second).unwrap().subject, "alice");
}
