//! One issuer follows another.

use super::ours::phone;
use super::{DAY, NOW, World, crypto, name};
use crate::{Issuer, IssuerError, LintProfile, RequestKey, lint_under};
use proptest::prelude::*;
use symbolon_crypto::{
    IssuerChange, IssuerChangeError, IssuerSet, KeySetError, Revocation, SubjectTrust, Suite, TrustedIssuer,
};
use symbolon_provider::P256SigningKey;
use symbolon_wire::{Decode, Encode};

const OVERLAP: u64 = 30 * DAY;

fn trusted(issuer: &Issuer) -> TrustedIssuer {
    TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap()
}

fn next() -> Issuer {
    Issuer::create("Example Works", NOW, 10).unwrap()
}

fn change(world: &World, next: &Issuer) -> IssuerChange {
    world.issuer.hand_over(next, NOW.plus_secs(OVERLAP), NOW).unwrap()
}

#[test]
fn clients_follow_a_new_issuer_and_forget_the_old_one_after_a_while() {
    let (world, next) = (World::new(), next());
    let gateway = name("gw.example.org");
    let offer = |issuer: &Issuer| {
        let identity = issuer.gateway_identity(&gateway, World::months(6)).unwrap();
        let key = identity.context_key(Suite::X25519, World::months(2)).unwrap();
        identity.key_set(issuer.certificate(), &[key]).unwrap()
    };
    let (old_offer, new_offer) = (offer(&world.issuer), offer(&next));
    let mut set = IssuerSet::of(world.trusted());
    let verify = |set: &IssuerSet, offer, now| set.verify_key_set(crypto(), offer, &gateway, now).map(|_| ());
    assert_eq!(verify(&set, &old_offer, NOW), Ok(()));
    assert_eq!(verify(&set, &new_offer, NOW), Err(KeySetError::OtherIssuer));

    let pushed = IssuerChange::from_bytes(&change(&world, &next).to_bytes()).unwrap();
    set.follow(crypto(), &pushed, NOW).unwrap();
    assert_eq!(set.follow(crypto(), &pushed, NOW), Ok(()), "said twice");
    assert_eq!(set.current(), &trusted(&next));
    assert_eq!(verify(&set, &old_offer, NOW), Ok(()), "nobody is cut off");
    assert_eq!(verify(&set, &new_offer, NOW), Ok(()));
    let after = NOW.plus_secs(OVERLAP + 1);
    assert_eq!(verify(&set, &new_offer, after), Ok(()));
    assert_eq!(verify(&set, &old_offer, after), Err(KeySetError::OtherIssuer));
    assert_eq!(set.at(NOW).count(), 2);
    assert_eq!(set.at(after).count(), 1);
}

#[test]
fn a_node_takes_certificates_of_both_issuers_meanwhile() {
    let (world, next) = (World::new(), next());
    let key = P256SigningKey::generate();
    let old = world.certify(&phone(), RequestKey::P256(&key));
    let renewed =
        World { issuer: Issuer::load(next.certificate().to_vec(), copy(&next)).unwrap(), ..World::new() }
            .certify(&phone(), RequestKey::P256(&key));
    let both = SubjectTrust::new(crypto(), &[trusted(&next), world.trusted()], Revocation::IfListed).unwrap();
    for certificate in [&old, &renewed] {
        assert!(both.verify(crypto(), &[certificate.der()], NOW).is_ok(), "under issuers of one name");
    }
    let mut grown = world.trust();
    let before = *grown.state();
    grown.set_issuers(crypto(), &[world.trusted(), trusted(&next)]).unwrap();
    assert!(grown.verify(crypto(), &[renewed.der()], NOW).is_ok());
    assert_ne!(grown.state(), &before);
    grown.set_issuers(crypto(), &[world.trusted()]).unwrap();
    assert_eq!(grown.state(), &before);
    assert!(grown.verify(crypto(), &[renewed.der()], NOW).is_err());
    let new = SubjectTrust::new(crypto(), &[trusted(&next)], Revocation::IfListed).unwrap();
    assert!(new.verify(crypto(), &[old.der()], NOW).is_err());
}

fn copy(issuer: &Issuer) -> P256SigningKey {
    P256SigningKey::from_pkcs8(issuer.key().pkcs8().duplicate()).unwrap()
}

#[test]
fn nobody_else_names_the_next_issuer() {
    let (world, next, rogue) = (World::new(), next(), next());
    let good = change(&world, &next);
    let verify = |change: &IssuerChange| change.verify(crypto(), &world.trusted(), NOW).map(|_| ());
    assert_eq!(verify(&good), Ok(()));
    let other = rogue.hand_over(&next, NOW.plus_secs(OVERLAP), NOW).unwrap();
    assert_eq!(verify(&other), Err(IssuerChangeError::OtherIssuer));
    let but = |original: &IssuerChange, change: &dyn Fn(&mut IssuerChange)| {
        let mut changed = original.clone();
        change(&mut changed);
        changed
    };
    let posing = but(&other, &|c| c.old = world.trusted().fingerprint());
    assert_eq!(verify(&posing), Err(IssuerChangeError::NotSigned));
    let longer = but(&good, &|c| c.old_until = c.old_until.plus_secs(1));
    assert_eq!(verify(&longer), Err(IssuerChangeError::NotSigned));
    let exchanged = but(&good, &|c| c.new_certificate = rogue.certificate().to_vec());
    assert_eq!(verify(&exchanged), Err(IssuerChangeError::NotSigned));
    // the old issuer's signature alone is not enough: whose key it names must agree
    let links = [good.new_under_old.clone(), good.old_under_new.clone()];
    let old = world.trusted().fingerprint();
    let one_sided = IssuerChange::sign(
        old,
        next.certificate().to_vec(),
        links,
        good.old_until,
        [world.issuer.key(), world.issuer.key()],
    );
    assert_eq!(verify(&one_sided.unwrap()), Err(IssuerChangeError::NotSigned));
    // links that were not signed by who they should be
    let forged = next.hand_over(&rogue, NOW.plus_secs(OVERLAP), NOW).unwrap();
    for links in [
        [forged.old_under_new.clone(), good.old_under_new.clone()],
        [good.new_under_old.clone(), good.new_under_old.clone()],
        [next.certificate().to_vec(), good.old_under_new.clone()],
        [good.new_under_old.clone(), world.issuer.certificate().to_vec()],
    ] {
        let signers: [&dyn symbolon_crypto::Signer; 2] = [world.issuer.key(), next.key()];
        let change =
            IssuerChange::sign(old, next.certificate().to_vec(), links, good.old_until, signers).unwrap();
        assert!(verify(&change).is_err());
    }
    // a gateway's identity is no issuer
    let identity = Issuer::load(world.identity.certificate().to_vec(), {
        P256SigningKey::from_pkcs8(world.identity.key().pkcs8().duplicate()).unwrap()
    })
    .unwrap();
    let below = identity.hand_over(&next, NOW.plus_secs(OVERLAP), NOW).unwrap();
    assert_eq!(verify(&below), Err(IssuerChangeError::OtherIssuer));
}

#[test]
fn a_change_is_followed_once_and_only_forward() {
    let (world, second, third) = (World::new(), next(), next());
    let first_change = change(&world, &second);
    let second_change = second.hand_over(&third, NOW.plus_secs(OVERLAP), NOW).unwrap();
    let mut set = IssuerSet::of(world.trusted());
    assert_eq!(
        set.follow(crypto(), &second_change, NOW),
        Err(IssuerChangeError::OtherIssuer),
        "out of order"
    );
    set.follow(crypto(), &first_change, NOW).unwrap();
    set.follow(crypto(), &second_change, NOW).unwrap();
    assert_eq!(set.follow(crypto(), &first_change, NOW), Err(IssuerChangeError::OtherIssuer), "back");
    let back = second.hand_over(&world.issuer, NOW.plus_secs(OVERLAP), NOW).unwrap();
    assert_eq!(set.follow(crypto(), &back, NOW), Err(IssuerChangeError::OtherIssuer));
    assert_eq!(set.current(), &trusted(&third));
}

#[test]
fn an_issuer_does_not_follow_itself_and_an_ended_one_names_nobody() {
    let world = World::new();
    let itself = world.issuer.hand_over(&world.issuer, NOW.plus_secs(OVERLAP), NOW);
    assert_eq!(itself.unwrap_err(), IssuerError::OtherKey);
    let ended = NOW.plus_secs(11 * 366 * DAY);
    let late = Issuer::create("Example Works", ended, 10).unwrap();
    assert_eq!(world.issuer.hand_over(&late, ended, ended).unwrap_err(), IssuerError::OutsideValidity);
    let good = change(&world, &next());
    assert!(good.verify(crypto(), &world.trusted(), ended).is_err());
}

#[test]
fn links_pass_the_linter() {
    let (world, next) = (World::new(), next());
    let change = change(&world, &next);
    for (link, signer) in
        [(&change.new_under_old, world.issuer.certificate()), (&change.old_under_new, next.certificate())]
    {
        assert_eq!(lint_under(link, LintProfile::Link, signer, crypto()), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_changed_byte_is_noticed(position in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (world, next) = (World::new(), next());
        let mut bytes = change(&world, &next).to_bytes();
        let position = position.index(bytes.len());
        bytes[position] ^= flip;
        let followed = IssuerChange::from_bytes(&bytes)
            .is_ok_and(|change| change.verify(crypto(), &world.trusted(), NOW).is_ok());
        prop_assert!(!followed, "byte {}", position);
    }
}
