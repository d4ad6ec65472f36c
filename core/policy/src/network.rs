//! Networks from which an application may be reached.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::NameError;
use crate::text::text_form;

/// A network in CIDR form, IPv4 or IPv6: `10.0.0.0/8`, `2001:db8::/32`, or one address (RFC 4632
/// §3.1, RFC 4291 §2.3). Bits after the prefix are zero.
///
/// An IPv4 address that a dual-stack socket shows as `::ffff:10.0.0.1` is that IPv4 address here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}
text_form!(Network, "network");

/// The shape that an error names.
const FORM: &str = "10.0.0.0/8, 2001:db8::/32 or one address";

impl Network {
    /// Reads a network.
    ///
    /// # Errors
    /// [`NameError::Form`] when it is none, or an address within a network rather than its first.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let malformed = NameError::Form(FORM);
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed.clone())?;
        let width = width(address);
        let prefix = match prefix {
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|&p: &u8| p <= width).ok_or(malformed)?
            }
            Some(_) => return Err(malformed),
            None => width,
        };
        let (address, prefix) = match (address, address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_), Some(prefix)) => (v4, prefix),
            _ => (address, prefix),
        };
        let network = Self { address, prefix };
        if network.host_bits(address) == 0 {
            Ok(network)
        } else {
            Err(NameError::Form("10.0.0.0/8, where the bits after the prefix are zero"))
        }
    }

    /// Whether an address lies in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address)
            && bits(address).wrapping_sub(self.host_bits(address)) == bits(self.address)
    }

    /// The bits of `address` after the prefix.
    fn host_bits(&self, address: IpAddr) -> u128 {
        let free = u32::from(width(self.address) - self.prefix);
        let mask = if free == 128 { u128::MAX } else { (1 << free) - 1 };
        bits(address) & mask
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: width(address) }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => Ipv6Addr::to_bits(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_has_one_spelling() {
        for (text, canonical) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(network(text).to_string(), canonical);
            assert_eq!(network(canonical), network(text));
        }
    }

    #[test]
    fn an_address_is_in_the_networks_around_it() {
        assert!(network("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!network("10.0.0.0/8").contains("11.0.0.0".parse().unwrap()));
        assert!(network("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::1".parse().unwrap()));
        assert!(!network("::/0").contains("10.0.0.1".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("192.0.2.7").contains("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "office", "10.0.0.0/8/8"]
        {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
    }
}
