//! The header of the PROXY protocol, version 1 and 2 (`HAProxy`, The PROXY protocol, versions 1 & 2): by it a proxy says
//! who its client is.
//!
//! [`parse`] is told all that was read so far and says how much more belongs to the header at least, so that a reader
//! never takes an octet of what comes behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map, map_opt, map_res, rest, value, verify};
use nom::error::Error;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u128};
use nom::sequence::{preceded, separated_pair, terminated};
use nom::{IResult, Parser};

/// How a header of version 2 begins (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How one of version 1 begins (section 2.1).
const KEYWORD: &[u8; 6] = b"PROXY ";
/// Most octets of a header of version 1, with its CRLF (section 2.1).
pub const TEXT_OCTETS_MAX: usize = 107;
/// Octets of a header of version 2 up to its length (section 2.2).
const FIXED_OCTETS: usize = 16;
/// Most octets of a header of version 2. Addresses take 36 or fewer; the rest leaves room for what proxies add, such
/// as the names of a client's certificate.
pub const BINARY_OCTETS_MAX: usize = 4096;

/// Who has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The proxy itself (a health check), or somebody whose address it does not know: the connection's own ends count.
    Proxy,
    /// A client of the proxy.
    Client {
        /// The client.
        source: SocketAddr,
        /// What it has connected to.
        destination: SocketAddr,
    },
}

/// How far the header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many octets more belong to it, at least.
    Wants(usize),
    /// All of it.
    Complete(Origin),
}

/// Why octets are no header.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProxyError {
    /// They begin otherwise.
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    /// It is longer than it may be.
    #[error("the PROXY header is longer than {octets_max} octets")]
    TooLong {
        /// What it may have.
        octets_max: usize,
    },
    /// It is not as it must be.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// It is about a protocol other than TCP.
    #[error("the PROXY header is for another protocol than TCP")]
    NotTcp,
}

/// Reads a header, of which `read` is all that has come so far.
///
/// # Errors
/// See [`ProxyError`].
pub fn parse(read: &[u8]) -> Result<Progress, ProxyError> {
    if begins_as(read, &SIGNATURE) {
        return match SIGNATURE.len().checked_sub(read.len()) {
            None | Some(0) => binary_progress(read),
            Some(missing) => Ok(Progress::Wants(missing)),
        };
    }
    if begins_as(read, KEYWORD) {
        return text_progress(read);
    }
    Err(ProxyError::Missing)
}

/// True where `read` and `beginning` are equal as far as both go.
fn begins_as(read: &[u8], beginning: &[u8]) -> bool {
    read.iter().zip(beginning).all(|(octet, expected)| octet == expected)
}

/// Version 1: a line.
fn text_progress(read: &[u8]) -> Result<Progress, ProxyError> {
    if let Some(line) = read.strip_suffix(b"\r\n") {
        let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
        return all_consuming(text)
            .parse(line)
            .map_or(Err(ProxyError::Malformed), |(_, origin)| Ok(Progress::Complete(origin)));
    }
    if read.len() >= TEXT_OCTETS_MAX {
        return Err(ProxyError::TooLong { octets_max: TEXT_OCTETS_MAX });
    }
    // A CR or LF anywhere else ends nothing. The shortest line is `PROXY UNKNOWN`.
    let shortest = "PROXY UNKNOWN\r\n".len();
    Ok(Progress::Wants(shortest.saturating_sub(read.len()).max(1)))
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, `PROXY UNKNOWN ...` (section 2.1).
fn text(line: &str) -> IResult<&str, Origin> {
    let unknown_rest =
        verify(rest, |rest: &str| (rest.is_empty() || rest.starts_with(' ')) && !rest.contains(['\r', '\n']));
    preceded(
        tag("PROXY "),
        alt((
            preceded(tag("TCP4 "), ends::<Ipv4Addr>),
            preceded(tag("TCP6 "), ends::<Ipv6Addr>),
            value(Origin::Proxy, preceded(tag("UNKNOWN"), unknown_rest)),
        )),
    )
    .parse(line)
}

/// Both addresses, then both ports.
fn ends<A: FromStr + Into<IpAddr>>(input: &str) -> IResult<&str, Origin> {
    let addresses = separated_pair(address::<A>, char(' '), address::<A>);
    let ports = separated_pair(port, char(' '), port);
    let client =
        |((source, destination), (source_port, destination_port)): ((A, A), (u16, u16))| Origin::Client {
            source: SocketAddr::new(source.into(), source_port),
            destination: SocketAddr::new(destination.into(), destination_port),
        };
    map(separated_pair(addresses, char(' '), ports), client).parse(input)
}

fn address<A: FromStr>(input: &str) -> IResult<&str, A> {
    let digits = take_while1(|c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':'));
    map_res(digits, str::parse::<A>).parse(input)
}

/// From 0 to 65535, without leading zeros (section 2.1).
fn port(input: &str) -> IResult<&str, u16> {
    let number = |digits: &str| digits.parse().ok().filter(|_| digits == "0" || !digits.starts_with('0'));
    map_opt(digit1, number).parse(input)
}

/// Version 2: a fixed part that says how much follows.
fn binary_progress(read: &[u8]) -> Result<Progress, ProxyError> {
    let Some((fixed, _)) = read.split_at_checked(FIXED_OCTETS) else {
        return Ok(Progress::Wants(FIXED_OCTETS.saturating_sub(read.len())));
    };
    let &[.., high, low] = fixed else { return Err(ProxyError::Malformed) };
    let whole = FIXED_OCTETS.saturating_add(usize::from(u16::from_be_bytes([high, low])));
    if whole > BINARY_OCTETS_MAX {
        return Err(ProxyError::TooLong { octets_max: BINARY_OCTETS_MAX });
    }
    match whole.checked_sub(read.len()) {
        None | Some(0) => binary(read).map(Progress::Complete),
        Some(missing) => Ok(Progress::Wants(missing)),
    }
}

/// Whom a header of version 2 is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

fn binary(read: &[u8]) -> Result<Origin, ProxyError> {
    let fields = (command, be_u8, length_data(be_u16));
    let parsed: IResult<_, _, Error<_>> = preceded(tag(&SIGNATURE[..]), all_consuming(fields)).parse(read);
    let (_, (command, protocol, block)) = parsed.map_err(|_| ProxyError::Malformed)?;
    match (command, protocol) {
        // Whatever the rest says (section 2.2).
        // A client that has reached the proxy over a Unix socket has no address.
        (Command::Local, _) | (Command::Proxy, 0x00 | 0x31) => Ok(Origin::Proxy),
        (Command::Proxy, 0x11) => block_of(ipv4, block),
        (Command::Proxy, 0x21) => block_of(ipv6, block),
        (Command::Proxy, 0x12 | 0x22 | 0x32) => Err(ProxyError::NotTcp),
        (Command::Proxy, _) => Err(ProxyError::Malformed),
    }
}

/// The version, which is 2, and the command.
fn command(input: &[u8]) -> IResult<&[u8], Command> {
    alt((value(Command::Local, tag(&[0x20][..])), value(Command::Proxy, tag(&[0x21][..])))).parse(input)
}

fn ipv4(input: &[u8]) -> IResult<&[u8], Ipv4Addr> {
    map(be_u32, Ipv4Addr::from_bits).parse(input)
}

fn ipv6(input: &[u8]) -> IResult<&[u8], Ipv6Addr> {
    map(be_u128, Ipv6Addr::from_bits).parse(input)
}

/// Both addresses, both ports, and further fields that mean nothing here.
fn block_of<A: Into<IpAddr>>(
    address: fn(&[u8]) -> IResult<&[u8], A>,
    block: &[u8],
) -> Result<Origin, ProxyError> {
    let parsed = terminated((address, address, be_u16, be_u16), rest).parse(block);
    let (_, (source, destination, source_port, destination_port)) =
        parsed.map_err(|_| ProxyError::Malformed)?;
    Ok(Origin::Client {
        source: SocketAddr::new(source.into(), source_port),
        destination: SocketAddr::new(destination.into(), destination_port),
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn client(source: &str, destination: &str) -> Origin {
        Origin::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn line(line: &str) -> Result<Progress, ProxyError> {
        parse(format!("{line}\r\n").as_bytes())
    }

    /// A header of version 2.
    fn header(command: u8, protocol: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, protocol], &length, block].concat()
    }

    /// Reads a header as a connection does, and tells how many octets it took.
    fn taken(octets: &[u8]) -> Result<(Origin, usize), ProxyError> {
        let mut read = 0;
        loop {
            match parse(&octets[..read])? {
                Progress::Complete(origin) => return Ok((origin, read)),
                Progress::Wants(more) => {
                    assert!(more > 0);
                    read += more;
                    assert!(read <= octets.len(), "more was wanted than belongs to it");
                }
            }
        }
    }

    #[test]
    fn a_line_names_client_and_destination() {
        let expected = client("192.0.2.1:56324", "198.51.100.1:25");
        assert_eq!(line("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25"), Ok(Progress::Complete(expected)));
        let expected = client("[2001:db8::1]:0", "[2001:db8::2]:65535");
        assert_eq!(line("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535"), Ok(Progress::Complete(expected)));
    }

    #[test]
    fn a_line_may_know_nobody() {
        for known in ["PROXY UNKNOWN", "PROXY UNKNOWN ffff:f...f ffff:f...f 65535 65535"] {
            assert_eq!(line(known), Ok(Progress::Complete(Origin::Proxy)), "{known}");
        }
    }

    #[test]
    fn a_line_that_is_not_as_it_must_be_is_refused() {
        for wrong in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536",
            "PROXY TCP4 192.0.2.1 198.51.100.1 056 25",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 25 ",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 25",
            "PROXY TCP4 192.0.2.01 198.51.100.1 1 25",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 25",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 25",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 25",
            "PROXY tcp4 192.0.2.1 198.51.100.1 1 25",
            "PROXY UNKNOWNS",
            "PROXY \u{fc}",
            "PROXY ",
        ] {
            assert_eq!(line(wrong), Err(ProxyError::Malformed), "{wrong}");
        }
        for wrong in ["EHLO client", "proxy TCP4", "PROXYTCP4", "\r\n\r\n\0\r\nQUIT\r"] {
            assert_eq!(line(wrong), Err(ProxyError::Missing), "{wrong}");
        }
    }

    #[test]
    fn a_line_fits_up_to_the_last_octet() {
        let long = |octets: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(octets - 16)).into_bytes();
        assert_eq!(taken(&long(TEXT_OCTETS_MAX)), Ok((Origin::Proxy, TEXT_OCTETS_MAX)));
        let too_long = Err(ProxyError::TooLong { octets_max: TEXT_OCTETS_MAX });
        assert_eq!(taken(&long(TEXT_OCTETS_MAX + 1)), too_long);
        let endless = [b"PROXY ".to_vec(), vec![b'x'; 101]].concat();
        assert_eq!(parse(&endless), Err(ProxyError::TooLong { octets_max: TEXT_OCTETS_MAX }));
    }

    #[test]
    fn a_binary_header_names_client_and_destination() {
        let ipv4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 0, 25];
        let expected = client("192.0.2.1:56324", "198.51.100.1:25");
        assert_eq!(parse(&header(0x21, 0x11, &ipv4)), Ok(Progress::Complete(expected)));
        let additional = [&ipv4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        assert_eq!(parse(&header(0x21, 0x11, &additional)), Ok(Progress::Complete(expected)));
        let address = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets();
        let ipv6 = [&address(1)[..], &address(2), &[0, 1, 0, 2]].concat();
        let expected = client("[2001:db8::1]:1", "[2001:db8::2]:2");
        assert_eq!(parse(&header(0x21, 0x21, &ipv6)), Ok(Progress::Complete(expected)));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        for (command, protocol, block) in [
            (0x20, 0, &[][..]),
            (0x20, 0x11, &[1]),
            (0x21, 0, &[]),
            (0x21, 0, &[1, 2]),
            (0x21, 0x31, &[0; 216]),
        ] {
            let read = header(command, protocol, block);
            assert_eq!(taken(&read), Ok((Origin::Proxy, read.len())));
        }
    }

    #[test]
    fn a_binary_header_that_is_not_as_it_must_be_is_refused() {
        let ipv4 = [0; 12];
        for (command, protocol, block) in [
            (0x11, 0x11, &ipv4[..]),
            (0x22, 0x11, &ipv4),
            (0x21, 0x13, &ipv4),
            (0x21, 0x41, &ipv4),
            (0x21, 0x11, &ipv4[..11]),
            (0x21, 0x21, &ipv4),
        ] {
            assert_eq!(parse(&header(command, protocol, block)), Err(ProxyError::Malformed));
        }
        for protocol in [0x12, 0x22, 0x32] {
            assert_eq!(parse(&header(0x21, protocol, &[0; 216])), Err(ProxyError::NotTcp));
        }
    }

    #[test]
    fn a_binary_header_fits_up_to_the_last_octet() {
        let long = |octets: usize| header(0x20, 0, &vec![0; octets - FIXED_OCTETS]);
        assert_eq!(taken(&long(BINARY_OCTETS_MAX)), Ok((Origin::Proxy, BINARY_OCTETS_MAX)));
        let too_long = Err(ProxyError::TooLong { octets_max: BINARY_OCTETS_MAX });
        assert_eq!(taken(&long(BINARY_OCTETS_MAX + 1)), too_long);
    }

    prop_compose! {
        fn ends_of_one_family()(
            is_ipv4 in any::<bool>(),
            four in any::<[[u8; 4]; 2]>(),
            six in any::<[[u8; 16]; 2]>(),
            ports in any::<[u16; 2]>(),
        ) -> (SocketAddr, SocketAddr) {
            let ip = |index: usize| if is_ipv4 { IpAddr::from(four[index]) } else { IpAddr::from(six[index]) };
            (SocketAddr::new(ip(0), ports[0]), SocketAddr::new(ip(1), ports[1]))
        }
    }

    fn as_text(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, to) = (source.port(), destination.port());
        format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip()).into_bytes()
    }

    fn as_binary(source: SocketAddr, destination: SocketAddr, additional: &[u8]) -> Vec<u8> {
        let octets = |address: SocketAddr| match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        let block = [&octets(source)[..], &octets(destination), &ports, additional].concat();
        header(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &block)
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_and_nothing_behind_it(
            (source, destination) in ends_of_one_family(),
            additional in vec(any::<u8>(), 0..100),
            behind in vec(any::<u8>(), 0..20),
        ) {
            for header in [as_text(source, destination), as_binary(source, destination, &additional)] {
                let octets = [&header[..], &behind].concat();
                prop_assert_eq!(taken(&octets), Ok((Origin::Client { source, destination }, header.len())));
            }
        }

        #[test]
        fn any_octets_are_refused_or_awaited_within_the_bounds(
            version in 0..3,
            octets in vec(any::<u8>(), 0..200),
        ) {
            let beginning = match version {
                0 => &[][..],
                1 => KEYWORD,
                _ => &SIGNATURE,
            };
            let read = [beginning, &octets].concat();
            for end in 0..=read.len() {
                if let Ok(Progress::Wants(more)) = parse(&read[..end]) {
                    prop_assert!(more > 0 && end + more <= BINARY_OCTETS_MAX);
                }
            }
        }
    }
}
