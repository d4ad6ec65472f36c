//! What a client tells about itself (B9).

use crate::Line;
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// Information about user, machine and place, which the client sends at sign-in, when the place
/// changes and on request (B9, B11). The node believes none of it more than the token's holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The local account under which the agent runs.
    pub user: Line,
    /// The agent and its version.
    pub agent: Line,
    /// The machine's name.
    pub machine: Line,
    /// The operating system and its version.
    pub system: Line,
    /// Where the machine is, in the words of its configuration: `office`, `home`.
    pub place: Line,
}

impl Encode for Report {
    fn encode(&self, w: &mut Writer) {
        for line in [&self.user, &self.agent, &self.machine, &self.system, &self.place] {
            line.encode(w);
        }
    }
}

impl Decode for Report {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            user: Line::decode(r)?,
            agent: Line::decode(r)?,
            machine: Line::decode(r)?,
            system: Line::decode(r)?,
            place: Line::decode(r)?,
        })
    }
}
