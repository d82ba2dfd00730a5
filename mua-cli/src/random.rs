//! Names that nobody else has, and what nobody else can guess.

use std::io;

use mailwire::sasl::Nonce;

/// 32 hexadecimal digits at random.
pub(crate) fn name() -> io::Result<String> {
    let mut octets = [0_u8; 16];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    Ok(format!("{:032x}", u128::from_be_bytes(octets)))
}

/// Octets for one exchange.
pub(crate) fn nonce() -> io::Result<Nonce> {
    let mut octets = [0_u8; Nonce::OCTETS];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    Ok(Nonce::new(octets))
}
