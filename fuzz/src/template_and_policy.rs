//! What people write: names, conditions, entitlements, registration templates and the answers to them.

use std::net::{IpAddr, Ipv4Addr};

use symbolon_policy::{
    AccessPath, AccessRequest, AppName, CanonName, Conditions, DailyWindow, Decision, Entitlement,
    EntitlementId, Grantee, GroupName, Network, Policy, Standing, Subject, TemplateName, TokenClass,
    UserCode, format_time, free_text, parse_time,
};
use symbolon_token::{Answers, RegistrationTemplate};
use symbolon_wire::{Encode, Time};

use crate::encoding::one_encoding;
use crate::gateway::NOW;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "template_and_policy", feed, seeds };

/// The rest is a name of any kind.
const NAME: u8 = 0;
/// Each line of the rest is a condition.
const CONDITIONS: u8 = 1;
/// The rest is conditions as JSON.
const JSON: u8 = 2;
/// The rest is a template as a file.
const TEMPLATE_FILE: u8 = 3;
/// The rest is a template in an offer.
const TEMPLATE: u8 = 4;
/// The rest is the answers in a registration request.
const ANSWERS: u8 = 5;

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&TEMPLATE, rest)) => drop(one_encoding::<RegistrationTemplate>(rest).as_ref().map(template)),
        Some((&ANSWERS, rest)) => drop(one_encoding::<Answers>(rest).as_ref().map(answers)),
        Some((&way, rest)) => drop(std::str::from_utf8(rest).map(|text| written(way, text))),
        None => {}
    }
}

fn written(way: u8, text: &str) {
    match way {
        NAME => name(text),
        CONDITIONS => {
            if let Ok(conditions) = Conditions::from_pieces(text.lines()) {
                hold(&conditions);
            }
        }
        JSON => {
            if let Ok(conditions) = serde_json::from_str::<Conditions>(text)
                && conditions.check().is_ok()
            {
                let again = serde_json::to_string(&conditions).expect("conditions are JSON");
                assert_eq!(serde_json::from_str::<Conditions>(&again).ok().as_ref(), Some(&conditions));
                hold(&conditions);
            }
        }
        TEMPLATE_FILE => {
            if let Ok(read) = RegistrationTemplate::from_toml(text) {
                template(&read);
            }
        }
        _ => {}
    }
}

/// A template is the same in an offer and in memory, and in a file once it was written by us, who end no line with a
/// space.
fn template(template: &RegistrationTemplate) {
    let written = RegistrationTemplate::from_toml(&template.to_toml()).expect("our own file");
    assert_eq!(RegistrationTemplate::from_toml(&written.to_toml()).as_ref(), Ok(&written));
    assert_eq!(one_encoding::<RegistrationTemplate>(&template.to_bytes()).as_ref(), Some(template));
    assert!(template.fields().iter().any(|f| f.id == template.name_field()));
}

/// What passes a template stays as it is when it passes again.
fn answers(given: &Answers) {
    for template in RegistrationTemplate::shipped() {
        let Ok(valid) = template.validate(&given.0) else { continue };
        assert!(valid.path().starts_with(template.path_prefix()));
        assert!(valid.iter().all(|(_, answer)| !answer.contains(char::is_control)));
        let canonical = valid.iter().map(|(id, answer)| (id.to_owned(), answer.to_owned())).collect();
        assert_eq!(template.validate(&canonical).as_ref(), Ok(&valid));
    }
}

/// A canonical spelling is its own canonical spelling.
fn settled<T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug>(text: &str)
where
    T::Err: std::fmt::Debug + PartialEq,
{
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value));
    }
}

fn name(text: &str) {
    settled::<CanonName>(text);
    settled::<GroupName>(text);
    settled::<AppName>(text);
    settled::<UserCode>(text);
    settled::<TemplateName>(text);
    settled::<AccessPath>(text);
    settled::<Network>(text);
    settled::<DailyWindow>(text);
    settled::<Grantee>(text);
    settled::<EntitlementId>(text);
    if let Ok(name) = CanonName::parse(text) {
        assert!((1..=64).contains(&name.as_str().chars().count()));
        assert!(!name.as_str().contains(|c: char| c.is_control() || c.is_whitespace() || c == '/'));
        assert!(!name.skeleton().is_empty());
        assert!(AccessPath::root().join(&name).is_ok_and(|p| p.segments().eq([name.as_str()])));
    }
    if let Ok(line) = free_text(text) {
        assert_eq!(free_text(&line).as_ref(), Ok(&line));
        assert!(!line.contains(char::is_control));
    }
    if let Some(time) = parse_time(text) {
        assert_eq!(parse_time(&format_time(time)), Some(time));
    }
}

/// Conditions decide the same whichever way they are asked.
fn hold(conditions: &Conditions) {
    let through_pieces = |conditions: &Conditions| {
        let pieces = conditions.to_pieces();
        Conditions::from_pieces(pieces.iter().map(String::as_str)).expect("our own pieces")
    };
    // JSON may say a thing twice, pieces do not.
    let said_once = through_pieces(conditions);
    assert_eq!(through_pieces(&said_once), said_once, "pieces mean one thing");

    let entitlement = Entitlement {
        id: EntitlementId([1; 16]),
        grantee: "alice".parse().map(Grantee::User).expect("a name"),
        app: "db".parse().expect("an application's name"),
        conditions: conditions.clone(),
    };
    let policy = Policy::new(&[entitlement]).expect("checked conditions compile");
    let subject = Subject {
        name: "alice".parse().expect("a name"),
        path: "/people/alice".parse().expect("a path"),
        groups: Vec::new(),
        standing: Standing::Active,
    };
    let app: AppName = "db".parse().expect("an application's name");
    for now in [Time(0), NOW, conditions.next_change(NOW).unwrap_or(NOW)] {
        let source = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));
        let (token_class, machine, place) = (TokenClass::Software, "laptop", "office");
        let request =
            AccessRequest { subject: &subject, app: &app, now, source, token_class, machine, place };
        let decision = policy.decide(&request);
        let expected = conditions.time_holds(now)
            && (conditions.networks.is_empty() || conditions.networks.iter().any(|n| n.contains(source)))
            && (conditions.token_classes.is_empty() || conditions.token_classes.contains(&token_class))
            && conditions.assurance.is_none_or(|least| least <= token_class.assurance())
            && (conditions.machines.is_empty() || conditions.machines.iter().any(|m| m == machine))
            && (conditions.places.is_empty() || conditions.places.iter().any(|p| p == place));
        assert_eq!(
            matches!(decision, Decision::Permitted(_)),
            expected,
            "{conditions} at {}",
            format_time(now)
        );
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "alice",
        "db.office",
        "bank-customer",
        "/people/alice",
        "10.0.0.0/8",
        "2001:db8::/32",
        "Straße",
        "ΑΛΙΚΗ",
    ];
    let times = ["mon-fri 08:00-18:00", "2026-03-01T08:00:00Z", "group:staff", "user:alice", "path:/people"];
    let conditions = [
        "hours=mon-fri 08:00-18:00\nfrom=2026-01-01T00:00:00Z\nuntil=2027-01-01T00:00:00Z",
        "network=10.0.0.0/8\nnetwork=2001:db8::/32\ntoken=software\ntoken=hardware",
        "machine=laptop\nplace=office\nplace=home",
        "hours=sat,sun 22:00-04:00\nplace=office",
    ];
    let json = |pieces: &str| {
        let conditions = Conditions::from_pieces(pieces.lines()).expect("conditions");
        by(JSON, serde_json::to_string(&conditions).expect("conditions are JSON").as_bytes())
    };
    let text = |way| move |text: &&str| by(way, text.as_bytes());
    let mut seeds: Vec<Vec<u8>> = names.iter().chain(&times).map(text(NAME)).collect();
    seeds.extend(conditions.iter().map(text(CONDITIONS)));
    seeds.extend(conditions.iter().map(|c| json(c)));
    for template in RegistrationTemplate::shipped() {
        seeds.push(by(TEMPLATE_FILE, template.to_toml().as_bytes()));
        seeds.push(by(TEMPLATE, &template.to_bytes()));
    }
    let given = [("user-name", "Alice"), ("full-name", "Alice Example"), ("email", "alice@example.org")];
    let given = given.map(|(id, answer)| (id.to_owned(), answer.to_owned()));
    seeds.push(by(ANSWERS, &Answers(given.into()).to_bytes()));
    seeds
}
