//! What a client can say, and how it is written (RFC 5321 §4.1.1 and the extensions' parameters).

use std::num::NonZeroU32;

use crate::address::{Domain, ForwardPath, ReversePath};
use crate::secret::Secret;

/// One command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `EHLO`, RFC 5321 §4.1.1.1.
    Ehlo(Hello),
    /// `HELO`, RFC 5321 §4.1.1.1.
    Helo(Hello),
    /// `LHLO`, RFC 2033 §4.1.
    Lhlo(Hello),
    /// `MAIL FROM:`, RFC 5321 §4.1.1.2.
    Mail(ReversePath, Box<MailParameters>),
    /// `RCPT TO:`, RFC 5321 §4.1.1.3.
    Rcpt(ForwardPath, Box<RcptParameters>),
    /// `DATA`, RFC 5321 §4.1.1.4.
    Data,
    /// `BDAT`, RFC 3030 §2.
    Bdat {
        /// Octets that follow this line.
        octets: u64,
        /// True on the last chunk.
        last: bool,
    },
    /// `RSET`, RFC 5321 §4.1.1.5.
    Rset,
    /// `VRFY`, RFC 5321 §4.1.1.6; the text as it came, without a trailing SMTPUTF8.
    Vrfy(String),
    /// `EXPN`, RFC 5321 §4.1.1.7.
    Expn(String),
    /// `HELP`, RFC 5321 §4.1.1.8.
    Help(Option<String>),
    /// `NOOP`, RFC 5321 §4.1.1.9; its text is ignored.
    Noop,
    /// `QUIT`, RFC 5321 §4.1.1.10.
    Quit,
    /// `STARTTLS`, RFC 3207 §4.
    StartTls,
    /// `AUTH`, RFC 4954 §4.
    Auth {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The initial response as it came (base64, or `=` for an empty one).
        initial: Option<Secret<String>>,
    },
}

/// Octets of CRLF, which the RFCs count in and lines here do not have.
const CRLF_OCTETS: usize = 2;

/// Most octets of a command line without CRLF (RFC 5321 §4.5.3.1.4: 512 with it).
const LINE_OCTETS_MAX: usize = 512 - CRLF_OCTETS;

/// Most octets of MAIL: each extension adds what its parameters take (RFC 1870 §3: 26; RFC 6152 §2: 17, where RFC 3030 §3
/// has 16 for the same parameter; RFC 6531 §3.1: 10; RFC 4954 §3: 500; RFC 4865 §3: 34; RFC 2852 §2: 17; RFC 6710 §3: 15;
/// RFC 8689 §2: 11). RFC 3461 adds nothing by itself, but has room for `RET=` (§4.3), 9, and an `ENVID=` of 100 octets
/// (§4.4), 107.
pub(super) const MAIL_LINE_OCTETS_MAX: usize =
    LINE_OCTETS_MAX + 26 + 17 + 10 + 500 + 9 + 107 + 34 + 17 + 15 + 11;

/// Most octets of RCPT: likewise, `NOTIFY=SUCCESS,FAILURE,DELAY` takes 29 (RFC 3461 §4.1), `ORCPT=` with 500 octets 507
/// (§4.2).
const RCPT_LINE_OCTETS_MAX: usize = LINE_OCTETS_MAX + 29 + 507;

/// Most octets of VRFY and EXPN, which may end in ` SMTPUTF8` (RFC 6531 §3.7.4.2).
const QUERY_LINE_OCTETS_MAX: usize = LINE_OCTETS_MAX + 9;

impl Command {
    /// Most octets of the line that says it, without CRLF.
    #[must_use]
    pub const fn line_octets_max(&self) -> usize {
        match self {
            Self::Mail(..) => MAIL_LINE_OCTETS_MAX,
            Self::Rcpt(..) => RCPT_LINE_OCTETS_MAX,
            Self::Vrfy(_) | Self::Expn(_) => QUERY_LINE_OCTETS_MAX,
            Self::Auth { .. } => super::AUTH_LINE_OCTETS_MAX,
            Self::Ehlo(_)
            | Self::Helo(_)
            | Self::Lhlo(_)
            | Self::Data
            | Self::Bdat { .. }
            | Self::Rset
            | Self::Help(_)
            | Self::Noop
            | Self::Quit
            | Self::StartTls => LINE_OCTETS_MAX,
        }
    }
}

/// What a client calls itself in EHLO, HELO or LHLO.
///
/// A wrong name alone is no reason to refuse (RFC 5321 §4.1.4), so any printable word is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// A domain or an address literal.
    Domain(Domain),
    /// Something else without blanks or control characters, as Windows machine names with `_` are.
    Other(String),
}

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// `SIZE=`, octets (RFC 1870 §5); 0 and absent both mean unknown.
    pub size_octets: Option<u64>,
    /// `BODY=` (RFC 6152 §2, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `AUTH=` (RFC 4954 §5), decoded from xtext; `Some(None)` is `AUTH=<>`.
    pub auth: Option<Option<String>>,
    /// `RET=` (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// `ENVID=`, decoded from xtext (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865 §3).
    pub hold: Option<Hold>,
    /// `BY=` (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// `MT-PRIORITY=`, -9 to 9 (RFC 6710 §3).
    pub mt_priority: Option<i8>,
    /// `REQUIRETLS` (RFC 8689 §2).
    pub requiretls: bool,
    /// Keywords that no standard above names, in upper case: a server answers 555 (RFC 5321 §4.1.1.11).
    pub unknown: Vec<String>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2).
    pub original_recipient: Option<OriginalRecipient>,
    /// Keywords that no standard above names, in upper case.
    pub unknown: Vec<String>,
}

/// `BODY=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `7BIT`.
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`, by BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// `RET=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// The whole message comes back with a report.
    Full,
    /// Only its header section.
    Headers,
}

/// `NOTIFY=`: never, or at least one of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NEVER`, which stands alone.
    Never,
    /// Any of `SUCCESS`, `FAILURE`, `DELAY`.
    On {
        /// Report delivery.
        success: bool,
        /// Report failure.
        failure: bool,
        /// Report delay.
        delay: bool,
    },
}

/// `ORCPT=rfc822;alice@example.org`, the address decoded from xtext or utf-8-addr-xtext (RFC 6533 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8`, ..., in lower case.
    pub address_type: String,
    /// The address as text.
    pub address: String,
}

/// `HOLDFOR=` or `HOLDUNTIL=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Seconds from now, at most 999,999,999.
    For(NonZeroU32),
    /// An RFC 3339 date-time, in capitals.
    Until(String),
}

/// `BY=`: seconds (negative with `N` only), mode, trace flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds, -999,999,999 to 999,999,999.
    pub seconds: i32,
    /// What to do when the time has passed.
    pub mode: ByMode,
    /// `T`: report relaying as well.
    pub trace: bool,
}

/// The mode of `BY=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByMode {
    /// `R`: return the message.
    Return,
    /// `N`: notify and go on.
    Notify,
}
