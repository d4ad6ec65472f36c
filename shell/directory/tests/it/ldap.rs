//! A directory knows the passwords.

use symbolon_directory::{Checked, GroupSource, Groups, LdapDirectory, PasswordBackend, Searcher, Users};

use symbolon_policy::CanonName;

use crate::slapd::{Slapd, ask, by_dn, by_search, group, groups_by_search, right};

#[tokio::test]
async fn the_right_password_is_right_and_another_is_wrong() {
    let slapd = Slapd::start();
    for directory in [slapd.directory(by_dn()), slapd.directory(by_search("(uid={user})"))] {
        assert_eq!(directory.ready().await, Ok(()));
        assert_eq!(ask(&directory, "alice", "alice-pw").await, right());
        for wrong in ["alice-pW", "alice-pw ", "alice-p", "bob-pw"] {
            assert_eq!(ask(&directory, "alice", wrong).await, Ok(Checked::Wrong), "{wrong}");
        }
    }
}

#[tokio::test]
async fn an_unknown_user_and_one_without_a_password_look_like_a_wrong_password() {
    let slapd = Slapd::start();
    for directory in [slapd.directory(by_dn()), slapd.directory(by_search("(uid={user})"))] {
        for user in ["nobody", "nopassword"] {
            assert_eq!(ask(&directory, user, "alice-pw").await, Ok(Checked::Wrong), "{user}");
        }
    }
}

#[tokio::test]
async fn a_name_is_found_however_the_directory_spells_it() {
    let slapd = Slapd::start();
    for directory in [slapd.directory(by_dn()), slapd.directory(by_search("(uid={user})"))] {
        assert_eq!(ask(&directory, "BOB", "bob-pw").await, right());
    }
}

#[tokio::test]
async fn listed_groups_are_found_by_search_and_others_mean_nothing() {
    let slapd = Slapd::start();
    for users in [by_dn(), by_search("(uid={user})")] {
        let mut config = slapd.config(users);
        config.groups = Some(groups_by_search("(&(objectClass=groupOfNames)(member={dn}))"));
        let directory = LdapDirectory::new(config).unwrap();
        let both = vec![group("administrators"), group("night")];
        assert_eq!(ask(&directory, "alice", "alice-pw").await, Ok(Checked::Right { groups: both }));
        let one = vec![group("administrators")];
        assert_eq!(ask(&directory, "bob", "bob-pw").await, Ok(Checked::Right { groups: one }));
        assert_eq!(ask(&directory, "alice", "wrong").await, Ok(Checked::Wrong));
    }
}

#[tokio::test]
async fn listed_groups_are_read_from_the_users_entry() {
    let slapd = Slapd::start();
    let mut config = slapd.config(by_search("(uid={user})"));
    config.groups = Some(Groups {
        source: GroupSource::Attribute("Title".to_owned()),
        names: [("CN=admins,OU=groups".to_owned(), group("administrators"))].into(),
    });
    let directory = LdapDirectory::new(config).unwrap();
    let groups = vec![group("administrators")];
    assert_eq!(ask(&directory, "alice", "alice-pw").await, Ok(Checked::Right { groups }));
    assert_eq!(ask(&directory, "bob", "bob-pw").await, right());
}

#[tokio::test]
async fn cve_ldap_escapes_of_an_entrys_own_name() {
    let slapd = Slapd::start();
    let mut config = slapd.config(by_search("(uid={user})"));
    config.groups = Some(groups_by_search("(member={dn})"));
    let directory = LdapDirectory::new(config).unwrap();
    let groups = vec![group("night")];
    assert_eq!(ask(&directory, "odd", "odd-pw").await, Ok(Checked::Right { groups }));
}

#[tokio::test]
async fn cve_ldap_escapes_in_a_name_that_somebody_claims() {
    let slapd = Slapd::start();
    let directories = [
        slapd.directory(by_dn()),
        slapd.directory(by_search("(uid={user})")),
        slapd.directory(by_search("(&(objectClass=person)(|(uid={user})(mail={user})))")),
    ];
    for claimed in [
        "*",
        "al*",
        "*)(uid=alice",
        "alice)(|(uid=*",
        "alice)(objectClass=*",
        "\\61lice",
        "\\2a",
        "alice\0",
        "alice,ou=people,dc=example,dc=org",
        "nobody,uid=alice",
        "x+uid=alice",
        "alice;x",
        "#616c696365",
        " alice",
        "alice@example.org",
    ] {
        // No such text is a name of a user; that is the first barrier, and ours alone.
        assert!(CanonName::parse(claimed).is_err(), "{claimed:?}");
    }
    // What a name may have beside letters has a meaning neither in a filter nor in a name of an entry.
    for claimed in ["al-ice", "al.ice", "al_ice", "alice.", "61lice", "ålice"] {
        for directory in &directories {
            let Ok(user) = CanonName::parse(claimed) else { continue };
            let said = ask(directory, user.as_str(), "alice-pw").await;
            assert_eq!(said, Ok(Checked::Wrong), "{claimed:?}");
        }
    }
}

#[tokio::test]
async fn many_checks_at_once_share_the_connections() {
    let slapd = Slapd::start();
    let mut config = slapd.config(by_search("(uid={user})"));
    config.connections = 2;
    let directory = std::sync::Arc::new(LdapDirectory::new(config).unwrap());
    let mut checks = tokio::task::JoinSet::new();
    for i in 0..40 {
        let directory = std::sync::Arc::clone(&directory);
        checks.spawn(async move {
            let (password, expected) = if i % 2 == 0 { ("alice-pw", true) } else { ("wrong", false) };
            ask(&directory, "alice", password).await.unwrap().is_right() == expected
        });
    }
    assert!(checks.join_all().await.into_iter().all(|as_expected| as_expected));
}

#[tokio::test]
async fn a_back_end_is_one_of_several_behind_one_interface() {
    let slapd = Slapd::start();
    let backend: Box<dyn PasswordBackend> = Box::new(slapd.directory(by_dn()));
    let user = CanonName::parse("alice").unwrap();
    let password = symbolon_crypto::SecretBytes::from("alice-pw".to_owned());
    assert!(backend.check(&user, &password).await.unwrap().is_right());
}

#[test]
fn a_configuration_does_not_print_its_password() {
    let mut users = by_search("(uid={user})");
    if let Users::BySearch(search) = &mut users
        && let Searcher::Account { password, .. } = &mut search.searcher
    {
        *password = symbolon_crypto::SecretBytes::from("canary-of-the-searcher".to_owned());
    }
    let directory = LdapDirectory::new(crate::slapd::config_at(389, users)).unwrap();
    assert!(!format!("{directory:?}").contains("canary"));
}
