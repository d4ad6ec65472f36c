//! Kerberos tickets (RFC 4120) through the machine's GSS-API library (RFC 2744, RFC 4121).
//!
//! The library `libgssapi_krb5.so.2` of MIT Kerberos is loaded when it is first needed: a machine
//! without it runs everything else. Only the mechanism of Kerberos itself is asked for and let in,
//! never SPNEGO, IAKERB or one of our own.
//!
//! Initiator: [`KerberosToken`]. Acceptor: [`KerberosAcceptor`], which yields [`KerberosProved`]; who
//! the principal is here, a [`PrincipalMap`] says.

mod acceptor;
mod error;
mod initiator;
mod library;
mod principal;
mod token;

pub use acceptor::{KerberosAcceptor, KerberosProved, Keytab};
pub use error::KerberosError;
pub use initiator::{CredentialCache, KerberosToken};
pub use principal::{Principal, PrincipalMap, ServicePrincipal};
