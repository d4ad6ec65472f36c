//! Rows A3 to A5 and A7 as a user can see them: every kind of credential opens the same context, and each is used for a
//! request to a real application. `docs/credentials.md` and `docs/certificates.md` have the settings.

#[path = "a_credentials/certificate.rs"]
mod certificate;
#[path = "a_credentials/cve.rs"]
mod cve;
#[path = "a_credentials/kerberos.rs"]
mod kerberos;
#[path = "a_credentials/oidc.rs"]
mod oidc;
#[path = "a_credentials/password.rs"]
mod password;
#[path = "a_credentials/scene.rs"]
mod scene;
#[path = "a_credentials/ticket.rs"]
mod ticket;
