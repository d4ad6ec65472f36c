//! What a stranger brings of Kerberos: an AP-REQ, whose frame is read here and the rest by the machine's library, and
//! names of principals as that library writes them.
//!
//! The acceptor is the gateway's own with a keytab of its own. Whoever has a ticket chooses what is sealed in the
//! authenticator, and a KDC what is in the ticket: both are ways to feed.

use std::sync::OnceLock;

use symbolon_crypto::{TokenProof as _, TranscriptHash};
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::kerberos::{
    KerberosAcceptor, KerberosError, KerberosProved, Keytab, Principal, PrincipalMap, ServicePrincipal,
};

use crate::ap_req::{
    MECHANISM, Parts, REALM, authenticator, checksum, der, further_fields, keytab, ticket_part,
};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "kerberos", feed, seeds };

/// The rest is a token.
const TOKEN: u8 = 0;
/// The rest is the principal of somebody.
const PRINCIPAL: u8 = 1;
/// The rest is the principal of a service.
const SERVICE: u8 = 2;

/// The rest is an Authenticator, sealed by whoever has a ticket.
const AUTHENTICATOR: u8 = 3;
/// The rest is the checksum in it, where channel bindings, flags and delegated credentials are.
const CHECKSUM: u8 = 4;
/// The rest is the content of a ticket.
const TICKET: u8 = 5;

const NOBODY: &str = "mallory@EXAMPLE.ORG";
const HERE: TranscriptHash = TranscriptHash([7; 32]);
/// MD5 of the channel bindings that have [`HERE`] as application data and nothing else (RFC 4121 §4.1.1.2).
const BOUND: [u8; 16] =
    [0x4f, 0x36, 0x9b, 0x23, 0xc2, 0x29, 0x1b, 0x5d, 0x20, 0x31, 0x64, 0x7e, 0xe9, 0xf4, 0xaa, 0x60];

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&TOKEN, rest)) => token(rest),
        Some((&PRINCIPAL, rest)) => std::str::from_utf8(rest).map_or((), principal),
        Some((&SERVICE, rest)) => std::str::from_utf8(rest).map_or((), service),
        Some((&AUTHENTICATOR, rest)) => sealed_authenticator(rest),
        Some((&CHECKSUM, rest)) => sealed_checksum(rest),
        Some((&TICKET, rest)) => sealed_ticket(rest),
        _ => {}
    }
}

fn sealed_authenticator(data: &[u8]) {
    let parts = Parts { authenticator: data.to_vec(), ..Parts::good(&BOUND) };
    if accept(&parts.token()).is_ok() {
        assert!(data.windows(16).any(|w| w == BOUND), "bound to something else");
        assert!(data.windows(5).any(|w| w == b"alice"), "the ticket is somebody else's");
    }
}

fn sealed_checksum(data: &[u8]) {
    let parts = Parts { authenticator: authenticator(data, &[]), ..Parts::good(&BOUND) };
    if accept(&parts.token()).is_ok() {
        assert_eq!(data.get(4..20), Some(&BOUND[..]), "bound to something else");
        assert!(data.get(20).is_some_and(|flags| flags & 2 != 0), "without mutual authentication");
    }
}

fn sealed_ticket(data: &[u8]) {
    let parts = Parts { ticket: data.to_vec(), ..Parts::good(&BOUND) };
    if accept(&parts.token()).is_ok() {
        assert!(data.windows(REALM.len()).any(|w| w == REALM.as_bytes()), "of another realm");
    }
}

fn token(data: &[u8]) {
    match accept(data) {
        Ok(_) => assert!(is_framed(data), "the library saw what is no AP-REQ in its frame"),
        Err(refusal) => {
            assert!(
                is_framed(data) || refusal == KerberosError::Malformed,
                "{refusal}: no AP-REQ in its frame"
            );
        }
    }
}

/// Whatever is let in is `alice` of our realm, in this exchange, with an answer and for a day at most.
fn accept(token: &[u8]) -> Result<KerberosProved, KerberosError> {
    let proved = acceptor().accept(token, &HERE)?;
    assert_eq!(proved.principal().realm(), REALM, "somebody of another realm");
    assert_eq!(proved.user().as_str(), proved.principal().name(), "another user");
    assert!(!proved.reply().is_empty(), "no answer");
    Ok(proved)
}

/// The frame of RFC 2743 §3.1, by writing it: a content has one encoding of its length.
fn is_framed(data: &[u8]) -> bool {
    let Some(at) = data.windows(MECHANISM.len()).position(|w| w == MECHANISM) else { return false };
    let content = &data[at..];
    content.len() > MECHANISM.len() && data.len() <= 65_536 && data == der(0x60, content)
}

fn acceptor() -> &'static KerberosAcceptor {
    static ACCEPTOR: OnceLock<KerberosAcceptor> = OnceLock::new();
    ACCEPTOR.get_or_init(|| {
        let place = std::env::temp_dir().join("symbolon-fuzz-kerberos");
        std::fs::create_dir_all(&place).expect("a directory for a keytab");
        std::fs::write(place.join("keytab"), keytab()).expect("a place for a keytab");
        // What earlier runs left there only makes it slower.
        let _ = std::fs::remove_file(place.join("replays"));
        let keytab = Keytab::new(&place.join("keytab"), &place.join("replays")).expect("a path");
        let service = ServicePrincipal::parse("symbolon/gw.example.org@EXAMPLE.ORG").expect("in full");
        KerberosAcceptor::new(service, keytab, PrincipalMap::of_realm(REALM, Spelling::Exact))
    })
}

fn principal(text: &str) {
    let Ok(principal) = Principal::parse(text) else { return };
    assert_eq!(principal.to_string(), text, "two spellings of one principal");
    assert!(!principal.name().contains(['/', '@', '\\']), "an instance is taken for its name");
    assert!(!principal.realm().contains('@'), "two realms");
    let nobody = Principal::parse(NOBODY).expect("a principal");
    for spelling in [Spelling::Exact, Spelling::AnyCase] {
        let map = PrincipalMap::of_realm(REALM, spelling).without(nobody.clone());
        let Ok(user) = map.user(&principal) else { continue };
        assert_eq!(principal.realm(), REALM, "somebody of another realm");
        assert_ne!(text, NOBODY, "who is refused");
        assert!(spelling == Spelling::AnyCase || user.as_str() == principal.name(), "another spelling");
        assert_eq!(CanonName::parse(user.as_str()).as_ref(), Ok(&user), "a name that is none");
    }
    let alice = CanonName::parse("alice").expect("a name");
    let listed =
        PrincipalMap::new().with_person(Principal::parse("a.smith@PARTNER.COM").expect("one"), alice);
    assert!(listed.user(&principal).is_err() || text == "a.smith@PARTNER.COM", "who is not listed");
}

fn service(text: &str) {
    let Ok(service) = ServicePrincipal::parse(text) else { return };
    assert_eq!(service.as_str(), text);
    assert_eq!(text.matches('@').count(), 1, "no realm, or two");
    assert_eq!(text.split('@').next().map_or(0, |name| name.matches('/').count()), 1, "no host, or two");
    assert!(Principal::parse(text).is_err(), "a service is taken for a person");
}

fn seeds() -> Vec<Vec<u8>> {
    let good = Parts::good(&BOUND);
    let proved = accept(&good.token())
        .expect("the library takes what a KDC and a client make (Debian: libgssapi-krb5-2)");
    assert_eq!(proved.principal().to_string(), "alice@EXAMPLE.ORG");
    let request = good.token();
    let mut reply = request.clone();
    let at = reply.windows(MECHANISM.len()).position(|w| w == MECHANISM).expect("it is in its frame");
    reply[at + 11] = 0x02;
    let spnego = [&[0x60, 0x48, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02][..], &request].concat();
    let garbage = |length: usize| der(0x60, &[&MECHANISM[..], &[0x6e], &vec![7; length]].concat());
    let mut seeds: Vec<Vec<u8>> = [1, 100, 3000].map(|length| by(TOKEN, &garbage(length))).into();
    seeds.extend([request, reply, spnego, b"\x6e\x03abc".to_vec()].map(|token| by(TOKEN, &token)));
    let with_fields = authenticator(&checksum(&BOUND), &further_fields());
    // Delegated credentials and an extension behind the flags (RFC 4121 §4.1.1).
    let delegating =
        [&checksum(&BOUND)[..], &[1, 0, 3, 0, 0x76, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9]].concat();
    let mut flagged = delegating.clone();
    flagged[20] |= 1;
    for way in [good.authenticator, with_fields, authenticator(&flagged, &further_fields())] {
        seeds.push(by(AUTHENTICATOR, &way));
    }
    seeds.extend([checksum(&BOUND), delegating, flagged, checksum(&[0; 16])].map(|sum| by(CHECKSUM, &sum)));
    seeds.push(by(TICKET, &ticket_part()));
    for text in
        ["alice@EXAMPLE.ORG", "Alice@EXAMPLE.ORG", NOBODY, "a.smith@PARTNER.COM", r"al\@ice@EXAMPLE.ORG"]
    {
        seeds.push(by(PRINCIPAL, text.as_bytes()));
    }
    for text in ["alice/admin@EXAMPLE.ORG", "symbolon/gw.example.org@EXAMPLE.ORG", "host/gw"] {
        seeds.extend([PRINCIPAL, SERVICE].map(|way| by(way, text.as_bytes())));
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(token: &[u8]) -> KerberosError {
        accept(token).expect_err("it must not be let in")
    }

    #[test]
    fn every_part_that_is_sealed_is_read_by_the_library() {
        let good = || Parts::good(&BOUND);
        let token = good().token();
        assert!(accept(&token).is_ok());
        assert_eq!(refusal(&token), KerberosError::Replayed);
        let authenticator = |sum: &[u8], further: &[Vec<u8>]| {
            Parts { authenticator: authenticator(sum, further), ..good() }.token()
        };
        assert!(accept(&authenticator(&checksum(&BOUND), &further_fields())).is_ok());
        assert_eq!(refusal(&authenticator(&checksum(&[0; 16]), &[])), KerberosError::NotBound);
        assert_eq!(refusal(&authenticator(&checksum(&[1; 16]), &[])), KerberosError::NotBound);
        assert!(accept(&authenticator(&[], &[])).is_err(), "no checksum");
        let mut ticket = ticket_part();
        let realm = ticket.windows(REALM.len()).position(|w| w == REALM.as_bytes()).expect("it names one");
        ticket[realm] = b'F';
        assert!(
            accept(&Parts { ticket, ..good() }.token()).is_err(),
            "another realm than in the authenticator"
        );
    }
}
