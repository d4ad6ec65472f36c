/// Why a Kerberos ticket opened nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KerberosError {
    // The peer erred.
    /// The token is no AP-REQ or AP-REP of the Kerberos mechanism, or has something before or after.
    #[error("malformed Kerberos token")]
    Malformed,
    /// The ticket was made out for another exchange, or for none (RFC 4121 §4.1.1.2).
    #[error("the Kerberos ticket is not bound to this exchange")]
    NotBound,
    /// The AP-REQ was seen before.
    #[error("the Kerberos ticket is a replay")]
    Replayed,
    /// The ticket has expired, does not yet hold, or the two clocks differ by more than five minutes.
    #[error("the Kerberos ticket is not valid now")]
    NotNow,
    /// The ticket is for another service, or sealed under a key that this keytab has not.
    #[error("the Kerberos ticket is for another service")]
    OtherService,
    /// The initiator did not ask for the acceptor's proof.
    #[error("the Kerberos token asks for no mutual authentication")]
    NotMutual,
    /// Nobody here corresponds to that principal.
    #[error("no user here corresponds to this principal")]
    UnknownPrincipal,
    /// The peer's token was refused for another reason, in the library's words.
    #[error("refused Kerberos token: {0}")]
    Refused(String),

    // We, or those who configured us, erred.
    /// A name that is no principal with a realm.
    #[error("not a Kerberos principal: {0}")]
    BadPrincipal(&'static str),
    /// There is no ticket to show: none was obtained, or it has expired.
    #[error("no valid Kerberos ticket: sign in with kinit ({0})")]
    NoTicket(String),
    /// The keytab cannot be read or has no key for the service.
    #[error("no key for the service in the keytab: {0}")]
    NoKey(String),
    /// The machine has no usable Kerberos library.
    #[error("the Kerberos library cannot be loaded: {0}")]
    NoLibrary(String),
    /// No KDC answered.
    #[error("no Kerberos server can be reached: {0}")]
    Unreachable(String),
    /// The KDC did not answer in time.
    #[error("the Kerberos server did not answer in time")]
    TimedOut,
    /// Another failure, in the library's words.
    #[error("Kerberos: {0}")]
    Library(String),
}
