//! Certificates of persons and devices, requests for them, revocation lists, renewals, a change of issuers, and the
//! files that travel to an issuer's machine.

use std::sync::OnceLock;

use symbolon_crypto::{
    ForeignAuthority, ForeignUsage, IssuerChange, IssuerSet, KemPrivateKey, NameRule, Revocation,
    RevocationList, SecretBytes, SubjectId, SubjectKey, SubjectTrust, Suite, TrustedIssuer,
};
use symbolon_issuer::{
    BundleItem, CertificateRequest, Delivery, Issuer, LintProfile, ListOrder, PendingRenewal, RenewalAnswer,
    RenewalPolicy, RequestBundle, RequestKey, RequestedName, RevocationReason, Revoked, SealedCertificate,
    SignedBundle, SubjectGrant, Validity, lint,
};
use symbolon_provider::{P256SigningKey, SubjectKeyKind, SubjectPrivateKey, SystemEntropy, crypto};
use symbolon_wire::{Decode as _, Encode as _};

use crate::gateway::NOW;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "certificates", feed, seeds };

/// The rest is a certificate of ours.
const OURS: u8 = 0;
/// The rest is a certificate of an authority that is admitted.
const FOREIGN: u8 = 1;
/// The rest is a request.
const REQUEST: u8 = 2;
/// The rest is a revocation list.
const LIST: u8 = 3;
/// The rest is an answer in a renewal.
const RENEWAL: u8 = 4;
/// The rest is a change of issuers.
const CHANGE: u8 = 5;
/// The rest is a file of requests without the hash at its end, which would let no change through.
const REQUESTS: u8 = 6;
/// The same of a file of signed certificates.
const SIGNED: u8 = 7;
/// The rest is an envelope with a certificate.
const ENVELOPE: u8 = 8;
/// The rest is the file of a private key.
const KEY_FILE: u8 = 9;

const DAY: u64 = 24 * 60 * 60;

fn feed(data: &[u8]) {
    let Some((&way, rest)) = data.split_first() else { return };
    let site = site();
    match way {
        OURS => ours(site, rest),
        FOREIGN => drop(site.foreign.verify(crypto(), &[rest, &site.certificate], NOW)),
        REQUEST => request(site, rest),
        LIST => list(site, rest),
        RENEWAL => renewal(site, rest),
        CHANGE => {
            let Ok(change) = IssuerChange::from_bytes(rest) else { return };
            assert_eq!(change.to_bytes(), rest, "two encodings of one change");
            if IssuerSet::of(site.trusted.clone()).follow(crypto(), &change, NOW).is_ok() {
                assert_eq!(rest, site.change, "another issuer than the one that was named");
            }
        }
        REQUESTS => requests(site, &whole(rest)),
        SIGNED => {
            let Ok(signed) = SignedBundle::from_file(crypto(), &whole(rest)) else { return };
            if signed.check(crypto(), &site.bundle, &site.trusted, NOW).is_ok() {
                assert_eq!(whole(rest), site.signed, "other certificates than those that were signed");
            }
        }
        ENVELOPE => envelope(site, rest),
        KEY_FILE => {
            let Ok(key) = SubjectPrivateKey::from_file(&SecretBytes::new(rest.to_vec())) else { return };
            assert_eq!(key.to_file().expose(), rest, "two files of one key");
        }
        _ => {}
    }
}

/// A file with its hash.
fn whole(content: &[u8]) -> Vec<u8> {
    [content, &crypto().sha256(&[content])].concat()
}

/// The other way round.
fn content(file: &[u8]) -> &[u8] {
    &file[..file.len() - 32]
}

fn ours(site: &Site, data: &[u8]) {
    drop((lint(data, LintProfile::Issuer), SubjectKey::from_public_key_info(data)));
    if site.trust.verify(crypto(), &[data], NOW).is_ok() {
        let issued = data == site.certificate || site.signed.windows(data.len()).any(|w| w == data);
        assert!(issued, "another certificate than those that were issued");
    }
    drop(site.trust.verify(crypto(), &[&site.certificate, data], NOW));
    drop(site.trust.verify_for_renewal(crypto(), data, NOW.plus_secs(10 * DAY)));
}

fn request(site: &Site, data: &[u8]) {
    let Ok(request) = CertificateRequest::read(crypto(), data) else { return };
    assert_eq!(request.der(), data);
    if let RequestedName::Subject(subject) = request.name().clone() {
        let made =
            site.issuer.certify_subject(&request, &grant(subject)).expect("what was read can be certified");
        let read = site.trust.verify(crypto(), &[made.der()], NOW).expect("what we issue we accept");
        assert_eq!(read.key(), request.key());
    }
}

fn list(site: &Site, data: &[u8]) {
    if RevocationList::read(crypto(), data, site.issuer.certificate(), NOW).is_ok() {
        // The signed file has a list too, and a splice of two inputs may be that one.
        let signed = data == site.list || site.signed.windows(data.len()).any(|w| w == data);
        assert!(signed, "another list than those that were signed");
    }
}

fn renewal(site: &Site, data: &[u8]) {
    let Ok(answer) = RenewalAnswer::from_bytes(data) else { return };
    let policy = RenewalPolicy { grace_lives: 10 };
    let late = NOW.plus_secs(2 * DAY);
    let pending =
        PendingRenewal::begin(crypto(), &mut SystemEntropy, &site.trust, policy, &site.certificate, late);
    let pending = pending.expect("it is in grace");
    assert!(pending.finish(crypto(), &answer).is_err(), "an answer to another question");
}

fn requests(site: &Site, data: &[u8]) {
    let Ok(bundle) = RequestBundle::from_file(crypto(), data) else { return };
    assert_eq!(bundle.to_file(crypto()), data, "two encodings of one file");
    let Ok(signed) = site.issuer.sign_bundle(crypto(), &bundle, NOW, |_, _| true) else { return };
    let checked = signed.check(crypto(), &bundle, &site.trusted, NOW);
    assert!(checked.is_ok(), "what we sign we accept: {checked:?} {bundle:?}");
}

fn envelope(site: &Site, data: &[u8]) {
    let Ok(envelope) = SealedCertificate::from_bytes(data) else { return };
    if envelope.open(crypto(), &site.kem, &site.kem_request).is_ok() {
        assert_eq!(data, site.envelope, "another envelope than the one that was sealed");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let site = site();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    vec![
        by(OURS, &site.certificate),
        by(FOREIGN, &site.certificate),
        by(REQUEST, &site.bundle.items[0].request),
        by(REQUEST, site.kem_request.der()),
        by(LIST, &site.list),
        by(RENEWAL, &site.answer),
        by(CHANGE, &site.change),
        by(REQUESTS, content(&site.bundle.to_file(crypto()))),
        by(SIGNED, content(&site.signed)),
        by(ENVELOPE, &site.envelope),
        by(KEY_FILE, key.to_file().expose()),
    ]
}

/// An issuer, what it made, and who trusts it.
struct Site {
    issuer: Issuer,
    trusted: TrustedIssuer,
    trust: SubjectTrust,
    foreign: SubjectTrust,
    certificate: Vec<u8>,
    list: Vec<u8>,
    answer: Vec<u8>,
    change: Vec<u8>,
    bundle: RequestBundle,
    signed: Vec<u8>,
    kem: KemPrivateKey,
    kem_request: CertificateRequest,
    envelope: Vec<u8>,
}

fn grant(subject: SubjectId) -> SubjectGrant {
    SubjectGrant { subject, common_name: "Alice".into(), validity: Validity::starting(NOW, DAY) }
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::make().expect("the site of this target can be made"))
}

impl Site {
    fn make() -> anyhow::Result<Self> {
        let phone = SubjectId::device("alice-0a1b2c", "phone").expect("a device");
        let issuer = Issuer::create("Example Works", NOW, 10)?;
        let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate())?;
        let trust = SubjectTrust::new(crypto(), std::slice::from_ref(&trusted), Revocation::IfListed)?;
        let mut foreign = SubjectTrust::new(crypto(), &[], Revocation::IfListed)?;
        let authority = ForeignAuthority {
            alias: "partner".into(),
            certificate: issuer.certificate().to_vec(),
            rule: NameRule::UriUnder { prefix: "symbolon:".into() },
            usage: ForeignUsage::ClientAuthentication,
            revocation: Revocation::IfListed,
        };
        foreign.admit(crypto(), authority)?;
        let key = P256SigningKey::generate();
        let name = RequestedName::Subject(phone.clone());
        let request = CertificateRequest::make(&name, RequestKey::P256(&key))?;
        let read = CertificateRequest::read(crypto(), &request)?;
        let certificate = issuer.certify_subject(&read, &grant(phone.clone()))?.der().to_vec();

        let kem = KemPrivateKey::generate(Suite::X25519, crypto(), &mut SystemEntropy);
        let kem_request = CertificateRequest::make(&name, RequestKey::Kem(kem.public()))?;
        let kem_request = CertificateRequest::read(crypto(), &kem_request)?;
        let sealed = issuer.certify_subject(&kem_request, &grant(phone))?;
        let Delivery::Sealed { envelope, .. } = sealed.deliver(crypto(), &mut SystemEntropy)? else {
            anyhow::bail!("a key that cannot sign gets an envelope")
        };
        let revoked = Revoked { serial: vec![0x47; 16], at: NOW, reason: RevocationReason::KeyCompromise };
        let list = issuer.revocation_list(7, std::slice::from_ref(&revoked), Validity::starting(NOW, DAY))?;
        let late = NOW.plus_secs(DAY - 1);
        let policy = RenewalPolicy { grace_lives: 0 };
        let pending =
            PendingRenewal::begin(crypto(), &mut SystemEntropy, &trust, policy, &certificate, late)?;
        let answer = pending.challenge().answer_signed(crypto(), &certificate, request.clone(), &key)?;
        let next = Issuer::create("Example Works", NOW, 10)?;
        let change = issuer.hand_over(&next, NOW.plus_secs(DAY), NOW)?.to_bytes();
        let bundle = RequestBundle {
            issuer: trusted.fingerprint(),
            made: NOW,
            items: vec![BundleItem { request, common_name: "Alice".into(), lifetime_secs: DAY }],
            list: Some(ListOrder { number: 8, lifetime_secs: DAY, revoked: vec![revoked] }),
        };
        let signed = issuer.sign_bundle(crypto(), &bundle, NOW, |_, _| true)?.to_file(crypto());
        Ok(Self {
            issuer,
            trusted,
            trust,
            foreign,
            certificate,
            list,
            answer: answer.to_bytes(),
            change,
            bundle,
            signed,
            kem,
            kem_request,
            envelope: envelope.to_bytes(),
        })
    }
}
