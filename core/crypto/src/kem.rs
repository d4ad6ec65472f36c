//! The two key encapsulation mechanisms, in the encodings of RFC 9180 and draft-connolly-cfrg-xwing-kem.

use crate::hpke::Labeled;
use crate::{Crypto, CryptoError, Entropy, MlKem768Key, Secret, X25519Key};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

const X25519_LEN: usize = 32;
const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
/// draft-connolly-cfrg-xwing-kem §5.3: `\.//^\`
const X_WING_LABEL: &[u8; 6] = b"\\.//^\\";

/// A whole set of algorithms. Suites are offered by a gateway's key set and never negotiated apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[non_exhaustive]
pub enum Suite {
    /// X-Wing (X25519 + ML-KEM-768), HKDF-SHA-256, AES-256-GCM. The default.
    XWing = 1,
    /// X25519, HKDF-SHA-256, AES-256-GCM: for constrained devices, where a policy names it.
    X25519 = 2,
}

impl Suite {
    /// All suites, best first.
    pub const ALL: [Self; 2] = [Self::XWing, Self::X25519];

    /// HPKE's KEM identifier (IANA registry of RFC 9180 §7.1; X-Wing 0x647a).
    pub(crate) const fn kem_id(self) -> u16 {
        match self {
            Self::XWing => 0x647a,
            Self::X25519 => 0x0020,
        }
    }

    /// Length of a public key in bytes.
    #[must_use]
    pub const fn public_len(self) -> usize {
        match self {
            Self::XWing => ML_KEM_PUBLIC + X25519_LEN,
            Self::X25519 => X25519_LEN,
        }
    }

    /// Length of an encapsulation in bytes.
    #[must_use]
    pub const fn encapsulation_len(self) -> usize {
        match self {
            Self::XWing => ML_KEM_CIPHERTEXT + X25519_LEN,
            Self::X25519 => X25519_LEN,
        }
    }
}

impl Encode for Suite {
    fn encode(&self, w: &mut Writer) {
        w.u16(*self as u16);
    }
}

impl Decode for Suite {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let id = r.u16()?;
        Self::ALL.into_iter().find(|s| *s as u16 == id).ok_or(WireError::BadValue("suite"))
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::XWing => "X-Wing",
            Self::X25519 => "X25519",
        })
    }
}

/// A public key of a suite; its length is right, its content is checked by use.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey {
    suite: Suite,
    bytes: Vec<u8>,
}

impl KemPublicKey {
    /// From the suite's encoding.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for a wrong length.
    pub fn new(suite: Suite, bytes: &[u8]) -> Result<Self, CryptoError> {
        if bytes.len() == suite.public_len() {
            Ok(Self { suite, bytes: bytes.to_vec() })
        } else {
            Err(CryptoError::BadKey)
        }
    }

    /// Its suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The suite's encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes a secret that only the holder of the private key can recover.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the key is not one.
    pub fn encapsulate(
        &self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
    ) -> Result<Encapsulated, CryptoError> {
        match self.suite {
            Suite::X25519 => {
                let peer = array(&self.bytes)?;
                let ephemeral = crypto.x25519_generate(entropy);
                let dh = ephemeral.agree(peer)?;
                let enc = ephemeral.public().to_vec();
                let secret = dh_kem_secret(crypto, &dh, &enc, &self.bytes);
                Ok(Encapsulated { bytes: enc, secret })
            }
            Suite::XWing => {
                let (ml_kem, x25519) = self.bytes.split_at(ML_KEM_PUBLIC);
                let (mut bytes, ml_secret) = crypto.ml_kem768_encapsulate(ml_kem, entropy)?;
                let ephemeral = crypto.x25519_generate(entropy);
                let x_secret = ephemeral.agree(array(x25519)?)?;
                let secret = x_wing_secret(crypto, &ml_secret, &x_secret, ephemeral.public(), x25519);
                bytes.extend_from_slice(ephemeral.public());
                Ok(Encapsulated { bytes, secret })
            }
        }
    }
}

impl Encode for KemPublicKey {
    fn encode(&self, w: &mut Writer) {
        self.suite.encode(w);
        w.bytes16(&self.bytes);
    }
}

impl Decode for KemPublicKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let suite = Suite::decode(r)?;
        Self::new(suite, r.bytes16()?).map_err(|_| WireError::BadValue("public key"))
    }
}

impl std::fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemPublicKey({})", self.suite)
    }
}

/// What an encapsulation gives its maker.
#[derive(Debug)]
pub struct Encapsulated {
    /// For the holder of the private key, in clear.
    pub bytes: Vec<u8>,
    /// What both then have.
    pub secret: Secret<32>,
}

/// A private key of a suite, in the provider's own form.
pub struct KemPrivateKey {
    public: KemPublicKey,
    x25519: Box<dyn X25519Key>,
    ml_kem: Option<Box<dyn MlKem768Key>>,
}

impl KemPrivateKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(suite: Suite, crypto: Crypto, entropy: &mut dyn Entropy) -> Self {
        let x25519 = crypto.x25519_generate(entropy);
        let ml_kem = match suite {
            Suite::XWing => Some(crypto.ml_kem768_generate(entropy)),
            Suite::X25519 => None,
        };
        Self::assemble(suite, x25519, ml_kem)
    }

    /// From keys of the provider's; `ml_kem` is needed by X-Wing alone.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the parts are not those of the suite.
    pub fn from_parts(
        suite: Suite,
        x25519: Box<dyn X25519Key>,
        ml_kem: Option<Box<dyn MlKem768Key>>,
    ) -> Result<Self, CryptoError> {
        if ml_kem.is_some() == (suite == Suite::XWing) {
            Ok(Self::assemble(suite, x25519, ml_kem))
        } else {
            Err(CryptoError::BadKey)
        }
    }

    fn assemble(suite: Suite, x25519: Box<dyn X25519Key>, ml_kem: Option<Box<dyn MlKem768Key>>) -> Self {
        let mut bytes = ml_kem.as_ref().map_or_else(Vec::new, |k| k.public().to_vec());
        bytes.extend_from_slice(x25519.public());
        Self { public: KemPublicKey { suite, bytes }, x25519, ml_kem }
    }

    /// Its public key.
    #[must_use]
    pub const fn public(&self) -> &KemPublicKey {
        &self.public
    }

    /// Recovers the secret of an encapsulation to this key.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when it cannot be one.
    pub fn decapsulate(&self, crypto: Crypto, encapsulation: &[u8]) -> Result<Secret<32>, CryptoError> {
        if encapsulation.len() != self.public.suite.encapsulation_len() {
            return Err(CryptoError::BadKey);
        }
        match &self.ml_kem {
            None => {
                let dh = self.x25519.agree(array(encapsulation)?)?;
                Ok(dh_kem_secret(crypto, &dh, encapsulation, &self.public.bytes))
            }
            Some(ml_kem) => {
                let (ml_ct, x_ct) = encapsulation.split_at(ML_KEM_CIPHERTEXT);
                let ml_secret = ml_kem.decapsulate(ml_ct)?;
                let x_secret = self.x25519.agree(array(x_ct)?)?;
                Ok(x_wing_secret(crypto, &ml_secret, &x_secret, x_ct, self.x25519.public()))
            }
        }
    }
}

impl std::fmt::Debug for KemPrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemPrivateKey({})", self.public.suite)
    }
}

fn array(bytes: &[u8]) -> Result<&[u8; X25519_LEN], CryptoError> {
    bytes.try_into().map_err(|_| CryptoError::BadKey)
}

/// RFC 9180 §4.1, `ExtractAndExpand` of DHKEM(X25519, HKDF-SHA256).
fn dh_kem_secret(crypto: Crypto, dh: &Secret<32>, enc: &[u8], public: &[u8]) -> Secret<32> {
    let kdf = Labeled::kem(crypto, Suite::X25519);
    let prk = kdf.extract(b"", b"eae_prk", dh.expose());
    kdf.expand(&prk, b"shared_secret", &[enc, public])
}

/// draft-connolly-cfrg-xwing-kem §5.3, `Combiner`.
fn x_wing_secret(
    crypto: Crypto,
    ml: &Secret<32>,
    x: &Secret<32>,
    x_ct: &[u8],
    x_public: &[u8],
) -> Secret<32> {
    crypto.sha3_256(&[ml.expose(), x.expose(), x_ct, x_public, X_WING_LABEL])
}
