//! The password leaves only to a directory that proves its name.

use symbolon_directory::{Address, BackendError, LdapConfig, LdapDirectory, Protection};

use crate::slapd::{Slapd, ask, by_dn, by_search, right};

fn with(config: LdapConfig, protection: Protection, address: &str) -> LdapDirectory {
    let servers = vec![Address::parse(address).unwrap()];
    LdapDirectory::new(LdapConfig { protection, servers, ..config }).unwrap()
}

#[tokio::test]
async fn passwords_are_asked_over_tls_from_the_first_byte_and_after_a_request_for_it() {
    // The directory lets nobody bind in clear.
    let slapd = Slapd::start_with("security simple_bind=128");
    let authority = slapd.authority.as_bytes();
    let tls = (Protection::tls(authority).unwrap(), slapd.tls_port);
    let start_tls = (Protection::start_tls(authority).unwrap(), slapd.port);
    for (protection, port) in [tls, start_tls] {
        for host in ["localhost", "127.0.0.1"] {
            let address = format!("{host}:{port}");
            for users in [by_dn(), by_search("(uid={user})")] {
                let directory = with(slapd.config(users), protection.clone(), &address);
                assert_eq!(ask(&directory, "alice", "alice-pw").await, right(), "{address}");
                assert!(!ask(&directory, "alice", "wrong").await.unwrap().is_right());
            }
        }
    }
}

#[tokio::test]
async fn cve_wrong_ca_of_a_directory_gets_no_password() {
    let (slapd, stranger) = (Slapd::start(), Slapd::start());
    let unavailable = |r| matches!(r, Err(BackendError::Unavailable(_)));
    for protection in [
        Protection::tls(stranger.authority.as_bytes()).unwrap(),
        Protection::start_tls(stranger.authority.as_bytes()).unwrap(),
    ] {
        for port in [slapd.port, slapd.tls_port] {
            let address = format!("localhost:{port}");
            let directory = with(slapd.config(by_dn()), protection.clone(), &address);
            assert!(unavailable(ask(&directory, "alice", "alice-pw").await));
        }
    }
    let own = Protection::tls(slapd.authority.as_bytes()).unwrap();
    let other_name = format!("127.0.0.2:{}", slapd.tls_port);
    assert!(unavailable(ask(&with(slapd.config(by_dn()), own, &other_name), "alice", "alice-pw").await));
}

#[tokio::test]
async fn a_directory_that_asks_for_tls_is_not_talked_to_in_clear() {
    let slapd = Slapd::start_with("security simple_bind=128");
    let directory = slapd.directory(by_dn());
    let refused = ask(&directory, "alice", "alice-pw").await;
    assert!(matches!(refused, Err(BackendError::Misconfigured(_))), "{refused:?}");
}

#[test]
fn an_authority_must_be_named() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Protection::tls(pem.as_bytes()).is_err());
        assert!(Protection::start_tls(pem.as_bytes()).is_err());
    }
}
