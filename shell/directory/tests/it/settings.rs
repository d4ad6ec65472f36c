//! What an administrator writes is understood, and what is written wrongly is named.

use std::os::unix::fs::PermissionsExt;

use symbolon_directory::{Checked, LdapSettings, PamSettings};

use crate::pam::Services;
use crate::slapd::{BASE, Slapd, ask, group, right};

#[tokio::test]
async fn a_directory_is_set_up_by_a_few_lines() {
    let slapd = Slapd::start();
    let here = tempfile::tempdir().unwrap();
    let (authority, password) = (here.path().join("authority.pem"), here.path().join("password"));
    std::fs::write(&authority, &slapd.authority).unwrap();
    std::fs::write(&password, "searcher-pw\n").unwrap();
    std::fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).unwrap();
    let protected =
        format!("servers = ['localhost:{}']\nauthority_file = '{}'\n", slapd.tls_port, authority.display());
    let by_dn = format!("{protected}user_dn = 'uid={{user}},ou=people,{BASE}'\n");
    let settings: LdapSettings = toml::from_str(&by_dn).unwrap();
    assert_eq!(ask(&settings.directory().unwrap(), "alice", "alice-pw").await, right());
    let by_search = format!(
        "{protected}[search]\nbase = '{BASE}'\nfilter = '(uid={{user}})'\nname_attribute = 'uid'\n\
         searcher_dn = 'cn=searcher,{BASE}'\nsearcher_password_file = '{}'\n\
         [groups]\nbase = '{BASE}'\nfilter = '(member={{dn}})'\nnames = {{ 'Night Shift' = 'night' }}\n",
        password.display()
    );
    let settings: LdapSettings = toml::from_str(&by_search).unwrap();
    let again: LdapSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again, settings);
    let directory = settings.directory().unwrap();
    assert_eq!(directory.ready().await, Ok(()));
    let groups = vec![group("night")];
    assert_eq!(ask(&directory, "alice", "alice-pw").await, Ok(Checked::Right { groups }));
    std::fs::set_permissions(&password, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(settings.directory().unwrap_err().to_string().contains("chmod"));
}

#[test]
fn directory_settings_that_are_wrong_are_named() {
    let wrong = |text: &str| {
        let settings: LdapSettings = toml::from_str(text).unwrap();
        settings.directory().unwrap_err().to_string()
    };
    let clear = "protection = 'unprotected'\nservers = ['127.0.0.1:389']\n";
    let dn = "user_dn = 'uid={user},dc=x'\n";
    let search = "[search]\nbase = 'dc=x'\nfilter = '(uid={user})'\nname_attribute = 'uid'\n";
    assert!(wrong(&format!("servers = ['127.0.0.1:389']\n{dn}")).starts_with("authority_file:"));
    assert!(wrong(&format!("{clear}authority_file = '/x'\n{dn}")).starts_with("authority_file:"));
    assert!(wrong(&format!("{clear}user_dn = '{{user}}'")).starts_with("user_dn:"));
    assert!(wrong(clear).contains("one of the two"));
    assert!(wrong(&format!("{clear}{dn}{search}")).contains("one of the two"));
    assert!(wrong(&format!("{clear}{search}searcher_dn = 'cn=s'")).starts_with("search:"));
    assert!(wrong(&format!("{clear}{}", search.replace("{user}", "*"))).starts_with("ldap:"));
    assert!(wrong(&format!("{clear}{dn}[groups]\nnames = {{}}")).starts_with("groups:"));
    assert!(wrong(&clear.replace("127.0.0.1:389", "ldap://x")).starts_with("ldap://x:"));
    assert!(wrong(&format!("{clear}{dn}limit_secs = 0")).starts_with("ldap:"));
    assert!(toml::from_str::<LdapSettings>(&format!("{clear}{dn}tls = false")).is_err());
}

#[tokio::test]
async fn pam_is_set_up_by_a_line_or_none() {
    let services = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let text = format!("directory = '{}'", services.path("").display());
    let settings: PamSettings = toml::from_str(&text).unwrap();
    assert_eq!(crate::pam::ask(&settings.pam().unwrap(), "alice", "alice-pw").await, right());
    let defaults: PamSettings = toml::from_str("").unwrap();
    assert_eq!((defaults.service.as_str(), defaults.directory.to_str()), ("symbolon", Some("/etc/pam.d")));
    for odd in ["service = 'other'", "directory = 'pam.d'", "limit_secs = 0", "threads = 0"] {
        assert!(toml::from_str::<PamSettings>(odd).unwrap().pam().is_err(), "{odd}");
    }
}
