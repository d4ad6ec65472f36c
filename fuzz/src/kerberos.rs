//! What a stranger brings of Kerberos: the frame of an AP-REQ, which is read before the machine's library sees it, and
//! names of principals as that library writes them.

use std::path::Path;
use std::sync::OnceLock;

use symbolon_crypto::TranscriptHash;
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::kerberos::{
    KerberosAcceptor, KerberosError, Keytab, Principal, PrincipalMap, ServicePrincipal,
};

use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "kerberos", feed, seeds };

/// The rest is a token.
const TOKEN: u8 = 0;
/// The rest is the principal of somebody.
const PRINCIPAL: u8 = 1;
/// The rest is the principal of a service.
const SERVICE: u8 = 2;

/// The mechanism (RFC 4121 §1) as DER, and the AP-REQ that follows.
const MECHANISM: [u8; 13] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01, 0x00];
const REALM: &str = "EXAMPLE.ORG";
const NOBODY: &str = "mallory@EXAMPLE.ORG";

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&TOKEN, rest)) => token(rest),
        Some((&PRINCIPAL, rest)) => std::str::from_utf8(rest).map_or((), principal),
        Some((&SERVICE, rest)) => std::str::from_utf8(rest).map_or((), service),
        _ => {}
    }
}

fn token(data: &[u8]) {
    let refusal =
        acceptor().accept(data, &TranscriptHash([7; 32])).expect_err("there is no key for any ticket");
    let passed = refusal != KerberosError::Malformed;
    assert_eq!(
        passed,
        is_framed(data),
        "{refusal}: the library sees AP-REQs of Kerberos in their frame, and nothing else"
    );
}

/// The frame of RFC 2743 §3.1, by writing it: a content has one encoding of its length.
fn is_framed(data: &[u8]) -> bool {
    let Some(at) = data.windows(MECHANISM.len()).position(|w| w == MECHANISM) else { return false };
    let content = &data[at..];
    content.len() > MECHANISM.len() && data.len() <= 65_536 && data == framed(content)
}

fn framed(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|b| **b == 0).count()..];
    let mut token = vec![0x60];
    if content.len() >= 0x80 {
        token.push(0x80 | digits.len() as u8);
    }
    [&token, digits, content].concat()
}

/// With a keytab that is not there: what passes the frame ends there.
fn acceptor() -> &'static KerberosAcceptor {
    static ACCEPTOR: OnceLock<KerberosAcceptor> = OnceLock::new();
    ACCEPTOR.get_or_init(|| {
        let nowhere = Path::new("/nonexistent/symbolon");
        let keytab = Keytab::new(&nowhere.join("keytab"), &nowhere.join("replays")).expect("a path");
        let service = ServicePrincipal::parse("symbolon/gw.example.org@EXAMPLE.ORG").expect("in full");
        KerberosAcceptor::new(service, keytab, PrincipalMap::new())
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
    let ap_req = |length: usize| framed(&[&MECHANISM[..], &[0x6e], &vec![7; length]].concat());
    let mut reply = ap_req(40);
    reply[14] = 0x02;
    let spnego = [&[0x60, 0x48, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02][..], &ap_req(40)].concat();
    let mut seeds: Vec<Vec<u8>> = [1, 100, 200, 3000].map(|length| by(TOKEN, &ap_req(length))).into();
    seeds.extend([by(TOKEN, &reply), by(TOKEN, &spnego), by(TOKEN, b"\x6e\x03abc")]);
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
