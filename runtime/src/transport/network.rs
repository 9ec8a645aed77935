//! Networks, written as CIDR: which proxies are believed.

use std::net::IpAddr;

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    length: u32,
    is_v6: bool,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => {
                let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                (address, Some(length.parse::<u32>().ok().filter(|_| digits)?))
            }
            None => (text, None),
        };
        let (bits, width, is_v6) = parts(address.parse().ok()?);
        let length = length.unwrap_or(width);
        (length <= width).then(|| Self { bits: leading(bits, width, length), length, is_v6 })
    }

    /// Whether an address is in it. One of IPv4 that is written as IPv6 is one of IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, width, is_v6) = parts(address.to_canonical());
        is_v6 == self.is_v6 && leading(bits, width, self.length) == self.bits
    }
}

/// The networks of this machine and of private use.
pub fn private_networks() -> Vec<Network> {
    let texts = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1",
        "fc00::/7",
        "fe80::/10",
    ];
    texts.into_iter().filter_map(Network::parse).collect()
}

/// An address as a number, how many bits that has, and whether it is one of IPv6.
fn parts(address: IpAddr) -> (u128, u32, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32, false),
        IpAddr::V6(v6) => (v6.to_bits(), 128, true),
    }
}

/// The leading bits of a number.
fn leading(bits: u128, width: u32, length: u32) -> u128 {
    bits.checked_shr(width - length.min(width)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_in_their_networks_alone() {
        assert!(contains("10.0.0.0/8", "10.255.1.2") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1") && !contains("10.0.0.0/8", "a00::"));
        assert!(contains("192.168.1.7", "192.168.1.7") && !contains("192.168.1.7", "192.168.1.8"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "1.2.3.4"));
        assert!(contains("fc00::/7", "fdff::1") && !contains("fc00::/7", "fe00::1"));
        assert!(
            contains("2001:db8::/32", "2001:db8:ffff::")
                && !contains("2001:db8::/32", "2001:db9::")
        );
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "a/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(private_networks().len(), 8);
    }
}
