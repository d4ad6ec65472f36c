//! Signatures and public keys of P-256 as devices and certificates write them.

/// A number of P-256, in bytes.
const NUMBER: usize = 32;

/// An uncompressed point of P-256, in bytes (SEC 1 §2.3.3).
pub(crate) const POINT: usize = 1 + 2 * NUMBER;

/// `CKA_EC_PARAMS` of P-256: the curve by its name (RFC 5480 §2.1.1.1).
pub(crate) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// What stands before the point in a SubjectPublicKeyInfo of P-256 (RFC 5480 §2).
const PUBLIC_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The SubjectPublicKeyInfo of a point, DER.
pub(crate) fn public_key_info(point: &[u8; POINT]) -> Vec<u8> {
    [&PUBLIC_KEY_INFO[..], point].concat()
}

/// The point in `CKA_EC_POINT`: in an OCTET STRING, or bare, as some devices have it.
pub(crate) fn point(attribute: &[u8]) -> Option<[u8; POINT]> {
    let bare = attribute.strip_prefix(&[0x04, POINT as u8]).filter(|rest| rest.len() == POINT);
    <[u8; POINT]>::try_from(bare.unwrap_or(attribute)).ok().filter(|point| point[0] == 4)
}

/// `r` and `s`, one behind the other, as a certificate's signature has them: a SEQUENCE of two INTEGERs
/// (RFC 5480 appendix A). Nothing for other than 64 bytes.
pub(crate) fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    let raw = <&[u8; 2 * NUMBER]>::try_from(raw).ok()?;
    let mut content = Vec::with_capacity(2 * (NUMBER + 3));
    for number in raw.chunks_exact(NUMBER) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count().min(NUMBER - 1);
        let number = &number[zeros..];
        // the first bit is the sign
        let positive = number[0] < 0x80;
        content.extend([0x02, number.len() as u8 + u8::from(!positive)]);
        if !positive {
            content.push(0);
        }
        content.extend(number);
    }
    Some([&[0x30, content.len() as u8], &content[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be_and_positive() {
        let mut raw = [0; 64];
        (raw[31], raw[32]) = (1, 0x80);
        let der = ecdsa_der(&raw).unwrap();
        assert_eq!(der[..8], [0x30, 38, 0x02, 1, 1, 0x02, 33, 0]);
        assert_eq!((der[8], der.len()), (0x80, 40));
        assert_eq!(ecdsa_der(&[0; 64]).unwrap(), [0x30, 6, 0x02, 1, 0, 0x02, 1, 0]);
        assert_eq!(ecdsa_der(&[0xff; 64]).unwrap().len(), 72);
        assert!(ecdsa_der(&[1; 63]).is_none() && ecdsa_der(&[1; 96]).is_none());
    }

    #[test]
    fn a_point_is_taken_bare_and_in_its_octet_string() {
        let mut bare = [7; POINT];
        bare[0] = 4;
        assert_eq!(point(&bare), Some(bare));
        assert_eq!(point(&[&[4, 65], &bare[..]].concat()), Some(bare));
        assert_eq!(point(&bare[..64]), None);
        bare[0] = 2;
        assert_eq!(point(&bare), None);
    }
}
