//! A gateway's certificates as its clients and as OpenSSL see them.

mod chains;
mod context_keys;
mod forge;
mod gateways;
mod key_set;
mod linting;
mod offline;
mod openssl;
mod ours;
mod renewing;
mod requests;
mod revoking;
mod rules;
mod succession;
mod verdicts;

use crate::certificate::{self, Kind, Template};
use crate::{ContextKey, Identity, Issuer, IssuerError, Validity};
use symbolon_crypto::{GatewayName, TrustedIssuer};
use symbolon_provider::{P256SigningKey, crypto};
use symbolon_wire::Time;

const DAY: u64 = 86_400;
/// 2026-11-21, about noon.
const NOW: Time = Time::from_secs(1_795_262_400);

fn name(text: &str) -> GatewayName {
    GatewayName::parse(text).unwrap()
}

/// An issuer and one gateway of its.
struct World {
    issuer: Issuer,
    identity: Identity,
}

impl World {
    fn new() -> Self {
        let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
        let identity = issuer.gateway_identity(&name("gw.example.org"), Self::months(3)).unwrap();
        Self { issuer, identity }
    }

    fn months(months: u64) -> Validity {
        Validity::starting(NOW, months * 30 * DAY)
    }

    fn trusted(&self) -> TrustedIssuer {
        TrustedIssuer::from_certificate(crypto(), self.issuer.certificate()).unwrap()
    }
}

#[test]
fn what_was_written_down_is_loaded_again() {
    let world = World::new();
    let key = |k: &P256SigningKey| P256SigningKey::from_pkcs8(k.pkcs8().duplicate()).unwrap();
    let issuer = Issuer::load(world.issuer.certificate().to_vec(), key(world.issuer.key())).unwrap();
    let identity = Identity::load(world.identity.certificate().to_vec(), key(world.identity.key())).unwrap();
    assert_eq!(issuer.certificate(), world.issuer.certificate());
    assert_eq!(identity.name(), &name("gw.example.org"));
    assert_eq!(identity.validity(), World::months(3));
}

#[test]
fn a_certificate_is_not_loaded_with_a_foreign_key() {
    let world = World::new();
    let other = P256SigningKey::generate;
    let issuer = Issuer::load(world.issuer.certificate().to_vec(), other());
    let identity = Identity::load(world.identity.certificate().to_vec(), other());
    assert_eq!(issuer.unwrap_err(), IssuerError::OtherKey);
    assert_eq!(identity.unwrap_err(), IssuerError::OtherKey);
}

#[test]
fn an_identity_needs_a_dns_name() {
    let issuer = Issuer::create("Example Works", NOW, 1).unwrap();
    let key = P256SigningKey::from_pkcs8(issuer.key().pkcs8().duplicate()).unwrap();
    let refused = Identity::load(issuer.certificate().to_vec(), key).unwrap_err();
    assert_eq!(refused, IssuerError::Malformed("no DNS name".into()));
}

#[test]
fn an_issuer_has_a_name_that_people_can_read() {
    for bad in ["", "two\nlines", "x".repeat(65).as_str()] {
        assert_eq!(Issuer::create(bad, NOW, 1).unwrap_err(), IssuerError::BadName, "{bad:?}");
    }
    for good in ["Müller & Söhne, \"GmbH\" + Co. #1", "例え", "ü".repeat(64).as_str()] {
        let issuer = Issuer::create(good, NOW, 1).unwrap();
        TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
    }
}

#[test]
fn no_certificate_outlives_its_signer() {
    let issuer = Issuer::create("Example Works", NOW, 1).unwrap();
    let identity =
        issuer.gateway_identity(&name("gw.example.org"), Validity::starting(NOW, 800 * DAY)).unwrap();
    assert_eq!(identity.validity().until(), issuer.validity().until());

    let late = Validity::starting(identity.validity().until(), DAY);
    let key = P256SigningKey::generate();
    let refused = issuer.certify_identity(&name("gw.example.org"), key.public_point(), late);
    assert_eq!(refused, Err(IssuerError::OutsideValidity));
    let refused = identity.context_key(symbolon_crypto::Suite::X25519, late);
    assert_eq!(refused.unwrap_err(), IssuerError::OutsideValidity);
}

#[test]
fn a_time_that_x509_cannot_write_is_refused() {
    let refused = Issuer::create("Example Works", Time(u64::MAX), 1);
    assert_eq!(refused.unwrap_err(), IssuerError::OutsideValidity);
    let refused = Issuer::create("Example Works", NOW, 10_000);
    assert_eq!(refused.unwrap_err(), IssuerError::OutsideValidity);
    // GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5)
    let issuer = Issuer::create("Example Works", NOW, 50).unwrap();
    assert_eq!(issuer.validity().until().secs(), NOW.secs() + 50 * 31_556_952);
}

#[test]
fn only_a_point_of_p256_is_certified() {
    let issuer = Issuer::create("Example Works", NOW, 1).unwrap();
    let mut compressed = vec![2];
    compressed.resize(33, 7);
    for bad in [&b""[..], &compressed, &[3; 65]] {
        let refused = issuer.certify_identity(&name("gw.example.org"), bad, World::months(1));
        assert!(matches!(refused, Err(IssuerError::Crypto(_))));
    }
}

#[test]
fn nothing_secret_is_printed() {
    let world = World::new();
    let keys =
        crate::ContextKeys::new(world.identity, world.issuer.certificate().to_vec(), DAY, NOW).unwrap();
    let printed = format!("{keys:?} {:?}", world.issuer);
    for key in [world.issuer.key(), keys.identity().key()] {
        let secret = format!("{:?}", &key.pkcs8().expose()[36..68]);
        assert!(!printed.contains(secret.trim_matches(['[', ']'])));
        assert!(printed.contains("KemPrivateKey(X-Wing)"));
    }
}
