//! Messages that tell their number: whoever finds one knows which it is, and whether it is whole.

use std::io;

use crate::random::Random;

/// The message of a number, which it tells, as it tells how long it is; the sizes go from small to beyond what stays
/// in memory.
#[must_use]
pub fn content(number: u64) -> Vec<u8> {
    let lines = match number % 7 {
        0 => 0,
        1..=5 => Random::new(number).below(200),
        _ => 1500,
    };
    let mut content = format!("Subject: {number}\r\nX-Lines: {lines}\r\n\r\n").into_bytes();
    for line in 0..lines {
        content.extend_from_slice(
            format!("{number} {line} .......................................\r\n").as_bytes(),
        );
    }
    content
}

/// The number in a header section that has come back.
///
/// # Errors
/// Where it has none.
pub fn number_in(header: &[u8]) -> io::Result<u64> {
    let text = String::from_utf8_lossy(header);
    let number = text.split_once("\r\nSubject: ").and_then(|(_, rest)| rest.split("\r\n").next());
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("no number in {text}")))
}

/// The number of a message that has come back whole.
///
/// # Errors
/// Where it is not whole.
pub fn number_of(retrieved: &[u8]) -> io::Result<u64> {
    let number = number_in(retrieved)?;
    if retrieved.ends_with(&content(number)) {
        Ok(number)
    } else {
        let text = String::from_utf8_lossy(retrieved);
        Err(io::Error::other(format!("message {number} is torn: {text}")))
    }
}
