//! The certificate office of a node: the issuer, when its key is here, and the register.
//!
//! ```text
//! DIR/issuer.crt, issuer.key            the issuer; without the key its requests go to another machine
//! DIR/issuer-next.crt, issuer-next.key  the one that follows, between `rotate` and `rotate --finish`
//! DIR/issuer-old.crt                    the one before
//! ```

use super::error::ApiError;
use super::{administrator, at};
use crate::NodeError;
use crate::files::{self, write_private};
use crate::keys::{IDENTITY_SECS, ISSUER_YEARS};
use crate::node::Shared;
use std::path::Path;
use symbolon_crypto::{IssuerChange, IssuerFingerprint, SecretBytes, SubjectId, TrustedIssuer};
use symbolon_issuer::{
    BundleItem, CertificateRequest, Identity, Issuer, IssuerError, ListOrder, RequestBundle,
    RevocationReason, Revoked, SubjectCertificate, SubjectGrant, Validity,
};
use symbolon_policy::{Standing, UserCode};
use symbolon_provider::P256SigningKey;
use symbolon_store::{
    Actor, NewCertificate, RegisteredCertificate, RegistrationId, RevokedGateway, StoreError, User,
    WaitingRequest,
};
use symbolon_wire::Time;

/// How long a list is good, in seconds: a week, so that an issuer without network has time.
const LIST_SECS: u64 = 7 * 24 * 3600;
/// How long a revoked certificate stays on the list after its end, in seconds: longer than any grace.
const KEEP_REVOKED_SECS: u64 = 400 * 24 * 3600;

/// What a certificate comes from.
#[derive(Default)]
pub(super) struct Lineage {
    /// The certificate that it renews.
    pub(super) replaces: Option<Vec<u8>>,
    /// The token with which the first of the line was got; none when an administrator made it.
    pub(super) registration: Option<RegistrationId>,
}

/// The office, as it is at this moment: another process may change an issuer meanwhile.
pub(super) struct Office<'a> {
    node: &'a Shared,
    by: Actor,
    /// With its key, when that is here.
    pub(super) issuer: Option<Issuer>,
    /// The end of its certificate, as far as it is known here.
    pub(super) until: Option<Time>,
    /// The one that follows.
    pub(super) next: Option<TrustedIssuer>,
}

impl<'a> Office<'a> {
    /// For an administrator.
    pub(super) fn open(node: &'a Shared) -> Result<Self, ApiError> {
        Self::by(node, administrator())
    }

    /// For whoever is to stand in the audit.
    pub(super) fn by(node: &'a Shared, by: Actor) -> Result<Self, ApiError> {
        let home = node.config.home();
        let issuer = load(home, "issuer")?;
        let until = issuer.as_ref().map(|i| i.validity().until());
        let next = trusted(node, &home.join("issuer-next.crt"))?;
        Ok(Self { node, by, issuer, until, next })
    }

    /// The user whose code a subject has, who must be one to whom anything is given.
    pub(super) async fn user_of(&self, subject: &SubjectId) -> Result<User, ApiError> {
        let code = UserCode::parse(subject.code())?;
        let user = match self.node.store.user_by_code(&code).await {
            Err(StoreError::NotFound { .. }) => {
                return Err(ApiError::not_found(format!("nobody has the code {code}")));
            }
            user => user?,
        };
        if user.subject.standing == Standing::Active {
            Ok(user)
        } else {
            let (name, standing) = (&user.subject.name, user.subject.standing);
            Err(ApiError::invalid(
                format!("{name} is {standing}"),
                "certificates are for users who are approved and not locked",
            ))
        }
    }

    /// A key that was revoked gets no other certificate.
    pub(super) async fn refuse_revoked_key(&self, request: &CertificateRequest) -> Result<(), ApiError> {
        let key = request.key_hash(self.node.gateway.crypto).map_err(refused)?;
        let revoked = self.node.store.revoked_certificates(Time(0)).await?;
        if revoked.iter().all(|c| c.made.key_hash != key) {
            return Ok(());
        }
        Err(ApiError::invalid(
            "this key was revoked",
            "make a request with a new key: whoever has the old one would have the certificate too",
        ))
    }

    fn with_key(&self) -> Result<&Issuer, ApiError> {
        self.issuer.as_ref().ok_or_else(|| {
            ApiError::invalid(
                "the issuer's key is not on this node",
                "take the requests to the machine where it is: admin ca requests",
            )
        })
    }

    pub(super) fn certify(
        &self,
        request: &CertificateRequest,
        subject: SubjectId,
        common_name: String,
        lifetime_secs: u64,
    ) -> Result<SubjectCertificate, ApiError> {
        let validity = Validity::starting(at(), lifetime_secs);
        let grant = SubjectGrant { subject, common_name, validity };
        self.with_key()?.certify_subject(request, &grant).map_err(refused)
    }

    pub(super) async fn register(
        &self,
        made: &SubjectCertificate,
        code: &UserCode,
        line: Lineage,
        confirmation: Option<[u8; 32]>,
    ) -> Result<(), ApiError> {
        let key_hash = made.key_hash(self.node.gateway.crypto).map_err(refused)?;
        let crypto = self.node.gateway.crypto;
        let new = NewCertificate {
            hash: Some(crypto.sha256(&[made.der()])),
            serial: made.serial().to_vec(),
            subject: made.subject().uri(),
            code: code.clone(),
            key_hash,
            certificate: made.der().to_vec(),
            until: made.validity().until(),
            replaces: line.replaces,
            registration: line.registration,
            confirmation,
        };
        Ok(self.node.store.add_certificate(&self.by, &new, at()).await?)
    }

    /// What stands on a list.
    async fn revoked(&self) -> Result<Vec<Revoked>, ApiError> {
        let since = at().minus_secs(KEEP_REVOKED_SECS);
        let entry = |c: RegisteredCertificate| {
            let (since, reason) = c.revoked?;
            let reason = RevocationReason::parse(&reason).unwrap_or(RevocationReason::Unspecified);
            Some(Revoked { serial: c.made.serial, at: since, reason })
        };
        let revoked = self.node.store.revoked_certificates(since).await?;
        let gateway = |g: RevokedGateway| {
            let reason = RevocationReason::parse(&g.reason).unwrap_or(RevocationReason::Unspecified);
            Revoked { serial: g.serial, at: g.since, reason }
        };
        let gateways = self.node.store.revoked_gateways(since).await?;
        Ok(revoked.into_iter().filter_map(entry).chain(gateways.into_iter().map(gateway)).collect())
    }

    /// Makes a list, if the key is here; its number.
    pub(super) async fn make_list(&self) -> Result<Option<u64>, ApiError> {
        let Some(issuer) = &self.issuer else { return Ok(None) };
        let number = self.node.store.next_revocation_list_number().await?;
        let validity = Validity::starting(at(), LIST_SECS);
        let list = issuer.revocation_list(number, &self.revoked().await?, validity).map_err(refused)?;
        self.node.store.put_revocation_list(&self.by, number, &list, at()).await?;
        Ok(Some(number))
    }

    /// Everything that waits for the issuer's key.
    pub(super) async fn bundle(&self) -> Result<(RequestBundle, Vec<WaitingRequest>), ApiError> {
        let waiting = self.node.store.certificate_requests().await?;
        let item = |w: &WaitingRequest| BundleItem {
            request: w.request.clone(),
            common_name: w.common_name.clone(),
            lifetime_secs: w.lifetime_secs,
        };
        let order = ListOrder {
            number: self.node.store.next_revocation_list_number().await?,
            lifetime_secs: LIST_SECS,
            revoked: self.revoked().await?,
        };
        let bundle = RequestBundle {
            issuer: self.node.issuer().fingerprint(),
            made: at(),
            items: waiting.iter().map(item).collect(),
            list: Some(order),
        };
        Ok((bundle, waiting))
    }

    /// Makes the issuer that follows, and the statement that it does.
    pub(super) fn begin_change(&self, overlap_secs: u64) -> Result<IssuerChange, ApiError> {
        let issuer = self.with_key()?;
        if self.next.is_some() {
            return Err(ApiError::invalid(
                "another issuer follows already",
                "finish that change first: admin ca rotate --finish",
            ));
        }
        let home = self.node.config.home();
        let next = Issuer::create("Symbolon issuer", at(), ISSUER_YEARS).map_err(refused)?;
        let change = issuer.hand_over(&next, at().plus_secs(overlap_secs), at()).map_err(refused)?;
        // the key first: a certificate without its key is of no use
        write_private(&home.join("issuer-next.key"), next.key().pkcs8().expose()).map_err(failed)?;
        write_private(&home.join("issuer-next.crt"), next.certificate()).map_err(failed)?;
        Ok(change)
    }

    /// The gateway's identity under the issuer that follows.
    pub(super) fn next_identity(&self) -> Result<NextIdentity, ApiError> {
        let home = self.node.config.home();
        let (Some(old), Some(next)) = (&self.issuer, load(home, "issuer-next")?) else {
            return Err(ApiError::invalid("no other issuer follows", "begin with: admin ca rotate"));
        };
        let identity = pair(home, "identity")?
            .ok_or_else(|| ApiError::internal("the identity is not in the node's directory"))?;
        let identity = Identity::load(identity.0, identity.1).map_err(refused)?;
        let validity = Validity::starting(at(), IDENTITY_SECS);
        let certified = next
            .certify_identity(identity.name(), identity.key().public_point(), validity)
            .map_err(refused)?;
        let next = TrustedIssuer::from_certificate(self.node.gateway.crypto, next.certificate())
            .map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(NextIdentity { old: old.certificate().to_vec(), new: next.fingerprint(), identity: certified })
    }
}

/// What takes the place of what, when another issuer follows.
pub(super) struct NextIdentity {
    /// The present issuer's certificate, DER.
    pub(super) old: Vec<u8>,
    /// The issuer that follows.
    pub(super) new: IssuerFingerprint,
    /// The gateway's identity under it, for the key that it has, DER.
    pub(super) identity: Vec<u8>,
}

/// What the issuer refuses is the request's fault, or the time's.
fn refused(e: IssuerError) -> ApiError {
    match e {
        IssuerError::Malformed(_) | IssuerError::Lint(_) | IssuerError::Crypto(_) => {
            ApiError::internal(e.to_string())
        }
        e => ApiError::invalid(e.to_string(), "ask for something else"),
    }
}

/// A file of the node's directory cannot be used, so nothing was changed.
pub(super) fn failed(e: NodeError) -> ApiError {
    ApiError::internal(e.to_string())
}

/// A certificate with its key; nothing when the key is elsewhere.
fn pair(home: &Path, stem: &str) -> Result<Option<(Vec<u8>, P256SigningKey)>, ApiError> {
    let certificate = files::read(&home.join(format!("{stem}.crt"))).map_err(failed)?;
    let key = files::read(&home.join(format!("{stem}.key"))).map_err(failed)?;
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let key = P256SigningKey::from_pkcs8(key)
        .map_err(|_| ApiError::internal(format!("{stem}.key is not a PKCS #8 key")))?;
    Ok(Some((certificate.expose().to_vec(), key)))
}

fn load(home: &Path, stem: &str) -> Result<Option<Issuer>, ApiError> {
    let issuer = pair(home, stem)?.map(|(certificate, key)| Issuer::load(certificate, key));
    issuer.transpose().map_err(refused)
}

/// An issuer's certificate, if there is one of that name.
pub(super) fn trusted(node: &Shared, path: &Path) -> Result<Option<TrustedIssuer>, ApiError> {
    let certificate = files::read(path).map_err(failed)?;
    let read = |c: SecretBytes| TrustedIssuer::from_certificate(node.gateway.crypto, c.expose());
    certificate.map(read).transpose().map_err(|e| ApiError::internal(format!("{}: {e}", path.display())))
}
