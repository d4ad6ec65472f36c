//! The first contact (B3): the gateway shows its certificates, its number and its template.

use symbolon_crypto::KeySet;
use symbolon_policy::TemplateName;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

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
}

impl Encode for Offer {
    fn encode(&self, w: &mut Writer) {
        self.key_set.encode(w);
        w.fixed(&self.number);
        self.time.encode(w);
        w.bytes16(&self.template);
        w.flag(self.open_registration);
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
        })
    }
}
