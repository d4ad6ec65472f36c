//! What a gateway tells a client to do (B9, B11).

use crate::pair::{Gateway, NOW};
use symbolon_policy::AppName;
use symbolon_provider::crypto;
use symbolon_token::{Configuration, ConfigurationError, Destination};
use symbolon_wire::Encode;

const SESSION: [u8; 16] = [5; 16];

fn configuration(gateway: &Gateway) -> Configuration {
    Configuration {
        version: 7,
        gateway: gateway.verified.name().clone(),
        session_id: SESSION,
        issued: NOW,
        destinations: vec![Destination {
            app: AppName::parse("db.office").unwrap(),
            protocol: "postgresql".into(),
            description: "The office's database".into(),
            until: Some(NOW.plus_secs(60)),
        }],
    }
}

fn signed(gateway: &Gateway, configuration: &Configuration) -> Vec<u8> {
    configuration.sign(gateway.keys.identity().key()).unwrap()
}

fn verify(
    gateway: &Gateway,
    session: [u8; 16],
    applied: Option<u64>,
    bytes: &[u8],
) -> Result<Configuration, ConfigurationError> {
    Configuration::verify(crypto(), &gateway.verified, &session, applied, bytes)
}

#[test]
fn a_signed_configuration_is_applied_as_it_was_made() {
    let gateway = Gateway::new("gw.example");
    let bytes = signed(&gateway, &configuration(&gateway));
    for applied in [None, Some(0), Some(6)] {
        assert_eq!(verify(&gateway, SESSION, applied, &bytes), Ok(configuration(&gateway)));
    }
}

#[test]
fn a_stale_configuration_is_refused() {
    let gateway = Gateway::new("gw.example");
    let bytes = signed(&gateway, &configuration(&gateway));
    for applied in [7, 8, u64::MAX] {
        let refused = verify(&gateway, SESSION, Some(applied), &bytes);
        assert_eq!(refused, Err(ConfigurationError::Stale { applied }));
    }
}

#[test]
fn a_configuration_for_somebody_else_is_refused() {
    let gateway = Gateway::new("gw.example");
    let bytes = signed(&gateway, &configuration(&gateway));
    assert_eq!(verify(&gateway, [6; 16], None, &bytes), Err(ConfigurationError::ForSomebodyElse));
    let mut elsewhere = configuration(&gateway);
    elsewhere.gateway = crate::pair::name("other.example");
    let bytes = signed(&gateway, &elsewhere);
    assert_eq!(verify(&gateway, SESSION, None, &bytes), Err(ConfigurationError::ForSomebodyElse));
}

#[test]
fn a_configuration_that_another_gateway_signed_is_refused() {
    let (gateway, other) = (Gateway::new("gw.example"), Gateway::new("gw.example"));
    let bytes = signed(&other, &configuration(&gateway));
    assert_eq!(verify(&gateway, SESSION, None, &bytes), Err(ConfigurationError::Forged));
}

#[test]
fn a_configuration_that_is_cut_or_altered_is_refused() {
    let gateway = Gateway::new("gw.example");
    let bytes = signed(&gateway, &configuration(&gateway));
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1 << (place % 8);
        assert!(verify(&gateway, SESSION, None, &altered).is_err(), "byte {place}");
        assert!(verify(&gateway, SESSION, None, &bytes[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_signature_over_a_key_set_signs_no_configuration() {
    use symbolon_crypto::Signer as _;
    let gateway = Gateway::new("gw.example");
    let body = configuration(&gateway).to_bytes();
    let signature = gateway.keys.identity().key().sign(&body).unwrap();
    let mut w = symbolon_wire::Writer::new();
    w.bytes24(&body);
    w.bytes16(&signature);
    let refused = verify(&gateway, SESSION, None, &w.into_bytes());
    assert_eq!(refused, Err(ConfigurationError::Forged), "without its label");
}

#[test]
fn text_that_could_move_a_cursor_is_refused() {
    let gateway = Gateway::new("gw.example");
    for text in ["\u{1b}[2J", "two\nlines", "\u{202e}txt.exe"] {
        let mut odd = configuration(&gateway);
        odd.destinations[0].description = text.into();
        let bytes = signed(&gateway, &odd);
        let refused = verify(&gateway, SESSION, None, &bytes);
        assert!(matches!(refused, Err(ConfigurationError::Malformed(_))), "{text:?}");
    }
}
