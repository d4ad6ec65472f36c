//! Gateways where somebody has signed in from here, with their addresses: what a credential that does not know its
//! gateway is for, as long as there is one. It is a convenience: a gateway is trusted by its issuer alone.
//!
//! ```text
//! gateways   a line for each: NAME HOST:PORT
//! ```

use crate::files::{read_bounded, write_private};
use crate::{AgentError, Paths};
use std::path::PathBuf;
use symbolon_crypto::GatewayName;

/// Longest file that is read, in bytes: more gateways than anybody has.
const LIMIT: usize = 64 * 1024;

fn file(paths: &Paths) -> PathBuf {
    paths.token.with_file_name("gateways")
}

/// All of them, the last one last. What is no gateway in the file is passed over.
pub(crate) fn all(paths: &Paths) -> Result<Vec<(GatewayName, String)>, AgentError> {
    let bytes = read_bounded(&file(paths), LIMIT)?.unwrap_or_default();
    let read = |line: &str| {
        let (name, address) = line.split_once(' ')?;
        let address = Some(address).filter(|a| !a.is_empty() && !a.contains(char::is_whitespace))?;
        Some((GatewayName::parse(name).ok()?, address.to_owned()))
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(read).collect())
}

/// Remembers one, in the place of what was known of it. That it cannot be is told to the log alone.
pub(crate) fn remember(paths: &Paths, name: &GatewayName, address: &str) {
    let remembered = || {
        let mut known = all(paths)?;
        if known.iter().any(|(n, a)| n == name && a == address) {
            return Ok(());
        }
        known.retain(|(n, _)| n != name);
        known.push((name.clone(), address.to_owned()));
        let text: String = known.iter().map(|(n, a)| format!("{n} {a}\n")).collect();
        write_private(&file(paths), text.as_bytes())
    };
    if let Err(e) = remembered() {
        let e: AgentError = e;
        tracing::debug!(error = %e, "the gateway is not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_known_once_by_where_it_was_last() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(home.path().to_owned())).unwrap();
        let name = |text| GatewayName::parse(text).unwrap();
        assert!(all(&paths).unwrap().is_empty());
        remember(&paths, &name("gw.example"), "192.0.2.1:7443");
        remember(&paths, &name("other.example"), "192.0.2.2:7443");
        remember(&paths, &name("gw.example"), "192.0.2.3:7443");
        let known = all(&paths).unwrap();
        let expected = [("other.example", "192.0.2.2:7443"), ("gw.example", "192.0.2.3:7443")];
        assert_eq!(known, expected.map(|(n, a)| (name(n), a.to_owned())));
        std::fs::write(file(&paths), "gw.example\n \n- x\ngw.example a b\nok.example host:1\n").unwrap();
        assert_eq!(all(&paths).unwrap(), [(name("ok.example"), "host:1".to_owned())]);
    }
}
