//! What the agent signs in with, and what it keeps for the next time.

use crate::agent::certificates;
use crate::certificate::{HeldCertificate, none_kept};
use crate::certificate_key::KeptKey;
use crate::credential::CertificateFiles;
use crate::device::{self, OpenDevices};
use crate::directory::Directory;
use crate::holder::Holder;
use crate::id_tokens::IdTokens;
use crate::issuers::Issuers;
use crate::kept_certificate::KeptCertificate;
use crate::key::{Key, blocking};
use crate::proof::Proof;
use crate::sign_in::{AtHand, Gateway, Shown, SignedIn, sign_in};
use crate::ticket::{self, KeptTicket};
use crate::token::{self, OpenToken, Saved};
use crate::{AgentError, Credential, ErrorKind, Paths, UserConfig, kerberos, known};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{GatewayName, KeySet, SubjectName};
use symbolon_hardware::Device;
use symbolon_policy::TokenClass;
use symbolon_session::Ticket;
use symbolon_token::container::Registration;

/// A credential, the gateway that it is for, and what remembers.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) gateway: Gateway,
    /// What proves who the user is; nothing when tickets alone do.
    pub(crate) proof: Option<Proof>,
    /// The user identification code and the access control path, where a registration tells them.
    registered: Option<(String, String)>,
    token: Option<Arc<Mutex<OpenToken>>>,
    /// Who signs in, where the proof does not say it.
    holder: Holder,
    devices: OpenDevices,
    paths: Paths,
    kept: Mutex<Kept>,
}

/// What the last exchange left.
#[derive(Debug, Default)]
struct Kept {
    key_set: Option<KeySet>,
    number: Option<[u8; 32]>,
    shown: Option<Shown>,
    user: String,
    ticket: Option<KeptTicket>,
}

/// How to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the credential itself.
    Afresh,
    /// By the ticket of the last session, where that spares somebody something.
    Resume,
}

impl Account {
    /// Opens the credential; blocks.
    pub(crate) fn open(
        paths: &Paths,
        credential: Credential,
        gateway: Option<GatewayName>,
        address: Option<String>,
        config: UserConfig,
    ) -> Result<Self, AgentError> {
        let named = Named { gateway: gateway.or_else(|| config.gateway.clone()), address };
        match credential {
            Credential::Token(pin) => Self::of_token(paths, token::unlock(paths, &pin)?, named, config),
            Credential::Device(pin) => {
                Self::of_token(paths, token::unlock_device(paths, pin)?, named, config)
            }
            Credential::Ticket => Self::of_ticket(paths, named, config),
            Credential::Password { user, password } => {
                let gateways = config.password_gateways.clone();
                let gateway = named.gateway(paths, config)?;
                Ok(Self::new(paths, gateway, Proof::Password { user, password, gateways }))
            }
            Credential::Certificate { files, pin } => {
                let devices = OpenDevices::default();
                if let Some(device) = device_of(paths, &files, &config)? {
                    devices.add(device.open(pin.ok_or_else(no_pin)?)?);
                }
                let gateway = match files {
                    CertificateFiles::Kept => named.gateway_of_certificate(paths, config)?,
                    CertificateFiles::At { .. } | CertificateFiles::InDevice { .. } => {
                        named.gateway(paths, config)?
                    }
                };
                let held = HeldCertificate::open(paths, &files, &gateway.name, &devices)?;
                Ok(Self { devices, ..Self::new(paths, gateway, Proof::Certificate(Arc::new(held))) })
            }
            Credential::Kerberos => {
                let gateway = named.gateway(paths, config.clone())?;
                let service = kerberos::service(&config, &gateway.name)?;
                Ok(Self::new(paths, gateway, Proof::Kerberos(service)))
            }
            Credential::Oidc => {
                let source = IdTokens::of(&config)?;
                let gateway = named.gateway(paths, config)?;
                Ok(Self::new(paths, gateway, Proof::Oidc(source)))
            }
        }
    }

    fn new(paths: &Paths, gateway: Gateway, proof: Proof) -> Self {
        // What an agent left that broke off, if it was by the same credential.
        let ticket = KeptTicket::load(paths).ok().flatten().filter(|ticket| {
            ticket.gateway == gateway.name
                && gateway.issuers.now().contains(&ticket.issuer)
                && ticket.class == proof.class()
        });
        let kept = Mutex::new(Kept { ticket, ..Kept::default() });
        let (proof, holder, devices) = (Some(proof), Holder::of_this_agent(), OpenDevices::default());
        Self { gateway, proof, registered: None, token: None, holder, devices, paths: paths.clone(), kept }
    }

    fn of_token(
        paths: &Paths,
        open: OpenToken,
        named: Named,
        config: UserConfig,
    ) -> Result<Self, AgentError> {
        let registration = choose(open.token().registrations(), named.gateway.as_ref())?;
        let directory = Directory::of(&config)?;
        let gateway = Gateway {
            address: named.address.or(config.address).unwrap_or_else(|| registration.address.clone()),
            name: registration.gateway.clone(),
            issuers: Arc::new(Issuers::load(paths, open.token().issuer().clone()).looking_in(directory)),
            suites: config.suites,
        };
        let proof = Proof::Key {
            key: Key::of(&registration.key, open.device(), open.token())?,
            registration_id: registration.registration_id,
            user: registration.user_code.clone(),
            class: registration.key.class(),
        };
        let registered = Some((registration.user_code.to_string(), registration.access_path.to_string()));
        let kept = Mutex::new(Kept {
            key_set: Some(registration.key_set.clone()),
            number: registration.next_number,
            ..Kept::default()
        });
        let (holder, devices) = (Holder::of_token(open.token().id()), OpenDevices::default());
        if let Some(device) = open.device() {
            devices.add(device.clone());
        }
        let token = Some(Arc::new(Mutex::new(open)));
        Ok(Self {
            gateway,
            proof: Some(proof),
            registered,
            token,
            holder,
            devices,
            paths: paths.clone(),
            kept,
        })
    }

    fn of_ticket(paths: &Paths, named: Named, config: UserConfig) -> Result<Self, AgentError> {
        let ticket = KeptTicket::load(paths)?.ok_or_else(no_ticket)?;
        config.check_issuer(ticket.issuer.fingerprint())?;
        if let Some(other) = named.gateway.filter(|name| *name != ticket.gateway) {
            return Err(AgentError::usage(format!(
                "the session ticket is for {}, not for {other}",
                ticket.gateway
            ))
            .code("no-ticket")
            .fix("sign in there by another credential: symbolon login --with token"));
        }
        let directory = Directory::of(&config)?;
        let gateway = Gateway {
            address: named.address.or(config.address).unwrap_or_else(|| ticket.address.clone()),
            name: ticket.gateway.clone(),
            issuers: Arc::new(Issuers::load(paths, ticket.issuer.clone()).looking_in(directory)),
            suites: config.suites,
        };
        let key_set = Some(ticket.key_set.clone());
        let (registered, holder) = (ticket.registered.clone(), ticket.holder.clone());
        let kept = Mutex::new(Kept { key_set, ticket: Some(ticket), ..Kept::default() });
        let devices = OpenDevices::default();
        Ok(Self {
            gateway,
            proof: None,
            registered,
            token: None,
            holder,
            devices,
            paths: paths.clone(),
            kept,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs in, in one round trip where the last exchange left what that needs.
    pub(crate) async fn sign_in(&self, way: Way) -> Result<SignedIn, AgentError> {
        let Some(proof) = &self.proof else {
            return self.by_ticket(&self.holder).await.ok_or_else(no_ticket)?;
        };
        // Asked each time: somebody else may have said kinit.
        let holder = match proof.is_dear() {
            true => self.holder_now()?,
            false => self.holder.clone(),
        };
        if way == Way::Resume && proof.is_dear() {
            match self.by_ticket(&holder).await {
                Some(Ok(signed_in)) => return Ok(signed_in),
                Some(Err(e)) if e.kind == ErrorKind::Unreachable => return Err(e),
                Some(Err(e)) => tracing::info!(error = %e, "the session ticket is not taken"),
                None => {}
            }
        }
        self.by_proof(proof, holder).await
    }

    /// Who would sign in now.
    fn holder_now(&self) -> Result<Holder, AgentError> {
        let shown = self.proof.as_ref().map(|proof| blocking(|| Holder::of(proof))).transpose()?.flatten();
        Ok(shown.unwrap_or_else(|| self.holder.clone()))
    }

    /// By the ticket, if `holder` left one. It is spent, unless nobody was there to take it.
    async fn by_ticket(&self, holder: &Holder) -> Option<Result<SignedIn, AgentError>> {
        let kept = self.kept().ticket.take_if(|ticket| ticket.holder == *holder)?;
        if kept.is_over() {
            self.forget_ticket();
            return None;
        }
        let proof = Proof::Ticket(kept.ticket.duplicate(), kept.class);
        let signed_in = self.by_proof(&proof, kept.holder.clone()).await;
        match &signed_in {
            Err(e) if e.kind == ErrorKind::Unreachable => self.kept().ticket = Some(kept),
            _ => self.forget_ticket(),
        }
        Some(signed_in)
    }

    async fn by_proof(&self, proof: &Proof, holder: Holder) -> Result<SignedIn, AgentError> {
        let at_hand = {
            let mut kept = self.kept();
            // A number is used once; the next one comes with the session.
            let number = kept.number.take();
            AtHand { key_set: kept.key_set.clone(), number }
        };
        let mut signed_in = self.shown_alike(proof, at_hand).await?;
        if signed_in.lifetime_secs == 0 {
            signed_in = self.come_back(proof, signed_in).await?;
        }
        signed_in.shown.registered.clone_from(&self.registered);
        signed_in.shown.holder = Some(holder);
        blocking(|| known::remember(&self.paths, &self.gateway.name, &self.gateway.address));
        let mut kept = self.kept();
        kept.key_set = Some(signed_in.key_set.clone());
        kept.shown = Some(signed_in.shown.clone());
        kept.user.clone_from(&signed_in.subject);
        drop(kept);
        Ok(signed_in)
    }

    /// Signs in with the proof as it is now: a certificate may have been renewed.
    async fn shown_alike(&self, proof: &Proof, at_hand: AtHand) -> Result<SignedIn, AgentError> {
        let Proof::Certificate(held) = proof else { return sign_in(&self.gateway, proof, at_hand).await };
        let current = Proof::Certificate(held.current(&self.paths, &self.gateway.name, &self.devices)?);
        sign_in(&self.gateway, &current, at_hand).await.map_err(|e| match e.kind {
            ErrorKind::Denied => self.explained(held, e),
            _ => e,
        })
    }

    /// Says of a certificate that was denied if that is no wonder.
    fn explained(&self, held: &HeldCertificate, denied: AgentError) -> AgentError {
        let kept = || KeptCertificate::load(&self.paths).ok()??.info(&self.paths).ok();
        match kept().filter(|info| held.is_kept() && info.over) {
            Some(info) => AgentError::denied(format!(
                "the certificate of this device ended at {}, too long ago to be renewed without an administrator, \
                 or was revoked",
                info.until
            ))
            .code("certificate-over")
            .fix("an administrator runs: symbolon admin tokens invite; what that prints, you run here"),
            None => denied,
        }
    }

    /// The gateway opened a context without a session: for a certificate that has lapsed, to be renewed in
    /// it. One of the user's own files is renewed by whoever made it.
    async fn come_back(&self, proof: &Proof, opened: SignedIn) -> Result<SignedIn, AgentError> {
        let over =
            |fix: &str| AgentError::denied("the certificate has ended").code("certificate-over").fix(fix);
        match proof {
            Proof::Certificate(held) if held.is_kept() => {}
            Proof::Certificate(_) => return Err(over("renew it: symbolon admin ca renew")),
            _ => return Err(AgentError::failure("the gateway opened a session that is over already")),
        }
        let SignedIn { carried, key_set, .. } = opened;
        certificates::renew_lapsed(&self.paths, &self.gateway, &self.devices, carried).await?;
        tracing::info!("the certificate had ended, and was renewed");
        let signed_in = self.shown_alike(proof, AtHand { key_set: Some(key_set), number: None }).await?;
        if signed_in.lifetime_secs == 0 {
            return Err(over("correct this machine's clock or the gateway's"));
        }
        Ok(signed_in)
    }

    /// Gives up what the last exchange left: the gateway's keys have changed.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept();
        (kept.key_set, kept.number) = (None, None);
    }

    /// Gives up the ticket of the session, which is over for good, or it is spent.
    pub(crate) fn forget_ticket(&self) {
        self.kept().ticket = None;
        if let Err(e) = ticket::forget_ticket(&self.paths) {
            tracing::warn!(error = %e, "the session ticket cannot be removed");
        }
    }

    /// The user identification code, as the registration or the certificate that is kept tells it.
    pub(crate) fn user_code(&self) -> Option<String> {
        let of_certificate = || {
            let kept = KeptCertificate::load(&self.paths).ok()??;
            let subject = (kept.gateway == self.gateway.name).then(|| kept.subject().ok())??;
            match subject.name() {
                SubjectName::Ours(id) => Some(id.code().to_owned()),
                SubjectName::Foreign { .. } => None,
            }
        };
        self.registered.as_ref().map(|(code, _)| code.clone()).or_else(of_certificate)
    }

    /// The devices that were opened.
    pub(crate) const fn devices(&self) -> &OpenDevices {
        &self.devices
    }

    /// Where the user's files are.
    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Keeps the ticket that the gateway gave for the next session, in memory and where its owner alone
    /// reads it.
    pub(crate) fn keep_ticket(&self, ticket: &Ticket) {
        let mut kept = self.kept();
        let (Some(key_set), Some(shown)) = (kept.key_set.clone(), kept.shown.clone()) else { return };
        let Some(holder) = shown.holder else { return };
        // On the disk it would open what the device is there to guard.
        if shown.class == TokenClass::Hardware || shown.device.is_some() {
            return;
        }
        let new = KeptTicket {
            gateway: self.gateway.name.clone(),
            address: self.gateway.address.clone(),
            issuer: self.gateway.issuers.current(),
            key_set,
            user: kept.user.clone(),
            holder,
            class: shown.class,
            registered: shown.registered,
            expires: ticket.expires(),
            ticket: ticket.to_secret_bytes(),
        };
        if let Err(e) = new.save(&self.paths) {
            tracing::warn!(error = %e, "the session ticket cannot be kept for another agent");
        }
        kept.ticket = Some(new);
    }

    /// Keeps the gateway's number for the next sign-in, with the key set of the last, in memory and
    /// in the token's file.
    pub(crate) async fn keep_number(&self, number: [u8; 32]) {
        let key_set = {
            let mut kept = self.kept();
            kept.number = Some(number);
            kept.key_set.clone()
        };
        let Some(token) = &self.token else { return };
        let (token, gateway) = (Arc::clone(token), self.gateway.name.clone());
        let saved = tokio::task::spawn_blocking(move || {
            let mut open = token.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(registration) = open.token_mut().registration_mut(&gateway) else {
                return Ok(Saved::ChangedMeanwhile);
            };
            registration.next_number = Some(number);
            if let Some(key_set) = key_set {
                registration.key_set = key_set;
            }
            open.save()
        });
        match saved.await {
            Ok(Ok(Saved::Written)) => {}
            // Costs a round trip at the next start and nothing else.
            Ok(Ok(Saved::ChangedMeanwhile)) => {
                tracing::debug!("the token's file was changed by another program")
            }
            Ok(Err(e)) => tracing::warn!(error = %e, "the token's file cannot be updated"),
            Err(_) => tracing::warn!("updating the token's file broke off"),
        }
    }
}

/// The device that holds the key of a certificate, if one does.
fn device_of(
    paths: &Paths,
    files: &CertificateFiles,
    config: &UserConfig,
) -> Result<Option<Device>, AgentError> {
    match files {
        CertificateFiles::At { .. } => Ok(None),
        CertificateFiles::InDevice { key, .. } => Ok(Some(Device::find_signing(key)?)),
        CertificateFiles::Kept => match KeptCertificate::load(paths)?.ok_or_else(none_kept)?.key {
            KeptKey::Here(_) => Ok(None),
            KeptKey::Device(key) => device::of_certificate(&key, config).map(Some),
        },
    }
}

fn no_pin() -> AgentError {
    AgentError::usage("the certificate's key is in a device, whose PIN was not given")
        .fix("symbolon login asks for it")
}

/// There is nothing to go on with.
fn no_ticket() -> AgentError {
    AgentError::denied("there is no session ticket to go on with")
        .code("no-ticket")
        .fix("sign in again: symbolon login")
}

/// What a person said about where to sign in.
struct Named {
    gateway: Option<GatewayName>,
    address: Option<String>,
}

impl Named {
    /// The gateway for a credential that does not know it: trusted by the issuer that the configuration
    /// file names, or by the one of the token, registered or not. Where nobody names it, it is the one
    /// where somebody has signed in from here, if there is one.
    fn gateway(self, paths: &Paths, config: UserConfig) -> Result<Gateway, AgentError> {
        let known = known::all(paths)?;
        let name = match (self.gateway, known.as_slice()) {
            (Some(name), _) => name,
            (None, [(only, _)]) => only.clone(),
            (None, several) => return Err(which_gateway(several)),
        };
        let address = self.address.or_else(|| config.address.clone());
        let known = || known.iter().find(|(n, _)| *n == name).map(|(_, address)| address.clone());
        let address = address.or_else(known).ok_or_else(|| {
            AgentError::usage(format!("the address of {name} is not known"))
                .fix("give it with --address HOST:PORT, or in the configuration file")
        })?;
        let issuers = match config.trusted_issuer()? {
            Some(issuer) => Issuers::load(paths, issuer),
            None => token::load_if_there(paths)?.map(|t| Issuers::of_token(paths, &t)).ok_or_else(|| {
                AgentError::usage("there is nothing to trust the gateway by").fix(
                    "name the issuer's certificate in the configuration file (issuer_certificate = \
                     \"issuer.crt\"), or import a token",
                )
            })?,
        };
        config.check_issuer(issuers.root().fingerprint())?;
        let issuers = Arc::new(issuers.looking_in(Directory::of(&config)?));
        Ok(Gateway { address, name, issuers, suites: config.suites })
    }

    /// The gateway that gave the certificate which the agent keeps.
    fn gateway_of_certificate(self, paths: &Paths, config: UserConfig) -> Result<Gateway, AgentError> {
        let kept = KeptCertificate::load(paths)?.ok_or_else(none_kept)?;
        config.check_issuer(kept.issuer.fingerprint())?;
        let directory = Directory::of(&config)?;
        let name = self.gateway.unwrap_or(kept.gateway);
        let address = self.address.or(config.address).unwrap_or(kept.address);
        let issuers = Arc::new(Issuers::load(paths, kept.issuer).looking_in(directory));
        Ok(Gateway { address, name, issuers, suites: config.suites })
    }
}

fn which_gateway(known: &[(GatewayName, String)]) -> AgentError {
    let fix = "name it with --gateway NAME --address HOST:PORT, or in the configuration file";
    if known.is_empty() {
        return AgentError::usage("this sign-in needs the gateway's name").fix(fix);
    }
    let names = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    AgentError::usage(format!("several gateways are known here: {names}"))
        .fix("choose one with --gateway NAME, or with gateway = \"…\" in the configuration file")
}

fn choose<'a>(
    registrations: &'a [Registration],
    wanted: Option<&GatewayName>,
) -> Result<&'a Registration, AgentError> {
    let names = || registrations.iter().map(|r| r.gateway.as_str()).collect::<Vec<_>>().join(", ");
    match (registrations, wanted) {
        ([], _) => {
            Err(AgentError::usage("the token is not registered with any gateway yet")
                .fix("run symbolon enrol"))
        }
        (_, Some(name)) => registrations.iter().find(|r| r.gateway == *name).ok_or_else(|| {
            AgentError::usage(format!("the token is not registered with {name}, but with: {}", names()))
                .fix("enrol it there, choose another with --gateway, or correct the configuration file")
        }),
        ([only], None) => Ok(only),
        (_, None) => Err(AgentError::usage(format!("the token knows several gateways: {}", names()))
            .fix("choose one with --gateway NAME, or with gateway = \"…\" in the configuration file")),
    }
}
