use super::{DAY, NOW, World, crypto};
use crate::{ContextKeys, Identity, IssuerError, Validity};
use proptest::prelude::*;
use symbolon_crypto::{RevocationLists, Suite, TrustedIssuer};
use symbolon_provider::P256SigningKey;
use symbolon_wire::{Encode, Time};

const HOUR: u64 = 3_600;

fn gateway(lifetime_secs: u64) -> (TrustedIssuer, ContextKeys) {
    let world = World::new();
    let trusted = world.trusted();
    let issuer = world.issuer.certificate().to_vec();
    (trusted, ContextKeys::new(world.identity, issuer, lifetime_secs, NOW).unwrap())
}

#[test]
fn a_new_generation_is_shown_at_half_life_and_not_before() {
    let (_, mut keys) = gateway(DAY);
    let first = keys.offer().clone();
    assert_eq!(keys.rotate_if_due(NOW.plus_secs(DAY / 2 - 1)), Ok(false));
    assert_eq!(keys.offer(), &first);
    assert_eq!(keys.rotate_if_due(NOW.plus_secs(DAY / 2)), Ok(true));
    assert_ne!(keys.offer(), &first);
    assert_eq!(keys.rotate_if_due(NOW.plus_secs(DAY / 2)), Ok(false));
    assert_eq!(keys.offer_bytes(), keys.offer().to_bytes());
}

#[test]
fn an_old_key_answers_until_its_certificate_ends_and_is_gone_after() {
    let (trusted, mut keys) = gateway(DAY);
    let first = keys
        .offer()
        .verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), NOW)
        .unwrap();
    let ids = Suite::ALL.map(|s| first.key(&[s]).unwrap().id);
    for hour in 0..=24 {
        keys.rotate_if_due(NOW.plus_secs(hour * HOUR)).unwrap();
        assert!(ids.iter().all(|id| keys.key(id).is_some()), "hour {hour}");
    }
    keys.rotate_if_due(NOW.plus_secs(DAY + 1)).unwrap();
    assert!(ids.iter().all(|id| keys.key(id).is_none()));
}

#[test]
fn a_gateway_that_slept_long_makes_new_keys_and_drops_all_others() {
    let (trusted, mut keys) = gateway(DAY);
    let first = keys
        .offer()
        .verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), NOW)
        .unwrap();
    let later = NOW.plus_secs(30 * DAY);
    assert_eq!(keys.rotate_if_due(later), Ok(true));
    assert!(keys.key(&first.key(&Suite::ALL).unwrap().id).is_none());
    assert!(
        keys.offer()
            .verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), later)
            .is_ok()
    );
}

#[test]
fn a_clock_that_was_set_back_gets_keys_that_are_valid_by_it() {
    let (trusted, mut keys) = gateway(DAY);
    keys.rotate_if_due(NOW.plus_secs(20 * DAY)).unwrap();
    let corrected = NOW.plus_secs(HOUR);
    assert_eq!(keys.rotate_if_due(corrected), Ok(true));
    assert!(
        keys.offer()
            .verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), corrected)
            .is_ok()
    );
    assert_eq!(keys.rotate_if_due(corrected), Ok(false));
}

#[test]
fn the_last_generation_ends_with_the_identity() {
    let world = World::new();
    let trusted = world.trusted();
    let short = world.issuer.gateway_identity(world.identity.name(), Validity::starting(NOW, DAY)).unwrap();
    let issuer = world.issuer.certificate().to_vec();
    let mut keys = ContextKeys::new(short, issuer, 7 * DAY, NOW).unwrap();
    let mut valid_at = |secs| {
        let now = NOW.plus_secs(secs);
        assert_eq!(keys.rotate_if_due(now), Ok(false));
        keys.offer().verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), now).is_ok()
    };
    assert!(valid_at(HOUR));
    assert!(valid_at(DAY));
    assert!(!valid_at(DAY + 1));
}

#[test]
fn keys_under_the_next_issuer_are_shown_at_once_and_the_old_ones_answer_until_their_end() {
    let world = World::new();
    let next = World::new();
    let (name, key) = (world.identity.name().clone(), world.identity.key().pkcs8().duplicate());
    let certified = |issuer: &crate::Issuer, key: &P256SigningKey| {
        issuer.certify_identity(&name, key.public_point(), World::months(3)).unwrap()
    };
    let identity = |issuer: &crate::Issuer| {
        let key = P256SigningKey::from_pkcs8(key.duplicate()).unwrap();
        Identity::load(certified(issuer, &key), key).unwrap()
    };
    let mut keys =
        ContextKeys::new(identity(&world.issuer), world.issuer.certificate().to_vec(), DAY, NOW).unwrap();
    let first =
        keys.offer().verify(crypto(), &world.trusted(), &RevocationLists::none(), &name, NOW).unwrap();
    let old = first.key(&Suite::ALL).unwrap().id;
    let shown = keys.offer().clone();

    // another key, another gateway, or an identity that the issuer did not certify: nothing changes
    let stranger = P256SigningKey::generate();
    let stranger = Identity::load(certified(&next.issuer, &stranger), stranger).unwrap();
    assert_eq!(keys.follow(stranger, &next.trusted(), NOW), Err(IssuerError::OtherKey));
    assert!(matches!(
        keys.follow(identity(&world.issuer), &next.trusted(), NOW),
        Err(IssuerError::Malformed(_))
    ));
    assert_eq!(keys.offer(), &shown);

    keys.follow(identity(&next.issuer), &next.trusted(), NOW).unwrap();
    assert!(keys.offer().verify(crypto(), &next.trusted(), &RevocationLists::none(), &name, NOW).is_ok());
    assert_eq!(keys.offer_bytes(), keys.offer().to_bytes());
    assert!(keys.key(&old).is_some_and(|(_, set)| *set == shown.hash(crypto())));
    assert_eq!(keys.rotate_if_due(NOW.plus_secs(DAY / 2 - 1)), Ok(false));
    keys.rotate_if_due(NOW.plus_secs(DAY + 1)).unwrap();
    assert!(keys.key(&old).is_none());
    assert!(
        keys.offer()
            .verify(crypto(), &next.trusted(), &RevocationLists::none(), &name, NOW.plus_secs(DAY + 1))
            .is_ok()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever reads an offer at any moment, keeps it for as long as it verifies, and comes with a
    /// clock that is up to ten minutes wrong in either direction, finds the key still there.
    #[test]
    fn rotation_drops_nobody(
        lifetime in 1_800_u64..2 * DAY,
        steps in prop::collection::vec(1_u64..1_200, 1..60),
        slow_by in 0..super::super::CLOCK_LEEWAY_SECS,
    ) {
        let (trusted, mut keys) = gateway(lifetime);
        let mut now = NOW;
        let mut seen = Vec::new();
        for step in steps {
            // in quarters of the lifetime at most, as demanded
            now = now.plus_secs(step.min(lifetime / 4));
            keys.rotate_if_due(now).unwrap();
            let slow: Time = now.minus_secs(slow_by);
            prop_assert!(keys.offer().verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), slow).is_ok());
            seen.push(keys.offer().clone());
            for offer in &seen {
                let Ok(verified) = offer.verify(crypto(), &trusted, &RevocationLists::none(), keys.identity().name(), now) else { continue };
                for suite in Suite::ALL {
                    let shown = verified.key(&[suite]).unwrap();
                    let key = keys.key(&shown.id).map(|(key, key_set)| (key.public(), key_set));
                    prop_assert_eq!(key, Some((&shown.public, verified.hash())));
                }
            }
        }
    }
}
