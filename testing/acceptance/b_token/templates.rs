//! B4: what a gateway asks is data, and an answer that does not fit is named.

use anyhow::{Context, Result};
use symbolon_acceptance::{Gateway, PIN, Person, scenario, step};

/// A template as an operator writes it.
const CLINIC: &str = r#"
name = "patient"
title = "Register as a patient"
intro = "Have your insurance card at hand."
name_field = "login"
path_prefix = "/patients/outpatient"

[[fields]]
id = "login"
label = "Login"
kind = "user-name"
required = true

[[fields]]
id = "insurance"
label = "Insurance number"
kind = "text"
min = 10
max = 10
charset = "alnum"
required = true

[[fields]]
id = "born"
label = "Born"
kind = "date"
required = true

[[fields]]
id = "visits"
label = "Visits so far"
kind = "integer"
min = 0
max = 99

[[fields]]
id = "ward"
label = "Ward"
kind = "choice"
options = ["north", "south"]

[[fields]]
id = "allergies"
label = "Allergies"
kind = "multi-choice"
options = ["nuts", "pollen", "penicillin"]

[[fields]]
id = "reminders"
label = "Reminders by e-mail"
kind = "boolean"

[[fields]]
id = "mail"
label = "E-mail"
kind = "email"

[[fields]]
id = "remarks"
label = "Remarks"
kind = "text"
max = 40
"#;

fn put(gateway: &Gateway, name: &str, text: &str) -> Result<()> {
    let file = gateway.machine().write("template.toml", text)?;
    gateway.admin_json(&["templates", "put", name, &file.display().to_string()]).map(drop)
}

#[test]
fn templates_for_persons_devices_and_bank_customers_are_there() -> Result<()> {
    scenario!("B4: the templates that come with the product are patterns for one's own");
    let gateway = Gateway::start("gw.example")?;
    let listed = gateway.admin_json(&["templates", "list"])?;
    let mut names: Vec<_> = listed["templates"]
        .as_array()
        .context("no templates")?
        .iter()
        .filter_map(|t| t["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["bank-customer", "device", "person"]);
    for name in names {
        let shown = gateway.admin_json(&["templates", "show", name])?;
        put(&gateway, name, shown["toml"].as_str().context("no text")?)?;
    }

    step!("a machine registers as a machine");
    let device = Person::new("sensor-17")?;
    let answers = device.machine().write(
        "device.toml",
        "device-name = \"Sensor-17\"\ndevice-kind = \"sensor\"\nresponsible = \"ops@EXAMPLE.org\"\nbattery = true\n",
    )?;
    let answers = answers.display().to_string();
    let link = gateway.invite(&["--template", "device"])?;
    let enrolled = device.enrol(&link, &["--answers", &answers])?;
    assert_eq!(enrolled["access_path"], "/devices/sensor-17");

    step!("an invitation for a machine makes no person");
    let person = Person::new("alice")?;
    let link = gateway.invite(&["--template", "device"])?;
    let refused = person.enrol_refused(2, &link, &[])?;
    assert!(refused.contains("device-name"), "{refused}");
    let refused = person.enrol_refused(2, &link, &["--template", "person"])?;
    assert!(refused.contains("is for the template device"), "{refused}");
    assert_eq!(gateway.users()?, ["sensor-17"]);
    Ok(())
}

#[test]
fn an_operator_asks_questions_of_their_own() -> Result<()> {
    scenario!("B4: a clinic writes a template");
    let mut gateway = Gateway::start("clinic.example")?;
    put(&gateway, "patient", CLINIC)?;
    let patient = Person::new("pat")?;
    let answers = patient.machine().write(
        "patient.json",
        r#"{"login": "Pat", "insurance": "A123456780", "born": "1985-04-23", "visits": 3, "ward": "south",
            "allergies": ["nuts", "pollen"], "reminders": false, "remarks": null}"#,
    )?;
    let answers = answers.display().to_string();
    let link = gateway.invite(&["--template", "patient"])?;
    let enrolled = patient.enrol(&link, &["--template", "patient", "--answers", &answers])?;
    assert_eq!(enrolled["access_path"], "/patients/outpatient/pat");

    step!("an application has the template of those who come for it");
    gateway.admin_json(&["apps", "add", "records", "127.0.0.1:9", "--template", "patient"])?;
    assert_eq!(gateway.admin_json(&["apps", "show", "records"])?["template"], "patient");
    let late = Person::new("late")?;
    let text = "login = \"late\"\ninsurance = \"B123456780\"\nborn = 1990-01-01\n";
    let answers = late.machine().write("patient.toml", text)?.display().to_string();
    let invited = gateway.admin(&["tokens", "invite", "--app", "records"])?;
    assert!(invited.contains("&t=patient"), "{invited}");
    late.enrol(&gateway.invite(&["--app", "records"])?, &["--answers", &answers])?;

    step!("what is no template is refused with the place, and the one that is there stays");
    let broken = CLINIC.replace("kind = \"date\"", "kind = \"day\"");
    let file = gateway.machine().write("broken.toml", broken)?;
    let file = file.display().to_string();
    let refused = gateway.admin_refused(2, &["templates", "put", "patient", &file])?;
    assert!(refused.contains("broken.toml") && refused.contains("day"), "{refused}");
    let shown = gateway.admin_json(&["templates", "show", "patient"])?;
    assert!(shown["toml"].as_str().is_some_and(|t| t.contains("Insurance number")));

    step!("the node's own default is a setting");
    gateway.stop()?;
    let gateway = Gateway::set("bank.example", &["--template", "bank-customer"])?;
    let refused = Person::new("alice")?.enrol_refused(2, &gateway.invite(&[])?, &[])?;
    assert!(refused.contains("customer-number") && refused.contains("services"), "{refused}");
    Ok(())
}

#[test]
fn every_answer_that_does_not_fit_is_named_with_what_to_do() -> Result<()> {
    scenario!("B4: wrong answers");
    let gateway = Gateway::start("clinic.example")?;
    put(&gateway, "patient", CLINIC)?;
    let link = gateway.invite(&["--template", "patient"])?;
    let patient = Person::new("pat")?;
    let right = [("login", "\"pat\""), ("insurance", "\"A123456780\""), ("born", "1985-04-23")];
    let wrong: &[(&str, &str, &str)] = &[
        ("login", "", "required"),
        ("insurance", "", "required"),
        ("insurance", "\"A12\"", "at least 10"),
        ("insurance", "\"A1234567890\"", "at most 10"),
        ("insurance", "\"A12345678!\"", "letters and digits"),
        ("born", "\"1985-02-30\"", "year-month-day"),
        ("visits", "\"many\"", "whole number from 0 to 99"),
        ("visits", "100", "whole number from 0 to 99"),
        ("ward", "\"west\"", "north, south"),
        ("allergies", "[\"cats\"]", "nuts, pollen, penicillin"),
        ("reminders", "\"perhaps\"", "yes or no"),
        ("mail", "\"pat at example\"", "e-mail"),
        ("remarks", "\"red\\u001b[31m text\"", "remove it"),
        ("remarks", "\"nothing\\u202etxt.exe\"", "remove it"),
        ("remarks", "\"forty characters are enough, and this is more\"", "at most 40"),
        ("login", "\"two words\"", "user name"),
        ("login", "\"p\u{430}t\"", "user name"),
        ("login", "\"../root\"", "user name"),
        ("shoe-size", "42", "no such field"),
    ];
    for (field, answer, complaint) in wrong {
        let others = right.iter().copied().filter(|(f, _)| f != field);
        let this = Some((*field, *answer)).filter(|(_, a)| !a.is_empty());
        let text: String = others.chain(this).map(|(f, a)| format!("{f} = {a}\n")).collect();
        let file = patient.machine().write("wrong.toml", text)?.display().to_string();
        let refused = patient.enrol_refused(2, &link, &["--answers", &file])?;
        assert!(refused.contains(field) && refused.contains(complaint), "{field} = {answer}: {refused}");
        assert!(!refused.contains('\u{1b}') && !refused.contains('\u{202e}'), "{refused:?}");
    }

    step!("several faults are told at once, none of them has cost the invitation");
    let file =
        patient.machine().write("wrong.toml", "insurance = \"A12\"\nmail = \"x\"\n")?.display().to_string();
    let refused = patient.enrol_refused(2, &link, &["--answers", &file])?;
    for field in ["login", "insurance", "born", "mail"] {
        assert!(refused.contains(field), "{field}: {refused}");
    }
    let text: String = right.iter().map(|(f, a)| format!("{f} = {a}\n")).collect();
    let file = patient.machine().write("right.toml", text)?.display().to_string();
    patient.enrol(&link, &["--answers", &file])?;
    Ok(())
}

#[test]
fn a_person_at_a_terminal_is_asked_until_the_answers_fit() -> Result<()> {
    scenario!("B4, B7: a person enrols at a terminal");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let link = gateway.invite(&[])?;
    let mut terminal = alice.machine().at_terminal(["enrol", &link])?;
    let shown = terminal.expect("Register there?")?;
    assert!(shown.contains("gw.example") && shown.contains(&gateway.address()), "{shown}");
    terminal.type_line("y")?;
    terminal.expect("User name")?;
    terminal.expect(": ")?;
    terminal.type_line("al ice")?;
    terminal.expect("user name")?;
    terminal.expect("User name")?;
    terminal.type_line("Alice")?;
    terminal.expect("Full name")?;
    terminal.type_line("")?;
    terminal.expect("required")?;
    terminal.expect("Full name")?;
    terminal.type_line("Alice of the test")?;
    terminal.expect("E-mail address (may be left empty)")?;
    terminal.type_line("nonsense")?;
    terminal.expect("alice@example.org")?;
    terminal.expect("E-mail address")?;
    terminal.type_line("")?;
    terminal.expect("Telephone")?;
    terminal.type_line("")?;

    step!("a PIN that is too short is refused, two that differ are not taken, and none is shown");
    terminal.expect("PIN: ")?;
    terminal.type_line("12345")?;
    terminal.expect("PIN again: ")?;
    terminal.type_line("12345")?;
    terminal.expect("6 to 128 characters")?;
    terminal.expect("PIN: ")?;
    terminal.type_line(PIN)?;
    terminal.expect("PIN again: ")?;
    terminal.type_line("something else")?;
    terminal.expect("not the same")?;
    terminal.expect("PIN: ")?;
    terminal.type_line(PIN)?;
    terminal.expect("PIN again: ")?;
    terminal.type_line(PIN)?;
    let (status, rest) = terminal.wait_exit()?;
    assert!(status.success(), "{rest}");
    assert!(rest.contains("as alice (/people/alice)"), "{rest}");
    assert!(!rest.contains(PIN), "{rest}");
    alice.sign_in(&[])?.stop()?;

    step!("who does not like the look of the gateway says no, and nothing has happened");
    let bob = Person::new("bob")?;
    let mut terminal = bob.machine().at_terminal(["enrol", &gateway.invite(&[])?])?;
    terminal.expect("Register there?")?;
    terminal.type_line("n")?;
    let (status, rest) = terminal.wait_exit()?;
    assert_eq!(status.code(), Some(1), "{rest}");
    assert!(rest.contains("nothing was sent"), "{rest}");
    assert!(!bob.token().exists());
    assert_eq!(gateway.users()?, ["alice"]);
    Ok(())
}
