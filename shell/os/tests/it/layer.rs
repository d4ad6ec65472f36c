//! The record layers with which the tests carry connections: the trivial one, and that of TLS.

use crate::toy::{self, Toy};
use symbolon_crypto::SecretBytes;
use symbolon_provider::crypto;
use symbolon_record::{
    Alert, HandedOver, KeyUpdateRequest, Outgoing, TlsEvent, TlsRole, TlsSession, TlsState, TlsSuite,
    TlsVersion,
};
use symbolon_session::ledger::{
    CONDUCT, Entry, Fault, Intent, Keys, Numbers, Protection, Received, TlsProtection,
};

/// The variable that has the number of the suite; none for the trivial record layer.
pub(crate) const SUITE: &str = "SYMBOLON_OS_TEST_SUITE";
const CLIENT_KEY: u64 = 0x1357_9BDF_0246_8ACF;
const SERVER_KEY: u64 = 0x0F1E_2D3C_4B5A_6979;

/// What a handshake leaves of one direction.
struct Direction {
    key: Vec<u8>,
    iv: [u8; 12],
    secret: Option<Vec<u8>>,
}

impl Direction {
    fn new(suite: TlsSuite, seed: u8) -> Self {
        let length = suite.cipher().key_length();
        if suite.version() == TlsVersion::Tls12 {
            return Self { key: vec![seed; length], iv: [seed ^ 1; 12], secret: None };
        }
        let secret = vec![seed; suite.secret_length()];
        let iv = expand_label(&secret, b"iv", 12).try_into().unwrap();
        Self { key: expand_label(&secret, b"key", length), iv, secret: Some(secret) }
    }

    fn handed(&self) -> HandedOver<'_> {
        HandedOver { sequence: 1, key: &self.key, iv: &self.iv, traffic_secret: self.secret.as_deref() }
    }
}

/// HKDF-Expand-Label of one block of SHA-256 at most (RFC 8446 §7.1).
fn expand_label(secret: &[u8], label: &[u8], length: usize) -> Vec<u8> {
    let label = [b"tls13 ", label].concat();
    let info = [&[0, length as u8, label.len() as u8][..], &label, &[0, 1]].concat();
    crypto().hmac_sha256(secret, &[&info])[..length].to_vec()
}

fn state(suite: TlsSuite, role: TlsRole) -> TlsState {
    let (down, up) = (Direction::new(suite, 7), Direction::new(suite, 9));
    let (sending, receiving) = if role == TlsRole::Server { (&down, &up) } else { (&up, &down) };
    TlsState::after_handshake(crypto(), role, suite, sending.handed(), receiving.handed()).unwrap()
}

/// The client's half of a connection.
pub(crate) enum Client {
    Toy { sending: (u64, u64), receiving: (u64, u64) },
    Tls(Box<TlsSession>),
}

/// What a client got by one record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Data(Vec<u8>),
    KeyUpdate,
    Close,
}

impl Client {
    pub(crate) fn new(suite: Option<TlsSuite>) -> Self {
        match suite {
            None => Self::Toy { sending: (CLIENT_KEY, 0), receiving: (SERVER_KEY, 0) },
            Some(suite) => Self::Tls(TlsSession::resume(crypto(), &state(suite, TlsRole::Client)).into()),
        }
    }

    /// Appends records of `data`.
    pub(crate) fn data(&mut self, data: &[u8], records: &mut Vec<u8>) {
        match self {
            Self::Toy { sending: (key, number), .. } => {
                toy::seal(*key, *number, toy::DATA, data, records);
                *number += 1;
            }
            Self::Tls(session) => session.send(Outgoing::Data, data, records).unwrap(),
        }
    }

    /// Changes the keys, and wants the other side to do so.
    pub(crate) fn key_update(&mut self, records: &mut Vec<u8>) {
        match self {
            Self::Toy { sending: (key, number), .. } => {
                toy::seal(*key, *number, toy::KEY_UPDATE, &[1], records);
                (*key, *number) = (toy::next_key(*key), 0);
            }
            Self::Tls(session) if session.suite().version() == TlsVersion::Tls13 => {
                session.send(Outgoing::KeyUpdate(KeyUpdateRequest::Requested), &[], records).unwrap();
            }
            Self::Tls(_) => {}
        }
    }

    pub(crate) fn close(&mut self, records: &mut Vec<u8>) {
        match self {
            Self::Toy { sending: (key, number), .. } => toy::seal(*key, *number, toy::CLOSE, &[], records),
            Self::Tls(session) => session.send(Outgoing::Alert(Alert::CloseNotify), &[], records).unwrap(),
        }
    }

    pub(crate) fn length(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Toy { .. } => toy::length(bytes),
            Self::Tls(session) => session.record_length(bytes).expect("a record of the gateway"),
        }
    }

    /// Opens the next record.
    pub(crate) fn open(&mut self, record: &[u8]) -> Got {
        match self {
            Self::Toy { receiving: (key, number), .. } => {
                let (kind, content) = toy::open(*key, *number, record).expect("each record opens, in order");
                *number += 1;
                match kind {
                    toy::DATA => Got::Data(content),
                    toy::KEY_UPDATE => {
                        (*key, *number) = (toy::next_key(*key), 0);
                        Got::KeyUpdate
                    }
                    _ => Got::Close,
                }
            }
            Self::Tls(session) => {
                let (mut content, mut ahead) = (vec![0; record.len()], session.ahead());
                let opened = session.open_from(&mut ahead, record, &mut content);
                let got = match opened.expect("each record opens, in order") {
                    TlsEvent::Data(data) => Got::Data(data.to_vec()),
                    TlsEvent::KeyUpdated => Got::KeyUpdate,
                    TlsEvent::PeerClosed => Got::Close,
                    other => panic!("{other:?}"),
                };
                session.received(ahead).unwrap();
                got
            }
        }
    }
}

/// The suite that the environment names.
fn suite() -> Option<TlsSuite> {
    let number = std::env::var(SUITE).ok()?.parse().unwrap();
    Some(TlsSuite::from_number(number).unwrap())
}

/// A worker's record layer.
pub(crate) struct Layer(Box<dyn Protection>);

impl Layer {
    pub(crate) fn fresh() -> Self {
        Self(match suite() {
            None => Box::new(Toy::new(SERVER_KEY, CLIENT_KEY)),
            Some(suite) => Box::new(TlsProtection::new(crypto(), &state(suite, TlsRole::Server))),
        })
    }

    pub(crate) fn restored(keys: &SecretBytes, entry: &Entry) -> Self {
        Self(match suite() {
            None => Box::new(Toy::restored(keys, entry)),
            Some(_) => Box::new(TlsProtection::restored(crypto(), keys, entry).unwrap()),
        })
    }
}

impl Protection for Layer {
    fn longest_data(&self) -> usize {
        self.0.longest_data()
    }

    fn due(&self) -> Option<Intent> {
        self.0.due()
    }

    fn pin(&mut self, intent: Intent) -> Result<(), Fault> {
        self.0.pin(intent)
    }

    fn sealed_length(&self) -> usize {
        self.0.sealed_length()
    }

    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        self.0.seal(data, record)
    }

    fn sent(&mut self) -> Result<Keys, Fault> {
        self.0.sent()
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.0.record_length(bytes)
    }

    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        self.0.open(record, content)
    }

    fn received(&mut self) -> Result<Keys, Fault> {
        self.0.received()
    }

    fn conduct(&self) -> (Numbers, [u8; CONDUCT]) {
        self.0.conduct()
    }

    fn keys(&self) -> SecretBytes {
        self.0.keys()
    }
}
