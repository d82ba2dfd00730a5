//! One answer, for people and for programs.

use mailstore::TraceStep;
use mailwire::smtp::Reply;
use serde::Serialize;
use smtpd::rehearsal::{End, Rehearsed, Said, Verdict};

/// All that is said about one mail.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// `accepted`, `put off` or `refused`: the worst of all recipients.
    pub(super) verdict: &'static str,
    dialogue: Vec<Answer>,
    /// What was found out about it, and which rules have decided.
    checks: Vec<String>,
    pub(super) recipients: Vec<Recipient>,
    /// True where it would have the field that tells of junk.
    marked_as_junk: bool,
    /// Maildrops of nobody who was named: rules send it there as well.
    also_into: Vec<String>,
    notes: Vec<String>,
    #[serde(skip)]
    worst: Verdict,
}

/// A command and its answer.
#[derive(Debug, Serialize)]
struct Answer {
    command: String,
    #[serde(flatten)]
    reply: Words,
    because: Option<String>,
}

/// A reply.
#[derive(Debug, Serialize)]
struct Words {
    code: u16,
    enhanced: Option<String>,
    text: String,
}

/// What becomes of the mail of one recipient.
#[derive(Debug, Serialize)]
pub(super) struct Recipient {
    to: String,
    verdict: &'static str,
    #[serde(flatten)]
    reply: Option<Words>,
    because: Option<String>,
    /// The alias that leads on from there.
    via: Option<String>,
    goes_to: Vec<Place>,
}

/// Where mail goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// Into the maildrop of this address.
    Maildrop(String),
    /// Nowhere: the recipient's rules reject it, and the sender gets a report with these words.
    Refused(String),
    /// To another server.
    Relay {
        /// The recipient there.
        to: String,
        /// Who has it forwarded.
        forwarded_for: Option<String>,
        /// The line of the configuration that says where to.
        by: String,
        /// The hosts in their order, or why there are none.
        hosts: Vec<String>,
    },
}

/// Where the mail of a recipient goes, and by which alias.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub(super) via: Option<String>,
    pub(super) places: Vec<Place>,
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::PutOff => "put off",
        Verdict::Refused => "refused",
    }
}

impl Words {
    fn of(reply: &Reply) -> Self {
        Self {
            code: reply.code(),
            enhanced: reply.enhanced().map(|enhanced| enhanced.to_string()),
            text: reply.lines().collect::<Vec<_>>().join(" / "),
        }
    }

    /// What good answers say in words is no news.
    fn line(&self) -> String {
        let Self { code, enhanced, text } = self;
        let enhanced = enhanced.as_deref().map(|enhanced| format!(" {enhanced}")).unwrap_or_default();
        if *code < 400 { format!("{code}{enhanced}") } else { format!("{code}{enhanced} {text}") }
    }
}

impl Answer {
    fn of(Said { command, reply, because }: &Said) -> Self {
        Self { command: command.clone(), reply: Words::of(reply), because: because.clone() }
    }
}

impl Told {
    /// With where the mail of each recipient goes.
    pub(super) fn new(
        rehearsed: &Rehearsed,
        to: &[String],
        (arrivals, also_into): (Vec<Arrival>, Vec<String>),
        notes: Vec<String>,
    ) -> Self {
        let Rehearsed { opening, recipients, content, end } = rehearsed;
        let steps: &[TraceStep] = match end {
            End::Committed(committed) => &committed.delivery.steps,
            End::Discarded | End::NotTaken => &[],
        };
        let checks = steps.iter().filter(|step| ["check", "rule"].contains(&&*step.event));
        let worst = (0..to.len()).map(|number| rehearsed.verdict(number)).max().unwrap_or(Verdict::Refused);
        let recipient = |((number, to), Arrival { via, places }): ((usize, &String), Arrival)| {
            let decisive = rehearsed.decisive(number);
            Recipient {
                to: to.clone(),
                verdict: word(rehearsed.verdict(number)),
                reply: decisive.map(|said| Words::of(&said.reply)),
                because: decisive.and_then(|said| said.because.clone()),
                via,
                goes_to: places,
            }
        };
        Self {
            verdict: word(worst),
            dialogue: opening.iter().chain(recipients).chain(content).map(Answer::of).collect(),
            checks: checks.map(|step| step.detail.clone()).collect(),
            recipients: to.iter().enumerate().zip(arrivals).map(recipient).collect(),
            marked_as_junk: rehearsed.is_marked_as_junk(),
            also_into,
            notes,
            worst,
        }
    }

    /// As an exit status: the first digit of the worst reply, 0 for a good one.
    pub(super) const fn status(&self) -> u8 {
        match self.worst {
            Verdict::Accepted => 0,
            Verdict::PutOff => 4,
            Verdict::Refused => 5,
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Answer { command, reply, because } in &self.dialogue {
            lines.push(format!("> {command}"));
            lines.push(format!("< {}", reply.line()));
            lines.extend(
                because.iter().filter(|because| !because.is_empty()).map(|why| format!("    by {why}")),
            );
        }
        lines.extend(self.checks.iter().map(|check| format!("check: {check}")));
        for recipient in &self.recipients {
            recipient.tell(&mut lines);
        }
        if !self.also_into.is_empty() {
            lines.push(format!("Rules put it into {} as well", self.also_into.join(", ")));
        }
        if self.marked_as_junk {
            lines.push("It would be marked: X-Spam-Flag: YES".to_owned());
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

impl Recipient {
    fn tell(&self, lines: &mut Vec<String>) {
        let Self { to, verdict, because, via, goes_to, .. } = self;
        lines.push(match because.as_deref().filter(|because| !because.is_empty()) {
            Some(because) if *verdict != "accepted" => format!("{to}: {verdict}: {because}"),
            Some(_) | None => format!("{to}: {verdict}"),
        });
        lines.extend(via.iter().map(|via| format!("    by {via}")));
        if goes_to.is_empty() && *verdict == "accepted" {
            lines.push("    thrown away by rules of the account".to_owned());
        }
        for place in goes_to {
            match place {
                Place::Maildrop(address) => lines.push(format!("    into the maildrop {address}")),
                Place::Refused(words) => {
                    lines.push(format!(
                        "    rejected by rules of the account, and reported to the sender: {words}"
                    ));
                }
                Place::Relay { to, forwarded_for, by, hosts } => {
                    let forwarded = forwarded_for.as_ref().map(|by| format!(", forwarded for {by}"));
                    lines.push(format!("    to {to}{}: {by}", forwarded.unwrap_or_default()));
                    lines.extend(hosts.iter().map(|host| format!("        {host}")));
                }
            }
        }
    }
}
