//! What the shipped templates accept, and what no template accepts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use symbolon_policy::{NameError, TextError};
use symbolon_wire::{Decode, Encode, WireError};

use super::*;

fn answers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(id, answer)| ((*id).to_owned(), (*answer).to_owned())).collect()
}

fn shipped(n: usize) -> RegistrationTemplate {
    RegistrationTemplate::shipped()[n].clone()
}

/// A template with a user name and one field `x` of these keys.
fn with(keys: &str) -> Result<RegistrationTemplate, TemplateError> {
    RegistrationTemplate::from_toml(&format!(
        "name = 't'\ntitle = 'T'\nname_field = 'n'\npath_prefix = '/p'\n\
         [[fields]]\nid = 'n'\nlabel = 'N'\nkind = 'user-name'\nrequired = true\n\
         [[fields]]\nid = 'x'\nlabel = 'X'\n{keys}\n"
    ))
}

/// The canonical spelling of one answer to a field of these keys.
fn check(keys: &str, answer: &str) -> Result<String, AnswerProblem> {
    with(keys).unwrap().check("x", answer).map_err(|e| e.problem)
}

#[test]
fn a_person_registers_with_a_name_and_a_full_name() {
    let given = answers(&[
        ("user-name", "Alice"),
        ("full-name", " Alice Zoe\u{308} "),
        ("phone", "+44 20-7946 0123"),
    ]);
    let valid = shipped(0).validate(&given).unwrap();
    assert_eq!(valid.name().as_str(), "alice");
    assert_eq!(valid.path().as_str(), "/people/alice");
    assert_eq!(valid.template().as_str(), "person");
    assert_eq!(valid.get("full-name"), Some("Alice Zoë"));
    assert_eq!(valid.get("phone"), Some("+442079460123"));
    assert_eq!(valid.get("email"), None);
}

#[test]
fn a_device_registers_with_its_kind_and_who_is_responsible() {
    let given = answers(&[
        ("device-name", "sensor-17"),
        ("device-kind", "sensor"),
        ("responsible", "ops@Example.ORG"),
        ("serial", "A1B2"),
        ("battery", "Yes"),
    ]);
    let valid = shipped(1).validate(&given).unwrap();
    assert_eq!(valid.path().as_str(), "/devices/sensor-17");
    assert_eq!(valid.get("responsible"), Some("ops@example.org"));
    assert_eq!(valid.get("battery"), Some("true"));
}

#[test]
fn a_bank_customer_registers_with_what_the_contract_says() {
    let mut given = answers(&[
        ("user-name", "k.müller"),
        ("customer-number", "0012345678"),
        ("full-name", "Karin Müller"),
        ("birth-date", "1984-02-29"),
        ("phone", "+4915112345678"),
        ("services", "payments, accounts"),
        ("daily-limit", "+2000"),
        ("terms", "accepted"),
    ]);
    let valid = shipped(2).validate(&given).unwrap();
    assert_eq!(valid.path().as_str(), "/customers/k.müller");
    assert_eq!(valid.get("services"), Some("accounts, payments"));
    assert_eq!(valid.get("daily-limit"), Some("2000"));
    given.remove("terms");
    given.insert("birth-date".into(), "1985-02-29".into());
    given.insert("daily-limit".into(), "50001".into());
    let errors: Vec<String> =
        shipped(2).validate(&given).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "Date of birth (birth-date): write the date as year-month-day, such as 1985-04-23",
            "Daily limit for payments, in whole euros (daily-limit): write a whole number from 0 to 50000",
            "I accept the terms of online banking (terms): an answer is required",
        ]
    );
}

#[test]
fn missing_and_unknown_fields_are_each_named() {
    let given = answers(&[("full-name", "   "), ("user-name", "alice"), ("is-admin", "true")]);
    let errors = shipped(0).validate(&given).unwrap_err();
    let problems: Vec<_> = errors.iter().map(|e| (e.field.as_str(), &e.problem)).collect();
    assert_eq!(
        problems,
        [("full-name", &AnswerProblem::Missing), ("is-admin", &AnswerProblem::UnknownField)]
    );
    let long = answers(&[(&"\u{1b}".repeat(99), "")]);
    let shown = shipped(0).validate(&long).unwrap_err().iter().map(ToString::to_string).collect::<String>();
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn control_characters_and_bidirectional_overrides_are_refused_in_every_kind() {
    for c in ['\0', '\u{1b}', '\n', '\u{202e}', '\u{2066}', '\u{200f}'] {
        for keys in
            ["kind = 'text'", "kind = 'email'", "kind = 'choice'\noptions = ['a']", "kind = 'user-name'"]
        {
            let problem = check(keys, &format!("a{c}b")).unwrap_err();
            assert_eq!(problem, AnswerProblem::Text(TextError::Character(c)), "{keys}");
        }
    }
}

#[test]
fn a_user_name_is_canonical_and_never_misleading() {
    assert_eq!(check("kind = 'user-name'", "ＡLICE").as_deref(), Ok("alice"));
    assert_eq!(check("kind = 'user-name'", "аlice"), Err(AnswerProblem::Name(NameError::MixedScripts)));
    assert_eq!(check("kind = 'user-name'", "a/b"), Err(AnswerProblem::Name(NameError::Character('/'))));
}

#[test]
fn text_keeps_its_length_and_its_characters() {
    let keys = "kind = 'text'\nmin = 2\nmax = 3\ncharset = 'letters'";
    assert_eq!(check(keys, "äöü").as_deref(), Ok("äöü"));
    assert_eq!(check(keys, "a\u{308}o\u{308}u\u{308}").as_deref(), Ok("äöü"));
    assert_eq!(check(keys, "a"), Err(AnswerProblem::TooShort(2)));
    assert_eq!(check(keys, "abcd"), Err(AnswerProblem::TooLong(3)));
    assert_eq!(check(keys, "a1"), Err(AnswerProblem::Charset(Charset::Letters, '1')));
    assert_eq!(check("kind = 'text'", &"a".repeat(1001)), Err(AnswerProblem::TooLong(1000)));
    let digits = "kind = 'text'\ncharset = 'digits'";
    assert_eq!(check(digits, "١٢"), Err(AnswerProblem::Charset(Charset::Digits, '١')));
}

#[test]
fn mailboxes_are_told_from_what_is_none() {
    for (text, canonical) in [("a.b+c@Example.ORG", "a.b+c@example.org"), ("x@a-1.b", "x@a-1.b")] {
        assert_eq!(check("kind = 'email'", text).as_deref(), Ok(canonical));
    }
    let long = format!("{}@example.org", "a".repeat(65));
    for text in [
        "a", "@b.c", "a@", "a@b", "a@b..c", "a@-b.c", "a b@c.d", "a@b@c.d", ".a@b.c", "a..b@c.d", "ä@b.c",
        &long,
    ] {
        assert_eq!(check("kind = 'email'", text), Err(AnswerProblem::Email), "{text}");
    }
}

#[test]
fn telephone_numbers_carry_their_country_code() {
    assert_eq!(check("kind = 'phone'", "+1 (212) 555-0123").as_deref(), Ok("+12125550123"));
    for text in
        ["020 7946 0123", "+0 20 7946 0123", "+12345", "+1234567890123456", "+12a4567890", "++1234567"]
    {
        assert_eq!(check("kind = 'phone'", text), Err(AnswerProblem::Phone), "{text}");
    }
}

#[test]
fn dates_are_days_of_the_calendar() {
    for text in ["2000-02-29", "1985-04-23", "9999-12-31"] {
        assert_eq!(check("kind = 'date'", text).as_deref(), Ok(text));
    }
    for text in [
        "1900-02-29",
        "2001-02-29",
        "2001-04-31",
        "2001-13-01",
        "2001-00-01",
        "2001-01-00",
        "0000-01-01",
        "23.4.1985",
        "1985-4-23",
        "+985-04-23",
        "1985-04-2٣",
    ] {
        assert_eq!(check("kind = 'date'", text), Err(AnswerProblem::Date), "{text}");
    }
}

#[test]
fn numbers_choices_and_booleans_have_one_spelling() {
    let keys = "kind = 'integer'\nmin = -5\nmax = 5";
    assert_eq!(check(keys, "-05").as_deref(), Ok("-5"));
    for text in ["6", "-6", "1.0", "1e0", "x", "99999999999999999999"] {
        assert_eq!(check(keys, text), Err(AnswerProblem::Integer(-5..=5)), "{text}");
    }
    let several = "kind = 'multi-choice'\noptions = ['red', 'light blue', 'green']";
    assert_eq!(check(several, "green,light blue").as_deref(), Ok("light blue, green"));
    for text in ["red,red", "red,", "blue", "Red"] {
        assert!(matches!(check(several, text), Err(AnswerProblem::Choices(_))), "{text}");
    }
    assert_eq!(check("kind = 'boolean'", "NO").as_deref(), Ok("false"));
    assert_eq!(check("kind = 'boolean'", "1"), Err(AnswerProblem::Boolean));
}

#[test]
fn a_template_that_is_wrong_says_where() {
    for (keys, error) in [
        (
            "kind = 'regex'",
            "field \"x\": unknown kind \"regex\": use text, email, phone, date, integer, choice, \
            multi-choice, boolean or user-name",
        ),
        (
            "kind = 'text'\noptions = ['a']",
            "field \"x\": options has no meaning for kind \"text\": remove it",
        ),
        ("kind = 'text'\nmin = 3\nmax = 2", "field \"x\": min and max must be in order and at most 1000"),
        ("kind = 'text'\nmax = 1001", "field \"x\": min and max must be in order and at most 1000"),
        ("kind = 'integer'\nmin = 3\nmax = 2", "field \"x\": min must not be above max"),
        ("kind = 'choice'", "field \"x\": needs 1 to 64 options"),
        ("kind = 'choice'\noptions = ['a', 'a']", "field \"x\": option \"a\" stands twice"),
        (
            "kind = 'choice'\noptions = ['a,b']",
            "field \"x\": option \"a,b\" must have no comma and no space around it",
        ),
        ("kind = 'boolean'\nhelp = \"\\u001b\"", "field \"x\": help must not hold the character '\\u{1b}'"),
        (
            "kind = 'boolean'\n[[fields]]\nid = 'x'\nlabel = 'X'\nkind = 'boolean'",
            "field \"x\": has the id of another field",
        ),
        (
            "kind = 'boolean'\n[[fields]]\nid = 'X'\nlabel = 'X'\nkind = 'boolean'",
            "field \"X\": the id must be 1 to 32 of a-z, 0-9 and '-', a letter first",
        ),
    ] {
        assert_eq!(with(keys).unwrap_err().to_string(), error);
    }
    let unknown_key = with("kind = 'text'\nmaximum = 3").unwrap_err();
    assert!(
        matches!(&unknown_key, TemplateError::Toml(e) if e.contains("unknown field `maximum`")),
        "{unknown_key}"
    );
    assert!(matches!(RegistrationTemplate::from_toml("="), Err(TemplateError::Toml(_))));
}

#[test]
fn a_template_says_which_required_field_is_the_name() {
    let person = include_str!("../../templates/person.toml");
    for (from, to) in [
        ("name_field = \"user-name\"", "name_field = \"email\""),
        ("name_field = \"user-name\"", "name_field = \"nobody\""),
        ("kind = \"user-name\"\nrequired = true", "kind = \"user-name\""),
    ] {
        let text = person.replace(from, to);
        assert_eq!(RegistrationTemplate::from_toml(&text), Err(TemplateError::NameField));
    }
    let deep = person.replace("\"/people\"", &format!("\"{}\"", "/a".repeat(16)));
    assert_eq!(RegistrationTemplate::from_toml(&deep), Err(TemplateError::PathPrefix));
}

#[test]
fn a_template_has_at_most_64_fields() {
    let fields = |n: usize| {
        (0..n)
            .map(|n| format!("[[fields]]\nid = 'f{n}'\nlabel = 'F'\nkind = 'boolean'\n"))
            .collect::<String>()
    };
    assert!(with(&format!("kind = 'boolean'\n{}", fields(62))).is_ok());
    assert_eq!(with(&format!("kind = 'boolean'\n{}", fields(63))), Err(TemplateError::FieldCount));
}

#[test]
fn all_answers_together_fit_a_registration() {
    let fields: String =
        (0..20).map(|n| format!("[[fields]]\nid = 'f{n}'\nlabel = 'F'\nkind = 'text'\n")).collect();
    let template = with(&format!("kind = 'boolean'\n{fields}")).unwrap();
    let mut given = answers(&[("n", "alice")]);
    given.extend((0..20).map(|n| (format!("f{n}"), "a".repeat(300))));
    assert!(template.validate(&given).unwrap().to_bytes().len() <= MAX_ANSWERS);
    given.insert("f7".into(), "ä".repeat(1000));
    given.extend((8..10).map(|n| (format!("f{n}"), "a".repeat(500))));
    let errors = template.validate(&given).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].field.as_str(), &errors[0].problem), ("f7", &AnswerProblem::TooMuchTogether));
}

#[test]
fn shipped_templates_survive_the_wire_and_their_own_file_form() {
    for template in RegistrationTemplate::shipped() {
        assert_eq!(RegistrationTemplate::from_bytes(&template.to_bytes()).as_ref(), Ok(&template));
        assert_eq!(RegistrationTemplate::from_toml(&template.to_toml()).as_ref(), Ok(&template));
        assert!(template.to_bytes().len() < 4096, "an Offer should fit a few packets");
    }
}

#[test]
fn a_gateway_cannot_send_a_template_that_no_file_could_hold() {
    let mut hostile = shipped(0);
    hostile.title = "\u{1b}[2Jyour bank".to_owned();
    let refused = Err(WireError::BadValue("registration template"));
    assert_eq!(RegistrationTemplate::from_bytes(&hostile.to_bytes()), refused);
    let mut hostile = shipped(0);
    hostile.fields[1].id = "user-name".to_owned();
    assert_eq!(RegistrationTemplate::from_bytes(&hostile.to_bytes()), refused);
}

#[test]
fn answers_have_one_encoding() {
    let given = answers(&[("user-name", "alice"), ("full-name", "Alice")]);
    let valid = shipped(0).validate(&given).unwrap();
    let raw = Answers::from_bytes(&valid.to_bytes()).unwrap();
    assert_eq!(shipped(0).validate(&raw.0).as_ref(), Ok(&valid));
    let mut w = symbolon_wire::Writer::new();
    w.list16(&["b", "a"], |w, id| {
        w.text8(id);
        w.text16("");
    });
    assert_eq!(Answers::from_bytes(&w.into_bytes()), Err(WireError::BadValue("order of answers")));
}

fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9 @.+,-]{0,20}",
        "\\+[0-9 -]{5,18}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "[a-z]{1,5}@[a-zA-Z]{1,5}\\.[a-z]{2}",
        prop::sample::select(
            &["accepted", "sensor", "payments, accounts", "yes", "0012345678", "ß", "e\u{301}"][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn given() -> impl Strategy<Value = BTreeMap<String, String>> {
    let ids: Vec<String> = RegistrationTemplate::shipped()
        .iter()
        .flat_map(|t| t.fields().iter().map(|f| f.id.clone()))
        .chain(["other".to_owned()])
        .collect();
    prop::collection::btree_map(prop::sample::select(ids), answer(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn each_canonical_answer_is_its_own_canonical_answer(given in given()) {
        for template in RegistrationTemplate::shipped() {
            for (id, answer) in &given {
                if let Ok(canonical) = template.check(id, answer) {
                    prop_assert!(!canonical.chars().any(char::is_control));
                    prop_assert_eq!(template.check(id, &canonical), Ok(canonical));
                }
            }
            let required: Vec<_> = template.fields().iter().filter(|f| f.required).map(|f| &f.id).collect();
            match template.validate(&given) {
                Ok(valid) => {
                    prop_assert!(required.iter().all(|id| valid.get(id).is_some()));
                    let again = Answers::from_bytes(&valid.to_bytes()).unwrap();
                    prop_assert_eq!(template.validate(&again.0), Ok(valid));
                }
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }

    #[test]
    fn no_bytes_and_no_file_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in any::<String>(), flip in any::<prop::sample::Index>(), bit in 0u8..8) {
        let _ = (RegistrationTemplate::from_bytes(&bytes), Answers::from_bytes(&bytes));
        let _ = RegistrationTemplate::from_toml(&text);
        let mut near = shipped(2).to_bytes();
        let at = flip.index(near.len());
        near[at] ^= 1 << bit;
        if let Ok(template) = RegistrationTemplate::from_bytes(&near) {
            prop_assert_eq!(template.to_bytes(), near);
            prop_assert_eq!(RegistrationTemplate::from_toml(&template.to_toml()), Ok(template));
        }
    }
}
