//! One account per name, however it is typed.

use std::collections::HashMap;

use proptest::prelude::*;
use symbolon_policy::{
    AccessPath, AppName, Assurance, CanonName, EntitlementId, Grantee, GroupName, NameError, TemplateName,
    TokenClass, UserCode,
};
use symbolon_wire::{Decode, Encode, WireError};
use unicode_normalization::UnicodeNormalization;

fn canon(text: &str) -> Result<String, NameError> {
    CanonName::parse(text).map(|n| n.to_string())
}

fn skeleton(text: &str) -> String {
    CanonName::parse(text).unwrap().skeleton()
}

/// Letters that fold, compose, are wide, or look like others; mostly of one script at a time.
fn tricky() -> impl Strategy<Value = String> {
    const LATIN: &str =
        "aAbBeEiIkKlLmnNorRsStTxX019-._ßẞſıİéÉèñÅåôệộａＡ１\u{300}\u{301}\u{302}\u{308}\u{323}\u{327}";
    const GREEK: &str = "αΑςσΣμΜὰᾳᾺἀΐΰωΩῶᾧ019-\u{300}\u{301}\u{308}\u{313}\u{342}\u{345}";
    const CYRILLIC: &str = "аАеЕоОрРсСхХѕіјӏабвЙйЁё019.\u{306}\u{308}";
    const OTHERS: &str =
        "aΑаאבג·ℵKÅµﬁʰ²ガがｶﾞか\u{3099}中字한글ᄒ\u{1161}कखग٠١۱ǰŉ\u{200d}\u{200c}\u{ad}\u{202e}";
    prop::sample::select(&[LATIN, GREEK, CYRILLIC, OTHERS][..]).prop_flat_map(|letters| {
        let letters: Vec<char> = letters.chars().collect();
        prop::collection::vec(prop::sample::select(letters), 1..8).prop_map(|c| c.into_iter().collect())
    })
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![4 => tricky(), 1 => any::<String>(), 1 => "\\PC{1,10}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_canonical_name_is_its_own_canonical_name(text in any_name()) {
        if let Ok(name) = CanonName::parse(&text) {
            prop_assert_eq!(CanonName::parse(name.as_str()), Ok(name.clone()));
            prop_assert_eq!(CanonName::from_bytes(&name.to_bytes()), Ok(name));
        }
    }

    #[test]
    fn cve_other_spelling_of_a_name_is_the_same_name(text in any_name()) {
        let Ok(name) = CanonName::parse(&text) else { return Ok(()) };
        // case maps need marks in canonical order (Unicode §3.13, D145)
        let ordered: String = text.nfd().collect();
        let respelt = [
            ordered.clone(),
            text.nfc().collect(),
            ordered.to_uppercase(),
            ordered.to_lowercase(),
            ordered.to_uppercase().to_lowercase(),
            wide(&text),
        ];
        for other in respelt {
            // the capital of dotless ı is I, whose small letter is i: Unicode folds neither into the other
            if let Ok(other) = CanonName::parse(&other).map_err(|_| ()) && !text.contains('ı') {
                prop_assert_eq!(&other, &name);
            }
        }
    }

    #[test]
    fn a_name_is_safe_in_a_path_a_url_and_a_command_line(text in any_name()) {
        if let Ok(name) = canon(&text) {
            prop_assert!(name.chars().count() <= 64 && !name.is_empty());
            prop_assert!(!name.starts_with(['-', '.']) && !name.ends_with('.'));
            prop_assert!(name.chars().all(|c| !c.is_control() && !c.is_whitespace()));
            let unsafe_characters = "/:@#?%&\"'\\$`*<>|;()[]{}!~^=+,\u{202e}";
            prop_assert!(!name.contains(|c| unsafe_characters.contains(c)));
        }
    }

    #[test]
    fn no_bytes_make_a_name_that_text_does_not(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(name) = CanonName::from_bytes(&bytes) {
            prop_assert_eq!(name.to_bytes(), bytes.clone());
        }
        let _ = (AccessPath::from_bytes(&bytes), AppName::from_bytes(&bytes), Grantee::from_bytes(&bytes));
    }

    #[test]
    fn a_path_is_its_own_canonical_path(segments in prop::collection::vec(any_name(), 0..4)) {
        if let Ok(path) = AccessPath::parse(&format!("/{}", segments.join("/"))) {
            prop_assert_eq!(AccessPath::parse(path.as_str()), Ok(path.clone()));
            prop_assert!(path.ancestors().all(|above| path.starts_with(&above)));
            prop_assert_eq!(path.ancestors().count(), path.segments().count() + 1);
        }
    }
}

/// ASCII in its full-width forms.
fn wide(text: &str) -> String {
    let widen =
        |c: char| if c.is_ascii_graphic() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c };
    text.chars().map(widen).collect()
}

/// What RFC 8264 §5.2.3 and UAX 31 compare by, written with other tables than the code under test.
fn nfkc_casefold(text: &str) -> String {
    let fold = |t: String| -> String {
        t.chars()
            .flat_map(|c| {
                if c == 'ı' { vec![c] } else { c.to_uppercase().flat_map(char::to_lowercase).collect() }
            })
            .collect()
    };
    let once: String = fold(text.nfkc().collect()).nfkc().collect();
    fold(once).nfkc().collect()
}

#[test]
fn accepted_spellings_of_any_letter_that_are_equal_after_folding_are_one_name() {
    let mut names = HashMap::<String, CanonName>::new();
    let mut accepted = 0;
    for c in '\0'..=char::MAX {
        for spelling in [format!("{c}"), format!("a{c}"), format!("α{c}β")] {
            let Ok(name) = CanonName::parse(&spelling) else { continue };
            accepted += 1;
            assert_eq!(CanonName::parse(name.as_str()), Ok(name.clone()), "{spelling:?}");
            let known = names.entry(nfkc_casefold(&spelling)).or_insert_with(|| name.clone());
            assert_eq!(*known, name, "{spelling:?}");
        }
    }
    assert!(accepted > 50_000, "only {accepted} spellings were accepted: the test proves nothing");
}

#[test]
fn differently_typed_names_become_one() {
    for (text, name) in [
        ("Alice", "alice"),
        ("ＡＬＩＣＥ", "alice"),
        ("ALICE.Smith_2-b", "alice.smith_2-b"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("Ζωή", "ζωή"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
        ("Οδυσσευς", "οδυσσευσ"),
        ("Zoe\u{308}", "zoë"),
        ("ᾳ\u{301}\u{301}", "ά\u{301}ι"),
        ("α\u{301}\u{345}\u{301}", "ά\u{301}ι"),
        ("Анна", "анна"),
        ("山田", "山田"),
        ("김철수", "김철수"),
        ("ışık", "ışık"),
    ] {
        assert_eq!(canon(text).as_deref(), Ok(name), "{text}");
    }
}

#[test]
fn what_would_break_paths_urls_or_terminals_is_no_name() {
    for text in [
        "",
        " ",
        "a b",
        "a/b",
        "a:b",
        "a@b",
        "a#b",
        "a?b",
        "a%2fb",
        "a\\b",
        "a\"b",
        "a'b",
        "a$b",
        "a*b",
        "..",
        ".a",
        "-a",
        "--help",
        "a.",
        "a-",
        "_a",
        "a\0",
        "a\n",
        "a\u{7f}",
        "a\u{85}",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{feff}",
        "a\u{ad}b",
        "a\u{e000}",
        "a\u{1f600}",
        "a\u{a0}b",
        "a\u{3000}b",
        "\u{301}",
        "½",
        "ﬁ",
        "a\u{ff0f}b",
    ] {
        assert!(CanonName::parse(text).is_err(), "{text:?}");
        assert!(GroupName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn letters_of_another_script_do_not_hide_in_a_name() {
    for text in ["аlice", "alicе", "pаypal", "alικe", "ᴀlice", "ɑdmin\u{430}"] {
        assert!(CanonName::parse(text).is_err(), "{text}");
    }
}

#[test]
fn names_that_look_alike_have_one_skeleton() {
    for (one, other) in [
        ("scope", "ѕсоре"),
        ("paypal", "paypa1"),
        ("bob", "b0b"),
        ("modern", "rnodern"),
        ("ısmail", "ismail"),
    ] {
        assert_ne!(CanonName::parse(one), CanonName::parse(other));
        assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
    }
    assert_ne!(skeleton("alice"), skeleton("alicia"));
}

#[test]
fn a_name_has_at_most_64_characters() {
    assert!(CanonName::parse(&"a".repeat(64)).is_ok());
    assert!(CanonName::parse(&"山".repeat(64)).is_ok());
    assert_eq!(CanonName::parse(&"a".repeat(65)), Err(NameError::TooLong(64)));
    assert_eq!(CanonName::parse(&"ß".repeat(33)), Err(NameError::TooLong(64)));
    assert_eq!(CanonName::parse(&"a".repeat(1_000_000)), Err(NameError::TooLong(64)));
    assert!(CanonName::parse(&"e\u{323}\u{302}".repeat(64)).is_ok());
}

#[test]
fn a_name_on_the_wire_has_one_encoding() {
    let mut w = symbolon_wire::Writer::new();
    w.text16("Alice");
    assert_eq!(CanonName::from_bytes(&w.into_bytes()), Err(WireError::BadValue("user name")));
    let path = AccessPath::parse("/people/alice").unwrap();
    assert_eq!(AccessPath::from_bytes(&path.to_bytes()), Ok(path));
}

#[test]
fn applications_are_named_like_hosts() {
    for (text, name) in [("db", "db"), ("DB.Office", "db.office"), ("a-1.b2", "a-1.b2"), ("1", "1")] {
        assert_eq!(AppName::parse(text).unwrap().as_str(), name);
    }
    let long = format!("{}.a", "a".repeat(63));
    assert!(AppName::parse(&long).is_ok());
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a.-b",
        "a_b",
        "ä",
        "a/b",
        &"a".repeat(64),
        &"a.".repeat(127),
        " a",
    ] {
        assert!(AppName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn codes_and_templates_have_one_spelling() {
    assert!(UserCode::parse("alice-7f3k").is_ok());
    for text in ["abc", "Alice-1", "a_bc", "", &"a".repeat(81)] {
        assert!(UserCode::parse(text).is_err(), "{text:?}");
    }
    assert!(TemplateName::parse("bank-customer").is_ok());
    for text in ["", "Bank", "-a", "a-", "a/b", "../x", &"a".repeat(65)] {
        assert!(TemplateName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn grantees_token_classes_and_ids_read_what_they_write() {
    for text in ["user:alice", "group:staff", "path:/people", "path:/"] {
        assert_eq!(text.parse::<Grantee>().unwrap().to_string(), text);
    }
    for text in ["alice", "role:x", "user:", "path:people", "user:a:b"] {
        assert!(text.parse::<Grantee>().is_err(), "{text}");
    }
    assert!(TokenClass::Password < TokenClass::Software && TokenClass::Software < TokenClass::Hardware);
    assert_eq!(serde_json::to_string(&TokenClass::Hardware).unwrap(), "\"hardware\"");
    assert!(TokenClass::ALL.is_sorted_by_key(|class| class.assurance()), "a stronger class proves no less");
    for class in TokenClass::ALL {
        assert_eq!(class.to_string().parse(), Ok(class));
    }
    for level in Assurance::ALL {
        assert_eq!(level.to_string().parse(), Ok(level));
    }
    for text in ["", "Password", "ticket", "medium"] {
        assert!(text.parse::<TokenClass>().is_err() && text.parse::<Assurance>().is_err(), "{text}");
    }
    let id: EntitlementId = "000102030405060708090a0b0c0d0eff".parse().unwrap();
    assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
    assert_eq!(EntitlementId::from_bytes(&id.to_bytes()), Ok(id));
    for text in ["", "0", "+00102030405060708090a0b0c0d0eff", "000102030405060708090A0B0C0D0EFF"] {
        assert!(text.parse::<EntitlementId>().is_err());
    }
}

#[test]
fn a_name_in_json_is_read_by_the_same_rules() {
    assert_eq!(serde_json::from_str::<CanonName>("\"Alice\"").unwrap().as_str(), "alice");
    let error = serde_json::from_str::<CanonName>("\"a/b\"").unwrap_err().to_string();
    assert!(error.starts_with("user name \"a/b\": must not hold the character '/'"), "{error}");
}
