//! Passwords and names that must open nothing, and configurations that are refused.

use symbolon_directory::{
    Address, BackendError, Checked, FilterTemplate, GroupSource, LdapDirectory, Searcher, Users,
};

use crate::slapd::{BASE, Slapd, ask, by_dn, by_search, config_at, groups_by_search};

#[tokio::test]
async fn cve_unauthenticated_bind_by_an_empty_password() {
    let slapd = Slapd::start_with("allow bind_anon_dn");
    assert!(slapd.whoami(&format!("uid=alice,ou=people,{BASE}"), ""), "the directory lets it in");
    for directory in [slapd.directory(by_dn()), slapd.directory(by_search("(uid={user})"))] {
        assert_eq!(ask(&directory, "alice", "").await, Ok(Checked::Wrong));
    }
}

#[tokio::test]
async fn a_password_with_a_zero_byte_or_without_end_is_wrong() {
    let slapd = Slapd::start();
    let directory = slapd.directory(by_dn());
    assert_eq!(ask(&directory, "alice", "alice-pw\0").await, Ok(Checked::Wrong));
    assert_eq!(ask(&directory, "alice", "\0").await, Ok(Checked::Wrong));
    assert_eq!(ask(&directory, "alice", &"x".repeat(100_000)).await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn cve_wrong_dn_mapping_two_entries_of_one_name() {
    let slapd = Slapd::start();
    let directory = slapd.directory(by_search("(uid={user})"));
    assert!(matches!(ask(&directory, "twin", "twin-pw").await, Err(BackendError::Denied(_))));
}

#[tokio::test]
async fn cve_wrong_dn_mapping_an_entry_of_another_name() {
    let slapd = Slapd::start();
    let loose = slapd.directory(by_search("(|(uid={user})(mail={user}))"));
    // The entry of erin has "dave" as its address.
    assert!(matches!(ask(&loose, "dave", "erin-pw").await, Err(BackendError::Denied(_))));
    assert!(ask(&loose, "erin", "erin-pw").await.unwrap().is_right());
    let looser = slapd.directory(by_search("(|(uid={user})(uid=erin))"));
    assert!(matches!(ask(&looser, "nobody", "erin-pw").await, Err(BackendError::Denied(_))));
}

#[tokio::test]
async fn a_referral_is_not_followed() {
    let slapd = Slapd::start();
    for users in [by_dn(), by_search("(uid={user})")] {
        assert_eq!(ask(&slapd.directory(users), "away", "any-pw").await, Ok(Checked::Wrong));
    }
}

#[tokio::test]
async fn a_searcher_who_may_not_search_is_the_configurations_fault() {
    let slapd = Slapd::start();
    let with = |searcher| {
        let mut users = by_search("(uid={user})");
        if let Users::BySearch(search) = &mut users {
            search.searcher = searcher;
        }
        slapd.directory(users)
    };
    let impostor = with(Searcher::Account {
        dn: format!("cn=searcher,{BASE}"),
        password: symbolon_crypto::SecretBytes::from("not-it".to_owned()),
    });
    assert!(matches!(ask(&impostor, "alice", "alice-pw").await, Err(BackendError::Misconfigured(_))));
    assert!(matches!(impostor.ready().await, Err(BackendError::Misconfigured(_))));
    // Nobody may search here: the base itself is hidden.
    let nobody = ask(&with(Searcher::Anonymous), "alice", "alice-pw").await;
    assert!(!nobody.is_ok_and(|c| c.is_right()));
}

#[tokio::test]
async fn a_group_search_that_fails_lets_nobody_in() {
    let slapd = Slapd::start();
    let mut config = slapd.config(by_search("(uid={user})"));
    let mut groups = groups_by_search("(member={dn})");
    if let GroupSource::Search { base, .. } = &mut groups.source {
        *base = format!("ou=absent,{BASE}");
    }
    config.groups = Some(groups);
    let directory = LdapDirectory::new(config).unwrap();
    assert!(matches!(ask(&directory, "alice", "alice-pw").await, Err(BackendError::Misconfigured(_))));
}

#[test]
fn a_configuration_whose_parts_do_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut symbolon_directory::LdapConfig)| {
        let mut config = config_at(389, by_search("(uid={user})"));
        change(&mut config);
        LdapDirectory::new(config).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|c| c.servers.clear()));
    assert!(refused(&|c| c.connections = 0));
    assert!(refused(&|c| c.limit = std::time::Duration::ZERO));
    assert!(refused(&|c| c.users = by_search("(uid=alice)")));
    assert!(refused(&|c| c.users = by_search("(&(uid={user})(manager={dn}))")));
    assert!(refused(&|c| c.groups = Some(groups_by_search("(cn=admins)"))));
    assert!(refused(&|c| {
        let mut groups = groups_by_search("(member={dn})");
        groups.source = GroupSource::Attribute("memberOf".to_owned());
        c.users = by_dn();
        c.groups = Some(groups);
    }));
    assert!(refused(&|c| {
        if let Users::BySearch(search) = &mut c.users {
            let password = symbolon_crypto::SecretBytes::new(Vec::new());
            search.searcher = Searcher::Account { dn: "cn=searcher".to_owned(), password };
        }
    }));
    assert!(FilterTemplate::parse("(uid=*{user}*)").is_err());
    assert!(Address::parse("ldap://127.0.0.1:389").is_err());
}
