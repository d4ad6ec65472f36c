//! Where PKCS#11 modules are: named by the URI, or registered with p11-kit.
//!
//! p11-kit's registry is a directory of small files, one for each module (`pkcs11.conf(5)`); we read
//! them ourselves, so that nothing needs to be installed besides the device's own module.

use crate::{HardwareError, Pkcs11Uri};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where p11-kit's module files are; what comes first wins.
const REGISTRIES: [&str; 3] =
    ["/etc/pkcs11/modules", "/usr/local/share/p11-kit/modules", "/usr/share/p11-kit/modules"];

/// Where modules that are named without a path are.
const DIRECTORIES: [&str; 10] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// More than a registry's file has, in bytes.
const MAX_FILE: usize = 64 * 1024;

/// The modules in which a token that fits `uri` may be, best first.
///
/// # Errors
/// [`HardwareError::NoModule`].
pub(crate) fn candidates(uri: &Pkcs11Uri) -> Result<Vec<PathBuf>, HardwareError> {
    if let Some(path) = &uri.module_path {
        return Ok(vec![path.clone()]);
    }
    let registered = registered(&REGISTRIES.map(PathBuf::from));
    let found: Vec<PathBuf> = match &uri.module_name {
        None => registered.into_values().collect(),
        Some(name) => {
            let of_that_name = |(file, path): (String, PathBuf)| {
                (file == *name || name_of(&path).as_deref() == Some(name)).then_some(path)
            };
            let registered = registered.into_iter().filter_map(of_that_name);
            registered.chain(by_name(name)).take(1).collect()
        }
    };
    if found.is_empty() { Err(HardwareError::NoModule { name: uri.module_name.clone() }) } else { Ok(found) }
}

/// `softhsm2` of `/usr/lib/softhsm/libsofthsm2.so` (RFC 7512 §2.3: without prefix and suffix).
pub(crate) fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.split_once(".so").map_or(name, |(name, _)| name);
    Some(name.strip_prefix("lib").unwrap_or(name).to_owned())
}

fn by_name(name: &str) -> Option<PathBuf> {
    let spellings = [format!("lib{name}.so"), format!("{name}.so"), format!("lib{name}.so.1")];
    DIRECTORIES
        .iter()
        .flat_map(|dir| spellings.iter().map(move |file| Path::new(dir).join(file)))
        .find(|path| path.is_file())
}

/// The registered modules, by the name of their file.
fn registered(registries: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for registry in registries {
        // a registry that is not there registers nothing
        for entry in std::fs::read_dir(registry).into_iter().flatten().flatten() {
            let file = entry.path();
            let name = file.file_stem().and_then(|n| n.to_str()).map(str::to_owned);
            let (Some(name), true) = (name, file.extension().is_some_and(|e| e == "module")) else {
                continue;
            };
            let content = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(module) = (content.len() <= MAX_FILE).then(|| module_of(&content)).flatten() {
                found.entry(name).or_insert(module);
            }
        }
    }
    found
}

/// The module that a registry's file names, unless it is not for us.
fn module_of(content: &str) -> Option<PathBuf> {
    let mut module = None;
    for line in content.lines().filter(|l| !l.trim_start().starts_with('#')) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        let names_us = || value.split([',', ' ']).any(|program| program == "symbolon");
        match key.trim() {
            "module" => module = Some(value),
            // anchors of trust: such a module holds certificates and nothing to sign in with
            "trust-policy" if value == "yes" => return None,
            "enable-in" if !names_us() => return None,
            "disable-in" if names_us() => return None,
            _ => {}
        }
    }
    let module = PathBuf::from(module.filter(|m| !m.is_empty())?);
    if module.is_absolute() {
        return Some(module);
    }
    DIRECTORIES.iter().map(|dir| Path::new(dir).join(&module)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_name_has_neither_prefix_nor_suffix() {
        let name = |path: &str| name_of(Path::new(path)).unwrap();
        assert_eq!(name("/usr/lib/softhsm/libsofthsm2.so"), "softhsm2");
        assert_eq!(name("/usr/lib/libtpm2_pkcs11.so.1"), "tpm2_pkcs11");
        assert_eq!(name("opensc-pkcs11.so"), "opensc-pkcs11");
    }

    #[test]
    fn a_registry_names_modules_and_may_keep_them_from_us() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).unwrap();
        write("one.module", "# a comment\nmodule: /opt/one.so\n");
        write("two.module", "module: /opt/two.so\ndisable-in: ssh, symbolon\n");
        write("three.module", "module: /opt/three.so\nenable-in: ssh\n");
        write("trust.module", "module: /opt/trust.so\ntrust-policy: yes\n");
        write("empty.module", "priority: 1\n");
        write("note.txt", "module: /opt/note.so\n");
        let found = registered(&[dir.path().join("nowhere"), dir.path().to_owned()]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("one".to_owned(), PathBuf::from("/opt/one.so"))]);
    }

    #[test]
    fn a_module_that_is_nowhere_is_named_in_the_error() {
        let uri = Pkcs11Uri { module_name: Some("no-such-module".into()), ..Pkcs11Uri::default() };
        let error = candidates(&uri).unwrap_err();
        assert_eq!(error.to_string(), "there is no PKCS#11 module with the name no-such-module");
    }
}
