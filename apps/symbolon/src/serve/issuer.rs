//! A second gateway of one issuer: its node starts with the issuer of another node's directory, so that the tokens of
//! the one serve at the other.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::exit::{AtPath as _, Complaint, Outcome};
use crate::private;

/// The certificate stands last: a pair that is cut off is told by its absence.
const FILES: [&str; 2] = ["issuer.key", "issuer.crt"];

/// Copies the issuer of the node in `from` into `dir`, where no node has started yet; a node that has must have it.
pub(super) fn take(from: &Path, dir: &Path) -> Outcome {
    let [_, certificate] = FILES.map(|file| from.join(file));
    let wanted = fs::read(&certificate).map_err(|e| {
        Complaint::file(&certificate, &e)
            .fix("name the directory of a node that has started once: --issuer-of DIR")
    })?;
    let present = dir.join(FILES[1]);
    match fs::read(&present) {
        Ok(present) if present == wanted => return Ok(()),
        Ok(_) => {
            return Err(Complaint::usage(format!(
                "the node in {} has another issuer already",
                dir.display()
            ))
            .code("issuer")
            .fix("start a new node with that issuer in another directory: --dir DIR"));
        }
        Err(_) => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
    for file in FILES {
        let bytes = zeroize::Zeroizing::new(fs::read(from.join(file)).at(&from.join(file))?);
        private::replace(&dir.join(file), &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn an_issuer_is_taken_once_and_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        let (one, two, three) = (place.path().join("1"), place.path().join("2"), place.path().join("3"));
        for (dir, text) in [(&one, "a"), (&three, "b")] {
            fs::create_dir(dir).unwrap();
            FILES.iter().for_each(|file| fs::write(dir.join(file), text).unwrap());
        }
        take(&one, &two).unwrap();
        take(&one, &two).unwrap();
        assert_eq!(fs::read(two.join("issuer.key")).unwrap(), b"a");
        assert_eq!(fs::metadata(two.join("issuer.key")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(take(&three, &two).unwrap_err().code, "issuer");
        assert!(take(&place.path().join("4"), &two).unwrap_err().fix.is_some());
    }
}
