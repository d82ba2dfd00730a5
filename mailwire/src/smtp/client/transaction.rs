//! One message to several recipients: MAIL, RCPT and DATA, pipelined where the server allows, a verdict for each.

use std::collections::VecDeque;

use thiserror::Error;

use super::Failure;
use crate::address::{ForwardPath, Mailbox, ReversePath};
use crate::smtp::{
    Body, Command, DeliverBy, Extension, MailParameters, Notify, OriginalRecipient, RcptParameters, Reply,
    Return,
};

/// Commands in one group. Bounded, since client and server would wait for each other for ever where both of their send
/// buffers are full (RFC 2920 §3.1).
const GROUP_COMMANDS_MAX: usize = 50;

/// What is sent, without the content itself.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// Who gets it.
    pub recipients: Vec<Recipient>,
    /// Octets of the content, before dot-stuffing.
    pub content_octets: u64,
    /// What the content needs.
    pub content: Content,
    /// What else is asked of the server.
    pub requests: Requests,
}

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub mailbox: Mailbox,
    /// What the sender wants to hear about, said where the server has DSN (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// The address that the sender used first, likewise (RFC 3461 §4.2).
    pub original: Option<OriginalRecipient>,
}

impl From<Mailbox> for Recipient {
    /// Nothing is asked for it.
    fn from(mailbox: Mailbox) -> Self {
        Self { mailbox, notify: None, original: None }
    }
}

/// What is asked of a server for all recipients; but for REQUIRETLS it is said where the server has the extension, and
/// left out where not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// What comes back with a report (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// What a report calls the message (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Until when it is of use (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// The higher, the sooner (RFC 6710 §3).
    pub mt_priority: Option<i8>,
    /// Nobody carries it on but over verified TLS (RFC 8689 §2): a server without the extension does not get it.
    pub requiretls: bool,
}

/// What a content needs of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// US-ASCII only.
    SevenBit,
    /// Octets over 127 in its body (RFC 6152).
    EightBit,
    /// UTF-8 in its header section (RFC 6531).
    Utf8,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server has taken responsibility; its words.
    Accepted(Reply),
    /// Trying again may help.
    Deferred(Reason),
    /// Trying again does not help.
    Refused(Reason),
}

/// Why a recipient does not get the message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Reason {
    /// The server said so.
    #[error("{command} was answered with: {reply}")]
    Reply {
        /// To what.
        command: &'static str,
        /// Its words.
        reply: Reply,
    },
    /// The message needs SMTPUTF8 and the server does not have it (RFC 6531 §3.1).
    #[error("the server does not take international addresses and headers (SMTPUTF8)")]
    NoSmtpUtf8,
    /// The message is 8-bit and the server does not have 8BITMIME (RFC 6152 §3).
    #[error("the server does not take 8-bit content (8BITMIME)")]
    NoEightBitMime,
    /// The message needs REQUIRETLS and the server does not have it (RFC 8689 §4.2.1).
    #[error("the server does not promise to keep the message under TLS (REQUIRETLS)")]
    NoRequireTls,
    /// The message is larger than the server announced (RFC 1870 §6.1).
    #[error("the message has {octets} octets and the server takes at most {octets_max}")]
    TooLarge {
        /// The message's octets.
        octets: u64,
        /// The server's limit.
        octets_max: u64,
    },
    /// The session is not in a state to send.
    #[error("the connection was not ready to send")]
    NotReady,
}

/// What a transaction wants next.
pub(super) enum Progress {
    Send(Vec<u8>),
    Wait,
    Content,
    Ended,
    /// Ended, and the server is closing the connection.
    Gone,
}

/// A command of a transaction, and what its reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// The content, or the lone dot instead of it.
    End,
}

#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    parameters: MailParameters,
    group_max: usize,
    /// Whether the server has DSN.
    dsn: bool,
    unsent: VecDeque<Part>,
    in_flight: VecDeque<Part>,
    /// One a recipient; `None` while it is accepted or not yet answered.
    verdicts: Vec<Option<Verdict>>,
    stage: Stage,
}

/// How far the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// MAIL is not accepted.
    None,
    /// MAIL is accepted; how many recipients are as well.
    Open { recipients: usize },
    /// The server waits for content.
    Content { recipients: usize },
    /// The final reply has come.
    Done,
    /// 421 has come.
    Gone,
}

impl Reason {
    /// What the content or the addresses need and the server lacks.
    pub(super) fn missing_extension(envelope: &Envelope, extensions: &[Extension]) -> Option<Self> {
        let octets = envelope.content_octets;
        let octets_max = extensions.iter().find_map(size_limit).filter(|octets_max| *octets_max > 0);
        if let Some(octets_max) = octets_max.filter(|octets_max| octets > *octets_max) {
            return Some(Self::TooLarge { octets, octets_max });
        }
        if needs_smtputf8(envelope) && !extensions.contains(&Extension::SmtpUtf8) {
            return Some(Self::NoSmtpUtf8);
        }
        if envelope.requests.requiretls && !extensions.contains(&Extension::RequireTls) {
            return Some(Self::NoRequireTls);
        }
        match envelope.content {
            Content::EightBit if !extensions.contains(&Extension::EightBitMime) => Some(Self::NoEightBitMime),
            Content::SevenBit | Content::EightBit | Content::Utf8 => None,
        }
    }

    /// The same verdict for each recipient.
    pub(super) fn for_all(&self, envelope: &Envelope) -> Vec<Verdict> {
        envelope.recipients.iter().map(|_| self.clone().verdict()).collect()
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Reply { command, ref reply } => {
                // RFC 5321 §4.5.3.1.10: 552 to RCPT is an old way to say 452, too many recipients.
                let too_many = command == Part::Rcpt(0).name() && reply.code() == 552;
                if reply.code() / 100 == 4 || too_many {
                    Verdict::Deferred(self)
                } else {
                    Verdict::Refused(self)
                }
            }
            Self::NotReady => Verdict::Deferred(self),
            Self::NoSmtpUtf8 | Self::NoEightBitMime | Self::NoRequireTls | Self::TooLarge { .. } => {
                Verdict::Refused(self)
            }
        }
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Rset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data => "DATA",
            Self::End => "the message",
        }
    }
}

impl Transaction {
    pub(super) fn new(envelope: Envelope, extensions: &[Extension]) -> Self {
        let eight_bit =
            envelope.content != Content::SevenBit && extensions.contains(&Extension::EightBitMime);
        let dsn = extensions.contains(&Extension::Dsn);
        let Requests { ret, envid, by, mt_priority, requiretls } = envelope.requests.clone();
        let parameters = MailParameters {
            size_octets: extensions.iter().find_map(size_limit).map(|_| envelope.content_octets),
            body: eight_bit.then_some(Body::EightBitMime),
            smtputf8: needs_smtputf8(&envelope),
            ret: ret.filter(|_| dsn),
            envid: envid.filter(|_| dsn),
            by: by.filter(|_| extensions.iter().any(has_deliver_by)),
            mt_priority: mt_priority.filter(|_| extensions.iter().any(has_priorities)),
            requiretls,
            ..MailParameters::default()
        };
        let group_max = if extensions.contains(&Extension::Pipelining) { GROUP_COMMANDS_MAX } else { 1 };
        let rcpts = (0..envelope.recipients.len()).map(Part::Rcpt);
        let unsent = std::iter::once(Part::Mail).chain(rcpts).chain([Part::Data]).collect();
        let verdicts = vec![None; envelope.recipients.len()];
        let in_flight = VecDeque::new();
        Self { envelope, parameters, group_max, dsn, unsent, in_flight, verdicts, stage: Stage::None }
    }

    /// RSET comes before MAIL, since the last transaction was left open.
    pub(super) fn reset_first(&mut self) {
        self.unsent.push_front(Part::Rset);
    }

    /// True where the server still has a transaction open after the end.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// One a recipient, in the envelope's order.
    pub(super) fn verdicts(self) -> Vec<Verdict> {
        self.verdicts
            .into_iter()
            .map(|verdict| verdict.unwrap_or(Verdict::Deferred(Reason::NotReady)))
            .collect()
    }

    /// Takes the reply to the oldest command in flight.
    pub(super) fn reply(&mut self, reply: Reply) -> Result<(), Failure> {
        let Some(part) = self.in_flight.pop_front() else {
            return Err(Failure::Unexpected { command: "nothing", reply });
        };
        let command = part.name();
        if reply.code() == 421 {
            // RFC 5321 §3.8: no other reply comes.
            self.settle(&Reason::Reply { command, reply }.verdict());
            self.stage = Stage::Gone;
            return Ok(());
        }
        match (part, reply.code()) {
            (Part::Data, 354) => self.stage = Stage::Content { recipients: self.recipients_accepted() },
            (Part::Data, 200..300) | (_, 300..400) => return Err(Failure::Unexpected { command, reply }),
            (Part::Rset, 200..300) => {}
            (Part::Rset, _) => return Err(Failure::Refused { command, reply }),
            (Part::Mail, 200..300) => self.stage = Stage::Open { recipients: 0 },
            (Part::Mail, _) => {
                self.settle(&Reason::Reply { command, reply }.verdict());
                self.unsent.clear();
            }
            (Part::Rcpt(index), code) => self.rcpt_answered(index, code, Reason::Reply { command, reply }),
            (Part::Data, _) => self.settle(&Reason::Reply { command, reply }.verdict()),
            (Part::End, code) => {
                let accepted = (200..300).contains(&code);
                let reason = Reason::Reply { command, reply: reply.clone() };
                self.settle(&if accepted { Verdict::Accepted(reply) } else { reason.verdict() });
                self.stage = Stage::Done;
            }
        }
        Ok(())
    }

    /// What to do now that a reply was taken, or at the start.
    pub(super) fn next(&mut self) -> Progress {
        match self.stage {
            Stage::Gone => return Progress::Gone,
            Stage::Done => return Progress::Ended,
            Stage::Content { recipients } if self.in_flight.is_empty() => {
                self.in_flight.push_back(Part::End);
                // RFC 2920 §3.1: where nobody gets it, only the final dot may follow.
                return if recipients > 0 { Progress::Content } else { Progress::Send(b".\r\n".to_vec()) };
            }
            Stage::None | Stage::Open { .. } | Stage::Content { .. } => {}
        }
        if !self.in_flight.is_empty() {
            return Progress::Wait;
        }
        self.send_group()
    }

    fn send_group(&mut self) -> Progress {
        let mut octets = Vec::new();
        while self.in_flight.len() < self.group_max {
            let Some(part) = self.unsent.pop_front() else { break };
            if part == Part::Data && self.in_flight.is_empty() && self.recipients_accepted() == 0 {
                break;
            }
            octets.extend_from_slice(&self.encode(part));
            self.in_flight.push_back(part);
        }
        if self.in_flight.is_empty() { Progress::Ended } else { Progress::Send(octets) }
    }

    fn encode(&self, part: Part) -> Vec<u8> {
        match part {
            Part::Rset => Command::Rset.encode(),
            Part::Mail => {
                Command::Mail(self.envelope.reverse_path.clone(), Box::new(self.parameters.clone())).encode()
            }
            Part::Rcpt(index) => {
                let recipient = self.envelope.recipients.get(index);
                recipient.map_or(Vec::new(), |recipient| self.rcpt(recipient.clone()).encode())
            }
            Part::Data => Command::Data.encode(),
            Part::End => Vec::new(),
        }
    }

    /// With what is asked, where the server has DSN.
    fn rcpt(&self, recipient: Recipient) -> Command {
        let Recipient { mailbox, notify, original } = recipient;
        let parameters = RcptParameters {
            notify: notify.filter(|_| self.dsn),
            original_recipient: original.filter(|_| self.dsn),
            unknown: Vec::new(),
        };
        Command::Rcpt(ForwardPath::Mailbox(mailbox), Box::new(parameters))
    }

    fn rcpt_answered(&mut self, index: usize, code: u16, reason: Reason) {
        let Some(place) = self.verdicts.get_mut(index).filter(|place| place.is_none()) else { return };
        match &mut self.stage {
            Stage::Open { recipients } if (200..300).contains(&code) => *recipients += 1,
            Stage::None | Stage::Open { .. } | Stage::Content { .. } | Stage::Done | Stage::Gone => {
                *place = Some(reason.verdict());
            }
        }
    }

    const fn recipients_accepted(&self) -> usize {
        match self.stage {
            Stage::Open { recipients } | Stage::Content { recipients } => recipients,
            Stage::None | Stage::Done | Stage::Gone => 0,
        }
    }

    /// One verdict for every recipient that has none.
    fn settle(&mut self, verdict: &Verdict) {
        for place in &mut self.verdicts {
            place.get_or_insert_with(|| verdict.clone());
        }
    }
}

fn needs_smtputf8(envelope: &Envelope) -> bool {
    let reverse_path = match &envelope.reverse_path {
        ReversePath::Null => false,
        ReversePath::Mailbox(mailbox) => mailbox.needs_smtputf8(),
    };
    reverse_path
        || envelope.content == Content::Utf8
        || envelope.recipients.iter().any(|recipient| recipient.mailbox.needs_smtputf8())
}

fn size_limit(extension: &Extension) -> Option<u64> {
    if let Extension::Size(octets_max) = extension { Some(*octets_max) } else { None }
}

const fn has_deliver_by(extension: &Extension) -> bool {
    matches!(extension, Extension::DeliverBy(_))
}

const fn has_priorities(extension: &Extension) -> bool {
    matches!(extension, Extension::MtPriority(_))
}
