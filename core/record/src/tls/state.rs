//! What is remembered of a connection, in a fixed number of bytes.

use super::MAX_WITHOUT_DATA;
use super::conduct::{Conduct, HIGHEST_SEQUENCE, Phase, SendConduct};
use super::outgoing::{Outgoing, Pinned};
use super::post_handshake::PartMessage;
use super::reception::ReceiveConduct;
use super::suite::{TlsRole, TlsSuite, TlsVersion};
use crate::keys::KeyAndIv;
use crate::{RecordKeys, RecordOpener, RecordSealer, TrafficSecret};
use symbolon_crypto::{Crypto, Secret};
use symbolon_wire::{Reader, WireError};
use zeroize::Zeroizing;

/// How long a [`TlsState`] is in bytes, for every version and suite.
pub const TLS_STATE: usize = HEAD + 2 * DIRECTION;

/// Everything before the two directions.
const HEAD: usize = 20;
/// `secret (48) | key (32) | iv (12) | sequence (8)`.
const DIRECTION: usize = 48 + 32 + 12 + 8;

/// The version of the bytes.
const STATE_VERSION: u8 = 1;

const OWES_KEY_UPDATE: u8 = 1;
const OWES_REFUSAL: u8 = 2;

/// Everything that a successor needs to carry a connection on: version and suite, keys and sequence
/// numbers of both directions, what is pinned and what is owed. Wiped when dropped, never printed.
///
/// Of one state there may be many copies, but only one process may act on it at a time: two that go on
/// from it would seal different content under the same numbers.
pub struct TlsState {
    conduct: Conduct,
    sending: Material,
    receiving: Material,
}

/// The secrets of one direction. Key and IV stand beside the secret that they come from, because
/// deriving them costs more than all the rest of a successor's work.
pub(super) struct Material {
    pub(super) secret: Option<TrafficSecret>,
    pub(super) raw: KeyAndIv,
}

impl Material {
    fn of(keys: &RecordKeys) -> Self {
        Self { secret: keys.traffic_secret().map(TrafficSecret::duplicate), raw: keys.raw().duplicate() }
    }

    pub(super) fn keys(&self, crypto: Crypto, suite: TlsSuite) -> RecordKeys {
        let (cipher, raw) = (suite.cipher(), self.raw.duplicate());
        match &self.secret {
            Some(secret) => RecordKeys::of_tls13(crypto, cipher, secret.duplicate(), raw),
            None => RecordKeys::of_tls12(crypto, cipher, raw),
        }
    }
}

impl TlsState {
    pub(super) fn of(conduct: Conduct, sending: &RecordKeys, receiving: &RecordKeys) -> Self {
        Self { conduct, sending: Material::of(sending), receiving: Material::of(receiving) }
    }

    pub(super) const fn new(conduct: Conduct, sending: Material, receiving: Material) -> Self {
        Self { conduct, sending, receiving }
    }

    pub(super) const fn parts(&self) -> (&Conduct, &Material, &Material) {
        (&self.conduct, &self.sending, &self.receiving)
    }

    /// The state of a native stream whose opening is done, so that it is carried on as a TLS connection
    /// is.
    #[must_use]
    pub fn after_opening(role: TlsRole, sealer: &RecordSealer, opener: &RecordOpener) -> Self {
        let conduct = Conduct::new(role, TlsSuite::NativeStream, sealer.sequence(), opener.sequence());
        Self::of(conduct, sealer.keys(), opener.keys())
    }

    /// Which side we are.
    #[must_use]
    pub const fn role(&self) -> TlsRole {
        self.conduct.role
    }

    /// The cipher suite.
    #[must_use]
    pub const fn suite(&self) -> TlsSuite {
        self.conduct.suite
    }

    /// The numbers of the next record that we send and of the next that we receive.
    #[must_use]
    pub const fn sequences(&self) -> (u64, u64) {
        (self.conduct.send.sequence, self.conduct.receive.sequence)
    }

    /// The traffic secrets of what we send and of what we receive; none in TLS 1.2.
    #[must_use]
    pub fn traffic_secrets(&self) -> Option<(&TrafficSecret, &TrafficSecret)> {
        self.sending.secret.as_ref().zip(self.receiving.secret.as_ref())
    }

    /// The state as bytes (`docs/protocol/record.md`).
    #[must_use]
    pub fn to_bytes(&self) -> Secret<TLS_STATE> {
        let mut out = Zeroizing::new([0; TLS_STATE]);
        write_head(&self.conduct, &mut out);
        let (head, rest) = out.split_at_mut(HEAD + DIRECTION);
        let (send, receive) = (&self.conduct.send, &self.conduct.receive);
        write_direction(self.sending.secret.as_ref(), &self.sending.raw, send.sequence, &mut head[HEAD..]);
        write_direction(self.receiving.secret.as_ref(), &self.receiving.raw, receive.sequence, rest);
        Secret::new(*out)
    }

    /// Reads what [`TlsState::to_bytes`] or [`TlsSession::write_state`](super::TlsSession::write_state)
    /// wrote. Whether the keys are the right ones shows with the first record.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not a state that a session can have.
    pub fn from_bytes(bytes: &[u8; TLS_STATE]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let mut conduct = read_head(&mut r)?;
        let (sending, sent) = read_direction(&mut r, conduct.suite)?;
        let (receiving, received) = read_direction(&mut r, conduct.suite)?;
        r.finish()?;
        if sent + conduct.send.pinned.map_or(0, Pinned::records) > HIGHEST_SEQUENCE {
            return Err(WireError::BadValue("sequence number"));
        }
        conduct.send.sequence = sent;
        conduct.receive.sequence = received;
        Ok(Self { conduct, sending, receiving })
    }
}

impl std::fmt::Debug for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsState({:?})", self.conduct)
    }
}

/// Writes a session's state. The slots of a ledger are written for each record, so nothing here takes
/// memory.
pub(super) fn write_state(
    conduct: &Conduct,
    sending: &RecordKeys,
    receiving: &RecordKeys,
    out: &mut [u8; TLS_STATE],
) {
    out.fill(0);
    write_head(conduct, out);
    let (head, rest) = out.split_at_mut(HEAD + DIRECTION);
    let (sent, received) = (conduct.send.sequence, conduct.receive.sequence);
    write_direction(sending.traffic_secret(), sending.raw(), sent, &mut head[HEAD..]);
    write_direction(receiving.traffic_secret(), receiving.raw(), received, rest);
}

/// `out` is all zeros.
fn write_head(conduct: &Conduct, out: &mut [u8; TLS_STATE]) {
    let Conduct { role, suite, send, receive } = conduct;
    let (pinned, length) = send.pinned.map_or(([0; 2], 0), |p| (p.what.to_bytes(), p.length));
    out[0] = STATE_VERSION;
    out[1] = *role as u8;
    out[2..4].copy_from_slice(&suite.number().to_be_bytes());
    out[4] = send.phase as u8;
    out[5] = receive.phase as u8;
    out[6] = if send.owes_key_update { OWES_KEY_UPDATE } else { 0 }
        | if send.owes_refusal { OWES_REFUSAL } else { 0 };
    out[7] = receive.without_data;
    out[8..10].copy_from_slice(&pinned);
    out[10..14].copy_from_slice(&length.to_be_bytes());
    out[14] = receive.message.held;
    out[15..18].copy_from_slice(&receive.message.header);
    out[18..HEAD].copy_from_slice(&receive.message.skip.to_be_bytes());
}

/// `out` is all zeros.
fn write_direction(secret: Option<&TrafficSecret>, raw: &KeyAndIv, sequence: u64, out: &mut [u8]) {
    if let Some(secret) = secret {
        out[..secret.expose().len()].copy_from_slice(secret.expose());
    }
    out[48..80].copy_from_slice(raw.key.expose());
    out[80..92].copy_from_slice(raw.iv.expose());
    out[92..DIRECTION].copy_from_slice(&sequence.to_be_bytes());
}

fn read_head(r: &mut Reader<'_>) -> Result<Conduct, WireError> {
    const IMPOSSIBLE: WireError = WireError::BadValue("TLS state");
    match r.u8()? {
        STATE_VERSION => {}
        other => return Err(WireError::UnknownVersion(other)),
    }
    let role = TlsRole::from_byte(r.u8()?).ok_or(IMPOSSIBLE)?;
    let suite = TlsSuite::from_number(r.u16()?).ok_or(IMPOSSIBLE)?;
    let sending = Phase::from_byte(r.u8()?).ok_or(IMPOSSIBLE)?;
    let receiving = Phase::from_byte(r.u8()?).ok_or(IMPOSSIBLE)?;
    let owed = r.u8()?;
    let without_data = r.u8()?;
    let (what, length) = (r.fixed::<2>()?, r.u32()?);
    let held = r.u8()?;
    let header: [u8; 3] = r.fixed()?;
    let message = PartMessage { header, held, skip: r.u16()? };

    let owes = match suite.version() {
        TlsVersion::Tls13 => OWES_KEY_UPDATE,
        TlsVersion::Tls12 => OWES_REFUSAL,
    };
    let pinned = match what {
        [0, 0] => None,
        what => Some(Pinned { what: Outgoing::from_bytes(what).ok_or(IMPOSSIBLE)?, length }),
    };
    let possible = match pinned {
        Some(Pinned { what, length }) => what.payload().contains(&(length as usize)) && what.is_of(suite),
        None => length == 0,
    };
    let whole = usize::from(held) <= header.len()
        && header.iter().skip(usize::from(held)).all(|b| *b == 0)
        && (held == 0 || message.skip == 0);
    let ended = [sending, receiving].contains(&Phase::Ended);
    if ended && suite != TlsSuite::NativeStream {
        return Err(IMPOSSIBLE);
    }
    if owed & !owes != 0 || without_data > MAX_WITHOUT_DATA || !possible || !whole {
        return Err(IMPOSSIBLE);
    }
    let send = SendConduct {
        phase: sending,
        sequence: 0,
        pinned,
        owes_key_update: owed & OWES_KEY_UPDATE != 0,
        owes_refusal: owed & OWES_REFUSAL != 0,
    };
    let receive = ReceiveConduct { phase: receiving, sequence: 0, without_data, message };
    Ok(Conduct { role, suite, send, receive })
}

fn read_direction(r: &mut Reader<'_>, suite: TlsSuite) -> Result<(Material, u64), WireError> {
    let (secret, after_secret) = r.take(48)?.split_at(suite.secret_length());
    let key = Secret::new(r.fixed::<32>()?);
    let after_key = &key.expose()[suite.cipher().key_length()..];
    if after_secret.iter().chain(after_key).any(|b| *b != 0) {
        return Err(WireError::BadValue("padding"));
    }
    let raw = KeyAndIv { iv: Secret::new(r.fixed()?), key };
    let sequence = r.u64()?;
    if sequence > HIGHEST_SEQUENCE {
        return Err(WireError::BadValue("sequence number"));
    }
    Ok((Material { secret: TrafficSecret::from_slice(secret), raw }, sequence))
}
