use std::ffi::{CStr, CString};
use std::sync::mpsc;
use std::time::Duration;

use symbolon_crypto::{CryptoError, InitiatorToken, PresentedToken, SecretBytes, TokenKind, TranscriptHash};

use super::library::{self, CHANNEL_BOUND, Context, Credential, Failure, MUTUAL, Name, Usage};
use super::{KerberosError, ServicePrincipal, token};
use crate::Complaint;

/// Where the user's tickets are.
#[derive(Clone, Debug, Default)]
pub enum CredentialCache {
    /// Where `kinit` puts them: `KRB5CCNAME`, or the default of the machine.
    #[default]
    Default,
    /// A cache by its name, as in `FILE:/tmp/krb5cc_1000` or `KCM:`.
    Named(CString),
}

impl CredentialCache {
    fn store(&self) -> Vec<(&'static CStr, CString)> {
        match self {
            Self::Default => Vec::new(),
            Self::Named(name) => vec![(c"ccache", name.clone())],
        }
    }
}

/// A ticket for one gateway in the initiator's hands.
pub struct KerberosToken {
    credential: Credential,
    target: Name,
    context: Context,
    binding: Option<TranscriptHash>,
    complaint: Complaint<KerberosError>,
}

impl std::fmt::Debug for KerberosToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KerberosToken")
    }
}

impl KerberosToken {
    /// Gets a ticket for `gateway` from the KDC into the cache, unless it is there, so that
    /// presenting it asks no other machine. Waits for `limit` at most; a request that takes
    /// longer is left to its own end in a thread.
    ///
    /// # Errors
    /// [`KerberosError::NoTicket`] when nobody is signed in, [`KerberosError::Unreachable`] and
    /// [`KerberosError::TimedOut`] when no KDC answers, [`KerberosError::OtherService`] when it
    /// knows no such gateway.
    pub fn obtain(
        gateway: &ServicePrincipal,
        cache: &CredentialCache,
        limit: Duration,
    ) -> Result<Self, KerberosError> {
        let (done, result) = mpsc::sync_channel(1);
        let (gateway, cache) = (gateway.clone(), cache.clone());
        std::thread::Builder::new()
            .name("kerberos".to_owned())
            .spawn(move || done.send(Self::obtain_now(&gateway, &cache)))
            .map_err(|e| KerberosError::Library(e.to_string()))?;
        result.recv_timeout(limit).map_err(|_| KerberosError::TimedOut)?
    }

    fn obtain_now(gateway: &ServicePrincipal, cache: &CredentialCache) -> Result<Self, KerberosError> {
        let library = library::library()?;
        let credential = library.credential(Usage::Initiate, None, &cache.store()).map_err(no_ticket)?;
        let target = library.principal(gateway.as_str()).map_err(no_ticket)?;
        // A first step whose token nobody sees leaves the service's ticket in the cache.
        library.context().step(&credential, &target, MUTUAL, None, None).map_err(no_ticket)?;
        Ok(Self {
            credential,
            target,
            context: library.context(),
            binding: None,
            complaint: Complaint::default(),
        })
    }

    /// Whose tickets are in the cache now, as Kerberos writes it: `alice@EXAMPLE.ORG`. Asks no other machine.
    ///
    /// # Errors
    /// [`KerberosError::NoTicket`] when nobody is signed in.
    pub fn holder(cache: &CredentialCache) -> Result<String, KerberosError> {
        let credential =
            library::library()?.credential(Usage::Initiate, None, &cache.store()).map_err(no_ticket)?;
        let holder = credential.holder().map_err(no_ticket)?;
        if holder.is_empty() {
            Err(KerberosError::NoTicket("nobody is signed in".to_owned()))
        } else {
            Ok(holder)
        }
    }

    /// What it last failed for.
    #[must_use]
    pub fn complaint(&self) -> Complaint<KerberosError> {
        self.complaint.clone()
    }

    /// The AP-REQ for the exchange that `binding` names. Each call begins anew.
    fn request(&mut self, binding: &TranscriptHash) -> Result<SecretBytes, KerberosError> {
        self.context = library::library()?.context();
        self.binding = Some(*binding);
        let wanted = MUTUAL | CHANNEL_BOUND;
        let step = self
            .context
            .step(&self.credential, &self.target, wanted, Some(binding.as_ref()), None)
            .map_err(no_ticket)?;
        if step.complete {
            return Err(KerberosError::NotMutual);
        }
        token::check_initial(&step.token)?;
        Ok(SecretBytes::new(step.token))
    }

    /// Checks the gateway's AP-REP: it held the key of the service.
    fn check(&mut self, reply: &[u8]) -> Result<(), KerberosError> {
        token::check_reply(reply)?;
        let binding = self.binding.take().ok_or(KerberosError::Malformed)?;
        let wanted = MUTUAL | CHANNEL_BOUND;
        let step = self
            .context
            .step(&self.credential, &self.target, wanted, Some(binding.as_ref()), Some(reply))
            .map_err(|f| KerberosError::Refused(f.text))?;
        let confirmed = step.complete && step.token.is_empty() && step.flags & MUTUAL != 0;
        if confirmed { Ok(()) } else { Err(KerberosError::NotMutual) }
    }
}

impl InitiatorToken for KerberosToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        match self.request(binding) {
            Ok(body) => Ok(PresentedToken { kind: TokenKind::Kerberos, body, contribution: None }),
            Err(error) => {
                self.complaint.set(error);
                Err(CryptoError::BadKey)
            }
        }
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        self.check(reply).map_err(|error| {
            self.complaint.set(error);
            CryptoError::Forged
        })
    }
}

/// Codes of `krb5.h`.
fn no_ticket(failure: Failure) -> KerberosError {
    match failure.code {
        // the KDC knows no such service
        -1_765_328_377 => KerberosError::OtherService,
        // no KDC for that realm, none answers
        -1_765_328_230 | -1_765_328_228 => KerberosError::Unreachable(failure.text),
        _ if matches!(failure.routine_error(), library::NO_CREDENTIAL | library::CREDENTIALS_EXPIRED) => {
            KerberosError::NoTicket(failure.text)
        }
        // expired
        -1_765_328_352 => KerberosError::NoTicket(failure.text),
        _ => KerberosError::Library(failure.text),
    }
}
