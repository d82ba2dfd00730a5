//! The messages of the workload: each is told by a number in its header section, and so is what is asked for it.

use mailwire::address::{Mailbox, ReversePath};

use super::model::{Model, Sent};
use super::view::{Relay, Token};
use crate::{
    Delivery, Fate, MaildropId, Notify, RecipientTerms, RelayRecipient, Repertoire, Terms, TraceRow,
    TraceStep,
};

/// Only final delivery shows it.
pub(super) const DELIVERY_PREFIX: &str = "Return-Path: <sender@example.test>\r\n";
/// Tells the message.
pub(super) const TOKEN_FIELD: &str = "X-Token: ";
/// Of a line of a message.
const LINE_OCTETS: usize = 240;

/// The message that `content` says it is.
pub(super) fn sent<'a>(content: &[u8], model: &'a Model) -> Option<(Token, &'a Sent)> {
    let at = memchr::memmem::find(content, TOKEN_FIELD.as_bytes())?;
    let field = content.get(at.saturating_add(TOKEN_FIELD.len())..)?;
    let digits = field.split(|octet| *octet == b'\r').next()?;
    let token = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((token, model.sent(token)?))
}

/// What the header fields of a message hold, which is told by it.
pub(super) const fn repertoire(token: Token) -> Repertoire {
    match token % 7 {
        0 => Repertoire::Utf8,
        1 => Repertoire::Utf8Within,
        _ => Repertoire::Ascii,
    }
}

/// A message of about `octets`, no line of which is in another one.
pub(super) fn compose(token: Token, octets: usize) -> Sent {
    let field = match repertoire(token) {
        Repertoire::Utf8 => "Subject: \u{fc}\r\n",
        Repertoire::Utf8Within => "Content-Type: message/rfc822\r\n\r\nSubject: \u{fc}\r\n",
        Repertoire::Ascii | Repertoire::Unknown => "Subject: u\r\n",
    };
    let front = format!("{DELIVERY_PREFIX}{TOKEN_FIELD}{token}\r\n{field}\r\n");
    let lines = octets.saturating_sub(front.len()).div_ceil(LINE_OCTETS);
    let line = |number| format!("{token:>12} {number:>8} {:x>width$}\r\n", "", width = LINE_OCTETS - 24);
    let content = std::iter::once(front).chain((0..lines).map(line)).collect::<String>();
    Sent { content: content.into_bytes().into(), delivery_prefix_octets: DELIVERY_PREFIX.len() }
}

/// What is asked for every third message, which is told by it.
pub(super) fn terms(token: Token) -> Terms {
    if !token.is_multiple_of(3) {
        return Terms::default();
    }
    let release_at = token.is_multiple_of(2).then_some(token);
    Terms { envelope_id: Some(token.to_string()), release_at, ..Terms::default() }
}

/// And for each of its recipients elsewhere.
pub(super) fn recipient_terms(token: Token) -> RecipientTerms {
    let notify = token.is_multiple_of(3).then_some(Notify::Never);
    RecipientTerms { notify, ..RecipientTerms::default() }
}

/// How every fifth message came here.
pub(super) fn steps(token: Token) -> Vec<TraceStep> {
    let step = TraceStep { at: token, event: "connected".into(), detail: token.to_string() };
    if token.is_multiple_of(5) { vec![step] } else { Vec::new() }
}

pub(super) fn recipient(relay: &Relay, token: Token) -> Result<RelayRecipient, String> {
    let mailbox = Mailbox::parse(&relay.mailbox).map_err(|error| error.to_string())?;
    let expires = relay.due.saturating_add(1000);
    Ok(RelayRecipient { mailbox, due: relay.due, expires, terms: recipient_terms(token) })
}

pub(super) fn delivery(
    token: Token,
    prefix: String,
    maildrops: Vec<MaildropId>,
    relay: Vec<RelayRecipient>,
) -> Delivery {
    Delivery {
        delivery_prefix: DELIVERY_PREFIX.as_bytes().to_vec(),
        prefix: prefix.into_bytes(),
        reverse_path: ReversePath::Null,
        maildrops,
        fate: Fate::Shared,
        relay,
        terms: terms(token),
        local: Vec::new(),
        steps: steps(token),
        trace: TraceRow::default(),
        carried: None,
        concludes: Vec::new(),
    }
}
