//! The frame of a mechanism's token (RFC 2743 §3.1, RFC 4121 §4.1), read before the library sees it.

use super::KerberosError;

/// Longest token that is looked at, in bytes: a ticket with the group list of a large domain has 64 KiB
/// at most (MaxTokenSize of Windows is 48,000 by default).
pub(crate) const MAX_TOKEN: usize = 65_536;

/// 1.2.840.113554.1.2.2, the Kerberos mechanism (RFC 4121 §1).
pub(crate) const KRB5_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];

const AP_REQ: [u8; 2] = [0x01, 0x00];
const AP_REP: [u8; 2] = [0x02, 0x00];

/// An initiator's token: an AP-REQ in the frame of the Kerberos mechanism, and nothing else.
///
/// The library would also take bare AP-REQs (DCE style), two outdated identifiers, and any other
/// mechanism that is installed on the machine.
pub(crate) fn check_initial(token: &[u8]) -> Result<(), KerberosError> {
    check(token, AP_REQ)
}

/// An acceptor's answer.
pub(crate) fn check_reply(token: &[u8]) -> Result<(), KerberosError> {
    check(token, AP_REP)
}

fn check(token: &[u8], identifier: [u8; 2]) -> Result<(), KerberosError> {
    framed(token, identifier).ok_or(KerberosError::Malformed)
}

fn framed(token: &[u8], identifier: [u8; 2]) -> Option<()> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let rest = token.strip_prefix(&[0x60])?;
    let (length, rest) = der_length(rest)?;
    if length != rest.len() {
        return None;
    }
    let rest = rest.strip_prefix(&[0x06, KRB5_OID.len() as u8])?.strip_prefix(KRB5_OID)?;
    let message = rest.strip_prefix(&identifier)?;
    (!message.is_empty()).then_some(())
}

/// A definite length in its shortest form (X.690 §10.1), of at most three bytes.
fn der_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let count = match first {
        0..=0x7f => return Some((first.into(), rest)),
        0x81..=0x83 => usize::from(first & 0x7f),
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(count)?;
    let length = digits.iter().fold(0, |n, &b| n << 8 | usize::from(b));
    let shortest = length >= 0x80 && digits.first() != Some(&0);
    shortest.then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed_as(oid: &[u8], identifier: &[u8], message: &[u8]) -> Vec<u8> {
        let content = [&[0x06, oid.len() as u8], oid, identifier, message].concat();
        let mut token = vec![0x60];
        match content.len() {
            n @ 0..=0x7f => token.push(n as u8),
            n @ 0x80..=0xff => token.extend([0x81, n as u8]),
            n => token.extend([0x82, (n >> 8) as u8, n as u8]),
        }
        token.extend(content);
        token
    }

    #[test]
    fn an_ap_req_of_the_mechanism_is_read() {
        for length in [1, 100, 200, 3000] {
            assert_eq!(check_initial(&framed_as(KRB5_OID, &AP_REQ, &vec![7; length])), Ok(()));
        }
    }

    #[test]
    fn another_mechanism_is_refused() {
        let spnego = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
        let iakerb = [0x2b, 0x06, 0x01, 0x05, 0x02, 0x05];
        let microsoft = [0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
        let user_to_user = [KRB5_OID, &[0x03]].concat();
        for oid in [&spnego[..], &iakerb, &microsoft, &user_to_user] {
            assert_eq!(check_initial(&framed_as(oid, &AP_REQ, b"x")), Err(KerberosError::Malformed));
        }
    }

    #[test]
    fn an_answer_is_not_taken_for_a_request() {
        let reply = framed_as(KRB5_OID, &AP_REP, b"x");
        assert_eq!(check_initial(&reply), Err(KerberosError::Malformed));
        assert_eq!(check_reply(&reply), Ok(()));
    }

    #[test]
    fn a_bare_ap_req_is_refused() {
        assert_eq!(check_initial(b"\x6e\x03abc"), Err(KerberosError::Malformed));
        assert_eq!(check_initial(b""), Err(KerberosError::Malformed));
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        let token = framed_as(KRB5_OID, &AP_REQ, b"x");
        let longer = [&token[..], b"y"].concat();
        let shorter = &token[..token.len() - 1];
        let mut long_form = token.clone();
        long_form.splice(1..2, [0x81, token[1]]);
        for bad in [&longer[..], shorter, &long_form, b"\x60\x80", b"\x60\x84\xff\xff\xff\xff"] {
            assert_eq!(check_initial(bad), Err(KerberosError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = check_initial(&bytes);
        }
    }
}
