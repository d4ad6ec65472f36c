//! What a gateway's own certificate says, and that one which its issuer revoked is refused (A1, B1).

use super::{NOW, World, crypto, name};
use crate::{ContextKeys, Issuer, RevocationReason, Revoked, Validity};
use symbolon_crypto::{
    GatewayIdentity, IssuerSet, KeySet, KeySetError, RevocationList, RevocationLists, SubjectError,
};

const WEEK: u64 = 7 * 24 * 3600;

fn list(issuer: &Issuer, number: u64, serials: &[&[u8]]) -> Vec<u8> {
    let entry = |s: &&[u8]| Revoked { serial: s.to_vec(), at: NOW, reason: RevocationReason::KeyCompromise };
    let revoked: Vec<_> = serials.iter().map(entry).collect();
    issuer.revocation_list(number, &revoked, Validity::starting(NOW, WEEK)).unwrap()
}

fn read(world: &World) -> GatewayIdentity {
    GatewayIdentity::read(crypto(), world.identity.certificate(), &world.trusted()).unwrap()
}

#[test]
fn an_identity_says_whose_it_is() {
    let world = World::new();
    let identity = read(&world);
    assert_eq!(identity.name(), world.identity.name());
    assert_eq!(identity.issuer(), world.trusted().fingerprint());
    assert_eq!(identity.certificate(), world.identity.certificate());
    assert!(identity.from() <= NOW && NOW < identity.until());
    let read = |der: &[u8], world: &World| GatewayIdentity::read(crypto(), der, &world.trusted());
    assert_eq!(read(world.identity.certificate(), &World::new()), Err(KeySetError::OtherIssuer));
    assert_eq!(read(world.issuer.certificate(), &world), Err(KeySetError::WrongUsage));
    assert!(matches!(read(b"nonsense", &world), Err(KeySetError::Malformed(_))));
    let context_key = &world.key_set().context_keys[0];
    assert_eq!(read(context_key, &world), Err(KeySetError::OtherIssuer), "of the gateway, not of the issuer");
}

#[test]
fn an_identity_is_followed_by_a_later_one_of_its_name_alone() {
    let world = World::new();
    let of = |gateway: &str, at| {
        let made = world.issuer.gateway_identity(&name(gateway), Validity::starting(at, WEEK)).unwrap();
        GatewayIdentity::read(crypto(), made.certificate(), &world.trusted()).unwrap()
    };
    let first = of("gw.example.org", NOW);
    assert!(first.is_followed_by(&first));
    assert!(first.is_followed_by(&of("gw.example.org", NOW.plus_secs(60))));
    assert!(!first.is_followed_by(&of("gw.example.org", NOW.minus_secs(60))), "it may have been given up");
    assert!(first.is_followed_by(&of("gw.example.org", NOW)), "another one of the same moment");
    assert!(!first.is_followed_by(&of("other.example.org", NOW.plus_secs(60))));
}

#[test]
fn a_gateway_that_is_on_its_issuers_list_is_refused_whenever_the_list_was_made() {
    let world = World::new();
    let set = world.key_set();
    let gateway = world.identity.name().clone();
    let verify = |lists: &RevocationLists, now| set.verify(crypto(), &world.trusted(), lists, &gateway, now);
    let admitted = |der: &[u8], issuer: &[u8]| {
        let mut lists = RevocationLists::none();
        assert!(lists.admit(RevocationList::read_undated(crypto(), der, issuer).unwrap()));
        lists
    };
    let verified = verify(&RevocationLists::none(), NOW).unwrap();
    let serial = verified.identity().serial().to_vec();

    let other = admitted(&list(&world.issuer, 1, &[&[7; 16]]), world.issuer.certificate());
    assert!(verify(&other, NOW).is_ok(), "somebody else is on it");
    let listed = admitted(&list(&world.issuer, 2, &[&serial]), world.issuer.certificate());
    assert_eq!(verify(&listed, NOW), Err(KeySetError::Revoked));
    assert_eq!(verified.identity().check_revocation(&listed), Err(KeySetError::Revoked));

    let early = Validity::starting(NOW.minus_secs(3 * WEEK), WEEK);
    let entry = Revoked { serial: serial.clone(), at: NOW, reason: RevocationReason::Unspecified };
    let old = world.issuer.revocation_list(1, &[entry], early).unwrap();
    let refused = RevocationList::read(crypto(), &old, world.issuer.certificate(), NOW);
    assert_eq!(refused.unwrap_err(), SubjectError::RevocationUnknown);
    let old = admitted(&old, world.issuer.certificate());
    assert_eq!(verify(&old, NOW), Err(KeySetError::Revoked), "what an old list says still counts");
}

#[test]
fn a_client_keeps_the_newest_list_of_the_issuers_that_it_trusts() {
    let world = World::new();
    let gateway = world.identity.name().clone();
    let verified =
        world.key_set().verify(crypto(), &world.trusted(), &RevocationLists::none(), &gateway, NOW);
    let verified = verified.unwrap();
    let serial = verified.identity().serial().to_vec();
    let mut set = IssuerSet::of(world.trusted());
    let mut admit = |der: &[u8]| set.admit_list(crypto(), der, NOW);
    let mut forged = list(&world.issuer, 5, &[&serial]);
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    assert!(admit(&forged).is_err());
    assert!(admit(&list(&World::new().issuer, 5, &[&serial])).is_err(), "of an issuer that is not trusted");
    assert!(admit(b"nonsense").is_err());
    assert_eq!(admit(&list(&world.issuer, 3, &[&serial])), Ok(Some(world.trusted().fingerprint())));
    assert_eq!(admit(&list(&world.issuer, 2, &[])), Ok(None), "an older one does not bring anybody back");
    assert_eq!(set.check_again(&verified), Err(KeySetError::Revoked));
    let refused = set.verify_key_set(crypto(), &world.key_set(), &gateway, NOW);
    assert_eq!(refused.map(drop), Err(KeySetError::Revoked));
}

#[test]
fn a_gateway_of_the_former_issuer_is_revoked_by_the_list_of_the_one_that_followed() {
    let world = World::new();
    let gateway = world.identity.name().clone();
    let next = Issuer::create("Next issuer", NOW, 10).unwrap();
    let change = world.issuer.hand_over(&next, NOW.plus_secs(WEEK), NOW).unwrap();
    let mut set = IssuerSet::of(world.trusted());
    set.follow(crypto(), &change, NOW).unwrap();
    let verified = set.verify_key_set(crypto(), &world.key_set(), &gateway, NOW).unwrap();
    // It never had a list of the old one, and there will be none by it any more.
    assert!(set.admit_list(crypto(), &list(&next, 1, &[&[7; 16]]), NOW).unwrap().is_some());
    assert_eq!(set.check_again(&verified), Ok(()), "somebody else is on it");
    let listed = list(&next, 2, &[verified.identity().serial()]);
    assert!(set.admit_list(crypto(), &listed, NOW).unwrap().is_some());
    assert_eq!(set.check_again(&verified), Err(KeySetError::Revoked));
    let refused = set.verify_key_set(crypto(), &world.key_set(), &gateway, NOW);
    assert_eq!(refused.map(drop), Err(KeySetError::Revoked));
}

#[test]
fn who_holds_a_gateways_certificate_talks_to_that_gateway_alone() {
    let world = World::new();
    let set_of = |gateway: &str, at| {
        let identity = world.issuer.gateway_identity(&name(gateway), Validity::starting(at, WEEK)).unwrap();
        let issuer = world.issuer.certificate().to_vec();
        ContextKeys::new(identity, issuer, 3600, NOW.plus_secs(120)).unwrap().offer().clone()
    };
    let at = NOW.plus_secs(120);
    let held = IssuerSet::of(world.trusted()).only(read(&world));
    let verify =
        |set: &KeySet, gateway: &str| held.verify_key_set(crypto(), set, &name(gateway), at).map(drop);
    let other = Err(KeySetError::OtherGateway(name("gw.example.org")));
    assert_eq!(verify(&world.key_set(), "gw.example.org"), Ok(()));
    assert_eq!(verify(&set_of("gw.example.org", at), "gw.example.org"), Ok(()));
    assert_eq!(verify(&set_of("gw.example.org", NOW.minus_secs(60)), "gw.example.org"), other);
    assert_eq!(verify(&set_of("other.example.org", at), "other.example.org"), other);
}
