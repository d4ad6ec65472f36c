//! The token's file: opened, counted, saved, copied.
//!
//! ```text
//! lock ── read ── count the attempt ── write ── try the PIN ── write (counter back to zero) ── unlock
//! ```
//! The attempt is on the disk before the PIN is tried, so that pulling the plug saves none. All of
//! this blocks (a PIN takes about 0.15 s): call it where blocking is allowed.

use crate::files::{Lock, is_open_to_others, read_bounded, write_private};
use crate::status::{RegistrationInfo, SCHEMA, TokenInfo};
use crate::{AgentError, Paths, UserConfig, clock, device};
use std::path::{Path, PathBuf};
use symbolon_hardware::{DevicePin, OpenDevice};
use symbolon_policy::format_time;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{
    MAX_ATTEMPTS, MAX_FILE, Pin, PinCost, Registration, Token, TokenError, UnlockedToken,
};

/// Whether a token that is already there may be replaced by another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// No: say what is there.
    #[default]
    Keep,
    /// Yes.
    Replace,
}

/// An open token and the file that it came from.
#[derive(Debug)]
pub struct OpenToken {
    token: UnlockedToken,
    /// The device that holds its keys, open.
    device: Option<OpenDevice>,
    path: PathBuf,
    /// Hash of the file as we read or wrote it last.
    seen: [u8; 32],
}

/// What became of a token that was to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is on the disk.
    Written,
    /// Somebody else changed the file since we read it; it stays as they left it.
    ChangedMeanwhile,
}

impl OpenToken {
    /// What is in it.
    #[must_use]
    pub const fn token(&self) -> &UnlockedToken {
        &self.token
    }

    /// The device that holds its keys.
    pub(crate) const fn device(&self) -> Option<&OpenDevice> {
        self.device.as_ref()
    }

    /// What is in it, to be changed and saved.
    pub fn token_mut(&mut self) -> &mut UnlockedToken {
        &mut self.token
    }

    /// Saves it, unless the file is no longer the one that was opened: the numbers of a running
    /// agent must not undo a registration that was made meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read or written; it is then as it was.
    pub fn save(&mut self) -> Result<Saved, AgentError> {
        let _lock = Lock::wait(&self.path)?;
        let bytes = read_bounded(&self.path, MAX_FILE)?.unwrap_or_default();
        if crypto().sha256(&[&bytes]) != self.seen {
            return Ok(Saved::ChangedMeanwhile);
        }
        self.write().map(|()| Saved::Written)
    }

    fn write(&mut self) -> Result<(), AgentError> {
        let bytes = self.token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
        write_private(&self.path, &bytes)?;
        self.seen = crypto().sha256(&[&bytes]);
        Ok(())
    }
}

/// The registrations of an open token, for people; no secret among them.
#[must_use]
pub fn registrations(token: &UnlockedToken) -> Vec<RegistrationInfo> {
    token.registrations().iter().map(registration_info).collect()
}

fn registration_info(r: &Registration) -> RegistrationInfo {
    RegistrationInfo {
        gateway: r.gateway.to_string(),
        address: r.address.clone(),
        user: r.user.to_string(),
        user_code: r.user_code.to_string(),
        access_path: r.access_path.to_string(),
        token_class: r.key.class().to_string(),
        registered: format_time(r.registered),
    }
}

/// Reads the token, which stays locked.
///
/// # Errors
/// When there is none, it cannot be read, or it is not from the issuer that the configuration file
/// expects.
pub fn load(paths: &Paths) -> Result<Token, AgentError> {
    let token = read(&paths.token)?.ok_or_else(|| no_token(paths))?;
    UserConfig::load(paths)?.check_issuer(token.issuer().fingerprint())?;
    Ok(token)
}

/// Reads the token if there is one.
pub(crate) fn load_if_there(paths: &Paths) -> Result<Option<Token>, AgentError> {
    if read(&paths.token)?.is_some() { load(paths).map(Some) } else { Ok(None) }
}

fn no_token(paths: &Paths) -> AgentError {
    AgentError::usage(format!("there is no token ({})", paths.token.display()))
        .fix("make one with symbolon enrol LINK, or bring yours with symbolon token import FILE")
}

pub(crate) fn read(path: &Path) -> Result<Option<Token>, AgentError> {
    let Some(bytes) = read_bounded(path, MAX_FILE)? else { return Ok(None) };
    Token::from_file(crypto(), &bytes).map(Some).map_err(|e| {
        let error = AgentError::from(e);
        AgentError { message: format!("{} ({})", error.message, path.display()), ..error }
    })
}

/// Opens the token with its PIN; counts the attempt first.
///
/// # Errors
/// Wrong PIN, locked, too soon after a wrong one, and whatever [`load`] gives.
pub fn unlock(paths: &Paths, pin: &Pin) -> Result<OpenToken, AgentError> {
    Ok(try_pin(paths, pin)??)
}

/// Opens a token whose keys are in a device, with the device's PIN; the device counts attempts.
///
/// # Errors
/// The device is not there, its PIN is wrong or locked, it does not fit the file, and whatever
/// [`load`] gives.
pub fn unlock_device(paths: &Paths, pin: DevicePin) -> Result<OpenToken, AgentError> {
    let token = load(paths)?;
    let reference = token.device().ok_or(TokenError::NotInDevice)?;
    open_with(paths, device::of_token(reference, &UserConfig::load(paths)?)?.open(pin)?)
}

/// The same with a device that is open already.
pub(crate) fn open_with(paths: &Paths, device: OpenDevice) -> Result<OpenToken, AgentError> {
    load(paths)?;
    let _lock = Lock::wait(&paths.token)?;
    let bytes = read_bounded(&paths.token, MAX_FILE)?.unwrap_or_default();
    let token = device::open(Token::from_file(crypto(), &bytes)?, &device)?;
    let seen = crypto().sha256(&[&bytes]);
    Ok(OpenToken { token, device: Some(device), path: paths.token.clone(), seen })
}

/// The same, with what the token says to the PIN apart from what hinders trying it.
pub(crate) fn try_pin(paths: &Paths, pin: &Pin) -> Result<Result<OpenToken, TokenError>, AgentError> {
    load(paths)?;
    let _lock = Lock::wait(&paths.token)?;
    try_pin_locked(&paths.token, pin)
}

/// The same for any file, whose lock is held.
fn try_pin_locked(path: &Path, pin: &Pin) -> Result<Result<OpenToken, TokenError>, AgentError> {
    let token =
        read(path)?.ok_or_else(|| AgentError::usage(format!("there is no token {}", path.display())))?;
    let attempt = match token.attempt(clock::now()) {
        Ok(attempt) => attempt,
        Err(e) => return Ok(Err(e)),
    };
    write_private(path, &attempt.to_file(crypto())).map_err(|e| AgentError {
        message: format!("the attempt cannot be counted, so the PIN is not tried: {}", e.message),
        ..e
    })?;
    let token = match attempt.unlock(crypto(), pin) {
        Ok(token) => token,
        Err(e) => return Ok(Err(e)),
    };
    let mut open = OpenToken { token, device: None, path: path.to_owned(), seen: [0; 32] };
    open.write()?;
    Ok(Ok(open))
}

/// Writes a token that came to be just now over whatever is there.
///
/// # Errors
/// When the file cannot be written; it is then as it was.
pub fn save(paths: &Paths, token: UnlockedToken) -> Result<OpenToken, AgentError> {
    let _lock = Lock::wait(&paths.token)?;
    let mut open = OpenToken { token, device: None, path: paths.token.clone(), seen: [0; 32] };
    open.write()?;
    Ok(open)
}

/// Refuses when another token than `incoming` is there, unless it may be replaced.
pub(crate) fn may_take_place(paths: &Paths, incoming: &Token, replace: Replace) -> Result<(), AgentError> {
    if replace == Replace::Replace {
        return Ok(());
    }
    // A file that cannot be read may hold a token all the same: it is not written over.
    match read(&paths.token)? {
        Some(present) if present.id() != incoming.id() => Err(AgentError::usage(format!(
            "there is another token already ({}, of issuer {})",
            paths.token.display(),
            present.issuer().fingerprint()
        ))
        .fix("replace it with --replace, or use another --home; export it first if it is still needed")),
        _ => Ok(()),
    }
}

/// Takes a token from `source` into use. A registered one is opened once with its PIN, so that a
/// token that nobody can use is noticed here.
///
/// # Errors
/// Whatever is wrong with the file or the PIN; another token is there and `replace` does not allow
/// to overwrite it.
pub fn import(
    paths: &Paths,
    source: &Path,
    pin: &mut dyn FnMut() -> Result<Pin, AgentError>,
    replace: Replace,
) -> Result<TokenInfo, AgentError> {
    let token =
        read(source)?.ok_or_else(|| AgentError::usage(format!("there is no file {}", source.display())))?;
    UserConfig::load(paths)?.check_issuer(token.issuer().fingerprint())?;
    may_take_place(paths, &token, replace)?;
    // A file whose keys are in a device holds no secret: the device is asked when it is used.
    let bytes = if token.is_registered() && token.device().is_none() {
        let pin = pin()?;
        // Counted in the source, which is the token until it is imported.
        let _lock = Lock::wait(source)?;
        let open = try_pin_locked(source, &pin)
            .map_err(|e| e.fix("copy the file to a directory of yours first"))??;
        open.token.seal(crypto(), &mut SystemEntropy).to_file(crypto())
    } else {
        token.to_file(crypto())
    };
    let _lock = Lock::wait(&paths.token)?;
    write_private(&paths.token, &bytes)?;
    info(paths)
}

/// Copies the token to a new file; it stays protected by its PIN.
///
/// # Errors
/// When there is no token, or `to` exists.
pub fn export(paths: &Paths, to: &Path) -> Result<TokenInfo, AgentError> {
    let token = load(paths)?;
    if to.exists() {
        return Err(AgentError::usage(format!("{} exists already", to.display())).fix("choose another name"));
    }
    write_private(to, &token.to_file(crypto()))?;
    info(paths)
}

/// Changes the PIN.
///
/// # Errors
/// As [`unlock`] with the old PIN.
pub fn change_pin(paths: &Paths, old: &Pin, new: &Pin, cost: PinCost) -> Result<(), AgentError> {
    load(paths)?;
    let _lock = Lock::wait(&paths.token)?;
    let mut open = try_pin_locked(&paths.token, old)??;
    open.token.change_pin(crypto(), &mut SystemEntropy, new, cost)?;
    open.write()
}

/// What can be said about the token without its PIN.
///
/// # Errors
/// As [`load`].
pub fn info(paths: &Paths) -> Result<TokenInfo, AgentError> {
    let token = load(paths)?;
    let left = MAX_ATTEMPTS.saturating_sub(token.failures());
    Ok(TokenInfo {
        schema: SCHEMA,
        path: paths.token.clone(),
        token_id: hex::encode(token.id()),
        issuer: token.issuer().fingerprint().to_string(),
        registered: token.is_registered(),
        device: token.device().map(|d| d.uri().to_owned()),
        gateway: token.gateway().map(|g| g.name().to_string()),
        failed_attempts: token.failures(),
        attempts_left: left,
        locked: left == 0,
        open_to_others: is_open_to_others(&paths.token)?,
    })
}
