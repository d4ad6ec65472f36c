//! Tickets that open nothing, and Kerberos servers that do not answer.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use symbolon_crypto::InitiatorToken as _;
use symbolon_tickets::kerberos::{
    CredentialCache, KerberosAcceptor, KerberosError, KerberosToken, PrincipalMap,
};

use crate::kerberos::{ELSEWHERE, HERE, LIMIT, acceptor, ap_req};
use crate::realm::{Realm, in_a_realm};

/// The first token of Debian's `gss-client`, which names no channel bindings.
fn token_of_gss_client(realm: &Realm, options: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut client = realm
        .command("gss-client")
        .args(["-port", &port])
        .args(options)
        .args(["localhost", "host@gw.sym.test", "hello"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian: krb5-gss-samples");
    let (mut peer, _) = listener.accept().unwrap();
    let token = first_token(&mut peer);
    client.kill().unwrap();
    client.wait().unwrap();
    token
}

/// Each message of that program: a byte of flags, a length, and the token.
fn first_token(peer: &mut impl Read) -> Vec<u8> {
    loop {
        let mut header = [0; 5];
        peer.read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let mut token = vec![0; length as usize];
        peer.read_exact(&mut token).unwrap();
        if !token.is_empty() {
            return token;
        }
    }
}

#[test]
fn cve_replayed_ap_req_even_after_a_restart() {
    in_a_realm("kerberos_faults::cve_replayed_ap_req_even_after_a_restart", |realm| {
        realm.kinit("alice");
        let token = ap_req("gw.sym.test");
        let gateway = acceptor(realm);
        assert!(gateway.accept(token.expose(), &HERE).is_ok());
        assert_eq!(gateway.accept(token.expose(), &HERE).unwrap_err(), KerberosError::Replayed);
        assert_eq!(acceptor(realm).accept(token.expose(), &HERE).unwrap_err(), KerberosError::Replayed);
    });
}

#[test]
fn a_ticket_shown_in_another_exchange_is_refused() {
    in_a_realm("kerberos_faults::a_ticket_shown_in_another_exchange_is_refused", |realm| {
        realm.kinit("alice");
        let refused = acceptor(realm).accept(ap_req("gw.sym.test").expose(), &ELSEWHERE).unwrap_err();
        assert_eq!(refused, KerberosError::NotBound);
    });
}

#[test]
fn a_ticket_that_is_bound_to_nothing_is_refused() {
    in_a_realm("kerberos_faults::a_ticket_that_is_bound_to_nothing_is_refused", |realm| {
        realm.kinit("alice");
        let unbound = token_of_gss_client(realm, &[]);
        assert_eq!(acceptor(realm).accept(&unbound, &HERE).unwrap_err(), KerberosError::NotBound);
    });
}

#[test]
fn a_ticket_in_another_mechanism_is_refused() {
    in_a_realm("kerberos_faults::a_ticket_in_another_mechanism_is_refused", |realm| {
        realm.kinit("alice");
        let negotiated = token_of_gss_client(realm, &["-spnego"]);
        assert_eq!(acceptor(realm).accept(&negotiated, &HERE).unwrap_err(), KerberosError::Malformed);
    });
}

#[test]
fn cve_ticket_for_another_gateway_though_its_key_is_in_the_keytab() {
    in_a_realm("kerberos_faults::cve_ticket_for_another_gateway_though_its_key_is_in_the_keytab", |realm| {
        realm.kinit("alice");
        let refused = acceptor(realm).accept(ap_req("other.sym.test").expose(), &HERE).unwrap_err();
        assert_eq!(refused, KerberosError::OtherService);
    });
}

#[test]
fn cve_wrong_key_of_a_ticket() {
    in_a_realm("kerberos_faults::cve_wrong_key_of_a_ticket", |realm| {
        realm.kinit("alice");
        realm.kadmin("cpw -randkey host/gw.sym.test");
        let refused = acceptor(realm).accept(ap_req("gw.sym.test").expose(), &HERE).unwrap_err();
        assert_eq!(refused, KerberosError::OtherService);
    });
}

#[test]
fn cve_expired_or_early_ticket() {
    const NAME: &str = "kerberos_faults::cve_expired_or_early_ticket";
    in_a_realm(NAME, |realm| {
        if realm.part().is_empty() {
            realm.kinit("alice");
            for (part, clock) in [("late", "+2h"), ("early", "-2h")] {
                std::fs::write(realm.path(part), ap_req("gw.sym.test").expose()).unwrap();
                realm.run_part(NAME, part, &["faketime", "-f", clock]);
            }
        } else {
            let token = std::fs::read(realm.path(&realm.part())).unwrap();
            assert_eq!(acceptor(realm).accept(&token, &HERE).unwrap_err(), KerberosError::NotNow);
        }
    });
}

#[test]
fn a_principal_that_is_nobody_here_is_refused() {
    in_a_realm("kerberos_faults::a_principal_that_is_nobody_here_is_refused", |realm| {
        realm.kinit("alice");
        let nobody =
            KerberosAcceptor::new(Realm::service("gw.sym.test"), realm.keytab(), PrincipalMap::new());
        let refused = nobody.accept(ap_req("gw.sym.test").expose(), &HERE).unwrap_err();
        assert_eq!(refused, KerberosError::UnknownPrincipal);
    });
}

#[test]
fn cve_other_spelling_of_a_principal() {
    in_a_realm("kerberos_faults::cve_other_spelling_of_a_principal", |realm| {
        for odd in ["alice/admin", "Bob"] {
            realm.kinit(odd);
            let refused = acceptor(realm).accept(ap_req("gw.sym.test").expose(), &HERE).unwrap_err();
            assert_eq!(refused, KerberosError::UnknownPrincipal, "{odd}");
        }
    });
}

#[test]
fn a_token_that_was_cut_or_lengthened_is_refused() {
    in_a_realm("kerberos_faults::a_token_that_was_cut_or_lengthened_is_refused", |realm| {
        realm.kinit("alice");
        let (token, gateway) = (ap_req("gw.sym.test"), acceptor(realm));
        let token = token.expose();
        for length in (0..token.len()).step_by(13) {
            assert_eq!(gateway.accept(&token[..length], &HERE).unwrap_err(), KerberosError::Malformed);
        }
        let longer = [token, b"x"].concat();
        assert_eq!(gateway.accept(&longer, &HERE).unwrap_err(), KerberosError::Malformed);
        assert!(gateway.accept(token, &HERE).is_ok());
    });
}

#[test]
fn cve_malformed_ap_req_never_fails_open() {
    in_a_realm("kerberos_faults::cve_malformed_ap_req_never_fails_open", |realm| {
        realm.kinit("alice");
        let (token, gateway) = (ap_req("gw.sym.test"), acceptor(realm));
        // The ticket and the authenticator, which is last, are sealed; the frame is read by us.
        let sealed = token.expose().len() / 2..token.expose().len();
        for place in (0..20).chain(sealed.step_by(29)) {
            let mut damaged = token.expose().to_vec();
            damaged[place] ^= 0x40;
            assert!(gateway.accept(&damaged, &HERE).is_err(), "byte {place}");
        }
        assert!(gateway.accept(token.expose(), &HERE).is_ok());
    });
}

fn obtain() -> Result<KerberosToken, KerberosError> {
    KerberosToken::obtain(&Realm::service("gw.sym.test"), &CredentialCache::Default, LIMIT)
}

#[test]
fn who_has_no_ticket_is_told_so() {
    in_a_realm("kerberos_faults::who_has_no_ticket_is_told_so", |_| {
        assert!(matches!(obtain(), Err(KerberosError::NoTicket(_))));
    });
}

#[test]
fn a_gateway_that_the_kdc_does_not_know_is_told_apart() {
    in_a_realm("kerberos_faults::a_gateway_that_the_kdc_does_not_know_is_told_apart", |realm| {
        realm.kinit("alice");
        let unknown = Realm::service("nowhere.sym.test");
        let refused = KerberosToken::obtain(&unknown, &CredentialCache::Default, LIMIT).unwrap_err();
        assert_eq!(refused, KerberosError::OtherService);
    });
}

#[test]
fn cve_kdc_down_is_told_at_once_and_held_tickets_go_on() {
    in_a_realm("kerberos_faults::cve_kdc_down_is_told_at_once_and_held_tickets_go_on", |realm| {
        realm.kinit("alice");
        let mut held = obtain().unwrap();
        realm.stop_kdc();
        assert!(acceptor(realm).accept(held.present(&HERE).unwrap().body.expose(), &HERE).is_ok());
        let other = Realm::service("other.sym.test");
        let begun = Instant::now();
        let refused = KerberosToken::obtain(&other, &CredentialCache::Default, LIMIT).unwrap_err();
        assert!(matches!(refused, KerberosError::Unreachable(_)), "{refused}");
        assert!(begun.elapsed() < LIMIT);
    });
}

#[test]
fn cve_kdc_slow_is_waited_for_no_longer_than_the_limit() {
    in_a_realm("kerberos_faults::cve_kdc_slow_is_waited_for_no_longer_than_the_limit", |realm| {
        realm.kinit("alice");
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        realm.write_client_configuration(silent.local_addr().unwrap().port());
        let begun = Instant::now();
        let limit = Duration::from_millis(500);
        let gateway = Realm::service("gw.sym.test");
        let refused = KerberosToken::obtain(&gateway, &CredentialCache::Default, limit).unwrap_err();
        assert_eq!(refused, KerberosError::TimedOut);
        assert!(begun.elapsed() < limit * 10, "{:?}", begun.elapsed());
    });
}
