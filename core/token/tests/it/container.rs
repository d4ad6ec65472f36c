//! The token file (B1, B7): what is in it, and what becomes of a file that was cut or altered.

use crate::pair::{Gateway, NOW, places, registration};
use symbolon_crypto::{GatewayIdentity, KeySetError, Secret, TrustedIssuer};
use symbolon_issuer::Issuer;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::container::{HeldKey, MAX_FILE, Pin, PinCost, Token, TokenError, UnlockedToken};

/// As cheap as Argon2id can be.
pub(crate) const CHEAP: PinCost = PinCost { memory_kib: 8, passes: 1, lanes: 1 };

/// A key that a search in a file would find.
const CANARY: [u8; 32] = *b"canary-canary-canary-canary-cana";

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text.into()).unwrap()
}

pub(crate) fn blank(gateway: &Gateway) -> Token {
    Token::blank(&mut SystemEntropy, gateway.issuer.clone())
}

fn software(key: [u8; 32]) -> HeldKey {
    HeldKey::Software(SoftwareKey::new(Secret::new(key)))
}

/// A registered token, as its file.
pub(crate) fn file(gateway: &Gateway) -> Vec<u8> {
    let mut token =
        UnlockedToken::first_pin(crypto(), &mut SystemEntropy, blank(gateway), &pin("123456"), CHEAP)
            .unwrap();
    token.put(registration(gateway, CANARY)).unwrap();
    token.seal(crypto(), &mut SystemEntropy).to_file(crypto())
}

pub(crate) fn load(bytes: &[u8]) -> Token {
    Token::from_file(crypto(), bytes).unwrap()
}

pub(crate) fn unlock(bytes: &[u8], with: &str) -> Result<UnlockedToken, TokenError> {
    load(bytes).attempt(NOW)?.unlock(crypto(), &pin(with))
}

/// Makes the checksum right again, as an attacker can.
pub(crate) fn mend(bytes: &mut [u8]) {
    let body = bytes.len() - 32;
    let sum = crypto().sha256(&[&bytes[..body]]);
    bytes[body..].copy_from_slice(&sum);
}

#[test]
fn a_blank_token_holds_the_issuers_certificate_and_no_secret() {
    let gateway = Gateway::new("gw.example");
    let token = blank(&gateway);
    let bytes = token.to_file(crypto());
    let certificate = gateway.issuer.certificate();
    let mut expected = b"SYMBOLON TOKEN\n\x01".to_vec();
    expected.extend_from_slice(token.id());
    expected.extend_from_slice(&(certificate.len() as u16).to_be_bytes());
    expected.extend_from_slice(certificate);
    expected.push(0);
    let checksum = crypto().sha256(&[&expected]);
    expected.extend_from_slice(&checksum);
    assert_eq!(bytes, expected, "nothing else is in it");
    assert_eq!(load(&bytes).attempt(NOW).err(), Some(TokenError::NotRegistered));
}

#[test]
fn the_authentication_key_is_nowhere_in_the_file() {
    let bytes = file(&Gateway::new("gw.example"));
    assert!(!bytes.windows(6).any(|w| w == &CANARY[..6]));
    assert!(!bytes.windows(5).any(|w| w == b"alice"));
    assert!(!format!("{:?}", unlock(&bytes, "123456").unwrap()).contains("canary"));
}

#[test]
fn the_same_bytes_open_on_another_machine() {
    let gateway = Gateway::new("gw.example");
    let token = unlock(&file(&gateway).clone(), "123456").unwrap();
    let kept = token.registration(gateway.verified.name()).unwrap();
    assert_eq!(kept.key, software(CANARY));
    assert_eq!((&kept.key_set, kept.next_number), (gateway.keys.offer(), Some([4; 32])));
}

#[test]
fn one_token_registers_with_several_gateways() {
    let gateways = ["one.example", "two.example", "three.example"].map(Gateway::new);
    let mut token = unlock(&file(&gateways[0]), "123456").unwrap();
    for (i, gateway) in gateways.iter().enumerate() {
        token.put(registration(gateway, [i as u8; 32])).unwrap();
    }
    let bytes = token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
    let token = unlock(&bytes, "123456").unwrap();
    assert_eq!(token.registrations().len(), 3, "the first was replaced");
    for (i, gateway) in gateways.iter().enumerate() {
        let kept = token.registration(gateway.verified.name()).unwrap();
        assert_eq!(kept.key, software([i as u8; 32]));
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = file(&Gateway::new("gw.example"));
    for length in 0..bytes.len() {
        let refused = Token::from_file(crypto(), &bytes[..length]).err();
        assert!(matches!(refused, Some(TokenError::Damaged(_))), "at {length}: {refused:?}");
    }
    let longer = [bytes, vec![0]].concat();
    assert!(matches!(Token::from_file(crypto(), &longer), Err(TokenError::Damaged(_))));
}

#[test]
fn a_file_with_any_byte_altered_is_refused() {
    const VERSION_AT: usize = 15;
    let bytes = file(&Gateway::new("gw.example"));
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1 << (place % 8);
        let refused = Token::from_file(crypto(), &altered).err().unwrap();
        match place {
            VERSION_AT => assert!(matches!(refused, TokenError::NewerVersion(_))),
            _ => assert!(matches!(refused, TokenError::Damaged(_)), "byte {place}: {refused:?}"),
        }
    }
}

#[test]
fn a_file_altered_with_care_does_not_open_either() {
    let bytes = file(&Gateway::new("gw.example"));
    let certificate = u16::from_be_bytes([bytes[32], bytes[33]]) as usize;
    let cost = 34 + certificate + 1;
    let counter = cost + 12 + 16;
    let sealed = counter + 9;
    // Everything that is sealed, and what it is sealed with, but not the counter of attempts.
    for place in (16..32).chain(cost..counter).chain(sealed..bytes.len() - 32) {
        if place > sealed + 60 && place % 41 != 0 {
            continue;
        }
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        mend(&mut altered);
        let opened = Token::from_file(crypto(), &altered)
            .and_then(|t| t.attempt(NOW))
            .and_then(|a| a.unlock(crypto(), &pin("123456")));
        assert!(opened.is_err(), "byte {place}");
    }
}

#[test]
fn a_swapped_issuer_is_noticed() {
    let (here, there) = (Gateway::new("gw.example"), Gateway::new("gw.example"));
    let bytes = file(&here);
    let old = here.issuer.certificate();
    let new = there.issuer.certificate();
    let mut swapped = bytes[..32].to_vec();
    swapped.extend_from_slice(&(new.len() as u16).to_be_bytes());
    swapped.extend_from_slice(new);
    swapped.extend_from_slice(&bytes[34 + old.len()..]);
    mend(&mut swapped);
    assert_eq!(load(&swapped).issuer(), &there.issuer);
    assert_eq!(unlock(&swapped, "123456").err(), Some(TokenError::WrongPin { left: 9 }));
}

#[test]
fn a_token_of_a_newer_program_says_so() {
    let mut bytes = file(&Gateway::new("gw.example"));
    bytes[15] = 3;
    mend(&mut bytes);
    let refused = Token::from_file(crypto(), &bytes).err();
    assert_eq!(refused, Some(TokenError::NewerVersion(3)));
    assert!(refused.unwrap().to_string().contains("newer symbolon"));
    for never in [0, 2] {
        bytes[15] = never;
        mend(&mut bytes);
        assert!(matches!(Token::from_file(crypto(), &bytes), Err(TokenError::Damaged(_))), "version {never}");
    }
}

#[test]
fn a_file_cannot_ask_for_endless_work() {
    let bytes = file(&Gateway::new("gw.example"));
    let certificate = u16::from_be_bytes([bytes[32], bytes[33]]) as usize;
    let cost = 34 + certificate + 1;
    for field in 0..3 {
        let mut greedy = bytes.clone();
        greedy[cost + 4 * field..cost + 4 * field + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        mend(&mut greedy);
        assert_eq!(
            Token::from_file(crypto(), &greedy).err(),
            Some(TokenError::Damaged("impossible PIN cost"))
        );
    }
    assert!(matches!(Token::from_file(crypto(), &vec![0; MAX_FILE + 1]), Err(TokenError::Damaged(_))));
}

#[test]
fn a_token_whose_issuer_is_no_certificate_is_refused() {
    let issuer = Issuer::create("Example Works", NOW, 1).unwrap();
    let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
    let mut bytes = Token::blank(&mut SystemEntropy, trusted).to_file(crypto());
    bytes[34] ^= 0xff;
    mend(&mut bytes);
    assert!(matches!(Token::from_file(crypto(), &bytes), Err(TokenError::Issuer(_))));
}

#[test]
fn a_token_that_is_handed_out_for_a_gateway_holds_its_certificate_and_no_secret() {
    let gateway = Gateway::new("gw.example");
    let certificate = gateway.keys.identity().certificate();
    let identity = GatewayIdentity::read(crypto(), certificate, &gateway.issuer).unwrap();
    let token = Token::blank_for(&mut SystemEntropy, gateway.issuer.clone(), identity.clone()).unwrap();
    let bytes = token.to_file(crypto());
    let mut expected = b"SYMBOLON TOKEN\n\x01".to_vec();
    expected.extend_from_slice(token.id());
    for (mark, content) in [(None, gateway.issuer.certificate()), (Some(3), certificate)] {
        expected.extend(mark);
        expected.extend_from_slice(&(content.len() as u16).to_be_bytes());
        expected.extend_from_slice(content);
    }
    expected.extend_from_slice(&crypto().sha256(&[&expected]));
    assert_eq!(bytes, expected, "nothing else is in it");
    assert_eq!(load(&bytes).gateway(), Some(&identity));
    let token = UnlockedToken::first_pin(crypto(), &mut SystemEntropy, load(&bytes), &pin("123456"), CHEAP);
    let registered = token.unwrap().seal(crypto(), &mut SystemEntropy);
    assert_eq!(registered.gateway(), None, "each registration has its own");
}

#[test]
fn a_wrong_gateways_certificate_in_a_token_is_refused() {
    let (gateway, other) = (Gateway::new("gw.example"), Gateway::new("gw.example"));
    let foreign =
        GatewayIdentity::read(crypto(), other.keys.identity().certificate(), &other.issuer).unwrap();
    let mixed = Token::blank_for(&mut SystemEntropy, gateway.issuer.clone(), foreign);
    assert_eq!(mixed.err(), Some(TokenError::Gateway(KeySetError::OtherIssuer)));

    let certificate = gateway.keys.identity().certificate();
    let identity = GatewayIdentity::read(crypto(), certificate, &gateway.issuer).unwrap();
    let token = Token::blank_for(&mut SystemEntropy, gateway.issuer.clone(), identity).unwrap();
    let right = token.to_file(crypto());
    let begin = right.len() - 32 - certificate.len();
    for wrong in [other.keys.identity().certificate(), gateway.issuer.certificate(), b"nonsense"] {
        let mut bytes = right[..begin - 2].to_vec();
        bytes.extend_from_slice(&(wrong.len() as u16).to_be_bytes());
        bytes.extend_from_slice(wrong);
        bytes.extend_from_slice(&[0; 32]);
        mend(&mut bytes);
        assert!(matches!(Token::from_file(crypto(), &bytes), Err(TokenError::Gateway(_))));
    }
    for place in places(certificate.len()) {
        let mut bytes = right.clone();
        bytes[begin + place] ^= 1;
        mend(&mut bytes);
        let refused = Token::from_file(crypto(), &bytes);
        assert!(matches!(refused, Err(TokenError::Gateway(_))), "byte {place}");
    }
}
