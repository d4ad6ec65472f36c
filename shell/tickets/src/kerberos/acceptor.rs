use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use symbolon_crypto::{TokenProof, TranscriptHash};
use symbolon_policy::CanonName;

use super::library::{self, Failure, Usage};
use super::{KerberosError, Principal, PrincipalMap, ServicePrincipal, token};

/// Where the gateway's own keys are, and where it remembers what it has seen.
#[derive(Clone, Debug)]
pub struct Keytab {
    keys: CString,
    replays: CString,
}

impl Keytab {
    /// The keytab `keys`, made by `kadmin ktadd`; and the file `replays`, which is made when it is
    /// not there and must be kept over a restart.
    ///
    /// # Errors
    /// [`KerberosError::NoKey`] when a path cannot be told to the library.
    pub fn new(keys: &Path, replays: &Path) -> Result<Self, KerberosError> {
        Ok(Self { keys: place("FILE:", keys)?, replays: place("file2:", replays)? })
    }
}

fn place(kind: &str, path: &Path) -> Result<CString, KerberosError> {
    CString::new([kind.as_bytes(), path.as_os_str().as_bytes()].concat())
        .map_err(|_| KerberosError::NoKey("a path contains a zero byte".to_owned()))
}

/// The gateway's side: lets in who shows a ticket for its own service.
#[derive(Clone, Debug)]
pub struct KerberosAcceptor {
    service: ServicePrincipal,
    keytab: Keytab,
    people: PrincipalMap,
}

impl KerberosAcceptor {
    /// For tickets to `service` and no other key of the keytab.
    #[must_use]
    pub const fn new(service: ServicePrincipal, keytab: Keytab, people: PrincipalMap) -> Self {
        Self { service, keytab, people }
    }

    /// Whether the library is there and the keytab has a key for the service; for a node's start.
    ///
    /// # Errors
    /// [`KerberosError::NoLibrary`], [`KerberosError::NoKey`].
    pub fn ready(&self) -> Result<(), KerberosError> {
        self.credential().map(drop)
    }

    /// Checks the AP-REQ of one exchange (RFC 4120 §3.2.3), its channel bindings included.
    ///
    /// Reads the keytab and writes the replay file, and asks no other machine: call it where a
    /// thread may wait for a disk.
    ///
    /// # Errors
    /// [`KerberosError`], by whose fault.
    pub fn accept(&self, token: &[u8], binding: &TranscriptHash) -> Result<KerberosProved, KerberosError> {
        token::check_initial(token)?;
        let credential = self.credential()?;
        let accepted = library::library()?.accept(&credential, token, binding.as_ref()).map_err(refusal)?;
        if !accepted.complete || !accepted.by_kerberos {
            return Err(KerberosError::Malformed);
        }
        // The library lets in whoever names no bindings at all; the flag says that they were equal.
        if accepted.flags & library::CHANNEL_BOUND == 0 {
            return Err(KerberosError::NotBound);
        }
        if accepted.flags & library::MUTUAL == 0 || accepted.token.is_empty() {
            return Err(KerberosError::NotMutual);
        }
        if accepted.flags & library::ANONYMOUS != 0 {
            return Err(KerberosError::UnknownPrincipal);
        }
        let principal = Principal::parse(&accepted.principal).map_err(|_| KerberosError::UnknownPrincipal)?;
        let user = self.people.user(&principal)?;
        Ok(KerberosProved {
            binding: *binding,
            principal,
            user,
            reply: accepted.token,
            lifetime_secs: accepted.lifetime_secs,
        })
    }

    fn credential(&self) -> Result<library::Credential, KerberosError> {
        let library = library::library()?;
        let no_key = |f: Failure| KerberosError::NoKey(f.text);
        let name = library.principal(self.service.as_str()).map_err(no_key)?;
        let store: [(&CStr, CString); 2] =
            [(c"keytab", self.keytab.keys.clone()), (c"rcache", self.keytab.replays.clone())];
        library.credential(Usage::Accept, Some(&name), &store).map_err(no_key)
    }
}

/// Codes of `krb5.h` (RFC 4120 §7.5.9 counted from -1,765,328,384).
fn refusal(failure: Failure) -> KerberosError {
    match failure.code {
        -1_765_328_350 => return KerberosError::Replayed,
        // expired, not yet valid, clock skew
        -1_765_328_352 | -1_765_328_351 | -1_765_328_347 => return KerberosError::NotNow,
        // not us, other key version, no key, wrong principal in request, no such entry in the keytab
        -1_765_328_349 | -1_765_328_340 | -1_765_328_339 | -1_765_328_240 | -1_765_328_203
        | -1_765_328_154 => return KerberosError::OtherService,
        _ => {}
    }
    match failure.routine_error() {
        library::BAD_BINDINGS => KerberosError::NotBound,
        library::CREDENTIALS_EXPIRED => KerberosError::NotNow,
        library::DEFECTIVE_TOKEN => KerberosError::Malformed,
        library::NO_CREDENTIAL => KerberosError::NoKey(failure.text),
        _ => KerberosError::Refused(failure.text),
    }
}

/// Evidence that a Kerberos ticket was shown in one exchange. Only [`KerberosAcceptor::accept`] makes it.
#[derive(Debug)]
pub struct KerberosProved {
    binding: TranscriptHash,
    principal: Principal,
    user: CanonName,
    reply: Vec<u8>,
    lifetime_secs: u32,
}

impl KerberosProved {
    /// Whom the KDC vouched for.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who that is here.
    #[must_use]
    pub const fn user(&self) -> &CanonName {
        &self.user
    }

    /// How long the ticket holds from now, in seconds: what it opens should not outlive it.
    #[must_use]
    pub const fn lifetime_secs(&self) -> u32 {
        self.lifetime_secs
    }
}

impl TokenProof for KerberosProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}
