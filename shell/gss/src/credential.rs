//! Who asks, and who answers.

use crate::acceptors::Service;
use crate::config::{AcceptorConfig, Config, ConfigError, Purpose};
use crate::private::{self, PrivateFileError, Readers};
use crate::status::{BAD_NAME, FAILURE, Failure, NO_CRED, Reason};
use crate::{InitiatorConfig, Name};
use std::path::Path;
use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;

/// What a credential is for (RFC 2744 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// `GSS_C_BOTH`.
    Both,
    /// `GSS_C_INITIATE`.
    Initiate,
    /// `GSS_C_ACCEPT`.
    Accept,
}

/// A user with a password, services that answer, or both.
#[derive(Debug)]
pub struct Credential {
    usage: Usage,
    login: Option<Login>,
    answering: Option<Answering>,
}

/// A user who can show who it is.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: CanonName,
    pub(crate) password: SecretBytes,
}

impl Login {
    pub(crate) fn duplicate(&self) -> Self {
        Self { user: self.user.clone(), password: self.password.duplicate() }
    }
}

/// Services of this machine that a process can answer as.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) config: AcceptorConfig,
    pub(crate) services: Vec<Service>,
}

impl Credential {
    /// Gets what `usage` needs: the password is the given one or the configured user's, and services
    /// are all that answer for `name`.
    ///
    /// # Errors
    /// [`NO_CRED`] with a reason; [`BAD_NAME`] for a password without a user.
    pub fn acquire(name: Option<&Name>, password: Option<&[u8]>, usage: Usage) -> Result<Self, Failure> {
        let login = match usage {
            Usage::Accept => None,
            Usage::Both | Usage::Initiate => Some(login(name, password)?),
        };
        let answering = match usage {
            Usage::Initiate => None,
            // A user's name says nothing about the services of the machine.
            Usage::Both => Some(Answering::find(name.filter(|n| matches!(n, Name::Service { .. })))?),
            Usage::Accept => Some(Answering::find(name)?),
        };
        Ok(Self { usage, login, answering })
    }

    /// A user, whatever the configuration says.
    #[must_use]
    pub const fn of_user(user: CanonName, password: SecretBytes) -> Self {
        Self { usage: Usage::Initiate, login: Some(Login { user, password }), answering: None }
    }

    /// All services of one configuration.
    ///
    /// # Errors
    /// [`NO_CRED`] when this process can answer as none of them.
    pub fn of_services(config: AcceptorConfig) -> Result<Self, Failure> {
        let answering = Some(Answering::of(config, None)?);
        Ok(Self { usage: Usage::Accept, login: None, answering })
    }

    /// What it is for.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// Whose it is: the user's if it can open contexts.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        let service = || self.answering.as_ref()?.services.first();
        match &self.login {
            Some(login) => Some(Name::User(login.user.clone())),
            None => service().and_then(|s| Name::from_certified(s.certified())),
        }
    }

    pub(crate) fn login(&self) -> Result<&Login, Failure> {
        self.login.as_ref().ok_or(Failure::plain(NO_CRED))
    }

    pub(crate) fn answering(&self) -> Result<&Answering, Failure> {
        self.answering.as_ref().ok_or(Failure::plain(NO_CRED))
    }
}

fn login(name: Option<&Name>, password: Option<&[u8]>) -> Result<Login, Failure> {
    let asked = match name {
        Some(Name::User(user)) => Some(user),
        Some(Name::Service { .. }) => return Err(Failure::plain(BAD_NAME)),
        None => None,
    };
    if let Some(password) = password {
        let user = asked.ok_or(Failure::plain(BAD_NAME))?.clone();
        return Ok(Login { user, password: SecretBytes::new(password.to_vec()) });
    }
    let config = initiator_config()?;
    let no = |reason| Failure::new(NO_CRED, reason);
    let (user, file) = config.user.zip(config.password_file).ok_or(no(Reason::PasswordFile))?;
    let user = CanonName::parse(&user).map_err(|_| no(Reason::BadConfiguration))?;
    if asked.is_some_and(|asked| *asked != user) {
        return Err(no(Reason::OtherUser));
    }
    let password = read_password(&file).map_err(|_| no(Reason::PasswordFile))?;
    Ok(Login { user, password })
}

/// A password as every editor leaves it.
pub(crate) fn read_password(file: &Path) -> Result<SecretBytes, PrivateFileError> {
    let content = private::read(file, Readers::OwnerAlone)?;
    let line = content.expose().strip_suffix(b"\n").unwrap_or(content.expose());
    Ok(SecretBytes::new(line.to_vec()))
}

impl Answering {
    fn find(asked: Option<&Name>) -> Result<Self, Failure> {
        let config = Config::find(Purpose::Accept).map_err(config_failure)?;
        Self::of(config.acceptor.ok_or(Failure::new(NO_CRED, Reason::NoConfiguration))?, asked)
    }

    fn of(config: AcceptorConfig, asked: Option<&Name>) -> Result<Self, Failure> {
        let services = Service::usable(&config.services, asked);
        if services.is_empty() {
            return Err(Failure::new(NO_CRED, Reason::NoServiceKeys));
        }
        Ok(Self { config, services })
    }
}

/// What the configuration says to those who open contexts.
pub(crate) fn initiator_config() -> Result<InitiatorConfig, Failure> {
    let config = Config::find(Purpose::Initiate).map_err(config_failure)?;
    config.initiator.ok_or(Failure::new(NO_CRED, Reason::NoConfiguration))
}

fn config_failure(error: ConfigError) -> Failure {
    match error {
        ConfigError::Missing(_) => Failure::new(NO_CRED, Reason::NoConfiguration),
        ConfigError::Bad { .. } => Failure::new(FAILURE, Reason::BadConfiguration),
    }
}
