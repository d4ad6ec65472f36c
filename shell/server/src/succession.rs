//! Another issuer, or another identity, takes the place of the present one while the node runs, and the other
//! nodes on the store.
//!
//! ```text
//! DIR/identity-other.key     the key of another identity under the same issuer
//! DIR/identity-other.crt     its certificate: once it stands there the replacement is decided
//!
//! DIR/issuer-next.{crt,key}  the issuer that follows
//! DIR/identity-next.crt      the gateway's identity under it: once it stands there the change is decided
//! DIR/issuer-old.crt         the one before
//! ```
//! From then on [`complete`] puts the one in the place of the other, however often it is cut off. The
//! issuer's certificate is put in its place last: who finds it finds the identity that goes with it.

use crate::clock::now;
use crate::error::NodeError;
use crate::files::{self, damaged, file_error, write_private};
use crate::keys;
use crate::node::Shared;
use std::path::Path;
use symbolon_crypto::TrustedIssuer;
use symbolon_issuer::Identity;

const DECIDED: &str = "identity-next.crt";
const OTHER_KEY: &str = "identity-other.key";
const OTHER_DECIDED: &str = "identity-other.crt";

/// Whether a change of issuers was decided and not completed.
pub(crate) fn is_decided(home: &Path) -> bool {
    home.join(DECIDED).exists()
}

/// Whether anything was decided and not completed: then the files do not fit each other.
pub(crate) fn is_under_way(home: &Path) -> bool {
    is_decided(home) || home.join(OTHER_DECIDED).exists()
}

/// Puts an identity under the present issuer in its place: the pair of it, however often it is cut off, or what
/// was there before.
pub(crate) fn replace_identity(home: &Path, identity: &Identity) -> Result<(), NodeError> {
    write_private(&home.join(OTHER_KEY), identity.key().pkcs8().expose())?;
    write_private(&home.join(OTHER_DECIDED), identity.certificate())?;
    complete_identity(home)
}

/// Puts another identity in its place, if that was decided; a key without a decision goes.
pub(crate) fn complete_identity(home: &Path) -> Result<(), NodeError> {
    if !home.join(OTHER_DECIDED).exists() {
        return remove(&home.join(OTHER_KEY));
    }
    put_in_place(home, &[(OTHER_DECIDED, "identity.crt"), (OTHER_KEY, "identity.key")])
}

/// Decides a change: `old` is the present issuer's certificate, `identity` the gateway's under the one that
/// follows, both DER.
pub(crate) fn decide(home: &Path, old: &[u8], identity: &[u8]) -> Result<(), NodeError> {
    write_private(&home.join("issuer-old.crt"), old)?;
    write_private(&home.join(DECIDED), identity)
}

/// Puts what was decided in its place: another identity; the issuer that follows and the identity under it.
pub(crate) fn complete(home: &Path) -> Result<(), NodeError> {
    complete_identity(home)?;
    if !is_decided(home) {
        return Ok(());
    }
    let steps =
        [(DECIDED, "identity.crt"), ("issuer-next.key", "issuer.key"), ("issuer-next.crt", "issuer.crt")];
    put_in_place(home, &steps)
}

/// From each to each; the first, which is the decision, goes last.
fn put_in_place(home: &Path, steps: &[(&str, &str)]) -> Result<(), NodeError> {
    for (from, to) in steps {
        // What is not there any more was put in its place before.
        if let Some(content) = files::read(&home.join(from))? {
            write_private(&home.join(to), content.expose())?;
        }
    }
    steps.iter().rev().try_for_each(|(done, _)| remove(&home.join(done)))
}

fn remove(path: &Path) -> Result<(), NodeError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(file_error(path)(e)),
        _ => Ok(()),
    }
}

impl Shared {
    /// Goes on under another issuer if one took the place of the present one. Who is there stays, and what
    /// is shown from now on is under the new one. Tells whether it was so.
    ///
    /// # Errors
    /// When a file of the directory cannot be read or does not fit the others; nothing is changed then.
    pub(crate) fn follow_issuer(&self) -> Result<bool, NodeError> {
        let home = self.config.home();
        let path = home.join("issuer.crt");
        let present = self.issuer();
        let Some(certificate) = files::read(&path)?.filter(|c| c.expose() != present.certificate()) else {
            return Ok(false);
        };
        let next = TrustedIssuer::from_certificate(self.gateway.crypto, certificate.expose())?;
        let Some((certificate, key)) = keys::load_pair(home, "identity")? else {
            return Err(damaged(&home.join("identity.crt"), "it is missing"));
        };
        self.gateway.follow(Identity::load(certificate, key)?, next, now())?;
        self.publish_what_changed();
        tracing::info!(old = %present.fingerprint(), new = %self.issuer().fingerprint(), "another issuer");
        Ok(true)
    }
}
