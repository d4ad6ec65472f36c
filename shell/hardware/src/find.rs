//! Finding the one token that a URI names.

use crate::error::words;
use crate::identity::{TokenIdentity, library_fits, slot_fits};
use crate::module::{Module, Started};
use crate::{HardwareError, Pkcs11Uri, modules};
use cryptoki::slot::{Slot, TokenInfo};
use std::sync::Arc;

/// A token in a slot, now.
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) identity: TokenIdentity,
    pub(crate) info: TokenInfo,
}

/// The one token that fits, and its module.
///
/// # Errors
/// No module, none that works, no token that fits, or several.
pub(crate) fn find(uri: &Pkcs11Uri) -> Result<(Arc<Module>, TokenIdentity), HardwareError> {
    let mut matching = Vec::new();
    let mut present = Vec::new();
    let mut problems = Vec::new();
    let candidates = modules::candidates(uri)?;
    let only_one = candidates.len() == 1;
    for path in candidates {
        let found = Module::load(&path).and_then(|module| {
            let tokens = tokens(&module, uri)?;
            Ok((module, tokens))
        });
        match found {
            Ok((module, tokens)) => {
                for (fits, token) in tokens {
                    present.push(token.uri().to_string());
                    // Two modules may see one device; then the first serves.
                    let by_another = |(other, seen): &(Arc<Module>, TokenIdentity)| {
                        !Arc::ptr_eq(other, &module) && *seen == token
                    };
                    if fits && !matching.iter().any(by_another) {
                        matching.push((Arc::clone(&module), token));
                    }
                }
            }
            // One of many modules that does not work says nothing about the token that is wanted.
            Err(e) if only_one => return Err(e),
            Err(e) => problems.push(e.to_string()),
        }
    }
    let uris = |tokens: &[(Arc<Module>, TokenIdentity)]| {
        tokens.iter().map(|(_, token)| token.uri().to_string()).collect()
    };
    match matching.len() {
        0 => Err(HardwareError::NoToken { wanted: uri.to_string(), present, problems }),
        1 => Ok(matching.remove(0)),
        _ => Err(HardwareError::SeveralTokens { wanted: uri.to_string(), matching: uris(&matching) }),
    }
}

/// The tokens in a module, and whether they fit. Some modules look for tokens only when they start, so
/// one that was loaded before is started anew when nothing fits.
fn tokens(module: &Module, uri: &Pkcs11Uri) -> Result<Vec<(bool, TokenIdentity)>, HardwareError> {
    let mut started = module.enter();
    let before = started.searched();
    let mut tokens = tokens_of(&started, uri);
    if before && !tokens.as_ref().is_ok_and(|tokens| tokens.iter().any(|(fits, _)| *fits)) {
        module.restart(&mut started)?;
        tokens = tokens_of(&started, uri);
    }
    tokens.map_err(|e| HardwareError::Start { path: module.path().to_owned(), why: words(&e) })
}

fn tokens_of(started: &Started, uri: &Pkcs11Uri) -> cryptoki::error::Result<Vec<(bool, TokenIdentity)>> {
    let pkcs11 = started.pkcs11();
    let library = library_fits(uri, &pkcs11.get_library_info()?);
    let slots = all(started)?.into_iter().map(|found| {
        let slot = pkcs11.get_slot_info(found.slot).is_ok_and(|info| slot_fits(uri, found.slot, &info));
        (library && slot && found.identity.fits(uri), found.identity)
    });
    Ok(slots.collect())
}

/// Where the token is now.
pub(crate) fn again(started: &Started, identity: &TokenIdentity) -> Option<Found> {
    all(started).ok()?.into_iter().find(|found| found.identity == *identity)
}

/// All tokens that somebody has initialised.
fn all(started: &Started) -> cryptoki::error::Result<Vec<Found>> {
    let pkcs11 = started.pkcs11();
    let found = pkcs11.get_slots_with_token()?.into_iter().filter_map(|slot| {
        // a token that is pulled just now is not there
        let info = pkcs11.get_token_info(slot).ok().filter(TokenInfo::token_initialized)?;
        Some(Found { slot, identity: TokenIdentity::of(&info), info })
    });
    Ok(found.collect())
}
