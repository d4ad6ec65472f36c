//! RFC 7512: its examples, and what is no URI of ours.

use proptest::prelude::*;
use std::path::PathBuf;
use symbolon_hardware::{LibraryVersion, ObjectType, Pkcs11Uri, UriError};

fn parse(text: &str) -> Pkcs11Uri {
    Pkcs11Uri::parse(text).unwrap()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn the_examples_of_the_rfc_mean_what_it_says() {
    assert_eq!(parse("pkcs11:"), Pkcs11Uri::default());
    let key = parse("pkcs11:object=my-pubkey;type=public");
    assert_eq!((key.object, key.object_type), (text("my-pubkey"), Some(ObjectType::Public)));
    let key = parse("pkcs11:object=my-key;type=private?pin-source=file:/etc/token");
    assert_eq!(key.pin_source, Some(PathBuf::from("/etc/token")));
    let certificate = parse(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;\
         object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
    );
    assert_eq!(certificate.token, text("The Software PKCS#11 Softtoken"));
    assert_eq!(certificate.manufacturer, text("Snake Oil, Inc."));
    assert_eq!(certificate.model, text("1.0"));
    assert_eq!(certificate.id, Some(vec![0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91]));
    assert_eq!(certificate.serial, text(""));
    assert_eq!(parse("pkcs11:object=k;type=private?module-name=mypkcs11").module_name, text("mypkcs11"));
    let path = parse("pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1").module_path;
    assert_eq!(path, Some(PathBuf::from("/mnt/libmypkcs11.so.1")));
    assert_eq!(parse("pkcs11:slot-description=Sun%20Metaslot").slot_description, text("Sun Metaslot"));
    let library = parse(
        "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;\
         library-version=1.23",
    );
    assert_eq!(library.library_version, Some(LibraryVersion { major: 1, minor: 23 }));
    let token = parse(
        "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06",
    );
    assert_eq!(token.token, text("My token% created by Joe"));
    assert_eq!(token.library_version, Some(LibraryVersion { major: 3, minor: 0 }));
    assert_eq!(token.id, Some(vec![1, 2, 3, 0xba, 0xdd, 0xca, 0xfe, 4, 5, 6]));
    let token = parse("pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=another-name;type=cert");
    assert_eq!(token.token, text("A name with a substring %;"));
    let token = parse("pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;type=cert");
    assert_eq!(token.token, text("Name with a small A with acute: á"));
}

#[test]
fn an_example_of_the_rfc_with_a_pin_in_it_is_refused_with_the_reason() {
    let uri =
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin";
    let error = Pkcs11Uri::parse(uri).unwrap_err();
    assert_eq!(error, UriError::PinValue);
    assert!(error.to_string().contains("pin-source=file:"), "{error}");
    assert!(!error.to_string().contains("the-pin"), "{error}");
}

#[test]
fn what_a_path_adds_matches_nothing_and_what_a_query_adds_is_passed_over() {
    let uri = "pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a";
    assert_eq!(Pkcs11Uri::parse(uri), Err(UriError::Unknown("vendor-aaa".into())));
    let uri = parse("pkcs11:token=my-token?pin-source=file:/etc/token_pin&vendor-bbb=value-b");
    assert_eq!(uri.pin_source, Some(PathBuf::from("/etc/token_pin")));
}

#[test]
fn a_pin_comes_from_a_file_and_from_no_program() {
    for source in ["file:/etc/pin", "/etc/pin", "file:///etc/pin", "file://localhost/etc/pin"] {
        let uri = parse(&format!("pkcs11:?pin-source={source}"));
        assert_eq!(uri.pin_source, Some(PathBuf::from("/etc/pin")), "{source}");
    }
    for source in ["|/usr/lib/pinomatic", "pin", "file:pin", "https:/pin", ""] {
        let error = Pkcs11Uri::parse(&format!("pkcs11:?pin-source={source}")).unwrap_err();
        assert!(matches!(error, UriError::Value("pin-source", _)), "{source}: {error}");
    }
}

#[test]
fn what_is_no_uri_is_refused_for_what_is_wrong_with_it() {
    let refused = |text: &str| Pkcs11Uri::parse(text).unwrap_err();
    assert_eq!(refused("token=x"), UriError::Scheme);
    assert_eq!(refused("https:token=x"), UriError::Scheme);
    assert_eq!(refused(""), UriError::Scheme);
    assert_eq!(refused("pkcs11:token"), UriError::NoValue("token".into()));
    assert_eq!(refused("pkcs11:token=a;"), UriError::NoValue(String::new()));
    assert_eq!(refused("pkcs11:?module-name"), UriError::NoValue("module-name".into()));
    assert_eq!(refused("pkcs11:token=a;token=a"), UriError::Twice("token"));
    assert_eq!(refused("pkcs11:?module-name=a&module-name=b"), UriError::Twice("module-name"));
    assert_eq!(refused("pkcs11:token=a b"), UriError::Character("token"));
    assert_eq!(refused("pkcs11:token=a/b"), UriError::Character("token"));
    assert_eq!(refused("pkcs11:token=a#b"), UriError::Character("token"));
    assert_eq!(refused("pkcs11:token=á"), UriError::Character("token"));
    for percent in ["%", "%4", "%4g", "%%20", "%+1"] {
        assert_eq!(refused(&format!("pkcs11:token=a{percent}")), UriError::Percent("token"));
    }
    assert_eq!(refused("pkcs11:token=%FF"), UriError::NotText("token"));
    assert!(matches!(refused("pkcs11:type=key"), UriError::Value("type", _)));
    for number in ["", "+1", "-1", "1x", "99999999999999999999"] {
        assert!(matches!(refused(&format!("pkcs11:slot-id={number}")), UriError::Value("slot-id", _)));
    }
    for version in ["", "1.", ".1", "1.2.3", "256", "+1"] {
        let error = refused(&format!("pkcs11:library-version={version}"));
        assert!(matches!(error, UriError::Value("library-version", _)), "{version}");
    }
    assert!(matches!(refused("pkcs11:?module-path=x.so"), UriError::Value("module-path", _)));
    assert!(matches!(refused("pkcs11:?module-name=../x"), UriError::Value("module-name", _)));
    assert_eq!(refused(&format!("pkcs11:token={}", "a".repeat(5000))), UriError::TooLong);
}

#[test]
fn a_uri_that_was_written_reads_the_same() {
    let uris = [
        "pkcs11:",
        "pkcs11:token=a%20%3B%26%C3%A1;serial=;slot-id=7;object=x;type=secret-key;id=%00%FF",
        "pkcs11:library-version=3;library-manufacturer=a?pin-source=/etc/pin&module-name=b&module-path=/a%20b",
    ];
    for text in uris {
        let uri = parse(text);
        assert_eq!(parse(&uri.to_string()), uri);
    }
    assert_eq!(parse("PKCS11:token=a'b").to_string(), "pkcs11:token=a%27b");
}

#[test]
fn what_belongs_to_one_machine_is_left_out_of_what_is_kept() {
    let uri = parse("pkcs11:token=a;serial=1;slot-id=3?pin-source=/etc/pin&module-path=/opt/libdevice.so.2");
    assert_eq!(uri.portable().to_string(), "pkcs11:token=a;serial=1?module-name=device");
}

proptest! {
    #[test]
    fn any_text_is_a_uri_or_an_error(text in "(pkcs11:)?[ -~é%;&=?a-z]{0,80}") {
        if let Ok(uri) = Pkcs11Uri::parse(&text) {
            prop_assert_eq!(Pkcs11Uri::parse(&uri.to_string()).unwrap(), uri);
        }
    }

    #[test]
    fn whatever_a_token_is_called_its_uri_names_it(
        label in "\\PC{0,32}",
        serial in proptest::option::of("[ -~]{0,16}"),
        id in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        let uri = Pkcs11Uri { token: Some(label), serial, id, ..Pkcs11Uri::default() };
        let text = uri.to_string();
        prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
        prop_assert_eq!(Pkcs11Uri::parse(&text).unwrap(), uri);
    }
}
