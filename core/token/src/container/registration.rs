use super::ObjectId;
use crate::SoftwareKey;
use symbolon_crypto::{GatewayName, KeySet, Secret};
use symbolon_policy::{AccessPath, CanonName, TokenClass, UserCode};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Where the authentication key of a registration lies.
#[derive(Debug, PartialEq, Eq)]
pub enum HeldKey {
    /// In the token's file, sealed behind its PIN.
    Software(SoftwareKey),
    /// In the token's device, under this id.
    Device(ObjectId),
}

impl HeldKey {
    /// What kind of token that makes.
    #[must_use]
    pub const fn class(&self) -> TokenClass {
        match self {
            Self::Software(_) => TokenClass::Software,
            Self::Device(_) => TokenClass::Hardware,
        }
    }
}

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
    /// When it was made.
    pub registered: Time,
    /// The authentication key, or where it is.
    pub key: HeldKey,
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
        w.text8(&self.key.class().to_string());
        self.registered.encode(w);
        match &self.key {
            HeldKey::Software(key) => w.fixed(key.secret().expose()),
            HeldKey::Device(object) => object.encode(w),
        }
        w.bytes8(self.next_number.as_ref().map_or(&[], |n| n.as_slice()));
    }
}

impl Decode for Registration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let gateway = GatewayName::decode(r)?;
        let address = r.text16("address")?.to_owned();
        let key_set = KeySet::decode(r)?;
        let registration_id = r.fixed()?;
        let user_code =
            UserCode::parse(r.text8("user code")?).map_err(|_| WireError::BadValue("user code"))?;
        let user = CanonName::parse(r.text16("user name")?).map_err(|_| WireError::BadValue("user name"))?;
        let access_path =
            AccessPath::parse(r.text16("access path")?).map_err(|_| WireError::BadValue("access path"))?;
        let class = r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?;
        let registered = Time::decode(r)?;
        let key = match class {
            TokenClass::Software => HeldKey::Software(SoftwareKey::new(Secret::decode(r)?)),
            TokenClass::Hardware => HeldKey::Device(ObjectId::decode(r)?),
            _ => return Err(WireError::BadValue("token class")),
        };
        Ok(Self {
            gateway,
            address,
            key_set,
            registration_id,
            user_code,
            user,
            access_path,
            registered,
            key,
            next_number: match r.bytes8()? {
                [] => None,
                n => Some(n.try_into().map_err(|_| WireError::BadValue("number"))?),
            },
        })
    }
}
