//! Session tickets: as a node receives them, as a client is given them and keeps them, and what is sealed inside.

use std::sync::OnceLock;

use symbolon_crypto::{
    InitiatorToken, Secret, SecretBytes, TokenKind, TokenProof as _, TranscriptHash, label,
};
use symbolon_policy::TokenClass;
use symbolon_session::{
    ClaimedTicket, IssuedTicket, RegistrationId, SessionId, SessionSecret, Ticket, TicketKeys, TicketOwner,
    UserId,
};
use symbolon_wire::{Decode as _, Encode as _, Time, Writer};

use crate::encoding::one_encoding;
use crate::gateway::{NOW, Seeded, crypto};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "session_tickets", feed, seeds };

/// The rest is a ticket as it is shown to a node.
const SHOWN: u8 = 0;
/// The rest is a ticket as it is given to a client.
const ISSUED: u8 = 1;
/// The rest is a ticket as a client keeps it.
const KEPT: u8 = 2;
/// The rest is what a node of the domain seals into a ticket.
const INSIDE: u8 = 3;

const HERE: TranscriptHash = TranscriptHash([7; 32]);
const ELSEWHERE: TranscriptHash = TranscriptHash([8; 32]);
const HOUR: u64 = 3600;
const DOMAIN: [u8; 32] = [21; 32];
const ID: [u8; 16] = [5; 16];

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&SHOWN, rest)) => shown(rest),
        Some((&ISSUED, rest)) => issued(rest),
        Some((&KEPT, rest)) => kept(rest),
        Some((&INSIDE, rest)) => inside(rest),
        _ => {}
    }
}

fn verify(body: &[u8], binding: &TranscriptHash, now: Time) -> Option<TicketOwner> {
    let claimed = ClaimedTicket::parse(&SecretBytes::new(body.to_vec())).ok()?;
    let proved = claimed.verify(crypto(), &keys(), binding, now).ok()?;
    assert!(proved.remember_until() > now, "a ticket that could be used again");
    let owner = proved.owner().clone();
    let (same, redeemed) = proved.redeem(true, now).ok()?;
    assert_eq!((same, redeemed.binding()), (owner.clone(), binding));
    Some(owner)
}

fn shown(body: &[u8]) {
    if let Some(owner) = verify(body, &HERE, NOW) {
        let of = tickets().iter().find(|(_, shown)| shown == body);
        let (of, _) = of.expect("a ticket that was not issued, or is not shown by its owner");
        assert_eq!(&owner, of, "somebody else's ticket");
    }
    assert!(verify(body, &ELSEWHERE, NOW).is_none(), "a ticket serves the exchange that it was shown in");
    assert!(verify(body, &HERE, NOW.plus_secs(HOUR)).is_none(), "a ticket past its time");
}

/// A client that keeps what it was given has nothing but what the node issued.
fn issued(data: &[u8]) {
    let Some(issued) = one_encoding::<IssuedTicket>(data) else { return };
    let Ok(ticket) = issued.keep(crypto(), &secret()) else { return };
    let again = Ticket::from_secret_bytes(&ticket.to_secret_bytes()).expect("our own");
    assert_eq!(again, ticket, "a ticket means one thing");
    use_it(ticket);
}

fn kept(data: &[u8]) {
    let bytes = SecretBytes::new(data.to_vec());
    let Ok(ticket) = Ticket::from_secret_bytes(&bytes) else { return };
    assert!(ticket.to_secret_bytes() == bytes, "two encodings of one ticket");
    use_it(ticket);
}

fn use_it(ticket: Ticket) {
    let presented = ticket.into_token(crypto()).present(&HERE).expect("it needs no device");
    assert_eq!(presented.kind, TokenKind::SessionTicket);
    if verify(presented.body.expose(), &HERE, NOW).is_some() {
        let issued = tickets().iter().any(|(_, shown)| shown == presented.body.expose());
        assert!(issued, "a ticket that nobody issued");
    }
}

/// The node that reads a ticket may be of another version than the one that made it.
fn inside(plaintext: &[u8]) {
    let period = (NOW.secs() / (24 * HOUR)) as u32;
    let domain = crypto().derive(&Secret::new(DOMAIN), label::TICKET_KEYS, &[]);
    let key = crypto().derive(&domain, label::TICKET_PERIOD, &[&period.to_be_bytes()]);
    let key = crypto().derive(&key, label::TICKET_SEAL, &[&ID]);
    let mut sealed = plaintext.to_vec();
    let tag = crypto().aes256_gcm(&key).seal(&[0; 12], label::TICKET_SEAL, &mut sealed);
    let ticket = [&period.to_be_bytes()[..], &ID, &sealed, &tag].concat();
    if ticket.len() > usize::from(u16::MAX) {
        return;
    }
    let (start, rest) = plaintext.split_at(plaintext.len().min(32));
    let Some(secret) = Secret::<32>::from_slice(start) else { return };
    let mut w = Writer::new();
    w.bytes16(&ticket);
    w.fixed(crypto().derive(&secret, label::TICKET_PROOF, &[HERE.as_ref()]).expose());
    let Some(owner) = verify(&w.into_bytes(), &HERE, NOW) else { return };
    let expires = Time::from_bytes(&rest[..8]).expect("what was understood has a time");
    assert!(NOW < expires, "past its time");
    assert_eq!(&rest[8..], content(&owner), "two meanings of one ticket");
}

/// What a ticket says of its owner.
fn content(owner: &TicketOwner) -> Vec<u8> {
    let mut w = Writer::new();
    owner.user.encode(&mut w);
    w.flag(owner.registration.is_some());
    owner.registration.iter().for_each(|r| r.encode(&mut w));
    owner.token_class.encode(&mut w);
    owner.session.encode(&mut w);
    owner.proved.encode(&mut w);
    w.into_bytes()
}

fn keys() -> TicketKeys {
    TicketKeys::new(crypto(), &Secret::new(DOMAIN))
}

fn secret() -> SessionSecret {
    SessionSecret::new(Secret::new([12; 32]))
}

fn owners() -> [TicketOwner; 2] {
    let owner = |registration, token_class| TicketOwner {
        user: UserId([4; 16]),
        registration,
        token_class,
        session: SessionId([3; 16]),
        proved: NOW,
    };
    [owner(None, TokenClass::Certificate), owner(Some(RegistrationId([6; 16])), TokenClass::Software)]
}

fn issue(owner: &TicketOwner) -> IssuedTicket {
    IssuedTicket::issue(crypto(), &mut Seeded::new(), &keys(), &secret(), owner, NOW, HOUR)
}

/// All tickets that were issued, as their owner shows them.
fn tickets() -> &'static [(TicketOwner, Vec<u8>); 2] {
    static TICKETS: OnceLock<[(TicketOwner, Vec<u8>); 2]> = OnceLock::new();
    TICKETS.get_or_init(|| {
        owners().map(|owner| {
            let ticket = issue(&owner).keep(crypto(), &secret()).expect("our own");
            let shown = ticket.into_token(crypto()).present(&HERE).expect("it needs no device");
            let shown = shown.body.expose().to_vec();
            (owner, shown)
        })
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (owner, shown) in tickets() {
        assert_eq!(verify(shown, &HERE, NOW).as_ref(), Some(owner), "what was issued is taken");
        let issued = issue(owner);
        let expires = NOW.plus_secs(HOUR).to_bytes();
        seeds.extend([
            by(SHOWN, shown),
            by(ISSUED, &issued.to_bytes()),
            by(INSIDE, &[&[9; 32], &expires[..], &content(owner)].concat()),
        ]);
        let kept = issued.keep(crypto(), &secret()).expect("our own");
        seeds.push(by(KEPT, kept.to_secret_bytes().expose()));
    }
    seeds
}
