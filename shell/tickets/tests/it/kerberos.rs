//! A ticket of a real KDC opens what it was made out for.

use std::time::Duration;

use symbolon_crypto::{CryptoError, InitiatorToken as _, SecretBytes, TokenProof as _, TranscriptHash};
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::kerberos::{
    CredentialCache, KerberosAcceptor, KerberosError, KerberosToken, PrincipalMap,
};

use crate::realm::{REALM, Realm, in_a_realm};

pub(crate) const HERE: TranscriptHash = TranscriptHash([7; 32]);
pub(crate) const ELSEWHERE: TranscriptHash = TranscriptHash([8; 32]);
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn acceptor(realm: &Realm) -> KerberosAcceptor {
    let people = PrincipalMap::of_realm(REALM, Spelling::Exact);
    KerberosAcceptor::new(Realm::service("gw.sym.test"), realm.keytab(), people)
}

pub(crate) fn token_for(host: &str) -> KerberosToken {
    KerberosToken::obtain(&Realm::service(host), &CredentialCache::Default, LIMIT).unwrap()
}

pub(crate) fn ap_req(host: &str) -> SecretBytes {
    token_for(host).present(&HERE).unwrap().body
}

#[test]
fn a_ticket_says_who_somebody_is_and_the_gateway_proves_itself() {
    in_a_realm("kerberos::a_ticket_says_who_somebody_is_and_the_gateway_proves_itself", |realm| {
        realm.kinit("alice");
        let mut token = token_for("gw.sym.test");
        let proved = acceptor(realm).accept(token.present(&HERE).unwrap().body.expose(), &HERE).unwrap();
        assert_eq!(proved.user(), &CanonName::parse("alice").unwrap());
        assert_eq!(proved.principal().to_string(), "alice@SYM.TEST");
        assert_eq!(proved.binding(), &HERE);
        assert!((3000..=3900).contains(&proved.lifetime_secs()), "{}", proved.lifetime_secs());
        token.confirm(proved.reply()).unwrap();
    });
}

#[test]
fn a_cache_says_whose_tickets_it_holds() {
    in_a_realm("kerberos::a_cache_says_whose_tickets_it_holds", |realm| {
        let holder = || KerberosToken::holder(&CredentialCache::Default);
        assert!(matches!(holder(), Err(KerberosError::NoTicket(_))), "{:?}", holder());
        for name in ["alice", "Bob"] {
            realm.kinit(name);
            assert_eq!(holder(), Ok(format!("{name}@SYM.TEST")));
        }
    });
}

#[test]
fn a_ticket_is_found_in_a_cache_of_another_name() {
    in_a_realm("kerberos::a_ticket_is_found_in_a_cache_of_another_name", |realm| {
        realm.kinit("alice");
        std::fs::rename(realm.path("tickets"), realm.path("mine")).unwrap();
        let name = std::ffi::CString::new(format!("FILE:{}", realm.path("mine").display())).unwrap();
        let cache = CredentialCache::Named(name);
        let mut token = KerberosToken::obtain(&Realm::service("gw.sym.test"), &cache, LIMIT).unwrap();
        assert!(acceptor(realm).accept(token.present(&HERE).unwrap().body.expose(), &HERE).is_ok());
    });
}

#[test]
fn one_token_object_serves_several_exchanges() {
    in_a_realm("kerberos::one_token_object_serves_several_exchanges", |realm| {
        realm.kinit("alice");
        let mut token = token_for("gw.sym.test");
        for binding in [HERE, ELSEWHERE] {
            let proved =
                acceptor(realm).accept(token.present(&binding).unwrap().body.expose(), &binding).unwrap();
            token.confirm(proved.reply()).unwrap();
        }
    });
}

#[test]
fn an_answer_of_another_exchange_convinces_nobody() {
    in_a_realm("kerberos::an_answer_of_another_exchange_convinces_nobody", |realm| {
        realm.kinit("alice");
        let (mut first, mut second) = (token_for("gw.sym.test"), token_for("gw.sym.test"));
        let proved = acceptor(realm).accept(first.present(&HERE).unwrap().body.expose(), &HERE).unwrap();
        second.present(&HERE).unwrap();
        assert_eq!(second.confirm(proved.reply()), Err(CryptoError::Forged));
        assert!(matches!(second.complaint().take(), Some(KerberosError::Refused(_))));
        assert_eq!(first.confirm(b""), Err(CryptoError::Forged));
        assert_eq!(first.complaint().take(), Some(KerberosError::Malformed));
    });
}

#[test]
fn cve_reflected_ap_req_is_no_answer() {
    in_a_realm("kerberos::cve_reflected_ap_req_is_no_answer", |realm| {
        realm.kinit("alice");
        let mut token = token_for("gw.sym.test");
        let request = token.present(&HERE).unwrap().body;
        assert_eq!(token.confirm(request.expose()), Err(CryptoError::Forged));
        assert_eq!(token.complaint().take(), Some(KerberosError::Malformed));
    });
}

#[test]
fn a_gateway_is_ready_when_its_keytab_has_its_key() {
    in_a_realm("kerberos::a_gateway_is_ready_when_its_keytab_has_its_key", |realm| {
        assert_eq!(acceptor(realm).ready(), Ok(()));
        let stranger =
            KerberosAcceptor::new(Realm::service("nowhere.sym.test"), realm.keytab(), PrincipalMap::new());
        assert!(matches!(stranger.ready(), Err(KerberosError::NoKey(_))));
        std::fs::remove_file(realm.path("gateway.keytab")).unwrap();
        assert!(matches!(acceptor(realm).ready(), Err(KerberosError::NoKey(_))));
    });
}
