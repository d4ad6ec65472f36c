//! Session tickets: given in one session, good for one more.

use symbolon_crypto::{
    CryptoError, InitiatorToken, Secret, SecretBytes, TokenKind, TokenProof, TranscriptHash,
};
use symbolon_policy::TokenClass;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{
    ClaimedTicket, IssuedTicket, RegistrationId, SessionId, SessionSecret, Ticket, TicketKeys, TicketOwner,
    TicketProved, UserId,
};
use symbolon_wire::{Decode, Encode, Time};

const NOW: Time = Time::from_secs(1_800_000_000);
const HOUR: u64 = 3600;
const BINDING: TranscriptHash = TranscriptHash([7; 32]);

fn domain(byte: u8) -> TicketKeys {
    TicketKeys::new(crypto(), &Secret::new([byte; 32]))
}

fn owner() -> TicketOwner {
    TicketOwner {
        user: UserId([1; 16]),
        registration: Some(RegistrationId([2; 16])),
        token_class: TokenClass::Software,
        session: SessionId([3; 16]),
        proved: NOW,
    }
}

fn session(byte: u8) -> SessionSecret {
    SessionSecret::new(Secret::new([byte; 32]))
}

fn issued() -> IssuedTicket {
    let (keys, secret) = (domain(1), session(9));
    IssuedTicket::issue(crypto(), &mut SystemEntropy, &keys, &secret, &owner(), NOW, HOUR)
}

fn ticket() -> Ticket {
    issued().keep(crypto(), &session(9)).unwrap()
}

fn shown(ticket: Ticket, binding: &TranscriptHash) -> (SecretBytes, Option<Secret<32>>) {
    let presented = ticket.into_token(crypto()).present(binding).unwrap();
    assert_eq!(presented.kind, TokenKind::SessionTicket);
    (presented.body, presented.contribution)
}

fn checked(body: &SecretBytes, keys: &TicketKeys, now: Time) -> Result<TicketProved, CryptoError> {
    ClaimedTicket::parse(body).map_err(|_| CryptoError::BadKey)?.verify(crypto(), keys, &BINDING, now)
}

#[test]
fn any_node_of_the_domain_takes_a_ticket_once() {
    let (body, contribution) = shown(ticket(), &BINDING);
    let proved = checked(&body, &domain(1), NOW.plus_secs(HOUR - 1)).unwrap();
    assert_eq!(*proved.owner(), owner());
    assert_eq!(proved.remember_until(), NOW.plus_secs(HOUR + 240), "clocks differ");
    let late = checked(&body, &domain(1), NOW).unwrap();
    assert_eq!(late.redeem(true, NOW.plus_secs(HOUR)).err(), Some(CryptoError::Exhausted), "after a pause");
    let again = checked(&body, &domain(1), NOW).unwrap();
    assert_eq!(again.use_key(crypto()), proved.use_key(crypto()), "both nodes ask for the same thing");
    let (whose, redeemed) = proved.redeem(true, NOW).unwrap();
    assert_eq!(whose, owner());
    assert_eq!(redeemed.contribution(), contribution.as_ref());
    assert_eq!(*redeemed.binding(), BINDING);
    assert_eq!(again.redeem(false, NOW).err(), Some(CryptoError::Exhausted));
}

#[test]
fn a_ticket_is_good_for_its_exchange_its_domain_and_its_time_only() {
    let (body, _) = shown(ticket(), &TranscriptHash([8; 32]));
    assert_eq!(checked(&body, &domain(1), NOW).err(), Some(CryptoError::Forged), "another exchange");
    let (body, _) = shown(ticket(), &BINDING);
    assert_eq!(checked(&body, &domain(2), NOW).err(), Some(CryptoError::Forged), "another domain");
    for late in [HOUR, 2 * HOUR, 3 * 86_400] {
        assert_eq!(checked(&body, &domain(1), NOW.plus_secs(late)).err(), Some(CryptoError::Forged), "late");
    }
}

#[test]
fn a_ticket_without_its_session_is_worth_nothing() {
    let stolen = issued().keep(crypto(), &session(8)).unwrap();
    let (body, _) = shown(stolen, &BINDING);
    assert_eq!(checked(&body, &domain(1), NOW).err(), Some(CryptoError::Forged));
}

#[test]
fn a_ticket_outlives_the_change_of_its_key_and_no_more() {
    // the last second of a period
    let given = Time::from_secs(NOW.secs() / 86_400 * 86_400 + 86_399);
    let issue = |lifetime| {
        let (keys, secret) = (domain(1), session(9));
        let ticket =
            IssuedTicket::issue(crypto(), &mut SystemEntropy, &keys, &secret, &owner(), given, lifetime);
        ticket.keep(crypto(), &secret).unwrap()
    };
    let (body, _) = shown(issue(HOUR), &BINDING);
    assert!(checked(&body, &domain(1), given.plus_secs(HOUR - 1)).is_ok());
    let endless = issue(u64::MAX);
    assert_eq!(endless.expires(), given.plus_secs(86_400), "a day at most");
}

#[test]
fn cve_malformed_session_ticket_never_fails_open() {
    let (body, _) = shown(ticket(), &BINDING);
    let bytes = body.expose();
    for end in 0..bytes.len() {
        assert!(checked(&SecretBytes::new(bytes[..end].to_vec()), &domain(1), NOW).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[at] ^= 1;
        assert!(checked(&SecretBytes::new(altered), &domain(1), NOW).is_err(), "altered at {at}");
    }
}

#[test]
fn a_ticket_has_one_encoding_in_the_session_and_one_at_rest() {
    let issued = issued();
    assert_eq!(IssuedTicket::from_bytes(&issued.to_bytes()).unwrap(), issued);
    let kept = issued.keep(crypto(), &session(9)).unwrap();
    assert_eq!(Ticket::from_secret_bytes(&kept.to_secret_bytes()).unwrap(), kept);
    assert!(Ticket::from_secret_bytes(&SecretBytes::new(vec![0; 3])).is_err());
}

#[test]
fn a_ticket_does_not_print_its_secret() {
    assert!(!format!("{:?}", ticket()).contains("Secret("));
    assert!(format!("{:?}", ticket()).contains("Secret<32>"));
}
