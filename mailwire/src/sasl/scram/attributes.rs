//! The attributes that SCRAM's messages are made of (RFC 5802 §5.1, §7).

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, satisfy, u32};
use nom::combinator::{all_consuming, consumed, map_opt, recognize};
use nom::multi::fold_many0;
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, error::Error};

use super::super::gs2::{Gs2Header, gs2_header, saslname};
use super::super::{SaslError, decode};

/// Most octets of a client's nonce: those in use have some thirty.
const NONCE_OCTETS_MAX: usize = 512;

/// `client-first-message = gs2-header client-first-message-bare`, RFC 5802 §7.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// The header as it came.
    pub(super) header_text: &'a str,
    pub(super) header: Gs2Header<'a>,
    /// `client-first-message-bare` as it came.
    pub(super) bare: &'a str,
    pub(super) login: String,
    pub(super) nonce: &'a str,
}

/// `server-first-message`, RFC 5802 §7.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// `client-final-message`, RFC 5802 §7.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// `client-final-message-without-proof` as it came.
    pub(super) without_proof: &'a str,
    /// `cbind-input`: the header again, then the channel binding data.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
}

/// Reads a client's first message.
pub(super) fn client_first(message: &[u8]) -> Result<ClientFirst<'_>, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let (bare, (header_text, header)) = consumed(gs2_header).parse(text).map_err(|_| SaslError::Malformed)?;
    let (login, nonce) = by_rule(client_first_message_bare, bare)?;
    if nonce.len() > NONCE_OCTETS_MAX {
        return Err(SaslError::Malformed);
    }
    Ok(ClientFirst { header_text, header, bare, login, nonce })
}

/// `client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]`, RFC 5802 §7. What `m=` asks
/// for is mandatory and unknown, so its presence fails the exchange.
fn client_first_message_bare(input: &str) -> IResult<&str, (String, &str)> {
    let (rest, found) = separated_pair(preceded(tag("n="), saslname), char(','), nonce).parse(input)?;
    let (rest, ()) = extensions(rest)?;
    Ok((rest, found))
}

/// Reads a server's first message.
pub(super) fn server_first(message: &[u8]) -> Result<ServerFirst<'_>, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let (nonce, salt, iterations) = by_rule(server_first_message, text)?;
    Ok(ServerFirst { nonce, salt, iterations })
}

/// `server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]`, RFC 5802 §7.
fn server_first_message(input: &str) -> IResult<&str, (&str, Vec<u8>, u32)> {
    let salt = preceded(tag(",s="), base64);
    let iteration_count = preceded(tag(",i="), u32);
    let (rest, found) = (nonce, salt, iteration_count).parse(input)?;
    let (rest, ()) = extensions(rest)?;
    Ok((rest, found))
}

/// Reads a client's final message.
pub(super) fn client_final(message: &[u8]) -> Result<ClientFinal<'_>, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    // The proof is the last attribute, and base64 has no comma.
    let (without_proof, proof) = text.rsplit_once(",p=").ok_or(SaslError::Malformed)?;
    let (binding, nonce) = by_rule(client_final_message_without_proof, without_proof)?;
    let proof = by_rule(base64, proof)?;
    Ok(ClientFinal { without_proof, binding, nonce, proof })
}

/// `client-final-message-without-proof = channel-binding "," nonce ["," extensions]`, RFC 5802 §7.
fn client_final_message_without_proof(input: &str) -> IResult<&str, (Vec<u8>, &str)> {
    let (rest, found) = separated_pair(preceded(tag("c="), base64), char(','), nonce).parse(input)?;
    let (rest, ()) = extensions(rest)?;
    Ok((rest, found))
}

/// `verifier = "v=" base64`, RFC 5802 §7, at the head of `server-final-message`.
pub(super) fn server_final(message: &[u8]) -> Result<Vec<u8>, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let verifier = text.strip_prefix("v=").ok_or(SaslError::Proof)?;
    by_rule(base64, verifier.split(',').next().unwrap_or_default())
}

/// `nonce = "r=" c-nonce [s-nonce]`, both `printable = %x21-2B / %x2D-7E`, RFC 5802 §7.
fn nonce(input: &str) -> IResult<&str, &str> {
    let printable = take_while1(|c: char| c.is_ascii_graphic() && c != ',');
    preceded(tag("r="), printable).parse(input)
}

/// `extensions = attr-val *("," attr-val)`, RFC 5802 §7: optional ones that we do not know are passed over, and `m` is
/// none (§5.1).
fn extensions(input: &str) -> IResult<&str, ()> {
    let name = satisfy(|c| c.is_ascii_alphabetic() && c != 'm');
    let attr_val = recognize((char(','), name, char('='), take_while1(|c: char| c != ',' && c != '\0')));
    fold_many0(attr_val, || (), |(), _| ()).parse(input)
}

/// `base64`, RFC 5802 §7.
fn base64(input: &str) -> IResult<&str, Vec<u8>> {
    map_opt(take_while1(|c: char| c != ','), |text: &str| decode(text.as_bytes()).ok()).parse(input)
}

/// A whole text by a rule.
fn by_rule<'a, T>(
    rule: impl Parser<&'a str, Output = T, Error = Error<&'a str>>,
    text: &'a str,
) -> Result<T, SaslError> {
    all_consuming(rule).parse(text).map(|(_, found)| found).map_err(|_| SaslError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_rfc_7677_are_read() {
        let first = client_first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!((first.header_text, first.bare), ("n,,", "n=user,r=rOprNGfwEbeRWgbNEkqO"));
        assert_eq!((first.login.as_str(), first.nonce), ("user", "rOprNGfwEbeRWgbNEkqO"));
        let server = server_first(b"r=rOp%hvY,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").unwrap();
        assert_eq!((server.nonce, server.salt.len(), server.iterations), ("rOp%hvY", 16, 4096));
        let last = client_final(b"c=biws,r=rOp%hvY,p=dHzb").unwrap();
        assert_eq!((last.without_proof, last.nonce), ("c=biws,r=rOp%hvY", "rOp%hvY"));
        assert_eq!((last.binding.as_slice(), last.proof.len()), (b"n,,".as_slice(), 3));
    }

    #[test]
    fn names_are_unescaped_and_unknown_extensions_passed_over() {
        let first = client_first(b"n,,n=a=2Cb=3D,r=x,z=1,y=a=b").unwrap();
        assert_eq!(first.login, "a,b=");
        assert!(client_final(b"c=biws,r=x,z=1,p=dHzb").is_ok());
    }

    #[test]
    fn what_is_mandatory_and_unknown_fails() {
        for wrong in ["n,,m=1,n=a,r=x", "n,,n=a,r=x,m=1", "n,,n=a,r=x,z=1,m=1"] {
            assert_eq!(client_first(wrong.as_bytes()), Err(SaslError::Malformed), "{wrong}");
        }
        assert_eq!(server_first(b"m=1,r=x,s=YQ==,i=4096"), Err(SaslError::Malformed));
        assert_eq!(client_final(b"c=biws,r=x,m=1,p=dHzb"), Err(SaslError::Malformed));
    }

    #[test]
    fn what_is_no_message_fails() {
        for wrong in [
            "",
            "n,,",
            "n,,n=,r=x",
            "n,,n=a",
            "n,,n=a,r=",
            "n,,n=a=2c,r=x",
            "n,,r=x,n=a",
            "n,,n=a,r=x,",
            "n,,n=a,r=x y",
        ] {
            assert_eq!(client_first(wrong.as_bytes()), Err(SaslError::Malformed), "{wrong}");
        }
        for wrong in [
            "",
            "c=biws,r=x",
            "c=biws,p=dHzb",
            "c=biw,r=x,p=dHzb",
            "c=biws,r=x,p=",
            "c=biws,r=x,p=d",
            "p=dHzb",
        ] {
            assert_eq!(client_final(wrong.as_bytes()), Err(SaslError::Malformed), "{wrong}");
        }
        for wrong in ["", "r=x", "r=x,s=YQ==", "r=x,s=YQ==,i=", "r=x,s=YQ==,i=4294967296", "r=x,s=,i=4096"] {
            assert_eq!(server_first(wrong.as_bytes()), Err(SaslError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn a_nonce_is_bounded() {
        let message = |octets: usize| format!("n,,n=a,r={}", "x".repeat(octets));
        assert!(client_first(message(NONCE_OCTETS_MAX).as_bytes()).is_ok());
        assert_eq!(client_first(message(NONCE_OCTETS_MAX + 1).as_bytes()), Err(SaslError::Malformed));
    }
}
