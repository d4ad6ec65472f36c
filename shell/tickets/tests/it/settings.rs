//! What an administrator writes is understood, and what is written wrongly is named.

use symbolon_tickets::{KerberosSettings, OidcSettings};

use crate::kerberos::{HERE, ap_req};
use crate::provider::{NOW, TestProvider, alice};
use crate::realm::in_a_realm;

#[test]
fn kerberos_is_set_up_by_a_few_lines() {
    in_a_realm("settings::kerberos_is_set_up_by_a_few_lines", |realm| {
        realm.kinit("alice/admin");
        let text = format!(
            "service = 'host/gw.sym.test@SYM.TEST'\nkeytab = '{}'\nrealm = 'SYM.TEST'\n\
             people = {{ 'x.smith@PARTNER.COM' = 'x' }}\nrefused = ['root@SYM.TEST']\n",
            realm.path("gateway.keytab").display()
        );
        let settings: KerberosSettings = toml::from_str(&text).unwrap();
        let acceptor = settings.acceptor(&realm.path("replays")).unwrap();
        assert_eq!(acceptor.ready(), Ok(()));
        assert!(acceptor.accept(ap_req("gw.sym.test").expose(), &HERE).is_err());
        realm.kinit("alice");
        let proved = acceptor.accept(ap_req("gw.sym.test").expose(), &HERE).unwrap();
        assert_eq!(proved.user(), &alice());
    });
}

#[test]
fn kerberos_settings_that_are_wrong_are_named() {
    let wrong = |text: &str| {
        let settings: KerberosSettings = toml::from_str(text).unwrap();
        settings.acceptor("/nonexistent/replays".as_ref()).unwrap_err().to_string()
    };
    assert!(wrong("service = 'gw'\nkeytab = '/k'").starts_with("service:"));
    let start = "service = 'host/gw@R'\nkeytab = '/k'\n";
    assert!(wrong(&format!("{start}people = {{ 'a/b@R' = 'x' }}")).starts_with("a/b@R:"));
    assert!(wrong(&format!("{start}people = {{ 'a@R' = '../x' }}")).starts_with("../x:"));
    assert!(wrong(&format!("{start}refused = ['a']")).starts_with("a:"));
    assert!(toml::from_str::<KerberosSettings>(&format!("{start}realms = 'R'")).is_err());
    assert!(toml::from_str::<KerberosSettings>(&format!("{start}spelling = 'loose'")).is_err());
}

#[tokio::test]
async fn a_provider_is_set_up_by_a_few_lines() {
    let provider = TestProvider::start("RS256").await;
    let start = format!(
        "issuer = '{}'\naudience = 'gateway-of-tests'\nunprotected = true\nlimit_secs = 5\n",
        provider.issuer
    );
    let token = provider.token(&provider.claims());
    for (user, known) in [
        ("user = 'subject'", true),
        ("user = 'listed'", false),
        ("user = 'listed'\npeople = { alice = 'alice' }", true),
        ("user = 'subject'\nrefused = ['alice']", false),
        ("user = { named = { claim = 'sub', spelling = 'any-case' } }", true),
        ("user = { email = { domain = 'example.org' } }", false),
        ("user = 'subject'\nkeys = { renew_after = 60 }", true),
    ] {
        let settings: OidcSettings = toml::from_str(&format!("{start}{user}")).unwrap();
        let again: OidcSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
        let proved = settings.verifier().unwrap().verify(token.as_bytes(), &HERE, NOW).await;
        assert_eq!(proved.is_ok(), known, "{user}");
    }
}

#[test]
fn provider_settings_that_are_wrong_are_named() {
    let wrong = |text: &str| {
        let settings: OidcSettings = toml::from_str(text).unwrap();
        settings.verifier().unwrap_err().to_string()
    };
    let start = "issuer = 'http://127.0.0.1:1'\naudience = 'a'\nuser = 'subject'\n";
    assert!(wrong(start).contains("authority_file"));
    assert!(wrong(&format!("{start}unprotected = true\nauthority_file = '/x'")).contains("authority_file"));
    assert!(wrong(&format!("{start}authority_file = '/nonexistent'")).starts_with("/nonexistent:"));
    assert!(wrong(&format!("{start}unprotected = true\nlimit_secs = 0")).starts_with("limit_secs:"));
    assert!(wrong(&format!("{start}unprotected = true\npeople = {{ a = '' }}")).starts_with(':'));
    let other = start.replace("http:", "https:");
    assert!(wrong(&format!("{other}unprotected = true")).starts_with("issuer:"));
    assert!(toml::from_str::<OidcSettings>(&format!("{start}insecure = true")).is_err());
}
