//! The first contact (B3): the gateway shows its certificates, its number and its template.

use symbolon_crypto::KeySet;
use symbolon_policy::TemplateName;
use symbolon_wire::{Decode, Encode, MAX_BODY_BEFORE_SESSION, Reader, Time, WireError, Writer};

/// Longest statement that another issuer follows, in an offer: three certificates and two signatures have
/// about two thousand bytes.
pub const MAX_CHANGE: usize = 6 * 1024;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The registration template that it wants to fill in; the gateway's default when absent, and
    /// none at all unless `registering`.
    pub template: Option<TemplateName>,
    /// Whether it comes to register.
    pub registering: bool,
}

impl Encode for Hello {
    fn encode(&self, w: &mut Writer) {
        w.flag(self.registering);
        w.text8(self.template.as_ref().map_or("", |t| t.as_str()));
    }
}

impl Decode for Hello {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let registering = r.flag()?;
        let template = match r.text8("template")? {
            "" => None,
            t => Some(TemplateName::parse(t).map_err(|_| WireError::BadValue("template"))?),
        };
        Ok(Self { template, registering })
    }
}

/// What the gateway shows. Nothing in it is to be believed before the key set is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its certificates.
    pub key_set: KeySet,
    /// Its number for a challenge (B8).
    pub number: [u8; 32],
    /// Its time, to tell a client with a wrong clock.
    pub time: Time,
    /// The registration template, in the encoding of `RegistrationTemplate`; empty unless asked for.
    pub template: Vec<u8>,
    /// Whether it registers without an invitation (and then waits for approval).
    pub open_registration: bool,
    /// The statement that another issuer follows, in the encoding of `IssuerChange`, at most
    /// [`MAX_CHANGE`] bytes; empty when there is none. It is for whoever has not heard of that issuer yet.
    pub issuer_change: Vec<u8>,
}

impl Offer {
    /// The same with the statement that another issuer follows, if there is room for it in one frame.
    #[must_use]
    pub fn with_change(mut self, change: &[u8]) -> Self {
        let room = MAX_BODY_BEFORE_SESSION.saturating_sub(self.to_bytes().len());
        if change.len() <= MAX_CHANGE.min(room) {
            self.issuer_change = change.to_vec();
        }
        self
    }
}

impl Encode for Offer {
    fn encode(&self, w: &mut Writer) {
        self.key_set.encode(w);
        w.fixed(&self.number);
        self.time.encode(w);
        w.bytes16(&self.template);
        w.flag(self.open_registration);
        w.bytes16(&self.issuer_change);
    }
}

impl Decode for Offer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            key_set: KeySet::decode(r)?,
            number: r.fixed()?,
            time: Time::decode(r)?,
            template: r.bytes16()?.to_vec(),
            open_registration: r.flag()?,
            issuer_change: match r.bytes16()? {
                change if change.len() <= MAX_CHANGE => change.to_vec(),
                _ => return Err(WireError::BadValue("issuer change")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_issuers_is_left_out_where_there_is_no_room_for_it() {
        let key_set = KeySet {
            issuer: vec![1; 600],
            identity: vec![2; 600],
            context_keys: Vec::new(),
            signature: vec![3; 72],
        };
        let offer = |template: usize| Offer {
            key_set: key_set.clone(),
            number: [4; 32],
            time: Time(5),
            template: vec![6; template],
            open_registration: false,
            issuer_change: Vec::new(),
        };
        let change = [7; 2000];
        let shown = offer(10_000).with_change(&change);
        assert_eq!(shown.issuer_change, change);
        assert_eq!(Offer::from_bytes(&shown.to_bytes()), Ok(shown));
        assert!(offer(14_000).with_change(&change).issuer_change.is_empty());
        assert!(offer(0).with_change(&[7; MAX_CHANGE + 1]).issuer_change.is_empty());
        let too_long = Offer { issuer_change: vec![7; MAX_CHANGE + 1], ..offer(0) };
        assert!(Offer::from_bytes(&too_long.to_bytes()).is_err());
    }
}
