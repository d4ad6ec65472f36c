//! A key pair that is made in a device, for a certificate; its private half never leaves it.

use crate::import::{keeps_secret, refusal};
use crate::object::Wanted;
use crate::signature::{self, POINT};
use crate::signer::Algorithm;
use crate::{DeviceSigner, HardwareError, OpenDevice, Pkcs11Uri};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use symbolon_crypto::{Crypto, Entropy, SubjectKey};

/// A new P-256 key pair.
#[derive(Clone, Debug)]
pub struct DevicePair {
    /// The private half.
    pub signer: DeviceSigner,
    /// The public half: an uncompressed point.
    pub public_point: [u8; POINT],
}

impl OpenDevice {
    /// Makes a P-256 key pair in the device, with an id of its own and a label that the device's own tools
    /// show. The device then says that it keeps the key secret, and proves that it signs with it.
    ///
    /// # Errors
    /// [`HardwareError::NoMechanism`], [`HardwareError::Refuses`], [`HardwareError::Unfit`],
    /// [`HardwareError::Gone`]. The device holds no new key then.
    pub fn generate_pair(
        &self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        label: &str,
    ) -> Result<DevicePair, HardwareError> {
        let device = self.device();
        {
            let started = device.module().enter();
            let mechanisms = device.mechanisms(&started, &device.now(&started)?)?;
            if [MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA].iter().any(|m| !mechanisms.contains(m))
            {
                return Err(device.cannot("keys on P-256 (CKM_EC_KEY_PAIR_GEN, CKM_ECDSA)"));
            }
        }
        let id = entropy.number::<16>();
        let uri = Pkcs11Uri { object: Some(label.to_owned()), id: Some(id.to_vec()), ..Pkcs11Uri::default() };
        let key = Wanted::private(&uri);
        let made = self.writing(|session| {
            let (public, private) = generate(session, &id, label)
                .map_err(|e| refusal(device, &e, "make keys on P-256 that stay in it"))?;
            let unfit = |why| HardwareError::Unfit { token: device.identity().label.clone(), why };
            Ok(keeps_secret(session, private, true).and_then(|()| point(session, public)).map_err(unfit))
        })?;
        let signer = self.signer_of(crypto, key, &uri, Algorithm::P256);
        let checked = made.and_then(|point| {
            signs(crypto, entropy, &signer, &point)?;
            Ok(point)
        });
        match checked {
            Ok(public_point) => Ok(DevicePair { signer, public_point }),
            Err(e) => {
                self.remove_pair(signer.uri())?;
                Err(e)
            }
        }
    }

    /// Removes the private key that `object` and `id` of the URI name, and its public half, for good.
    ///
    /// # Errors
    /// [`HardwareError::NoKey`], [`HardwareError::SeveralKeys`], or what the device says.
    pub fn remove_pair(&self, uri: &Pkcs11Uri) -> Result<(), HardwareError> {
        let device = self.device();
        let key = Wanted::private(uri);
        self.writing(|session| {
            let destroy = |object| session.destroy_object(object).map_err(|e| device.complaint(&e));
            // the public half first: with some devices it goes together with the private one
            let halves = key.public_half().all(device, session)?;
            let private = key.one(device, session)?;
            if let [public] = halves.as_slice() {
                destroy(*public)?;
            }
            destroy(private)
        })
    }
}

fn generate(
    session: &Session,
    id: &[u8; 16],
    label: &str,
) -> cryptoki::error::Result<(ObjectHandle, ObjectHandle)> {
    let named = || [Attribute::Id(id.to_vec()), Attribute::Label(label.as_bytes().to_vec())];
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::EcParams(signature::P256.to_vec()),
        Attribute::Verify(true),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let (public, private) = ([&public[..], &named()].concat(), [&private[..], &named()].concat());
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
}

fn point(session: &Session, public: ObjectHandle) -> Result<[u8; POINT], &'static str> {
    let says = session.get_attributes(public, &[AttributeType::EcPoint]).unwrap_or_default();
    match says.first() {
        Some(Attribute::EcPoint(bytes)) => {
            signature::point(bytes).ok_or("its public half is no point of P-256")
        }
        _ => Err("it does not tell the public half"),
    }
}

/// Demands that the private half signs for the public one.
fn signs(
    crypto: Crypto,
    entropy: &mut dyn Entropy,
    signer: &DeviceSigner,
    point: &[u8; POINT],
) -> Result<(), HardwareError> {
    let message = entropy.number::<32>();
    let signature = signer.sign_here(&message)?;
    let key = SubjectKey::from_public_key_info(&signature::public_key_info(point)).ok();
    let verified = key.as_ref().and_then(SubjectKey::signature);
    match verified.map(|key| key.verify(crypto, &message, &signature)) {
        Some(Ok(())) => Ok(()),
        _ => {
            let token = signer.device().device().identity().label.clone();
            Err(HardwareError::Unfit { token, why: "its signatures are not by the public half" })
        }
    }
}
