//! Where a connection comes from: a handshake that is over, or a worker that died.

use super::keeper::Keeper;
use super::note::Note;
use super::{Language, Pipe};
use crate::draw::draw;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use symbolon_crypto::Crypto;
use symbolon_os::{HeldConnection, MAX_NOTE, MemoryFile, MemoryFileError, Unable, counters, prepare};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{MAX_PINNED, TlsState, TlsSuite};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{
    Carrier, Geometry, KeySeal, Ledger, LedgerError, Lost, Opened, Step, TlsProtection, Truncation,
};
use symbolon_wire::WireError;
use tokio::net::TcpStream;

/// Bytes of the ring of what the client sent: four of the longest records.
const CLIENT_RING: usize = 64 * 1024;
/// Bytes of the ring of what the application sent: as many as are made into records at once.
const APPLICATION_RING: usize = MAX_PINNED;

/// Why a connection does not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBegun {
    #[error(transparent)]
    Memory(#[from] MemoryFileError),
    #[error("its sockets: {0}")]
    Socket(#[from] io::Error),
    #[error("whose it is cannot be read: {0}")]
    Note(#[from] WireError),
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// A connection whose handshake is over.
pub(crate) struct Fresh<'a> {
    pub(crate) state: &'a TlsState,
    pub(crate) client: TcpStream,
    pub(crate) application: TcpStream,
    pub(crate) note: Note,
}

/// A connection that goes on here.
pub(crate) struct Adopted {
    pub(crate) pipe: Pipe,
    pub(crate) note: Note,
    /// How often it was taken over, this time included.
    pub(crate) times: u32,
}

impl Pipe {
    /// Carries a new connection; the holder has it from here on, if there is one.
    ///
    /// # Errors
    /// [`NotBegun`]: memory or descriptors are exhausted.
    pub(crate) fn begin(keeper: &Arc<Keeper>, fresh: Fresh<'_>) -> Result<Self, NotBegun> {
        let Fresh { state, client, application, mut note } = fresh;
        let of_client = counters(client.as_fd())?;
        prepare(application.as_fd())?;
        let of_application = counters(application.as_fd())?;
        note.base = (of_application.written, of_application.read);
        let bytes = note.to_bytes();
        let can_be_held = bytes.len() <= MAX_NOTE;
        let geometry = Geometry::new(ConnectionId(draw()), CLIENT_RING, APPLICATION_RING);
        let geometry = geometry.ok_or(LedgerError::Damaged).map_err(MemoryFileError::from)?;
        let (mut memory, ledger) = MemoryFile::create(geometry, if can_be_held { &bytes } else { &[] })?;
        let protection = TlsProtection::new(crypto(), state);
        let mut carrier = Carrier::begin(ledger, protection, Truncation::Reset, of_client, of_application);
        while carrier.next(&memory) == Step::Commit {
            carrier.commit(&mut memory, &mut KeySeal::new(keeper.key(), &mut SystemEntropy));
        }
        let held = can_be_held.then(|| keeper.hold(client.as_fd(), application.as_fd(), memory.descriptor()));
        Ok(Self {
            carrier,
            memory: Some(memory),
            client,
            application,
            keeper: keeper.clone(),
            held: held.flatten(),
            language: language(state.suite()),
            base: note.base,
            rests: false,
            failure: None,
        })
    }

    /// Carries a connection on whose worker is dead. Nothing when that is another's to do, or it was reset; the log
    /// says why.
    pub(crate) fn adopt(keeper: &Arc<Keeper>, held: HeldConnection) -> Option<Adopted> {
        let id = held.id;
        let _in_hand = keeper.take_in_hand(Some(id));
        let sockets = [&held.client, &held.application].map(|socket| socket.try_clone());
        match Self::adopted(crypto(), keeper, held) {
            Ok(adopted) => {
                keeper.carried(id);
                Some(adopted)
            }
            Err(NotBegun::Memory(MemoryFileError::Ledger(LedgerError::UnknownLayout(layout)))) => {
                tracing::info!(%id, layout, "a connection is another program's to carry");
                keeper.unable(id, Unable::Layout);
                None
            }
            Err(NotBegun::Memory(MemoryFileError::System(e)) | NotBegun::Socket(e)) => {
                tracing::error!(%id, "a connection is another's to carry: {e}");
                keeper.unable(id, Unable::Exhausted);
                None
            }
            Err(e) => {
                tracing::warn!(%id, "a connection cannot go on and is reset: {e}");
                for socket in sockets.into_iter().flatten() {
                    let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO));
                }
                keeper.release(id);
                None
            }
        }
    }

    fn adopted(crypto: Crypto, keeper: &Arc<Keeper>, held: HeldConnection) -> Result<Adopted, NotBegun> {
        let HeldConnection { id, client, application, memory, .. } = held;
        let memory = MemoryFile::open(memory)?;
        let note = Note::parse(&memory.note()?)?;
        let mut entropy = SystemEntropy;
        let opened = Ledger::open(&memory, &KeySeal::new(keeper.key(), &mut entropy));
        let Opened { ledger, entry, keys } = opened.map_err(MemoryFileError::from)?;
        let protection = TlsProtection::restored(crypto, &keys, &entry).map_err(MemoryFileError::from)?;
        let language = language(protection.suite());
        let (of_client, of_application) = (counters(client.as_fd())?, counters(application.as_fd())?);
        let carrier = Carrier::adopt(ledger, entry, protection, of_client, of_application, &memory)?;
        let pipe = Self {
            carrier,
            memory: Some(memory),
            client: stream(client)?,
            application: stream(application)?,
            keeper: keeper.clone(),
            held: Some(id),
            language,
            base: note.base,
            rests: false,
            failure: None,
        };
        let times = pipe.carrier.entry().epoch;
        Ok(Adopted { pipe, note, times })
    }
}

fn stream(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

const fn language(suite: TlsSuite) -> Language {
    match suite {
        TlsSuite::NativeStream => Language::Native,
        _ => Language::Tls,
    }
}
