//! The token's file: opened, counted, copied, refused.

use crate::world::{CHEAP, Home, PIN, Town, mode, pin};
use symbolon_agent::{AgentError, ErrorKind, token};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{Token, UnlockedToken};

/// A home with a token that has a PIN and no registrations.
fn home_with_token(town: &Town) -> Home {
    let home = Home::new();
    let token = Token::blank(&mut SystemEntropy, town.trusted());
    let token = UnlockedToken::first_pin(crypto(), &mut SystemEntropy, token, &pin(PIN), CHEAP).unwrap();
    token::save(&home.paths, token).unwrap();
    home
}

#[test]
fn a_saved_token_is_readable_by_its_owner_only_and_opens_with_its_pin() {
    let home = home_with_token(&Town::new());
    assert_eq!(mode(&home.paths.token), 0o600);
    let open = token::unlock(&home.paths, &pin(PIN)).unwrap();
    assert!(open.token().registrations().is_empty());
    let info = token::info(&home.paths).unwrap();
    assert!(info.registered && !info.locked && !info.open_to_others);
}

#[test]
fn a_wrong_pin_is_counted_and_a_right_one_sets_the_counter_back() {
    let home = home_with_token(&Town::new());
    let error = token::unlock(&home.paths, &pin("wrong!")).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Denied, "wrong PIN; 9 attempts left"));
    assert_eq!(token::info(&home.paths).unwrap().failed_attempts, 1);
    token::unlock(&home.paths, &pin(PIN)).unwrap();
    assert_eq!(token::info(&home.paths).unwrap().failed_attempts, 0);
}

#[test]
fn many_wrong_pins_are_delayed() {
    let home = home_with_token(&Town::new());
    for _ in 0..4 {
        token::unlock(&home.paths, &pin("wrong!")).unwrap_err();
    }
    let error = token::unlock(&home.paths, &pin(PIN)).unwrap_err();
    assert!(error.message.starts_with("wait "), "{error}");
    assert_eq!(token::info(&home.paths).unwrap().failed_attempts, 4, "waiting costs no attempt");
}

#[test]
fn an_attempt_that_cannot_be_counted_is_not_made() {
    let home = home_with_token(&Town::new());
    // A directory where the new file would be written: nobody can write there, not even root.
    std::fs::create_dir(home.file(&format!("token.new-{}", std::process::id()))).unwrap();
    let error = token::unlock(&home.paths, &pin(PIN)).unwrap_err();
    assert!(error.message.contains("cannot be counted"), "{error}");
}

#[test]
fn cut_damaged_and_newer_files_are_told_apart() {
    let town = Town::new();
    let home = home_with_token(&town);
    let whole = std::fs::read(&home.paths.token).unwrap();
    let load = |bytes: &[u8]| -> AgentError {
        std::fs::write(&home.paths.token, bytes).unwrap();
        token::load(&home.paths).unwrap_err()
    };
    for length in [0, 3, 40, whole.len() - 1] {
        let error = load(&whole[..length]);
        assert!(error.message.contains("damaged"), "{length}: {error}");
        assert!(error.fix.unwrap().contains("import"));
    }
    let mut flipped = whole.clone();
    flipped[60] ^= 1;
    assert!(load(&flipped).message.contains("checksum"));
    let mut newer = whole;
    newer[15] = 3;
    assert!(load(&newer).fix.unwrap().contains("newer symbolon"));
    assert!(load(&vec![0; 5 << 20]).message.contains("too large"));
}

#[test]
fn a_token_of_another_issuer_than_the_configured_one_is_refused() {
    let town = Town::new();
    let home = home_with_token(&town);
    home.configure(&format!("issuer = \"{}\"", town.trusted().fingerprint()));
    token::load(&home.paths).unwrap();
    home.configure(&format!("issuer = \"{}\"", Town::new().trusted().fingerprint()));
    assert_eq!(token::unlock(&home.paths, &pin(PIN)).unwrap_err().kind, ErrorKind::Denied);
}

#[test]
fn an_exported_token_is_imported_elsewhere_with_its_pin() {
    let town = Town::new();
    let (home, other) = (home_with_token(&town), Home::new());
    let copy = home.file("copy");
    token::export(&home.paths, &copy).unwrap();
    assert_eq!(mode(&copy), 0o600);
    assert!(token::export(&home.paths, &copy).unwrap_err().message.contains("exists"));

    let wrong = token::import(&other.paths, &copy, &mut || Ok(pin("wrong!")), token::Replace::Keep);
    assert!(wrong.unwrap_err().message.starts_with("wrong PIN"));
    assert!(!other.paths.token.exists());
    token::import(&other.paths, &copy, &mut || Ok(pin(PIN)), token::Replace::Keep).unwrap();
    token::unlock(&other.paths, &pin(PIN)).unwrap();
}

#[test]
fn an_import_does_not_overwrite_another_token_unless_told() {
    let town = Town::new();
    let (home, other) = (home_with_token(&town), home_with_token(&town));
    let source = other.paths.token.clone();
    let mut ask = || Ok(pin(PIN));
    let error = token::import(&home.paths, &source, &mut ask, token::Replace::Keep).unwrap_err();
    assert!(error.fix.unwrap().contains("--replace"));
    token::import(&home.paths, &source, &mut ask, token::Replace::Replace).unwrap();
    // The same token again is no other one.
    token::import(&home.paths, &source, &mut ask, token::Replace::Keep).unwrap();
}

#[test]
fn a_changed_pin_replaces_the_old_one() {
    let home = home_with_token(&Town::new());
    token::change_pin(&home.paths, &pin(PIN), &pin("another one"), CHEAP).unwrap();
    token::unlock(&home.paths, &pin(PIN)).unwrap_err();
    token::unlock(&home.paths, &pin("another one")).unwrap();
}

#[test]
fn a_save_does_not_undo_what_another_program_wrote() {
    let home = home_with_token(&Town::new());
    let mut first = token::unlock(&home.paths, &pin(PIN)).unwrap();
    let mut second = token::unlock(&home.paths, &pin(PIN)).unwrap();
    assert_eq!(second.save().unwrap(), token::Saved::Written);
    assert_eq!(first.save().unwrap(), token::Saved::ChangedMeanwhile);
    assert_eq!(second.save().unwrap(), token::Saved::Written);
}
