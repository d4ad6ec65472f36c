//! Retry cookies under load.

use crate::pair::{Gateway, NOW};
use symbolon_crypto::{CheapCheck, CheapChecked, CookieJar, Envelope, Purpose, Secret, Suite};
use symbolon_provider::crypto;
use symbolon_wire::Decode;

const HERE: &[u8] = b"192.0.2.7";

fn checked(gateway: &Gateway, bytes: &[u8]) -> CheapChecked {
    let envelope = Envelope::from_bytes(bytes).unwrap();
    CheapCheck::new(crypto(), gateway.verified.hash(), Purpose::Context).check(crypto(), envelope).unwrap()
}

#[test]
fn cve_malformed_cookie_never_fails_open() {
    let gateway = Gateway::new("gw.example");
    let jar = CookieJar::new(Secret::new([1; 32]));
    let (waiting, first) = gateway.first(Suite::X25519);
    assert!(!jar.accepts(crypto(), &checked(&gateway, &first), HERE, NOW), "none at all");
    let cookie = jar.bake(crypto(), &checked(&gateway, &first), HERE, NOW);
    let again = checked(&gateway, &waiting.with_cookie(cookie));
    assert!(jar.accepts(crypto(), &again, HERE, NOW));
    assert!(jar.accepts(crypto(), &again, HERE, NOW.plus_secs(20)));
    assert!(!jar.accepts(crypto(), &again, HERE, NOW.plus_secs(21)), "stale");
    assert!(!jar.accepts(crypto(), &again, HERE, NOW.minus_secs(1)), "from the future");
    assert!(!jar.accepts(crypto(), &again, b"192.0.2.8", NOW), "another address");
    let other_jar = CookieJar::new(Secret::new([2; 32]));
    assert!(!other_jar.accepts(crypto(), &again, HERE, NOW), "another process's");
    let (other, _) = gateway.first(Suite::X25519);
    let moved = checked(&gateway, &other.with_cookie(cookie));
    assert!(!jar.accepts(crypto(), &moved, HERE, NOW), "for another message");
    for place in 0..24 {
        let mut altered = cookie;
        altered[place] ^= 1;
        let altered = checked(&gateway, &waiting.with_cookie(altered));
        assert!(!jar.accepts(crypto(), &altered, HERE, NOW), "byte {place}");
    }
}

#[test]
fn the_context_with_a_cookie_is_the_same_context() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, _) = gateway.first(Suite::XWing);
    let (acceptor, second) = gateway.accept(&waiting.with_cookie([7; 24])).unwrap();
    assert_eq!(waiting.finish(&second).unwrap().secrets.session, acceptor.session);
}
