//! The PIN of a token: counted before it is tried, delayed, and locked after ten.

use crate::container::{CHEAP, blank, file, load, pin, unlock};
use crate::pair::{Gateway, NOW};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{MAX_ATTEMPTS, Pin, PinCost, TokenError, UnlockedToken};
use symbolon_wire::Time;

/// Long after any delay.
fn later(attempt: u8) -> Time {
    NOW.plus_secs(1000 * u64::from(attempt))
}

#[test]
fn an_attempt_is_in_the_file_before_the_pin_is_tried() {
    let bytes = file(&Gateway::new("gw.example"));
    let attempt = load(&bytes).attempt(NOW).unwrap();
    let counted = attempt.to_file(crypto());
    assert_eq!(load(&counted).failures(), 1);
    // Pulling the plug now saves nothing; the right PIN is still the right PIN.
    let token = unlock(&counted, "123456").unwrap();
    let reset = token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
    assert_eq!(load(&reset).failures(), 0);
}

#[test]
fn ten_wrong_pins_lock_the_token_even_for_the_right_one() {
    let mut bytes = file(&Gateway::new("gw.example"));
    for n in 1..=MAX_ATTEMPTS {
        let attempt = load(&bytes).attempt(later(n)).unwrap();
        bytes = attempt.to_file(crypto());
        let refused = attempt.unlock(crypto(), &pin("654321")).unwrap_err();
        match MAX_ATTEMPTS - n {
            0 => assert_eq!(refused, TokenError::Locked),
            left => assert_eq!(refused, TokenError::WrongPin { left }),
        }
    }
    let refused = load(&bytes).attempt(later(100)).unwrap_err();
    assert_eq!(refused, TokenError::Locked);
    assert!(refused.to_string().contains("--replace"), "it says how to recover");
}

#[test]
fn the_tenth_attempt_still_opens_with_the_right_pin() {
    let mut bytes = file(&Gateway::new("gw.example"));
    for n in 1..MAX_ATTEMPTS {
        bytes = load(&bytes).attempt(later(n)).unwrap().to_file(crypto());
    }
    load(&bytes).attempt(later(50)).unwrap().unlock(crypto(), &pin("123456")).unwrap();
}

#[test]
fn after_three_slips_each_attempt_waits_longer() {
    let mut bytes = file(&Gateway::new("gw.example"));
    let mut now = NOW;
    for n in 0..MAX_ATTEMPTS {
        let wait = if n <= 3 { 0 } else { 1u64 << (n - 3) };
        if wait > 0 {
            let refused = load(&bytes).attempt(now).unwrap_err();
            assert_eq!(refused, TokenError::Wait { secs: wait });
            let refused = load(&bytes).attempt(now.plus_secs(wait - 1)).unwrap_err();
            assert_eq!(refused, TokenError::Wait { secs: 1 });
        }
        now = now.plus_secs(wait);
        bytes = load(&bytes).attempt(now).unwrap().to_file(crypto());
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_lock_the_owner_out() {
    let mut bytes = file(&Gateway::new("gw.example"));
    for n in 1..=6 {
        bytes = load(&bytes).attempt(later(n)).unwrap().to_file(crypto());
    }
    load(&bytes).attempt(NOW).unwrap();
}

#[test]
fn a_changed_pin_replaces_the_old_one() {
    let bytes = file(&Gateway::new("gw.example"));
    let mut token = unlock(&bytes, "123456").unwrap();
    let dearer = PinCost { passes: 2, ..CHEAP };
    token.change_pin(crypto(), &mut SystemEntropy, &pin("correct horse"), dearer).unwrap();
    let changed = token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
    assert_eq!(unlock(&changed, "123456").err(), Some(TokenError::WrongPin { left: 9 }));
    assert_eq!(unlock(&changed, "correct horse").unwrap().registrations().len(), 1);
}

#[test]
fn a_token_with_a_pin_gets_no_first_pin() {
    let gateway = Gateway::new("gw.example");
    let registered = load(&file(&gateway));
    let again = UnlockedToken::first_pin(crypto(), &mut SystemEntropy, registered, &pin("123456"), CHEAP);
    assert!(matches!(again, Err(TokenError::Damaged(_))));
    let impossible = PinCost { memory_kib: 0, ..CHEAP };
    let refused =
        UnlockedToken::first_pin(crypto(), &mut SystemEntropy, blank(&gateway), &pin("123456"), impossible);
    assert!(refused.is_err());
}

#[test]
fn a_pin_has_six_to_128_characters_of_any_script() {
    for (text, ok) in [("12345", false), ("123456", true), ("пинкод", true), ("пинко", false)] {
        assert_eq!(Pin::new(text.into()).is_ok(), ok, "{text}");
    }
    assert!(Pin::new("ü".repeat(128)).is_ok());
    assert!(matches!(Pin::new("x".repeat(129)), Err(TokenError::PinLength)));
}

#[test]
fn cve_crypto_misuse_a_repeated_nonce() {
    let token = unlock(&file(&Gateway::new("gw.example")), "123456").unwrap();
    let seal = || token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
    assert_ne!(seal(), seal());
}
