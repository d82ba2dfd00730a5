//! rspamd's protocol: a message by HTTP, with what else is known of it in the header of the request, and JSON in return.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mailwire::address::ReversePath;
use mailwire::smtp::Hello;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::fields::FIELDS_MAX;
use super::http::{self, End, HttpError};
use super::{Added, Facts};

/// Most recipients that it is told of; it weighs their number, and looks none of them up.
const RECIPIENTS_MAX: usize = 100;
/// Most symbols that are shown, and most characters of one.
const SYMBOLS_MAX: usize = 12;
const SYMBOL_CHARACTERS_MAX: usize = 40;
/// The end of content that comes in chunks (RFC 9112 §7.1).
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What rspamd says of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it wants done.
    pub action: String,
    /// How bad it is.
    pub score: f64,
    /// From which score on it is rejected.
    pub required_score: f64,
    /// The rules that say so, the first ones of many.
    pub symbols: Vec<String>,
    /// What is to be added to the header.
    pub fields: Vec<Added>,
}

#[derive(Deserialize)]
struct Scored {
    action: String,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    required_score: f64,
    #[serde(default)]
    symbols: Map<String, Value>,
    #[serde(default)]
    milter: Milter,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Milter {
    add_headers: BTreeMap<String, Value>,
}

/// The head of the request; the content follows in chunks.
pub(super) fn head(facts: &Facts) -> Vec<u8> {
    let mut head = String::from(
        "POST /checkv2 HTTP/1.1\r\nHost: rspamd\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n",
    );
    let mut field = |name: &str, value: &str| {
        // Addresses may hold anything within quotes.
        let value: String =
            value.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let _ = write!(head, "{name}: {value}\r\n");
    };
    match &facts.reverse_path {
        ReversePath::Mailbox(mailbox) => field("From", &mailbox.to_string()),
        ReversePath::Null => field("From", ""),
    }
    for recipient in facts.recipients.iter().take(RECIPIENTS_MAX) {
        field("Rcpt", &recipient.to_string());
    }
    if let Some(address) = facts.address {
        field("IP", &address.to_canonical().to_string());
    }
    match &facts.hello {
        Hello::Domain(domain) => field("Helo", &domain.to_string()),
        Hello::Other(name) => field("Helo", name),
    }
    if let Some(login) = &facts.login {
        field("User", &login.to_string());
    }
    field("Queue-Id", &facts.id);
    field("MTA-Name", &facts.hostname);
    head.push_str("\r\n");
    head.into_bytes()
}

/// How a chunk of so many octets begins; behind it stands CRLF.
pub(super) fn chunk(octets: usize) -> String {
    format!("{octets:x}\r\n")
}

impl Answer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// Where it is no answer.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let Scored { action, score, required_score, symbols, milter } = serde_json::from_slice(body)?;
        let fields =
            milter.add_headers.iter().flat_map(|(name, value)| values(value).map(move |value| (name, value)));
        let fields = fields.filter_map(|(name, value)| Added::new(name, value)).take(FIELDS_MAX).collect();
        let symbols = symbols.keys().take(SYMBOLS_MAX).map(|symbol| word(symbol)).collect();
        Ok(Self { action: word(&action), score, required_score, symbols, fields })
    }

    /// In words, for trace and log.
    #[must_use]
    pub fn shown(&self) -> String {
        let Self { action, score, required_score, symbols, .. } = self;
        // A score may be any number; nobody needs three hundred digits of it.
        let (score, required) = (score.clamp(-9999.0, 9999.0), required_score.clamp(-9999.0, 9999.0));
        format!("{action}, score {score:.1} of {required:.1}: {}", symbols.join(" "))
    }
}

/// Why something is no answer.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// It is none of HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It is none of rspamd.
    #[error("its answer cannot be understood")]
    Json(#[from] serde_json::Error),
}

/// An answer, once all of it has been received.
///
/// # Errors
/// Where it is none.
pub fn answer(received: &[u8], end: End) -> Result<Option<Answer>, AnswerError> {
    let Some(body) = http::body(received, end)? else { return Ok(None) };
    Ok(Some(Answer::read(body)?))
}

/// What a field says: `"text"`, `{"value": "text"}`, or several of them.
fn values(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Object(object) => Box::new(object.get("value").and_then(Value::as_str).into_iter()),
        Value::Array(several) => Box::new(several.iter().filter(|one| !one.is_array()).flat_map(values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Box::new(std::iter::empty()),
    }
}

/// Short, and printable.
fn word(text: &str) -> String {
    let printable = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
    text.chars().take(SYMBOL_CHARACTERS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use mailwire::address::Mailbox;

    use super::*;

    fn facts() -> Facts {
        let mailbox = |text| Mailbox::parse(text).unwrap();
        Facts {
            reverse_path: ReversePath::Mailbox(mailbox("a@b.example")),
            recipients: vec![mailbox("c@d.example"), mailbox("e@d.example")],
            address: Some("::ffff:192.0.2.1".parse().unwrap()),
            id: "abc.1".to_owned(),
            hostname: "mail.d.example".to_owned(),
            ..super::super::facts::testing::facts()
        }
    }

    #[test]
    fn a_request_tells_where_a_message_comes_from() {
        let head = String::from_utf8(head(&facts())).unwrap();
        assert_eq!(
            head,
            "POST /checkv2 HTTP/1.1\r\nHost: rspamd\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             From: a@b.example\r\nRcpt: c@d.example\r\nRcpt: e@d.example\r\nIP: 192.0.2.1\r\nHelo: mail.b.example\r\n\
             Queue-Id: abc.1\r\nMTA-Name: mail.d.example\r\n\r\n"
        );
        let user = Facts {
            login: Some(Mailbox::parse("a@b.example").unwrap()),
            reverse_path: ReversePath::Null,
            ..facts()
        };
        let head = String::from_utf8(super::head(&user)).unwrap();
        assert!(head.contains("\r\nUser: a@b.example\r\n") && head.contains("\r\nFrom: \r\n"), "{head}");
    }

    #[test]
    fn nothing_that_a_client_says_makes_a_line_of_its_own() {
        let hello = Hello::Other("x\r\nUser: admin".to_owned());
        let many = vec![Mailbox::parse("c@d.example").unwrap(); 1000];
        let head = String::from_utf8(head(&Facts { hello, recipients: many, ..facts() })).unwrap();
        assert!(!head.contains("\nUser:"), "{head}");
        assert_eq!(head.matches("\nRcpt:").count(), RECIPIENTS_MAX);
    }

    #[test]
    fn an_answer_has_an_action_and_may_have_everything_else() {
        let answer = Answer::read(br#"{"action":"no action"}"#).unwrap();
        assert_eq!((answer.action.as_str(), answer.score, answer.fields.len()), ("no action", 0.0, 0));
        let answer = Answer::read(
            br#"{"is_skipped":false,"score":7.25,"required_score":15,"action":"add header","symbols":{"BAYES":{"score":1},
            "ZERO":{}},"milter":{"add_headers":{"X-Spam":{"value":"Yes","order":1},"X-Two":["a",{"value":"b"}],"From":"x",
            "X-Odd":3}}}"#,
        )
        .unwrap();
        assert_eq!(answer.shown(), "add header, score 7.2 of 15.0: BAYES ZERO");
        let lines: String = answer.fields.iter().map(Added::line).collect();
        assert_eq!(lines, "X-Spam: Yes\r\nX-Two: a\r\nX-Two: b\r\n");
    }

    #[test]
    fn whatever_it_answers_what_is_kept_is_short() {
        let symbols: Vec<_> =
            (0..5000).map(|number| format!("\"{}{number}\":{{}}", "S\\n".repeat(100))).collect();
        let fields: Vec<_> = (0..5000).map(|number| format!("\"X-{number}\":\"v\"")).collect();
        let body = format!(
            "{{\"action\":\"{}\",\"score\":1e300,\"symbols\":{{{}}},\"milter\":{{\"add_headers\":{{{}}}}}}}",
            "a".repeat(1000),
            symbols.join(","),
            fields.join(",")
        );
        let answer = Answer::read(body.as_bytes()).unwrap();
        assert!(answer.shown().len() < 700 && !answer.shown().contains('\n'));
        assert_eq!((answer.fields.len(), answer.symbols.len()), (FIELDS_MAX, SYMBOLS_MAX));
        for wrong in ["", "[]", "{}", "{\"action\":1}", "{\"action\":\"x\"", &"[".repeat(100_000)] {
            assert!(Answer::read(wrong.as_bytes()).is_err());
        }
    }
}
