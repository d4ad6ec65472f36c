//! What proved a subject's identity, and how far that is to be trusted.

use std::fmt;
use std::str::FromStr;

use crate::NameError;
use crate::text::text_form;

/// What proved the subject's identity, the weakest first. A session ticket has the class of the
/// sign-in that it continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenClass {
    /// A user name and a password (A4).
    Password,
    /// A ticket of an OpenID provider (A5): as good as the sign-in there.
    Oidc,
    /// A Kerberos ticket (A5).
    Kerberos,
    /// A token in a file, protected by a PIN (B7).
    Software,
    /// A certificate whose private key lies in a file (A3).
    Certificate,
    /// A token or a certificate whose key never leaves a device.
    Hardware,
}
text_form!(TokenClass, "token class");

/// How far an identity is proved, in the words of Regulation (EU) 910/2014 (eIDAS), article 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assurance {
    /// One factor that travels or that somebody may guess.
    Low,
    /// A key or a ticket behind a second factor.
    Substantial,
    /// A key that cannot be copied, behind a second factor.
    High,
}
text_form!(Assurance, "assurance");

impl TokenClass {
    /// All classes, the weakest first.
    pub const ALL: [Self; 6] =
        [Self::Password, Self::Oidc, Self::Kerberos, Self::Software, Self::Certificate, Self::Hardware];

    /// `password`, `oidc`, `kerberos`, `software`, `certificate` or `hardware`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Oidc => "oidc",
            Self::Kerberos => "kerberos",
            Self::Software => "software",
            Self::Certificate => "certificate",
            Self::Hardware => "hardware",
        }
    }

    /// How far it proves an identity. A foreign ticket counts no more than a password would: how
    /// the other place asked is not known here.
    #[must_use]
    pub const fn assurance(self) -> Assurance {
        match self {
            Self::Password | Self::Oidc | Self::Kerberos => Assurance::Low,
            Self::Software | Self::Certificate => Assurance::Substantial,
            Self::Hardware => Assurance::High,
        }
    }
}

impl Assurance {
    /// All levels, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Substantial, Self::High];

    /// `low`, `substantial` or `high`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Substantial => "substantial",
            Self::High => "high",
        }
    }
}

impl fmt::Display for TokenClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TokenClass {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = Self::ALL.into_iter().find(|c| c.as_str() == text);
        known.ok_or(NameError::Form("password, oidc, kerberos, software, certificate or hardware"))
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Assurance {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = Self::ALL.into_iter().find(|a| a.as_str() == text);
        known.ok_or(NameError::Form("low, substantial or high"))
    }
}
