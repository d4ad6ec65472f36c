//! Certificates as authentication tokens: what a gateway receives, and what it takes for a proof.

use std::sync::OnceLock;

use symbolon_context::{CertificateKey, CertificateToken, ClaimedCertificate, MAX_CHAIN};
use symbolon_crypto::{
    InitiatorToken as _, KemPrivateKey, Revocation, SecretBytes, SubjectId, SubjectTrust, Suite, TokenKind,
    TokenProof as _, TranscriptHash, TrustedIssuer, VerdictCache, VerifiedSubject,
};
use symbolon_issuer::{CertificateRequest, Issuer, RequestKey, RequestedName, SubjectGrant, Validity};
use symbolon_provider::{Ed25519SigningKey, SystemEntropy, crypto};

use crate::gateway::NOW;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "certificate_tokens", feed, seeds };

/// The rest is a token that signs.
const SIGNS: u8 = 0;
/// The rest is a token that opens an envelope.
const OPENS: u8 = 1;

const HERE: TranscriptHash = TranscriptHash([7; 32]);
const ELSEWHERE: TranscriptHash = TranscriptHash([8; 32]);
const DAY: u64 = 24 * 60 * 60;

fn feed(data: &[u8]) {
    let Some((&way, body)) = data.split_first() else { return };
    let (site, token) = (site(), SecretBytes::new(body.to_vec()));
    for kind in TokenKind::ALL {
        let of_certificates = matches!(kind, TokenKind::Certificate | TokenKind::KemCertificate);
        let parsed = ClaimedCertificate::parse(kind, &token).is_ok();
        assert!(of_certificates || !parsed, "a token of another kind is taken for a certificate");
    }
    let kind = if way == OPENS { TokenKind::KemCertificate } else { TokenKind::Certificate };
    let Ok(claimed) = ClaimedCertificate::parse(kind, &token) else { return };
    let chain = claimed.chain();
    assert!(chain.as_ref().is_none_or(|c| (1..=MAX_CHAIN).contains(&c.len())), "a chain without a bound");

    for (subject, certificate) in [(&site.signs, &site.signs_chain[0]), (&site.opens, &site.opens_chain[0])] {
        let Ok(proved) = claimed.prove(crypto(), subject, &HERE) else { continue };
        assert_eq!(claimed.hash(crypto()), crypto().sha256(&[certificate]), "another certificate");
        assert_eq!(proved.binding(), &HERE);
        let by_signature = kind == TokenKind::Certificate;
        assert!(!by_signature || body.ends_with(&site.signature), "a signature that the key did not make");
        assert_eq!(certificate == &site.signs_chain[0], by_signature, "a key proves itself in another way");
        assert_eq!(proved.envelope_to().is_none(), by_signature);
        assert!(!by_signature || claimed.prove(crypto(), subject, &ELSEWHERE).is_err(), "another exchange");
    }
    path(site, &claimed);
}

/// What a node does: a certificate that it knows counts by its hash, another one by its path.
fn path(site: &Site, claimed: &ClaimedCertificate) {
    let mut cache = VerdictCache::new(4);
    let known = |cache: &mut VerdictCache| cache.known(&site.trust, &claimed.hash(crypto()), NOW);
    assert!(known(&mut cache).is_none(), "a certificate that nobody saw is known");
    let Some(chain) = claimed.chain() else { return };
    let Ok(subject) = site.trust.verify(crypto(), &chain, NOW) else { return };
    assert!([&site.signs_chain[0], &site.opens_chain[0]].iter().any(|c| *c == chain[0]), "nobody issued it");
    cache.remember(&site.trust, &subject);
    let again = known(&mut cache).expect("it was remembered");
    assert_eq!(again.certificate_hash(), subject.certificate_hash());
}

/// An issuer, and a subject with a certificate for each kind of key.
struct Site {
    trust: SubjectTrust,
    signs: VerifiedSubject,
    signs_chain: Vec<Vec<u8>>,
    opens: VerifiedSubject,
    opens_chain: Vec<Vec<u8>>,
    /// The one signature over [`HERE`]: Ed25519 signs the same in the same way.
    signature: Vec<u8>,
    tokens: Vec<Vec<u8>>,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::make().expect("an issuer certifies what was asked for"))
}

impl Site {
    fn make() -> anyhow::Result<Self> {
        let issuer = Issuer::create("Fuzzing", NOW, 10)?;
        let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate())?;
        let trust = SubjectTrust::new(crypto(), &[trusted], Revocation::IfListed)?;
        let alice = SubjectId::person("alice").expect("a code");
        let certified = |key: RequestKey<'_>| -> anyhow::Result<Vec<Vec<u8>>> {
            let request = CertificateRequest::make(&RequestedName::Subject(alice.clone()), key)?;
            let request = CertificateRequest::read(crypto(), &request)?;
            let validity = Validity::starting(NOW, DAY);
            let grant = SubjectGrant { subject: alice.clone(), common_name: "Alice".into(), validity };
            Ok(vec![issuer.certify_subject(&request, &grant)?.der().to_vec()])
        };
        let key = Ed25519SigningKey::generate();
        let kem = KemPrivateKey::generate(Suite::X25519, crypto(), &mut SystemEntropy);
        let (signs_chain, opens_chain) =
            (certified(RequestKey::Ed25519(&key))?, certified(RequestKey::Kem(kem.public()))?);
        let mut tokens = Vec::new();
        let longer = [signs_chain.clone(), vec![issuer.certificate().to_vec()]].concat();
        for chain in [&signs_chain, &longer] {
            let token = || CertificateToken::new(crypto(), chain, CertificateKey::Signs(&key));
            for mut token in [token()?, token()?.by_hash()] {
                tokens.push(by(SIGNS, token.present(&HERE)?.body.expose()));
            }
        }
        let token = || CertificateToken::new(crypto(), &opens_chain, CertificateKey::Opens(&kem));
        for mut token in [token()?, token()?.by_hash()] {
            tokens.push(by(OPENS, token.present(&HERE)?.body.expose()));
        }
        let signature = tokens[0][tokens[0].len() - 64..].to_vec();
        let verify = |chain: &[Vec<u8>]| trust.verify(crypto(), &[&chain[0]], NOW);
        let (signs, opens) = (verify(&signs_chain)?, verify(&opens_chain)?);
        Ok(Self { trust, signs, signs_chain, opens, opens_chain, signature, tokens })
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let site = site();
    for token in &site.tokens {
        let (kind, subject) = match token[0] {
            SIGNS => (TokenKind::Certificate, &site.signs),
            _ => (TokenKind::KemCertificate, &site.opens),
        };
        let claimed = ClaimedCertificate::parse(kind, &SecretBytes::new(token[1..].to_vec()));
        let proved = claimed.expect("our own").prove(crypto(), subject, &HERE);
        assert!(proved.is_ok(), "what its owner shows is taken");
    }
    site.tokens.clone()
}
