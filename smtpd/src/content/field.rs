//! The header fields that matter while content passes, known by their names.

use std::fmt;

/// A field that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    /// RFC 8601 §2.2.
    AuthenticationResults,
    /// RFC 5322 §3.6.3.
    Bcc,
    /// RFC 5322 §3.6.1.
    Date,
    /// RFC 5322 §3.6.2.
    From,
    /// RFC 5322 §3.6.4.
    MessageId,
    /// RFC 5321 §4.4.
    Received,
    /// RFC 5322 §3.6.2.
    ReplyTo,
    /// RFC 5322 §3.6.6.
    ResentBcc,
    /// RFC 5322 §3.6.6.
    ResentFrom,
    /// RFC 5322 §3.6.6.
    ResentSender,
    /// RFC 5321 §4.4.
    ReturnPath,
    /// RFC 5322 §3.6.2.
    Sender,
    /// What a filter says of it; no RFC has it.
    SpamFlag,
    /// RFC 5322 §3.6.5.
    Subject,
    /// RFC 8689 §3.
    TlsRequired,
    /// Any other.
    Other,
}

/// The beginning of a field name in lower case; long enough to tell the names that matter from all others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldName {
    octets: [u8; FieldName::OCTETS_MAX],
    length: usize,
    /// True once a blank was seen behind it, as the obsolete syntax of RFC 5322 §4.5 allows before the colon.
    pub(super) is_ended: bool,
}

impl Field {
    /// True for those of which there is at most one (RFC 5322 §3.6) and of which two would have a message say different
    /// things to different readers.
    pub(super) const fn is_single(self) -> bool {
        match self {
            Self::Date | Self::From | Self::MessageId | Self::ReplyTo | Self::Sender | Self::Subject => true,
            Self::AuthenticationResults
            | Self::Bcc
            | Self::Received
            | Self::ResentBcc
            | Self::ResentFrom
            | Self::ResentSender
            | Self::ReturnPath
            | Self::SpamFlag
            | Self::TlsRequired
            | Self::Other => false,
        }
    }

    /// One bit each, for [`Fields`].
    const fn bit(self) -> u16 {
        match self {
            Self::AuthenticationResults => 1,
            Self::Bcc => 1 << 1,
            Self::Date => 1 << 2,
            Self::From => 1 << 3,
            Self::MessageId => 1 << 4,
            Self::Received => 1 << 5,
            Self::ReplyTo => 1 << 6,
            Self::ResentBcc => 1 << 7,
            Self::ResentFrom => 1 << 8,
            Self::ResentSender => 1 << 9,
            Self::ReturnPath => 1 << 10,
            Self::Sender => 1 << 11,
            Self::Subject => 1 << 12,
            Self::SpamFlag => 1 << 13,
            Self::Other => 1 << 14,
            Self::TlsRequired => 1 << 15,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthenticationResults => "Authentication-Results",
            Self::Bcc => "Bcc",
            Self::Date => "Date",
            Self::From => "From",
            Self::MessageId => "Message-ID",
            Self::Received => "Received",
            Self::ReplyTo => "Reply-To",
            Self::ResentBcc => "Resent-Bcc",
            Self::ResentFrom => "Resent-From",
            Self::ResentSender => "Resent-Sender",
            Self::ReturnPath => "Return-Path",
            Self::Sender => "Sender",
            Self::SpamFlag => "X-Spam-Flag",
            Self::Subject => "Subject",
            Self::TlsRequired => "TLS-Required",
            Self::Other => "another field",
        })
    }
}

/// Which fields have been seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields(u16);

impl Fields {
    pub(super) const fn contain(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Adds one; false where it was there already.
    pub(super) const fn insert(&mut self, field: Field) -> bool {
        let is_new = !self.contain(field);
        self.0 |= field.bit();
        is_new
    }
}

impl FieldName {
    /// `authentication-results` is the longest name that matters.
    const OCTETS_MAX: usize = 22;

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn push(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = octet.to_ascii_lowercase();
        }
        // One over the limit is enough to be none of the names that matter.
        self.length = (self.length + 1).min(Self::OCTETS_MAX + 1);
    }

    /// The field of this name.
    pub(super) fn field(&self) -> Field {
        match self.octets.get(..self.length) {
            Some(b"authentication-results") => Field::AuthenticationResults,
            Some(b"bcc") => Field::Bcc,
            Some(b"date") => Field::Date,
            Some(b"from") => Field::From,
            Some(b"message-id") => Field::MessageId,
            Some(b"received") => Field::Received,
            Some(b"reply-to") => Field::ReplyTo,
            Some(b"resent-bcc") => Field::ResentBcc,
            Some(b"resent-from") => Field::ResentFrom,
            Some(b"resent-sender") => Field::ResentSender,
            Some(b"return-path") => Field::ReturnPath,
            Some(b"sender") => Field::Sender,
            Some(b"subject") => Field::Subject,
            Some(b"tls-required") => Field::TlsRequired,
            Some(b"x-spam-flag") => Field::SpamFlag,
            Some(_) | None => Field::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Field; 15] = [
        Field::AuthenticationResults,
        Field::Bcc,
        Field::Date,
        Field::From,
        Field::MessageId,
        Field::Received,
        Field::ReplyTo,
        Field::ResentBcc,
        Field::ResentFrom,
        Field::ResentSender,
        Field::ReturnPath,
        Field::Sender,
        Field::SpamFlag,
        Field::Subject,
        Field::TlsRequired,
    ];

    fn named(name: &str) -> Field {
        let mut field_name = FieldName::default();
        name.bytes().for_each(|octet| field_name.push(octet));
        field_name.field()
    }

    #[test]
    fn a_field_is_known_by_its_name_in_any_case_and_by_nothing_else() {
        for field in ALL {
            let name = field.to_string();
            assert_eq!(named(&name.to_uppercase()), field);
            assert_eq!(named(name.get(1..).unwrap()), Field::Other, "{name}");
            assert_eq!(named(&format!("{name}x")), Field::Other, "{name}");
            assert_eq!(named(&format!("x-{name}")), Field::Other, "{name}");
        }
    }

    #[test]
    fn each_field_is_counted_for_itself() {
        let mut fields = Fields::default();
        for field in ALL {
            assert!(fields.insert(field), "{field}");
            assert!(!fields.insert(field), "{field}");
        }
        assert!(!fields.contain(Field::Other));
    }
}
