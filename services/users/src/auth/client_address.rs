//! Who is asking: the client's address and whether it came by HTTPS.
//!
//! Behind a load balancer the peer of the connection is the load balancer, and
//! the client's address stands in `X-Forwarded-For`, to which each proxy
//! appends the peer that it saw. Anybody can send that header, so only what
//! trusted proxies appended counts: the walk goes from the right, over the
//! addresses of trusted proxies, and ends at the first that is none of them.
//! Whatever stands further left is hearsay.
//!
//! [`TrustedProxies::client`] knows nothing of requests;
//! [`TrustedProxies::client_of`] hands it the parts of one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The prefix of an IPv6 address that one customer of a provider has at least (RFC 6177).
const IPV6_SITE_PREFIX: u8 = 64;

/// The client behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; an IPv4 address is never in its IPv6-mapped form. Unspecified (`0.0.0.0`)
    /// where the connection has none, as over a Unix socket.
    pub address: IpAddr,
    /// Whether it speaks HTTPS, to us or to the trusted proxy in front.
    pub https: bool,
}

impl Client {
    /// What to count this client's tries by: its IPv4 address, or its IPv6 network, since whoever
    /// has one IPv6 address has 2⁶⁴ of them.
    pub fn throttle_key(&self) -> IpNet {
        let whole = IpNet::from(self.address);
        match self.address {
            IpAddr::V4(_) => whole,
            IpAddr::V6(_) => IpNet::new(self.address, IPV6_SITE_PREFIX).unwrap_or(whole).trunc(),
        }
    }
}

/// The proxies whose word counts: the setting `TRUSTED_PROXIES`.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// An entry of `TRUSTED_PROXIES` that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entry:?} is neither an address nor a network in CIDR notation; \
     write, for example, 10.0.0.0/8 or 2001:db8::/32, with commas between several"
)]
pub struct InvalidProxy {
    entry: String,
}

impl TrustedProxies {
    /// Reads networks in CIDR notation or single addresses, with commas or blanks between them.
    /// An empty text trusts nobody.
    ///
    /// # Errors
    /// Names the first entry that is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                let network = entry.parse().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
                network.map_err(|_| InvalidProxy { entry: entry.to_owned() })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a connection from `address` comes from a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind a connection from `peer`, by the values of `X-Forwarded-For` and
    /// `X-Forwarded-Proto` in the order of their lines.
    pub fn client<'a>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded_proto: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Client {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
            return Client { address: Ipv4Addr::UNSPECIFIED.into(), https: false };
        };
        if !self.contains(peer) {
            return Client { address: peer, https: false };
        }
        // The nearest proxy writes last.
        let https = elements_from_the_right(forwarded_proto)
            .next()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"));

        let mut address = peer;
        for hop in elements_from_the_right(forwarded_for) {
            // A proxy that writes no address knows none: what it knows best is itself.
            let Some(hop) = parse_hop(hop) else { break };
            address = hop;
            if !self.contains(hop) {
                break;
            }
        }
        Client { address, https }
    }

    /// The client behind a request.
    pub fn client_of(&self, request: &HttpRequest) -> Client {
        let peer = request.peer_addr().map(|peer| peer.ip());
        let values = |name: &HeaderName| {
            request.headers().get_all(name).map(HeaderValue::as_bytes).collect::<Vec<_>>()
        };
        self.client(peer, values(&FORWARDED_FOR).into_iter(), values(&FORWARDED_PROTO).into_iter())
    }
}

/// Loopback and the private networks (RFC 1918, RFC 4193), where the load balancer of a private
/// cloud lives.
impl Default for TrustedProxies {
    fn default() -> Self {
        const fn v4(a: u8, b: u8, prefix: u8) -> IpNet {
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix))
        }
        const NETWORKS: [IpNet; 6] = [
            v4(127, 0, 8),
            v4(10, 0, 8),
            v4(172, 16, 12),
            v4(192, 168, 16),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)),
        ];
        Self(NETWORKS.to_vec())
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(IpNet::to_string)).finish()
    }
}

/// The elements of a list header that may come in several lines (RFC 9110, 5.3 and 5.6.1), last first.
fn elements_from_the_right<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    lines
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// An address as proxies write it: alone, with a port, or an IPv6 address in brackets.
fn parse_hop(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse()
        .ok()
        .or_else(bracketed)
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    const BALANCER: &str = "10.0.1.5";

    fn proxies() -> TrustedProxies {
        TrustedProxies::default()
    }

    fn client(peer: &str, forwarded_for: &[&str], proto: &[&str]) -> Client {
        proxies().client(
            Some(peer.parse().unwrap()),
            forwarded_for.iter().map(|line| line.as_bytes()),
            proto.iter().map(|line| line.as_bytes()),
        )
    }

    #[track_caller]
    fn assert_address(peer: &str, forwarded_for: &[&str], expected: &str) {
        let address = client(peer, forwarded_for, &[]).address;
        assert_eq!(address, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded_for:?}");
    }

    #[test]
    fn the_client_behind_trusted_proxies() {
        assert_address(BALANCER, &["203.0.113.7"], "203.0.113.7");
        assert_address(BALANCER, &["203.0.113.7, 10.0.0.9"], "203.0.113.7");
        assert_address(BALANCER, &["203.0.113.7", "192.168.1.1 , 10.0.0.9"], "203.0.113.7");
        assert_address(BALANCER, &["203.0.113.7:51234"], "203.0.113.7");
        assert_address(BALANCER, &["2001:db8::7"], "2001:db8::7");
        assert_address(BALANCER, &["[2001:db8::7]"], "2001:db8::7");
        assert_address(BALANCER, &["[2001:db8::7]:51234"], "2001:db8::7");
        assert_address(BALANCER, &["::ffff:203.0.113.7"], "203.0.113.7");
        assert_address("::ffff:10.0.1.5", &["203.0.113.7"], "203.0.113.7");
        assert_address("::1", &["203.0.113.7"], "203.0.113.7");
        assert_address(BALANCER, &[], BALANCER);
        assert_address(BALANCER, &["", " , ,"], BALANCER);
        // Somebody in the private network itself.
        assert_address(BALANCER, &["10.0.7.7"], "10.0.7.7");
    }

    #[test]
    fn a_forged_header_is_not_believed() {
        // From a peer that is no proxy.
        assert_address("198.51.100.1", &["203.0.113.7"], "198.51.100.1");
        assert_address("198.51.100.1", &["10.0.0.9"], "198.51.100.1");
        // What the client sent itself, before what the load balancer appended.
        assert_address(BALANCER, &["1.1.1.1, 203.0.113.7"], "203.0.113.7");
        assert_address(BALANCER, &["127.0.0.1, 203.0.113.7"], "203.0.113.7");
        assert_address(BALANCER, &["1.1.1.1", "203.0.113.7"], "203.0.113.7");
        assert_address(BALANCER, &["1.1.1.1, 203.0.113.7, 10.0.0.9"], "203.0.113.7");
        assert_address(BALANCER, &["1.1.1.1,,203.0.113.7,"], "203.0.113.7");
    }

    #[test]
    fn garbage_ends_the_walk_at_the_last_good_hop() {
        for garbage in [
            "unknown",
            "_hidden",
            "256.1.1.1",
            "1.1.1.1:http",
            "[::1",
            "::1]",
            "[203.0.113.7]",
            "\"203.0.113.7\"",
            "for=1.1.1.1",
            "1.1.1.1 2.2.2.2",
            "fe80::1%eth0",
            "ä",
            "1.1.1.1:70000",
        ] {
            assert_address(BALANCER, &[garbage], BALANCER);
            assert_address(BALANCER, &[&format!("1.1.1.1, {garbage}")], BALANCER);
            assert_address(BALANCER, &[&format!("{garbage}, 10.0.0.9")], "10.0.0.9");
            assert_address(BALANCER, &[&format!("{garbage}, 203.0.113.7")], "203.0.113.7");
        }
        let not_text = proxies().client(
            Some(BALANCER.parse().unwrap()),
            [b"1.1.1.1".as_slice(), b"\xff\xfe"].into_iter(),
            std::iter::empty(),
        );
        assert_eq!(not_text.address.to_string(), BALANCER);
    }

    #[test]
    fn https_is_what_the_nearest_trusted_proxy_says() {
        assert!(client(BALANCER, &["203.0.113.7"], &["https"]).https);
        assert!(client(BALANCER, &["203.0.113.7"], &["HTTPS"]).https);
        assert!(client(BALANCER, &["203.0.113.7"], &["http, https"]).https);
        assert!(!client(BALANCER, &["203.0.113.7"], &["https", "http"]).https);
        assert!(!client(BALANCER, &["203.0.113.7"], &["https://"]).https);
        assert!(!client(BALANCER, &["203.0.113.7"], &[]).https);
        assert!(!client("198.51.100.1", &["203.0.113.7"], &["https"]).https);
    }

    #[test]
    fn all_lines_of_a_requests_headers_count_in_their_order() {
        let request = TestRequest::get()
            .peer_addr(SocketAddr::new(BALANCER.parse().unwrap(), 40_000))
            .append_header(("x-forwarded-for", "1.1.1.1"))
            .append_header(("x-forwarded-for", "203.0.113.7"))
            .append_header(("x-forwarded-proto", "https"))
            .to_http_request();
        let client = proxies().client_of(&request);
        assert_eq!(client, Client { address: "203.0.113.7".parse().unwrap(), https: true });
    }

    #[test]
    fn a_connection_without_an_address_is_nobodys() {
        let client = proxies().client(
            None,
            [b"203.0.113.7".as_slice()].into_iter(),
            [b"https".as_slice()].into_iter(),
        );
        assert_eq!(client, Client { address: Ipv4Addr::UNSPECIFIED.into(), https: false });
    }

    #[test]
    fn the_setting() {
        let nobody = TrustedProxies::parse("").unwrap();
        assert!(!nobody.contains("127.0.0.1".parse().unwrap()));
        let some = TrustedProxies::parse("192.0.2.1 198.51.100.0/24,\n2001:db8::/32").unwrap();
        for (address, trusted) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
            ("198.51.100.200", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(some.contains(address.parse().unwrap()), trusted, "{address}");
        }
        for bad in ["10.0.0.0/33", "balancer", "10.0.0", "10.0.0.0/8;::1"] {
            let error = TrustedProxies::parse(&format!("127.0.0.1, {bad}")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{bad:?} is neither")), "{error}");
        }
    }

    #[test]
    fn tries_are_counted_by_ipv4_address_and_by_ipv6_network() {
        let key = |address: &str| {
            Client { address: address.parse().unwrap(), https: true }.throttle_key().to_string()
        };
        assert_eq!(key("203.0.113.7"), "203.0.113.7/32");
        assert_eq!(key("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    proptest! {
        /// Whatever a client sends, the address is the one that the load balancer appended.
        #[test]
        fn nothing_that_a_client_sends_changes_its_address(
            forged in prop::collection::vec("[ -~]{0,40}", 0..4),
        ) {
            let lines = forged.iter().map(String::as_bytes).chain([b"203.0.113.7".as_slice()]);
            let lines = lines.collect::<Vec<_>>();
            let client = proxies().client(
                Some(BALANCER.parse().unwrap()),
                lines.into_iter(),
                std::iter::empty(),
            );
            prop_assert_eq!(client.address.to_string(), "203.0.113.7");
        }
    }
}
