//! Directories that are down, slow or gone.

use std::time::{Duration, Instant};

use symbolon_directory::{Address, BackendError, LdapConfig, LdapDirectory};

use crate::slapd::{Slapd, ask, by_dn, by_search, config_at, nobody, right};

const SHORT: Duration = Duration::from_millis(400);

fn is_unavailable<T>(result: &Result<T, BackendError>) -> bool {
    matches!(result, Err(BackendError::Unavailable(_)))
}

#[tokio::test]
async fn cve_ldap_down_is_told_at_once() {
    let directory = LdapDirectory::new(config_at(nobody(), by_dn())).unwrap();
    let begun = Instant::now();
    assert!(is_unavailable(&ask(&directory, "alice", "alice-pw").await));
    assert!(is_unavailable(&directory.ready().await));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn cve_ldap_slow_is_waited_for_no_longer_than_the_limit() {
    let slapd = Slapd::start();
    let config = LdapConfig { limit: SHORT, ..slapd.config(by_search("(uid={user})")) };
    let directory = LdapDirectory::new(config).unwrap();
    slapd.stop();
    let begun = Instant::now();
    assert!(is_unavailable(&ask(&directory, "alice", "alice-pw").await));
    assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
    slapd.go_on();
    let patient = slapd.directory(by_search("(uid={user})"));
    assert_eq!(ask(&patient, "alice", "alice-pw").await, right());
}

#[tokio::test]
async fn a_crowd_before_a_hanging_directory_waits_no_longer_than_one() {
    let slapd = Slapd::start();
    let config = LdapConfig { limit: SHORT, connections: 1, ..slapd.config(by_dn()) };
    let directory = std::sync::Arc::new(LdapDirectory::new(config).unwrap());
    slapd.stop();
    let begun = Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let directory = std::sync::Arc::clone(&directory);
        crowd.spawn(async move { is_unavailable(&ask(&directory, "alice", "alice-pw").await) });
    }
    assert!(crowd.join_all().await.into_iter().all(|refused| refused));
    assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn cve_ldap_slow_delays_nobody_who_signs_in_by_another() {
    let (hanging, healthy) = (Slapd::start(), Slapd::start());
    hanging.stop();
    let slow = hanging.directory(by_dn());
    let quick = healthy.directory(by_dn());
    let waiting = ask(&slow, "alice", "alice-pw");
    tokio::pin!(waiting);
    for _ in 0..10 {
        tokio::select! {
            biased;
            checked = ask(&quick, "alice", "alice-pw") => assert_eq!(checked, right()),
            early = &mut waiting => panic!("the hanging directory answered: {early:?}"),
        }
    }
}

#[tokio::test]
async fn the_next_server_is_asked_when_the_first_is_down() {
    let slapd = Slapd::start();
    let mut config = slapd.config(by_dn());
    config.servers.insert(0, Address::parse(&format!("127.0.0.1:{}", nobody())).unwrap());
    let directory = LdapDirectory::new(config).unwrap();
    assert_eq!(ask(&directory, "alice", "alice-pw").await, right());
}

#[tokio::test]
async fn a_directory_that_comes_back_is_used_again() {
    let port;
    {
        let slapd = Slapd::start();
        port = slapd.port;
        assert_eq!(ask(&slapd.directory(by_dn()), "alice", "alice-pw").await, right());
    }
    let directory = LdapDirectory::new(config_at(port, by_dn())).unwrap();
    assert!(is_unavailable(&ask(&directory, "alice", "alice-pw").await));
}
