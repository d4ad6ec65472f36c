//! Object identifiers, in the encoding of DER without tag and length.

/// Our mechanism: 1.3.6.1.4.1.32473.1.2, in the arc for documentation until we have our own.
pub const MECHANISM: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x81, 0xfd, 0x59, 0x01, 0x02];

/// `GSS_C_NT_USER_NAME` (RFC 2743 §4.2).
pub const USER_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x01];
/// `GSS_C_NT_HOSTBASED_SERVICE` (RFC 2743 §4.1).
pub const HOST_BASED_SERVICE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04];
/// `GSS_C_NT_HOSTBASED_SERVICE_X` (RFC 2743 §4.1, older programs).
pub const HOST_BASED_SERVICE_X: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x06, 0x02];
/// `GSS_C_NT_EXPORT_NAME` (RFC 2743 §4.7).
pub const EXPORT_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x06, 0x04];

/// What a mechanism can do (RFC 5587 §3.3): the last arc after 1.3.6.1.5.5.13.
const ATTRIBUTE: [u8; 6] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x0d];
/// In the order of RFC 5587 §3.3: a concrete mechanism whose first token is framed; both sides are
/// authenticated; integrity and confidentiality, by checks and by wrapping, with detection of replays
/// and of wrong order; channel bindings; forward secrecy; contexts that can be handed on.
const OURS: [u8; 13] = [1, 9, 10, 11, 17, 18, 19, 20, 22, 23, 24, 25, 27];

/// The attributes of our mechanism.
#[must_use]
pub fn attributes() -> Vec<[u8; 7]> {
    let [a, b, c, d, e, f] = ATTRIBUTE;
    OURS.iter().map(|last| [a, b, c, d, e, f, *last]).collect()
}
