use crate::{Decode, Encode, Reader, Time, WireError, Writer};

/// What a peer is told when it is refused: little. The operator's log and the audit have the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of refusal.
    pub code: RefusalCode,
    /// The gateway's time, so that a client with a wrong clock can say so.
    pub time: Time,
    /// For people, at most 200 bytes; never tells whether a name exists.
    pub text: String,
}

/// Kinds of refusal. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The message is none, or came at the wrong moment.
    Malformed = 1,
    /// Who you are, or that you may, was not proved.
    Denied = 2,
    /// Your clock differs too much from `time`.
    Clock = 3,
    /// The context key is not known (any more): ask for a new offer.
    UnknownKey = 4,
    /// Too many at once: come again later.
    Busy = 5,
    /// The invitation is unknown, used, expired or for somebody else.
    Invitation = 6,
    /// The name is taken, or looks like one that is.
    NameTaken = 7,
    /// The answers do not fit the template; `text` names the fields.
    Answers = 8,
    /// The session is over: sign in again.
    SessionOver = 9,
    /// The node is stopping: go elsewhere or come again.
    Stopping = 10,
    /// Something went wrong on the node; nothing was changed.
    Internal = 11,
    /// The gateway takes no passwords, or no such credential.
    Credential = 12,
    /// The certificate that the hash names is not known here: send it.
    UnknownCertificate = 13,
}

impl RefusalCode {
    /// Every code, for exhaustive tests.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Denied,
        Self::Clock,
        Self::UnknownKey,
        Self::Busy,
        Self::Invitation,
        Self::NameTaken,
        Self::Answers,
        Self::SessionOver,
        Self::Stopping,
        Self::Internal,
        Self::Credential,
        Self::UnknownCertificate,
    ];
}

impl Encode for Refusal {
    fn encode(&self, w: &mut Writer) {
        w.u8(self.code as u8);
        self.time.encode(w);
        let mut end = self.text.len().min(200);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        w.text8(&self.text[..end]);
    }
}

impl Decode for Refusal {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let code = r.u8()?;
        Ok(Self {
            code: RefusalCode::ALL
                .into_iter()
                .find(|c| *c as u8 == code)
                .ok_or(WireError::BadValue("refusal code"))?,
            time: Time::decode(r)?,
            // Shown on a terminal: what could move its cursor is taken out.
            text: r.text8("refusal text")?.chars().filter(|c| !c.is_control()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_way_there_and_back_without_control_characters() {
        for code in RefusalCode::ALL {
            let refusal = Refusal { code, time: Time(5), text: "no\u{1b}[2J".into() };
            let back = Refusal::from_bytes(&refusal.to_bytes()).unwrap();
            assert_eq!((back.code, back.text.as_str()), (code, "no[2J"));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let refusal = Refusal { code: RefusalCode::Busy, time: Time(0), text: "ü".repeat(150) };
        assert_eq!(Refusal::from_bytes(&refusal.to_bytes()).unwrap().text, "ü".repeat(100));
    }
}
