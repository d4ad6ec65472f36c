//! The judgement on what a dead process left: what is to be sent again, from where, or why nothing can
//! be.

use super::{ClientEnd, Counters, Entry, Geometry, Intent, Lost, Protection, Received, Rings, Standing};

/// What the next process must do first.
#[derive(Clone, PartialEq, Eq)]
pub struct Adoption {
    /// How many bytes were ever read from the client: the head of its ring.
    pub client_head: u64,
    /// How many bytes were ever read from the application: the head of its ring.
    pub application_head: u64,
    /// Towards the client.
    pub to_client: ToClientResumed,
    /// Towards the application.
    pub to_application: ToApplicationResumed,
}

/// The record in hand towards the client.
#[derive(Clone, PartialEq, Eq)]
pub enum ToClientResumed {
    /// There was none.
    Idle,
    /// It went out whole; only the ledger does not say so yet.
    Sent(Intent),
    /// It was made again, byte for byte.
    Resealed {
        /// The record.
        record: Vec<u8>,
        /// How many of its bytes the kernel took already.
        sent: usize,
    },
}

/// The record in hand towards the application.
#[derive(Clone, PartialEq, Eq)]
pub enum ToApplicationResumed {
    /// Nothing of a record was passed on that the ledger does not know.
    Idle,
    /// A part of its content was passed on, or all of it.
    Reopened {
        /// The length of the record in the client's ring.
        length: usize,
        /// Its content.
        content: Vec<u8>,
        /// How many bytes of it the kernel took already.
        sent: usize,
    },
}

/// Without what is carried.
impl std::fmt::Debug for Adoption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let to_client = match &self.to_client {
            ToClientResumed::Idle => "idle".into(),
            ToClientResumed::Sent(intent) => format!("sent {intent:?}"),
            ToClientResumed::Resealed { record, sent } => format!("{sent} of {} sent", record.len()),
        };
        let to_application = match &self.to_application {
            ToApplicationResumed::Idle => "idle".into(),
            ToApplicationResumed::Reopened { content, sent, .. } => {
                format!("{sent} of {} sent", content.len())
            }
        };
        f.debug_struct("Adoption")
            .field("client_head", &self.client_head)
            .field("application_head", &self.application_head)
            .field("to_client", &to_client)
            .field("to_application", &to_application)
            .finish()
    }
}

impl Adoption {
    /// Brings the ledger and the kernel's counters together. `protection` was made from the
    /// entry's keys, numbers and conduct, and so has pinned what the entry says is in hand.
    ///
    /// # Errors
    /// [`Lost`]: the connection must be reset.
    pub fn judge<P: Protection>(
        entry: &Entry,
        geometry: Geometry,
        client: Counters,
        application: Counters,
        rings: &impl Rings,
        protection: &mut P,
    ) -> Result<Self, Lost> {
        standing(entry, client, application)?;
        let out = &entry.to_client;
        let held = |head: u64, tail: u64, room: usize| {
            let held = head.wrapping_sub(tail) as i64;
            usize::try_from(held).ok().filter(|&held| held <= room).ok_or(Lost::RingOverrun { held, room })
        };
        let (to_client, taken) = match out.intent {
            None => {
                // an end of ours that the kernel cannot tell apart in its last state counts as one
                let slack = i64::from(out.closed && client.standing == Standing::Over);
                let sent = client.written.wrapping_sub(out.written) as i64;
                if sent != 0 && sent != -slack {
                    return Err(Lost::ClientCount { sent, meant: 0 });
                }
                (ToClientResumed::Idle, out.taken)
            }
            Some(intent) => Self::in_hand(
                entry,
                intent,
                client,
                rings,
                |needed| {
                    let held = held(application.read, out.taken, geometry.application_ring())?;
                    if held < needed {
                        Err(Lost::RingOverrun { held: held as i64, room: needed })
                    } else {
                        Ok(())
                    }
                },
                protection,
            )?,
        };
        held(application.read, taken, geometry.application_ring())?;
        let passing = entry.to_application.end == ClientEnd::Open;
        let held = match passing {
            true => held(client.read, entry.to_application.taken, geometry.client_ring())?,
            false => 0,
        };
        let passed = application.written.wrapping_sub(entry.to_application.written) as i64;
        let to_application = match passed {
            // nothing is passed after the client's end, so nothing can be missing
            _ if !passing => ToApplicationResumed::Idle,
            0 => ToApplicationResumed::Idle,
            _ => Self::passed_on(entry, passed, held, rings, protection)?,
        };
        Ok(Self { client_head: client.read, application_head: application.read, to_client, to_application })
    }

    /// The record towards the client that the ledger says was in hand, and the tail of the ring when it
    /// is out.
    fn in_hand<P: Protection>(
        entry: &Entry,
        intent: Intent,
        client: Counters,
        rings: &impl Rings,
        in_ring: impl FnOnce(usize) -> Result<(), Lost>,
        protection: &mut P,
    ) -> Result<(ToClientResumed, u64), Lost> {
        let out = &entry.to_client;
        let length = protection.sealed_length();
        let sent = client.written.wrapping_sub(out.written) as i64;
        let count = Lost::ClientCount { sent, meant: length as u64 };
        let sent = usize::try_from(sent).ok().filter(|&sent| sent <= length).ok_or(count)?;
        let needed = match intent {
            Intent::Data(length) => length as usize,
            Intent::KeyUpdate | Intent::CloseNotify | Intent::Alert(_) | Intent::Warning(_) => 0,
        };
        if sent == length {
            // the content may be overwritten already: it is not looked at any more
            return Ok((ToClientResumed::Sent(intent), out.taken.wrapping_add(needed as u64)));
        }
        in_ring(needed)?;
        let mut record = Vec::with_capacity(length);
        let data = rings.application(out.taken, needed);
        protection.seal(data, &mut record).map_err(|_| Lost::Unsealable)?;
        if record.len() != length {
            return Err(Lost::Unsealable);
        }
        Ok((ToClientResumed::Resealed { record, sent }, out.taken))
    }

    /// The record of which the application got a part.
    fn passed_on<P: Protection>(
        entry: &Entry,
        passed: i64,
        held: usize,
        rings: &impl Rings,
        protection: &mut P,
    ) -> Result<ToApplicationResumed, Lost> {
        let tail = entry.to_application.taken;
        let length = protection.record_length(rings.client(tail, held)).ok().flatten();
        let length = length.filter(|&length| length <= held);
        let length = length.ok_or(Lost::ApplicationCount { sent: passed, meant: 0 })?;
        let mut content = Vec::with_capacity(length);
        let record = rings.client(tail, length);
        let received = protection.open(record, &mut content);
        if received.map_err(|_| Lost::Unreadable)? != Received::Data {
            content.clear();
        }
        let count = Lost::ApplicationCount { sent: passed, meant: content.len() as u64 };
        let sent = usize::try_from(passed).ok().filter(|&sent| sent <= content.len()).ok_or(count)?;
        Ok(ToApplicationResumed::Reopened { length, content, sent })
    }
}

/// Whether both sockets can still do what is left to do.
fn standing(entry: &Entry, client: Counters, application: Counters) -> Result<(), Lost> {
    let ending = matches!(entry.to_client.intent, Some(Intent::CloseNotify | Intent::Alert(_)));
    match client.standing {
        Standing::Live => {}
        Standing::Over if entry.to_client.closed || ending => {}
        Standing::Over | Standing::Failed => return Err(Lost::ClientGone),
    }
    match application.standing {
        Standing::Live => Ok(()),
        Standing::Over if entry.to_application.end != ClientEnd::Open => Ok(()),
        Standing::Over | Standing::Failed => Err(Lost::ApplicationGone),
    }
}
