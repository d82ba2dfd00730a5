//! Names that nobody else has.

use std::io;

/// 32 hexadecimal digits at random.
pub(crate) fn name() -> io::Result<String> {
    let mut octets = [0_u8; 16];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    Ok(format!("{:032x}", u128::from_be_bytes(octets)))
}
