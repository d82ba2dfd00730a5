//! What answers one line, where that is short, and how it goes over the wire.

use std::borrow::Cow;

use mailwire::pop3::Reply;
use mailwire::sasl;

use super::end_of_lines;

/// What answers one line, where that is short. LIST, UIDL, RETR and TOP are streamed instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One line.
    Line(Reply),
    /// A status line and some more, ended by a dot (RFC 1939 §3).
    Lines(Reply, Vec<Cow<'static, str>>),
    /// A challenge of AUTH, to be sent in base64 (RFC 5034 §4).
    Challenge(Cow<'static, [u8]>),
}

impl Answer {
    /// Appends the answer as it goes over the wire to `output`.
    pub fn encode(&self, output: &mut Vec<u8>) {
        match self {
            Self::Line(reply) => reply.encode(output),
            Self::Lines(status, lines) => {
                status.encode(output);
                for line in lines {
                    output.extend_from_slice(line.as_bytes());
                    output.extend_from_slice(b"\r\n");
                }
                end_of_lines(output);
            }
            // RFC 5034 §4: `+`, a blank and base64, the blank also where the base64 is empty.
            Self::Challenge(challenge) => {
                output.extend_from_slice(b"+ ");
                output.extend_from_slice(sasl::encode(challenge).as_bytes());
                output.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Line(reply)
    }
}
