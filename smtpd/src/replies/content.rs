//! What is said of content that cannot be taken as it is.

use mailwire::smtp::{Enhanced, Reply};

use crate::content::MimeField;

/// RFC 5321 §2.3.8: CR and LF only as CRLF; RFC 3463 §3.7, X.6.0.
pub(crate) fn bare_line_end() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        "The message has a CR or LF that is not part of a CRLF: the program that sent it must be corrected",
    )
}

/// RFC 5322 §2.2; RFC 3463 §3.7, X.6.0.
pub(crate) fn nul_in_header() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        "The message has a NUL character in its header: the program that sent it must be corrected",
    )
}

/// RFC 2045 §3, RFC 2046 §5.1.1: nobody could tell what binary content is; RFC 3463 §3.7, X.6.0.
pub(crate) fn unclear_field(field: MimeField) -> Reply {
    let what = match field {
        MimeField::ContentType => "is there twice, too long, or without a usable boundary",
        MimeField::TransferEncoding => "is there twice, or too long",
    };
    Reply::new(554, Enhanced(5, 6, 0), format!("{field} of the message or of a part {what}"))
}

/// Binary content has to be looked through before it can be stored; RFC 3463 §3.7, X.6.0.
pub(crate) fn too_many_parts() -> Reply {
    Reply::new(554, Enhanced(5, 6, 0), "The message has too many parts, or parts too deep within others")
}

/// RFC 1847 §2.1: what is signed must be 7bit, and must not be converted; RFC 3463 §3.7, X.6.2.
pub(crate) fn signed_binary() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 2),
        "A signed part is binary, and converting it would break the signature: sign it as base64",
    )
}

/// RFC 5321 §6.3; RFC 3463 §3.5, X.4.6.
pub(crate) fn mail_loop() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 4, 6),
        "The message goes round in circles between servers: please tell the recipient's postmaster",
    )
}
