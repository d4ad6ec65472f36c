use crate::SoftwareKey;
use symbolon_crypto::{GatewayName, KeySet, Secret};
use symbolon_policy::{AccessPath, CanonName, TokenClass, UserCode};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// One registration in a token.
#[derive(Debug)]
pub struct Registration {
    /// The gateway.
    pub gateway: GatewayName,
    /// Where it was reached: `host:port`.
    pub address: String,
    /// Its verified certificates (B1); they are verified again before each use.
    pub key_set: KeySet,
    /// Names the registration at the gateway.
    pub registration_id: [u8; 16],
    /// The user identification code.
    pub user_code: UserCode,
    /// The name that it was made from.
    pub user: CanonName,
    /// The access control path.
    pub access_path: AccessPath,
    /// What keeps the authentication key.
    pub class: TokenClass,
    /// When it was made.
    pub registered: Time,
    /// The authentication key.
    pub key: SoftwareKey,
    /// The gateway's number for the next sign-in, if one is at hand.
    pub next_number: Option<[u8; 32]>,
}

impl Registration {
    /// No less than the length of its encoding, in bytes.
    pub(super) fn encoded_bound(&self) -> usize {
        let certificates = self.key_set.context_keys.iter().map(|c| 2 + c.len()).sum::<usize>();
        let key_set = &self.key_set;
        let signed = key_set.issuer.len() + key_set.identity.len() + key_set.signature.len() + certificates;
        let names = self.address.len() + self.user.as_str().len() + self.access_path.as_str().len();
        1024 + signed + names
    }
}

impl Encode for Registration {
    fn encode(&self, w: &mut Writer) {
        self.gateway.encode(w);
        w.text16(&self.address);
        self.key_set.encode(w);
        w.fixed(&self.registration_id);
        w.text8(self.user_code.as_str());
        w.text16(self.user.as_str());
        w.text16(self.access_path.as_str());
        w.text8(&self.class.to_string());
        self.registered.encode(w);
        w.fixed(self.key.secret().expose());
        w.bytes8(self.next_number.as_ref().map_or(&[], |n| n.as_slice()));
    }
}

impl Decode for Registration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            gateway: GatewayName::decode(r)?,
            address: r.text16("address")?.to_owned(),
            key_set: KeySet::decode(r)?,
            registration_id: r.fixed()?,
            user_code: UserCode::parse(r.text8("user code")?)
                .map_err(|_| WireError::BadValue("user code"))?,
            user: CanonName::parse(r.text16("user name")?).map_err(|_| WireError::BadValue("user name"))?,
            access_path: AccessPath::parse(r.text16("access path")?)
                .map_err(|_| WireError::BadValue("access path"))?,
            class: r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?,
            registered: Time::decode(r)?,
            key: SoftwareKey::new(Secret::decode(r)?),
            next_number: match r.bytes8()? {
                [] => None,
                n => Some(n.try_into().map_err(|_| WireError::BadValue("number"))?),
            },
        })
    }
}
