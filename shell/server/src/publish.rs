//! What the node publishes for clients that look into a directory before they ask it (A1): public files,
//! which any web server or shared folder may hand on, since all in them is signed.
//!
//! ```text
//! NAME.keyset          what the gateway would send; written at the start and when its context keys have changed
//! FINGERPRINT.crl      the issuer's revocation list (DER), by the hash of its key
//! FINGERPRINT.change   the statement that another issuer follows the one with this hash
//! ```
//! Two nodes on one store have context keys of their own: let one of them publish. Whoever reaches the other
//! is told so and asks it.

use crate::error::NodeError;
use crate::node::Shared;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use symbolon_crypto::RevocationList;
use symbolon_wire::Encode as _;

/// What was published last, and what was wrong with that.
#[derive(Default)]
pub(crate) struct Published(Mutex<Last>);

#[derive(Default)]
struct Last {
    files: BTreeMap<String, Vec<u8>>,
    problem: String,
}

impl Published {
    /// Writes a file unless it was written so before.
    fn put(&self, folder: &Path, name: String, bytes: Vec<u8>) -> Result<(), NodeError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.files.get(&name) != Some(&bytes) {
            write(folder, &name, &bytes)?;
            last.files.insert(name, bytes);
        }
        Ok(())
    }

    /// Tells the operator what is wrong, once.
    fn tell(&self, outcome: Result<(), NodeError>) {
        let problem = outcome.err().map(|e| e.to_string()).unwrap_or_default();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !problem.is_empty() && problem != last.problem {
            tracing::error!("not published, so that clients ask for it: {problem}");
        }
        last.problem = problem;
    }
}

impl Shared {
    /// Publishes what has changed since, if a folder for it is configured.
    ///
    /// # Errors
    /// [`NodeError::File`]; what was published before stays.
    pub(crate) fn publish(&self) -> Result<(), NodeError> {
        // a worker that waits has keys that nobody is to use yet
        let leads = self.leads.get().is_some();
        let Some(folder) = self.config.publish_key_sets.as_ref().filter(|_| leads) else { return Ok(()) };
        let name = format!("{}.keyset", self.gateway.name());
        self.published.put(folder, name, self.gateway.key_set().to_bytes())?;
        if let Some((old, change)) = self.issuer_change_to_publish() {
            self.published.put(folder, format!("{}.change", hex::encode(old.0)), change)?;
        }
        let list = self.revocation_list.read().unwrap_or_else(PoisonError::into_inner).to_publish.clone();
        let issuer = self.issuer();
        // While another issuer is put in its place the list may still be the old one's.
        match list.map(|l| (RevocationList::read_undated(self.gateway.crypto, &l, issuer.certificate()), l)) {
            Some((Ok(read), list)) => {
                self.published.put(folder, format!("{}.crl", hex::encode(read.signer().0)), list)
            }
            Some((Err(_), _)) | None => Ok(()),
        }
    }

    /// The same where nobody waits for the outcome.
    pub(crate) fn publish_what_changed(&self) {
        self.published.tell(self.publish());
    }
}

/// Writes a file that everybody reads, whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
    let (path, temporary) = (folder.join(name), folder.join(format!(".{name}.new")));
    let written = || -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
        // Whatever the umask is.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    written().map_err(|source| NodeError::File { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_file_is_replaced_whole_and_everybody_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keysets");
        let file = folder.join("gw.example.keyset");
        let published = Published::default();
        for bytes in ["one", "two", "two"] {
            published.put(&folder, "gw.example.keyset".to_owned(), bytes.into()).unwrap();
            assert_eq!(fs::read(&file).unwrap(), bytes.as_bytes());
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
        fs::remove_file(&file).unwrap();
        published.put(&folder, "gw.example.keyset".to_owned(), b"two".to_vec()).unwrap();
        assert!(!file.exists(), "what did not change is not written again");
        fs::write(&file, b"a file").unwrap();
        let error = write(&file, "x", b"y").unwrap_err();
        assert!(error.to_string().contains("gw.example.keyset/x"), "{error}");
    }
}
