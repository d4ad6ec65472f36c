//! What an administrator does: make an issuer, make a service, change its keys, show them, and keep the
//! list of users. The command `symbolon-gss` calls these.

use crate::acceptors::{GUESSES, REPLAY, Service};
use crate::key_file::{EXTENSION, KeyFile, KeyFileError};
use crate::private::{self, PrivateFileError, Readers, io_error};
use crate::{Name, Users, key_sets};
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use symbolon_context::{PasswordVerifier, VerifierError};
use symbolon_crypto::{KeySet, SecretBytes, Suite, TrustedIssuer, X509Error};
use symbolon_issuer::{Identity, Issuer, IssuerError, Validity};
use symbolon_policy::CanonName;
use symbolon_provider::{P256SigningKey, SystemEntropy, crypto};
use symbolon_wire::{Encode, Time, WireError};

const ISSUER_YEARS: u32 = 20;
/// As web servers' certificates at most (CA/Browser Forum's 398 days less one).
const IDENTITY_SECS: u64 = 397 * 24 * 3600;

/// Why an administrator's command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// A file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A context key's file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A certificate was not made.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A certificate is none.
    #[error(transparent)]
    Certificate(#[from] X509Error),
    /// A password cannot be kept.
    #[error(transparent)]
    Password(#[from] VerifierError),
    /// A key that was just made cannot be used.
    #[error("the new key cannot be used: {0}")]
    NewKey(#[from] WireError),
    /// There is one already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A service's name has a host.
    #[error("\"{0}\" is not a service on a host, as ldap@db.example")]
    NotAService(String),
    /// No such account of this machine.
    #[error("there is no account or group \"{0}\" on this machine")]
    NoAccount(String),
    /// No such user in the list.
    #[error("there is no user \"{0}\"")]
    NoUser(CanonName),
}

/// An account of this machine under which a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// By its name in `/etc/passwd`.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`].
    pub fn find(name: &str) -> Result<Self, AdminError> {
        let line = line_of(Path::new("/etc/passwd"), name)?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(user)), Some(Ok(group))) => Ok(Self { user, group }),
            _ => Err(AdminError::NoAccount(name.to_owned())),
        }
    }

    /// Who runs this command.
    #[must_use]
    pub fn own() -> Self {
        Self { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() }
    }
}

/// A group of this machine, by its name in `/etc/group`.
///
/// # Errors
/// [`AdminError::NoAccount`].
pub fn find_group(name: &str) -> Result<u32, AdminError> {
    let line = line_of(Path::new("/etc/group"), name)?;
    let number = line.split(':').nth(2).and_then(|n| n.parse().ok());
    number.ok_or(AdminError::NoAccount(name.to_owned()))
}

fn line_of(file: &Path, name: &str) -> Result<String, AdminError> {
    let text = fs::read_to_string(file).map_err(io_error(file))?;
    let mut lines = text.lines();
    let line = lines.find(|l| l.split(':').next() == Some(name) && !name.is_empty());
    line.map(str::to_owned).ok_or(AdminError::NoAccount(name.to_owned()))
}

/// Makes an issuer in a directory that only its owner enters: `issuer.crt` and `issuer.key`, as a node
/// has them.
///
/// # Errors
/// [`AdminError::Exists`] when there is one, and [`AdminError::Issuer`].
pub fn init_issuer(directory: &Path, name: &str, now: Time) -> Result<TrustedIssuer, AdminError> {
    make_directory(directory, 0o700, None)?;
    let (certificate, key) = pair(directory, "issuer");
    for file in [&certificate, &key] {
        if file.exists() {
            return Err(AdminError::Exists(file.clone()));
        }
    }
    let issuer = Issuer::create(name, now, ISSUER_YEARS)?;
    private::write(&key, issuer.key().pkcs8().expose(), 0o600, None)?;
    private::write(&certificate, issuer.certificate(), 0o644, None)?;
    Ok(TrustedIssuer::from_certificate(crypto(), issuer.certificate())?)
}

/// Makes a service that runs as `account`, with its first context keys; one that is there gets a new
/// identity certificate and new keys.
///
/// # Errors
/// [`AdminError`].
pub fn init_acceptor(
    issuer: &Path,
    services: &Path,
    name: &str,
    account: Account,
    suites: &[Suite],
    lifetime_secs: u64,
    now: Time,
) -> Result<Service, AdminError> {
    let certified = Name::service(name).ok().and_then(|n| n.certified());
    let certified = certified.ok_or_else(|| AdminError::NotAService(name.to_owned()))?;
    let (certificate, key) = load_pair(issuer, "issuer")?;
    let issuer = Issuer::load(certificate, key)?;
    let identity = issuer.gateway_identity(&certified, Validity::starting(now, IDENTITY_SECS))?;

    make_directory(services, 0o755, None)?;
    let service = Service::within(services, certified);
    let directory = service.directory();
    make_directory(directory, 0o755, None)?;
    let root = Account { group: account.group, ..Account::own() };
    make_directory(&service.keys(), 0o750, Some(root))?;
    for own in [REPLAY, GUESSES] {
        make_directory(&directory.join(own), 0o700, Some(account))?;
    }
    let (certificate, key) = pair(directory, "identity");
    private::write(&key, identity.key().pkcs8().expose(), 0o600, None)?;
    private::write(&certificate, identity.certificate(), 0o644, None)?;
    private::write(&directory.join("issuer.crt"), issuer.certificate(), 0o644, None)?;
    make_keys(&service, suites, lifetime_secs, now)?;
    Ok(service)
}

/// Gives a service new context keys, one for each suite that it has, shows them from now on, and deletes
/// those whose time is over. The others answer until their end, since initiators may still hold them.
///
/// # Errors
/// [`AdminError`]; the service then answers with the keys that it had.
pub fn rotate(service: &Service, lifetime_secs: u64, now: Time) -> Result<(), AdminError> {
    let mut suites = Vec::new();
    for path in key_files(service)? {
        let suite = KeyFile::read(&path)?.suite;
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites.sort(); // best first, as they are numbered
    make_keys(service, if suites.is_empty() { &[Suite::XWing] } else { &suites }, lifetime_secs, now)
}

fn make_keys(service: &Service, suites: &[Suite], lifetime_secs: u64, now: Time) -> Result<(), AdminError> {
    let (certificate, key) = load_pair(service.directory(), "identity")?;
    let identity = Identity::load(certificate, key)?;
    let issuer = private::read(&service.directory().join("issuer.crt"), Readers::Everybody)?;
    let mut files = Vec::new();
    let mut certified = Vec::new();
    for suite in suites {
        let file = KeyFile::generate(*suite, now);
        certified.push(identity.certify_context_key(file.key()?, Validity::starting(now, lifetime_secs))?);
        files.push(file);
    }
    let set = identity.key_set(issuer.expose(), &certified)?;

    let keys = service.keys();
    let group = fs::metadata(&keys).map_err(io_error(&keys))?.gid();
    for (mut file, certified) in files.into_iter().zip(&certified) {
        file.until = certified.validity.until();
        file.key_set = set.hash(crypto());
        let path = KeyFile::path(&keys, &certified.id);
        private::write(&path, file.to_secret_bytes().expose(), 0o640, Some(group))?;
    }
    private::write(&service.offer_file(), &set.to_bytes(), 0o644, None)?;
    for path in key_files(service)? {
        if KeyFile::read(&path)?.until < now {
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

fn key_files(service: &Service) -> Result<Vec<PathBuf>, AdminError> {
    let keys = service.keys();
    let entries = fs::read_dir(&keys).map_err(io_error(&keys))?;
    let paths = entries.flatten().map(|e| e.path());
    Ok(paths.filter(|p| p.extension().is_some_and(|e| e == EXTENSION)).collect())
}

/// Copies what services show into the directory from which initiators take it, each set under its
/// service's name. Tells which.
///
/// # Errors
/// [`AdminError::File`].
pub fn publish(services: &[Service], to: &Path) -> Result<Vec<PathBuf>, AdminError> {
    make_directory(to, 0o755, None)?;
    let mut published = Vec::new();
    for service in services {
        let from = service.offer_file();
        let set = private::read(&from, Readers::Everybody)?;
        if <KeySet as symbolon_wire::Decode>::from_bytes(set.expose()).is_err() {
            let reason = "not a key set".to_owned();
            return Err(PrivateFileError::Damaged { path: from, reason }.into());
        }
        let file = to.join(format!("{}.{}", service.certified(), key_sets::EXTENSION));
        private::write(&file, set.expose(), 0o644, None)?;
        published.push(file);
    }
    Ok(published)
}

/// Adds a user to a list, or gives one a new password. With `group`, that group may read the list.
///
/// # Errors
/// [`AdminError::Password`] for an empty or overlong one, [`AdminError::File`].
pub fn add_user(
    list: &Path,
    user: &CanonName,
    password: &SecretBytes,
    group: Option<u32>,
) -> Result<(), AdminError> {
    let verifier = PasswordVerifier::new(password, &mut SystemEntropy)?;
    change_users(list, group, |users| Ok(users.with(user, Some(&verifier))))
}

/// Takes a user off a list.
///
/// # Errors
/// [`AdminError::NoUser`], [`AdminError::File`].
pub fn remove_user(list: &Path, user: &CanonName) -> Result<(), AdminError> {
    change_users(list, None, |users| match users.verifier(user) {
        Some(_) => Ok(users.with(user, None)),
        None => Err(AdminError::NoUser(user.clone())),
    })
}

/// One change at a time: the directory is locked meanwhile.
fn change_users(
    list: &Path,
    group: Option<u32>,
    change: impl FnOnce(&Users) -> Result<SecretBytes, AdminError>,
) -> Result<(), AdminError> {
    let parent = private::directory_of(list);
    let lock = File::open(parent).map_err(io_error(parent))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| io_error(parent)(e.into()))?;
    let users = match Users::read(list) {
        Ok(users) => users,
        Err(e) if e.is_missing() => Users::empty(),
        Err(e) => return Err(e.into()),
    };
    let group = group.or_else(|| fs::metadata(list).ok().map(|about| about.gid()));
    private::write(list, change(&users)?.expose(), 0o640, group)?;
    Ok(())
}

fn pair(directory: &Path, stem: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{stem}.crt")), directory.join(format!("{stem}.key")))
}

fn load_pair(directory: &Path, stem: &str) -> Result<(Vec<u8>, P256SigningKey), AdminError> {
    let (certificate, key) = pair(directory, stem);
    let pkcs8 = private::read(&key, Readers::OwnerAlone)?;
    let damaged = |_| PrivateFileError::Damaged { path: key.clone(), reason: "not a PKCS #8 key".into() };
    let key = P256SigningKey::from_pkcs8(pkcs8).map_err(damaged)?;
    Ok((private::read(&certificate, Readers::Everybody)?.expose().to_vec(), key))
}

fn make_directory(path: &Path, mode: u32, account: Option<Account>) -> Result<(), PrivateFileError> {
    let make = || -> std::io::Result<()> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        if let Some(account) = account {
            chown(path, Some(account.user), Some(account.group))?;
        }
        Ok(())
    };
    make().map_err(io_error(path))
}
