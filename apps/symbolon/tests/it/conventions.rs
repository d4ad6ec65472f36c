//! JSON, exit codes, and where secrets go.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use crate::binary::{Place, text};

#[test]
fn every_failure_is_one_json_object_with_its_exit_code() {
    let place = Place::new();
    let (node, home) = (place.path("node"), place.path("home"));
    let (node, home) = (text(&node), text(&home));
    for (arguments, code) in [
        (["frobnicate"].as_slice(), 2),
        (&["connect"], 2),
        (&["connect", "a b"], 2),
        (&["--home", home, "token", "info"], 2),
        (&["--home", home, "login"], 2),
        (&["--home", home, "enrol", "http://x"], 2),
        (&["--home", home, "doctor"], 1),
        (&["--home", home, "status"], 4),
        (&["--home", home, "ls"], 4),
        (&["--home", home, "whoami"], 4),
        (&["--home", home, "logout"], 4),
        (&["--dir", node, "admin", "status"], 4),
        (&["--dir", node, "admin", "users", "list"], 4),
        (&["--config", "/nonexistent", "serve"], 1),
        (&["--dir", node, "serve", "--template", "a b"], 2),
    ] {
        let (value, ended) = place.json(arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {value}");
        let error = &value["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{value}");
    }
}

#[test]
fn what_joins_standard_output_to_an_application_complains_on_standard_error() {
    let place = Place::new();
    let ended = place.run(&["--home", text(&place.path("home")), "connect", "db", "--stdio", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(
        (ended.code, ended.out.as_str(), &value["error"]["code"]),
        (Some(4), "", &"unreachable".into())
    );
}

#[test]
fn a_complaint_goes_to_standard_error_with_a_command_that_mends_it() {
    let place = Place::new();
    let home = place.path("home");
    let ended = place.run(&["--home", text(&home), "ls"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""));
    let fix = format!("fix: start one: {} --home {} login\n", env!("CARGO_BIN_EXE_symbolon"), home.display());
    assert!(ended.err.ends_with(&fix), "{}", ended.err);
    assert!(!ended.err.contains('\u{1b}'), "no colours where no terminal is");
}

#[test]
fn help_and_version_are_no_failures() {
    let place = Place::new();
    for arguments in
        [["--help"].as_slice(), &["admin", "tokens", "invite", "--help"], &["--version"], &["version"]]
    {
        assert_eq!(place.run(arguments).code, Some(0), "{arguments:?}");
    }
    assert_eq!(place.run(&[]).code, Some(2));
    assert_eq!(place.json(&["version"]).0["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_secret_in_a_file_that_others_can_read_is_refused() {
    let place = Place::new();
    let (home, file) = (place.path("home"), place.path("pw"));
    fs::write(&file, "123456").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let arguments =
        ["--home", text(&home), "login", "--user", "a", "--gateway", "g", "--password-file", text(&file)];
    let (value, code) = place.json(&arguments);
    assert_eq!(code, Some(3), "{value}");
    assert!(value["error"]["fix"].as_str().unwrap().starts_with("chmod 600"), "{value}");
}

#[test]
fn an_invitation_is_not_written_where_others_can_read_it() {
    let place = Place::new();
    let public = File::create(place.path("public")).unwrap();
    public.set_permissions(fs::Permissions::from_mode(0o644)).unwrap();
    let status = place.command(&["admin", "tokens", "invite"]).stdout(public).status().unwrap();
    assert_eq!((status.code(), fs::read(place.path("public")).unwrap().len()), (Some(2), 0));
}
