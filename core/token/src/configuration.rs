//! Dynamic configuration (B9, B11): what a client may reach, as the gateway says it, versioned and
//! signed.

use symbolon_crypto::{Crypto, CryptoError, GatewayName, Signer, VerifiedKeySet, label};
use symbolon_policy::{AppName, free_text};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Most destinations in one configuration; about 900 KB, which fits one wrapped message.
const MAX_DESTINATIONS: usize = 4096;

/// Why a configuration was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Not a configuration.
    #[error("malformed configuration: {0}")]
    Malformed(#[from] WireError),
    /// Not signed by the gateway's identity.
    #[error("the configuration is not signed by the gateway")]
    Forged,
    /// For another subject or gateway.
    #[error("the configuration is for somebody else")]
    ForSomebodyElse,
    /// Older than, or as old as, the one that is applied.
    #[error("the configuration is not newer than version {applied}")]
    Stale {
        /// The version that is applied.
        applied: u64,
    },
}

/// Something that the subject may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub app: AppName,
    /// What it speaks, as a hint for people and tools: `http`, `postgresql`, `ssh`, `tcp`.
    pub protocol: String,
    /// One line for people; at most 200 bytes.
    pub description: String,
    /// When the right ends by itself, if it does.
    pub until: Option<Time>,
}

/// The instructions that reconfigure a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Grows with every change; a client refuses to go back.
    pub version: u64,
    /// Who says so.
    pub gateway: GatewayName,
    /// To which session.
    pub session_id: [u8; 16],
    /// When.
    pub issued: Time,
    /// What may be reached, in the order of names.
    pub destinations: Vec<Destination>,
}

impl Configuration {
    /// Signs it with the gateway's identity.
    ///
    /// # Errors
    /// What the signer gives.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, CryptoError> {
        let body = self.to_bytes();
        let signature = signer.sign(&signed_part(&body))?;
        let mut w = Writer::new();
        w.bytes24(&body);
        w.bytes16(&signature);
        Ok(w.into_bytes())
    }

    /// Checks a received configuration: signature, addressee and version. The result may be applied.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn verify(
        crypto: Crypto,
        gateway: &VerifiedKeySet,
        session_id: &[u8; 16],
        applied: Option<u64>,
        bytes: &[u8],
    ) -> Result<Self, ConfigurationError> {
        let mut r = Reader::new(bytes);
        let body = r.bytes24()?;
        let signature = r.bytes16()?;
        r.finish()?;
        gateway
            .verify_identity_signature(crypto, &signed_part(body), signature)
            .map_err(|_| ConfigurationError::Forged)?;
        let configuration = Self::from_bytes(body)?;
        if configuration.gateway != *gateway.name() || configuration.session_id != *session_id {
            return Err(ConfigurationError::ForSomebodyElse);
        }
        match applied {
            Some(applied) if configuration.version <= applied => Err(ConfigurationError::Stale { applied }),
            _ => Ok(configuration),
        }
    }
}

fn signed_part(body: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.fixed(label::CONFIGURATION_SIGNATURE);
    w.bytes24(body);
    w.into_bytes()
}

impl Encode for Destination {
    fn encode(&self, w: &mut Writer) {
        self.app.encode(w);
        w.text8(&self.protocol);
        w.text8(&self.description);
        w.flag(self.until.is_some());
        if let Some(until) = self.until {
            until.encode(w);
        }
    }
}

/// Shown on terminals: no control characters, no reordering of what stands beside it.
fn one_line(text: &str) -> Result<String, WireError> {
    free_text(text).ok().filter(|clean| clean == text).ok_or(WireError::BadValue("description"))
}

impl Decode for Destination {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            app: AppName::decode(r)?,
            protocol: one_line(r.text8("protocol")?)?,
            description: one_line(r.text8("description")?)?,
            until: if r.flag()? { Some(Time::decode(r)?) } else { None },
        })
    }
}

impl Encode for Configuration {
    fn encode(&self, w: &mut Writer) {
        w.u64(self.version);
        self.gateway.encode(w);
        w.fixed(&self.session_id);
        self.issued.encode(w);
        w.list16(&self.destinations, |w, d| d.encode(w));
    }
}

impl Decode for Configuration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            version: r.u64()?,
            gateway: GatewayName::decode(r)?,
            session_id: r.fixed()?,
            issued: Time::decode(r)?,
            destinations: r.list16("destinations", MAX_DESTINATIONS, Destination::decode)?,
        })
    }
}
