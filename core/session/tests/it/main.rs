//! Sessions from outside: coming back, opening streams, talking, against a hostile path and an old
//! store.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its facts has failed")]

mod attach;
mod control;
mod ledger;
mod state;
mod streams;
mod tickets;
mod vectors;

use symbolon_crypto::{GatewayName, Secret, TokenKind};
use symbolon_policy::{CanonName, TokenClass};
use symbolon_session::{
    ClientSession, Line, RegistrationId, Report, SessionId, SessionSecret, SessionState, UserId,
};
use symbolon_wire::Time;

const ID: SessionId = SessionId([7; 16]);
const NOW: Time = Time::from_secs(1_800_000_000);

fn secret() -> SessionSecret {
    SessionSecret::new(Secret::new([42; 32]))
}

fn client() -> ClientSession {
    ClientSession::new(ID, secret())
}

fn line(text: &str) -> Line {
    Line::parse(text).unwrap()
}

fn state() -> SessionState {
    SessionState {
        id: ID,
        user: UserId([1; 16]),
        registration: Some(RegistrationId([2; 16])),
        user_name: CanonName::parse("alice").unwrap(),
        token_class: TokenClass::Software,
        method: TokenKind::Challenge,
        certificates: Vec::new(),
        groups: Vec::new(),
        proved: NOW,
        gateway: GatewayName::parse("gw.example").unwrap(),
        opened: NOW,
        expires: NOW.plus_secs(3600),
        source: line("192.0.2.7"),
        report: Report { machine: line("laptop"), place: line("office"), ..Report::default() },
        configuration_applied: 3,
        last_attach: 0,
        secret: secret(),
    }
}
